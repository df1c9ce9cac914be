"""What a partition costs for people and programs, beside other ways to make training fit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop.errors import SizeError, UsageError
from symbackprop.footprint import Footprint, footprint_of_derived, plot
from symbackprop.footprint import memory_use as use
from symbackprop.graph.sizes import dimension
from symbackprop.partitioning.cost import Costs, Machine, Meeting
from symbackprop.partitioning.parts import split_over, transferred
from symbackprop.partitioning.planning import Way, way_name
from symbackprop.render.sheets import Sheet, Table

RING = "sent: by a worker, in a ring: 2 (p - 1)/p of a buffer to add it up over p workers, p - 1 times its part to gather it"
TIMES = (
    "times: {flops:g} operations and {bandwidth} bytes sent in a second by each worker, {latency:g} s for a message; computing at "
    "full speed, then meeting, without overlap"
)


COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
"""The numbers of workers of a plot."""


@dataclass(frozen=True)
class Alternative:
    """A way to train: over so many workers, so many examples a step; what one worker takes of memory, arithmetic and messages."""

    name: str
    examples: int | None
    memory: int
    multiply_adds: int
    sent: int
    seconds: float


class PartitionReport:
    """Writes the costs of a partition for sizes, a dtype, an optimizer and a machine; without a size there are polynomials only."""

    def __init__(
        self, costs: Costs, sizes: Mapping[str, int], dtype: str = "float32", optimizer: str = "sgd",
        machine: Machine | None = None, memory: int | None = None,
    ) -> None:  # fmt: skip
        self.costs, self.sizes, self.dtype, self.optimizer = costs, sizes, dtype, optimizer
        self.machine, self.memory = machine, memory
        self.partition, self.mesh = costs.partition, costs.partition.mesh
        self.alone: Footprint = footprint_of_derived(self.partition.whole)
        self.missing = ""
        self.numbers: dict[sympy.Symbol, int] | None = None
        self.whole: dict[sympy.Symbol, int] | None = None
        try:
            self.numbers, self.whole = costs.numbers(sizes, dtype), self.alone.numbers(sizes, dtype)
        except SizeError as problem:
            self.missing = str(problem)

    @property
    def name(self) -> str:
        """What this way to split is called."""
        splits = {split.name: split.parts for split in self.mesh.splits if split.parts > 1}
        return way_name(splits, self.partition.stages, self.partition.rounds)

    # ------------------------------------------------------------ tables

    def sheet(self) -> Sheet:
        """The tables and sentences."""
        tables, sentences = [self._workers(), self._meetings()], [RING]
        if self.partition.stages > 1:
            stages, rounds = self.partition.stages, self.partition.rounds
            sentences.append(
                f"waiting: a stage waits (p - 1)/(m + p - 1) = {100 * float(self.costs.bubble):.1f} % of a step of {stages} stages "
                f"and {rounds} rounds, where all take equally long"
            )
        if self.numbers is not None:
            tables.append(self._alternatives_table())
        else:
            sentences.append(f"{self.missing}: --sizes gives it; the answer is symbolic until then")
        if self.machine is not None:
            sentences.append(times(self.machine))
        return Sheet(f"What a worker of {self.partition.workers} costs ({self._sizes()})", tuple(tables), tuple(sentences))

    def _sizes(self) -> str:
        if self.numbers is None:
            return self.dtype
        hidden = {dimension(split.first) for split in self.mesh.splits} | {use.FLOAT_BYTES}
        known = [f"{symbol.name} = {count}" for symbol, count in self.numbers.items() if symbol not in hidden]
        return ", ".join([self.dtype, *known])

    def _number(self, value: sympy.Expr, whole: bool = False) -> str:
        """A number with separators, or the polynomial where a size is missing."""
        numbers = self.whole if whole else self.numbers
        return polynomial(value) if numbers is None else f"{use.value_at(value, numbers):,}"

    def _workers(self) -> Table:
        """What a worker of each stage takes, and what one alone would."""
        copies = self.alone.training_copies(self.optimizer)
        rows: list[tuple[str, Callable[[Footprint], sympy.Expr]]] = [
            ("parameters", lambda f: f.parameters),
            ("bytes of gradients", lambda f: f.gradient_bytes),
            *([(f"numbers the optimizer keeps ({self.optimizer})", lambda f: copies * f.parameters)] if copies else []),
            ("bytes of inputs and targets", lambda f: f.given_bytes),
            ("bytes saved for backward", lambda f: f.saved_bytes),
            ("multiply-adds", both),
        ]
        several = self.partition.stages > 1
        heads = [f"of stage {k}" if several else "a worker" for k in range(1, self.partition.stages + 1)]
        table = [["", *heads, "one alone"]]
        for name, value in rows:
            ours = [self._number(value(cost.footprint)) for cost in self.costs.stages]
            table.append([name, *ours, self._number(value(self.alone), True)])
        if self.numbers is not None and self.whole is not None:
            taken = [cost.memory(self.numbers, self.optimizer) for cost in self.costs.stages]
            taken.append(self.alone.training_bytes(self.whole, self.optimizer))
            table.insert(-1, ["bytes of training", *[f"{count:,}" for count in taken]])
        return Table("Memory and arithmetic of a step", table)

    def _meetings(self) -> Table:
        """Where workers meet, in order, and what they send to other stages."""
        stages, machine = self.partition.stages, self.machine if self.numbers is not None else None
        timed = ["seconds"] if machine else []
        rows = [["what", "along", "for", "workers", "bytes", "sent", *timed]]
        sums = [sympy.S.Zero, sympy.S.Zero]
        for k, cost in enumerate(self.costs.stages):
            where = f" in stage {k + 1}" if stages > 1 else ""
            for meeting, count in Counter(cost.meetings).items():
                seconds = [short(count * meeting.seconds(self.numbers, machine))] if machine and self.numbers else []
                times = f"{count} × " if count > 1 else ""
                payload, sent = count * meeting.payload, count * meeting.sent
                rows.append([
                    f"{times}{meeting.kind}{where}", ", ".join(meeting.groups), self._purpose(meeting), f"{meeting.workers:,}",
                    self._number(payload), self._number(sent), *seconds,
                ])  # fmt: skip
                sums = [sums[0] + payload, sums[1] + sent]
        for transfer, size in transferred(self.partition):
            ends = f"{transfer.source + 1} to {transfer.target + 1}"
            times = f"{transfer.times} × " if transfer.times > 1 else ""
            passed = self._number(size)
            rows.append([f"{times}send", f"stages {ends}", transfer.value, "2", passed, passed, *([""] if timed else [])])
            sums = [total + size for total in sums]
        rows.append(["total", "", "", "", *[self._number(total) for total in sums], *([""] if timed else [])])
        return Table("Where workers meet", rows, left=(0, 1, 2), sums=1)

    def _purpose(self, meeting: Meeting) -> str:
        first, *others = meeting.equations or ("the sizes of the arrays",)
        return f"{first} and {len(others)} more" if len(others) > 1 else ", ".join([first, *others])

    # ------------------------------------------------------------ beside other ways

    def alternatives(self) -> list[Alternative]:
        """This partition beside one worker with all, with recomputation, with the batch in parts, and with a smaller batch."""
        assert self.numbers is not None and self.whole is not None
        machine = self.machine or Machine()
        k, batch, seconds = self.partition.workers, self.alone.model.batch, sum(self.costs.seconds(self.numbers, machine))
        examples = None if batch is None else self.whole[dimension(batch)]
        found = [
            Alternative(
                f"{k:,} workers: {self.name}", examples, self.costs.memory(self.numbers, self.optimizer),
                self.costs.multiply_adds(self.numbers), self.costs.sent(self.numbers), seconds,
            )
        ]  # fmt: skip

        def one(name: str, footprint: Footprint, numbers: Mapping[sympy.Symbol, int], memory: int, times: int = 1) -> None:
            count = times * use.value_at(both(footprint), numbers)
            number = None if batch is None else times * numbers[dimension(batch)]
            found.append(Alternative(name, number, memory, count, 0, 2 * count / machine.flops))

        one("one worker", self.alone, self.whole, self.alone.training_bytes(self.whole, self.optimizer))
        again = footprint_of_derived(self.partition.whole, 1)
        one("one worker, layers computed again", again, self.whole, again.training_bytes(self.whole, self.optimizer))
        if batch is not None and examples is not None and examples >= k > 1:
            symbol = dimension(batch)
            smaller = {**self.whole, symbol: -(-examples // k)}
            memory = self.alone.accumulated_bytes(self.whole, k, self.optimizer)
            one(f"one worker, the batch in {k:,} parts", self.alone, smaller, memory, k)
            memory = self.alone.training_bytes(smaller, self.optimizer)
            one(f"one worker, a batch of {smaller[symbol]:,}", self.alone, smaller, memory)
        return found

    def _alternatives_table(self) -> Table:
        timed = self.machine is not None
        fits = self.memory is not None
        head = ["", "examples a step", "bytes of training", "multiply-adds", "sent", *(["seconds"] if timed else [])]
        rows = [[*head, *([f"fits {self.memory:,}"] if fits else [])]]
        for way in self.alternatives():
            rows.append([
                way.name, "" if way.examples is None else f"{way.examples:,}", f"{way.memory:,}", f"{way.multiply_adds:,}",
                f"{way.sent:,}", *([short(way.seconds)] if timed else []),
                *([yes(way.memory, self.memory)] if self.memory is not None else []),
            ])  # fmt: skip
        return Table("Beside other ways, for each worker", rows)

    def plot(self) -> list[plot.Shape]:
        """The bytes of training of a worker by the number of workers, or of parts of the batch. Raises SizeError without sizes.

        For each dimension that is split here, split alone; beside it the batch in parts on one worker, and a batch as small as one.
        """
        if self.numbers is None or self.whole is None:
            raise SizeError(f"{self.missing}: a plot needs numbers")
        whole, alone, optimizer = self.whole, self.alone, self.optimizer
        points: dict[str, list[tuple[float, float]]] = {}
        for split in self.mesh.splits:
            for parts in (k for k in COUNTS if k <= whole[split.size]):
                costs = Costs(split_over(self.partition.whole, {split.name: parts}, self.sizes))
                numbers = costs.numbers(self.sizes, self.dtype)
                points.setdefault(f"{split.name} split", []).append((parts, costs.memory(numbers, optimizer)))
        if alone.model.batch is not None:
            batch = dimension(alone.model.batch)
            counts = [k for k in COUNTS if k <= whole[batch]]
            points["batch in parts"] = [(k, alone.accumulated_bytes(whole, k, optimizer)) for k in counts]
            points["smaller batch"] = [
                (k, alone.training_bytes({**whole, batch: -(-whole[batch] // k)}, optimizer)) for k in counts
            ]
        return plot.curves(points, f"{alone.model.name}: bytes of training of a worker", "workers, or parts of the batch")

    # ------------------------------------------------------------ for programs

    def document(self) -> dict[str, Any]:
        """The costs as they go into JSON."""
        def value(expression: sympy.Expr) -> dict[str, Any]:
            shown = None if self.numbers is None else int(
                expression.xreplace({s: sympy.Integer(self.numbers[s]) for s in expression.free_symbols})
            )  # fmt: skip
            return {"polynomial": polynomial(expression), "number": shown}

        document: dict[str, Any] = {
            "workers": self.partition.workers,
            "splits": {split.name: split.parts for split in self.mesh.splits},
            "stages": self.partition.stages,
            "rounds": self.partition.rounds,
            "bubble": float(self.costs.bubble),
            "dtype": self.dtype,
            "optimizer": self.optimizer,
            "missing": self.missing or None,
            "by_stage": [
                {"parameters": value(cost.footprint.parameters), "multiply_adds": value(cost.multiply_adds),
                 "meetings": [
                     {"kind": m.kind, "along": list(m.groups), "workers": m.workers, "equations": list(m.equations),
                      "bytes": value(m.payload), "sent": value(m.sent)}
                     for m in cost.meetings
                 ]}
                for cost in self.costs.stages
            ],
            "passed_on": [
                {"value": t.value, "from": t.source + 1, "to": t.target + 1, "times": t.times, "bytes": value(size)}
                for t, size in transferred(self.partition)
            ],
        }  # fmt: skip
        if self.numbers is not None:
            document["training_bytes"] = self.costs.memory(self.numbers, self.optimizer)
            document["alternatives"] = [
                {"name": a.name, "examples": a.examples, "training_bytes": a.memory, "multiply_adds": a.multiply_adds,
                 "sent": a.sent, "seconds": a.seconds if self.machine is not None else None}
                for a in self.alternatives()
            ]  # fmt: skip
        return document

    def written(self, form: str) -> str:
        """The costs in a format of the command line, that of a PDF in Typst's language."""
        if form == "json":
            return json.dumps(self.document(), ensure_ascii=False, indent=2) + "\n"
        return self.sheet().written(form)


