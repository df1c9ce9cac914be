"""Stable spellings across names: the logarithm of a named softmax or sigmoid is taken from its definition.

``p = softmax(o)`` and ``L = -sum(y ⊙ log(p))`` is what people write; at logits of 800 its p is 0 and its logarithm
-inf. The logarithm of an exponential is known without computing either.
"""

from __future__ import annotations

from dataclasses import replace

import sympy

from symbackprop.functions.scalar import sigmoid
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph.build import pointwise
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import Leaf, Node, Pointwise, argument
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import rewrite


def stabilise(graph: Graph) -> Graph:
    """Return the graph with logarithms of named exponentials and sigmoids written through what they are made of."""
    definitions = {equation.reference: equation.node for equation in graph.equations}
    equations = tuple(
        replace(equation, node=rewrite(equation.node, lambda node: _written_out(node, definitions)))
        for equation in graph.equations
    )
    return verify(replace(graph, equations=equations))


def _written_out(node: Node, definitions: dict[Leaf, Node]) -> Node | None:
    if not isinstance(node, Pointwise) or not node.expression.has(sympy.log):
        return None
    factors = list(zip(node.operands, node.labels, strict=True))
    expression, changed = node.expression, False
    for position, (operand, labels) in enumerate(tuple(factors)):
        definition = definitions.get(operand) if isinstance(operand, Leaf) else None
        if not isinstance(definition, Pointwise) or not definition.expression.has(sympy.exp, sigmoid):
            continue
        inner = {argument(k): argument(len(factors) + k) for k in range(len(definition.operands))}
        meaning = definition.expression.xreplace(inner)
        logarithms = [part for part in expression.atoms(sympy.log) if part.has(argument(position))]
        for logarithm in sorted(logarithms, key=sympy.default_sort_key):
            known = tidy(logarithm.xreplace({argument(position): meaning}))
            if not known.has(sympy.log):
                expression = expression.xreplace({logarithm: known})
                changed = True
        factors += [
            (part, tuple(labels[label] for label in own))
            for part, own in zip(definition.operands, definition.labels, strict=True)
        ]
    return pointwise(expression, factors, node.shape) if changed else None
