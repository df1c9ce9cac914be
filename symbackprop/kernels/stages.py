"""A kernel in stages: which layers each works, where every operation is worked, and what the stages send one another.

A value is worked in the stage of its layer. What an equation computes from the values of one other stage alone stays there where
a parameter is among them (or what is made of parameters alone), or its result is no larger than they are: so what goes back over a
cut is the gradient of what went over it. Views, and what depends on inputs and numbers alone, are taken wherever they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.layers import homes, layers
from symbackprop.errors import UsageError
from symbackprop.graph.sizes import Shape, usual_value
from symbackprop.kernels.arithmetic import entry_operations, multiply_adds
from symbackprop.kernels.lowered import Lowered
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan, planned
from symbackprop.kernels.rounds import AFTER, BACKWARD, FORWARD, KEPT, as_held, in_rounds

_DATA = ("input", "target")

_NOTHING = frozenset(("number", "total", "room"))
"""Operations that compute nothing of an equation."""


@dataclass(frozen=True)
class Transfer:
    """A value that one stage sends to another, so many times a call: its name or, without one, its equation's."""

    value: str
    source: int
    target: int
    shape: Shape
    dtype: str
    times: int


@dataclass(frozen=True)
class Stages:
    """The plans of all stages, and what they send one another, in order.

    stages_of says which stages compute an equation or are given a tensor, by name; none for what takes no computation.
    """

    plans: tuple[Plan, ...]
    transfers: tuple[Transfer, ...]
    stages_of: Mapping[str, tuple[int, ...]]


def make_stages(lowered: Lowered, stages: int) -> Stages:
    """Return the plans of a kernel in stages and rounds. Raises UsageError where it cannot be divided so."""
    whole, phase = in_rounds(lowered)
    stage_of = _cut(whole, stages)
    home = {name: stage_of[layer] for name, layer in homes(whole.derived).items()}
    workers = whole.derived.workers
    rounds = 1 if workers is None else workers.rounds
    division = _Division(whole, phase, placed(whole, home), home, stages, rounds)
    plans = [planned(part, phases, rounds, rounds if stages > 1 else 1) for part, phases in division.parts()]
    return Stages(tuple(plans), tuple(division.transfers), division.stages_of)


def placed(lowered: Lowered, home: Mapping[str, int]) -> dict[Operation, int | None]:
    """Return where each operation is worked, by the homes of equations and parameters; None for what may be worked anywhere."""
    declared = lowered.derived.graph.declared
    place: dict[Operation, int | None] = {}
    of_data: set[Operation] = set()
    for op in lowered.operations:
        if any(operand in of_data for operand in op.operands) or (op.kind == "given" and declared[op.name].kind in _DATA):
            of_data.add(op)
        if op.kind == "given":
            place[op] = home.get(op.name, 0) if declared[op.name].kind == "parameter" else None
            continue
        read = [operand for operand in op.operands if place[operand] is not None]
        found = {place[operand] for operand in read}
        wish = home.get(op.equation, 0) if found else None
        bound = op.storage == "view" or any(operand not in of_data for operand in read)
        if len(found) == 1 and (bound or entries(op, lowered.sizes) <= sum(entries(o, lowered.sizes) for o in read)):
            (wish,) = found
        place[op] = wish
    return place


def entries(operation: Operation, sizes: Mapping[str, int]) -> int:
    """The entries of a result at the default sizes."""
    return usual_value(sympy.Mul(*operation.shape), sizes)


def _cut(lowered: Lowered, stages: int) -> list[int]:
    """The stage of each layer, so that the one with most arithmetic has as little as can be."""
    count = max(layers(lowered.derived).values(), default=0) + 1
    if not 1 <= stages <= count:
        raise UsageError(f"{stages} stages: a stage is one or more layers, and the model has {count} of them")
    place = placed(lowered, homes(lowered.derived))
    costs = [1] * count
    for op in lowered.operations:
        layer = place[op]
        if layer is not None:
            costs[layer] += usual_value(sympy.Add(multiply_adds(op), entry_operations(op)), lowered.sizes)

    @cache
    def best(first: int, parts: int) -> tuple[int, tuple[int, ...]]:
        """The largest sum of the best cut of the layers from the first on into so many parts, and where the parts end."""
        if parts == 1:
            return sum(costs[first:]), (count,)
        found = []
        for end in range(first + 1, count - parts + 2):
            most, ends = best(end, parts - 1)
            found.append((max(sum(costs[first:end]), most), (end, *ends)))
        return min(found)

    _, ends = best(0, stages)
    return [sum(end <= layer for end in ends) for layer in range(count)]


