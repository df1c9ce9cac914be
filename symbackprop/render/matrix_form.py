"""The matrix form of a node, where there is one.

A value along at most two labels is written as a scalar, a column (one label) or a matrix (two). `MatrixForm.along`
gives the formula of a node for a wanted order of labels: the first is the row, the second the column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy

from symbackprop.functions import scalar
from symbackprop.graph.nodes import (
    Contraction,
    Indicator,
    Labels,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
    axis,
)
from symbackprop.graph.sizes import Size
from symbackprop.render.build import ONE, add, chain, flip, hadamard, is_one, multiply, transpose
from symbackprop.render.formula import (
    Call,
    Formula,
    Identity,
    Inverse,
    Magnitude,
    Norm,
    Number,
    Ones,
    Power,
    Quotient,
)

Order = tuple[int, ...]


class NoMatrixForm(Exception):  # noqa: N818  (no error: the index form is taken)
    """There is no matrix form; the index form says it."""


class MatrixForm:
    """Writes nodes in matrix form; ``name`` gives the symbol of a leaf."""

    def __init__(self, name: Callable[[Leaf], Formula]) -> None:
        self.name = name

    def of(self, node: Node) -> Formula:
        """Return the formula of a node with its axes in order. Raises NoMatrixForm."""
        if node.rank > 2:
            raise NoMatrixForm
        return self.along(node, tuple(range(node.rank)), tuple(range(node.rank)))

    def along(self, node: Node, labels: Labels, order: Order) -> Formula:
        """Return the formula of a node whose axes run along ``labels``, oriented by ``order`` (its labels, each once)."""
        if len(set(labels)) < len(labels):
            if len(labels) == 2 and order == (labels[0],):
                return Call("diag", (self.along(node, (0, 1), (0, 1)),))
            raise NoMatrixForm
        if node.rank > 2 or set(labels) != set(order):
            raise NoMatrixForm
        if labels != order:
            return transpose(self.along(node, labels, labels))
        if isinstance(node, Leaf):
            return self.name(node)
        if isinstance(node, Pointwise):
            return self._pointwise(node)
        if isinstance(node, Contraction):
            return self._contraction(node)
        if isinstance(node, Reduction):
            return self._reduction(node)
        if isinstance(node, MatrixFunction):
            inner = self.of(node.operands[0])
            return Inverse(inner) if node.kind == "inverse" else Call(node.kind, (inner,))
        if isinstance(node, Indicator):
            return self._indicator(node)
        raise NoMatrixForm

    def _indicator(self, node: Indicator) -> Formula:
        if node.relation == "==" and not node.operands and node.rank == 2 and node.condition == axis(0) - axis(1):
            return Identity(node.shape[0])
        if node.relation == "==" and len(node.operands) == 1 and isinstance(node.operands[0], Leaf):
            last = axis(node.rank - 1)
            if node.condition in (last - argument(0), argument(0) - last) and node.labels[0] == tuple(
                range(node.rank - 1)
            ):
                return Call("onehot", (self.name(node.operands[0]),))
        raise NoMatrixForm

    # ------------------------------------------------------------ pointwise

    def _pointwise(self, node: Pointwise) -> Formula:
        writer = _Scalar(self, node)
        sign, formula = writer.write(node.expression, tuple(range(node.rank)))
        return add([(sign, formula)])

    def operand(self, node: Node, labels: Labels) -> tuple[Formula, Order]:
        """Return an operand's formula with its labels in increasing order."""
        order = tuple(sorted(set(labels)))
        if isinstance(node, Indicator) and labels != order:
            moved = _swapped(node)
            if moved is not None:
                return self._indicator(moved), order
        return self.along(node, labels, order), order

    # ------------------------------------------------------------ contraction

    def _contraction(self, node: Contraction) -> Formula:
        factors = list(zip(node.operands, node.labels, strict=True))
        if len(factors) == 1:
            return self._single_sum(node)
        return _Chain(self, factors, node.rank, node.label_sizes).formula()

    def _single_sum(self, node: Contraction) -> Formula:
        (operand,), (labels,) = node.operands, node.labels
        if operand.rank > 2:
            raise NoMatrixForm
        if node.rank == 0:
            return self._full_sum(operand, labels)
        if len(set(labels)) < 2:
            raise NoMatrixForm
        if isinstance(operand, Pointwise) and labels == (0, 1):
            turned = [own == (1, 0) for own in operand.labels if len(own) == 2]
            if turned and all(turned):
                swapped = tuple(tuple(1 - label for label in own) for own in operand.labels)
                operand = Pointwise(operand.payload, operand.operands, swapped, operand.shape[::-1])
                labels = (1, 0)
        if labels[0] >= node.rank:
            whole = self.along(operand, (0, 1), (0, 1))
            return chain([transpose(whole), Ones(operand.shape[0])])
        return Call("rowsum", (self.along(operand, (0, 1), (0, 1)),))

    def _full_sum(self, operand: Node, labels: Labels) -> Formula:
        if len(set(labels)) < len(labels):
            return Call("tr", (self.along(operand, (0, 1), (0, 1)),))
        if isinstance(operand, Pointwise):
            expression = operand.expression
            inner = list(zip(operand.operands, operand.labels, strict=True))
            if expression.is_Pow and expression.exp == 2:
                base = Pointwise((expression.base,), operand.operands, operand.labels, operand.shape)
                kind = "F" if operand.rank == 2 else ""
                return Power(Norm(self._positive(base), kind), Number(sympy.Integer(2)))
            if isinstance(expression, scalar.absolute):
                base = Pointwise((expression.args[0],), operand.operands, operand.labels, operand.shape)
                return Norm(self.of(base), "1")
            if expression == argument(0) * argument(1) and len(inner) == 2:
                (a, la), (b, lb) = inner
                if operand.rank == 1 and la == lb == (0,):
                    return chain([transpose(self.of(a)), self.of(b)])
                if operand.rank == 2 and {la, lb} == {(0, 1), (1, 0)}:
                    return Call("tr", (chain([self.of(a), self.of(b)]),))
        return Call("sum", (self.of(operand),))

    def _positive(self, node: Pointwise) -> Formula:
        """A difference whose sign does not matter, with the positive term first."""
        return add([flip(*_Scalar(self, node).write(node.expression, tuple(range(node.rank))))])

    def _reduction(self, node: Reduction) -> Formula:
        (operand,), (labels,) = node.operands, node.labels
        if operand.rank > 2:
            raise NoMatrixForm
        formula = self.along(operand, tuple(range(operand.rank)), tuple(range(operand.rank)))
        last = labels == tuple(range(operand.rank)) and node.rank == operand.rank - 1
        if node.kind == "norm" and node.rank == 0:
            return Norm(formula, "F" if operand.rank == 2 else "")
        if node.kind == "logsumexp" and last:
            return Call("logsumexp", (formula,))
        if node.kind == "max" and node.rank == 0:
            return Call("max", (formula,))
        raise NoMatrixForm


