"""Index equations: subscripts, ranges, sums over indices, lookups and conditions, lowered to labelled factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy

from symbackprop.functions.scalar import equals, nonnegative, positive, where
from symbackprop.graph.build import Factor, contract, coordinate, indicator, pointwise, reduction
from symbackprop.graph.nodes import Labels, Node, argument, axis
from symbackprop.graph.sizes import Size


@dataclass(frozen=True)
class Indexed:
    """A value for each setting of the bound indices it depends on: ``node``'s axes run along ``labels``."""

    node: Node
    labels: Labels = ()


@dataclass
class Scope:
    """The bound indices: their labels, and the size of each label. ``guarded`` holds the labels a `where` around decides about."""

    labels: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, Size] = field(default_factory=dict)
    guarded: frozenset[int] = frozenset()

    def bound(self, names: Sequence[str], sizes: Mapping[str, Size]) -> tuple[Scope, tuple[int, ...]]:
        """Return the scope with further indices, and their labels."""
        start = max(self.sizes, default=-1) + 1
        fresh = {name: start + k for k, name in enumerate(names)}
        every = {**self.sizes, **{fresh[name]: sizes[name] for name in names}}
        return Scope({**self.labels, **fresh}, every, self.guarded), tuple(fresh.values())


def combine(expression: sympy.Expr, parts: Sequence[Indexed], scope: Scope) -> Indexed:
    """Return a scalar expression of several indexed values, over all the indices they depend on."""
    labels = tuple(sorted({label for part in parts for label in part.labels}))
    place = {label: k for k, label in enumerate(labels)}
    factors: list[Factor] = [(part.node, tuple(place[label] for label in part.labels)) for part in parts]
    return Indexed(pointwise(expression, factors, tuple(scope.sizes[label] for label in labels)), labels)


def total(parts: Sequence[tuple[int, Indexed]], scope: Scope) -> Indexed:
    """Return a signed sum."""
    expression = sympy.Add(*[sign * argument(k) for k, (sign, _) in enumerate(parts)])
    return combine(expression, [part for _, part in parts], scope)


def reduce_over(kind: str, body: Indexed, bound: Labels, scope: Scope) -> Indexed:
    """Return sum, mean, max or logsumexp of an indexed value over the bound labels."""
    kept = tuple(label for label in body.labels if label not in bound)
    missing = [label for label in bound if label not in body.labels]
    if kind in ("sum", "mean"):
        sizes = {label: scope.sizes[label] for label in (*body.labels, *missing)}
        node = contract([(body.node, body.labels)], kept, sizes)
        if kind == "mean":
            count = sympy.Mul(*[scope.sizes[label] for label in bound])
            node = pointwise(argument(0) / count, [(node, tuple(range(node.rank)))], node.shape)
        return Indexed(node, kept)
    order = (*kept, *[label for label in body.labels if label in bound])
    place = {label: k for k, label in enumerate(order)}
    sizes_in_order = [scope.sizes[label] for label in order]
    labels = tuple(place[label] for label in body.labels)
    if len(order) == len(kept):
        node = body.node
    else:
        node = reduction(kind, body.node, labels, len(kept), sizes_in_order)
    if kind == "logsumexp" and missing:
        count = sympy.Mul(*[scope.sizes[label] for label in missing])
        node = pointwise(argument(0) + sympy.log(count), [(node, tuple(range(node.rank)))], node.shape)
    return Indexed(node, kept)


def index_value(name: str, scope: Scope) -> Indexed:
    """Return an index used as a value."""
    label = scope.labels[name]
    return Indexed(coordinate(scope.sizes[label]), (label,))


# ---------------------------------------------------------------- subscripts


@dataclass(frozen=True)
class Affine:
    """``offset`` + the sum of coefficient × index + the sum of coefficient × integer tensor."""

    offset: sympy.Expr
    indices: Mapping[int, sympy.Expr] = field(default_factory=dict)
    lookups: tuple[tuple[sympy.Expr, Indexed], ...] = ()

    def plus(self, other: Affine, sign: int = 1) -> Affine:
        """The sum or difference."""
        merged = dict(self.indices)
        for label, coefficient in other.indices.items():
            merged[label] = merged.get(label, sympy.S.Zero) + sign * coefficient
        merged = {label: c for label, c in merged.items() if c != 0}
        lookups = self.lookups + tuple((sign * c, value) for c, value in other.lookups)
        return Affine(self.offset + sign * other.offset, merged, lookups)

    def times(self, number: sympy.Expr) -> Affine:
        """The product with a number or size."""
        return Affine(
            self.offset * number,
            {label: c * number for label, c in self.indices.items()},
            tuple((c * number, value) for c, value in self.lookups),
        )

    @property
    def is_constant(self) -> bool:
        """Whether it depends on no index and no tensor."""
        return not self.indices and not self.lookups

    @property
    def plain(self) -> int | None:
        """The label, where it is one index alone."""
        if self.offset == 0 and not self.lookups and len(self.indices) == 1:
            ((label, coefficient),) = self.indices.items()
            return label if coefficient == 1 else None
        return None

    def condition(
        self, scope: Scope, relation: str, leading: Size | None = None, leading_label: int | None = None
    ) -> Indexed:
        """Return the indicator of ``self relation 0``, or of ``axis - self relation 0`` for a leading axis of that size."""
        labels = sorted({*self.indices, *(label for _, value in self.lookups for label in value.labels)})
        shift = 0 if leading is None else 1
        place = {label: k + shift for k, label in enumerate(labels)}
        expression = self.offset + sum(
            (c * axis(place[label]) for label, c in self.indices.items()), start=sympy.S.Zero
        )
        operands: list[Factor] = []
        for coefficient, value in self.lookups:
            expression += coefficient * argument(len(operands))
            operands.append((value.node, tuple(place[label] for label in value.labels)))
        shape = tuple(scope.sizes[label] for label in labels)
        if leading is None:
            return Indexed(indicator(relation, expression, shape, operands), tuple(labels))
        assert leading_label is not None
        node = indicator(relation, axis(0) - expression, (leading, *shape), operands)
        return Indexed(node, (leading_label, *labels))

    def bounds(self, scope: Scope) -> tuple[sympy.Expr, sympy.Expr] | None:
        """Return the least and the greatest value, or None where a tensor decides."""
        if self.lookups:
            return None
        low = high = self.offset
        for label, coefficient in self.indices.items():
            reach = coefficient * (scope.sizes[label] - 1)
            if coefficient.is_positive:
                high += reach
            else:
                low += reach
        return sympy.expand(low), sympy.expand(high)


