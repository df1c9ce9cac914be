"""Reverse mode: the equations of the cotangents, last value first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy

from symbackprop.derivation.rules import linearise
from symbackprop.graph.build import add, constant, is_constant
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.names import Adjoint
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import topological


@dataclass(frozen=True)
class Contribution:
    """What one equation sends back to a value: through the equation ``consumer``, the term ``node``."""

    consumer: str
    node: Node


@dataclass(frozen=True)
class Gradients:
    """The graph with the backward equations appended, and why each of them holds.

    value_of maps the names of the new equations, in order, to the values they are the cotangents of; contributions gives,
    for each of them, the terms added up, before simplification.
    """

    graph: Graph
    value_of: Mapping[str, str]
    contributions: Mapping[str, tuple[Contribution, ...]]

    @property
    def backward(self) -> tuple[str, ...]:
        """The names of the new equations, in order."""
        return tuple(self.value_of)


Simplify = Callable[[Equation], Equation]


def pull_back(root: Node, cotangent: Node, active: frozenset[str]) -> dict[Leaf, Node]:
    """Return the cotangents of the active leaves of one expression, for a cotangent of its value."""
    order = topological([root])
    depends: set[Node] = set()
    for node in order:
        if (isinstance(node, Leaf) and node.name in active) or any(operand in depends for operand in node.operands):
            depends.add(node)
    parts: dict[Node, list[Node]] = {root: [cotangent]}
    result: dict[Leaf, Node] = {}
    for node in reversed(order):
        if node not in depends or node not in parts:
            continue
        total = add(parts.pop(node), node.shape)
        if isinstance(node, Leaf):
            result[node] = total
            continue
        for term in linearise(node):
            operand = node.operands[term.position]
            if operand in depends:
                parts.setdefault(operand, []).append(term.reverse(total))
    return {node: result[node] for node in order if isinstance(node, Leaf) and node in result}


def reverse(
    graph: Graph,
    target: str,
    by: tuple[str, ...],
    seed: Node | None = None,
    simplify: Simplify = lambda equation: equation,
    objective: str | None = None,
) -> Gradients:
    """Append the equations of the derivatives of ``target`` to the graph.

    ``by`` names the declared tensors to differentiate by; every named value between them and the target gets its
    equation too. ``seed`` is the cotangent of the target, 1 where it is a scalar objective. ``objective`` is the
    name that stands above the line, the target's if not given.
    """
    above = objective or target
    active = graph.depends_on(frozenset(by)) & graph.needed_for(frozenset({target}))
    consumers: dict[str, list[Contribution]] = {}
    start = seed if seed is not None else constant(sympy.S.One, graph.reference(target).shape)
    equations: list[Equation] = []
    contributions: dict[str, tuple[Contribution, ...]] = {}
    value_of: dict[str, str] = {}

    def finish(leaf: Leaf, indices: tuple[str, ...]) -> Node:
        terms = tuple(consumers.pop(leaf.name, ()))
        total = start if leaf.name == target else add([term.node for term in terms], leaf.shape)
        equation = simplify(Equation(Adjoint(above, leaf.name).name, total, indices))
        equations.append(equation)
        contributions[equation.name] = terms
        value_of[equation.name] = leaf.name
        return equation.node if is_constant(equation.node) or equation.node is seed else equation.reference

    for equation in reversed(graph.equations):
        if equation.name not in active or (equation.name != target and equation.name not in consumers):
            continue
        cotangent = finish(equation.reference, equation.indices)
        for source, node in pull_back(equation.node, cotangent, active).items():
            consumers.setdefault(source.name, []).append(Contribution(equation.name, node))
    for name in by:
        finish(graph.reference(name), ())
    extended = Graph(graph.declarations, graph.equations + tuple(equations), graph.constraints)
    return Gradients(verify(extended), value_of, contributions)
