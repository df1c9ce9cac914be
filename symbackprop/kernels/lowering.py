"""From nodes to operations: every value once, pointwise expressions one operation at a time over the axes they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from symbackprop.functions import scalar
from symbackprop.graph.build import pointwise
from symbackprop.graph.nodes import (
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
from symbackprop.graph.sizes import Shape, Size
from symbackprop.graph.walk import topological
from symbackprop.kernels.contraction import ContractionLowering
from symbackprop.kernels.operations import Operation

UNARY = {
    sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.sinh: "sinh",
    sympy.cosh: "cosh", sympy.tanh: "tanh", sympy.atan: "arctan", scalar.absolute: "abs", scalar.sign: "sign",
    sympy.erf: "erf", scalar.sigmoid: "sigmoid", scalar.softplus: "softplus", scalar.relu: "relu",
    scalar.guarded: "guarded", scalar.positive: "positive", scalar.nonnegative: "nonnegative", scalar.equals: "equals",
}  # fmt: skip


class Lowering:
    """Lowers the nodes of a graph's equations, remembering every value it has made."""

    def __init__(self, default_sizes: dict[str, int]) -> None:
        self.operations: list[Operation] = []
        self.values: dict[Node, Operation] = {}
        self.named: dict[str, Operation] = {}
        self.views: dict[tuple[Any, ...], Operation] = {}
        self.equation = ""
        self.contraction = ContractionLowering(self, default_sizes)

    def add(
        self, kind: str, operands: Sequence[Operation], shape: Shape, storage: str, dtype: str = "float", **details: Any
    ) -> Operation:
        """Append an operation."""
        made = Operation(
            kind,
            tuple(operands),
            shape,
            storage if shape or storage in ("given", "view") else "scalar",
            details,
            "",
            self.equation,
            dtype,
        )
        self.operations.append(made)
        return made

    def define(self, name: str, node: Node) -> Operation:
        """Lower the right-hand side of an equation and give it its name."""
        self.equation = name
        made = self.lower(node)
        self.named[name] = made
        if not made.name and made.storage in ("buffer", "scalar"):
            made.name = name
        return made

    def lower(self, root: Node) -> Operation:
        """Return the operation that computes a node."""
        for node in topological([root]):
            if node not in self.values and not self._inlined(node, root):
                self.values[node] = self._lower(node)
        return self.values[root]

    def _inlined(self, node: Node, root: Node) -> bool:
        """Indicators and pointwise operands of contractions are lowered by those who read them."""
        return isinstance(node, Indicator) or (isinstance(node, Pointwise) and node is not root)

    def of(self, node: Node) -> Operation:
        """Return the operation of a node, lowering it now if it was left to its reader."""
        if node not in self.values:
            self.values[node] = self._lower(node)
        return self.values[node]

    def _lower(self, node: Node) -> Operation:
        if isinstance(node, Leaf):
            return self.named[node.name]
        if isinstance(node, Pointwise):
            return self._pointwise(node)
        if isinstance(node, Contraction):
            return self.contraction.lower(node)
        if isinstance(node, Reduction):
            return self._reduction(node)
        if isinstance(node, Indicator):
            return self.contraction.indicator(node)
        if isinstance(node, Coordinate):
            return self.add("coordinate", (), node.shape, "constant")
        assert isinstance(node, MatrixFunction)
        return self.add(node.kind, (self.of(node.operands[0]),), node.shape, "buffer")

    def view(self, operation: Operation, labels: Labels, rank: int) -> Operation:
        """Return an operation's value with one axis for each of ``rank`` labels, of length 1 where it lacks the label."""
        if operation.rank == 0 or labels == tuple(range(rank)):
            return operation
        key = (id(operation), labels, rank)
        if key not in self.views:
            shape: list[Size] = [sympy.S.One] * rank
            for size, label in zip(operation.shape, labels, strict=True):
                shape[label] = size
            self.views[key] = self.add(
                "align", (operation,), tuple(shape), "view", operation.dtype, labels=labels, rank=rank
            )
        return self.views[key]

    # ------------------------------------------------------------ pointwise

    def _pointwise(self, node: Pointwise) -> Operation:
        expression = node.expression
        if not node.operands:
            if not node.shape:
                return self.add("number", (), (), "scalar", value=expression)
            return self.add("fill", (), node.shape, "constant", value=expression)
        if expression == argument(0):
            inner = self.view(self.of(node.operands[0]), node.labels[0], node.rank)
            return inner if inner.shape == node.shape else self.add("copy", (inner,), node.shape, "buffer")
        if expression.is_Add:
            return self._sum(node)
        if expression.is_Mul:
            return self._product(node)
        if expression.is_Pow:
            return self._power(node)
        return self._function(node)

    def part(self, node: Pointwise, expression: sympy.Expr) -> tuple[Operation, Labels]:
        """Return the operation of a sub-expression, over the labels it depends on, and those labels."""
        used = [k for k in range(len(node.operands)) if argument(k) in expression.free_symbols]
        labels = tuple(sorted({label for k in used for label in node.labels[k]}))
        if expression.is_Symbol and len(used) == 1 and len(set(node.labels[used[0]])) == len(node.labels[used[0]]):
            return self.of(node.operands[used[0]]), node.labels[used[0]]
        place = {label: k for k, label in enumerate(labels)}
        factors = [(node.operands[k], tuple(place[label] for label in node.labels[k])) for k in used]
        renamed = expression.xreplace({argument(k): argument(new) for new, k in enumerate(used)})
        return self.of(pointwise(renamed, factors, tuple(node.shape[label] for label in labels))), labels

    def aligned(self, node: Pointwise, expression: sympy.Expr) -> Operation:
        """Return the operation of a sub-expression, seen over all the axes of the node."""
        if not any(argument(k) in expression.free_symbols for k in range(len(node.operands))):
            return self.add("number", (), (), "scalar", value=expression)
        operation, labels = self.part(node, expression)
        return self.view(operation, labels, node.rank)

    def ufunc(
        self, name: str, operands: Sequence[Operation], shape: Shape, dtype: str = "float", **details: Any
    ) -> Operation:
        """Append a universal function of aligned operands."""
        return self.add(name, operands, shape, "buffer", dtype, **details)

    def _sum(self, node: Pointwise) -> Operation:
        pending: list[tuple[int, sympy.Expr]] = []
        marks: list[tuple[sympy.Expr, int]] = []
        for term in node.expression.args:
            mark = self._one_hot(node, term)
            if mark is not None:
                marks.append(mark)
            else:
                minus = term.could_extract_minus_sign()
                pending.append((-1 if minus else 1, -term if minus else term))
        if marks and not any(self._spans(node, term) for _, term in pending):
            pending += [(1, coefficient * argument(k)) for coefficient, k in marks]
            marks = []
        pending.sort(
            key=lambda item: (
                not self._spans(node, item[1]),
                item[0] < 0,
                not item[1].has(*self._contractions(node)),
                str(item[1]),
            )
        )
        sign, first = pending[0]
        result = self.aligned(node, first if sign > 0 else -first)
        if len(pending) == 1 and marks:
            result = self.ufunc("copy", (result,), node.shape)
        for sign, term in pending[1:]:
            result = self.ufunc("add" if sign > 0 else "subtract", (result, self.aligned(node, term)), node.shape)
        for coefficient, k in marks:
            classes = self.of(node.operands[k].operands[0])
            amount = self.add("number", (), (), "scalar", value=coefficient)
            result = self.add("add_at_class", (result, classes, amount), node.shape, "buffer")
        return result

    def _contractions(self, node: Pointwise) -> list[sympy.Symbol]:
        return [argument(k) for k, o in enumerate(node.operands) if isinstance(o, Contraction)] or [sympy.zoo]

    def _spans(self, node: Pointwise, expression: sympy.Expr) -> bool:
        labels = {
            label
            for k in range(len(node.operands))
            if argument(k) in expression.free_symbols
            for label in node.labels[k]
        }
        return len(labels) == node.rank

    def _one_hot(self, node: Pointwise, term: sympy.Expr) -> tuple[sympy.Expr, int] | None:
        """Tell whether a term is a number times the one-hot vectors, along the last axis, of classes along the others."""
        for k, operand in enumerate(node.operands):
            if (
                isinstance(operand, Indicator)
                and operand.relation == "=="
                and len(operand.operands) == 1
                and term.has(argument(k))
            ):
                coefficient = term / argument(k)
                plain = not any(argument(j) in coefficient.free_symbols for j in range(len(node.operands)))
                last = node.labels[k][-1:] == (node.rank - 1,) and node.labels[k] == tuple(range(node.rank))
                if plain and last and self.contraction.is_class(operand):
                    return coefficient, k
        return None

    def _product(self, node: Pointwise) -> Operation:
        numbers, above, below = sympy.S.One, [], []
        for factor in node.expression.args:
            if not any(argument(k) in factor.free_symbols for k in range(len(node.operands))):
                numbers *= factor
            elif factor.is_Pow and factor.exp.is_number and factor.exp.is_negative:
                below.append(1 / factor)
            else:
                above.append(factor)
        groups: dict[tuple[int, ...], list[sympy.Expr]] = {}
        for factor in above:
            labels = tuple(
                sorted(
                    {x for k in range(len(node.operands)) if argument(k) in factor.free_symbols for x in node.labels[k]}
                )
            )
            groups.setdefault(labels, []).append(factor)
        if len(groups) > 1:
            above = [sympy.Mul(*members) for _, members in sorted(groups.items(), key=lambda item: -len(item[0]))]
        above.sort(key=lambda f: (not self._spans(node, f), str(f)))
        if numbers == -1 and above and not below and len(above) == 1:
            return self.ufunc("negative", (self.aligned(node, above[0]),), node.shape)
        if above:
            result = self.aligned(node, above[0])
            for factor in above[1:]:
                result = self.ufunc("multiply", (result, self.aligned(node, factor)), node.shape)
            numerator, denominator = sympy.fraction(numbers)
            if denominator.free_symbols and numerator == 1:
                result = self.ufunc(
                    "divide", (result, self.add("number", (), (), "scalar", value=denominator)), node.shape
                )
            elif numbers != 1:
                result = self.ufunc(
                    "multiply", (result, self.add("number", (), (), "scalar", value=numbers)), node.shape
                )
        else:
            result = self.add("number", (), (), "scalar", value=numbers)
        for factor in below:
            result = self.ufunc("divide", (result, self.aligned(node, factor)), node.shape)
        return result

    def _power(self, node: Pointwise) -> Operation:
        base, exponent = node.expression.args
        if exponent.is_number and exponent.is_negative:
            one = self.add("number", (), (), "scalar", value=sympy.S.One)
            return self.ufunc("divide", (one, self.aligned(node, 1 / node.expression)), node.shape)
        inner = self.aligned(node, base)
        if exponent == 2:
            return self.ufunc("square", (inner,), node.shape)
        if exponent == sympy.Rational(1, 2):
            return self.ufunc("sqrt", (inner,), node.shape)
        if exponent.is_Integer and exponent <= 8:
            half, odd = divmod(int(exponent), 2)
            result = self.aligned(node, base**half)
            result = self.ufunc("square", (result,), node.shape)
            return self.ufunc("multiply", (result, inner), node.shape) if odd else result
        return self.ufunc("power", (inner, self.aligned(node, exponent)), node.shape)

    def _function(self, node: Pointwise) -> Operation:
        expression = node.expression
        function = expression.func
        if isinstance(expression, scalar.where):
            condition, yes, no = (self.aligned(node, part) for part in expression.args)
            return self.ufunc("where", (condition, yes, no), node.shape)
        if isinstance(expression, scalar.maximum):
            parts = [self.aligned(node, part) for part in expression.args]
            result = parts[0]
            for part in parts[1:]:
                result = self.ufunc("maximum", (result, part), node.shape)
            return result
        if function in UNARY:
            dtype = "bool" if UNARY[function] in ("positive", "nonnegative", "equals") else "float"
            return self.ufunc(UNARY[function], (self.aligned(node, expression.args[0]),), node.shape, dtype)
        assert isinstance(expression, scalar.ScalarFunction), function
        if expression.func.body is None:
            operands = [self.aligned(node, part) for part in expression.args]
            return self.ufunc("open_function", operands, node.shape, title=expression.func.title)
        body = expression.expand_definition()
        expanded = pointwise(body, list(zip(node.operands, node.labels, strict=True)), node.shape)
        operation = self.of(expanded)
        if operation.shape != node.shape:
            return self.add("copy", (operation,), node.shape, "buffer")
        return operation

    # ------------------------------------------------------------ reductions

    def _reduction(self, node: Reduction) -> Operation:
        (operand,), (labels,) = node.operands, node.labels
        inner = self.of(operand)
        axes = tuple(position for position, label in enumerate(labels) if label >= node.rank)
        kept = tuple(label for label in labels if label < node.rank)
        shape = tuple(size for size, label in zip(operand.shape, labels, strict=True) if label < node.rank)
        result = self.add(
            node.kind, (inner,), shape, "buffer", axes=axes, scratch=operand.shape if node.kind != "max" else None
        )
        if kept == tuple(sorted(kept)):
            return result
        return self.view(result, kept, node.rank)
