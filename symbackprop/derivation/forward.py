"""Forward mode: the equations of the tangents, first value first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symbackprop.derivation.rules import linearise
from symbackprop.graph.build import add
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.names import tangent_name
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
    tangents: Mapping[str, Leaf],
    simplify: Callable[[Equation], Equation] = lambda equation: equation,
    naming: Callable[[str], str] = tangent_name,
) -> Graph:
    """Append the equations of the directional derivatives along ``tangents`` (by name of declared tensor) to the graph.

    Each tangent equation stands right after the equation it is the tangent of. ``naming`` names it; a graph that holds
    the tangents along one direction needs other names for those along a second.
    """
    known: dict[str, Node] = dict(tangents)
    equations: list[Equation] = []
    for equation in graph.equations:
        equations.append(equation)
        moved = push_forward(equation.node, known)
        if moved is not None:
            tangent = simplify(Equation(naming(equation.name), moved, equation.indices))
            equations.append(tangent)
            known[equation.name] = tangent.reference
    return verify(Graph(graph.declarations + tuple(tangents.values()), tuple(equations), graph.constraints))
