"""The footprint as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from symbackprop import __version__
from symbackprop.errors import SizeError
from symbackprop.footprint import memory_use as use
from symbackprop.footprint.footprint_of import PART, Footprint, Layer
from symbackprop.graph.sizes import Shape
from symbackprop.render.writer import Writer


class Report:
    """Writes a footprint for sizes, a dtype and an optimizer; without a size the symbolic answer is all there is."""

    def __init__(
        self, footprint: Footprint, sizes: Mapping[str, int], dtype: str, optimizer: str, memory: int | None = None
    ) -> None:
        self.footprint, self.dtype, self.optimizer, self.memory = footprint, dtype, optimizer, memory
        self.missing = ""
        self.numbers: dict[sympy.Symbol, int] | None = None
        try:
            self.numbers = footprint.numbers(sizes, dtype)
        except SizeError as problem:
            self.missing = str(problem)
        self._text = Writer(footprint.plan.derived).text

    # ------------------------------------------------------------ pieces

    def polynomial(self, value: sympy.Expr) -> str:
        """A polynomial in the sizes; ``float`` stands for the bytes of a float."""
        per_float, rest = value.coeff(use.FLOAT_BYTES, 1), value.coeff(use.FLOAT_BYTES, 0)
        parts = []
        if per_float != 0:
            inner = self._text.number(sympy.expand(per_float))[0]
            parts.append(
                "float"
                if per_float == 1
                else f"float ({inner})"
                if sympy.expand(per_float).is_Add
                else f"float {inner}"
            )
        if rest != 0 or not parts:
            parts.append(self._text.number(rest)[0])
        return " + ".join(parts)

    def number(self, value: sympy.Expr) -> str:
        """A number with separators, or the polynomial where a size is missing."""
        return self.polynomial(value) if self.numbers is None else f"{use.value_at(value, self.numbers):,}"

    def shape(self, shape: Shape) -> str:
        """A shape, in numbers where there are any."""
        return " × ".join(self.number(size) for size in shape) or "scalar"

    def totals(self) -> list[tuple[str, sympy.Expr | None, int | None]]:
        """Name, polynomial and bytes of what memory holds; the last two lines are sums."""
        f, numbers = self.footprint, self.numbers
        copies = f.training_copies(self.optimizer)

        def entry(name: str, value: sympy.Expr) -> tuple[str, sympy.Expr, int | None]:
            return name, value, None if numbers is None else use.value_at(value, numbers)

        rows: list[tuple[str, sympy.Expr | None, int | None]] = [
            entry("parameters", f.parameters * use.FLOAT_BYTES),
            entry("gradients", f.gradient_bytes),
            entry(f"optimizer ({self.optimizer})", f.parameters * use.FLOAT_BYTES * copies),
            entry("inputs and targets", f.given_bytes),
            entry("saved for backward", f.saved_bytes),
            entry("other arrays", sympy.expand(f.array_bytes - f.gradient_bytes - f.saved_bytes)),
        ]
        if numbers is not None:
            rows.append(("constants", None, use.constant_bytes(f.plan, numbers)))
            rows.append(("scratch of loops", None, use.scratch_bytes(f.plan, numbers)))
            rows.append(("training", None, f.training_bytes(numbers, self.optimizer)))
            rows.append(("prediction", None, f.prediction_bytes(numbers)))
        return rows

    # ------------------------------------------------------------ text

    def text(self) -> str:
        """The report for a terminal."""
        f = self.footprint
        title = f"{f.model.name}: {f.model.title}" if f.model.title else f.model.name
        lines = [title, f"  {self.dtype}, {self._sizes()}", ""]
        head = ["layer", "output", "parameters", "multiply-adds", "backward", "bytes saved", "what, and for what"]
        rows = [row for layer in f.layers for row in self._layer(layer)]
        total = ["total", "", self.number(f.parameters), self.number(f.multiply_adds(backward=False)),
                 self.number(f.multiply_adds(backward=True)), self.number(f.saved_bytes), ""]  # fmt: skip
        lines += _table([head, *rows, total], rule_after=(0, len(rows)))
        lines += ["", *_table([["memory", "bytes", ""], *[self._total(row) for row in self.totals()]], rule_after=(0,))]
        if self.missing:
            lines += ["", f"{self.missing}: --sizes gives it; the answer is symbolic until then"]
        elif self.memory is not None and self.numbers is not None:
            largest = f.largest_batch(self.memory, self.numbers, self.optimizer)
            lines += ["", f"the largest batch that fits {self.memory:,} bytes: {largest:,}"]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _sizes(self) -> str:
        if self.numbers is None:
            return ", ".join(self.footprint.model.dimensions)
        return ", ".join(f"{s.name} = {n}" for s, n in self.numbers.items() if s != use.FLOAT_BYTES)

    def _layer(self, layer: Layer) -> list[list[str]]:
        first = [", ".join(layer.equations), self.shape(layer.shape), self.number(layer.parameters),
                 self.number(layer.forward), self.number(layer.backward)]  # fmt: skip
        saved = [
            [self.number(count), f"{self._value(name)} for {', '.join(self._text.name(reader) for reader in readers)}"]
            for name, count, readers in layer.saved
        ] or [["0", ""]]
        return [[*(first if k == 0 else [""] * len(first)), *cells] for k, cells in enumerate(saved)]

    def _value(self, name: str) -> str:
        whole = name.removeprefix(PART)
        return f"{name[: len(name) - len(whole)]}{self._text.name(whole)}"

    def _total(self, row: tuple[str, sympy.Expr | None, int | None]) -> list[str]:
        name, value, count = row
        return [name, "" if count is None else f"{count:,}", "" if value is None else self.polynomial(value)]

    # ------------------------------------------------------------ JSON

    def json(self) -> str:
        """The report as JSON: polynomials as text, numbers where every size is known."""
        f = self.footprint

        def both(value: sympy.Expr) -> dict[str, Any]:
            return {
                "polynomial": self.polynomial(value),
                "number": None if self.numbers is None else use.value_at(value, self.numbers),
            }

        document = {
            "symbackprop": __version__,
            "model": f.model.name,
            "dtype": self.dtype,
            "optimizer": self.optimizer,
            "sizes": None
            if self.numbers is None
            else {s.name: n for s, n in self.numbers.items() if s != use.FLOAT_BYTES},
            "layers": [
                {
                    "equations": list(layer.equations),
                    "output": [str(size) for size in layer.shape],
                    "parameters": both(layer.parameters),
                    "multiply_adds": {"forward": both(layer.forward), "backward": both(layer.backward)},
                    "saved": [
                        {"value": name, "bytes": both(count), "read_by": list(readers)}
                        for name, count, readers in layer.saved
                    ],
                }
                for layer in f.layers
            ],
            "bytes": {
                name: {"polynomial": None if value is None else self.polynomial(value), "number": count}
                for name, value, count in self.totals()
            },
        }
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _table(rows: Sequence[Sequence[str]], rule_after: Sequence[int]) -> list[str]:
    """Rows in columns, the first and the last to the left and the others to the right, with lines after some rows."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        last = len(row) - 1
        cells = [c.ljust(w) if k in (0, last) else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells))
        if number in rule_after:
            lines.append("  ".join("-" * w for w in widths))
    return lines
