"""Walks over trees of nodes, all of them iterative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from symbackprop.graph.build import with_operands
from symbackprop.graph.nodes import Leaf, Node


def topological(roots: Iterable[Node]) -> list[Node]:
    """Return every node below the roots once, operands before their users, in a deterministic order."""
    order: list[Node] = []
    done: set[Node] = set()
    for root in roots:
        pending: list[tuple[Node, bool]] = [(root, False)]
        while pending:
            node, expanded = pending.pop()
            if expanded:
                order.append(node)
                continue
            if node in done:
                continue
            done.add(node)
            pending.append((node, True))
            pending.extend((operand, False) for operand in reversed(node.operands) if operand not in done)
    return order


def leaves(root: Node) -> list[Leaf]:
    """Return the leaves of an expression, each once, in order of appearance."""
    return [node for node in topological([root]) if isinstance(node, Leaf)]


def rewrite(root: Node, change: Callable[[Node], Node | None]) -> Node:
    """Rebuild an expression from its leaves up; ``change`` may replace each rebuilt node (None keeps it)."""
    new: dict[Node, Node] = {}
    for node in topological([root]):
        rebuilt = with_operands(node, [new[operand] for operand in node.operands])
        changed = change(rebuilt)
        new[node] = rebuilt if changed is None else changed
    return new[root]


def rewrite_down(root: Node, change: Callable[[Node], Node | None]) -> Node:
    """Replace the largest nodes that ``change`` replaces; what stands below a replaced node is not looked at."""
    replaced: dict[Node, Node] = {}
    pending, order, seen = [root], [], {root}
    while pending:
        node = pending.pop()
        changed = change(node)
        if changed is not None:
            replaced[node] = changed
            continue
        order.append(node)
        for operand in node.operands:
            if operand not in seen:
                seen.add(operand)
                pending.append(operand)
    return substitute(root, replaced) if replaced else root


def substitute(root: Node, replacements: Mapping[Node, Node]) -> Node:
    """Put other nodes of the same shapes in the place of some."""
    if not replacements:
        return root
    new: dict[Node, Node] = {}
    for node in topological([root]):
        new[node] = replacements.get(node) or with_operands(node, [new[operand] for operand in node.operands])
    return new[root]
