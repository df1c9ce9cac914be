"""What a partition costs for people and programs, beside other ways to make training fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop.errors import SizeError, UsageError
from symbackprop.footprint import Footprint, footprint_of_derived, plot
from symbackprop.footprint import memory_use as use
from symbackprop.partitioning.cost import Cost, Machine, Meeting
from symbackprop.partitioning.parts import split_over
from symbackprop.partitioning.planning import Way
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
        self, cost: Cost, sizes: Mapping[str, int], dtype: str = "float32", optimizer: str = "sgd",
        machine: Machine | None = None, memory: int | None = None,
    ) -> None:  # fmt: skip
        self.cost, self.sizes, self.dtype, self.optimizer = cost, sizes, dtype, optimizer
        self.machine, self.memory = machine, memory
        self.mesh = cost.partition.mesh
        self.alone: Footprint = footprint_of_derived(cost.partition.whole)
        self.missing = ""
        self.numbers: dict[sympy.Symbol, int] | None = None
        self.whole: dict[sympy.Symbol, int] | None = None
        try:
            self.numbers, self.whole = cost.numbers(sizes, dtype), self.alone.numbers(sizes, dtype)
        except SizeError as problem:
            self.missing = str(problem)

    # ------------------------------------------------------------ tables

    def sheet(self) -> Sheet:
        """The tables and sentences."""
        tables = [self._workers(), self._meetings()]
        sentences = [RING]
        if self.numbers is not None:
            tables.append(self._alternatives_table())
        else:
            sentences.append(f"{self.missing}: --sizes gives it; the answer is symbolic until then")
        if self.machine is not None:
            sentences.append(times(self.machine))
        return Sheet(f"What a worker of {self.mesh.workers} costs ({self._sizes()})", tuple(tables), tuple(sentences))

    def _sizes(self) -> str:
        known = [] if self.numbers is None else [
            f"{symbol.name} = {count}" for symbol, count in self.numbers.items() if symbol != use.FLOAT_BYTES
        ]  # fmt: skip
        return ", ".join([self.dtype, *known])

    def _count(self, value: sympy.Expr) -> str:
        return str(value) if self.numbers is None else f"{use.value_at(value, self.numbers):,}"

    def _bytes(self, value: sympy.Expr) -> str:
        return str(value).replace(use.FLOAT_BYTES.name, "float") if self.numbers is None else self._count(value)

    def _workers(self) -> Table:
        """What the worker that holds most takes, and what one alone would."""
        parts, alone = self.cost.footprint, self.alone
        rows = [["", "a worker", "one alone"]]
        copies = parts.training_copies(self.optimizer)

        def row(name: str, of: str, factor: int = 1) -> list[str]:
            ours, theirs = factor * getattr(parts, of), factor * getattr(alone, of)
            if self.numbers is None or self.whole is None:
                return [name, self._bytes(ours), self._bytes(theirs)]
            return [name, f"{use.value_at(ours, self.numbers):,}", f"{use.value_at(theirs, self.whole):,}"]

        rows.append(row("parameters", "parameters"))
        rows.append(row("bytes of gradients", "gradient_bytes"))
        if copies:
            rows.append(row(f"numbers the optimizer keeps ({self.optimizer})", "parameters", copies))
        rows.append(row("bytes of inputs and targets", "given_bytes"))
        rows.append(row("bytes saved for backward", "saved_bytes"))
        sums = [("multiply-adds", use.value_at(self.cost.multiply_adds, self.numbers), use.value_at(both(alone), self.whole))] if (
            self.numbers is not None and self.whole is not None
        ) else []  # fmt: skip
        if self.numbers is not None and self.whole is not None:
            taken = (self.cost.memory(self.numbers, self.optimizer), alone.training_bytes(self.whole, self.optimizer))
            rows.append(["bytes of training", *[f"{count:,}" for count in taken]])
            rows += [[name, f"{ours:,}", f"{theirs:,}"] for name, ours, theirs in sums]
        else:
            rows.append(["multiply-adds", str(self.cost.multiply_adds), str(both(alone))])
        return Table("Memory and arithmetic of a step", rows)

    def _meetings(self) -> Table:
        """Where workers meet, in order."""
        timed = self.machine is not None and self.numbers is not None
        rows = [["collective", "along", "for", "workers", "bytes", "sent", *(["seconds"] if timed else [])]]
        for meeting in self.cost.meetings:
            rows.append([
                meeting.kind, ", ".join(meeting.groups), self._purpose(meeting), f"{meeting.workers:,}",
                self._bytes(meeting.payload), self._bytes(meeting.sent), *self._seconds(meeting, timed),
            ])  # fmt: skip
        total, sent = (sympy.Add(*[getattr(m, what) for m in self.cost.meetings]) for what in ("payload", "sent"))
        seconds = [short(sum(m.seconds(self.numbers, self.machine) for m in self.cost.meetings))] if (
            timed and self.numbers is not None and self.machine is not None
        ) else []  # fmt: skip
        rows.append(["total", "", "", "", self._bytes(total), self._bytes(sent), *seconds])
        return Table("Where workers meet", rows, left=(0, 1, 2), sums=1)

    def _seconds(self, meeting: Meeting, timed: bool) -> list[str]:
        if not timed or self.numbers is None or self.machine is None:
            return []
        return [short(meeting.seconds(self.numbers, self.machine))]

    def _purpose(self, meeting: Meeting) -> str:
        first, *others = meeting.equations or ("the sizes of the arrays",)
        return f"{first} and {len(others)} more" if len(others) > 1 else ", ".join([first, *others])

    # ------------------------------------------------------------ beside other ways

    def alternatives(self) -> list[Alternative]:
        """This partition beside one worker with all, with recomputation, with the batch in parts, and with a smaller batch."""
        assert self.numbers is not None and self.whole is not None
        machine = self.machine or Machine()
        k, batch = self.mesh.workers, self.alone.model.batch
        examples = None if batch is None else self.whole[sympy.Symbol(batch, integer=True, positive=True)]
        computing, meeting = self.cost.seconds(self.numbers, machine)
        found = [
            Alternative(
                f"{k:,} workers: {', '.join(f'{s.name}={s.parts}' for s in self.mesh.splits) or 'none'}", examples,
                self.cost.memory(self.numbers, self.optimizer), use.value_at(self.cost.multiply_adds, self.numbers),
                self.cost.sent(self.numbers), computing + meeting,
            )
        ]  # fmt: skip

        def one(name: str, footprint: Footprint, numbers: Mapping[sympy.Symbol, int], memory: int, times: int = 1) -> None:
            count = times * use.value_at(both(footprint), numbers)
            number = None if batch is None else times * numbers[sympy.Symbol(batch, integer=True, positive=True)]
            found.append(Alternative(name, number, memory, count, 0, 2 * count / machine.flops))

        one("one worker", self.alone, self.whole, self.alone.training_bytes(self.whole, self.optimizer))
        again = footprint_of_derived(self.cost.partition.whole, 1)
        one("one worker, layers computed again", again, self.whole, again.training_bytes(self.whole, self.optimizer))
        if batch is not None and examples is not None and examples >= k > 1:
            symbol = sympy.Symbol(batch, integer=True, positive=True)
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
                cost = Cost(split_over(self.cost.partition.whole, {split.name: parts}, self.sizes))
                numbers = cost.numbers(self.sizes, self.dtype)
                points.setdefault(f"{split.name} split", []).append((parts, cost.memory(numbers, optimizer)))
        if alone.model.batch is not None:
            batch = sympy.Symbol(alone.model.batch, integer=True, positive=True)
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
            return {"polynomial": self._text(expression), "number": shown}

        document: dict[str, Any] = {
            "workers": self.mesh.workers,
            "splits": {split.name: split.parts for split in self.mesh.splits},
            "dtype": self.dtype,
            "optimizer": self.optimizer,
            "missing": self.missing or None,
            "multiply_adds": value(self.cost.multiply_adds),
            "meetings": [
                {"kind": m.kind, "along": list(m.groups), "workers": m.workers, "equations": list(m.equations),
                 "bytes": value(m.payload), "sent": value(m.sent)}
                for m in self.cost.meetings
            ],
        }  # fmt: skip
        if self.numbers is not None:
            document["training_bytes"] = self.cost.memory(self.numbers, self.optimizer)
            document["alternatives"] = [
                {"name": a.name, "examples": a.examples, "training_bytes": a.memory, "multiply_adds": a.multiply_adds,
                 "sent": a.sent, "seconds": a.seconds if self.machine is not None else None}
                for a in self.alternatives()
            ]  # fmt: skip
        return document

    def _text(self, expression: sympy.Expr) -> str:
        return str(expression).replace(use.FLOAT_BYTES.name, "float")

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
