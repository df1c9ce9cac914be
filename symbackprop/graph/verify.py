"""Verification of a graph, run after every pass."""

from __future__ import annotations

from symbackprop.errors import SymbackpropError
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import Contraction, Leaf, Node, Pointwise, Reduction, argument
from symbackprop.graph.sizes import Size, same_size
from symbackprop.graph.walk import topological


class GraphError(SymbackpropError):
    """A graph breaks its own rules: a defect of the package, never of the user's input."""


def verify(graph: Graph) -> Graph:
    """Return the graph after checking names, labels and sizes. Raises GraphError."""
    known: dict[str, Leaf] = dict(graph.declared)
    if len(known) != len(graph.declarations):
        raise GraphError("a tensor is declared twice")
    checked: set[Node] = set()
    for equation in graph.equations:
        for node in topological([equation.node]):
            if node in checked:
                continue
            checked.add(node)
            if isinstance(node, Leaf):
                expected = known.get(node.name)
                if expected is None:
                    raise GraphError(f"{equation.name} refers to {node.name}, which is not defined before it")
                if expected is not node:
                    raise GraphError(f"{equation.name} refers to {node!r}, but {node.name} is {expected!r}")
            else:
                _verify_labels(node, graph)
        if equation.name in known:
            raise GraphError(f"{equation.name} is defined twice")
        known[equation.name] = equation.reference
    return graph


def _verify_labels(node: Node, graph: Graph) -> None:
    if isinstance(node, Pointwise):
        sizes = node.shape
        if node.expression.free_symbols & {argument(len(node.operands) + extra) for extra in range(3)}:
            raise GraphError(f"{node!r} uses an operand it does not have")
    elif isinstance(node, Contraction | Reduction):
        sizes = node.label_sizes
        used = {label for labels in node.labels for label in labels}
        if not set(range(node.rank, len(sizes))) <= used:
            raise GraphError(f"{node!r} sums over a label that no operand has")
    else:
        return
    for operand, labels in zip(node.operands, node.labels, strict=True):
        if len(labels) != operand.rank:
            raise GraphError(f"{node!r}: {len(labels)} labels for an operand of rank {operand.rank}")
        for size, label in zip(operand.shape, labels, strict=True):
            if label >= len(sizes) or not _equal(size, sizes[label], graph):
                raise GraphError(f"{node!r}: an axis of size {size} runs along label {label}")


def _equal(left: Size, right: Size, graph: Graph) -> bool:
    return same_size(left, right) or any(
        {left, right} == set(pair)
        or same_size(left - right, pair[0] - pair[1])
        or same_size(right - left, pair[0] - pair[1])
        for pair in graph.constraints
    )
