"""What can be proved about an index: between which values an affine expression of indices lies."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from symbackprop.graph.sizes import Size


def bounds(expression: sympy.Expr, sizes: Mapping[sympy.Basic, Size]) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Return the smallest and the largest value of an affine expression of indices from 0 to size - 1.

    The coefficients are whole numbers; what is no index stands for itself. None where it is not affine.
    """
    expression = sympy.expand(expression)
    low = high = expression.xreplace(dict.fromkeys(sizes, sympy.S.Zero))
    rest = expression - low
    for index, size in sizes.items():
        coefficient = expression.coeff(index)
        rest -= coefficient * index
        if not coefficient.is_Integer:
            return None
        if coefficient > 0:
            high += coefficient * (size - 1)
        else:
            low += coefficient * (size - 1)
    if sympy.expand(rest) != 0:
        return None
    return low, high


def surely_nonnegative(expression: sympy.Expr) -> bool:
    """Tell whether an expression in sizes is provably at least 0 (every dimension being at least 1)."""
    symbols = sorted(expression.free_symbols, key=lambda symbol: str(symbol.name))
    if any(not symbol.is_positive for symbol in symbols):
        return False
    moved = sympy.expand(expression.xreplace({symbol: symbol + 1 for symbol in symbols}))
    if not symbols:
        return bool(moved.is_nonnegative)
    if not moved.is_polynomial(*symbols):
        return False
    return all(coefficient.is_nonnegative for coefficient in sympy.Poly(moved, *symbols).coeffs())
