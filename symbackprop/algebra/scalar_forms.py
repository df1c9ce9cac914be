"""Scalar expressions of the graph in SymPy's own functions: relu is Max(0, u), a condition is a Piecewise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy

from symbackprop.functions import scalar


def in_sympy(expression: sympy.Expr, known: Mapping[sympy.Basic, Any]) -> Any:
    """Return a scalar expression with values put in for its symbols and SymPy's functions for our own.

    Functions given by a formula become their formula; an open one stays a Function of its name, as does its
    derivative phi′.
    """
    done: dict[sympy.Basic, Any] = dict(known)
    for part in sympy.postorder_traversal(expression):
        if part not in done:
            done[part] = _call(part, [done[inner] for inner in part.args]) if part.args else part
    return done[expression]


def _call(part: sympy.Basic, values: list[Any]) -> Any:
    if isinstance(part, scalar.ScalarFunction):
        if part.func in _SPELLED:
            return _SPELLED[part.func](*values)
        if part.func.body is None:
            return sympy.Function(part.func.title)(*values)
        return in_sympy(part.func.body, dict(zip(part.func.parameters, values, strict=True)))
    if part.func in _SPELLED:
        return _SPELLED[part.func](*values)
    return part.func(*values)


def one_where(condition: Any) -> Any:
    """Return 1 where the condition holds, else 0."""
    return sympy.Piecewise((sympy.S.One, condition), (sympy.S.Zero, True))


def condition_of(value: Any) -> Any:
    """Return the condition under which a 0/1-valued expression is 1."""
    if isinstance(value, sympy.Piecewise) and len(value.args) == 2:
        (one, condition), (zero, rest) = value.args
        if one == 1 and zero == 0 and rest == True:  # noqa: E712  (SymPy's true)
            return condition
    if isinstance(value, sympy.KroneckerDelta):
        return sympy.Eq(*value.args)
    if isinstance(value, sympy.Mul):
        return sympy.And(*[condition_of(factor) for factor in value.args])
    return sympy.Gt(value, sympy.Rational(1, 2))


def _where(condition: Any, yes: Any, no: Any) -> Any:
    return sympy.Piecewise((yes, condition_of(condition)), (no, True))


def _maximum(*values: Any) -> Any:
    return sympy.Max(*values, evaluate=len(values) <= 3)  # comparing many arguments takes SymPy minutes


_SPELLED: dict[Any, Callable[..., Any]] = {
    scalar.relu: lambda u: sympy.Max(0, u),
    scalar.maximum: _maximum,
    scalar.tanh: sympy.tanh,
    scalar.absolute: sympy.Abs,
    scalar.guarded: lambda u: u,
    scalar.sign: sympy.sign,
    scalar.where: _where,
    scalar.positive: lambda u: one_where(sympy.Gt(u, 0)),
    scalar.nonnegative: lambda u: one_where(sympy.Ge(u, 0)),
    scalar.equals: lambda u: one_where(sympy.Eq(u, 0)),
}
