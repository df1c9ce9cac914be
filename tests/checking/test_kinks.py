"""Kinks are found, named, and neither pass nor fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from cases import CASES, Author, squares
from stand_in import EvaluatorKernel

from symbackprop.checking.checker import judge
from symbackprop.checking.kinks import kinks_of
from symbackprop.checking.objective import Objective
from symbackprop.checking.reference import Reference, References
from symbackprop.checking.report import CheckReport, Verdict
from symbackprop.checking.sampling import Sample
from symbackprop.functions import scalar
from symbackprop.graph import operations as op
from symbackprop.graph.model import Model
from symbackprop.graph.nodes import argument

ROUTES = ("complex step", "differences", "own differences", "exact", "exact kernel")


def at(
    model: Model, sizes: dict[str, int], params: dict[str, Any], inputs: dict[str, Any] | None = None
) -> CheckReport:
    """The check of the right kernel at one given point."""

    def floats(arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: np.array(array, dtype=np.float64) for name, array in arrays.items()}

    objective = Objective(model)
    sample = Sample("given", sizes, floats(params), floats(inputs or {}), {}, {})
    reference = Reference(objective, sample)
    return judge(References(objective, (reference,), (reference,)), EvaluatorKernel(model), routes=ROUTES)


def one_function(function: Any) -> Model:
    m = Author("one_function", d=2)
    w, v = m.param("w", "d"), m.param("v", "d")
    a = m.let("a", op.apply(function, w) if callable(function) else function)
    m.let("J", squares(a + v) + op.sum_all(a))
    return m.model("J", None)


def verdicts(report: CheckReport) -> dict[str, set[Verdict]]:
    return {name: {row.verdict for row in report.rows if row.parameter == name} for name in report.parameters}


def test_a_relu_at_zero_is_a_kink_for_its_argument_alone() -> None:
    report = at(one_function(scalar.relu), {"d": 2}, {"w": [0.0, 1.0], "v": [0.5, 0.25]})
    assert verdicts(report) == {"w": {Verdict.KINK}, "v": {Verdict.PASS}}
    assert {row.note for row in report.rows if row.parameter == "w"} == {"relu in a"}
    assert not report.ok
    assert report.unchecked == ("w",)
    assert "no route could check w" in report.summary


def test_abs_sign_and_where_are_named() -> None:
    for function, name in (
        (scalar.absolute, "abs in a"),
        (lambda u: u * scalar.sign(u), "sign in a"),
        (lambda u: scalar.where(scalar.positive(u), u, 2 * u), "positive in a"),
    ):
        report = at(one_function(function), {"d": 2}, {"w": [0.0, 1.0], "v": [0.5, 0.25]})
        assert {row.note for row in report.rows if row.parameter == "w"} == {name}


def test_a_kink_near_by_is_stepped_around() -> None:
    report = at(one_function(scalar.relu), {"d": 2}, {"w": [1e-4, -1e-4], "v": [0.5, 0.25]})
    assert verdicts(report) == {"w": {Verdict.PASS}, "v": {Verdict.PASS}}


def test_a_wrong_gradient_beside_a_kink_still_fails() -> None:
    model = one_function(scalar.relu)
    objective = Objective(model)
    point = {"w": np.array([0.0, 1.0]), "v": np.array([0.5, 0.25])}
    reference = Reference(objective, Sample("given", {"d": 2}, point, {}, {}, {}))

    class Wrong(EvaluatorKernel):
        def loss_and_grad(self, *arguments: Any, **options: Any) -> Any:
            loss, gradients = super().loss_and_grad(*arguments, **options)
            return loss, {**gradients, "w": gradients["w"] * 2}

    report = judge(References(objective, (reference,), ()), Wrong(model), routes=ROUTES)
    assert {row.verdict for row in report.rows if row.parameter == "w"} == {Verdict.FAIL}


def test_a_tie_of_a_maximum_is_a_kink_and_a_constant_one_is_not() -> None:
    m = Author("tie", d=3)
    w, v = m.param("w", "d"), m.param("v", "d")
    largest = m.let("b", op.reduce_all("max", w))
    m.let("J", largest * squares(v))
    report = at(m.model("J", None), {"d": 3}, {"w": [0.5, 0.5, -1.0], "v": [0.5, 0.25, 1.0]})
    assert verdicts(report) == {"w": {Verdict.KINK}, "v": {Verdict.PASS}}
    assert {row.note for row in report.rows if row.parameter == "w"} == {"max in b"}


def test_a_norm_at_zero_is_a_kink() -> None:
    m = Author("norm", d=2)
    w, v = m.param("w", "d"), m.param("v", "d")
    m.let("J", op.norm(w) + squares(v))
    report = at(m.model("J", None), {"d": 2}, {"w": [0.0, 0.0], "v": [0.5, 0.25]})
    assert verdicts(report) == {"w": {Verdict.KINK}, "v": {Verdict.PASS}}
    report = at(m.model("J", None), {"d": 2}, {"w": [1e-3, 1e-3], "v": [0.5, 0.25]})
    assert report.ok, report.table


def test_ties_among_dead_relus_are_no_kink() -> None:
    m = Author("pooled", d=3)
    w, x = m.param("w", "d"), m.input("x", "d")
    a = m.let("a", op.apply(scalar.relu, w * x))
    m.let("J", op.reduce_all("max", a) + squares(w))
    report = at(m.model("J", None), {"d": 3}, {"w": [-0.5, -0.5, -1.0]}, {"x": [0.5, 0.25, 1.0]})
    assert verdicts(report) == {"w": {Verdict.PASS}}


def test_every_kink_of_a_model_is_listed() -> None:
    listed = {case: {str(kink) for kink in kinks_of(Objective(CASES[case]()).graph)} for case in CASES}
    assert listed["tanh_mlp"] == listed["layer_norm"] == set()
    assert listed["relu_mlp"] == {"relu in a"}
    assert listed["elastic_net"] == {"abs in J", "norm in J"}
    assert listed["convolution"] == {"relu in A", "max in P"}
    assert listed["rational_matrices"] == {"max in H", "abs in s", "max in s"}


def test_kinks_inside_a_function_given_by_a_formula_are_found() -> None:
    u = sympy.Symbol("u")
    leaky = scalar.define("leaky", (u,), scalar.where(scalar.positive(u), u, u / 100))
    model = one_function(leaky)
    assert [str(kink) for kink in Objective(model).kinks] == ["leaky in a"]
    assert Objective(model).kinks[0].node.expression == argument(0)  # type: ignore[attr-defined]
    report = at(model, {"d": 2}, {"w": [0.0, 1.0], "v": [0.5, 0.25]})
    assert verdicts(report)["w"] == {Verdict.KINK}
