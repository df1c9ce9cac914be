"""Whole derivations: for a terminal, as LaTeX, Markdown and JSON."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop import __version__
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.functions.scalar import ScalarFunction
from symbackprop.graph.model import Equation
from symbackprop.graph.names import Adjoint, parse_name
from symbackprop.graph.nodes import Leaf, Pointwise
from symbackprop.graph.sizes import Shape
from symbackprop.graph.walk import topological
from symbackprop.render.build import add
from symbackprop.render.formula import Call, Entry, Formula, Index, Symbol
from symbackprop.render.index_form import IndexForm
from symbackprop.render.matrix_form import MatrixForm, NoMatrixForm, title
from symbackprop.render.printing import LatexPrinter, Style, TextPrinter
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill

NOTATIONS = ("partial", "delta", "nabla")


@dataclass(frozen=True)
class Line:
    """One equation, ready for print: left and right side as formulas, and why it holds."""

    number: int
    equation: Equation
    left: Formula
    right: Formula
    why: str
    backward: bool


class Writer:
    """Writes the equations of one derivation."""

    def __init__(self, derived: DerivedGraph, notation: str = "partial") -> None:
        self.derived = derived
        graph = derived.graph
        names = {*graph.declared, *graph.by_name}
        parameters = set(derived.model.parameters)
        intermediate = frozenset(e.name for e in derived.forward if e.name not in parameters)
        self.style = Style(notation, self._capitals(names) if derived.batched else lambda name: name, intermediate)
        self.text, self.latex = TextPrinter(self.style), LatexPrinter(self.style)
        taken = frozenset(name for name in {*names, *derived.model.dimensions} if len(name) == 1)
        self.matrix, self.index = MatrixForm(self._symbol), IndexForm(self._symbol, taken)
        self.number = {e.name: k for k, e in enumerate((*derived.forward, *derived.backward), start=1)}

    def _symbol(self, leaf: Leaf) -> Formula:
        return Symbol(leaf.name, leaf.rank, leaf.kind)

    def _capitals(self, names: set[str]) -> Any:
        """Stacked vectors are matrices: their names become capitals, unless that is another value's name."""
        example = self.derived.model.graph
        graph = self.derived.graph
        ranks = {leaf.name: leaf.rank for leaf in example.declarations}
        ranks |= {e.name: e.node.rank for e in example.equations}
        stacked = {leaf.name: leaf.rank for leaf in graph.declarations} | {e.name: e.node.rank for e in graph.equations}
        capitals: dict[str, str] = {}
        for name in sorted(names):
            capital = name[:1].upper() + name[1:]
            if (
                ranks.get(name) == 1
                and stacked.get(name) == 2
                and capital not in names
                and len(name.split("_")[0].rstrip("0123456789")) == 1
            ):
                capitals[name] = capital
        return lambda name: capitals.get(name, name)

    def line(self, equation: Equation) -> Line:
        """Return one equation in matrix form where there is one, else in index form."""
        reference = Symbol(equation.name, equation.node.rank)
        backward = equation.name in self.derived.contributions
        left: Formula = reference
        try:
            if equation.node.rank > 2:
                raise NoMatrixForm
            right = self.matrix.of(equation.node)
        except NoMatrixForm:
            letters, right = self.index.of(equation.node, equation.indices)
            if letters:
                left = Entry(reference, tuple(Index(name) for name in letters))
        return Line(self.number.get(equation.name, 0), equation, left, right, self.why(equation), backward)

    def shape(self, shape: Shape) -> str:
        """A shape for reading: ``h × d``."""
        return " × ".join(self.text.number(size)[0] for size in shape) if shape else "scalar"

    def why(self, equation: Equation) -> str:
        """Say which equations a derivative comes back through, and whether terms are added up."""
        terms = self.derived.contributions.get(equation.name)
        if terms is None:
            return ""
        if not terms:
            meaning = parse_name(equation.name)
            if isinstance(meaning, Adjoint) and meaning.by == self.derived.target:
                return "given" if self.derived.model.objective is None else "the start"
            return f"{self.text.name(self.derived.target)} does not depend on it"
        through = [f"({number})" for number in sorted(self.number[term.consumer] for term in terms)]
        joined = " and ".join([", ".join(through[:-1]), through[-1]] if len(through) > 1 else through)
        return f"through {joined}, added up" if len(through) > 1 else f"through {joined}"

    def steps(self, equation: Equation) -> list[tuple[Formula, Formula]]:
        """The chain rule before the result: what each equation sends back, before anything is simplified."""
        rows: list[tuple[Formula, Formula]] = []
        for term in self.derived.contributions.get(equation.name, ()):
            try:
                right = self.matrix.of(term.node)
            except NoMatrixForm:
                _, right = self.index.of(term.node, equation.indices)
            rows.append((Symbol(term.consumer, 0), right))
        return rows

    def definitions(self) -> list[tuple[Formula, Formula]]:
        """The named functions that occur, with their formulas, in order of appearance."""
        found: dict[type[ScalarFunction], None] = {}
        for equation in (*self.derived.forward, *self.derived.backward):
            for node in topological([equation.node]):
                if isinstance(node, Pointwise):
                    calls = [
                        part for part in sympy.preorder_traversal(node.expression) if isinstance(part, ScalarFunction)
                    ]
                    for call in calls:
                        found.setdefault(call.func)
                        if call.func.derivative_of is not None and call.func.body is not None:
                            for inner in sympy.preorder_traversal(call.func.body):
                                if isinstance(inner, ScalarFunction):
                                    found.setdefault(inner.func)
        return [pair for function in found if (pair := self._definition(function)) is not None]

    def _definition(self, function: type[ScalarFunction]) -> tuple[Formula, Formula] | None:
        if function.body is None:
            return None
        order = (*function.parameters[function.visible :], *function.parameters[: function.visible])
        known = {p: (lambda p=p: Symbol(p.name, 0)) for p in order}
        form = IndexForm(self._symbol, frozenset())
        call = Call(title(function), tuple(Symbol(p.name, 0) for p in function.parameters[: function.visible]))
        return call, add([form.scalar(function.body, known)])


