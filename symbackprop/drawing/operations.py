"""The graph with a vertex for every operation, and one for each named value."""

from __future__ import annotations

from collections.abc import Callable

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.drawing.diagram import Diagram, Edge, Label, Vertex
from symbackprop.drawing.equations import Naming
from symbackprop.functions import scalar
from symbackprop.graph.equalities import is_identity
from symbackprop.graph.model import Equation
from symbackprop.graph.names import Adjoint, parse_name, without_tangents
from symbackprop.graph.nodes import (
    Collective,
    Contraction,
    Coordinate,
    Indicator,
    Labels,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
)
from symbackprop.graph.sizes import Shape
from symbackprop.graph.walk import topological
from symbackprop.render.forms import title

_HEADS = {
    scalar.positive: Label(r"[\,\cdot > 0]", "[· > 0]"),
    scalar.nonnegative: Label(r"[\,\cdot \ge 0]", "[· ≥ 0]"),
    scalar.equals: Label(r"[\,\cdot = 0]", "[· = 0]"),
}
_PLUS, _MINUS, _TIMES = Label("+", "+"), Label("-", "−"), Label(r"\times", "×")
_ENTRYWISE, _DIVIDED, _OUTER, _INNER = Label(r"\odot", "⊙"), Label(r"\oslash", "⊘"), Label(r"\otimes", "⊗"), Label(r"\cdot", "·")


def by_operation(derived: DerivedGraph, *, backward: bool, second: bool) -> Diagram:
    """Return the graph of every operation; ``backward`` with those of the gradients, ``second`` with those of the tangents too."""
    builder = _Builder(Naming(derived))
    for equation in derived.equations if second else (*derived.forward, *(derived.backward if backward else ())):
        builder.equation(equation)
    return builder.diagram()


