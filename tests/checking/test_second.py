"""The check of products is checked: what is right passes, and each wrong product is caught."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.checking.report import CheckReport, Verdict
from symbackprop.checking.second import PRODUCT_TOLERANCES
from symbackprop.cli import run
from symbackprop.models import builtin_names

FIRST = ("complex step", "differences", "own differences", "float32", "exact", "exact kernel", "loss")


@cache
def kernel_of(name: str) -> Any:
    return sb.derive(sb.builtin(name)).kernel(2)


SMALL = sb.mlp([2, 3, 2], activation="tanh", loss="squared_error", batch=3)


@cache
def small_kernel() -> Any:
    return sb.derive(SMALL).kernel(2)


class Wrong:
    """A kernel whose products are changed."""

    def __init__(self, kernel: Any, change: Any) -> None:
        self.kernel, self.change = kernel, change
        self.loss, self.loss_and_grad = kernel.loss, kernel.loss_and_grad

    def hvp(self, params: Any, direction: Any, inputs: Any, workspace: Any = None, hyper: Any = None) -> Any:
        found = self.kernel.hvp(params, direction, inputs, workspace, hyper or {})
        return self.change({name: np.array(array) for name, array in found.items()}, direction, params)


def only(change: Any) -> Any:
    def changed(found: Any, direction: Any, params: Any) -> Any:
        return {**found, "W2": change(found["W2"], direction["W2"], params["W2"])}

    return changed


MUTATIONS = {
    "sign": only(lambda hv, v, p: -hv),
    "factor": only(lambda hv, v, p: hv * (1 + 1e-5)),
    "a term that is missing": only(lambda hv, v, p: hv - 1e-4 * v),
    "the direction": only(lambda hv, v, p: v),
    "nothing": only(lambda hv, v, p: np.zeros_like(hv)),
    "not a number": only(lambda hv, v, p: hv * np.nan),
    "the shape": only(lambda hv, v, p: hv[None]),
    "the type": only(lambda hv, v, p: hv.astype(np.float16)),
    "left out": lambda found, direction, params: {n: a for n, a in found.items() if n != "W2"},
    "not symmetric": lambda found, direction, params: {**found, "W1": found["W1"] + 1e-4 * np.sum(direction["W2"])},
}


def failing(report: CheckReport) -> set[str]:
    return {row.route for row in report.failures}


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_product_passes(name: str) -> None:
    report = sb.check(sb.builtin(name), samples=1, order=2, kernel=kernel_of(name))
    assert report.ok, report.table
    passed = {row.route for row in report.rows if row.verdict is Verdict.PASS}
    assert passed >= set(PRODUCT_TOLERANCES)
    for (_, route), error in report.worst.items():
        assert route not in PRODUCT_TOLERANCES or error <= PRODUCT_TOLERANCES[route]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_product_is_caught(mutation: str) -> None:
    report = sb.check(SMALL, samples=1, order=2, kernel=Wrong(small_kernel(), MUTATIONS[mutation]))
    assert not report.ok
    assert not failing(report) & set(FIRST)
    assert {"product, complex step", "product, differences", "product, exact"} <= failing(report)
    if mutation in ("not symmetric", "the direction"):
        assert "product, symmetry" in failing(report)
    if mutation in ("sign", "the direction", "nothing"):
        assert "product, remainder" in failing(report)


def test_a_kernel_without_products_fails_and_says_why() -> None:
    report = sb.check(sb.builtin("d2l_mlp"), samples=1, order=2, kernel=sb.derive(sb.builtin("d2l_mlp")).kernel())
    assert not report.ok and any("hvp" in row.note for row in report.failures)


def test_a_kernel_whose_gradient_fails_is_reported_for_its_products_too() -> None:
    broken = Wrong(small_kernel(), lambda found, direction, params: found)
    broken.loss_and_grad = lambda *arguments, **options: 1 / 0
    report = sb.check(SMALL, samples=1, order=2, kernel=broken)
    assert "product, remainder" in failing(report) and any("ZeroDivisionError" in row.note for row in report.failures)


def test_what_a_kernel_gives_beside_the_products_is_left_alone() -> None:
    more = Wrong(small_kernel(), lambda found, direction, params: {**found, "time": np.ones(())})
    assert sb.check(SMALL, samples=1, order=2, kernel=more).ok


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "ridge_regression", "--order", "2", "--samples", "1"]) == 0
    out = capsys.readouterr().out
    assert all(route in out for route in PRODUCT_TOLERANCES)
    assert run(["check", "ridge_regression", "--order", "3"]) == 2
    with pytest.raises(sb.UsageError, match="not of order 3"):
        sb.check(sb.builtin("ridge_regression"), order=3, kernel=object())


def test_at_a_kink_there_is_no_comparison() -> None:
    """max(w, -w): the line through 0 is broken, whatever the second derivative is."""
    model = sb.parse("dim d = 1\nparam w[d]\nL = ||w||_1\nminimize L")
    assert sb.check(model, samples=1, order=2).ok
