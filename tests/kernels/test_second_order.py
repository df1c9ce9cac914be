"""Kernels of order two: products, the whole matrix and its blocks, against the graph and against each other."""

from __future__ import annotations

import tracemalloc
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import symbackprop as sb
from symbackprop.derivation.derived import derive_graph
from symbackprop.derivation.products import CURVATURES, with_products
from symbackprop.errors import UsageError
from symbackprop.footprint import footprint_of_derived
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.names import Tangent
from symbackprop.kernels import load_source
from symbackprop.models import builtin_names
from tests.derivation.numbers import small_sizes
from tests.derivation.test_orders import point
from tests.derivation.test_products import MORE, directions, model_of
from tests.footprint.test_footprint import bytes_below, sizes_of
from tests.strategies import recipes, values_for

NAMES = builtin_names()


@cache
def kernel_of(name: str, hessian: bool = False, curvature: str = "hessian") -> Any:
    return sb.derive(model_of(name)).products(curvature).kernel(hessian=hessian)


def arguments(name: str, dtype: Any = np.float64) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, int]]:
    """Parameters, inputs, hyper-parameters and sizes."""
    model = model_of(name)
    sizes = small_sizes(model)
    values = point(model, sizes, 3)

    def chosen(*kinds: str) -> dict[str, Any]:
        found = {leaf.name: np.asarray(values[leaf.name]) for leaf in model.leaves_of_kind(*kinds)}
        return {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in found.items()}

    hyper = {n: float(a) for n, a in chosen("hyper").items()}
    return chosen("parameter"), chosen("input", "target"), hyper, sizes


