"""Products and blocks of the Hessian, the Gauss-Newton and the Fisher matrices, against what they are by definition."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.checking.differences import richardson
from symbackprop.derivation.blocks import block_name, with_block
from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.derivation.products import CURVATURES, with_next_order, with_products
from symbackprop.errors import UsageError
from symbackprop.graph.build import leaf
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Graph, Model
from symbackprop.graph.names import Tangent
from symbackprop.models import builtin_names
from tests.derivation.numbers import STEP, small_sizes
from tests.derivation.test_orders import built_in, point

NAMES = builtin_names()
MORE = {
    "logistic": "dim d = 3\nbatch n = 4\ninput x[d]\ntarget y\nparam w[d], b[]\nz = w^T x + b\nL = softplus(z) - y z\nminimize L",
    "factorization": "dim m = 3, n = 2, k = 2\nparam U[m, k], V[n, k]\ntarget R[m, n]\nL = 1/2 ||U V^T - R||^2\nminimize L",
    "quadratic": "dim d = 3\nparam x[d]\ninput A[d, d]\nL = x^T A x\nminimize L",
    "linear": "dim d = 3\nparam A[d, d]\ninput X[d, d]\nL = tr(A X)\nminimize L",
    "one line": "dim d = 3, q = 2\nbatch n = 4\ninput x[d]\ntarget y[q]\nparam W[q, d]\no = tanh(W x)\n"
    "J = ||o - y||^2 + 0.1 ||W||^2\noutput o\nminimize J",
    "gated": "dim d = 3, h = 2, k = 2\nbatch n = 4\ninput x[d], M[k, h]\ntarget y\nparam U[h, d], V[h, d], w[h]\n"
    "z = U x\ng = sigmoid(V x)\nq = tanh(z) ⊙ g\ns = softmax(M q)\nr = M^T s\no = w^T r\n"
    "L = softplus(-y o) + 0.1 ||w||^2\nminimize L",
}


@cache
def model_of(name: str) -> Model:
    return sb.parse(MORE[name]) if name in MORE else built_in(name)


@cache
def products_of(name: str, kind: str, batched: bool = True) -> DerivedGraph:
    return with_products(derive_graph(model_of(name), batched=batched), kind)


def sizes_and_values(name: str, batched: bool = True) -> tuple[dict[str, int], dict[str, Any]]:
    model = model_of(name)
    sizes = small_sizes(model)
    if batched or model.batch is None:
        return sizes, point(model, sizes, 3)
    values = point(model, {**sizes, model.batch: 1}, 3)
    data = {leaf.name for leaf in model.leaves_of_kind("input", "target")}
    return sizes, {n: np.asarray(v)[0] if n in data else v for n, v in values.items()}


def matrix(derived: DerivedGraph, values: dict[str, Any], sizes: dict[str, int]) -> dict[tuple[str, str], Any]:
    """All blocks, from products with unit vectors: the axes of the row, then those of the column."""
    zeros = {Tangent(n).name: np.zeros(np.shape(values[n])) for n in derived.products}
    blocks = {}
    for column in derived.products:
        shape = np.shape(values[column])
        found: dict[str, list[Any]] = {row: [] for row in derived.products}
        for place in np.ndindex(*shape):
            unit = np.zeros(shape)
            unit[place] = 1.0
            result = evaluate(derived.graph, {**values, **zeros, Tangent(column).name: unit}, sizes)
            for row, product in derived.products.items():
                found[row].append(result[product])
        for row, entries in found.items():
            blocks[row, column] = np.moveaxis(np.array(entries), 0, -1).reshape((*np.shape(values[row]), *shape))
    return blocks


@pytest.mark.parametrize("batched", [False, True], ids=["example", "batch"])
@pytest.mark.parametrize("name", [*NAMES, *MORE])
def test_every_block_is_the_products_with_unit_vectors(name: str, batched: bool) -> None:
    derived = products_of(name, "hessian", batched)
    sizes, values = sizes_and_values(name, batched)
    expected = matrix(derived, values, sizes)
    scale = max(np.abs(block).max() for block in expected.values())
    for row, column in expected:
        block = with_block(derived, row, column)
        found = evaluate(block.graph, values, sizes)[block_name(derived, row, column)]
        np.testing.assert_allclose(found, expected[row, column], atol=1e-11 * scale, err_msg=f"{row}, {column}")
        np.testing.assert_allclose(
            expected[row, column].reshape(np.size(values[row]), -1),
            expected[column, row].reshape(np.size(values[column]), -1).T,
            atol=1e-11 * scale,
        )


@pytest.mark.parametrize("kind", [kind for kind in CURVATURES if kind != "hessian"])
@pytest.mark.parametrize("name", ["mlp_classifier", "d2l_mlp", "logistic", "one line", "small_cnn"])
def test_blocks_of_the_other_matrices(name: str, kind: str) -> None:
    derived = products_of(name, kind)
    sizes, values = sizes_and_values(name)
    expected = matrix(derived, values, sizes)
    scale = max(np.abs(block).max() for block in expected.values())
    for row, column in [("W1", "W1")] if name == "small_cnn" and "W1" in derived.products else expected:
        found = evaluate(with_block(derived, row, column).graph, values, sizes)[block_name(derived, row, column)]
        np.testing.assert_allclose(found, expected[row, column], atol=1e-11 * scale, err_msg=f"{row}, {column}")


def product(derived: DerivedGraph, values: dict[str, Any], sizes: dict[str, int], direction: dict[str, Any]) -> dict[str, Any]:
    along = {Tangent(n).name: v for n, v in direction.items()}
    result = evaluate(derived.graph, {**values, **along}, sizes)
    return {n: result[p] for n, p in derived.products.items()}


def directions(values: dict[str, Any], names: Any, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {n: random.normal(size=np.shape(values[n])) for n in names}


def outputs_of(model: Model) -> tuple[str, ...]:
    return tuple(name for name in model.outputs if name in model.graph.by_name and name != model.objective)


SMOOTH = [n for n in [*NAMES, *MORE] if outputs_of(model_of(n))]


@pytest.mark.parametrize("name", SMOOTH)
def test_gauss_newton_is_the_curvature_with_the_outputs_linearised(name: str) -> None:
    """v G v is the second derivative of J(o + t do, w + t v), with do the directional derivative of the outputs."""
    model, derived = model_of(name), products_of(name, "gauss-newton")
    sizes, values = sizes_and_values(name)
    graph = batch_graph(model)
    outputs = outputs_of(model)
    outer = Graph(
        (*graph.declarations, *[leaf("input", o, graph.reference(o).shape) for o in outputs]),
        tuple(
            type(e)(e.name, _with_inputs(e.node, graph, outputs), e.indices) for e in graph.equations if e.name not in outputs
        ),
        graph.constraints,
    ).restricted_to(frozenset({model.objective or ""}))
    v = directions(values, derived.products, 4)
    stepped = evaluate(graph, {**values, **{n: values[n] + 1j * STEP * d for n, d in v.items()}}, sizes, np.complex128)
    here = evaluate(graph, values, sizes)
    moves = {**v, **{o: np.asarray(stepped[o]).imag / STEP for o in outputs}}
    start = {**values, **{o: here[o] for o in outputs}}

    def slope(t: float) -> float:
        moved = {n: start[n] + (t + 1j * STEP) * d for n, d in moves.items()}
        return float(evaluate(outer, {**start, **moved}, sizes, np.complex128)[model.objective].imag) / STEP

    expected = richardson(slope, 2.0**-9)[0]
    found = product(derived, values, sizes, v)
    assert sum(np.sum(v[n] * found[n]) for n in v) == pytest.approx(expected, rel=1e-7, abs=1e-9)
    u = directions(values, derived.products, 5)
    other = product(derived, values, sizes, u)
    left, right = (sum(np.sum(a[n] * b[n]) for n in v) for a, b in ((u, found), (v, other)))
    assert left == pytest.approx(right, rel=1e-10, abs=1e-12)


def _with_inputs(node: Any, graph: Graph, outputs: tuple[str, ...]) -> Any:
    from symbackprop.graph.walk import substitute

    return substitute(node, {graph.reference(o): leaf("input", o, graph.reference(o).shape) for o in outputs})


@pytest.mark.parametrize("name", ["softmax_regression", "mlp_classifier"])
def test_the_fisher_matrix_is_the_expectation_over_the_classes(name: str) -> None:
    model, derived = model_of(name), products_of(name, "fisher", False)
    sizes, values = sizes_and_values(name, False)
    first = derive_graph(model)
    v = directions(values, derived.products, 6)
    values = {k: (0.0 * x if k == "lambda" else x) for k, x in values.items()}  # a penalty is no part of the likelihood
    logits = evaluate(first.graph, values, sizes)["o"]
    p = np.exp(logits - np.logaddexp.reduce(logits))
    total = {n: np.zeros(np.shape(values[n])) for n in v}
    for k in range(len(p)):
        result = evaluate(first.graph, {**values, "y": np.int64(k)}, sizes)
        g = {n: result[first.gradient_name(n)] for n in v}
        along = sum(np.sum(g[n] * v[n]) for n in v)
        total = {n: total[n] + p[k] * along * g[n] for n in v}
    found = product(derived, values, sizes, v)
    for n in v:
        np.testing.assert_allclose(found[n], total[n], atol=1e-12)


@pytest.mark.parametrize("name", ["mlp_classifier", "one line", "elastic_net_mlp", "softmax_regression", "tied_autoencoder"])
def test_the_empirical_fisher_matrix_is_the_mean_of_outer_products(name: str) -> None:
    model, derived = model_of(name), products_of(name, "empirical-fisher")
    sizes, values = sizes_and_values(name)
    values = {k: (0.0 * x if k in ("lambda", "alpha") else x) for k, x in values.items()}
    v = directions(values, derived.products, 7)
    first = derive_graph(model)
    data = [leaf.name for leaf in model.leaves_of_kind("input", "target")]
    total = {n: np.zeros(np.shape(values[n])) for n in v}
    count = sizes[model.batch or ""]
    for k in range(count):
        result = evaluate(first.graph, {**values, **{n: values[n][k] for n in data}}, sizes)
        penalty = 0.2 * values["W"] if name == "one line" else 0.0
        g = {n: result[first.gradient_name(n)] - (penalty if n == "W" else 0.0) for n in v}
        along = sum(np.sum(g[n] * v[n]) for n in v)
        total = {n: total[n] + along * g[n] / count for n in v}
    found = product(derived, values, sizes, v)
    for n in v:
        np.testing.assert_allclose(found[n], total[n], atol=1e-12)


@pytest.mark.parametrize("name", [*NAMES, *MORE])
def test_the_third_order_is_the_derivative_of_the_second(name: str) -> None:
    derived = products_of(name, "hessian")
    third = with_next_order(derived)
    sizes, values = sizes_and_values(name)
    v = directions(values, derived.products, 8)
    along = {Tangent(n).name: d for n, d in v.items()}
    moved = {n: values[n] + 1j * STEP * d for n, d in v.items()}
    stepped = evaluate(derived.graph, {**values, **along, **moved}, sizes, np.complex128)
    found = evaluate(third.graph, {**values, **along}, sizes)
    expected = {n: np.asarray(stepped[p]).imag / STEP for n, p in derived.products.items()}
    scale = max(float(np.abs(x).max()) for x in expected.values())
    for n, p in third.products.items():
        np.testing.assert_allclose(found[p], expected[n], atol=1e-11 * scale)


def test_bad_input() -> None:
    derived = products_of("mlp_classifier", "hessian")
    with pytest.raises(UsageError, match="no block of W9: the derivatives are by W1, b1"):
        with_block(derived, "W1", "W9")
    with pytest.raises(UsageError, match="no curvature 'fisherman'"):
        with_products(derive_graph(model_of("mlp_classifier")), "fisherman")
    with pytest.raises(UsageError, match="minimizes nothing"):
        with_products(derive_graph(sb.parse("dim d = 2\nparam W[d, d]\ninput x[d]\ny = W x")))
    with pytest.raises(UsageError, match="not the Fisher matrix"):
        absolute = "dim d = 2\nbatch n\ninput x[d]\ntarget y[d]\nparam W[d, d]\no = W x\nL = ||o - y||_1\nminimize L"
        with_products(derive_graph(sb.parse(absolute)), "fisher")
    with pytest.raises(UsageError, match="no batch dimension"):
        with_products(derive_graph(model_of("ridge_regression")), "empirical-fisher")
