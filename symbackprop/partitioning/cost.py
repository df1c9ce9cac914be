"""What a worker of a partition costs, read from the plan of its kernel: memory, arithmetic, messages, and about what time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, log2

import sympy

from symbackprop.errors import SizeError
from symbackprop.footprint import Footprint
from symbackprop.footprint import memory_use as use
from symbackprop.graph.sizes import Size, dimension
from symbackprop.kernels.plan import Plan
from symbackprop.partitioning.parts import Partition, stage_plans, transferred

Numbers = Mapping[sympy.Symbol, int]


@dataclass(frozen=True)
class Machine:
    """What workers are: bytes that one sends in a second, seconds until a message is there, operations of one in a second.

    ``links`` are the bytes a second between the workers along a split, where they are not those of all.
    """

    bandwidth: float = 10e9
    latency: float = 10e-6
    flops: float = 10e12
    links: Mapping[str, float] = field(default_factory=dict)

    def between(self, groups: Sequence[str]) -> float:
        """The bytes a second between workers along some splits: those of the slowest link."""
        return min(self.links.get(group, self.bandwidth) for group in groups)


@dataclass(frozen=True)
class Meeting:
    """A collective: its kind (``all-reduce`` or ``all-gather``), over which splits and how many workers, for which equations.

    payload is the number of bytes that each worker hands over, as a polynomial in the sizes.
    """

    kind: str
    groups: tuple[str, ...]
    workers: int
    equations: tuple[str, ...]
    payload: Size

    @property
    def scalar(self) -> bool:
        """Whether it is about a single number, such as the objective, or about the sizes of arrays."""
        return bool((self.payload / use.FLOAT_BYTES).is_number or self.payload.is_number)

    @property
    def sent(self) -> Size:
        """The bytes that each worker sends in a ring: 2 (p - 1)/p of the buffer to reduce it, p - 1 parts to gather it.

        Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations.
        """
        p = self.workers
        return self.payload * (sympy.Rational(2 * (p - 1), p) if self.kind == "all-reduce" else p - 1)

    def seconds(self, numbers: Numbers, machine: Machine) -> float:
        """About how long it takes: a ring for long messages, a tree for a few bytes."""
        p, bandwidth = self.workers, machine.between(self.groups) if self.groups else machine.bandwidth
        sent = float(self.sent.xreplace({symbol: sympy.Integer(numbers[symbol]) for symbol in self.sent.free_symbols}))
        steps = 2 * (p - 1) if self.kind == "all-reduce" else p - 1
        ring = steps * machine.latency + sent / bandwidth
        whole = float(use.value_at(self.payload, numbers)) * (1 if self.kind == "all-reduce" else p)
        tree = 2 * ceil(log2(p)) * (machine.latency + whole / bandwidth)
        return min(ring, tree)


class Cost:
    """What the worker that holds most costs. Symbolic values are polynomials in the dimensions and `memory_use.FLOAT_BYTES`.

    ``stage`` is that of the worker.
    """

    def __init__(self, partition: Partition, stage: int = 0) -> None:
        self.partition, self.stage = partition, stage
        self.plan: Plan = stage_plans(partition)[stage]
        self.footprint = Footprint(self.plan)

    @cached_property
    def meetings(self) -> tuple[Meeting, ...]:
        """The collectives of a call of `loss_and_grad`, in order; the first tells the sizes of the arrays that were given."""
        mesh, found = self.partition.mesh, []
        axes = [size for leaf in self.partition.derived.graph.declarations for size in leaf.shape]
        told = {size for size in axes if size.is_Symbol}
        names = tuple(split.name for split in mesh.splits)
        found.append(Meeting("all-gather", names, self.partition.workers, (), sympy.Integer(8 * len(told))))
        plans = stage_plans(self.partition)
        ends = [op for plan in plans for op in (plan.objective, *plan.gradients.values()) if op is not None]
        _, needed = self.plan.needed(ends or [op for plan in plans for op in plan.outputs.values()])
        for op in self.plan.operations:
            if op not in needed:
                continue
            if op.kind == "start_sum":
                bucket = op.details["bucket"]
                equations = tuple(member.equation for member in bucket.members)
                found.append(self._meeting("all-reduce", bucket.groups, equations, bucket.entries))
            elif op.kind == "all_reduce":
                meeting = self._meeting("all-reduce", op.details["groups"], (op.equation,), sympy.Mul(*op.shape))
                found += [meeting] * self.plan.times(op)
            elif op.kind == "all_gather":
                part = sympy.Mul(*op.operands[0].shape)
                found += [self._meeting("all-gather", op.details["groups"], (op.equation,), part)] * self.plan.times(op)
        return tuple(found)

    @cached_property
    def passed_on(self) -> Size:
        """The bytes that a worker sends to its likes in other stages, in a call of all that the kernel can compute."""
        found = transferred(self.partition)
        return sympy.Add(*[size for transfer, size in found if transfer.source == self.stage])

    def _meeting(self, kind: str, groups: tuple[str, ...], equations: tuple[str, ...], entries: Size) -> Meeting:
        workers = sympy.prod([self.partition.mesh.split(name).parts for name in groups])
        return Meeting(kind, groups, int(workers), equations, sympy.expand(use.FLOAT_BYTES * entries))

    def numbers(self, sizes: Mapping[str, int], dtype: str = "float32", rank: int = 0) -> dict[sympy.Symbol, int]:
        """Return the number of every dimension of a worker (the first one holds most) and the bytes of a float.

        Raises as `Footprint.numbers` does, and UsageError where a worker would hold nothing of a dimension.
        """
        mesh = self.partition.mesh
        own = {name for split in mesh.splits for name in (split.part, split.held, split.first)}
        dimensions = self.partition.derived.model.dimensions
        known = {name: size for name, size in dimensions.items() if size is not None and name not in own} | {**sizes}
        mesh.refuse_empty(known)
        missing = [name for name in dimensions if name not in known and name not in own]
        if missing:
            raise SizeError(f"no size is given for {', '.join(missing)}")
        local = mesh.sizes(rank, known)
        parts = {name: local[name] for split in mesh.splits for name in (split.part, split.held)}
        found = self.footprint.numbers({**sizes, **parts}, dtype)
        return {**found, **{dimension(split.first): local[split.first] for split in mesh.splits}}

    def memory(self, numbers: Numbers, optimizer: str = "sgd") -> int:
        """The peak of training of a worker, in bytes: its parameters and the optimizer's copies, its inputs, its workspace."""
        return self.footprint.training_bytes(numbers, optimizer)

    @cached_property
    def multiply_adds(self) -> Size:
        """The multiply-adds of a worker, forward and backward."""
        return sympy.expand(self.footprint.multiply_adds(backward=False) + self.footprint.multiply_adds(backward=True))

    def payload(self, numbers: Numbers) -> int:
        """The bytes that a worker hands over to all collectives of a call."""
        return sum(use.value_at(meeting.payload, numbers) for meeting in self.meetings)

    def sent(self, numbers: Numbers) -> int:
        """The bytes that a worker sends in a call, in rings."""
        total = sympy.Add(*[meeting.sent for meeting in self.meetings])
        return int(total.xreplace({symbol: sympy.Integer(numbers[symbol]) for symbol in total.free_symbols}))

    def seconds(self, numbers: Numbers, machine: Machine) -> tuple[float, float]:
        """About how long a worker computes, and how long it is in collectives: no overlap, no memory traffic."""
        computing = 2 * use.value_at(self.multiply_adds, numbers) / machine.flops
        return computing, sum(meeting.seconds(numbers, machine) for meeting in self.meetings)


