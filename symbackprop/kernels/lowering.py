"""From nodes to operations: every value once, pointwise expressions one operation at a time over the axes they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
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
from symbackprop.kernels.layout import as_it_lies, common_order, memory_order
from symbackprop.kernels.operations import Operation

UNARY = {
    sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.sinh: "sinh",
    sympy.cosh: "cosh", scalar.tanh: "tanh", sympy.atan: "arctan", scalar.absolute: "abs", scalar.sign: "sign",
    sympy.erf: "erf", scalar.sigmoid: "sigmoid", scalar.softplus: "softplus",
    scalar.guarded: "guarded",
}  # fmt: skip
COMPARISONS = {scalar.positive: "greater", scalar.nonnegative: "greater_equal", scalar.equals: "equal"}


class Lowering:
    """Lowers the nodes of a graph's equations, remembering every value it has made."""

    def __init__(self, default_sizes: dict[str, int]) -> None:
        self.operations: list[Operation] = []
        self.values: dict[Node, Operation] = {}
        self.named: dict[str, Operation] = {}
        self.equation = ""
        self._made: dict[tuple[Any, ...], Operation] = {}
        self._relus: dict[Operation, Operation] = {}
        self.contraction = ContractionLowering(self, default_sizes)

    def add(
        self, kind: str, operands: Sequence[Operation], shape: Shape, storage: str, dtype: str = "float", **details: Any
    ) -> Operation:
        """Return the operation of that kind on those operands: the same one each time, so that nothing is computed twice."""
        storage = storage if shape or storage in ("given", "view") else "scalar"
        key = (kind, tuple(id(operand) for operand in operands), shape, dtype, tuple(sorted(details.items())))
        if key not in self._made:
            self._made[key] = Operation(kind, tuple(operands), shape, storage, details, "", self.equation, dtype)
            self.operations.append(self._made[key])
        return self._made[key]

    def given(self, name: str, shape: Shape, dtype: str) -> Operation:
        """Append a declared tensor."""
        made = self.add("given", (), shape, "given", dtype, name=name)
        made.name, self.named[name] = name, made
        return made

    def define(self, name: str, node: Node) -> Operation:
        """Lower the right-hand side of an equation and give it its name."""
        self.equation = name
        made = self.lower(node)
        self.named[name] = made
        lying, _ = as_it_lies(made, tuple(range(made.rank)))
        if not lying.name and lying.storage in ("buffer", "scalar"):
            lying.name = name
        return made

    def own_array(self, operation: Operation, name: str, others: Iterable[Operation]) -> Operation:
        """Return a gradient as an array of its own: neither a view, nor a constant, nor an array that is another gradient."""
        if operation.storage == "scalar" or (operation.storage == "buffer" and operation not in others):
            return operation
        return self.add("copy", (operation,), operation.shape, "buffer", of=name)

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
        return self.add(node.kind, (self.of(node.operands[0]),), node.shape, "fresh")

    def view(self, operation: Operation, labels: Labels, rank: int) -> Operation:
        """Return an operation's value with one axis for each of ``rank`` labels, of length 1 where it lacks the label."""
        if operation.kind == "align":
            labels = tuple(labels[label] for label in operation.details["labels"])
            operation = operation.operands[0]
        if operation.rank == 0 or labels == tuple(range(rank)):
            return operation
        shape: list[Size] = [sympy.S.One] * rank
        for size, label in zip(operation.shape, labels, strict=True):
            shape[label] = size
        return self.add("align", (operation,), tuple(shape), "view", operation.dtype, labels=labels, rank=rank)

    def number(self, value: sympy.Expr) -> Operation:
        """Return a number, or an expression in sizes, as an operand."""
        return self.add("number", (), (), "scalar", value=value)

    def filled(self, value: int, shape: Shape) -> Operation:
        """Return an array of the workspace whose entries are all ``value``."""
        return self.add("fill", (), shape, "constant", value=sympy.Integer(value))

    # ------------------------------------------------------------ pointwise

    def _pointwise(self, node: Pointwise) -> Operation:
        expression = node.expression
        if not node.operands:
            if not node.shape:
                return self.number(expression)
            return self.add("fill", (), node.shape, "constant", value=expression)
        if expression == argument(0):
            inner = self.view(self.of(node.operands[0]), node.labels[0], node.rank)
            return inner if inner.shape == node.shape else self.add("copy", (inner,), node.shape, "buffer")
        expression = in_few_passes(expression)
        if expression.is_Add:
            return self._sum(node, expression)
        if expression.is_Mul:
            return self._product(node, expression)
        if expression.is_Pow:
            return self._power(node)
        return self._function(node)

    def part(self, node: Pointwise, expression: sympy.Expr) -> tuple[Operation, Labels]:
        """Return the operation of a sub-expression, as it lies in memory, and the labels of its axes."""
        used = [k for k in range(len(node.operands)) if argument(k) in expression.free_symbols]
        labels = self._labels(node, expression)
        if expression.is_Symbol and len(used) == 1 and len(set(node.labels[used[0]])) == len(node.labels[used[0]]):
            return as_it_lies(self.of(node.operands[used[0]]), node.labels[used[0]])
        place = {label: k for k, label in enumerate(labels)}
        factors = [(node.operands[k], tuple(place[label] for label in node.labels[k])) for k in used]
        renamed = expression.xreplace({argument(k): argument(new) for new, k in enumerate(used)})
        return as_it_lies(self.of(pointwise(renamed, factors, tuple(node.shape[label] for label in labels))), labels)

    def aligned(self, node: Pointwise, expression: sympy.Expr) -> Operation:
        """Return the operation of a sub-expression, seen over all the axes of the node."""
        if not any(argument(k) in expression.free_symbols for k in range(len(node.operands))):
            return self.number(expression)
        operation, labels = self.part(node, expression)
        return self.view(operation, labels, node.rank)

    def ufunc(
        self, name: str, operands: Sequence[Operation], shape: Shape, dtype: str = "float", **details: Any
    ) -> Operation:
        """Append a universal function of aligned operands, its result laid out in memory as they are."""
        order = common_order(tuple(operands), shape)
        if order == tuple(range(len(shape))):
            return self.add(name, operands, shape, "buffer", dtype, **details)
        place = tuple(order.index(axis) for axis in range(len(shape)))
        lying = tuple(shape[axis] for axis in order)
        moved = [
            self._zero(lying)
            if operand.kind == "zero_row"
            else self.view(operand, place, len(shape))
            if operand.rank
            else operand
            for operand in operands
        ]
        return self.view(self.add(name, moved, lying, "buffer", dtype, **details), order, len(shape))

    def _sum(self, node: Pointwise, expression: sympy.Expr) -> Operation:
        pending: list[tuple[int, sympy.Expr]] = []
        marks: list[tuple[sympy.Expr, int]] = []
        for term in expression.args:
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
        positive = next((item for item in pending if item[0] > 0), None)
        if positive is not None:
            pending.remove(positive)
            pending.insert(0, positive)
        sign, first = pending[0]
        result = self.aligned(node, first if sign > 0 else -first)
        for sign, term in pending[1:]:
            result = self.ufunc("add" if sign > 0 else "subtract", (result, self.aligned(node, term)), node.shape)
        for coefficient, k in marks:
            classes = self.of(node.operands[k].operands[0])
            amount = self.number(coefficient)
            result = self.add(
                "add_at_class", (result, self.flat_index(classes, node.shape[-1]), amount), node.shape, "buffer"
            )
        return result

    def _contractions(self, node: Pointwise) -> list[sympy.Symbol]:
        return [argument(k) for k, o in enumerate(node.operands) if isinstance(o, Contraction)] or [sympy.zoo]

    def _spans(self, node: Pointwise, expression: sympy.Expr) -> bool:
        return len(self._labels(node, expression)) == node.rank

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

    def _product(self, node: Pointwise, expression: sympy.Expr) -> Operation:
        """A product, the factors along few axes first, with the numbers among them; divisors along few axes as reciprocals."""
        numbers = sympy.S.One
        groups: dict[Labels, sympy.Expr] = {}
        divisors: list[sympy.Expr] = []
        for factor in expression.args:
            labels = self._labels(node, factor)
            if not factor.has(*[argument(k) for k in range(len(node.operands))]):
                numbers *= factor
            elif factor.is_Pow and factor.exp.is_number and factor.exp.is_negative and len(labels) == node.rank:
                divisors.append(1 / factor)
            else:
                groups[labels] = groups.get(labels, sympy.S.One) * factor
        if len(groups) > 1:
            fewest = min(groups, key=len)
            groups[fewest], numbers = numbers * groups[fewest], sympy.S.One
        ordered = [factor for _, factor in sorted(groups.items(), key=lambda item: (-len(item[0]), item[0]))]
        if len(ordered) == 1:
            result = self._single_product(node, ordered[0], numbers, bool(divisors))
        else:
            result = self.aligned(node, ordered[0]) if ordered else self.number(numbers)
            for factor in ordered[1:]:
                result = self.ufunc("multiply", (result, self.aligned(node, factor)), node.shape)
        for divisor in divisors:
            result = self.ufunc("divide", (result, self.aligned(node, divisor)), node.shape)
        return result

    def _single_product(self, node: Pointwise, product: sympy.Expr, numbers: sympy.Expr, divided: bool) -> Operation:
        """A product of factors along the same axes, one after the other, and a number."""
        factors = sorted(sympy.Mul.make_args(product), key=str)
        below = [factor for factor in factors if factor.is_Pow and factor.exp.is_number and factor.exp.is_negative]
        above = [factor for factor in factors if factor not in below]
        if numbers == -1 and len(above) == 1 and not below and not divided:
            return self.ufunc("negative", (self.aligned(node, above[0]),), node.shape)
        result = self.aligned(node, above[0]) if above else self.number(numbers)
        for factor in above[1:]:
            result = self.ufunc("multiply", (result, self.aligned(node, factor)), node.shape)
        if above and numbers != 1:
            result = self.ufunc("multiply", (result, self.number(numbers)), node.shape)
        for factor in below:
            result = self.ufunc("divide", (result, self.aligned(node, 1 / factor)), node.shape)
        return result

    def _labels(self, node: Pointwise, expression: sympy.Expr) -> Labels:
        """The axes of a node that a sub-expression depends on."""
        used = [k for k in range(len(node.operands)) if argument(k) in expression.free_symbols]
        return tuple(sorted({label for k in used for label in node.labels[k]}))

    def _power(self, node: Pointwise) -> Operation:
        base, exponent = node.expression.args
        if exponent.is_number and exponent.is_negative:
            one = self.number(sympy.S.One)
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
            return self._where(node, *expression.args)
        if isinstance(expression, scalar.maximum):
            parts = [self.aligned(node, part) for part in expression.args]
            result = parts[0]
            for part in parts[1:]:
                result = self.ufunc("maximum", (result, part), node.shape)
            return result
        if function in COMPARISONS:
            return self._comparison(node, COMPARISONS[function], expression.args[0])
        if isinstance(expression, scalar.relu):
            inner = self.aligned(node, expression.args[0])
            self._relus[inner] = self.ufunc("relu", (inner, self._zero(node.shape)), node.shape)
            return self._relus[inner]
        if isinstance(expression, sympy.exp):
            softmax = self._softmax(node)
            if softmax is not None:
                return softmax
        if function in UNARY:
            return self.ufunc(UNARY[function], (self.aligned(node, expression.args[0]),), node.shape)
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

    def _zero(self, shape: Shape) -> Operation:
        """A row of zeros, beside which NumPy compares faster than with the number 0."""
        return self.add("zero_row", (), shape[-1:], "constant") if len(shape) > 1 else self.number(sympy.S.Zero)

    def _comparison(self, node: Pointwise, kind: str, argument_: sympy.Expr) -> Operation:
        """[u > 0], [u >= 0] or [u = 0], the terms of u with a minus on the other side.

        Where relu(u) is at hand it is read instead of u: one of them less has to be kept.
        """
        minus = [term for term in sympy.Add.make_args(argument_) if term.could_extract_minus_sign()]
        left = self.aligned(node, sympy.Add(argument_, *[-term for term in minus]))
        right = self.aligned(node, -sympy.Add(*minus))
        if kind == "greater" and not minus:
            left = self._relus.get(left, left)
        return self.ufunc(kind, (left, right), node.shape, "bool")

    def _where(self, node: Pointwise, condition: sympy.Expr, yes: sympy.Expr, no: sympy.Expr) -> Operation:
        """One of the two is overwritten with the other where the condition says so: the one that may be an array in place."""
        holds = self.aligned(node, condition)
        if holds.dtype != "bool":
            half = self.number(sympy.Rational(1, 2))
            holds = self.ufunc("greater", (holds, half), holds.shape, "bool")
        if not node.shape:
            return self.add("choose", (holds, self.aligned(node, yes), self.aligned(node, no)), (), "scalar")
        if self._spans(node, yes):
            holds = self.add(
                "logical_not",
                (holds,),
                holds.shape,
                "constant" if holds.base.storage == "constant" else "buffer",
                "bool",
            )
            yes, no = no, yes
        return self.ufunc("replace", (self.aligned(node, no), self.aligned(node, yes), holds), node.shape)

    # ------------------------------------------------------------ reductions

    def _reduction(self, node: Reduction) -> Operation:
        (operand,), (labels,) = node.operands, node.labels
        if node.kind == "logsumexp":
            _, total, shift, kept = self._exponentials(node)
            result = self.ufunc("add", (self.ufunc("log", (total,), total.shape), shift), total.shape)
        else:
            inner, own = as_it_lies(self.of(operand), labels)
            order = memory_order(inner)
            if "window" in _kinds(inner) and order is not None:
                inner, own = (
                    self.view(inner, tuple(order.index(k) for k in range(inner.rank)), inner.rank),
                    tuple(own[k] for k in order),
                )
            axes = tuple(position for position, label in enumerate(own) if label >= node.rank)
            kept = tuple(label for label in own if label < node.rank)
            shape = tuple(size for size, label in zip(inner.shape, own, strict=True) if label < node.rank)
            if node.kind == "norm":
                scratch = self.add("scratch", (), inner.shape, "buffer", of=operand)
                result = self.add("norm", (inner, scratch), shape, "buffer", axes=axes)
            else:
                result = self.add(
                    "max_window" if shape and "window" in _kinds(inner) else "max", (inner,), shape, "buffer", axes=axes
                )
        return result if kept == tuple(sorted(kept)) else self.view(result, kept, node.rank)

    def _exponentials(self, node: Reduction) -> tuple[Operation, Operation, Operation, Labels]:
        """exp(x - m) for the largest entry m, their sum, and m (0 where every entry is -inf), and the labels of the sum's axes."""
        (operand,), (labels,) = node.operands, node.labels
        inner, labels = as_it_lies(self.of(operand), labels)
        axes = tuple(position for position, label in enumerate(labels) if label >= node.rank)
        places = tuple(position for position in range(inner.rank) if position not in axes)
        shape = tuple(inner.shape[position] for position in places)
        shift = self.ufunc(
            "maximum",
            (self.add("max", (inner,), shape, "buffer", axes=axes), self.add("lowest", (), (), "scalar")),
            shape,
        )
        centred = self.ufunc("subtract", (inner, self.view(shift, places, inner.rank)), inner.shape)
        exponential = self.ufunc("exp", (centred,), inner.shape)
        total = self.total(exponential, axes)
        return exponential, total, shift, tuple(labels[position] for position in places)

    def _softmax(self, node: Pointwise) -> Operation | None:
        """exp(x - logsumexp(x)) is exp(x - m) over the sum of those, which the logsumexp has computed."""
        factors = list(zip(node.operands, node.labels, strict=True))
        for k, (normaliser, labels) in enumerate(factors):
            if not isinstance(normaliser, Reduction) or normaliser.kind != "logsumexp":
                continue
            for j, (operand, own) in enumerate(factors):
                places = normaliser.labels[0]
                if (
                    operand is normaliser.operands[0]
                    and node.expression.args[0] == argument(j) - argument(k)
                    and all(
                        own[position] == labels[label]
                        for position, label in enumerate(places)
                        if label < normaliser.rank
                    )
                ):
                    exponential, total, _, kept = self._exponentials(normaliser)
                    below = self.view(total, tuple(labels[label] for label in kept), node.rank)
                    lying = as_it_lies(self.of(operand), own)[1]
                    return self.ufunc("divide", (self.view(exponential, lying, node.rank), below), node.shape)
        return None

    def flat_index(self, classes: Operation, count: Size) -> Operation:
        """Return the places of one entry of each row, that of the row's class, in the array's flat memory."""
        starts = self.add("row_starts", (), classes.shape, "constant", "int", count=count)
        return self.add("flat_index", (classes, starts), classes.shape, "buffer", "int")

    def total(self, operation: Operation, axes: tuple[int, ...]) -> Operation:
        """Return the sum over some axes: a product with ones where they are the first or the last ones of an array."""
        shape = tuple(size for k, size in enumerate(operation.shape) if k not in axes)
        count = sympy.Mul(*[operation.shape[k] for k in axes])
        plain = operation.storage in ("buffer", "given") and operation.dtype == "float"
        if plain and operation.rank == 1:
            return self.add("dot", (operation, self.filled(1, (count,))), (), "scalar")
        plain = plain and bool(shape)
        if plain and axes == tuple(range(len(axes))):
            return self.add("sum_first", (operation, self.filled(1, (count,))), shape, "buffer", axes=axes)
        if plain and axes == tuple(range(len(shape), operation.rank)):
            return self.add("sum_last", (operation, self.filled(1, (count,))), shape, "buffer", axes=axes)
        few = bool(shape) and count.is_Integer and count <= 32
        return self.add("sum_window" if few else "sum", (operation,), shape, "buffer", axes=axes)


