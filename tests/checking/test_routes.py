"""Each route by itself, on functions whose derivative is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy
from cases import CASES, Author, squares
from stand_in import EvaluatorKernel

from symbackprop.checking.checker import ROUTES, TOLERANCES, check_model
from symbackprop.checking.comparison import FLOOR, directions, norm_relative
from symbackprop.checking.complex_step import obstacle
from symbackprop.checking.differences import richardson
from symbackprop.checking.exact import is_rational
from symbackprop.checking.expand import Expansion, TooLargeError, t
from symbackprop.checking.objective import Objective
from symbackprop.checking.reference import prepare
from symbackprop.checking.report import Verdict
from symbackprop.errors import UsageError
from symbackprop.functions import scalar
from symbackprop.graph import operations as op
from symbackprop.graph.model import Model


def elementwise(name: str, function: Any) -> Model:
    m = Author(name, d=2)
    w = m.param("w", "d")
    m.let("J", op.sum_all(op.apply(function, w)))
    return m.model("J", None)


def test_richardson_reaches_the_accuracy_it_says() -> None:
    for function, slope in (
        (math.exp, 1.0),
        (math.sin, 1.0),
        (lambda x: 1 / (2 + x), -0.25),
        (lambda x: x, 1.0),
    ):
        value, error = richardson(function, 2.0**-6)
        assert abs(value - slope) <= error < 1e-8
        assert abs(value - slope) < 1e-12


@pytest.mark.parametrize("case", CASES)
def test_the_routes_agree_with_each_other(case: str) -> None:
    for reference in prepare(CASES[case](), seed=5, samples=2).samples:
        for name in reference.objective.parameters:
            differences, complex_step = reference.differences(name), reference.complex_step(name)
            assert differences.usable.all() and complex_step.usable.all()
            gap = np.abs(differences.values - complex_step.values)
            assert (
                norm_relative(differences.values, complex_step.values, reference.scale) < TOLERANCES["differences"] / 10
            )
            assert np.all(gap <= 4 * differences.errors + 1e-14 * reference.scale)


FUNCTIONS = {
    "exp": sympy.exp,
    "log": sympy.log,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": scalar.tanh,
    "atan": sympy.atan,
    "erf": sympy.erf,
    "sqrt": sympy.sqrt,
    "power": lambda u: (1 + u**2) ** sympy.Rational(-3, 2),
    "sigmoid": scalar.sigmoid,
    "softplus": scalar.softplus,
    "relu": scalar.relu,
    "abs": scalar.absolute,
    "sign": lambda u: u * scalar.sign(u),
    "where": lambda u: scalar.where(scalar.nonnegative(u), sympy.exp(u), u**3),
    "max": lambda u: scalar.maximum(u, u**2, 1 - u),
    "min": lambda u: scalar.minimum(u, u**2, 1 - u),
    "pi": lambda u: sympy.sin(sympy.pi * u) * sympy.sqrt(2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_scalar_function_passes_every_route(name: str) -> None:
    model = elementwise(name, FUNCTIONS[name])
    report = check_model(model, EvaluatorKernel(model), samples=3)
    assert report.ok, report.table
    assert {row.verdict for row in report.rows} == {Verdict.PASS}, report.table
    assert {row.route for row in report.rows} == set(ROUTES)


@pytest.mark.parametrize(
    ("case", "rational"),
    [
        ("relu_mlp", True),
        ("rational_matrices", True),
        ("tanh_mlp", False),
        ("gaussian", False),
        ("attention", False),
    ],
)
def test_models_made_of_rationals_are_exact(case: str, rational: bool) -> None:
    model = CASES[case]()
    references = prepare(model, samples=1)
    assert is_rational(references.objective, references.tiny[0].sample) is rational
    report = check_model(model, EvaluatorKernel(model), samples=1, routes=["exact"])
    assert report.ok
    assert all((row.error == 0 and row.tolerance == 0) is rational for row in report.rows[:1]), report.table
    for gradient in references.tiny[0].expansion.values():
        assert gradient.truth is not None
        assert all(entry.is_Rational for entry in gradient.truth.flat) or not rational


def test_a_rational_convolution_is_exact() -> None:
    """The same layers as the case, with a squared loss in the place of cross-entropy."""
    case = CASES["convolution"]()
    m = Author("rational_convolution", **case.dimensions)
    m.declarations = [d for d in case.graph.declarations if d.name != "y"]
    m.equations = [equation for equation in case.graph.equations if equation.name != "J"]
    m.let("J", squares(op.value(m.equations[-1].reference)))
    report = check_model(m.model("J", "n"), EvaluatorKernel(m.model("J", "n")), samples=1, routes=["exact"])
    assert [row.error for row in report.rows] == [0.0] * 3, report.table
    assert [row.tolerance for row in report.rows] == [0.0] * 3


def test_an_expansion_is_the_objective_in_one_symbol() -> None:
    objective = Objective(elementwise("cube", lambda u: u**3))
    values = {"w": np.array([sympy.Rational(1, 2), sympy.Rational(1, 3)], dtype=object)}
    expansion = Expansion(objective.graph, values, {"d": 2}, None)
    along = expansion.along({"w": np.array([1, 0])}, "J")
    assert sympy.expand(along - (sympy.Rational(1, 2) + t) ** 3 - sympy.Rational(1, 27)) == 0


def test_too_large_an_expansion_is_neither_pass_nor_fail(monkeypatch: Any) -> None:
    monkeypatch.setattr("symbackprop.checking.expand.BUDGET", 20)
    model = CASES["tanh_mlp"]()
    report = check_model(model, EvaluatorKernel(model), samples=1, routes=["complex step", "exact", "exact kernel"])
    too_large = [row for row in report.rows if row.verdict is Verdict.TOO_LARGE]
    assert too_large and all("operations when expanded" in row.note for row in too_large)
    assert not report.failures
    assert "21" in str(TooLargeError(21))


def test_too_many_entries_are_too_large(monkeypatch: Any) -> None:
    monkeypatch.setattr("symbackprop.checking.exact.ENTRIES", 3)
    model = CASES["tanh_mlp"]()
    report = check_model(model, EvaluatorKernel(model), samples=1, routes=["exact"])
    assert {row.verdict for row in report.rows} == {Verdict.TOO_LARGE}
    assert {row.note for row in report.rows} == {"12 entries"}
    assert not report.ok


def test_a_function_without_complex_values_says_so() -> None:
    model = elementwise("gamma", sympy.loggamma)
    assert obstacle(Objective(model)) == "loggamma has no value at a complex argument"
    assert obstacle(Objective(CASES["attention"]())) is None


def test_an_open_function_leaves_nothing_to_check() -> None:
    phi = scalar.define("phi", (sympy.Symbol("u"),), None)
    report = check_model(elementwise("open", phi), object())
    assert not report.ok
    assert {row.verdict for row in report.rows} == {Verdict.NOT_AVAILABLE}
    assert {row.note for row in report.rows} == {"no formula for phi"}


def test_an_unknown_route_is_refused() -> None:
    model = CASES["tanh_mlp"]()
    with pytest.raises(UsageError, match="there is no route 'luck'"):
        check_model(model, EvaluatorKernel(model), routes=["luck"])


# ---------------------------------------------------------------- the error


def test_the_error_is_relative_to_the_norm() -> None:
    wanted = np.array([3.0, 4.0])
    assert norm_relative(wanted * (1 + 1e-6), wanted, 1.0) == pytest.approx(1e-6, rel=1e-5)
    assert norm_relative(wanted, wanted, 1.0) == 0.0
    assert norm_relative(wanted * np.nan, wanted, 1.0) == math.inf
    assert norm_relative(wanted, wanted * np.inf, 1.0) == math.inf


def test_gradients_of_zero_agree_with_rounding_and_miss_nothing() -> None:
    nothing, rounding, missing = np.zeros(2), np.array([1e-17, 0.0]), np.array([1e-9, 0.0])
    assert norm_relative(rounding, nothing, 1.0) <= 1e-12
    assert norm_relative(nothing, missing, 1.0) > 1e-8
    assert norm_relative(nothing, nothing, 0.0) == 0.0
    assert FLOOR == 1e-3


def test_many_entries_are_compared_along_random_directions() -> None:
    rng = np.random.default_rng(0)
    assert np.array_equal(directions(6, rng), np.eye(6))
    lines = directions(5000, rng)
    assert len(lines) == 64
    gradient = rng.normal(size=5000)
    assert np.linalg.norm(lines @ gradient) == pytest.approx(np.linalg.norm(gradient), rel=0.35)
    wrong = gradient.copy()
    wrong[17] += 1e-6 * np.linalg.norm(gradient)
    assert norm_relative(lines @ wrong, lines @ gradient, 1.0) == pytest.approx(1e-6, rel=0.5)


def test_a_model_with_large_parameters_is_checked_too(monkeypatch: Any) -> None:
    monkeypatch.setattr("symbackprop.checking.comparison.EVERY_ENTRY", 4)
    model = CASES["tanh_mlp"]()
    kernel = EvaluatorKernel(model)
    assert check_model(model, kernel, samples=1, routes=["complex step", "differences"]).ok


def test_progress_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    model = CASES["softmax_regression"]()
    check_model(model, EvaluatorKernel(model), samples=2, progress=lambda *what: told.append(what))
    assert [(done, work) for done, work, _ in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert told[0][2].startswith("sample 0: ")
