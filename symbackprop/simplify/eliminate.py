"""Elimination of statistics: the cotangents of a mean or a deviation the user named, where the answer is shorter without."""

from __future__ import annotations

from collections.abc import Mapping

from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Contraction, Leaf, Node, Pointwise, Reduction
from symbackprop.graph.walk import substitute, topological
from symbackprop.simplify.cost import cost, total_cost
from symbackprop.simplify.engine import Simplifier


def eliminate_statistics(
    graph: Graph, backward: Mapping[str, str], simplifier: Simplifier
) -> tuple[dict[str, Node], tuple[str, ...]]:
    """Put the cotangents of statistics into the equations that read them, where that makes those shorter.

    ``backward`` maps the name of each cotangent to the value it belongs to. A statistic is a value that sums over an
    axis and is broadcast along it wherever it is read. Returns the new right-hand sides by name, and the names
    of the equations that are no longer needed.
    """
    changed: dict[str, Node] = {}
    gone: list[str] = []
    by_name = graph.by_name
    users = _readers(graph, backward)
    named_statistics = statistics(graph, backward)
    for name, value in backward.items():
        if value not in named_statistics:
            continue
        node = changed.get(name, by_name[name].node)
        if not node.operands or not users.get(name):
            continue
        reference = by_name[name].reference
        before = {user: changed.get(user, by_name[user].node) for user in users[name]}
        after = {user: simplifier.simplify(substitute(old, {reference: node})) for user, old in before.items()}
        if total_cost(after.values()) < total_cost(before.values()) + cost(node):
            changed.update(after)
            gone.append(name)
            for user in after:
                for leaf in topological([after[user]]):
                    if isinstance(leaf, Leaf) and leaf.name in backward and user not in users.setdefault(leaf.name, []):
                        users[leaf.name].append(user)
    return {name: node for name, node in changed.items() if name not in gone}, tuple(gone)


def _readers(graph: Graph, backward: Mapping[str, str]) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {}
    for equation in graph.equations:
        if equation.name in backward:
            for name in sorted(graph.influences[equation.name]):
                if name in backward:
                    readers.setdefault(name, []).append(equation.name)
    return readers


def statistics(graph: Graph, backward: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the values that sum over an axis and are broadcast wherever the model's equations read them.

    A value that only statistics of its own shape are made of (a variance, of which a deviation is made) is one too.
    """
    forward = [equation for equation in graph.equations if equation.name not in backward]
    summaries: set[str] = set()
    readers: dict[str, list[Equation]] = {}
    for equation in forward:
        below = graph.influences[equation.name]
        of_summaries = any(name in summaries and graph.by_name[name].node.rank == equation.node.rank for name in below)
        if of_summaries or any(isinstance(node, Contraction | Reduction) for node in topological([equation.node])):
            summaries.add(equation.name)
        for name in below:
            readers.setdefault(name, []).append(equation)
    found: set[str] = set()
    for equation in reversed(forward):
        reference, reading = equation.reference, readers.get(equation.name, [])
        if (
            equation.name in summaries
            and reading
            and all(
                _broadcasts(reader.node, reference)
                or (reader.name in found and reader.node.rank == reference.rank and isinstance(reader.node, Pointwise))
                for reader in reading
            )
        ):
            found.add(equation.name)
    return frozenset(found)


def _broadcasts(root: Node, reference: Leaf) -> bool:
    """Tell whether an expression reads a value only along more axes than it has, or sums such a reading at once."""
    uses = [node for node in topological([root]) if reference in node.operands]
    return bool(uses) and all(isinstance(node, Pointwise) and node.rank > reference.rank for node in uses)
