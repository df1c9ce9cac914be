"""Local derivatives: how the value of one equation moves with each value in it.

No rule of its own: what an equation sends back is linear in the cotangent of its value, so an identity in the cotangent's
place gives the whole Jacobian. The identity has the axes of the value twice; the first of them become leading axes.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from symbackprop.derivation.reverse import pull_back
from symbackprop.graph.build import constant, contract, leaf, pointwise
from symbackprop.graph.lift import lift
from symbackprop.graph.model import Equation
from symbackprop.graph.names import Cotangent
from symbackprop.graph.nodes import Indicator, Leaf, Node, Pointwise, argument
from symbackprop.graph.operations import identity
from symbackprop.graph.sizes import Shape
from symbackprop.graph.walk import substitute
from symbackprop.simplify.engine import Simplifier


def local_derivatives(equation: Equation, active: frozenset[str], simplifier: Simplifier) -> dict[str, Node]:
    """Return the derivatives of an equation's value by the active leaves in it: axes of the value, then axes of the leaf."""
    shape = equation.node.shape
    cotangent = leaf("cotangent", Cotangent(equation.name).name, shape)
    derivatives = {}
    for source, sent_back in pull_back(equation.node, cotangent, active).items():
        node = over_columns(simplifier.simplify(sent_back), {cotangent: unit(shape)}, shape)
        derivatives[source.name] = apart(simplifier.simplify(node))
    return derivatives


def over_columns(node: Node, tensors: Mapping[Leaf, Node], columns: Shape) -> Node:
    """Return an expression that is linear in some leaves with tensors in their place, which have the axes ``columns`` before.

    The result has these axes first too.
    """
    placed: dict[Node, Leaf] = {leaf: leaf for leaf in tensors}
    depends = True
    for size in reversed(columns):
        wider = {given: leaf(now.kind, now.name, (size, *now.shape)) for given, now in placed.items()}
        node, depends = lift(node, {placed[given]: wide for given, wide in wider.items()}, size)
        placed = dict(wider)
    if not depends:  # no leaf is in it: what is linear in them is 0
        return constant(0, (*columns, *node.shape))
    return substitute(node, {placed[given]: tensor for given, tensor in tensors.items()})


def unit(shape: Shape) -> Node:
    """The identity of tensors of a shape, whose axes it has twice."""
    pairs = [(identity(size).node, (axis, axis + len(shape))) for axis, size in enumerate(shape)]
    return contract(pairs, tuple(range(2 * len(shape))), (*shape, *shape))


def apart(node: Node) -> Node:
    """Write an identity as a term of its own: diag(p) - p pᵀ, not p ⊙ (I - 1 pᵀ)."""
    if not isinstance(node, Pointwise) or not node.expression.is_Mul:
        return node
    marks = {argument(k) for k, operand in enumerate(node.operands) if isinstance(operand, Indicator)}
    if not any(part.is_Add and part.free_symbols & marks for part in node.expression.args):
        return node
    return pointwise(sympy.expand_mul(node.expression), list(zip(node.operands, node.labels, strict=True)), node.shape)
