"""Symbolic sizes of axes: SymPy integer expressions in the names of dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import sympy

from symbackprop.errors import SizeError

Size: TypeAlias = sympy.Expr
Shape: TypeAlias = tuple[sympy.Expr, ...]

USUAL = 64
"""What a dimension without a default is taken to be where two ways of computing are weighed."""


def dimension(name: str) -> sympy.Symbol:
    """Return the symbol of the dimension ``name``: the one constructor, so that equal names are equal symbols."""
    return sympy.Symbol(name, integer=True, positive=True)


def is_dimension(symbol: sympy.Basic) -> bool:
    """Tell whether an expression is the symbol of a dimension."""
    return isinstance(symbol, sympy.Symbol) and symbol == dimension(symbol.name)


def exact(value: int | sympy.Expr) -> sympy.Expr:
    """Return a whole number or an expression as an expression. Raises SizeError for anything else, floats and text included."""
    if isinstance(value, sympy.Expr):
        return value
    if isinstance(value, int):
        return sympy.Integer(value)
    raise SizeError(
        f"{value!r} is no exact number: numbers in equations are whole numbers, fractions or SymPy expressions"
    )


def same_size(left: Size, right: Size) -> bool:
    """Tell whether two sizes are provably equal."""
    return bool(left == right or sympy.expand(left - right) == 0)


def differ(left: Size, right: Size) -> bool:
    """Tell whether two sizes are provably different (their difference is a number other than 0)."""
    if left == right:
        return False
    difference = sympy.expand(left - right)
    return bool(difference.is_number and difference != 0)


def size_value(size: Size, values: Mapping[str, int]) -> int:
    """Return the number a size takes where every dimension has a value.

    Raises SizeError when a dimension has no value or the result is not a positive integer.
    """
    if size.is_Integer:
        return int(size)
    missing = sorted(symbol.name for symbol in size.free_symbols if symbol.name not in values)
    if missing:
        raise SizeError(f"no size is given for {', '.join(missing)}")
    number = size.xreplace({symbol: sympy.Integer(values[symbol.name]) for symbol in size.free_symbols})
    if not number.is_Integer or number <= 0:
        raise SizeError(f"the size {size} is {number}, which is not a positive integer")
    return int(number)


def usual_value(size: Size, defaults: Mapping[str, int | None]) -> int:
    """Return a size, or a number of entries, at the default sizes: to weigh ways of computing, not to allocate by."""
    values = {symbol: sympy.Integer(defaults.get(symbol.name) or USUAL) for symbol in size.free_symbols}
    return max(1, int(size.xreplace(values)))


def solved(condition: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr | None:
    """Return what ``condition = 0`` says that a symbol is; None where its coefficient is neither 1 nor -1."""
    coefficient = condition.coeff(symbol)
    return sympy.expand(symbol - condition / coefficient) if coefficient in (1, -1) else None


def format_shape(shape: Shape) -> str:
    """Return a shape as a reader writes it: ``h × d``, or ``scalar``."""
    return " × ".join(str(size) for size in shape) if shape else "scalar"
