"""Models and derivations as text of the language: what is printed is read back as the same graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.functions.registry import POINTWISE
from symbackprop.functions.scalar import ScalarFunction
from symbackprop.graph.analysis import default_outputs
from symbackprop.graph.model import Equation, Model
from symbackprop.graph.nodes import Leaf, Pointwise
from symbackprop.graph.sizes import Shape
from symbackprop.graph.walk import topological
from symbackprop.render.formula import Entry, Formula, Index, Symbol
from symbackprop.render.naming import Style
from symbackprop.render.printing import decimal
from symbackprop.render.spelling import Spelling
from symbackprop.render.text_printer import TextPrinter
from symbackprop.render.writer import Forms, stacked_capitals

_WORDS = {"parameter": "param", "cotangent": "input", "tangent": "input"}


def source(model: Model) -> str:
    """Return a model as equation text. Parsing the text gives the same graph."""
    typed = _Typed(model, model.graph.declarations, model.graph.equations, {})
    outputs = model.outputs if model.outputs != default_outputs(model) else ()
    endings = [f"output {', '.join(typed.text.name(name) for name in outputs)}"] if outputs else []
    endings += [f"minimize {typed.text.name(model.objective)}"] if model.objective else []
    return typed.write(model.batch, endings)


def derivation_source(derived: DerivedGraph) -> tuple[str, Spelling]:
    """Return a whole derivation, forward and backward, as one equation text, and the words in it for the graph's names.

    Parsing the text gives the derivation's graph under those names: the derived ones, and the capitals of stacked values.
    """
    equations = derived.equations
    capitals = stacked_capitals(derived) if derived.batched else {}
    typed = _Typed(derived.model, derived.graph.declarations, equations, capitals)
    return typed.write(None, []), typed.spelling


class _Typed:
    """One text: its names, and the statements in order."""

    def __init__(
        self, model: Model, declarations: Sequence[Leaf], equations: Sequence[Equation], capitals: dict[str, str]
    ) -> None:
        self.model, self.declarations, self.equations = model, declarations, equations
        self.functions = _declared_functions(model, equations)
        names = [leaf.name for leaf in declarations] + [equation.name for equation in equations]
        self.spelling = Spelling(names, [function.title for function in self.functions], capitals)
        self.forms = Forms(model, names, inside=True)
        style = Style(taken=frozenset(self.spelling.tensor(name) for name in names))
        self.text = TextPrinter(style, self.spelling)

    def write(self, batch: str | None, endings: Sequence[str]) -> str:
        """Return the text."""
        title = " ".join(self.model.title.split())
        head = [f"# {title}"] if title else []
        declared = [*self._dimensions(batch), *self._declarations(), *[self._function(f) for f in self.functions]]
        equations = [self._equation(equation) for equation in self.equations]
        return "\n".join([*head, *declared, "", *equations, *endings]) + "\n"

    def _dimensions(self, batch: str | None) -> list[str]:
        sizes: dict[str, int | None] = dict.fromkeys(sorted(_size_names(self.declarations)))
        sizes = {**{name: sizes.get(name) for name in self.model.dimensions}, **sizes, **self.model.dimensions}
        lines = []
        for word, group in groupby(sizes, key=lambda name: "batch" if name == batch else "dim"):
            stated = [self.spelling.dimension(n) + ("" if sizes[n] is None else f" = {sizes[n]}") for n in group]
            lines.append(f"{word} {', '.join(stated)}")
        return lines

    def _declarations(self) -> list[str]:
        return [
            f"{word} {', '.join(self._declaration(leaf) for leaf in group)}"
            for word, group in groupby(self.declarations, key=lambda leaf: _WORDS.get(leaf.kind, leaf.kind))
        ]

    def _declaration(self, leaf: Leaf) -> str:
        axes = f"[{self._shape(leaf.shape)}]" if leaf.kind != "hyper" and (leaf.rank or leaf.classes is None) else ""
        classes = f" in {self.text.extent(leaf.classes)}" if leaf.classes is not None else ""
        default = self.model.hyper_defaults.get(leaf.name) if leaf.kind == "hyper" else None
        return self.text.name(leaf.name) + axes + classes + ("" if default is None else f" = {self._number(default)}")

    def _shape(self, shape: Shape) -> str:
        return ", ".join(self.text.extent(size) for size in shape)

    def _number(self, value: sympy.Expr) -> str:
        exact = decimal(value, smallest_divisor=2) if value.is_Rational else None
        return exact or self.text.number(value)[0]

    def _function(self, function: type[ScalarFunction]) -> str:
        word = self.spelling.function(function.title)
        names = ", ".join(p.name for p in function.parameters[: function.visible])
        if function.body is None:
            return f"function {word}" if function.visible == 1 else f"function {word}({names})"
        return f"function {word}({names}) = {self.text.show(self.forms.definition(function)[1])}"

    def _equation(self, equation: Equation) -> str:
        name = Symbol(equation.name, equation.node.rank)
        left, right = self.forms.sides(name, equation.node, equation.indices)
        return f"{self._left(left, right)} = {self.text.show(right)}"

    def _left(self, left: Formula, right: Formula) -> str:
        if not isinstance(left, Entry):
            return self.text.show(left)
        letters = [subscript.letter for subscript in left.subscripts if isinstance(subscript, Index)]
        return f"{self.text.show(left.base)}[{self.text.index_list(tuple(zip(letters, left.sizes, strict=True)), right)}]"


def _size_names(declarations: Iterable[Leaf]) -> set[str]:
    return {symbol.name for leaf in declarations for size in leaf.shape for symbol in size.free_symbols}


def _declared_functions(model: Model, equations: Sequence[Equation]) -> list[type[ScalarFunction]]:
    """The functions that a text must declare: the model's own, and those without a word of the language.

    A derivative of a function of one argument is written with a prime; any other is declared by its formula.
    """
    found: dict[type[ScalarFunction], None] = {}

    def visit(function: type[ScalarFunction]) -> None:
        if function in found or POINTWISE.get(function.title) is function:
            return
        if function.derivative_of is not None and function.visible == 1 and function.derivative_of[1] == 0:
            visit(function.derivative_of[0])
            return
        if function.body is not None:
            visit_all(function.body)
        found[function] = None

    def visit_all(expression: sympy.Expr) -> None:
        for part in sympy.preorder_traversal(expression):
            if isinstance(part, ScalarFunction):
                visit(part.func)

    for function in model.functions:
        visit(function)
    for equation in equations:
        for node in topological([equation.node]):
            if isinstance(node, Pointwise):
                visit_all(node.expression)
    return list(found)