def equation_text(derived: DerivedGraph, equation: Equation, notation: str = "partial") -> str:
    """One equation in Unicode."""
    writer = Writer(derived, notation)
    line = writer.line(equation)
    return f"{writer.text.show(line.left)} = {writer.text.show(line.right)}"


def equation_latex(derived: DerivedGraph, equation: Equation, notation: str = "partial") -> str:
    """One equation in LaTeX, without delimiters."""
    writer = Writer(derived, notation)
    line = writer.line(equation)
    return f"{writer.latex.show(line.left)} = {writer.latex.show(line.right)}"


def why(derived: DerivedGraph, equation: Equation) -> str:
    """Why a backward equation holds."""
    return Writer(derived).why(equation)


# ---------------------------------------------------------------- text


def text(
    derived: DerivedGraph, *, width: int = 100, notation: str = "partial", steps: bool = False, color: bool = False
) -> str:
    """The whole derivation for a terminal of that width."""
    writer = Writer(derived, notation)
    paint = _Paint(color)
    sections = [_model_text(derived, writer, paint)]
    for heading, equations in (("Forward", derived.forward), ("Backward", derived.backward)):
        lines = [writer.line(equation) for equation in equations]
        sections.append([paint.bold(heading), *_table(writer, lines, width, steps and heading == "Backward", paint)])
    definitions = writer.definitions()
    if definitions or writer.index.leaves_axes:
        rows = [f"  {writer.text.show(left)} = {writer.text.show(right)}" for left, right in definitions]
        rows += ["  an entry outside its tensor is 0"] if writer.index.leaves_axes else []
        sections.append([paint.bold("where"), *rows])
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


