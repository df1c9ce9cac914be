"""Index expressions: sums of indices, whole numbers, sizes and integer tensors, as subscripts and in conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import sympy

from symbackprop.graph.build import Factor, contract, indicator
from symbackprop.graph.nodes import Leaf, Node, argument, axis
from symbackprop.graph.sizes import Size, dimension
from symbackprop.language import syntax
from symbackprop.language.indices import Indexed, Scope, combine
from symbackprop.language.names import Names


@dataclass(frozen=True)
class Lookup:
    """``coefficient`` times an entry of an integer tensor with values from 0 to classes - 1."""

    coefficient: sympy.Expr
    value: Indexed
    classes: Size


@dataclass(frozen=True)
class Affine:
    """``offset`` + the sum of coefficient × index + the lookups; indices are known by their labels."""

    offset: sympy.Expr
    indices: Mapping[int, sympy.Expr] = field(default_factory=dict)
    lookups: tuple[Lookup, ...] = ()

    def plus(self, other: Affine, sign: int = 1) -> Affine:
        """The sum or difference."""
        merged = dict(self.indices)
        for label, coefficient in other.indices.items():
            merged[label] = merged.get(label, sympy.S.Zero) + sign * coefficient
        lookups = (*self.lookups, *other.times(sympy.Integer(sign)).lookups)
        nonzero = {label: coefficient for label, coefficient in merged.items() if coefficient != 0}
        return Affine(self.offset + sign * other.offset, nonzero, lookups)

    def times(self, number: sympy.Expr) -> Affine:
        """The product with a number or size."""
        return Affine(
            self.offset * number,
            {label: coefficient * number for label, coefficient in self.indices.items()},
            tuple(Lookup(part.coefficient * number, part.value, part.classes) for part in self.lookups),
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

    def holds(self, scope: Scope, relation: str) -> Indexed:
        """Return the 0/1 value of ``self relation 0``; the relation is ``==`` or ``>=``."""
        labels, expression, operands = self._over(scope, 0)
        shape = tuple(scope.sizes[label] for label in labels)
        return Indexed(indicator(relation, expression, shape, operands), labels)

    def selects(self, scope: Scope, size: Size) -> tuple[Node, tuple[int, ...]]:
        """Return the 0/1 tensor of ``p == self``, for p along a leading axis of that size, and the labels of its other axes."""
        labels, expression, operands = self._over(scope, 1)
        shape = (size, *(scope.sizes[label] for label in labels))
        return indicator("==", axis(0) - expression, shape, operands), labels

    def _over(self, scope: Scope, leading: int) -> tuple[tuple[int, ...], sympy.Expr, list[Factor]]:
        labels = tuple(sorted({*self.indices, *(label for part in self.lookups for label in part.value.labels)}))
        place = {label: k + leading for k, label in enumerate(labels)}
        terms = [coefficient * axis(place[label]) for label, coefficient in self.indices.items()]
        terms += [part.coefficient * argument(k) for k, part in enumerate(self.lookups)]
        operands = [(part.value.node, tuple(place[label] for label in part.value.labels)) for part in self.lookups]
        return labels, sympy.Add(self.offset, *terms), operands


def read_affine(
    tree: syntax.Expression,
    labels: Mapping[str, int],
    names: Names,
    look_up: Callable[[syntax.Subscript], Indexed | None],
) -> Affine | None:
    """Return an index expression, or None where it is none. ``look_up`` gives the value of ``tok[t]``."""

    def read(part: syntax.Expression) -> Affine | None:
        return read_affine(part, labels, names, look_up)

    if isinstance(tree, syntax.Number):
        number = names.number(tree)
        return Affine(number) if number.is_Integer else None
    if isinstance(tree, syntax.Name) and tree.name in labels:
        return Affine(sympy.S.Zero, {labels[tree.name]: sympy.S.One})
    if isinstance(tree, syntax.Name | syntax.Subscript):
        return _read_value(tree, names, look_up)
    if isinstance(tree, syntax.Negation):
        inner = read(tree.operand)
        return None if inner is None else inner.times(sympy.S.NegativeOne)
    if isinstance(tree, syntax.Sum):
        result = Affine(sympy.S.Zero)
        for sign, term in tree.terms:
            inner = read(term)
            if inner is None:
                return None
            result = result.plus(inner, sign)
        return result
    if isinstance(tree, syntax.Product) and set(tree.operators) <= {"*"}:
        result = Affine(sympy.S.One)
        for factor in tree.factors:
            inner = read(factor)
            if inner is None or not (inner.is_constant or result.is_constant):
                return None
            result = result.times(inner.offset) if inner.is_constant else inner.times(result.offset)
        return result
    if isinstance(tree, syntax.Call) and tree.function in ("size", "floor"):
        return Affine(names.size_arithmetic(tree))
    return None


def _read_value(
    tree: syntax.Name | syntax.Subscript, names: Names, look_up: Callable[[syntax.Subscript], Indexed | None]
) -> Affine | None:
    base = tree.base if isinstance(tree, syntax.Subscript) else tree
    found = names.values.get(base.name) if isinstance(base, syntax.Name) else None
    if found is None:
        known = isinstance(tree, syntax.Name) and tree.name in names.dimensions
        return Affine(dimension(tree.name)) if known else None  # type: ignore[union-attr]
    if not isinstance(found.node, Leaf) or found.node.classes is None:
        return None
    if isinstance(tree, syntax.Name):
        value = Indexed(found.node) if found.node.rank == 0 else None
    else:
        value = look_up(tree)
    return None if value is None else Affine(sympy.S.Zero, {}, (Lookup(sympy.S.One, value, found.node.classes),))


def subscripted(base: Node, subscripts: Sequence[Affine], scope: Scope) -> Indexed:
    """Return ``base[subscripts]``: plain indices label its axes, other subscripts are index maps."""
    fresh = scope.next_label
    sizes = dict(scope.sizes)
    labels: list[int] = []
    factors: list[Factor] = []
    for size, subscript in zip(base.shape, subscripts, strict=True):
        label = subscript.plain
        if label is None:
            label, fresh = fresh, fresh + 1
            sizes[label] = size
            node, others = subscript.selects(scope, size)
            factors.append((node, (label, *others)))
        labels.append(label)
    used = sorted({label for ls in (tuple(labels), *(ls for _, ls in factors)) for label in ls if label in scope.sizes})
    node = contract([(base, tuple(labels)), *factors], tuple(used), {label: sizes[label] for label in {*labels, *used}})
    return Indexed(node, tuple(used))


@dataclass(frozen=True)
class Fact:
    """What holds inside a `where`: ``affine >= 0``, or ``affine != 0``."""

    affine: Affine
    relation: str


def facts_of(operator: str, left: Affine, right: Affine) -> tuple[Fact, ...]:
    """Return a comparison of whole numbers as facts, all of which hold."""
    difference = left.plus(right, -1)
    opposite, one = right.plus(left, -1), Affine(sympy.S.One)
    if operator == "!=":
        return (Fact(difference, "!="),)
    affine = {
        "==": (difference, opposite),
        ">=": (difference,),
        "<=": (opposite,),
        ">": (difference.plus(one, -1),),
        "<": (opposite.plus(one, -1),),
    }[operator]
    return tuple(Fact(part, ">=") for part in affine)


def compare_indices(operator: str, left: Affine, right: Affine, scope: Scope) -> Indexed:
    """Return the 0/1 value of a comparison of index expressions, which are whole numbers."""
    if operator in ("==", "!="):
        same = left.plus(right, -1).holds(scope, "==")
        return same if operator == "==" else combine(1 - argument(0), [same], scope)
    (fact,) = facts_of(operator, left, right)
    return fact.affine.holds(scope, ">=")
