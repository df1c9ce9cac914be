"""Scalar functions as SymPy functions: the primitives with kinks, and functions named by a formula or left open.

SymPy differentiates; what it gets wrong is replaced here by functions of our own: Heaviside, DiracDelta, Abs and Max
never appear. Conditions are 0/1-valued functions (`positive`, `nonnegative`, `equals`) whose derivative is 0.
Conventions at kinks (stated once, here): relu'(0) = 0, |.|'(0) = 0, a maximum shares a tie equally.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, TypeAlias

import sympy

Expr: TypeAlias = sympy.Expr


class Primitive(sympy.Function):
    """A scalar function that the evaluator and the kernels know how to compute."""

    title: ClassVar[str]


class positive(Primitive):  # noqa: N801  (SymPy prints the class name)
    """[u > 0]: 1 where u is positive, else 0."""

    title = "positive"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        return _condition(u, lambda number: number > 0)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        return sympy.S.Zero


class nonnegative(Primitive):  # noqa: N801
    """[u >= 0]."""

    title = "nonnegative"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        return _condition(u, lambda number: number >= 0)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        return sympy.S.Zero


class equals(Primitive):  # noqa: N801
    """[u = 0]."""

    title = "equals"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        if u.could_extract_minus_sign():
            return cls(-u)
        return _condition(u, lambda number: number == 0)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        return sympy.S.Zero


def _condition(u: Expr, holds: Any) -> Expr | None:
    if u.is_number and u.is_comparable:
        return sympy.S.One if holds(u) else sympy.S.Zero
    return None


class sign(Primitive):  # noqa: N801
    """The sign of u, 0 at 0. Its derivative is 0 everywhere, never a DiracDelta."""

    title = "sign"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        if u.is_number and u.is_comparable:
            return sympy.sign(u)
        return -cls(-u) if u.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        return sympy.S.Zero


class absolute(Primitive):  # noqa: N801
    """The absolute value, with derivative sign(u), which is 0 at 0."""

    title = "abs"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        if u.is_number and u.is_comparable:
            return abs(u)
        return cls(-u) if u.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        return sign(self.args[0])


class tanh(sympy.Function):  # noqa: N801
    """The hyperbolic tangent. SymPy's own takes time exponential in the nesting of its argument."""

    title: ClassVar[str] = "tanh"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        if u.is_number and u.is_comparable:
            return sympy.tanh(u)
        return -cls(-u) if u.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative, written through the value."""
        return 1 - self**2


class where(Primitive):  # noqa: N801
    """where(c, a, b): a where the 0/1-valued c is 1, else b; the branch not taken contributes nothing, not even nan."""

    title = "where"

    @classmethod
    def eval(cls, c: Expr, a: Expr, b: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        if c == 1 or a == b:
            return a
        if c == 0:
            return b
        if a == 1 and b == 0:
            return c
        if b == 0 and isinstance(c, positive | nonnegative) and c.args[0] == a:
            return relu(a)
        if isinstance(a, where) and a.args[0] == c:
            return cls(c, a.args[1], b)
        if isinstance(b, where) and b.args[0] == c:
            return cls(c, a, b.args[2])
        return None

    def _eval_derivative(self, symbol: sympy.Symbol) -> Expr:
        c, a, b = self.args
        return where(c, a.diff(symbol), b.diff(symbol))


class guarded(Primitive):  # noqa: N801
    """u, but 1 where u is 0: a divisor whose numerator is 0 there. It prints as u."""

    title = "guarded"

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        return (sympy.S.One if u == 0 else u) if u.is_number else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative, which is that of u."""
        return sympy.S.One


class maximum(Primitive):  # noqa: N801
    """The largest of its arguments; the derivative shares a tie equally among the winners."""

    title = "max"

    @classmethod
    def eval(cls, *values: Expr) -> Expr | None:
        """Return the simpler form, if there is one."""
        flat: list[Expr] = []
        for value in values:
            for part in value.args if isinstance(value, cls) else (value,):
                if part not in flat:
                    flat.append(part)
        numbers = [value for value in flat if value.is_number and value.is_comparable]
        if len(numbers) > 1:
            flat = [value for value in flat if value not in numbers] + [max(numbers)]
        flat.sort(key=sympy.default_sort_key)
        if len(flat) == 1:
            return flat[0]
        if len(flat) == 2 and sympy.S.Zero in flat:
            return relu(flat[1] if flat[0] == 0 else flat[0])
        return cls(*flat) if tuple(flat) != values else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        winners = [equals(value - self) for value in self.args]
        return winners[argindex - 1] / sympy.Add(*winners)


class minimum(Primitive):  # noqa: N801
    """The smallest of its arguments, which is -max(-u, ...)."""

    title = "min"

    @classmethod
    def eval(cls, *values: Expr) -> Expr:
        """Return the simpler form, if there is one."""
        return -maximum(*[-value for value in values])