class _Paint:
    def __init__(self, color: bool) -> None:
        self.color = color

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self.color else text

    def faint(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self.color else text


def _model_text(derived: DerivedGraph, writer: Writer, paint: _Paint) -> list[str]:
    model = derived.model
    form = "examples stacked as rows, the objective their mean" if derived.batched and model.batch else "one example"
    head = f"{model.name}" + (f": {model.title}" if model.title else "")
    lines = [paint.bold(head), f"  {form}" if model.batch else "  as written"]
    sizes = ", ".join(name if size is None else f"{name} = {size}" for name, size in model.dimensions.items())
    if sizes:
        lines.append(f"  sizes      {sizes}")
    for kind, word in (("input", "input"), ("target", "target"), ("parameter", "parameter"), ("hyper", "hyper")):
        names = []
        for leaf in derived.graph.declarations:
            if leaf.kind == kind:
                shape = f" ({writer.shape(leaf.shape)})" if kind != "hyper" else ""
                default = model.hyper_defaults.get(leaf.name) if kind == "hyper" else None
                classes = f" in 0..{leaf.classes}−1" if leaf.classes is not None else ""
                shown = f" = {writer.text.number(default)[0]}" if default is not None else ""
                names.append(f"{writer.text.name(leaf.name)}{shape}{classes}{shown}")
        if names:
            lines += textwrap.wrap(", ".join(names), 88, initial_indent=f"  {word:<10} ", subsequent_indent=" " * 13)
    return lines


def _table(writer: Writer, lines: list[Line], width: int, steps: bool, paint: _Paint) -> list[str]:
    printed = [(line, writer.text.show(line.left), writer.text.show(line.right)) for line in lines]
    left_width = min(max((len_text(left) for _, left, _ in printed), default=0), 24)
    number_width = len(str(max((line.number for line, *_ in printed), default=1))) + 2
    notes = [
        f"{writer.shape(line.equation.node.shape)}" + (f", {line.why}" if line.why else "") for line, *_ in printed
    ]
    right_width = max((len_text(right) for _, _, right in printed if len_text(right) <= width // 2), default=10)
    rows = []
    for (line, left, right), note in zip(printed, notes, strict=True):
        head = f"  {f'({line.number})':>{number_width}}  {_pad(left, left_width, right_aligned=True)} = "
        if steps:
            for consumer, step in writer.steps(line.equation):
                through = writer.number.get(consumer.name, 0) if isinstance(consumer, Symbol) else 0
                rows.append(
                    " " * (number_width + 4)
                    + paint.faint(
                        f"{left} ← ({through}): {_chain_rule(writer, line, consumer)} = {writer.text.show(step)}"
                    )
                )
        indent = " " * len_text(head)
        body = textwrap.wrap(
            right, max(30, width - len_text(head)), break_long_words=False, break_on_hyphens=False
        ) or [""]
        if len(body) == 1 and len_text(head) + max(len_text(right), right_width) + 3 + len(note) <= width:
            rows.append(f"{head}{_pad(right, right_width)}   {paint.faint(note)}".rstrip())
            continue
        rows.append(head + body[0])
        rows += [indent + part for part in body[1:]]
        rows.append(indent + paint.faint(note))
    return rows


def _chain_rule(writer: Writer, line: Line, consumer: Formula) -> str:
    meaning = parse_name(line.equation.name)
    if not isinstance(meaning, Adjoint) or not isinstance(consumer, Symbol):
        return ""
    above = writer.text.name(f"∂{meaning.of}/∂{consumer.name}" if "/" not in meaning.of else meaning.of)
    below, middle = writer.text.name(meaning.by), writer.text.name(consumer.name)
    return f"(∂{middle}/∂{below})ᵀ · {above}"


def len_text(text: str) -> int:
    """The number of columns, not counting combining marks."""
    import unicodedata

    return sum(1 for character in text if not unicodedata.combining(character))


def _pad(text: str, width: int, right_aligned: bool = False) -> str:
    space = " " * max(0, width - len_text(text))
    return space + text if right_aligned else text + space


# ---------------------------------------------------------------- LaTeX, Markdown, JSON


def latex(derived: DerivedGraph, *, standalone: bool = False, notation: str = "partial", steps: bool = False) -> str:
    """The derivation in LaTeX: a fragment for amsmath, or with ``standalone`` a document that compiles."""
    writer = Writer(derived, notation)
    blocks = []
    for heading, equations in (("Forward", derived.forward), ("Backward", derived.backward)):
        rows = []
        for equation in equations:
            line = writer.line(equation)
            left, right = writer.latex.show(line.left), writer.latex.show(line.right)
            chain = writer.steps(equation) if steps and heading == "Backward" else []
            if len(chain) > 0 and chain != [(chain[0][0], line.right)]:
                middle = " + ".join(writer.latex.show(step, 1) for _, step in chain)
                rows.append(f"{left} &= {middle} \\nonumber\\\\ &= {right}")
            else:
                rows.append(f"{left} &= {right}")
        blocks.append({"title": heading, "rows": rows})
    definitions = [f"{writer.latex.show(left)} &= {writer.latex.show(right)}" for left, right in writer.definitions()]
    if definitions:
        blocks.append({"title": "where", "rows": definitions})
    body = fill("latex/fragment.tex.j2", blocks=blocks)
    if not standalone:
        return body
    title = escape(derived.model.title or derived.model.name)
    return fill("latex/document.tex.j2", title=title, body=body)


def markdown(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False) -> str:
    """The derivation in Markdown, with mathematics between double dollars."""
    writer = Writer(derived, notation)
    shapes = []
    for leaf in derived.graph.declarations:
        shapes.append(
            {"name": writer.latex.name(leaf.name, leaf.rank), "kind": leaf.kind, "shape": writer.shape(leaf.shape)}
        )
    blocks = []
    for heading, equations in (("Forward", derived.forward), ("Backward", derived.backward)):
        rows = []
        for equation in equations:
            line = writer.line(equation)
            chain = [
                f"{writer.latex.show(line.left)} = {writer.latex.show(step)}"
                for _, step in (writer.steps(equation) if steps and heading == "Backward" else [])
                if step != line.right
            ]
            whole = f"{writer.latex.show(line.left)} = {writer.latex.show(line.right)}"
            rows.append(
                {
                    "number": line.number,
                    "latex": whole,
                    "why": line.why,
                    "shape": writer.shape(equation.node.shape),
                    "steps": chain,
                }
            )
        blocks.append({"title": heading, "rows": rows})
    definitions = [f"{writer.latex.show(left)} = {writer.latex.show(right)}" for left, right in writer.definitions()]
    title = "".join(f"\\{c}" if c in "\\`*_{}[]<>#+-!|&" else c for c in derived.model.title or derived.model.name)
    return fill("markdown/derivation.md.j2", title=title, shapes=shapes, blocks=blocks, definitions=definitions)


def json_form(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False) -> str:
    """The derivation as JSON.

    Keys: symbackprop (version), model (name, title, batch, sizes, declarations), form, target, equations: each with number,
    name, kind (forward or backward), shape, text, latex, why, and terms (through which equation, text, latex).
    """
    writer = Writer(derived, notation)
    equations = []
    for equation in (*derived.forward, *derived.backward):
        line = writer.line(equation)
        terms = [
            {
                "through": consumer.name if isinstance(consumer, Symbol) else "",
                "text": writer.text.show(step),
                "latex": writer.latex.show(step),
            }
            for consumer, step in writer.steps(equation)
        ]
        equations.append(
            {
                "number": line.number,
                "name": equation.name,
                "kind": "backward" if line.backward else "forward",
                "shape": [str(size) for size in equation.node.shape],
                "text": f"{writer.text.show(line.left)} = {writer.text.show(line.right)}",
                "latex": f"{writer.latex.show(line.left)} = {writer.latex.show(line.right)}",
                "why": line.why,
                "terms": terms,
            }
        )
    model = derived.model
    document = {
        "symbackprop": __version__,
        "model": {
            "name": model.name,
            "title": model.title,
            "batch": model.batch,
            "sizes": dict(model.dimensions),
            "declarations": [
                {"name": d.name, "kind": d.kind, "shape": [str(size) for size in d.shape]}
                for d in derived.graph.declarations
            ],
        },
        "form": "batch" if derived.batched else "example",
        "target": derived.target,
        "equations": equations,
        "definitions": [
            {
                "text": f"{writer.text.show(a)} = {writer.text.show(b)}",
                "latex": f"{writer.latex.show(a)} = {writer.latex.show(b)}",
            }
            for a, b in writer.definitions()
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def source(derived: DerivedGraph, equation: Equation) -> str:
    """One forward equation as text of the language."""
    return equation_text(derived, equation)