def ways_sheet(ways: Sequence[Way], workers: int, machine: Machine, memory: int | None) -> Sheet:
    """The table of all ways to split a model over so many workers."""
    head = ["split", "bytes of training", "multiply-adds", "sent", "computing, s", "meeting, s", "together, s"]
    rows = [[*head, *([] if memory is None else [f"fits {memory:,}"])]]
    for way in ways:
        rows.append([
            way.name, f"{way.memory:,}", f"{way.multiply_adds:,}", f"{way.sent:,}", short(way.computing), short(way.meeting),
            short(way.seconds), *([] if memory is None else [yes(way.memory, memory)]),
        ])  # fmt: skip
    return Sheet(f"Ways to split over {workers:,} workers", (Table("For each worker", rows),), (RING, times(machine)))


def best(ways: Sequence[Way], memory: int | None) -> Way:
    """The first way that fits the memory. Raises UsageError where none does, with the least that any takes."""
    fitting = [way for way in ways if memory is None or way.memory <= memory]
    if not fitting:
        least = min(ways, key=lambda way: way.memory)
        raise UsageError(f"no split fits {memory:,} bytes: {least.name} takes least, {least.memory:,}; use more workers")
    return fitting[0]


def polynomial(value: sympy.Expr) -> str:
    """An expression in sizes, in which float stands for the bytes of a float."""
    return str(value).replace(use.FLOAT_BYTES.name, "float")


def times(machine: Machine) -> str:
    """What the times rest on."""
    links = [f"{machine.bandwidth:g}", *[f"{speed:g} along {name}" for name, speed in machine.links.items()]]
    return TIMES.format(flops=machine.flops, bandwidth=", ".join(links), latency=machine.latency)


def both(footprint: Footprint) -> sympy.Expr:
    """The multiply-adds of both passes."""
    return footprint.multiply_adds(backward=False) + footprint.multiply_adds(backward=True)


def short(seconds: float) -> str:
    """Seconds with three digits."""
    return f"{seconds:.3g}"


def yes(taken: int, memory: int) -> str:
    """Whether so many bytes fit."""
    return "yes" if taken <= memory else "no"