class _Builder:
    def __init__(self, naming: Naming) -> None:
        self.naming, self.derived = naming, naming.derived
        self.vertices: dict[str, Vertex] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        self.own: dict[Node, str] = {}
        self.last = [run.times - 1 for run in naming.repeats.runs]

    def diagram(self) -> Diagram:
        model, used = self.derived.model, {key for pair in self.edges for key in pair}
        vertices = tuple(vertex for key, vertex in self.vertices.items() if key in used)
        return Diagram(model.title or model.name, vertices, tuple(self.edges.values()), self.naming.frames(vertices))

    def equation(self, equation: Equation) -> None:
        """Add the operations of an equation, and its value. Of copies, the first runs forward, and the last runs back."""
        naming = self.naming
        inner, dots = without_tangents(equation.name)
        returns = isinstance(parse_name(inner), Adjoint)
        copy = naming.repeats.copies.get(naming.base(equation.name))
        if copy and copy.number != (self.last[copy.run] if returns else 0):
            return
        kind = ("gradient tangent" if returns else "tangent") if dots else "gradient" if returns else "value"
        kind = "objective" if equation.name == self.derived.model.objective else kind
        self.equation_name, self.kind, self.key = equation.name, kind, naming.key(equation.name)
        self.owner, self.own = naming.key(naming.base(equation.name)), {}
        nodes = topological([equation.node])
        folded = {part for node in nodes if isinstance(node, Contraction) for part in node.operands if isinstance(part, Indicator)}
        seen = {part for node in nodes if not isinstance(node, Contraction) for part in node.operands}
        for node in nodes:
            if node not in folded - seen:
                self._node(node)
        number = naming.writer.number[equation.name]
        self.vertices[self.key] = Vertex(
            self.key, kind, (naming.label(equation.name),), naming.title(equation), (equation.name,), (number,), owner=self.owner,
            held=naming.held(equation.name),
        )  # fmt: skip
        self._edge(equation.node, self.key)

    # ------------------------------------------------------------ vertices and edges

    def _node(self, node: Node) -> None:
        if isinstance(node, Leaf):
            if not self.naming.apart(node.name, self.equation_name):
                self.own[node] = self._leaf(node)
        elif isinstance(node, Pointwise):
            self.own[node] = self._scalar(node, node.expression, node.shape)
        elif isinstance(node, Contraction):
            read = [operand for operand in node.operands if not isinstance(operand, Indicator)]
            looked = [part for operand in node.operands if isinstance(operand, Indicator) for part in operand.operands]
            self.own[node] = self._operation(_contraction(node), [(part, part.shape) for part in (*read, *looked)])
        elif isinstance(node, Reduction | MatrixFunction):
            label = _WORDS.get(node.kind) or _word(node.kind)
            self.own[node] = self._operation(label, [(part, part.shape) for part in node.operands])
        elif isinstance(node, Indicator):
            label = Label(r"\mathbf{I}", "I") if is_identity(node) else _word("onehot" if node.operands else "mask")
            self.own[node] = self._operation(label, [(part, part.shape) for part in node.operands])
        elif isinstance(node, Coordinate):
            self.own[node] = self._operation(_word("index"), [])
        elif isinstance(node, Collective):
            self.own[node] = self._operation(self.naming.meeting(node), [(part, part.shape) for part in node.operands], "meeting")

    def _leaf(self, node: Leaf) -> str:
        """The vertex of what an equation reads; in one that runs back, a value of the forward pass has a vertex of its own."""
        key, declared = self.naming.key(node.name), node.name in self.derived.graph.declared
        if self.kind.startswith("gradient") and not node.name.startswith(("∂", "D[")) and node.kind != "cotangent":
            again = f"{self.key} reads {key}"
            label, shape = self.naming.label(node.name), self.naming.writer.shape(node.shape)
            title = f"{label.text} of the forward pass — {shape}"
            equations = () if declared else (node.name,)
            held = self.naming.held(node.name)
            self.vertices[again] = Vertex(again, "kept", (label,), title, equations, owner=self.owner, held=held)
            return again
        if declared and key not in self.vertices:
            self.vertices[key] = self.naming.declared(node)
        return key

    def _operation(self, label: Label, operands: list[tuple[Node | str, Shape]], kind: str = "operation") -> str:
        kind = f"gradient {kind}" if self.kind.startswith("gradient") else kind
        key = f"{self.key} #{sum(k.startswith(f'{self.key} #') for k in self.vertices)}"
        title = f"{label.text} in ({self.naming.writer.number[self.equation_name]})"
        self.vertices[key] = Vertex(key, kind, (label,), title, (self.equation_name,), owner=self.owner)
        for operand, shape in operands:
            self._edge(operand, key, shape)
        return key

    def _edge(self, source: Node | str, target: str, shape: Shape | None = None) -> None:
        if isinstance(source, Node):
            shape = source.shape if shape is None else shape
            if source not in self.own:
                return
            source = self.own[source]
        if source in self.vertices:
            self.edges.setdefault((source, target), Edge(source, target, self.naming.shape(shape or ())))

    # ------------------------------------------------------------ scalar expressions

    def _scalar(self, node: Pointwise, expression: sympy.Expr, shape: Shape) -> str:
        """The vertex of a scalar expression: of an operand itself, or of the operation at its top."""
        operands = {argument(k): k for k in range(len(node.operands))}
        if expression in operands:
            return self.own.get(node.operands[operands[expression]], "")
        inner = [part for part in _arguments(expression) if part.free_symbols & operands.keys()]
        fixed = [part for part in _arguments(expression) if not part.free_symbols & operands.keys()]
        if not inner:
            return self._operation(self._number(expression), [])
        shapes = {part: _shape_of(part, node, operands) for part in inner}
        label, inner = _head(expression, inner, fixed, shapes, self._number, self._function)
        read: list[tuple[Node | str, Shape]] = []
        for part in inner:
            own = shapes.get(part, shape)
            read.append((self._scalar(node, part, own), own))
        return self._operation(label, read)

    def _function(self, title: str) -> Label:
        """The name of a function, as it is printed before its argument."""
        latex, text = self.naming.writer.latex, self.naming.writer.text
        return Label(
            latex.function(title, [r"\cdot"])[0].removesuffix(latex.bracketed(r"\cdot")),
            text.function(title, ["·"])[0].removesuffix(text.bracketed("·")),
        )

    def _number(self, value: sympy.Expr) -> Label:
        writer = self.naming.writer
        return Label(writer.latex.number(value)[0], writer.text.number(value)[0])


def _arguments(expression: sympy.Expr) -> tuple[sympy.Expr, ...]:
    return tuple(sorted(expression.args, key=str)) if expression.is_Add or expression.is_Mul else tuple(expression.args)


def _shape_of(part: sympy.Expr, node: Pointwise, operands: dict[sympy.Symbol, int]) -> Shape:
    axes: set[int] = set()
    for symbol in part.free_symbols & operands.keys():
        axes |= {*node.labels[operands[symbol]]}
    return tuple(node.shape[axis] for axis in sorted(axes))


def _word(word: str) -> Label:
    return Label(f"\\operatorname{{{word}}}", word)


