"""Stable spellings across names: the logarithm of a named softmax, sigmoid or determinant is taken from its definition.

``p = softmax(o)`` and ``L = -sum(y ⊙ log(p))`` is what people write; at logits of 800 its p is 0 and its logarithm
-inf. The logarithm of an exponential is known without computing either.
"""

from __future__ import annotations

from dataclasses import replace

import sympy

from symbackprop.functions.scalar import sigmoid
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph.build import Factor, contract, matrix_function, pointwise, split_product
from symbackprop.graph.equalities import without_equalities
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import Contraction, Indicator, Leaf, MatrixFunction, Node, Pointwise, argument
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


def _logarithm(node: Node, definitions: dict[Leaf, Node]) -> Node | None:
    """The logarithm of an entry of a named exponential, or of a determinant, without computing those."""
    meaning = definitions.get(node, node) if isinstance(node, Leaf) else node
    if isinstance(meaning, MatrixFunction) and meaning.kind == "det":
        return matrix_function("logdet", meaning.operands[0])
    if not isinstance(meaning, Contraction):
        return None
    factors: list[Factor] = []
    for operand, labels in zip(meaning.operands, meaning.labels, strict=True):
        number, parts = (
            split_product(operand) if isinstance(operand, Pointwise) else (1, [(operand, range(operand.rank))])
        )
        factors += [(part, tuple(labels[label] for label in own)) for part, own in parts]
        if number != 1:
            return None
    chosen = [factor for factor in factors if not isinstance(factor[0], Indicator)]
    conditions = [factor for factor in factors if factor not in chosen]
    summed = set(range(meaning.rank, len(meaning.label_sizes)))
    one_entry = without_equalities(conditions, summed, dict(enumerate(meaning.label_sizes)))[1] == summed
    if len(chosen) != 1 or not one_entry:
        return None
    (operand, labels), symbol = chosen[0], argument(0)
    logarithm = pointwise(sympy.log(symbol), [(operand, tuple(range(operand.rank)))], operand.shape)
    known = _written_out(logarithm, definitions)
    if known is None:
        return None
    return contract([(known, labels), *conditions], tuple(range(meaning.rank)), meaning.label_sizes)


def _written_out(node: Node, definitions: dict[Leaf, Node]) -> Node | None:
    if not isinstance(node, Pointwise) or not node.expression.has(sympy.log):
        return None
    factors = list(zip(node.operands, node.labels, strict=True))
    expression, changed = node.expression, False
    for position, (operand, labels) in enumerate(tuple(factors)):
        whole = _logarithm(operand, definitions) if expression.has(sympy.log(argument(position))) else None
        if whole is not None:
            expression = expression.xreplace({sympy.log(argument(position)): argument(len(factors))})
            factors.append((whole, labels))
            changed = True
            continue
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