class ScalarFunction(sympy.Function):
    """A function with a name: given by a formula (`body` in `parameters`), or open (`body` is None).

    The first `visible` parameters are printed as arguments; the rest are hyper-parameters and parameters that the
    formula reads. `stable` says that evaluator and kernels compute it by a rule of their own, not by its formula.
    """

    title: ClassVar[str]
    parameters: ClassVar[tuple[sympy.Symbol, ...]]
    body: ClassVar[Expr | None]
    visible: ClassVar[int]
    stable: ClassVar[bool]
    derivative_of: ClassVar[tuple[type[ScalarFunction], int] | None]

    @classmethod
    def eval(cls, *arguments: Expr) -> Expr | None:
        """Return the value at numbers, where there is a formula."""
        if cls.body is None or not all(argument.is_number and argument.is_comparable for argument in arguments):
            return None
        return cls.body.xreplace(dict(zip(cls.parameters, arguments, strict=True)))

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by that argument (counted from 1)."""
        function: Any = type(self)
        return derivative(function, argindex - 1)(*self.args)

    def expand_definition(self) -> Expr:
        """The formula with the arguments put in; the call itself where the function is open."""
        body = type(self).body
        if body is None:
            return self
        return body.xreplace(dict(zip(type(self).parameters, self.args, strict=True)))


_functions: dict[tuple[Any, ...], type[ScalarFunction]] = {}


def define(
    title: str,
    parameters: tuple[sympy.Symbol, ...],
    body: Expr | None,
    *,
    visible: int | None = None,
    stable: bool = False,
    derivative_of: tuple[type[ScalarFunction], int] | None = None,
) -> type[ScalarFunction]:
    """Return the function of that name and formula: the same class whenever both are the same."""
    identity = (title, parameters, body, visible, derivative_of)
    if identity not in _functions:
        members = {
            "title": title,
            "parameters": parameters,
            "body": body,
            "visible": len(parameters) if visible is None else visible,
            "stable": stable,
            "derivative_of": derivative_of,
            "nargs": len(parameters),
        }
        _functions[identity] = type(title, (ScalarFunction,), members)
    return _functions[identity]


_CASES = (positive, nonnegative, equals, where, maximum)
"""Primitives that tell cases apart: a derivative with one of them is given a name."""

_u = sympy.Symbol("u")
sigmoid = define("sigmoid", (_u,), 1 / (1 + sympy.exp(-_u)), stable=True)
softplus = define("softplus", (_u,), sympy.log(1 + sympy.exp(_u)), stable=True)
relu = define("relu", (_u,), maximum(_u, sympy.S.Zero, evaluate=False), stable=True)
_relu_prime = define("relu′", (_u,), positive(_u), derivative_of=(relu, 0))


@cache
def derivative(function: Any, position: int) -> Any:
    """Return the partial derivative of a named function as a callable of the function's arguments.

    It is written through the function's own value where that is shorter (tanh' = 1 - a^2), in full where it is as
    short as its name would be (sigmoid(o) - y), and otherwise as a named function of its own (gelu') whose formula is
    SymPy's derivative.
    """
    if function is relu:
        return _relu_prime
    symbol = function.parameters[position]
    title = (
        function.title + "′" if function.visible == 1 and position == 0 else f"∂{_subscript(position)}{function.title}"
    )
    if function.body is None:
        return define(title, function.parameters, None, visible=function.visible, derivative_of=(function, position))
    from symbackprop.functions.scalar_rules import through_value, tidy

    body = tidy(differentiate(function.body, symbol))
    through = through_value(function, position, body)
    if through is None and sympy.count_ops(body) <= function.visible and not body.has(*_CASES):
        through = body
    if through is not None:
        return lambda *arguments: through.xreplace(dict(zip(function.parameters, arguments, strict=True)))
    return define(title, function.parameters, body, visible=function.visible, derivative_of=(function, position))


@cache
def differentiate(expression: Expr, symbol: sympy.Symbol) -> Expr:
    """SymPy's derivative, remembered."""
    return expression.diff(symbol)


@cache
def partial_derivatives(expression: Expr) -> dict[sympy.Symbol, Expr]:
    """Return the derivative by every symbol at once.

    Sums and products are taken apart here and their parts left to SymPy, so that a sum of n terms costs n, not n^2.
    """
    if not expression.is_Add and not expression.is_Mul:
        symbols = sorted(expression.free_symbols, key=lambda symbol: symbol.name)
        return {symbol: differentiate(expression, symbol) for symbol in symbols}
    parts: dict[sympy.Symbol, list[Expr]] = {}
    for part in expression.args:
        rest = (
            sympy.S.One if expression.is_Add else sympy.Mul(*[other for other in expression.args if other is not part])
        )
        for symbol, slope in partial_derivatives(part).items():
            parts.setdefault(symbol, []).append(rest * slope)
    return {symbol: sympy.Add(*terms) for symbol, terms in parts.items()}


def _subscript(position: int) -> str:
    return "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(position + 1))


def kinked(expression: sympy.Expr) -> bool:
    """Tell whether a function with a kink is called, in an expression or in the formula of a function it calls."""
    if expression.has(positive, nonnegative, equals, sign, absolute, maximum, minimum, relu):
        return True
    calls = [part.func for part in expression.atoms(ScalarFunction)]
    return any(function.body is not None and kinked(function.body) for function in calls)
