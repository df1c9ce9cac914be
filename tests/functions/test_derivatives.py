"""Derivatives of every registered scalar function, first and second, against mpmath; at kinks, by the stated conventions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import symbackprop as sb
from symbackprop.functions import scalar
from symbackprop.functions.registry import ACTIVATIONS, ELEMENTARY, LOSSES, PENALTIES, POINTWISE
from symbackprop.functions.scalar import maximum, minimum, nonnegative, partial_derivatives, positive, relu, where
from symbackprop.functions.scalar_rules import oriented, through_value, tidy
from symbackprop.graph.evaluate import scalar_value
from symbackprop.graph.nodes import argument
from symbackprop.language.formula import formula_names
from symbackprop.language.vocabulary import ELEMENTWISE

_0, _1 = sympy.symbols("_0 _1")

CASES: dict[type[sympy.Basic], Callable[..., Any]] = {
    scalar.positive: lambda u: mpmath.mpf(u > 0),
    scalar.nonnegative: lambda u: mpmath.mpf(u >= 0),
    scalar.equals: lambda u: mpmath.mpf(u == 0),
    scalar.sign: mpmath.sign,
    scalar.absolute: abs,
    scalar.guarded: lambda u: u if u else mpmath.mpf(1),
    scalar.where: lambda c, a, b: a if c else b,
    scalar.maximum: max,
    scalar.relu: lambda u: max(u, mpmath.mpf(0)),
}
"""What the primitives mean, written without the package."""


def meaning(expression: sympy.Expr, known: dict[sympy.Symbol, Any]) -> Any:
    """The value of an expression in 40 digits, straight from its formula."""
    if expression in known:
        return known[expression]
    if expression.is_number and not expression.args:
        return mpmath.mpf(sympy.Float(expression, 50)._mpf_) if expression.is_comparable else mpmath.inf
    if isinstance(expression, scalar.where):
        chosen = 1 if meaning(expression.args[0], known) else 2
        return meaning(expression.args[chosen], known)
    values = [meaning(part, known) for part in expression.args]
    if expression.is_Add:
        return sum(values, mpmath.mpf(0))
    if expression.is_Mul:
        return mpmath.fprod(values)
    if expression.is_Pow:
        return values[0] ** (int(expression.exp) if expression.exp.is_Integer else values[1])
    if expression.func in CASES:
        return CASES[expression.func](*values)
    if isinstance(expression, scalar.ScalarFunction):
        return meaning(expression.expand_definition(), known)
    return getattr(mpmath, expression.func.__name__)(*values)


def arguments_of(name: str) -> int:
    return 2 if name in LOSSES else 1


POINTS = ([-2.7, -1.3, -0.4, 0.2, 0.9, 3.4], [0.3, -0.8, 1.6, 0.7, 0.45, -2.1])
LOGARITHMIC = ("log", "sqrt")


def points(name: str) -> list[tuple[float, ...]]:
    first = [abs(u) for u in POINTS[0]] if name in LOGARITHMIC else POINTS[0]
    return list(zip(first, POINTS[1], strict=True)) if arguments_of(name) == 2 else [(u,) for u in first]


@pytest.mark.parametrize("name", POINTWISE)
def test_first_and_second_derivatives(name: str) -> None:
    symbols = (_0, _1)[: arguments_of(name)]
    call = tidy(POINTWISE[name](*symbols))
    slopes = partial_derivatives(call)
    with mpmath.workdps(40):
        for point in points(name):
            exact = [mpmath.mpf(u) for u in point]
            known = dict(zip(symbols, exact, strict=True))
            floats = {symbol: np.asarray(u) for symbol, u in zip(symbols, point, strict=True)}
            assert close(scalar_value(call, floats, {}, np.float64), meaning(call, known))
            for k, symbol in enumerate(symbols):
                slope = tidy(slopes.get(symbol, sympy.S.Zero))
                wanted = mpmath.diff(
                    lambda *u: meaning(call, dict(zip(symbols, u, strict=True))), exact, order(k, symbols)
                )
                assert close(scalar_value(slope, floats, {}, np.float64), wanted), (name, point, slope)
                for j, other in enumerate(symbols):
                    second = tidy(partial_derivatives(slope).get(other, sympy.S.Zero))
                    wanted = mpmath.diff(
                        lambda *u, slope=slope: meaning(slope, dict(zip(symbols, u, strict=True))),
                        exact,
                        order(j, symbols),
                    )
                    assert close(scalar_value(second, floats, {}, np.float64), wanted), (name, point, second)


def order(position: int, symbols: tuple[sympy.Symbol, ...]) -> tuple[int, ...]:
    return tuple(int(k == position) for k in range(len(symbols)))


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> bool:
    return bool(abs(float(found) - float(wanted)) <= tolerance * max(1.0, abs(float(wanted))))


def test_the_registry_is_what_the_language_offers() -> None:
    assert set(ELEMENTWISE) == set(POINTWISE) - {"swish"}
    assert set(POINTWISE) == {*ACTIVATIONS, *ELEMENTARY, *LOSSES}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_name_their_hyper_parameters(name: str) -> None:
    penalty = PENALTIES[name]
    assert set(formula_names(penalty.formula, ("w",), "penalty")) == set(penalty.hypers)


# ---------------------------------------------------------------- kinks


def slope_at(expression: sympy.Expr, value: float) -> float:
    slope = partial_derivatives(tidy(expression)).get(_0, sympy.S.Zero)
    return float(scalar_value(tidy(slope), {_0: np.asarray(value)}, {}, np.float64))


RELUS = {
    "relu": relu(_0),
    "max(0, u)": maximum(sympy.S.Zero, _0),
    "max(u, 0)": maximum(_0, sympy.S.Zero),
    "where(u > 0, u, 0)": where(positive(_0), _0, sympy.S.Zero),
    "where(u >= 0, u, 0)": where(nonnegative(_0), _0, sympy.S.Zero),
    "-min(-u, 0)": -minimum(-_0, sympy.S.Zero),
}


@pytest.mark.parametrize("spelling", RELUS)
def test_all_spellings_of_relu_are_relu(spelling: str) -> None:
    assert RELUS[spelling] == relu(_0)
    assert [slope_at(RELUS[spelling], u) for u in (-1.0, 0.0, 2.0)] == [0.0, 0.0, 1.0]


def test_the_slope_of_the_magnitude_is_0_at_0() -> None:
    for spelling in (scalar.absolute(_0), sympy.sqrt(_0**2), sympy.Abs(_0)):
        assert [slope_at(spelling, u) for u in (-1.5, 0.0, 2.0)] == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_maximum_shares_a_tie_equally(count: int) -> None:
    symbols = sympy.symbols(f"_0:{count}")
    slopes = partial_derivatives(maximum(*symbols))
    tie = {symbol: np.asarray(0.5) for symbol in symbols}
    for symbol in symbols:
        assert float(scalar_value(slopes[symbol], tie, {}, np.float64)) == pytest.approx(1 / count, rel=1e-15)
    alone = {**tie, symbols[0]: np.asarray(0.75)}
    shares = [float(scalar_value(slopes[symbol], alone, {}, np.float64)) for symbol in symbols]
    assert shares == [1.0] + [0.0] * (count - 1)


@pytest.mark.parametrize(
    ("name", "kinks"),
    [("hardtanh", {-1: 0, 1: 0}), ("relu6", {0: 0, 6: 0}), ("hard_sigmoid", {-3: 0, 3: 0}), ("leaky_relu", {0: 0.01})],
)
def test_clipped_activations_are_flat_at_their_ends(name: str, kinks: dict[int, float]) -> None:
    for place, wanted in kinks.items():
        assert slope_at(ACTIVATIONS[name](_0), float(place)) == pytest.approx(wanted, abs=1e-15)


# ---------------------------------------------------------------- through the saved output


def rewritten() -> list[str]:
    """The activations whose derivative is written through their own value."""
    found = []
    for name, function in ACTIVATIONS.items():
        call = function(_0)
        if isinstance(call, scalar.ScalarFunction) and call.func.body is not None:
            body = tidy(call.func.body.diff(call.func.parameters[0]))
            if through_value(call.func, 0, body) is not None:
                found.append(name)
    return found


def test_some_derivatives_are_written_through_the_value() -> None:
    assert "sigmoid" in rewritten()


@pytest.mark.parametrize("name", rewritten())
def test_a_derivative_through_the_value_adds_no_pole(name: str) -> None:
    call = ACTIVATIONS[name](_0)
    body = tidy(call.func.body.diff(call.func.parameters[0]))
    through = through_value(call.func, 0, body)
    value = sympy.Symbol("value")
    assert through.xreplace({call.func(*call.func.parameters): value}).is_polynomial(value)
    for u in (-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0):
        with np.errstate(over="ignore", invalid="ignore"):  # of the branch not taken
            found = float(scalar_value(through, {call.func.parameters[0]: np.asarray(u)}, {}, np.float64))
        with mpmath.workdps(60):
            wanted = meaning(body, {call.func.parameters[0]: mpmath.mpf(u)})
        assert np.isfinite(found) and close(found, wanted, 1e-15), (u, found, wanted)


def test_only_functions_of_one_variable_are_rewritten() -> None:
    c, s = sympy.symbols("c s")
    quotient = scalar.define("quotient", (c, s), c / s)
    assert through_value(quotient, 1, quotient.body.diff(s)) is None  # -value^2 / c has a pole that -c / s^2 has not


# ---------------------------------------------------------------- stability and normal forms


@pytest.mark.parametrize(
    "name", [n for n in POINTWISE if n not in ("exp", "sinh", "cosh", "tan", "poisson", *LOGARITHMIC)]
)
def test_values_and_slopes_are_finite_at_800(name: str) -> None:
    symbols = (_0, _1)[: arguments_of(name)]
    call = tidy(POINTWISE[name](*symbols))
    for u in (-800.0, 800.0):
        values = {_0: np.asarray(u), _1: np.asarray(1.0)}
        with np.errstate(over="ignore", invalid="ignore"):
            assert np.isfinite(scalar_value(call, values, {}, np.float64)), (name, u)
            for slope in partial_derivatives(call).values():
                found = float(scalar_value(tidy(slope), values, {}, np.float64))
                with mpmath.workdps(60):
                    wanted = meaning(slope, {_0: mpmath.mpf(u), _1: mpmath.mpf(1)})
                assert close(found, wanted, 1e-14), (name, u, slope, found)


def test_an_exponential_of_a_difference_is_never_split() -> None:
    product = sympy.Mul(sympy.exp(_0), sympy.exp(-_1), evaluate=False)
    assert tidy(product) == sympy.exp(_0 - _1)
    assert tidy(sympy.exp(_0) / sympy.exp(_1)) == sympy.exp(_0 - _1)


def test_signs_and_numbers_have_one_place() -> None:
    a, b, c = sympy.symbols("a b c")
    assert oriented(-(a - b) * c) == oriented((b - a) * c)
    assert oriented((a - b) * (b - c)) == oriented((b - a) * (c - b))
    assert oriented(a / 2 + b / 2) == oriented(sympy.Mul(sympy.Rational(1, 2), a + b, evaluate=False))
    assert str(oriented(a / 2 + b / 2)) == "(a + b)/2"
    assert oriented(oriented(-(1 - a) * (b - c) / c)) == oriented((1 - a) * (c - b) / c)


def test_a_product_of_differences_has_one_spelling_whatever_its_signs() -> None:
    for i, j, k, m in itertools.permutations(range(5), 4):
        first, second = argument(i) - argument(j), argument(k) - argument(m)
        found = oriented(first * second * argument(5))
        assert found == oriented((-first) * (-second) * argument(5)) == oriented(found)
        assert oriented((-first) * second) == oriented(first * (-second)) == oriented(-(first * second))


STABLE = (
    sympy.log(scalar.sigmoid(_0)), sympy.log(1 - scalar.sigmoid(_0)), sympy.log(1 + sympy.exp(_0)), sympy.log(sympy.exp(_0)),
    1 / (1 + sympy.exp(-_0)), (1 + sympy.exp(_0)) ** -2, sympy.exp(-_0) * scalar.sigmoid(_0) ** 2, sympy.sqrt(_0**2),
    sympy.log(scalar.sigmoid(_0) ** 3), sympy.log(3 * scalar.sigmoid(_0)), sympy.Abs(_0), sympy.sign(_0),
    (_0**4) ** sympy.Rational(1, 4),
)  # fmt: skip


@pytest.mark.parametrize("expression", STABLE, ids=str)
def test_a_stable_spelling_has_the_same_value(expression: sympy.Expr) -> None:
    plain = expression.replace(sympy.Abs, scalar.absolute).replace(sympy.sign, scalar.sign)
    with mpmath.workdps(40):
        for u in POINTS[0]:
            assert close(meaning(tidy(expression), {_0: mpmath.mpf(u)}), meaning(plain, {_0: mpmath.mpf(u)})), u


@pytest.mark.parametrize("name", [name for name, function in POINTWISE.items() if getattr(function, "visible", 1) == 1])
def test_a_function_of_itself_many_times_over_is_no_hard_case(name: str) -> None:
    expression = "u"
    for _ in range(8):
        expression = f"{name}(1 + {expression})"
    derived = sb.derive(sb.parse(f"param u[]\nL = {expression}\nminimize L"))  # SymPy's own tanh takes time exponential in this
    assert derived.gradient("u").text()


def test_a_parameter_of_any_name_finds_the_short_derivative() -> None:
    for name in ("u", "generator", "value"):
        text = f"function f({name}) = 1 / (1 + exp(-{name}))\nparam w[]\nL = f(w)\nminimize L"
        assert sb.derive(sb.parse(text)).gradient("w").text() == "∂L/∂w = L (1 − L)"
