"""Forward mode: the equations of the tangents, first value first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symbackprop.derivation.rules import linearise
from symbackprop.graph.build import add
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.names import Tangent
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import topological


def push_forward(root: Node, tangents: Mapping[str, Node]) -> Node | None:
    """Return the tangent of one expression, given those of the leaves by name; None where it does not move."""
    moved: dict[Node, Node] = {}
    for node in topological([root]):
        if isinstance(node, Leaf):
            if node.name in tangents:
                moved[node] = tangents[node.name]
        elif any(operand in moved for operand in node.operands):
            terms = [
                term.forward(moved[node.operands[term.position]])
                for term in linearise(node)
                if node.operands[term.position] in moved
            ]
            if terms:
                moved[node] = add(terms, node.shape)
    return moved.get(root)


def forward(
    graph: Graph,
    tangents: Mapping[str, Leaf | None],
    simplify: Callable[[Equation], Equation] = lambda equation: equation,
    naming: Callable[[str], str] = lambda name: Tangent(name).name,
) -> Graph:
    """Append the equations of the directional derivatives along ``tangents`` to the graph, after all others.

    ``tangents`` gives the tangents of declared tensors, and of values that are not to be derived (None: they do not move).
    ``naming`` names the new equations. A tangent that the graph already holds is not derived again: the graph of a
    derivative along a direction, derived along the same direction, gives the next derivative along it.
    """
    known: dict[str, Node] = {name: node for name, node in tangents.items() if node is not None}
    made: list[Equation] = []
    for equation in graph.equations:
        if equation.name in tangents:
            continue
        if naming(equation.name) in graph.by_name:
            known[equation.name] = graph.reference(naming(equation.name))
            continue
        moved = push_forward(equation.node, known)
        if moved is not None:
            made.append(simplify(Equation(naming(equation.name), moved, equation.indices)))
            known[equation.name] = made[-1].reference
    new = [node for node in known.values() if isinstance(node, Leaf) and node.kind == "tangent"]
    declared = tuple(node for node in new if node.name not in graph.declared)
    return verify(Graph(graph.declarations + declared, graph.equations + tuple(made), graph.constraints))
