"""The footprint for people and programs: its tables, filled in with text or LaTeX, and the JSON document."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop import __version__
from symbackprop.errors import SizeError
from symbackprop.footprint import memory_use as use
from symbackprop.footprint import plot
from symbackprop.footprint.footprint_of import PART, Footprint, Layer
from symbackprop.footprint.timeline import Moment, Timeline
from symbackprop.graph.sizes import Shape, dimension
from symbackprop.render.typeset_printer import TypesetPrinter
from symbackprop.render.typst_printer import quoted
from symbackprop.render.writer import Writer

WIDTH = 100
WHAT = "what, and for what"


@dataclass(frozen=True)
class Notation:
    """How the pieces of a table are written: names with their rank, expressions in sizes, and the words and digits between."""

    name: Callable[[str], str]
    expression: Callable[[sympy.Expr], str]
    float_bytes: str
    times: str
    words: Callable[[str], str] = str
    digits: Callable[[str], str] = str


class Report:
    """Writes a footprint for sizes, a dtype and an optimizer; without a size the symbolic answer is all there is."""

    def __init__(
        self, footprint: Footprint, sizes: Mapping[str, int], dtype: str = "float32", optimizer: str = "sgd",
        memory: int | None = None, accumulate: int | None = None,
    ) -> None:  # fmt: skip
        self.footprint, self.dtype, self.optimizer = footprint, dtype, optimizer
        self.memory, self.accumulate = memory, accumulate
        self.missing = ""
        self.numbers: dict[sympy.Symbol, int] | None = None
        try:
            self.numbers = footprint.numbers(sizes, dtype)
        except SizeError as problem:
            self.missing = str(problem)
        graph, writer = footprint.plan.derived.graph, Writer(footprint.plan.derived)

        def symbols(printer: TypesetPrinter) -> tuple[Callable[[str], str], Callable[[sympy.Expr], str]]:
            return lambda name: printer.name(name, graph.reference(name).rank), lambda size: printer.number(size)[0]

        self.plain = Notation(writer.text.name, lambda size: writer.text.number(size)[0], "float", " × ")
        self.mathematics = Notation(
            *symbols(writer.latex), r"\text{float }", r" \times ",
            lambda text: f"\\text{{{text}}}", lambda digits: digits.replace(",", "{,}"),
        )  # fmt: skip
        self.typst = Notation(*symbols(writer.typst), 'upright("float") thin', " × ", quoted, quoted)

    # ------------------------------------------------------------ pieces

    def polynomial(self, value: sympy.Expr, notation: Notation) -> str:
        """A polynomial in the sizes, the terms with the bytes of a float first."""
        value = sympy.expand(value)
        per_float, rest = value.coeff(use.FLOAT_BYTES, 1), value.coeff(use.FLOAT_BYTES, 0)
        parts = []
        if per_float != 0:
            inner = notation.expression(per_float)
            inner = f" ({inner})" if per_float.is_Add else "" if per_float == 1 else f" {inner}"
            parts.append(notation.float_bytes + inner)
        if rest != 0 or not parts:
            parts.append(notation.expression(rest))
        return " + ".join(parts)

    def number(self, value: sympy.Expr, notation: Notation) -> str:
        """A number with separators, or the polynomial where a size is missing."""
        if self.numbers is None:
            return self.polynomial(value, notation)
        return notation.digits(f"{use.value_at(value, self.numbers):,}")

    def shape(self, shape: Shape, notation: Notation) -> str:
        """A shape, in numbers where there are any."""
        return notation.times.join(self.number(size, notation) for size in shape) or notation.words("scalar")

    def value(self, name: str, notation: Notation) -> str:
        """A value that has a name, or is a part of one that has."""
        whole = name.removeprefix(PART)
        inside = notation.words(name[: len(name) - len(whole)]) if whole != name else ""
        return f"{inside}{notation.name(whole)}"

    def totals(self) -> list[tuple[str, sympy.Expr | None, int | None]]:
        """Name, polynomial and bytes of what memory holds; the last two lines are the sums for training and prediction."""
        f, numbers = self.footprint, self.numbers
        copies = f.training_copies(self.optimizer)
        constants = [use.constant_size(op) for op in f.plan.operations if op.storage == "constant"]

        def entry(name: str, value: sympy.Expr) -> tuple[str, sympy.Expr, int | None]:
            return name, value, None if numbers is None else use.value_at(value, numbers)

        def known(count: Callable[[Mapping[sympy.Symbol, int]], int]) -> int | None:
            return None if numbers is None else count(numbers)

        rows: list[tuple[str, sympy.Expr | None, int | None]] = [
            entry("parameters", f.parameters * use.FLOAT_BYTES),
            entry("gradients", f.gradient_bytes),
            entry(f"optimizer ({self.optimizer})", f.parameters * use.FLOAT_BYTES * copies),
            entry("inputs and targets", f.given_bytes),
            entry("saved for backward", f.saved_bytes),
            entry("other arrays", sympy.expand(f.array_bytes - f.gradient_bytes - f.saved_bytes)),
            ("constants", sympy.expand(sympy.Add(*constants)), known(lambda n: use.constant_bytes(f.plan, n))),
            ("scratch of loops", f.scratch_size(f.plan.loops), known(lambda n: use.scratch_bytes(f.plan, n))),
            ("allocated by NumPy", None, known(lambda n: f.training_call(n).allocated)),
            ("training", f.training_size(self.optimizer), known(lambda n: f.training_bytes(n, self.optimizer))),
            ("prediction", f.prediction_size, known(f.prediction_bytes)),
        ]
        return [row for row in rows if row[2] != 0 or row[0] in ("optimizer (sgd)", "training", "prediction")]

    # ------------------------------------------------------------ tables

    def layer_table(self, notation: Notation) -> list[list[str]]:
        """A row for each layer, and one more for each further value it saves; the first row heads, the last one sums up."""
        f = self.footprint
        rows = [["layer", "output", "parameters", "multiply-adds", "backward", "bytes saved", WHAT]]
        rows += [row for layer in f.layers for row in self._layer(layer, notation)]
        sums = [f.parameters, f.multiply_adds(backward=False), f.multiply_adds(backward=True), f.saved_bytes]
        return [*rows, ["total", "", *[self.number(value, notation) for value in sums], ""]]

    def _layer(self, layer: Layer, notation: Notation) -> list[list[str]]:
        counts = (layer.parameters, layer.forward, layer.backward)
        first = [", ".join(map(notation.name, layer.equations)), self.shape(layer.shape, notation)]
        first += [self.number(value, notation) for value in counts]
        together: dict[tuple[str, tuple[str, ...]], sympy.Expr] = {}
        for name, count, readers in layer.saved:
            together[name, readers] = together.get((name, readers), sympy.S.Zero) + count
        saved = [
            [self.number(count, notation), self.value(name, notation) + notation.words(" for ")
             + ", ".join(map(notation.name, readers))]
            for (name, readers), count in together.items()
        ] or [["0", ""]]  # fmt: skip
        return [[*(first if k == 0 else [""] * len(first)), *cells] for k, cells in enumerate(saved)]

    def sentences(
        self, notation: Notation, formula: Callable[[str], str] = str, words: Callable[[str], str] = str
    ) -> list[str]:
        """What the tables do not say: arithmetic entry by entry, the peak, what would fit, and what is missing.

        formula and words prepare mathematics and other texts for the document they stand in.
        """
        f, lines = self.footprint, []
        entries = [formula(self.number(f.entry_operations(backward=back), notation)) for back in (False, True)]
        lines.append(f"operations entry by entry: {entries[0]} forward, {entries[1]} backward")
        if f.without is not None:
            lines.append(self._without_checkpoints(f, f.without, notation, formula, words))
        if self.numbers is None:
            return [*lines, words(f"{self.missing}: --sizes gives it; the answer is symbolic until then")]
        for what, call in (("training", f.training_call(self.numbers)), ("prediction", f.prediction_call(self.numbers))):
            if call.peak is not None:
                lines.append(f"most values are alive in {what} {self.moment(call, call.peak, notation, formula)}")
        lines.append(
            "training keeps what it saves until the backward pass has read it, and the gradients; prediction needs neither"
        )
        if self.memory is not None:
            largest = f.largest_batch(self.memory, self.numbers, self.optimizer)
            lines.append(f"the largest batch that fits {self.memory:,} bytes: {largest:,}")
        if self.accumulate is not None:
            count = f.accumulated_bytes(self.numbers, self.accumulate, self.optimizer)
            lines.append(f"training in {self.accumulate:,} parts, gradients added up: {count:,} bytes")
        return lines

    def _without_checkpoints(
        self, f: Footprint, without: Footprint, notation: Notation, formula: Callable[[str], str], words: Callable[[str], str]
    ) -> str:
        """What checkpoints save of memory, and what computing values again costs."""
        products, entries = (
            formula(self.number(sum_of(f) - sum_of(without), notation)) for sum_of in (_multiply_adds, _entry_operations)
        )
        again = f"to compute again, {products} multiply-adds and {entries} operations entry by entry"
        if self.numbers is None:
            size = without.training_size(self.optimizer)
            return f"without checkpoints, training takes {formula(self.polynomial(size, notation))} bytes; {again}"
        before, after = (each.training_bytes(self.numbers, self.optimizer) for each in (without, f))
        part = words(f"{100 * (before - after) / before:.1f} %")
        if after >= before:
            return f"checkpoints save nothing: training takes {before:,} bytes without them; {again}"
        return f"checkpoints save {before - after:,} of {before:,} bytes of training ({part}); {again}"

    def moment(
        self, call: Timeline, moment: Moment, notation: Notation, formula: Callable[[str], str] = str
    ) -> str:
        """When a moment is, and how many bytes are in use at it."""
        place = call.moments.index(moment) + 1
        at = f"at {formula(notation.name(moment.equation))}" if moment.equation else "as the outputs are copied"
        return f"{at} (step {place:,} of {len(call.moments):,}): {moment.alive + moment.allocated:,} bytes"

    # ------------------------------------------------------------ text and JSON

    def title(self) -> str:
        """The model and its title."""
        model = self.footprint.model
        return f"{model.name}: {model.title}" if model.title else model.name

    def sizes(self, notation: Notation | None = None) -> str:
        """The sizes, with their numbers where there are any."""
        shown = notation or self.plain
        if self.numbers is None:
            return ", ".join(shown.expression(dimension(name)) for name in self.footprint.model.dimensions)
        known = [(symbol, count) for symbol, count in self.numbers.items() if symbol != use.FLOAT_BYTES]
        return ", ".join(f"{shown.expression(symbol)} = {count}" for symbol, count in known)

    def legend(self) -> list[str]:
        """What the symbols in the polynomials mean, besides sizes."""
        plan = self.footprint.plan
        lines = ["a row of zeros of less than 32 entries is stored as one"] if self._has_zero_rows() else []
        if self.footprint.scratch_size(plan.loops) != 0:
            here = "" if self.numbers is None else f", {use.scratch_bytes(plan, self.numbers):,} bytes here"
            lines.append(f"scratch: what the loops work in, as many rows at a time as the cache holds{here}")
        return lines

    def _has_zero_rows(self) -> bool:
        return any(op.kind == "zero_row" for op in self.footprint.plan.operations)

    def text(self) -> str:
        """The report for a terminal."""
        layers = self.layer_table(self.plain)
        memory = [[name, "" if count is None else f"{count:,}"] for name, _, count in self.totals()]
        lines = [self.title(), f"  {self.dtype}, {self.sizes()}", "", *table(layers, rule_after=(0, len(layers) - 2))]
        if self.numbers is not None:
            lines += ["", *table([["memory", "bytes"], *memory], rule_after=(0, len(memory) - 2))]
        lines += ["", "bytes as polynomials in the sizes (float: the bytes of a float)"]
        for name, value, _ in self.totals():
            if value is not None:
                shown = f"{name:<20}{self.polynomial(value, self.plain)}"
                lines += textwrap.wrap(shown, WIDTH, initial_indent="  ", subsequent_indent=" " * 22, break_long_words=False)
        lines += [f"  {line}" for line in self.legend()]
        lines += ["", *self.sentences(self.plain)]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def plot(self) -> list[plot.Shape]:
        """The shapes of a picture of the memory during one call of `loss_and_grad`. Raises SizeError where a size is missing."""
        if self.numbers is None:
            raise SizeError(f"{self.missing}: a plot needs numbers")
        call = self.footprint.training_call(self.numbers)
        peak = self.plain.name(call.peak.equation) if call.peak else ""
        return plot.picture(call.moments, self.footprint.workspace_bytes(self.numbers), self.title(), peak)

    def json(self) -> str:
        """The report as JSON: polynomials as text, numbers where every size is known."""
        f, numbers = self.footprint, self.numbers

        def both(value: sympy.Expr) -> dict[str, Any]:
            return {"polynomial": self.polynomial(value, self.plain), "number": _at(value, numbers)}

        def arithmetic(forward: sympy.Expr, backward: sympy.Expr) -> dict[str, Any]:
            return {"forward": both(forward), "backward": both(backward)}

        document = {
            "symbackprop": __version__,
            "model": f.model.name,
            "dtype": self.dtype,
            "optimizer": self.optimizer,
            "sizes": None if numbers is None else {s.name: n for s, n in numbers.items() if s != use.FLOAT_BYTES},
            "missing": self.missing or None,
            "layers": [
                {
                    "equations": list(layer.equations),
                    "output": [str(size) for size in layer.shape],
                    "parameters": both(layer.parameters),
                    "multiply_adds": arithmetic(layer.forward, layer.backward),
                    "saved": [
                        {"value": name, "bytes": both(count), "read_by": list(readers)}
                        for name, count, readers in layer.saved
                    ],
                }
                for layer in f.layers
            ],
            "entry_operations": arithmetic(f.entry_operations(backward=False), f.entry_operations(backward=True)),
            "bytes": {
                name: {"polynomial": None if value is None else self.polynomial(value, self.plain), "number": count}
                for name, value, count in self.totals()
            },
            "without_checkpoints": None if f.without is None else {
                "training": {
                    "polynomial": self.polynomial(f.without.training_size(self.optimizer), self.plain),
                    "number": None if numbers is None else f.without.training_bytes(numbers, self.optimizer),
                },
                "multiply_adds": both(_multiply_adds(f.without)),
                "entry_operations": both(_entry_operations(f.without)),
            },
            **({} if numbers is None else self._calls(numbers)),
        }  # fmt: skip
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

    def _calls(self, numbers: Mapping[sympy.Symbol, int]) -> dict[str, Any]:
        f = self.footprint
        calls = {"training": f.training_call(numbers), "prediction": f.prediction_call(numbers)}
        return {
            "rows_of_loops": [use.rows_of(f.plan, loop, numbers) for loop in f.plan.loops],
            "peak": {
                name: {"equation": call.peak.equation, "step": call.moments.index(call.peak) + 1,
                       "alive": call.peak.alive, "allocated": call.peak.allocated}
                for name, call in calls.items() if call.peak is not None
            },
            "largest_batch": None if self.memory is None else f.largest_batch(self.memory, numbers, self.optimizer),
            "accumulated": None
            if self.accumulate is None
            else {"parts": self.accumulate, "bytes": f.accumulated_bytes(numbers, self.accumulate, self.optimizer)},
        }  # fmt: skip


def _multiply_adds(f: Footprint) -> sympy.Expr:
    return f.multiply_adds(backward=False) + f.multiply_adds(backward=True)


def _entry_operations(f: Footprint) -> sympy.Expr:
    return f.entry_operations(backward=False) + f.entry_operations(backward=True)


def _at(value: sympy.Expr, numbers: Mapping[sympy.Symbol, int] | None) -> int | None:
    return None if numbers is None else use.value_at(value, numbers)


def table(rows: Sequence[Sequence[str]], rule_after: Sequence[int]) -> list[str]:
    """Rows in columns, the first and what is no number to the left, with lines after some rows."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    words = (0, *[k for k, cell in enumerate(rows[0]) if cell == WHAT])
    lines = []
    for number, row in enumerate(rows):
        cells = [c.ljust(w) if k in words else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells))
        if number in rule_after:
            lines.append("  ".join("-" * w for w in widths))
    return lines
