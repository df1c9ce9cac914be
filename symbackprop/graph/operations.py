"""Linear algebra as it is written: values with a shape (vectors are columns, a transposed vector is a row) and their operators.

The language and the Python operators both come here, so that they build the same graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy

from symbackprop.errors import ShapeError, SizeError
from symbackprop.functions import scalar
from symbackprop.graph.build import (
    constant,
    contract,
    indicator,
    is_constant,
    matrix_function,
    pointwise,
    reduction,
    scale,
)
from symbackprop.graph.build import (
    transpose as permute,
)
from symbackprop.graph.nodes import Leaf, Node, argument, axis
from symbackprop.graph.sizes import Shape, Size, differ, format_shape

_0, _1, _2 = argument(0), argument(1), argument(2)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor-valued expression; ``row`` marks a transposed vector.

    Python operators: ``@`` is the linear-algebra product, ``* / **`` work element by element (or with a scalar),
    ``.T`` transposes. Operands of different shapes raise ShapeError.
    """

    node: Node
    row: bool = False

    @property
    def shape(self) -> Shape:
        """The symbolic shape."""
        return self.node.shape

    @property
    def T(self) -> Value:
        """The transpose."""
        return transpose(self)

    def __add__(self, other: Operand) -> Value:
        return _operate(plus, self, other)

    def __radd__(self, other: Operand) -> Value:
        return _operate(plus, other, self)

    def __sub__(self, other: Operand) -> Value:
        return _operate(minus, self, other)

    def __rsub__(self, other: Operand) -> Value:
        return _operate(minus, other, self)

    def __neg__(self) -> Value:
        return negate(self)

    def __mul__(self, other: Operand) -> Value:
        return _operate(times, self, other)

    def __rmul__(self, other: Operand) -> Value:
        return _operate(times, other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _operate(over, self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return _operate(over, other, self)

    def __matmul__(self, other: Value) -> Value:
        return _operate(product, self, other)

    def __pow__(self, exponent: Operand) -> Value:
        return _operate(elementwise_power, self, exponent)


Operand: TypeAlias = Value | Node | int | sympy.Expr


def value(operand: Operand) -> Value:
    """Return the operand as a Value; numbers are exact."""
    if isinstance(operand, Value):
        return operand
    if isinstance(operand, Node):
        return Value(operand)
    return Value(constant(operand))


def _operate(operation: Callable[[Value, Value], Value], left: Operand, right: Operand) -> Value:
    """Apply an operator of Python, or leave it to the other operand's type."""
    if not all(isinstance(operand, Value | Node | int | sympy.Expr) for operand in (left, right)):
        return NotImplemented
    return operation(value(left), value(right))


def describe(operand: Value) -> str:
    """Return a name and shape for messages: ``W1 (h × d)``."""
    name = operand.node.name if isinstance(operand.node, Leaf) else "an expression"
    kind = f"1 × {operand.shape[0]}" if operand.row else format_shape(operand.shape)
    return f"{name} ({kind})"


def same_shape(left: Value, right: Value) -> bool:
    """Tell whether two values may have one shape (sizes that cannot be told apart become constraints)."""
    return (
        left.node.rank == right.node.rank
        and left.row == right.row
        and not any(differ(a, b) for a, b in zip(left.shape, right.shape, strict=True))
    )


def _zip(operation: str, hint: str, expression: sympy.Expr, left: Value, right: Value) -> Value:
    larger = left if left.node.rank >= right.node.rank else right
    if left.node.rank and right.node.rank and not same_shape(left, right):
        raise ShapeError(f"{describe(left)} {operation} {describe(right)}: the shapes differ{hint}")
    operands = [(v.node, tuple(range(v.node.rank))) for v in (left, right)]
    return Value(pointwise(expression, operands, larger.shape), larger.row)


def plus(left: Value, right: Value) -> Value:
    """The sum of equal shapes, or of a scalar and a tensor."""
    return _zip("+", "; a vector is added to every row by ones(n) b^T", _0 + _1, left, right)


def total(terms: list[tuple[int, Value]]) -> Value:
    """The signed sum of many terms, built at once."""
    shaped = [term for _, term in terms if term.node.rank]
    for term in shaped[1:]:
        if not same_shape(shaped[0], term):
            raise ShapeError(
                f"{describe(shaped[0])} + {describe(term)}: the shapes differ; a vector is added to every row by ones(n) b^T"
            )
    first = shaped[0] if shaped else terms[0][1]
    operands = [(term.node, tuple(range(term.node.rank))) for _, term in terms]
    expression = sympy.Add(*[sign * argument(k) for k, (sign, _) in enumerate(terms)])
    return Value(pointwise(expression, operands, first.shape), first.row)


def minus(left: Value, right: Value) -> Value:
    """The difference of equal shapes, or of a scalar and a tensor."""
    return plus(left, negate(right))


def negate(operand: Value) -> Value:
    """Minus the operand."""
    return Value(scale(sympy.S.NegativeOne, operand.node), operand.row)


def times(left: Value, right: Value) -> Value:
    """The product element by element, of equal shapes or with a scalar."""
    return _zip("⊙", "", _0 * _1, left, right)


def number_of(operand: Value) -> sympy.Expr | None:
    """Return the number that a value is, or None."""
    node = operand.node
    return node.payload[0] if is_constant(node) and node.payload[0].is_number else None


def over(left: Value, right: Value) -> Value:
    """The quotient element by element, of equal shapes or with a scalar. Raises ShapeError for the number 0 below."""
    if number_of(right) == 0:
        raise ShapeError("division by 0")
    return _zip("./", "", _0 / _1, left, right)


POWER_LIMIT = 20_000
"""Bits that a power of numbers may have."""


def elementwise_power(left: Value, right: Value) -> Value:
    """The power element by element. Raises SizeError where both are numbers and the result is astronomically large."""
    base, exponent = number_of(left), number_of(right)
    if base is not None and exponent is not None and base.is_Rational:
        bits = max(abs(base.p), base.q).bit_length() * abs(exponent)
        if exponent.is_comparable and bits > POWER_LIMIT:
            raise SizeError("this power of numbers has too many digits")
    if exponent is not None and exponent.is_comparable and abs(exponent) > POWER_LIMIT:
        raise SizeError("this exponent is too large")
    return _zip(".^", "", _0**_1, left, right)


def product(left: Value, right: Value) -> Value:
    """The linear-algebra product of scalars, rows, columns and matrices."""
    a, b = left.node, right.node
    if a.rank == 0 or b.rank == 0:
        return times(left, right)
    if a.rank > 2 or b.rank > 2:
        raise ShapeError(f"{describe(left)} times {describe(right)}: more than two axes need the index form")
    pattern = ("r" if left.row else "cM"[a.rank - 1]) + ("r" if right.row else "cM"[b.rank - 1])
    if pattern == "cr":
        return Value(contract([(a, (0,)), (b, (1,))], (0, 1), (*a.shape, *b.shape)))
    if pattern in ("cc", "rr", "Mr", "cM"):
        hint = {"cc": "x^T y is the inner and x y^T the outer product, x ⊙ y works element by element"}.get(
            pattern, "transpose one of them"
        )
        raise ShapeError(f"{describe(left)} times {describe(right)}: there is no such product; {hint}")
    inner, outer_left, outer_right = 0, a.rank - 1, b.rank - 1
    if differ(a.shape[-1], b.shape[0]):
        raise ShapeError(
            f"{describe(left)} times {describe(right)}: the inner sizes {a.shape[-1]} and {b.shape[0]} differ"
        )
    inner = outer_left + outer_right
    labels_a = (*range(outer_left), inner)
    labels_b = (inner, *range(outer_left, inner))
    sizes = (*a.shape[:-1], *b.shape[1:], a.shape[-1])
    node = contract([(a, labels_a), (b, labels_b)], tuple(range(inner)), sizes)
    return Value(node, row=pattern == "rM")


def quotient(left: Value, right: Value) -> Value:
    """Division by a scalar."""
    if right.node.rank:
        raise ShapeError(f"division by {describe(right)}: only by a scalar; ./ divides element by element, ^-1 inverts")
    return over(left, right)


def transpose(operand: Value) -> Value:
    """The transpose of a scalar, vector (a row and back) or matrix."""
    if operand.node.rank == 0:
        return operand
    if operand.node.rank == 1:
        return Value(operand.node, not operand.row)
    if operand.node.rank == 2:
        return Value(permute(operand.node, (1, 0)))
    raise ShapeError(f"{describe(operand)} has no transpose; use the index form")


def inverse(operand: Value) -> Value:
    """1/x of a scalar, the inverse of a square matrix."""
    if operand.node.rank == 0:
        return Value(pointwise(1 / _0, [(operand.node, ())], ()))
    _square(operand, "the inverse")
    return Value(matrix_function("inverse", operand.node))


def power(operand: Value, exponent: sympy.Expr) -> Value:
    """x^p of a scalar; A A ... A of a square matrix for a whole exponent."""
    if operand.node.rank == 0:
        return Value(pointwise(_0**exponent, [(operand.node, ())], ()))
    if operand.node.rank == 1:
        raise ShapeError(f"{describe(operand)}: a power of a vector is written .^ (element by element)")
    _square(operand, "a power")
    if exponent == -1:
        return inverse(operand)
    if not (exponent.is_Integer and 1 <= int(exponent) <= 64):
        raise ShapeError(f"{describe(operand)}^{exponent}: the power of a matrix is a whole number from 1 to 64, or -1")
    result = operand
    for _ in range(int(exponent) - 1):
        result = product(result, operand)
    return result


def _square(operand: Value, what: str) -> None:
    if operand.node.rank != 2 or differ(*operand.shape):
        raise ShapeError(f"{what} of {describe(operand)}: a square matrix is needed")


def norm(operand: Value, kind: str = "") -> Value:
    """The norm of all entries: "", "2" or "F" (Euclidean, Frobenius), "1" (sum of magnitudes), "inf" (largest magnitude)."""
    if kind == "2" and operand.node.rank > 1:
        raise ShapeError(f"||{describe(operand)}||_2: a spectral norm is not offered; ||A|| is the Frobenius norm")
    node = operand.node
    if node.rank == 0:
        return apply(scalar.absolute, operand)
    if kind in ("2", "F", ""):
        return Value(reduction("norm", node, tuple(range(node.rank)), 0, node.shape))
    magnitude = apply(scalar.absolute, operand)
    return sum_all(magnitude) if kind == "1" else reduce_all("max", magnitude)


def apply(function: Callable[..., Any], *operands: Value) -> Value:
    """A scalar function, element by element, of equal shapes and scalars."""
    first = max(operands, key=lambda operand: operand.node.rank)
    for operand in operands:
        if operand.node.rank and not same_shape(first, operand):
            raise ShapeError(f"{describe(first)} and {describe(operand)}: the shapes differ")
    factors = [(operand.node, tuple(range(operand.node.rank))) for operand in operands]
    expression = function(*[argument(k) for k in range(len(operands))])
    return Value(pointwise(expression, factors, first.shape), first.row)


def sum_all(operand: Value) -> Value:
    """The sum of all entries."""
    node = operand.node
    return Value(contract([(node, tuple(range(node.rank)))], (), node.shape))


def mean_all(operand: Value) -> Value:
    """The mean of all entries."""
    return Value(scale(1 / sympy.Mul(*operand.shape), sum_all(operand).node))


def reduce_all(kind: str, operand: Value) -> Value:
    """``max`` over all entries."""
    node = operand.node
    return Value(reduction(kind, node, tuple(range(node.rank)), 0, node.shape)) if node.rank else operand


def logsumexp(operand: Value) -> Value:
    """log of the sum of exponentials along the last axis."""
    node = operand.node
    if not node.rank:
        raise ShapeError("logsumexp of a scalar: a vector or matrix is needed")
    labels = tuple(range(node.rank))
    return Value(reduction("logsumexp", node, labels, node.rank - 1, node.shape))


def log_softmax(operand: Value) -> Value:
    """x − logsumexp(x) along the last axis."""
    node = operand.node
    factors = [(node, tuple(range(node.rank))), (logsumexp(operand).node, tuple(range(node.rank - 1)))]
    return Value(pointwise(_0 - _1, factors, node.shape), operand.row)


def softmax(operand: Value) -> Value:
    """exp(x − logsumexp(x)) along the last axis."""
    return apply(sympy.exp, log_softmax(operand))


def onehot(classes: Value, count: Size) -> Value:
    """The 0/1 vectors that mark the classes, along a new last axis of that size."""
    node = classes.node
    condition = axis(node.rank) - argument(0)
    return Value(indicator("==", condition, (*node.shape, count), [(node, tuple(range(node.rank)))]))


def cross_entropy(logits: Value, target: Value) -> Value:
    """logsumexp(o) − o[y] for a class y; −sum y log softmax(o) for a distribution y, along the last axis."""
    if isinstance(target.node, Leaf) and target.node.classes is not None:
        chosen = onehot(target, logits.shape[-1])
        if chosen.node.rank != logits.node.rank:
            raise ShapeError(f"cross_entropy: {describe(logits)} needs one class for each row, not {describe(target)}")
        picked = _last_axis_sum(_0 * _1, logits, chosen)
        return plus(logsumexp(logits), negate(picked))
    if not same_shape(logits, target):
        raise ShapeError(f"cross_entropy: {describe(logits)} and {describe(target)} differ")
    weight = _last_axis_sum(_0, target)
    return plus(times(weight, logsumexp(logits)), negate(_last_axis_sum(_0 * _1, target, logits)))


def _last_axis_sum(expression: sympy.Expr, *operands: Value) -> Value:
    node = operands[0].node
    labels = tuple(range(node.rank))
    inner = pointwise(expression, [(operand.node, labels) for operand in operands], node.shape)
    return Value(contract([(inner, labels)], labels[:-1], node.shape))


def row_sum(operand: Value) -> Value:
    """The sum along the last axis."""
    return _last_axis_sum(_0, operand)


def column_sum(operand: Value) -> Value:
    """The sum along the first axis."""
    labels = tuple(range(operand.node.rank))
    return Value(contract([(operand.node, labels)], labels[1:], operand.shape))


def trace(operand: Value) -> Value:
    """The sum of the diagonal."""
    _square(operand, "the trace")
    return Value(contract([(operand.node, (0, 0))], (), (operand.shape[0],)))


def scalar_of_matrix(kind: str, operand: Value) -> Value:
    """``det`` or ``logdet`` of a square matrix."""
    _square(operand, kind)
    return Value(matrix_function(kind, operand.node))


def diagonal(operand: Value) -> Value:
    """The diagonal matrix of a vector, or the diagonal of a matrix."""
    node = operand.node
    if node.rank == 1:
        return Value(contract([(node, (0,))], (0, 0), node.shape))
    _square(operand, "the diagonal")
    return Value(contract([(node, (0, 0))], (0,), (node.shape[0],)))


def identity(size: Size) -> Value:
    """The identity matrix."""
    return Value(indicator("==", axis(0) - axis(1), (size, size)))


def filled(number: int, *shape: Size) -> Value:
    """The tensor of zeros or ones of that shape."""
    return Value(constant(number, tuple(shape)))