def _swapped(node: Indicator) -> Indicator | None:
    if node.rank != 2:
        return None
    condition = node.condition.xreplace({axis(0): axis(1), axis(1): axis(0)})
    labels = tuple(tuple(1 - label for label in own) for own in node.labels)
    return Indicator((node.relation, condition), node.operands, labels, node.shape[::-1])


class _Chain:
    """A product of several operands as a chain of matrices from the row label to the column label."""

    def __init__(
        self, form: MatrixForm, factors: Sequence[tuple[Node, Labels]], rank: int, sizes: Sequence[Size]
    ) -> None:
        self.form, self.rank, self.sizes = form, rank, sizes
        if any(len(set(labels)) < len(labels) or len(labels) > 2 for _, labels in factors):
            raise NoMatrixForm
        self.matrices = [(node, labels) for node, labels in factors if len(labels) == 2]
        self.vectors = {labels[0]: node for node, labels in factors if len(labels) == 1}
        self.summed = set(range(rank, len(sizes)))

    def formula(self) -> Formula:
        if self.rank == 2:
            parts, end = self._walk(0)
            if end != 1:
                raise NoMatrixForm
            return self._finish(parts)
        if self.rank == 1:
            parts, end = self._walk(0)
            parts.append(self._vector(end))
            return self._finish(parts)
        if self.rank == 0:
            ends = sorted(self.vectors)
            if not ends:
                raise NoMatrixForm
            for start in ends:
                if sum(start in labels for _, labels in self.matrices) == 1:
                    first = transpose(self._vector(start))
                    parts, end = self._walk(start)
                    return self._finish([first, *parts, self._vector(end)])
        raise NoMatrixForm

    def _walk(self, label: int) -> tuple[list[Formula], int]:
        parts: list[Formula] = []
        while True:
            following = [(node, labels) for node, labels in self.matrices if label in labels]
            if not following or (parts and label not in self.summed):
                return parts, label
            if len(following) > 1:
                raise NoMatrixForm
            (node, labels) = following[0]
            self.matrices.remove(following[0])
            other = labels[1] if labels[0] == label else labels[0]
            parts.append(self.form.along(node, labels, (label, other)))
            label = other
            if label in self.vectors and any(label in labels for _, labels in self.matrices):
                parts.append(Call("diag", (self._vector(label),)))

    def _vector(self, label: int) -> Formula:
        node = self.vectors.pop(label, None)
        return Ones(self.sizes[label]) if node is None else self.form.of(node)

    def _finish(self, parts: list[Formula]) -> Formula:
        if self.matrices or self.vectors:
            raise NoMatrixForm
        return chain(parts)


