"""Formulas of scalars, the bodies of functions, lowered to SymPy expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy

from symbackprop.functions.scalar import (
    ScalarFunction,
    derivative,
    equals,
    nonnegative,
    positive,
)
from symbackprop.language import syntax
from symbackprop.language.parser import parse_formula
from symbackprop.language.walk import walk

Function = Callable[..., Any]

COMPARISONS: Mapping[str, Callable[[sympy.Expr, sympy.Expr], sympy.Expr]] = {
    ">": lambda a, b: positive(a - b),
    "<": lambda a, b: positive(b - a),
    ">=": lambda a, b: nonnegative(a - b),
    "<=": lambda a, b: nonnegative(b - a),
    "==": lambda a, b: equals(a - b),
    "!=": lambda a, b: 1 - equals(a - b),
}


def nth_derivative(function: Function, order: int) -> Function:
    """Return the order-th derivative of a function of one visible argument."""
    result = function
    for _ in range(order):
        result = _derived(result)
    return result


def _derived(function: Any) -> Function:
    named: Any = function
    if isinstance(function, type) and issubclass(function, ScalarFunction):
        return derivative(named, 0)
    variable = sympy.Symbol("u")
    slope = function(variable).diff(variable)
    return lambda argument, *rest: slope.xreplace({variable: argument})


def formula_names(text: str, parameters: tuple[str, ...], flag: str) -> list[str]:
    """Return the names a formula reads besides its parameters, in order. Raises EquationError where it is no formula."""
    names = [part.name for part in walk(parse_formula(text, flag)) if isinstance(part, syntax.Name)]
    return [name for name in dict.fromkeys(names) if name not in parameters]
