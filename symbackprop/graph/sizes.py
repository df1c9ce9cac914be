"""Symbolic sizes of axes: SymPy integer expressions in the names of dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import sympy

from symbackprop.errors import SizeError

Size: TypeAlias = sympy.Expr
Shape: TypeAlias = tuple[sympy.Expr, ...]


def dimension(name: str) -> sympy.Symbol:
    """Return the symbol of the dimension ``name``: the one constructor, so that equal names are equal symbols."""
    return sympy.Symbol(name, integer=True, positive=True)


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


def format_shape(shape: Shape) -> str:
    """Return a shape as a reader writes it: ``h × d``, or ``scalar``."""
    return " × ".join(str(size) for size in shape) if shape else "scalar"
