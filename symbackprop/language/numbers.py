"""Numbers that stay numbers: exact, and within the range of double precision."""

from __future__ import annotations

import sympy

from symbackprop.errors import SizeError
from symbackprop.graph.nodes import Indicator, Node, Pointwise
from symbackprop.graph.operations import POWER_LIMIT

BIT_LIMIT = 4_000
"""Bits of a numerator or denominator."""
RANGE = 1_000
"""Powers of two: with these a float is neither infinite nor 0."""


def bounded(expression: sympy.Expr) -> sympy.Expr:
    """Return an expression after looking at its numbers. Raises SizeError where one is out of range."""
    if expression.is_Rational:
        _check(expression)
    elif expression.args:
        for number in expression.atoms(sympy.Rational):
            _check(number)
    return expression


def bounded_node(node: Node) -> Node:
    """Return a node after looking at the numbers of its own expression."""
    if isinstance(node, Pointwise):
        bounded(node.expression)
    elif isinstance(node, Indicator):
        bounded(node.condition)
    return node


def bounded_exponent(exponent: sympy.Expr) -> sympy.Expr:
    """Return an exponent. Raises SizeError where it is too large to be meant."""
    if exponent.is_Rational and abs(exponent) > POWER_LIMIT:
        raise SizeError("this exponent is too large")
    return exponent


def _check(number: sympy.Rational) -> None:
    above, below = abs(number.p).bit_length(), number.q.bit_length()
    if max(above, below) > BIT_LIMIT or (number and abs(above - below) > RANGE):
        raise SizeError("a number here has too many digits for double precision")