def _kinds(operation: Operation) -> list[str]:
    """The kinds of the views between an operation and the memory it lies in."""
    kinds = []
    while operation.storage == "view":
        kinds.append(operation.kind)
        operation = operation.operands[0]
    return kinds


@cache
def in_few_passes(expression: sympy.Expr) -> sympy.Expr:
    """Return a scalar expression so spelled that it takes few passes over the data.

    A polynomial in one value is written by Horner's rule, and a number in front of one goes into its coefficients.
    """
    if expression.is_Mul:
        number, rest = expression.as_independent(*_values(expression), as_Add=False)
        polynomials = [factor for factor in sympy.Mul.make_args(rest) if _is_polynomial(factor)]
        if number != 1 and polynomials:
            inside = in_few_passes(sympy.expand(number * polynomials[0]))
            others = [factor for factor in sympy.Mul.make_args(rest) if factor is not polynomials[0]]
            return sympy.Mul(inside, *others, evaluate=False) if others else inside
    if expression.is_Add and _is_polynomial(expression):
        (symbol,) = _values(expression)
        if sympy.degree(expression, symbol) > 2:
            return sympy.horner(expression, symbol)
    return expression


def _values(expression: sympy.Expr) -> list[sympy.Symbol]:
    return [symbol for symbol in expression.free_symbols if symbol.name.startswith("_")]


def _is_polynomial(expression: sympy.Expr) -> bool:
    """Tell whether an expression is a sum of multiples of powers of one value, the multiples numbers."""
    values = _values(expression)
    return expression.is_Add and len(values) == 1 == len(expression.free_symbols) and expression.is_polynomial(*values)