class Costs:
    """What the workers of all stages cost, and a step of all of them; the numbers are those of the worker that has most of each."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.stages = tuple(Cost(partition, stage) for stage in range(partition.stages))

    def numbers(self, sizes: Mapping[str, int], dtype: str = "float32") -> dict[sympy.Symbol, int]:
        """Return the number of every dimension, see `Cost.numbers`."""
        return self.stages[0].numbers(sizes, dtype)

    def memory(self, numbers: Numbers, optimizer: str = "sgd") -> int:
        """The peak of training, in bytes."""
        return max(cost.memory(numbers, optimizer) for cost in self.stages)

    def multiply_adds(self, numbers: Numbers) -> int:
        """The multiply-adds of a step."""
        return max(use.value_at(cost.multiply_adds, numbers) for cost in self.stages)

    def sent(self, numbers: Numbers) -> int:
        """The bytes that a worker sends in a step: in rings, and to the next stages."""
        return max(cost.sent(numbers) + use.value_at(cost.passed_on, numbers) for cost in self.stages)

    @property
    def bubble(self) -> sympy.Rational:
        """The part of a step in which a stage waits: (p - 1)/(m + p - 1) for p stages and m rounds of equal length.

        Huang et al. 2019, GPipe: Efficient Training of Giant Neural Networks Using Pipeline Parallelism.
        """
        stages, rounds = self.partition.stages, self.partition.rounds
        return sympy.Rational(stages - 1, rounds + stages - 1)

    def seconds(self, numbers: Numbers, machine: Machine) -> tuple[float, float]:
        """About how long workers compute, pass on and wait for one another's turns, and how long they are in collectives.

        There are rounds + stages - 1 turns of the slowest stage; messages to other stages count as work of the stage that sends
        them, collectives within a round as if they were after it.
        """
        longest = summing = 0.0
        for stage, cost in enumerate(self.stages):
            computing, meeting = cost.seconds(numbers, machine)
            messages = sum(transfer.times for transfer, _ in transferred(self.partition) if transfer.source == stage)
            passing = messages * machine.latency + use.value_at(cost.passed_on, numbers) / machine.bandwidth
            longest, summing = max(longest, computing + passing), max(summing, meeting)
        return longest / float(1 - self.bubble), summing