@dataclass
class _Division:
    """Cuts the operations of a whole into those of its stages; ``home`` is the stage of each equation and parameter."""

    whole: Lowered
    phase: Mapping[Operation, int]
    place: Mapping[Operation, int | None]
    home: Mapping[str, int]
    stages: int
    rounds: int
    transfers: list[Transfer] = field(default_factory=list)
    stages_of: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def parts(self) -> list[tuple[Lowered, dict[Operation, int]]]:
        """The operations of each stage, and the phases of them."""
        results = [self._results(stage) for stage in range(self.stages)]
        needed = self._needed([{*part.ends} for part in results])
        self.stages_of = self._stages_of(needed)
        late = self._after_sums()
        made: list[dict[Operation, Operation]] = [{} for _ in range(self.stages)]
        lists: list[list[Operation]] = [[] for _ in range(self.stages)]
        phases: list[dict[Operation, int]] = [{} for _ in range(self.stages)]

        def append(stage: int, operation: Operation, phase: int) -> None:
            lists[stage].append(operation)
            phases[stage][operation] = phase

        for op in self.whole.operations:
            users = [stage for stage in range(self.stages) if op in needed[stage]]
            for stage in (stage for stage in users if self._is_made(op, stage)):
                copy = replace(op, operands=tuple(made[stage][operand] for operand in op.operands))
                made[stage][op] = copy
                append(stage, copy, self.phase[op])
            for stage in (stage for stage in users if not self._is_made(op, stage)):
                source = self.place[op]
                assert source is not None
                tag = len(self.transfers)
                send = Operation(
                    "send", (made[source][op],), (), "scalar", {"stage": stage, "tag": tag}, "", op.equation, op.dtype
                )
                storage = "scalar" if op.storage == "scalar" else "buffer"
                receive = Operation(
                    "receive", (send,), op.shape, storage, {"stage": source, "tag": tag, "late": op in late}, op.name,
                    op.equation, op.dtype,
                )  # fmt: skip
                made[stage][op] = receive
                phase = AFTER if op.kind in KEPT else self.phase[op]
                append(source, send, phase)
                append(stage, receive, phase)
                times = self.rounds if phase in (FORWARD, BACKWARD) else 1
                self.transfers.append(Transfer(op.name or op.equation, source, stage, op.shape, op.dtype, times))
        return [(self._made(part, made[stage], lists[stage]), phases[stage]) for stage, part in enumerate(results)]

    def _is_made(self, operation: Operation, stage: int) -> bool:
        """Tell whether a stage works an operation itself where it needs it."""
        return self.place[operation] in (None, stage) or operation.storage == "view"

    def _results(self, stage: int) -> Lowered:
        """What a stage returns: the objective, the gradients of its own parameters, the outputs that are made there."""
        whole, last = self.whole, self.stages - 1
        outputs = {
            name: op for name, op in whole.outputs.items() if (last if self.place[op] is None else self.place[op]) == stage
        }
        gradients = {name: op for name, op in whole.gradients.items() if self.home.get(name, 0) == stage}
        return replace(whole, outputs=outputs, gradients=gradients)

    def _needed(self, needed: list[set[Operation]]) -> list[set[Operation]]:
        """What each stage needs, beginning with what it returns: what it works itself, and what it is sent."""
        for op in reversed(self.whole.operations):
            source = self.place[op]
            if source is not None and op.storage != "view" and any(op in own for own in needed):
                needed[source].add(op)
            for stage, own in enumerate(needed):
                if op in own and self._is_made(op, stage):
                    own.update(op.operands)
        return needed

    def _stages_of(self, needed: list[set[Operation]]) -> dict[str, tuple[int, ...]]:
        """Where each equation is worked: what may be worked anywhere says it only of an equation that is nothing else."""
        found: dict[str, dict[int, None]] = {}
        for free in (False, True):
            known = {*found}
            for op in self.whole.operations:
                name = op.name if op.kind == "given" else op.equation
                if (self.place[op] is None) != free or name in known or op.storage in ("view", "constant") or op.kind in _NOTHING:
                    continue
                for stage in (stage for stage, own in enumerate(needed) if op in own and self._is_made(op, stage)):
                    found.setdefault(name, {})[stage] = None
        return {name: tuple(sorted(stages)) for name, stages in found.items()}

    def _after_sums(self) -> set[Operation]:
        """What comes after the sums of gradients over the workers: no stage may wait for that before it has begun its own."""
        derived, late = self.whole.derived, set[Operation]()
        gradients = {derived.gradient_name(name) for name in derived.wrt}
        for op in self.whole.operations:
            if (op.kind == "all_reduce" and op.equation in gradients) or any(operand in late for operand in op.operands):
                late.add(op)
        return late

    def _made(self, results: Lowered, made: Mapping[Operation, Operation], operations: list[Operation]) -> Lowered:
        return replace(
            results,
            derived=self._derived({op.name for op in operations if op.kind == "given"}),
            operations=operations,
            objective=None if results.objective is None else made[results.objective],
            outputs={name: made[op] for name, op in results.outputs.items()},
            gradients={name: made[op] for name, op in results.gradients.items()},
        )

    def _derived(self, given: set[str]) -> DerivedGraph:
        """The derivation with only the tensors that a stage is given, as large as it is given them: for all rounds."""
        derived = as_held(self.whole.derived)
        declared = tuple(d for d in derived.graph.declarations if d.name in given)
        return replace(derived, graph=replace(derived.graph, declarations=declared))
