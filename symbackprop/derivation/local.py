"""Local derivatives: how the value of one equation moves with each value in it.

No rule of its own: what an equation sends back is linear in the cotangent of its value, so an identity in the cotangent's
place gives the whole Jacobian. The identity has the axes of the value twice; the first of them become leading axes.
"""

from __future__ import annotations

import sympy

from symbackprop.derivation.reverse import pull_back
from symbackprop.graph.build import constant, contract, leaf, pointwise
from symbackprop.graph.lift import lift
from symbackprop.graph.model import Equation
from symbackprop.graph.names import cotangent_name
from symbackprop.graph.nodes import Indicator, Node, Pointwise, argument
from symbackprop.graph.operations import identity
from symbackprop.graph.walk import substitute
from symbackprop.simplify.engine import Simplifier


def local_derivatives(equation: Equation, active: frozenset[str], simplifier: Simplifier) -> dict[str, Node]:
    """Return the derivatives of an equation's value by the active leaves in it: axes of the value, then axes of the leaf."""
    shape = equation.node.shape
    cotangent = leaf("cotangent", cotangent_name(equation.name), shape)
    derivatives = {}
    for source, sent_back in pull_back(equation.node, cotangent, active).items():
        node, placed = simplifier.simplify(sent_back), cotangent
        depends = True
        for size in reversed(shape):
            wider = leaf("cotangent", cotangent.name, (size, *placed.shape))
            node, depends = lift(node, {placed: wider}, size)
            placed = wider
        if not depends:  # the simplifier found that it is 0
            node = constant(0, (*shape, *source.shape))
        pairs = [(identity(size).node, (axis, axis + len(shape))) for axis, size in enumerate(shape)]
        unit = contract(pairs, tuple(range(2 * len(shape))), (*shape, *shape))
        derivatives[source.name] = _apart(simplifier.simplify(substitute(node, {placed: unit})))
    return derivatives


def _apart(node: Node) -> Node:
    """Write an identity as a term of its own: diag(p) - p pᵀ, not p ⊙ (I - 1 pᵀ)."""
    if not isinstance(node, Pointwise) or not node.expression.is_Mul:
        return node
    marks = {argument(k) for k, operand in enumerate(node.operands) if isinstance(operand, Indicator)}
    if not any(part.is_Add and part.free_symbols & marks for part in node.expression.args):
        return node
    return pointwise(sympy.expand_mul(node.expression), list(zip(node.operands, node.labels, strict=True)), node.shape)
