"""Index conditions within a sum of products: an equality of two labels renames one, a certain one sums to 1."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import sympy

from symbackprop.graph.nodes import Indicator, Labels, Leaf, Node, argument, axis
from symbackprop.graph.ordering import Factor
from symbackprop.graph.sizes import Shape, Size, same_size


def without_equalities(
    factors: list[Factor], summed: set[int], sizes: Mapping[int, Size]
) -> tuple[list[Factor], set[int]]:
    """Sum out the labels that an index condition determines. Returns the factors left and the labels gone.

    The sum over i of [i = j] f(i) is f(j), where both have one size; the sum over i of [i = g] is 1, where g
    is sure to lie within the range of i.
    """
    gone: set[int] = set()
    place = 0
    while place < len(factors):
        factor = factors[place]
        others = factors[:place] + factors[place + 1 :]
        pair = _renaming(factor, summed - gone)
        if pair is not None:
            old, new = pair
            factors = [(node, tuple(new if label == old else label for label in labels)) for node, labels in others]
            gone.add(old)
            place = 0
            continue
        certain = _certain(factor, others, summed - gone, sizes)
        if certain is not None:
            factors = others
            gone.add(certain)
            place = 0
            continue
        place += 1
    return factors, gone


def is_identity(node: Node) -> bool:
    """Tell whether a node is the identity matrix [i = j]."""
    return (
        isinstance(node, Indicator)
        and node.relation == "=="
        and not node.operands
        and node.rank == 2
        and node.shape[0] == node.shape[1]
        and node.condition in (axis(0) - axis(1), axis(1) - axis(0))
    )


def _renaming(factor: Factor, summed: set[int]) -> tuple[int, int] | None:
    """The label to rename and the one it equals, for the indicator [i = j] of two axes of one size."""
    node, labels = factor
    if not is_identity(node):
        return None
    old = next((label for label in labels if label in summed), None)
    if old is None or labels[0] == labels[1]:
        return None
    return old, labels[1] if labels[0] == old else labels[0]


def _certain(factor: Factor, others: list[Factor], summed: set[int], sizes: Mapping[int, Size]) -> int | None:
    """The summed label that nothing but this indicator runs along, where exactly one position fulfils it."""
    node, labels = factor
    if not isinstance(node, Indicator):
        return None
    for position, label in enumerate(labels):
        if label not in summed or labels.count(label) > 1 or any(label in own for _, own in others):
            continue
        wanted = node.place(position)
        if wanted is not None and _inside(wanted, node, sizes[label]):
            return label
    return None


def _inside(wanted: sympy.Expr, node: Indicator, size: Size) -> bool:
    """Tell whether an affine position is sure to lie between 0 and size - 1."""
    classes = {argument(k): o.classes for k, o in enumerate(node.operands) if isinstance(o, Leaf)}
    if wanted in classes:
        count = classes[wanted]
        return count is not None and same_size(count, size)
    low = high = wanted
    for k, length in enumerate(node.shape):
        coefficient = wanted.coeff(axis(k))
        if not coefficient.is_number:
            return False
        first, last = (0, length - 1) if coefficient >= 0 else (length - 1, 0)
        low, high = low.xreplace({axis(k): sympy.S(first)}), high.xreplace({axis(k): sympy.S(last)})
    if any(symbol in classes for symbol in low.free_symbols):
        return False
    return bool(sympy.expand(low).is_nonnegative and sympy.expand(size - 1 - high).is_nonnegative)


@cache
def axis_order(relation: str, condition: sympy.Expr, shape: Shape, operands: tuple[Labels, ...]) -> tuple[AxisKey, ...]:
    """Return the axes of an indicator in their normal order, each with what tells it from the others.

    For [p = 2 i + a] that is p, i, a. Axes that differ in nothing but their position can be exchanged.
    """
    signs = (1, -1) if relation == "==" else (1,)
    return min(
        (_axis_keys(sign * condition, shape, operands) for sign in signs), key=lambda keys: [key[0] for key in keys]
    )


AxisKey: TypeAlias = tuple[tuple[object, ...], int]


def _axis_keys(condition: sympy.Expr, shape: Shape, operands: tuple[Labels, ...]) -> tuple[AxisKey, ...]:
    coefficients = [condition.coeff(axis(position)) for position in range(len(shape))]
    positive = sum(coefficient.could_extract_minus_sign() is False and coefficient != 0 for coefficient in coefficients)
    offset = condition.xreplace({axis(position): sympy.S.Zero for position in range(len(shape))})
    keys = []
    for position, (coefficient, size) in enumerate(zip(coefficients, shape, strict=True)):
        read = tuple(
            (k, place) for k, own in enumerate(operands) for place, label in enumerate(own) if label == position
        )
        rising = not coefficient.could_extract_minus_sign()
        weight = -abs(coefficient) if coefficient.is_number else 0
        own_key = (-positive, str(offset), rising, weight, str(coefficient), -sympy.count_ops(size), str(size), read)
        keys.append((own_key, position))
    return tuple(sorted(keys))


def exchangeable(node: Node) -> list[tuple[int, ...]]:
    """Return the groups of axes of an indicator along which it is symmetric."""
    if not isinstance(node, Indicator):
        return []
    if is_identity(node):
        return [(0, 1)]
    groups: dict[tuple[object, ...], list[int]] = {}
    for key, position in axis_order(node.relation, node.condition, node.shape, node.labels):
        groups.setdefault(key, []).append(position)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def separate_repeated(output: Labels, sizes: dict[int, Size]) -> tuple[Labels, list[tuple[int, int]]]:
    """Give a repeated label of the output a fresh one; return the pairs that must be equal."""
    seen: list[int] = []
    pairs: list[tuple[int, int]] = []
    for label in output:
        if label in seen:
            fresh = max(sizes) + 1
            sizes[fresh] = sizes[label]
            pairs.append((label, fresh))
            seen.append(fresh)
        else:
            seen.append(label)
    return tuple(seen), pairs


def components(factors: list[Factor], summed: set[int]) -> list[list[Factor]]:
    """Part the factors so that no two parts share a summed label."""
    groups: list[tuple[set[int], list[Factor]]] = []
    for factor in factors:
        own = set(factor[1]) & summed
        together = [factor]
        rest: list[tuple[set[int], list[Factor]]] = []
        for labels, members in groups:
            if labels & own:
                own |= labels
                together = members + together
            else:
                rest.append((labels, members))
        groups = [*rest, (own, together)]
    return [members for _, members in groups]
