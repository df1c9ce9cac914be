"""The checker is checked: every wrong gradient is caught by every route alone, and no right one is
accused.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from cases import CASES
from stand_in import Change, EvaluatorKernel, Mutant

from symbackprop.checking.checker import ROUTES, check_model, judge
from symbackprop.checking.reference import References, prepare
from symbackprop.checking.report import Verdict

Array = np.ndarray[Any, Any]

REGULARIZED = {
    "relu_mlp": {"W1": {"lambda": 0.0}, "W2": {"lambda": 0.0}},
    "elastic_net": {"W": {"alpha": 0.0}},
    "gaussian": {"A": {"epsilon": 0.0}},
}
"""The parameters of each case that a hyper-parameter acts on, and the value that takes its term away."""


@cache
def prepared(case: str) -> tuple[References, EvaluatorKernel]:
    model = CASES[case]()
    return prepare(model, samples=2), EvaluatorKernel(model)


class OneExampleMutant(Mutant):
    def loss_and_grad(self, params: Any, inputs: Any, workspace: Any = None, hyper: Any = None) -> Any:
        loss, gradients = self.kernel.loss_and_grad(params, inputs, hyper=hyper)
        first = {name: array[:1] for name, array in inputs.items()}
        wrong = self.kernel.loss_and_grad(params, first, hyper=hyper)[1][self.name]
        return loss, {**gradients, self.name: wrong}


def one_entry(g: Array, elsewhere: Any) -> Array:
    place = np.unravel_index(np.argmax(np.abs(g)), g.shape)
    g[place] *= 1 + 1e-5
    return g


MUTATIONS: dict[str, Change] = {
    "sign": lambda g, elsewhere: -g,
    "factor": lambda g, elsewhere: g * (1 + 1e-6),
    "transpose": lambda g, elsewhere: g.T.reshape(g.shape) if g.ndim > 1 else g[::-1].copy(),
    "one entry": one_entry,
    "nothing": lambda g, elsewhere: np.zeros_like(g),
    "nan": lambda g, elsewhere: g * np.nan,
    "shape": lambda g, elsewhere: g[None],
    "dtype": lambda g, elsewhere: g.astype(np.float16),
}

PARAMETERS = [(case, name) for case in CASES for name in CASES[case]().parameters]

ALONE = ("complex step", "differences", "exact kernel")
"""The routes each of which must catch a mutant by itself."""


def assert_caught(case: str, name: str, mutant: Mutant) -> None:
    references, _ = prepared(case)
    report = judge(references, mutant, routes=ALONE)
    verdicts = {(line.parameter, line.route): line.verdict for line in report.lines}
    for route in ALONE:
        assert verdicts[name, route] is Verdict.FAIL, report.table
    assert {row.parameter for row in report.failures} == {name}, report.table
    assert not report.ok


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize(("case", "name"), PARAMETERS)
def test_a_wrong_gradient_is_caught_by_every_route(case: str, name: str, mutation: str) -> None:
    _, kernel = prepared(case)
    assert_caught(case, name, Mutant(kernel, name, MUTATIONS[mutation]))


@pytest.mark.parametrize(("case", "name"), [(c, n) for c, n in PARAMETERS if CASES[c]().batch])
def test_a_dropped_sum_over_the_batch_is_caught(case: str, name: str) -> None:
    references, kernel = prepared(case)
    mutant = OneExampleMutant(kernel, name, MUTATIONS["sign"])
    report = judge(references, mutant, routes=("complex step", "differences"))
    assert {line.route for line in report.lines if line.verdict is Verdict.FAIL} == {
        "complex step",
        "differences",
    }
    assert {row.parameter for row in report.failures} == {name}


@pytest.mark.parametrize(("case", "name"), [(case, name) for case in REGULARIZED for name in REGULARIZED[case]])
def test_a_missing_regularizer_is_caught(case: str, name: str) -> None:
    _, kernel = prepared(case)
    without = REGULARIZED[case][name]
    assert_caught(case, name, Mutant(kernel, name, lambda g, elsewhere: elsewhere({}, without)))


@pytest.mark.parametrize("case", CASES)
def test_differences_of_the_kernels_own_loss_catch_a_factor(case: str) -> None:
    references, kernel = prepared(case)
    name = references.objective.parameters[0]
    report = judge(references, Mutant(kernel, name, MUTATIONS["factor"]), routes=("own differences",))
    assert {row.parameter for row in report.failures} == {name}


@pytest.mark.parametrize("case", CASES)
def test_float32_catches_a_sign(case: str) -> None:
    references, kernel = prepared(case)
    name = references.objective.parameters[-1]
    report = judge(references, Mutant(kernel, name, MUTATIONS["sign"]), routes=("float32",))
    assert {row.parameter for row in report.failures} == {name}


@pytest.mark.parametrize("case", CASES)
def test_a_missing_gradient_is_reported(case: str) -> None:
    references, kernel = prepared(case)
    name = references.objective.parameters[0]

    class Forgetful(EvaluatorKernel):
        def loss_and_grad(self, *arguments: Any, **options: Any) -> Any:
            loss, gradients = kernel.loss_and_grad(*arguments, **options)
            return loss, {key: value for key, value in gradients.items() if key != name}

    report = judge(references, Forgetful(CASES[case]()), routes=("complex step",))
    assert [row.note for row in report.failures] == ["the kernel returned no gradient"] * len(report.failures)
    assert report.failures


def test_a_wrong_loss_is_caught() -> None:
    references, kernel = prepared("tanh_mlp")

    class Wrong(Mutant):
        def loss(self, *arguments: Any, **options: Any) -> float:
            return self.kernel.loss(*arguments, **options) * (1 + 1e-9)

    report = judge(references, Wrong(kernel, "W1", lambda g, elsewhere: g), routes=("loss",))
    assert [row.parameter for row in report.failures] == ["J"] * 2


def test_a_kernel_that_raises_or_writes_into_its_arguments_fails_with_its_message() -> None:
    references, kernel = prepared("tanh_mlp")

    class Writes(Mutant):
        def loss(self, params: Any, inputs: Any, hyper: Any = None) -> float:
            params["W1"] += 1
            return 0.0

    report = judge(references, Writes(kernel, "W1", lambda g, elsewhere: g), routes=("loss", "complex step"))
    assert not any(row.verdict is Verdict.PASS for row in report.rows)
    assert "read-only" in report.failures[0].note


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES)
def test_a_correct_kernel_is_never_accused(case: str, seed: int) -> None:
    model = CASES[case]()
    report = check_model(model, EvaluatorKernel(model), seed=seed + 100, samples=2)
    assert report.ok, report.table
    assert {row.route for row in report.rows} == set(ROUTES)
    passed = {(row.parameter, row.route) for row in report.rows if row.verdict is Verdict.PASS}
    assert {(name, route) for name in model.parameters for route in ALONE} <= passed, report.table
