from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

from symbackprop.algebra import Cofactor, IndexMax, IndexSum, evaluate_sympy, to_sympy
from symbackprop.builder import Builder
from symbackprop.derivation.derived import derive_graph
from symbackprop.errors import UsageError
from symbackprop.graph import operations as op
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Graph
from symbackprop.graph.sizes import dimension, size_value

from .models import MODELS, SIZES, open_function


def sample(graph: Graph, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    values: dict[str, Any] = {}
    for leaf in graph.declarations:
        shape = [size_value(size, SIZES) for size in leaf.shape]
        if leaf.classes is not None:
            values[leaf.name] = random.integers(0, size_value(leaf.classes, SIZES), shape)
        else:
            values[leaf.name] = random.uniform(-1, 1, shape)
        if leaf.kind == "hyper":
            values[leaf.name] = np.float64(0.7)
        if leaf.name == "Sigma":
            values[leaf.name] = values[leaf.name] @ values[leaf.name].T + np.eye(*shape)
    return values


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_exported_equations_have_the_values_of_the_graph(name: str, batched: bool) -> None:
    graph = derive_graph(MODELS[name](), batched=batched).graph
    values = sample(graph, 1)
    expected = evaluate(graph, values, SIZES)
    for equation in graph.equations:
        expression = to_sympy(equation.node, graph)
        found = evaluate_sympy(expression, {**values, **expected}, SIZES)
        wanted = expected[equation.name]
        assert found.shape == wanted.shape, (equation.name, expression)
        finite = np.isfinite(wanted)
        assert np.array_equal(found[~finite], wanted[~finite]), (equation.name, expression)
        scale = max(1.0, np.abs(wanted[finite]).max(initial=0))
        assert np.abs(found[finite] - wanted[finite]).max(initial=0) <= 1e-12 * scale, (
            equation.name,
            expression,
        )


def exported(name: str, equation: str) -> str:
    graph = derive_graph(MODELS[name]()).graph
    return str(to_sympy(graph.by_name[equation].node, graph))


@pytest.mark.parametrize(
    ("model", "equation", "text"),
    [
        ("mlp", "z", "W1*x + b1"),
        ("mlp", "∂J/∂W1", "lambda*W1 + ∂J/∂z*x.T"),
        ("mlp", "∂J/∂a", "W2.T*∂J/∂o"),
        ("mlp relu", "a", "Lambda(u, Max(0, u)).(z)"),
        (
            "convolution",
            "Y",
            "FunctionMatrix(F, -A + H + 1, Lambda((i, j), Sum(K[i, k, l]*X[k, j + l], (k, 0, C - 1), (l, 0, A - 1))))",
        ),
        ("embedding", "X", "FunctionMatrix(t, d, Lambda((i, j), E[tok[i, 0], j]))"),
        ("attention", "M", "FunctionMatrix(t, t, Lambda((i, j), Piecewise((S[i, j], i >= j), (-oo, True))))"),
        ("attention", "∂J/∂V", "P.T*∂J/∂O"),
    ],
)
def test_the_exported_text_is_the_textbooks(model: str, equation: str, text: str) -> None:
    assert exported(model, equation) == text


def test_an_open_function_keeps_its_name_and_its_derivative_gets_a_prime() -> None:
    graph = derive_graph(open_function()).graph
    values = {name: np.ones([SIZES[size] for size in sizes]) for name, sizes in (("x", "d"), ("W", "hd"))}
    values |= {"z": np.full(4, 0.3), "J": np.float64(0)}
    J, dz = (to_sympy(graph.by_name[name].node, graph) for name in ("J", "∂J/∂z"))
    assert "phi(" in str(J)
    assert "phi′(" in str(dz)
    functions: dict[str, Any] = {"phi": np.sin, "phi′": np.cos}
    assert evaluate_sympy(J, {**values, **functions}, SIZES) == pytest.approx(4 * np.sin(0.3))
    np.testing.assert_allclose(evaluate_sympy(dz, {**values, **functions}, SIZES), np.cos(values["z"]))


def test_every_object_is_sympys_own_or_documented() -> None:
    for name in MODELS:
        graph = derive_graph(MODELS[name](), batched=True).graph
        for equation in graph.equations:
            for part in sympy.preorder_traversal(to_sympy(equation.node, graph)):
                assert type(part).__module__.startswith("sympy") or isinstance(part, Cofactor | IndexMax | IndexSum), part


def test_tensors_and_dimensions_of_one_name_are_kept_apart() -> None:
    b = Builder("same_names")
    size = dimension("h")
    u, h, i = b.param("u", size), b.param("h"), b.param("i", size)
    b.let("J", op.sum_all(op.apply(sympy.tanh, h * u)) / op.value(size) + op.reduce_all("max", i))
    graph = b.model().graph
    expression = to_sympy(graph.by_name["J"].node, graph)
    values = {"u": np.arange(3.0), "h": 0.5, "i": np.arange(3.0)}
    found = evaluate_sympy(expression, values, {"h": 3})
    assert found == pytest.approx(np.tanh(0.5 * np.arange(3)).sum() / 3 + 2)


def test_sizes_that_are_equal_by_a_constraint_fall_back_to_indices() -> None:
    b = Builder("constraint")
    A, x = b.param("A", dimension("m"), dimension("n")), b.param("x", dimension("k"))
    b.let("z", A @ x)
    b.let("J", op.scalar_of_matrix("det", A))
    graph = b.model().graph
    values = {"A": np.random.default_rng(0).normal(size=(3, 3)), "x": np.arange(3.0)}
    sizes = {"m": 3, "n": 3, "k": 3}
    expected = evaluate(graph, values, sizes)
    for equation in graph.equations:
        found = evaluate_sympy(to_sympy(equation.node, graph), values, sizes)
        np.testing.assert_allclose(found, expected[equation.name], rtol=1e-13)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (sympy.Symbol("v"), "v"),
        (sympy.gamma(sympy.Symbol("x")), "gamma"),
        (sympy.Integral(1, sympy.Symbol("x")), "Integral"),
    ],
)
def test_what_has_no_value_is_named(expression: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        evaluate_sympy(expression, {"x": 1.0}, {})


def test_the_same_expression_comes_out_twice() -> None:
    graph = derive_graph(MODELS["batched attention"](), batched=True).graph
    for equation in graph.equations:
        assert to_sympy(equation.node, graph) == to_sympy(equation.node, graph)


def test_cofactors_of_a_singular_matrix_have_a_value() -> None:
    X = sympy.MatrixSymbol("X", 2, 2)
    found = evaluate_sympy(Cofactor(X), {"X": [[1, 2], [2, 4]]}, {})
    np.testing.assert_allclose(found, [[4, -2], [-2, 1]])
