"""Pointwise expressions, one operation at a time over the axes they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from symbackprop.functions import scalar
from symbackprop.graph.build import pointwise
from symbackprop.graph.nodes import Contraction, Indicator, Labels, Pointwise, argument
from symbackprop.graph.sizes import Size
from symbackprop.kernels.layout import as_it_lies
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.passes import in_few_passes

if TYPE_CHECKING:
    from symbackprop.kernels.lowering import Lowering


UNARY = {
    sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.sinh: "sinh",
    sympy.cosh: "cosh", scalar.tanh: "tanh", sympy.atan: "arctan", scalar.absolute: "abs", scalar.sign: "sign",
    sympy.erf: "erf", scalar.sigmoid: "sigmoid", scalar.softplus: "softplus",
    scalar.guarded: "guarded",
}  # fmt: skip
COMPARISONS = {scalar.positive: "greater", scalar.nonnegative: "greater_equal", scalar.equals: "equal"}


class PointwiseLowering:
    """Lowers one pointwise node at a time."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering
        self._relus: dict[Operation, Operation] = {}

    def lower(self, node: Pointwise) -> Operation:
        """Return the operation of a pointwise node."""
        expression = node.expression
        if not node.operands:
            if not node.shape:
                return self.lowering.number(expression)
            return self.lowering.add("fill", (), node.shape, "constant", value=expression)
        if expression == argument(0):
            inner = self.lowering.view(self.lowering.of(node.operands[0]), node.labels[0], node.rank)
            return inner if inner.shape == node.shape else self.lowering.add("copy", (inner,), node.shape, "buffer")
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
            return as_it_lies(self.lowering.of(node.operands[used[0]]), node.labels[used[0]])
        place = {label: k for k, label in enumerate(labels)}
        factors = [(node.operands[k], tuple(place[label] for label in node.labels[k])) for k in used]
        renamed = expression.xreplace({argument(k): argument(new) for new, k in enumerate(used)})
        return as_it_lies(
            self.lowering.of(pointwise(renamed, factors, tuple(node.shape[label] for label in labels))), labels
        )

    def aligned(self, node: Pointwise, expression: sympy.Expr) -> Operation:
        """Return the operation of a sub-expression, seen over all the axes of the node."""
        if not any(argument(k) in expression.free_symbols for k in range(len(node.operands))):
            return self.lowering.number(expression)
        operation, labels = self.part(node, expression)
        return self.lowering.view(operation, labels, node.rank)

    def _sum(self, node: Pointwise, expression: sympy.Expr) -> Operation:
        pending: list[tuple[int, sympy.Expr]] = []
        marks: list[tuple[sympy.Expr, int, Size]] = []
        for term in expression.args:
            mark = self._one_hot(node, term)
            if mark is not None:
                marks.append(mark)
            else:
                minus = term.could_extract_minus_sign()
                pending.append((-1 if minus else 1, -term if minus else term))
        if marks and not any(self._spans(node, term) for _, term in pending):
            pending += [(1, coefficient * argument(k)) for coefficient, k, _ in marks]
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
            result = self.lowering.ufunc(
                "add" if sign > 0 else "subtract", (result, self.aligned(node, term)), node.shape
            )
        for coefficient, k, first in marks:
            (looked_up,) = node.operands[k].operands
            classes, own = self.lowering.contraction.own_classes(self.lowering.of(looked_up), first, node.shape[-1])
            amount = self.lowering.number(coefficient)
            if own is not None:
                amount = self.lowering.ufunc("multiply", (own, amount), own.shape)
            result = self.lowering.add(
                "add_at_class",
                (result, self.lowering.flat_index(classes, node.shape[-1]), amount),
                node.shape,
                "buffer",
            )
        return result

    def _contractions(self, node: Pointwise) -> list[sympy.Symbol]:
        return [argument(k) for k, o in enumerate(node.operands) if isinstance(o, Contraction)] or [sympy.zoo]

    def _spans(self, node: Pointwise, expression: sympy.Expr) -> bool:
        return len(self._labels(node, expression)) == node.rank

    def _one_hot(self, node: Pointwise, term: sympy.Expr) -> tuple[sympy.Expr, int, Size] | None:
        """A term that is a number times the one-hot vectors of classes: the number, the operand and its first class."""
        for k, operand in enumerate(node.operands):
            if isinstance(operand, Indicator) and term.has(argument(k)) and node.labels[k] == tuple(range(node.rank)):
                coefficient = term / argument(k)
                plain = not any(argument(j) in coefficient.free_symbols for j in range(len(node.operands)))
                first = self.lowering.contraction.one_hot(operand)
                if plain and first is not None:
                    return coefficient, k, first
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
            result = self.aligned(node, ordered[0]) if ordered else self.lowering.number(numbers)
            for factor in ordered[1:]:
                result = self.lowering.ufunc("multiply", (result, self.aligned(node, factor)), node.shape)
        for divisor in divisors:
            result = self.lowering.ufunc("divide", (result, self.aligned(node, divisor)), node.shape)
        return result

    def _single_product(self, node: Pointwise, product: sympy.Expr, numbers: sympy.Expr, divided: bool) -> Operation:
        """A product of factors along the same axes, one after the other, and a number."""
        factors = sorted(sympy.Mul.make_args(product), key=str)
        below = [factor for factor in factors if factor.is_Pow and factor.exp.is_number and factor.exp.is_negative]
        above = [factor for factor in factors if factor not in below]
        if numbers == -1 and len(above) == 1 and not below and not divided:
            return self.lowering.ufunc("negative", (self.aligned(node, above[0]),), node.shape)
        result = self.aligned(node, above[0]) if above else self.lowering.number(numbers)
        for factor in above[1:]:
            result = self.lowering.ufunc("multiply", (result, self.aligned(node, factor)), node.shape)
        if above and numbers != 1:
            result = self.lowering.ufunc("multiply", (result, self.lowering.number(numbers)), node.shape)
        for factor in below:
            result = self.lowering.ufunc("divide", (result, self.aligned(node, 1 / factor)), node.shape)
        return result

    def _labels(self, node: Pointwise, expression: sympy.Expr) -> Labels:
        """The axes of a node that a sub-expression depends on."""
        used = [k for k in range(len(node.operands)) if argument(k) in expression.free_symbols]
        return tuple(sorted({label for k in used for label in node.labels[k]}))

    def _power(self, node: Pointwise) -> Operation:
        base, exponent = node.expression.args
        if exponent.is_number and exponent.is_negative:
            one = self.lowering.number(sympy.S.One)
            return self.lowering.ufunc("divide", (one, self.aligned(node, 1 / node.expression)), node.shape)
        inner = self.aligned(node, base)
        if exponent == 2:
            return self.lowering.ufunc("square", (inner,), node.shape)
        if exponent == sympy.Rational(1, 2):
            return self.lowering.ufunc("sqrt", (inner,), node.shape)
        if exponent.is_Integer and exponent <= 8:
            half, odd = divmod(int(exponent), 2)
            result = self.aligned(node, base**half)
            result = self.lowering.ufunc("square", (result,), node.shape)
            return self.lowering.ufunc("multiply", (result, inner), node.shape) if odd else result
        return self.lowering.ufunc("power", (inner, self.aligned(node, exponent)), node.shape)

    def _function(self, node: Pointwise) -> Operation:
        expression = node.expression
        function = expression.func
        if isinstance(expression, scalar.where):
            return self._where(node, *expression.args)
        if isinstance(expression, scalar.maximum):
            parts = [self.aligned(node, part) for part in expression.args]
            result = parts[0]
            for part in parts[1:]:
                result = self.lowering.ufunc("maximum", (result, part), node.shape)
            return result
        if function in COMPARISONS:
            return self._comparison(node, COMPARISONS[function], expression.args[0])
        if isinstance(expression, scalar.relu):
            inner = self.aligned(node, expression.args[0])
            self._relus[inner] = self.lowering.ufunc("relu", (inner, self.lowering.zero_row(node.shape)), node.shape)
            return self._relus[inner]
        if isinstance(expression, sympy.exp):
            softmax = self.lowering.reductions.softmax(node)
            if softmax is not None:
                return softmax
        if function in UNARY:
            return self.lowering.ufunc(UNARY[function], (self.aligned(node, expression.args[0]),), node.shape)
        assert isinstance(expression, scalar.ScalarFunction), function
        if expression.func.body is None:
            operands = [self.aligned(node, part) for part in expression.args]
            return self.lowering.ufunc("open_function", operands, node.shape, title=expression.func.title)
        body = expression.expand_definition()
        expanded = pointwise(body, list(zip(node.operands, node.labels, strict=True)), node.shape)
        operation = self.lowering.of(expanded)
        if operation.shape != node.shape:
            return self.lowering.add("copy", (operation,), node.shape, "buffer")
        return operation

    def _comparison(self, node: Pointwise, kind: str, argument_: sympy.Expr) -> Operation:
        """[u > 0], [u >= 0] or [u = 0], the terms of u with a minus on the other side.

        Where relu(u) is at hand it is read instead of u: one of them less has to be kept.
        """
        minus = [term for term in sympy.Add.make_args(argument_) if term.could_extract_minus_sign()]
        left = self.aligned(node, sympy.Add(argument_, *[-term for term in minus]))
        right = self.aligned(node, -sympy.Add(*minus))
        if kind == "greater" and not minus:
            left = self._relus.get(left, left)
        return self.lowering.ufunc(kind, (left, right), node.shape, "bool")

    def _where(self, node: Pointwise, condition: sympy.Expr, yes: sympy.Expr, no: sympy.Expr) -> Operation:
        """One of the two is overwritten with the other where the condition says so: the one that may be an array in place."""
        holds = self.aligned(node, condition)
        if holds.dtype != "bool":
            half = self.lowering.number(sympy.Rational(1, 2))
            holds = self.lowering.ufunc("greater", (holds, half), holds.shape, "bool")
        if not node.shape:
            return self.lowering.add("choose", (holds, self.aligned(node, yes), self.aligned(node, no)), (), "scalar")
        limited = self._limited(node, holds, yes, no)
        if limited is not None:
            return limited
        if self._spans(node, yes):
            holds, yes, no = self._negated(holds), no, yes
        return self.lowering.ufunc("replace", (self.aligned(node, no), self.aligned(node, yes), holds), node.shape)

    def _limited(self, node: Pointwise, holds: Operation, yes: sympy.Expr, no: sympy.Expr) -> Operation | None:
        """An infinite number where a constant mask says so, as a limit: one pass that NumPy vectorises, unlike a masked copy.

        The limit is that number or NaN, which fmin and fmax take no notice of.
        """
        kept, number = (no, yes) if yes in (sympy.oo, sympy.S.NegativeInfinity) else (yes, no)
        mask = holds.base
        if number not in (sympy.oo, sympy.S.NegativeInfinity) or mask.kind != "indicator" or mask.storage != "constant":
            return None
        if not self._spans(node, kept) or holds.kind not in ("indicator", "align"):
            return None
        limit = self.lowering.add("limit", (mask,), mask.shape, "constant", number=number, where=number is yes)
        seen = self.lowering.view(limit, holds.details["labels"], holds.rank) if holds is not mask else limit
        function = "fmin" if number is sympy.S.NegativeInfinity else "fmax"
        return self.lowering.ufunc(function, (self.aligned(node, kept), seen), node.shape)

    def _negated(self, holds: Operation) -> Operation:
        """The negation of a condition; that of a constant is a constant too, seen over the same axes."""
        base = holds.base
        if base.storage != "constant":
            return self.lowering.add("logical_not", (holds,), holds.shape, "buffer", "bool")
        negation = self.lowering.add("logical_not", (base,), base.shape, "constant", "bool")
        return self.lowering.view(negation, holds.details["labels"], holds.rank) if holds is not base else negation
