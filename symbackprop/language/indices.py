"""Values among indices: what a subscripted expression is worth for each setting of the indices bound around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from symbackprop.functions.scalar import where
from symbackprop.graph.build import Factor, contract, coordinate, pointwise, reduction
from symbackprop.graph.nodes import Labels, Node, argument
from symbackprop.graph.sizes import Size


@dataclass(frozen=True)
class Indexed:
    """A value for each setting of the bound indices it depends on: ``node``'s axes run along ``labels``."""

    node: Node
    labels: Labels = ()


@dataclass(frozen=True)
class Scope:
    """The bound indices: their labels, the size of each label, and what the `where`s around say about them."""

    labels: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[int, Size] = field(default_factory=dict)
    facts: tuple[Any, ...] = ()

    @property
    def next_label(self) -> int:
        """The first label that is not taken."""
        return max(self.sizes, default=-1) + 1

    def bound(self, names: Sequence[str], sizes: Sequence[Size]) -> tuple[Scope, Labels]:
        """Return the scope with further indices, and their labels, which are consecutive."""
        start = self.next_label
        fresh = tuple(range(start, start + len(names)))
        labels = {**self.labels, **dict(zip(names, fresh, strict=True))}
        return Scope(labels, {**self.sizes, **dict(zip(fresh, sizes, strict=True))}, self.facts), fresh


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


def choose(condition: Indexed, yes: Indexed, no: Indexed, scope: Scope) -> Indexed:
    """Return ``where(condition, yes, no)`` for a 0/1-valued condition."""
    return combine(where(argument(0), argument(1), argument(2)), [condition, yes, no], scope)


def index_value(name: str, scope: Scope) -> Indexed:
    """Return an index used as a value."""
    label = scope.labels[name]
    return Indexed(coordinate(scope.sizes[label]), (label,))


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
    node = body.node if len(order) == len(kept) else reduction(kind, body.node, labels, len(kept), sizes_in_order)
    if kind == "logsumexp" and missing:
        count = sympy.Mul(*[scope.sizes[label] for label in missing])
        node = pointwise(argument(0) + sympy.log(count), [(node, tuple(range(node.rank)))], node.shape)
    return Indexed(node, kept)