_WORDS = {
    "norm": Label(r"\Vert \cdot \Vert", "‖·‖"), "inverse": Label(r"(\cdot)^{-1}", "(·)⁻¹"), "max": Label(r"\max", "max"),
    "det": Label(r"\det", "det"),
}  # fmt: skip


def _head(
    expression: sympy.Expr, inner: list[sympy.Expr], fixed: list[sympy.Expr], shapes: dict[sympy.Expr, Shape],
    number: Callable[[sympy.Expr], Label], named: Callable[[str], Label],
) -> tuple[Label, list[sympy.Expr]]:  # fmt: skip
    """The label of the operation at the top of an expression, and what it is applied to; numbers in it are part of the label."""
    if expression.is_Add:
        constant = sympy.Add(*fixed)
        negative = [part for part in inner if part.could_extract_minus_sign()]
        if len(inner) == 2 and len(negative) == 1 and not fixed and (-negative[0]) not in inner:
            other = next(part for part in inner if part is not negative[0])
            shapes[-negative[0]] = shapes[negative[0]]
            return _MINUS, [other, -negative[0]]
        if not fixed:
            return _PLUS, inner
        minus = constant.could_extract_minus_sign()
        shown = number(-constant if minus else constant)
        return Label(f"{'-' if minus else '+'} {shown.latex}", f"{'−' if minus else '+'} {shown.text}"), inner
    if expression.is_Mul:
        below = [part for part in inner if part.is_Pow and part.exp.is_number and part.exp.is_negative]
        if len(inner) == 2 and len(below) == 1 and not fixed:
            other = next(part for part in inner if part is not below[0])
            shapes[1 / below[0]] = shapes[below[0]]
            return _DIVIDED, [other, 1 / below[0]]
        sign = _ENTRYWISE if sum(bool(shapes[part]) for part in inner) > 1 else _TIMES
        if not fixed:
            return sign, inner
        shown = number(sympy.Mul(*fixed))
        if sympy.Mul(*fixed) == -1:
            return Label(r"-(\cdot)", "−(·)"), inner
        return Label(f"{shown.latex} {_TIMES.latex}", f"{shown.text} ×"), inner
    if expression.is_Pow:
        exponent = expression.exp
        if exponent == sympy.Rational(1, 2):
            return Label(r"\sqrt{\,\cdot\,}", "√"), inner
        if exponent == -1:
            return Label(r"1 / (\cdot)", "1 / (·)"), inner
        shown = number(exponent) if exponent.is_number else _INNER
        return Label(f"(\\cdot)^{{{shown.latex}}}", f"(·)^{shown.text}"), inner
    return _HEADS.get(type(expression)) or named(title(expression.func)), inner


# ---------------------------------------------------------------- contractions


def _contraction(node: Contraction) -> Label:
    """The usual sign of a contraction where it has one, else its labels as `numpy.einsum` takes them."""
    indicators = [operand for operand in node.operands if isinstance(operand, Indicator)]
    labels = [own for operand, own in zip(node.operands, node.labels, strict=True) if not isinstance(operand, Indicator)]
    if indicators:
        if any(indicator.relation == ">=" for indicator in indicators):
            return _word("mask")
        return _word("lookup") if any(indicator.operands for indicator in indicators) else _word("window")
    result = tuple(range(node.rank))
    if len(labels) == 1:
        return _of_one(labels[0], result)
    if len(labels) == 2:
        return _of_two(labels[0], labels[1], result)
    return _spelled(labels, result)


def _of_one(own: Labels, result: Labels) -> Label:
    if len(set(own)) < len(own):
        return _word("trace" if not result else "diag")
    if set(own) > set(result):
        return Label(r"\sum", "Σ")
    return Label(r"(\cdot)^{\top}", "(·)ᵀ") if set(own) == set(result) else _word("repeat")


def _of_two(one: Labels, other: Labels, result: Labels) -> Label:
    summed = (set(one) | set(other)) - set(result)
    shared = set(one) & set(other)
    if any(len(set(own)) < len(own) for own in (one, other)):
        return _spelled([one, other], result)
    if not summed:
        if not one or not other:
            return _TIMES
        return _OUTER if not shared else _ENTRYWISE
    if summed == shared and not result:
        return _INNER
    if summed == shared and len(summed) == 1:
        return _TIMES
    return _spelled([one, other], result)


def _spelled(labels: list[Labels], result: Labels) -> Label:
    letters = "ijklmnopqrstuvwxyzabcdefgh"
    text = f"{','.join(''.join(letters[x] for x in own) for own in labels)} → {''.join(letters[x] for x in result)}"
    return Label(text.replace("→", r"\to ").replace(",", r", \,"), text.strip())
