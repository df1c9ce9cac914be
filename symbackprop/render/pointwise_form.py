"""The matrix form of a pointwise node: sums, element-by-element products, quotients and functions of aligned tensors."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from symbackprop.functions import scalar
from symbackprop.graph.equalities import is_identity
from symbackprop.graph.nodes import Contraction, Leaf, Node, Pointwise, Reduction, argument
from symbackprop.graph.ordering import natural
from symbackprop.graph.walk import leaves
from symbackprop.render.build import ONE, add, chain, flip, hadamard, is_one, multiply, transpose
from symbackprop.render.forms import NodeWriter, NoMatrixForm, Order, title
from symbackprop.render.formula import (
    Call,
    Formula,
    Hadamard,
    Identity,
    Magnitude,
    Number,
    Ones,
    Power,
    Quotient,
    Symbol,
    Zeros,
)


class PointwiseForm:
    """Writes the scalar expression of one pointwise node over aligned tensors."""

    def __init__(self, form: NodeWriter, node: Pointwise) -> None:
        self.form, self.node = form, node
        self.factors = list(zip(node.operands, node.labels, strict=True))
        self.position = {argument(k): k for k in range(len(self.factors))}
        self.place = places(node)

    def formula(self) -> Formula:
        """Return the formula of the node; what is the same along all its axes is written by ones."""
        sign, formula = self.write(self.node.expression, tuple(range(self.node.rank)))
        if self.labels(self.node.expression) or not self.node.rank:
            return add([(sign, formula)])
        if isinstance(formula, Number) and formula.value == 0:
            return Zeros(self.node.shape)
        column, *row = [Ones(size) for size in self.node.shape]
        ones = chain([column, *[transpose(other) for other in row]])
        if isinstance(formula, Number):
            return add([multiply(sign * formula.value, [], ones)])
        if isinstance(formula, Quotient) and is_one(formula.above):
            return add([(sign, Quotient(ones, formula.below))])
        return add([(sign, chain([formula, ones]))])

    def labels(self, expression: sympy.Expr) -> Order:
        """The labels an expression depends on."""
        used = {
            label for s in expression.free_symbols if s in self.position for label in self.factors[self.position[s]][1]
        }
        return tuple(sorted(used))

    def write(self, expression: sympy.Expr, order: Order) -> tuple[int, Formula]:
        """Return sign and formula of an expression, over all the labels of ``order``."""
        own = self.labels(expression)
        sign, formula = self._own(expression)
        return sign, self._spread(formula, own, order)

    def _spread(self, formula: Formula, own: Order, order: Order) -> Formula:
        """Write a column or row as a matrix by ones; a scalar needs none."""
        if own == order or not own:
            return formula
        if len(order) == 2 and len(own) == 1:
            if isinstance(formula, Quotient) and not formula.elementwise:
                return Quotient(self._spread(formula.above, own, order), formula.below)
            if own[0] == order[0]:
                return chain([formula, transpose(Ones(self.node.shape[order[1]]))])
            return chain([Ones(self.node.shape[order[0]]), transpose(formula)])
        raise NoMatrixForm

    def _own(self, expression: sympy.Expr) -> tuple[int, Formula]:
        if expression in self.position:
            return 1, self.form.operand(*self.factors[self.position[expression]])
        if not any(symbol in self.position for symbol in expression.free_symbols):
            return (-1, Number(-expression)) if expression.could_extract_minus_sign() else (1, Number(expression))
        if isinstance(expression, scalar.guarded):
            return self._own(expression.args[0])
        softmax = self._softmax(expression)
        if softmax is not None:
            return 1, softmax
        own = self.labels(expression)
        if expression.is_Add:
            terms = [self.write(term, own) for term in sorted(expression.args, key=self._appearance)]
            return 1, add(terms)
        if expression.is_Mul:
            return self._product(expression, own)
        if expression.is_Pow:
            return self._power(expression, own)
        return 1, self._call(expression, own)

    def _appearance(self, expression: sympy.Expr) -> tuple[int, str]:
        found = [self.place[s] for s in expression.free_symbols if s in self.position]
        return (min(found, default=-1), str(expression))

    def _product(self, expression: sympy.Expr, own: Order) -> tuple[int, Formula]:
        sign, coefficient = 1, sympy.S.One
        scalars: list[Formula] = []
        below: list[Formula] = []
        tensors: list[tuple[Order, Formula]] = []
        divisors: list[tuple[Order, Formula]] = []
        diagonal = self._identity_factor(expression) if own == (0, 1) else None
        for factor in sorted(expression.args, key=self._appearance):
            labels = self.labels(factor)
            if factor == diagonal:
                continue
            if not any(symbol in self.position for symbol in factor.free_symbols):
                coefficient *= factor
                continue
            inverted = factor.is_Pow and factor.exp.is_number and factor.exp.is_negative
            inner_sign, formula = self._own(1 / factor if inverted else factor)
            if formula is not None and inner_sign < 0:
                sign = -sign
            if labels:
                (divisors if inverted else tensors).append((labels, formula))
            else:
                (below if inverted else scalars).append(formula)
        mean = self._mean(coefficient, expression)
        if mean is not None and not tensors and not below:
            others = [s for s in scalars if s != mean[1]]
            inner_sign, whole = multiply(mean[0], others, mean[2], below)
            return sign * inner_sign, whole
        if mean is not None:
            scalars = [mean[2] if s == mean[1] else s for s in scalars]
            coefficient = mean[0]
        scalars.sort(key=lambda f: not isinstance(f, Number))
        if diagonal is None:
            tensor = self._tensor(tensors, divisors, own)
        elif tensors or divisors:
            above, under = ([((0,), formula) for _, formula in group] for group in (tensors, divisors))
            tensor = Call("diag", (self._tensor(above, under, (0,)) or ONE,))
        else:
            tensor = Identity(self.node.shape[0])
        minus = coefficient.could_extract_minus_sign()
        if minus and tensor is not None:
            new_sign, tensor = self._flip_inside(tensor)
            if new_sign > 0:
                coefficient = -coefficient
        elif minus:
            for k, factor_formula in enumerate(scalars):
                new_sign, flipped = flip(-1, factor_formula)
                if new_sign > 0:
                    scalars[k], coefficient = flipped, -coefficient
                    break
        inner_sign, formula = multiply(coefficient, scalars, tensor, below)
        return sign * inner_sign, formula

    def _identity_factor(self, expression: sympy.Expr) -> sympy.Expr | None:
        """The identity among the factors, where all the others are vectors: their product stands on a diagonal."""
        others = [factor for factor in expression.args if len(self.labels(factor)) == 2]
        if len(others) == 1 and others[0] in self.position and is_identity(self.factors[self.position[others[0]]][0]):
            return others[0]
        return None

    def _flip_inside(self, tensor: Formula) -> tuple[int, Formula]:
        """Move a minus into the first difference among the factors."""
        if isinstance(tensor, Hadamard):
            factors = list(tensor.factors)
            for k, factor in enumerate(factors):
                sign, flipped = flip(-1, factor)
                if sign > 0:
                    factors[k] = flipped
                    return 1, hadamard(factors)
            return -1, tensor
        return flip(-1, tensor)

    def _mean(self, coefficient: sympy.Expr, expression: sympy.Expr) -> tuple[sympy.Expr, Formula, Formula] | None:
        """1/d times the sum of d entries is their mean: return the rest of the coefficient, the sum and the mean."""
        for factor in expression.args:
            if factor in self.position:
                node, _ = self.factors[self.position[factor]]
                if isinstance(node, Contraction) and node.rank == 0 and len(node.operands) == 1:
                    labels = node.labels[0]
                    count = sympy.Mul(*node.summed)
                    rest = sympy.fraction(coefficient * count)[0].free_symbols
                    if (
                        len(set(labels)) == len(labels)
                        and count != 1
                        and not rest - sympy.fraction(coefficient)[0].free_symbols
                    ):
                        body = self.form.of(node.operands[0])
                        return coefficient * count, self.form.of(node), Call("mean", (body,))
        return None

    def _tensor(
        self, tensors: Sequence[tuple[Order, Formula]], divisors: Sequence[tuple[Order, Formula]], own: Order
    ) -> Formula | None:
        if not own:
            return None
        if len(own) == 2 and not divisors and all(len(labels) == 1 for labels, _ in tensors):
            rows = [formula for labels, formula in tensors if labels == own[:1]]
            columns = [formula for labels, formula in tensors if labels == own[1:]]
            if rows and columns:
                return chain([hadamard(rows), transpose(hadamard(columns))])
        above = hadamard([self._spread(formula, labels, own) for labels, formula in tensors]) if tensors else ONE
        if not divisors:
            return above
        lower = hadamard([self._spread(formula, labels, own) for labels, formula in divisors])
        return Quotient(above, lower, elementwise=True)

    def _power(self, expression: sympy.Expr, own: Order) -> tuple[int, Formula]:
        base, exponent = expression.args
        if exponent.is_number and exponent.is_negative:
            _, below = self._own(1 / expression)
            return 1, Quotient(ONE, below, elementwise=bool(own))
        if exponent == sympy.Rational(1, 2):
            return 1, Call("sqrt", (self._plain(base, own),))
        formula = self._plain(base, own)
        if exponent == 2 and own and isinstance(formula, Symbol):
            return 1, hadamard([formula, formula])
        return 1, Power(formula, self._plain(exponent, ()), elementwise=bool(own))

    def _plain(self, expression: sympy.Expr, order: Order) -> Formula:
        return add([self.write(expression, order if self.labels(expression) else ())])

    def _call(self, expression: sympy.Expr, own: Order) -> Formula:
        if isinstance(expression, scalar.absolute) and not own:
            return Magnitude(self._plain(expression.args[0], own))
        if isinstance(expression, scalar.where | scalar.positive | scalar.nonnegative | scalar.equals):
            raise NoMatrixForm
        visible = expression.func.visible if isinstance(expression, scalar.ScalarFunction) else len(expression.args)
        return Call(title(expression.func), tuple(self._plain(part, own) for part in expression.args[:visible]))

    def _softmax(self, expression: sympy.Expr) -> Formula | None:
        """exp(x - logsumexp(x)) is softmax(x)."""
        if not isinstance(expression, sympy.exp) or not expression.args[0].is_Add or len(expression.args[0].args) != 2:
            return None
        for position, (node, labels) in enumerate(self.factors):
            if isinstance(node, Reduction) and node.kind == "logsumexp" and expression.args[0].has(-argument(position)):
                rest = expression.args[0] + argument(position)
                if rest in self.position:
                    inner, own = self.factors[self.position[rest]]
                    if inner is node.operands[0] and own[:-1] == labels and node.labels[0] == tuple(range(inner.rank)):
                        return Call("softmax", (self.form.operand(inner, own),))
        return None



def places(node: Pointwise) -> dict[sympy.Symbol, int]:
    """The order in which the operands are read: leaves as they stand, then the others by the names in them."""
    order = sorted(range(len(node.operands)), key=lambda k: _reading_order(node.operands[k], k))
    return {argument(k): place for place, k in enumerate(order)}


def _reading_order(node: Node, position: int) -> tuple[bool, tuple[tuple[int, str], ...], int]:
    if isinstance(node, Leaf):
        return False, (), position
    first = next((natural(leaf.name) for leaf in leaves(node)), ())
    return True, first, position
