"""The growth from forward to second order for people and programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import sympy

from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.derivation.products import with_next_order, with_products
from symbackprop.footprint import memory_use as use
from symbackprop.footprint import plot
from symbackprop.footprint.growth import Growth, Stage, graph_size
from symbackprop.footprint.report import WIDTH, Notation, Report, table
from symbackprop.graph.model import Model
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill
from symbackprop.render.typst_document import words as typst_words

HEADS = ("equations", "nodes", "edges", "depth", "multiply-adds", "elementwise", "saved", "ratio")
LEGEND = "elementwise: operations entry by entry; saved: the bytes that what runs back reads; ratio: multiply-adds to a gradient's"
WHY = (
    "every equation has one tangent equation, of its own kind and size: products grow with depth as the gradient does, "
    "and the whole matrix has a column for each parameter"
)


class GrowthReport:
    """Writes the growth for sizes and a dtype; without a size the polynomials are all there is."""

    def __init__(self, growth: Growth, sizes: Mapping[str, int], dtype: str = "float32", memory: int | None = None) -> None:
        self.growth, self.memory = growth, memory
        self.report = Report(growth.second, sizes, dtype)
        self.numbers = self.report.numbers

    def _count(self, value: sympy.Expr) -> int | None:
        return None if self.numbers is None else use.value_at(value, self.numbers)

    def _ratio(self, stage: Stage) -> str:
        """The multiply-adds of a stage over those of a gradient."""
        whole, part = self.growth.stages[1].multiply_adds, stage.multiply_adds
        if self.numbers is None:
            ratio = sympy.cancel(part / whole) if whole != 0 else sympy.nan
            return f"{float(ratio):.2f}" if ratio.is_number and ratio.is_finite else ""
        below = use.value_at(whole, self.numbers)
        return f"{use.value_at(part, self.numbers) / below:.2f}" if below else ""

    def rows(self, notation: Notation) -> list[list[str]]:
        """A row for each stage, the first heads."""
        number = self.report.number
        return [["", *HEADS]] + [
            [s.name, *[f"{n:,}" for n in (s.equations, s.nodes, s.edges, s.depth)], number(s.multiply_adds, notation),
             number(s.entry_operations, notation), number(s.saved, notation), self._ratio(s)]
            for s in self.growth.stages
        ]  # fmt: skip

    def sentences(self, notation: Notation, formula: Callable[[str], str] = str, words: Callable[[str], str] = str) -> list[str]:
        """What the whole matrix would take, and why products grow as they do."""
        g, shown = self.growth, self.report.number
        entries, noun = formula(shown(g.parameters**2, notation)), "entry" if g.parameters == 1 else "entries"
        size, work = (formula(shown(value, notation)) for value in (g.matrix_bytes, g.matrix_multiply_adds))
        lines = [f"the matrix has {entries} {noun}, {size} bytes; column by column it takes {work} multiply-adds"]
        lines += self._fitting(g.matrix_bytes)
        if self.report.missing:
            lines.append(words(f"{self.report.missing}: --sizes gives it"))
        return [*lines, WHY]

    def beside(self, derived: DerivedGraph, form: str) -> str:
        """What a block or a diagonal takes, in a format."""
        equation = derived.further[-1].equations[-1]
        latex, typst, plain = self.report.mathematics, self.report.typst, self.report.plain
        inside = {"latex": latex, "markdown": latex, "pdf": typst}.get(form, plain)
        entries, size = (sympy.Mul(*equation.node.shape), use.FLOAT_BYTES * sympy.Mul(*equation.node.shape))
        if form == "json":
            shown = self.report.polynomial(size, inside)
            return json.dumps({"bytes": {"polynomial": shown, "number": self._count(size)}}, ensure_ascii=False)
        around = "{}" if form == "text" else "${}$"
        first, second = (around.format(self.report.number(value, inside)) for value in (entries, size))
        lines = [f"the last of these has {first} {'entry' if entries == 1 else 'entries'}, {second} bytes", *self._fitting(size)]
        return f"\n{'; '.join(lines)}.\n" if form in ("latex", "pdf") else "".join(f"{line}\n" for line in lines)

    def _fitting(self, size: sympy.Expr) -> list[str]:
        """Whether so many bytes fit the memory that was given."""
        taken = self._count(size)
        if self.memory is None or taken is None:
            return []
        fits = "fits" if taken <= self.memory else "does not fit"
        rest = "" if taken <= self.memory else ": the product with a direction does without it"
        return [f"it {fits} {self.memory:,} bytes{rest}"]

    def picture(self, family: Callable[[int], Model]) -> list[plot.Shape]:
        """The nodes of the graphs of models of growing depth, order by order."""
        depths = range(1, 11)
        curves: dict[str, list[int]] = {"forward": [], "gradient": [], "product": [], "its derivative": []}
        for depth in depths:
            derived = with_products(derive_graph(family(depth), batched=True))
            third = with_next_order(derived)
            names = [derived.gradient_name(name) for name in derived.wrt]
            wanted = [derived.target], names, derived.products.values(), third.products.values()
            for curve, results in zip(curves.values(), wanted, strict=True):
                needed = third.graph.needed_for(frozenset(results))
                curve.append(graph_size(third.graph, [e.name for e in third.graph.equations if e.name in needed])[0])
        points = {name: list(zip(depths, counts, strict=True)) for name, counts in curves.items()}
        return plot.curves(points, "nodes of the graph: each order adds as many for every layer", "hidden layers")

    def written(self, form: str) -> str:
        """The growth in a format of the command line, that of a PDF in Typst's language."""
        forms = {"text": self.text, "json": self.json, "latex": self.latex, "markdown": self.markdown, "pdf": self.typst}
        return forms[form]()

    def text(self) -> str:
        """For a terminal."""
        plain = self.report.plain
        head = f"What it takes ({self.report.dtype}, {self.report.sizes()})" if self.report.sizes() else "What it takes"
        lines = [head, *[f"  {line}" for line in table(self.rows(plain), rule_after=(0,))], ""]
        for sentence in (LEGEND, *self.sentences(plain)):
            lines += textwrap.wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def latex(self) -> str:
        """A table and sentences in LaTeX."""
        return self._filled("latex/growth.tex.j2", self.report.mathematics, escape)

    def markdown(self) -> str:
        """The same in Markdown."""
        return self._filled("markdown/growth.md.j2", self.report.mathematics, str)

    def typst(self, level: int = 2) -> str:
        """The same as a part of a document in Typst's language, with a heading of that level."""
        return self._filled("typst/growth.typ.j2", self.report.typst, typst_words, heading="=" * level)

    def _filled(self, template: str, inside: Notation, words: Callable[[str], str], **more: str) -> str:
        head, *rows = self.rows(inside)
        formulas = [[row[0], *[f"${cell}$" if cell else "" for cell in row[1:]]] for row in rows]
        sentences = [LEGEND] + self.sentences(inside, lambda text: f"${text}$", words)
        sizes = f"{self.report.dtype}, ${self.report.sizes(inside)}$" if self.report.sizes() else self.report.dtype
        return fill(template, sizes=sizes, head=head, rows=formulas, sentences=sentences, **more)

    def document(self) -> dict[str, Any]:
        """For programs: polynomials as text, numbers where every size is known."""

        def both(value: sympy.Expr) -> dict[str, Any]:
            return {"polynomial": self.report.polynomial(value, self.report.plain), "number": self._count(value)}

        stages = [
            {"name": s.name, "equations": s.equations, "nodes": s.nodes, "edges": s.edges, "depth": s.depth,
             "multiply_adds": both(s.multiply_adds), "entry_operations": both(s.entry_operations),
             "bytes_saved": both(s.saved), "to_a_gradient": self._ratio(s) or None}
            for s in self.growth.stages
        ]  # fmt: skip
        g = self.growth
        matrix = {"rows": both(g.parameters), "bytes": both(g.matrix_bytes), "multiply_adds": both(g.matrix_multiply_adds)}
        return {"dtype": self.report.dtype, "missing": self.report.missing or None, "stages": stages, "matrix": matrix}

    def json(self) -> str:
        """`document` as JSON."""
        return json.dumps(self.document(), ensure_ascii=False, indent=2) + "\n"