def subscripted(base: Node, subscripts: Sequence[Affine], scope: Scope) -> Indexed:
    """Return ``base[subscripts]``: plain indices label its axes, other subscripts are index maps."""
    fresh = max(scope.sizes, default=-1) + 1
    sizes = dict(scope.sizes)
    labels: list[int] = []
    factors: list[Factor] = []
    for size, subscript in zip(base.shape, subscripts, strict=True):
        label = subscript.plain
        if label is None:
            label, fresh = fresh, fresh + 1
            sizes[label] = size
            found = subscript.condition(scope, "==", size, label)
            factors.append((found.node, found.labels))
        labels.append(label)
    used = sorted({label for ls in (tuple(labels), *(ls for _, ls in factors)) for label in ls if label in scope.sizes})
    node = contract([(base, tuple(labels)), *factors], tuple(used), {label: sizes[label] for label in {*labels, *used}})
    return Indexed(node, tuple(used))


def choose(condition: Indexed, yes: Indexed, no: Indexed, scope: Scope) -> Indexed:
    """Return ``where(condition, yes, no)`` for a 0/1-valued condition."""
    return combine(where(argument(0), argument(1), argument(2)), [condition, yes, no], scope)


def compare(operator: str, left: Indexed, right: Indexed, scope: Scope) -> Indexed:
    """Return the 0/1 value of a comparison of values."""
    a, b = argument(0), argument(1)
    expression = {
        ">": positive(a - b),
        "<": positive(b - a),
        ">=": nonnegative(a - b),
        "<=": nonnegative(b - a),
        "==": equals(a - b),
        "!=": 1 - equals(a - b),
    }[operator]
    return combine(expression, [left, right], scope)


def compare_indices(operator: str, left: Affine, right: Affine, scope: Scope) -> Indexed:
    """Return the indicator of a comparison of index expressions, which are whole numbers."""
    difference = left.plus(right, -1)
    one = Affine(sympy.S.One)
    if operator == "!=":
        same = difference.condition(scope, "==")
        return combine(1 - argument(0), [same], scope)
    relation, affine = {
        "==": ("==", difference),
        ">=": (">=", difference),
        "<=": (">=", difference.times(sympy.S.NegativeOne)),
        ">": (">=", difference.plus(one, -1)),
        "<": (">=", difference.times(sympy.S.NegativeOne).plus(one, -1)),
    }[operator]
    return affine.condition(scope, relation)


# ---------------------------------------------------------------- ranges


@dataclass(frozen=True)
class Use:
    """One subscript: the size of the axis, and the coefficients of the names in it."""

    size: Size
    offset: sympy.Expr
    coefficients: Mapping[str, sympy.Expr]


def infer_ranges(wanted: Sequence[str], uses: Sequence[Use], known: Mapping[str, Size]) -> dict[str, Size]:
    """Return the sizes of indices: of the axis an index subscripts alone, else the longest that keeps every subscript inside.

    Indices for which nothing says a range are missing from the answer.
    """
    sizes: dict[str, Size] = {}
    for name in wanted:
        alone = [u.size for u in uses if u.offset == 0 and dict(u.coefficients) == {name: sympy.S.One}]
        if alone:
            sizes[name] = alone[0]
    progress = True
    while progress:
        progress = False
        for name in wanted:
            if name in sizes:
                continue
            limits = []
            for use in uses:
                coefficient = use.coefficients.get(name)
                others = {**known, **sizes}
                if coefficient is None or not coefficient.is_positive:
                    continue
                rest = [other for other in use.coefficients if other != name]
                if any(other not in others for other in rest):
                    break
                reach = use.offset + sum(
                    (
                        use.coefficients[other] * (others[other] - 1)
                        for other in rest
                        if use.coefficients[other].is_positive
                    ),
                    start=sympy.S.Zero,
                )
                limits.append(sympy.expand(sympy.floor(sympy.expand(use.size - 1 - reach) / coefficient) + 1))
            else:
                if limits:
                    distinct = list(dict.fromkeys(limits))
                    sizes[name] = distinct[0] if len(distinct) == 1 else sympy.Min(*distinct)
                    progress = True
    return sizes


def leaves_axis(affine: Affine, size: Size, scope: Scope, defaults: Mapping[str, int]) -> bool:
    """Tell whether a subscript leaves its axis: provably, or at the default sizes."""
    bounds = affine.bounds(scope)
    if bounds is None:
        return False
    low, high = bounds
    return any(_positive_at(expression, defaults) for expression in (-low, sympy.expand(high - size + 1)))


def _positive_at(expression: sympy.Expr, defaults: Mapping[str, int]) -> bool:
    if expression.is_number:
        return bool(expression > 0)
    if any(symbol.name not in defaults for symbol in expression.free_symbols):
        return bool(expression.is_positive)
    number = expression.xreplace({symbol: sympy.Integer(defaults[symbol.name]) for symbol in expression.free_symbols})
    return bool(number > 0)
