"""Comparisons of scalars as 0/1 values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy

from symbackprop.functions.scalar import equals, nonnegative, positive

COMPARISONS: Mapping[str, Callable[[sympy.Expr, sympy.Expr], sympy.Expr]] = {
    ">": lambda a, b: positive(a - b),
    "<": lambda a, b: positive(b - a),
    ">=": lambda a, b: nonnegative(a - b),
    "<=": lambda a, b: nonnegative(b - a),
    "==": lambda a, b: equals(a - b),
    "!=": lambda a, b: 1 - equals(a - b),
}

OPPOSITE: Mapping[str, str] = {">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "=="}
"""The operator that holds where the other does not."""