class _Scalar:
    """Writes the scalar expression of one pointwise node over aligned tensors."""

    def __init__(self, form: MatrixForm, node: Pointwise) -> None:
        self.form, self.node = form, node
        self.factors = list(zip(node.operands, node.labels, strict=True))
        self.position = {argument(k): k for k in range(len(self.factors))}

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
            if own[0] == order[0]:
                return chain([formula, transpose(Ones(self.node.shape[order[1]]))])
            return chain([Ones(self.node.shape[order[0]]), transpose(formula)])
        raise NoMatrixForm

    def _own(self, expression: sympy.Expr) -> tuple[int, Formula]:
        if expression in self.position:
            return 1, self.form.operand(*self.factors[self.position[expression]])[0]
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
        places = [self.position[s] for s in expression.free_symbols if s in self.position]
        return (min(places, default=-1), str(expression))

    def _product(self, expression: sympy.Expr, own: Order) -> tuple[int, Formula]:
        sign, coefficient = 1, sympy.S.One
        scalars: list[Formula] = []
        below: list[Formula] = []
        tensors: list[tuple[Order, Formula]] = []
        divisors: list[tuple[Order, Formula]] = []
        for factor in sorted(expression.args, key=self._appearance):
            labels = self.labels(factor)
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
        tensor = self._tensor(tensors, divisors, own)
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

    def _flip_inside(self, tensor: Formula) -> tuple[int, Formula]:
        """Move a minus into the first difference among the factors."""
        from symbackprop.render.formula import Hadamard

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
        self, tensors: list[tuple[Order, Formula]], divisors: list[tuple[Order, Formula]], own: Order
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
        if exponent == 2 and own:
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
                        return Call("softmax", (self.form.operand(inner, own)[0],))
        return None


def title(function: type[sympy.Function]) -> str:
    """The printed name of a scalar function."""
    return getattr(function, "title", None) or {"Abs": "abs"}.get(function.__name__, function.__name__)


__all__ = ["MatrixForm", "NoMatrixForm", "is_one", "title"]
