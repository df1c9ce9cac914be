"""The order of operands and of labels: it depends on nothing but what an expression says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from typing import TypeAlias

from symbackprop.graph.nodes import Labels, Leaf, Node

Factor: TypeAlias = tuple[Node, Labels]
"""An operand and the labels its axes run along."""

READ = 100
"""The most operands that are looked at to choose an orientation."""

TRIED = 24
"""The most orders of operands that the key cannot tell apart which are tried."""


def order_key(factor: Factor) -> tuple[object, ...]:
    """Sort leaves before the rest, few axes before many, and names (of an expression's largest leaf) as people do."""
    node, labels = factor
    leaf = node
    while leaf.operands:
        leaf = max(leaf.operands, key=lambda operand: operand.rank)
    name = (leaf.kind, natural(leaf.name)) if isinstance(leaf, Leaf) else ("~", ())
    return (node.family != "leaf", node.family, len(labels), labels, name, node.key)


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts W2 before W10."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for character in name:
        if character.isascii() and character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((-1, character))
    if digits:
        parts.append((int(digits), ""))
    return tuple(parts)


def reading(root: Node) -> tuple[object, ...]:
    """Return a key that is smaller for the orientation of an expression that reads more of its tensors as they are given."""
    labels: list[Labels] = []
    pending = [root]
    while pending and len(labels) < READ:
        node = pending.pop()
        labels += node.labels
        pending.extend(reversed([operand for operand in node.operands if operand.operands]))
    return (sum(list(own) != sorted(own) for own in labels), labels, root.key)


def numbered(
    operands: list[Factor], place: Mapping[int, int], symmetries: Callable[[Node], list[tuple[int, ...]]]
) -> tuple[list[Factor], tuple[Labels, ...], list[int]]:
    """Order the operands of a contraction and number its labels: those of ``place`` as given, the rest from there on.

    ``symmetries`` gives the groups of axes along which an operand is symmetric. Returns the operands in order, their new
    labels, and the old labels that are summed, in order.
    """
    rank = len(place)

    def shallow(factor: Factor) -> tuple[object, ...]:
        node, labels = factor
        return order_key((node, _exchanged(node, tuple(place.get(label, rank) for label in labels), symmetries)))

    best: tuple[tuple[Labels, ...], list[Factor], list[int]] | None = None
    for candidate in _tied_orders([(shallow(factor), factor) for factor in operands]):
        numbering = dict(place)
        for _, labels in candidate:
            for label in labels:
                numbering.setdefault(label, len(numbering))
        renamed = tuple(
            _exchanged(node, tuple(numbering[label] for label in labels), symmetries) for node, labels in candidate
        )
        if best is None or renamed < best[0]:
            best = renamed, candidate, [label for label in numbering if label not in place]
    assert best is not None
    return best[1], best[0], best[2]


def _exchanged(node: Node, labels: Labels, symmetries: Callable[[Node], list[tuple[int, ...]]]) -> Labels:
    """Sort the labels along which the operand is symmetric."""
    result = list(labels)
    for group in symmetries(node):
        for position, label in zip(group, sorted(labels[p] for p in group), strict=True):
            result[position] = label
    return tuple(result)


def _tied_orders(keyed: list[tuple[tuple[object, ...], Factor]]) -> Iterable[list[Factor]]:
    """The orders that differ only among operands of equal keys."""
    groups: list[tuple[tuple[object, ...], list[Factor]]] = []
    for key, factor in sorted(keyed, key=lambda item: item[0]):
        if groups and groups[-1][0] == key:
            groups[-1][1].append(factor)
        else:
            groups.append((key, [factor]))
    results: list[list[Factor]] = [[]]
    for _, group in groups:
        choices = list(permutations(group)) if len(group) <= 4 else [tuple(group)]
        if len(results) * len(choices) > TRIED:
            choices = [tuple(group)]
        results = [result + list(choice) for result in results for choice in choices]
    return results
