"""The normal form of a scalar expression over operands: neighbours fused, operands distinct, used and in order."""

from __future__ import annotations

from functools import cache

import sympy

from symbackprop.functions.scalar_rules import oriented, tidy
from symbackprop.graph.nodes import Indicator, Pointwise, argument
from symbackprop.graph.ordering import Factor, order_key

FUSION_LIMIT = 400
"""Operations beyond which two pointwise nodes stay two."""


DEPTH_LIMIT = 40
"""Nesting beyond which they stay two: SymPy recurses over an expression."""


@cache
def nesting(expression: sympy.Expr) -> int:
    """How deep a scalar expression is nested."""
    return 1 + max(map(nesting, expression.args), default=0)


@cache
def operation_count(expression: sympy.Expr) -> int:
    """The number of nodes of a scalar expression."""
    return 1 + sum(operation_count(part) for part in expression.args)


def fused(expression: sympy.Expr, operands: list[Factor]) -> tuple[sympy.Expr, list[Factor]]:
    """Put the expressions of pointwise operands in their places."""
    if all(not isinstance(node, Pointwise) for node, _ in operands):
        return expression, operands
    flat: list[Factor] = []
    replacement: dict[sympy.Symbol, sympy.Expr] = {}
    size, depth = operation_count(expression), nesting(expression)
    for position, (node, labels) in enumerate(operands):
        fits = isinstance(node, Pointwise)
        if isinstance(node, Pointwise):
            size += operation_count(node.expression)
            fits = size <= FUSION_LIMIT and depth + nesting(node.expression) <= DEPTH_LIMIT or not node.operands
        if not fits:
            replacement[argument(position)] = argument(len(flat))
            flat.append((node, labels))
            continue
        assert isinstance(node, Pointwise)
        inner: dict[sympy.Symbol, sympy.Expr] = {}
        for place, (operand, own) in enumerate(zip(node.operands, node.labels, strict=True)):
            inner[argument(place)] = argument(len(flat))
            flat.append((operand, tuple(labels[label] for label in own)))
        replacement[argument(position)] = node.expression.xreplace(inner)
    return expression.xreplace(replacement), flat


def arranged(expression: sympy.Expr, operands: list[Factor]) -> tuple[sympy.Expr, list[Factor]]:
    """Keep each operand that the expression reads once, in order; a 0/1 operand is its own square."""
    while True:
        present = expression.free_symbols
        unique: dict[Factor, int] = {}
        for position, factor in enumerate(operands):
            if argument(position) in present:
                unique.setdefault(factor, position)
        ordered = sorted(unique, key=order_key) if len(unique) > 1 else list(unique)
        place = {factor: position for position, factor in enumerate(ordered)}
        renumber = {argument(p): argument(place[f]) for p, f in enumerate(operands) if f in place}
        merged = len(renumber) != len(unique)
        expression = expression.xreplace({old: new for old, new in renumber.items() if old != new})
        operands = ordered
        for position, (node, _) in enumerate(operands):
            if isinstance(node, Indicator):
                expression = _idempotent(expression, argument(position))
        if not merged:
            return oriented(expression), operands
        expression = tidy(expression)  # where two operands became one, more may cancel


def _idempotent(expression: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    return expression.replace(
        lambda part: part.is_Pow and part.base == symbol and part.exp.is_positive, lambda part: symbol
    )
