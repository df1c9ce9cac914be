"""A wrong rule of the derivation is caught: the routes share nothing with the table of rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sympy
from cases import CASES
from stand_in import EvaluatorKernel

from symbackprop.checking.checker import check_model
from symbackprop.checking.report import Verdict
from symbackprop.derivation import rules
from symbackprop.functions import scalar
from symbackprop.graph.build import constant
from symbackprop.graph.nodes import Contraction, MatrixFunction, Node, Pointwise, Reduction


def failing_routes(case: str, seed: int = 0) -> set[str]:
    model = CASES[case]()
    report = check_model(model, EvaluatorKernel(model), seed=seed, samples=1)
    return {row.route for row in report.rows if row.verdict is Verdict.FAIL}


@pytest.mark.parametrize(
    ("family", "case"),
    [
        (Pointwise, "tanh_mlp"),
        (Contraction, "tanh_mlp"),
        (Contraction, "convolution"),
        (Reduction, "softmax_regression"),
        (Reduction, "attention"),
        (Reduction, "convolution"),
        (Reduction, "elastic_net"),
        (MatrixFunction, "gaussian"),
        (MatrixFunction, "rational_matrices"),
    ],
)
@pytest.mark.parametrize("factor", [sympy.S.NegativeOne, sympy.Rational(1_000_001, 1_000_000)])
def test_a_factor_in_a_rule_is_caught(monkeypatch: Any, family: type[Node], case: str, factor: sympy.Expr) -> None:
    right = rules._TABLE[family]

    def wrong(node: Node) -> list[rules.LinearTerm]:
        return [replace(term, factors=(*term.factors, (constant(factor), ()))) for term in right(node)]

    monkeypatch.setitem(rules._TABLE, family, wrong)
    caught = failing_routes(case)
    assert {"complex step", "differences", "own differences", "exact", "exact kernel"} <= caught
    assert ("float32" in caught) == (factor == -1)


def test_a_transposed_inverse_is_caught(monkeypatch: Any) -> None:
    right = rules._TABLE[MatrixFunction]

    def wrong(node: Node) -> list[rules.LinearTerm]:
        return [replace(term, labels=(*term.labels[:-2], term.labels[-1], term.labels[-2])) for term in right(node)]

    monkeypatch.setitem(rules._TABLE, MatrixFunction, wrong)
    assert {"complex step", "differences", "exact"} <= failing_routes("rational_matrices")


def test_a_dropped_term_is_caught(monkeypatch: Any) -> None:
    right = rules._TABLE[Contraction]
    monkeypatch.setitem(rules._TABLE, Contraction, lambda node: right(node)[:1])
    assert {"complex step", "differences", "exact"} <= failing_routes("attention")


def test_a_wrong_scalar_derivative_is_caught(monkeypatch: Any) -> None:
    right = rules.partial_derivatives

    def nearly(slope: sympy.Expr) -> sympy.Expr:
        return slope.replace(scalar.tanh, lambda u: scalar.tanh(u) * (1 + sympy.S(10) ** -9))

    monkeypatch.setattr(
        rules, "partial_derivatives", lambda expression: {k: nearly(v) for k, v in right(expression).items()}
    )
    assert {"complex step", "exact", "exact kernel"} <= failing_routes("tanh_mlp")


def test_the_table_is_restored() -> None:
    assert failing_routes("rational_matrices") == set()
