"""Spelling scalar expressions so that they take few passes over the data."""

from __future__ import annotations

from functools import cache

import sympy


@cache
def in_few_passes(expression: sympy.Expr) -> sympy.Expr:
    """Return a scalar expression so spelled that it takes few passes over the data.

    A polynomial in one value is written by Horner's rule, and a number in front of one goes into its coefficients.
    """
    if expression.is_Mul:
        number, rest = expression.as_independent(*_values(expression), as_Add=False)
        polynomials = [factor for factor in sympy.Mul.make_args(rest) if _is_polynomial(factor)]
        if number != 1 and polynomials:
            inside = in_few_passes(sympy.expand(number * polynomials[0]))
            others = [factor for factor in sympy.Mul.make_args(rest) if factor is not polynomials[0]]
            return sympy.Mul(inside, *others, evaluate=False) if others else inside
    if expression.is_Add and _is_polynomial(expression):
        (symbol,) = _values(expression)
        if sympy.degree(expression, symbol) > 2:
            return sympy.horner(expression, symbol)
    return expression


def _values(expression: sympy.Expr) -> list[sympy.Symbol]:
    return [symbol for symbol in expression.free_symbols if symbol.name.startswith("_")]


def _is_polynomial(expression: sympy.Expr) -> bool:
    """Tell whether an expression is a sum of multiples of powers of one value, the multiples numbers."""
    values = _values(expression)
    return expression.is_Add and len(values) == 1 == len(expression.free_symbols) and expression.is_polynomial(*values)