@pytest.mark.parametrize("curvature", [*CURVATURES])
@pytest.mark.parametrize("name", ["mlp_classifier", "one line", "logistic"])
def test_a_product_is_what_the_graph_says(name: str, curvature: str) -> None:
    params, inputs, hyper, sizes = arguments(name)
    derived = with_products(derive_graph(model_of(name), batched=True), curvature)
    v = directions(params, params, 5)
    along = {Tangent(n).name: d for n, d in v.items()}
    expected = evaluate(derived.graph, {**params, **inputs, **hyper, **along}, sizes)
    found = kernel_of(name, curvature=curvature).hvp(params, v, inputs, hyper=hyper)
    for n, product in derived.products.items():
        np.testing.assert_allclose(found[n], expected[product], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", [*NAMES, *MORE])
def test_one_call_gives_what_three_do(name: str) -> None:
    kernel = kernel_of(name)
    params, inputs, hyper, sizes = arguments(name)
    v = directions(params, params, 6)
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    for _ in range(2):
        loss, gradients, products = kernel.loss_grad_and_hvp(params, v, inputs, workspace, hyper)
        gradients, products = ({n: np.array(a) for n, a in d.items()} for d in (gradients, products))
        alone = {n: np.array(a) for n, a in kernel.hvp(params, v, inputs, workspace, hyper).items()}
        again, first = kernel.loss_and_grad(params, inputs, workspace, hyper)
        assert loss == again == pytest.approx(kernel.loss(params, inputs, hyper))
        for n in params:
            np.testing.assert_allclose(products[n], alone[n], rtol=1e-13, atol=1e-15)
            np.testing.assert_allclose(gradients[n], first[n], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", [*NAMES, *MORE])
def test_the_matrix_is_its_products_with_unit_vectors(name: str) -> None:
    kernel = kernel_of(name, True)
    params, inputs, hyper, _ = arguments(name)
    found = kernel.hessian(params, inputs, hyper=hyper)
    assert set(found) == {(row, column) for row in params for column in params}
    zeros = {n: np.zeros(a.shape) for n, a in params.items()}
    size = max(np.abs(block).max() for block in found.values())
    for column, array in params.items():
        for place in np.ndindex(array.shape):
            unit = {**zeros, column: np.zeros(array.shape)}
            unit[column][place] = 1
            for row, product in kernel.hvp(params, unit, inputs, hyper=hyper).items():
                np.testing.assert_allclose(found[row, column][(..., *place)], product, atol=1e-11 * size)
    row, column = list(params)[0], list(params)[-1]
    np.testing.assert_array_equal(kernel.hessian(params, inputs, (row, column), hyper), found[row, column])
    np.testing.assert_array_equal(kernel.hessian(params, inputs, block=(column, row), hyper=hyper), found[column, row])


@pytest.mark.parametrize("name", [*NAMES, *MORE])
def test_the_diagonal_is_that_of_the_blocks_or_an_estimate(name: str) -> None:
    kernel = kernel_of(name, True)
    params, inputs, hyper, _ = arguments(name)
    found = kernel.hessian_diagonal(params, inputs, 2000, hyper=hyper)
    size = 0.0
    for n, array in params.items():
        block = kernel.hessian(params, inputs, (n, n), hyper)
        exact = np.diagonal(block.reshape(array.size, array.size)).reshape(array.shape)
        size = max(size, float(np.linalg.norm(block)))
        if n in kernel._DIAGONALS:
            np.testing.assert_allclose(found[n], exact, atol=1e-11 * size)
        else:  # a mean of 2,000 numbers whose variance is at most twice the squares of its row
            rows = np.sqrt(2 * sum(np.sum(kernel.hessian(params, inputs, (n, m), hyper) ** 2) for m in params))
            assert np.abs(found[n] - exact).max() <= 6 * rows / np.sqrt(2000)
    again = kernel.hessian_diagonal(params, inputs, 2000, hyper=hyper)
    assert all(np.array_equal(found[n], again[n]) for n in params)


def test_the_last_layer_has_its_diagonal_exactly() -> None:
    for name, wanted in (("mlp_classifier", {"W2", "b2", "W3", "b3"}), ("d2l_mlp", {"W1", "b1", "W2", "b2"})):
        assert set(kernel_of(name, True)._DIAGONALS) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(name: str) -> None:
    params, inputs, hyper, _ = arguments(name, np.float32)
    kernel = kernel_of(name, True)
    v = {n: d.astype(np.float32) for n, d in directions(params, params, 7).items()}
    for found in (kernel.hvp(params, v, inputs, hyper=hyper), kernel.hessian(params, inputs, hyper=hyper)):
        assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["mlp_classifier", "small_cnn", "layer_norm"])
def test_with_a_workspace_nothing_grows_with_the_data(name: str) -> None:
    model = model_of(name)
    kernel, sizes = kernel_of(name), {**sizes_of(model), "n": 3000}
    rng = np.random.default_rng(0)
    shapes = {leaf.name: [sizes[str(s)] if s.is_Symbol else int(s) for s in leaf.shape] for leaf in model.graph.declarations}
    params = {n: rng.normal(size=shapes[n]).astype(np.float32) for n in model.parameters}
    inputs = {
        leaf.name: rng.normal(size=[3000, *shapes[leaf.name]]).astype(np.float32)
        if leaf.classes is None
        else rng.integers(0, 2, size=[3000, *shapes[leaf.name]])
        for leaf in model.leaves_of_kind("input", "target")
    }
    workspace = kernel.Workspace(**sizes)
    v = {n: rng.normal(size=a.shape).astype(np.float32) for n, a in params.items()}
    kernel.hvp(params, v, inputs, workspace)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kernel.hvp(params, v, inputs, workspace)
        assert tracemalloc.get_traced_memory()[1] - before < 400_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_the_workspace_has_the_bytes_that_were_predicted(name: str) -> None:
    sizes, footprint = sizes_of(model_of(name)), footprint_of_derived(sb.derive(model_of(name)).products().batch)
    workspace = kernel_of(name).Workspace(dtype="float32", **sizes)
    assert bytes_below(vars(workspace).values(), {}) == footprint.workspace_bytes(footprint.numbers(sizes))


@given(recipe=recipes(deepest=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_random_models(recipe: Any) -> None:
    model = sb.parse(recipe.spell())
    derived = with_products(derive_graph(model, batched=True))
    kernel = load_source(sb.derive(model).source(2), "random")
    sizes = {name: size or 2 for name, size in model.dimensions.items()}
    values = values_for(derived.graph, sizes)
    kinds = {leaf.name: leaf.kind for leaf in derived.graph.declarations}
    params, inputs, hyper = (
        {n: np.asarray(v) for n, v in values.items() if kinds[n] in wanted}
        for wanted in (("parameter",), ("input", "target"), ("hyper",))
    )
    v = directions(params, params, 9)
    expected = evaluate(derived.graph, {**values, **{Tangent(n).name: d for n, d in v.items()}}, sizes)
    scale = max(np.abs(expected[p]).max() for p in derived.products.values()) + 1e-30
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    for _ in range(2):
        found = kernel.hvp(params, v, inputs, workspace, {n: float(x) for n, x in hyper.items()})
        for n, product in derived.products.items():
            np.testing.assert_allclose(found[n], expected[product], atol=1e-10 * scale)


def test_at_a_kink_the_second_derivative_of_relu_is_0() -> None:
    model = sb.parse("dim d = 2\nbatch n = 1\ninput x[d]\nparam W[d, d]\na = relu(W x)\nL = sum(a)\nminimize L")
    kernel = sb.derive(model).kernel(2, hessian=True)
    params, inputs = {"W": np.zeros((2, 2))}, {"x": np.ones((1, 2))}
    assert not kernel.hvp(params, {"W": np.ones((2, 2))}, inputs)["W"].any()
    assert not kernel.hessian(params, inputs)["W", "W"].any()


def test_an_open_function_asks_for_its_derivatives() -> None:
    text = "dim d = 2\nbatch n = 1\ninput x[d]\nparam w[d]\nfunction phi\nz = w^T x\nL = phi(z)\nminimize L"
    derivation = sb.derive(sb.parse(text))
    assert "phi′′(z)" in derivation.products().text() or "φ′′(z)" in derivation.products().text()
    kernel = derivation.kernel(2)
    params, inputs = {"w": np.ones(2)}, {"x": np.ones((1, 2))}
    with pytest.raises(ValueError, match="phi"):
        kernel.hvp(params, params, inputs)
    functions = {"phi": np.sin, "phi'": np.cos, "phi''": lambda u: -np.sin(u)}
    found = kernel.hvp(params, params, inputs, functions=functions)["w"]
    np.testing.assert_allclose(found, -np.sin(2.0) * 2.0)


def test_a_dimension_may_have_the_name_of_an_argument() -> None:
    layers = "a = tanh(W1 x)\nb = tanh(W2 a)\nL = sum(tanh(W3 b))"
    given = "dim dtype = 3\nbatch n = 2\ninput x[dtype]\nparam W1[dtype, dtype], W2[dtype, dtype], W3[dtype, dtype]"
    kernel = sb.derive(sb.parse(f"{given}\n{layers}\nminimize L")).kernel(2, hessian=True)
    assert "W1" not in kernel._DIAGONALS  # it is estimated, in a workspace of these sizes
    params, inputs = {name: np.ones((4, 4)) for name in ("W1", "W2", "W3")}, {"x": np.ones((2, 4))}
    assert kernel.hessian_diagonal(params, inputs)["W1"].shape == (4, 4)


def test_sizes_that_do_not_fit_each_other_are_refused() -> None:
    derivation = sb.derive(sb.parse("dim d = 3\ndim m = 3\nbatch n = 2\ninput x[d]\nparam w[m]\nL = tanh(w^T x)\nminimize L"))
    kernel = derivation.kernel(2, hessian=True)
    for function in (kernel.hessian, kernel.hessian_diagonal):
        with pytest.raises(ValueError, match="d = m does not hold"):
            function({"w": np.zeros(3)}, {"x": np.zeros((2, 5))})


def test_bad_input() -> None:
    kernel = kernel_of("mlp_classifier", True)
    params, inputs, hyper, _ = arguments("mlp_classifier")
    with pytest.raises(ValueError, match="direction lacks 'W1'"):
        kernel.hvp(params, {}, inputs)
    with pytest.raises(ValueError, match=r"W1.*shape"):
        kernel.hvp(params, {**params, "W1": np.ones(3)}, inputs)
    with pytest.raises(ValueError, match="the model has no W9"):
        kernel.hvp(params, {**params, "W9": np.ones(3)}, inputs)
    with pytest.raises(ValueError, match=r"there is no block \('W1', 'W9'\)"):
        kernel.hessian(params, inputs, ("W1", "W9"))
    wrong = {**inputs, "y": np.array([9, *inputs["y"][1:]])}
    for function in (kernel.loss_and_grad, kernel.hessian, kernel.hessian_diagonal):
        with pytest.raises(ValueError, match="y holds a class outside 0 .. "):
            function(params, wrong, hyper=hyper)
    large = {n: np.zeros([3000] * a.ndim) for n, a in params.items()}
    data = {"x": np.zeros((1, 3000)), "y": np.zeros(1, np.int64)}
    with pytest.raises(MemoryError, match="the matrix takes .* bytes; this machine has .*; hvp gives its product"):
        kernel.hessian(large, data)
    with pytest.raises(UsageError, match="order 1 and 2"):
        sb.derive(model_of("d2l_mlp")).source(3)
    with pytest.raises(UsageError, match="checkpoints are for order 1"):
        sb.derive(model_of("d2l_mlp")).source(2, checkpoint=1)
