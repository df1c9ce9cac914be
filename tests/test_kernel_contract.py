"""What a generated kernel promises, held for every built-in model."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.footprint import footprint_of
from symbackprop.footprint.memory_use import value_at
from symbackprop.models import builtin_names
from tests.test_generated import committed, sample

NAMES = builtin_names()


def flat(result: tuple[float, dict[str, Any]]) -> dict[str, Any]:
    value, gradients = result
    return {"objective": np.array(value), **{name: np.array(g) for name, g in gradients.items()}}


def assert_same(first: dict[str, Any], second: dict[str, Any], tolerance: float = 0.0) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=tolerance, atol=tolerance, err_msg=name)


def negative_strides(array: Any) -> Any:
    return array[::-1].copy()[::-1] if array.ndim else array


@pytest.mark.parametrize(
    "change", [lambda array: np.array(array, order="F"), negative_strides], ids=["fortran", "negative strides"]
)
@pytest.mark.parametrize("name", NAMES)
def test_memory_layout_changes_nothing(name: str, change: Any) -> None:
    kernel = committed(name)
    params, inputs, _ = sample(sb.builtin(name), 1)
    plain = flat(kernel.loss_and_grad(params, inputs))
    changed = kernel.loss_and_grad({k: change(v) for k, v in params.items()}, {k: change(v) for k, v in inputs.items()})
    assert_same(plain, flat(changed))


@pytest.mark.parametrize("name", NAMES)
def test_given_arrays_are_read_only(name: str) -> None:
    kernel = committed(name)
    params, inputs, sizes = sample(sb.builtin(name), 2)
    for array in (*params.values(), *inputs.values()):
        array.flags.writeable = False
    plain = flat(kernel.loss_and_grad(params, inputs))
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    for _ in range(2):
        assert_same(plain, flat(kernel.loss_and_grad(params, inputs, workspace)))
    assert kernel.loss(params, inputs) == plain["objective"]


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(name: str) -> None:
    kernel = committed(name)
    params, inputs, _ = sample(sb.builtin(name), 3)
    exact = flat(kernel.loss_and_grad(params, inputs))
    single = {key: value.astype(np.float32) for key, value in params.items()}
    value, gradients = kernel.loss_and_grad(single, inputs)
    assert isinstance(value, float)
    assert {key: g.dtype for key, g in gradients.items()} == dict.fromkeys(params, np.dtype(np.float32))
    assert {key: g.shape for key, g in gradients.items()} == {key: p.shape for key, p in params.items()}
    assert all(output.dtype == np.float32 for output in kernel.predict(single, inputs).values())
    scale = max(1.0, *(float(np.abs(g).max()) for g in exact.values()))
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, exact[key], atol=1e-4 * scale, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_predict_needs_no_targets(name: str) -> None:
    model, kernel = sb.builtin(name), committed(name)
    params, inputs, _ = sample(model, 4)
    targets = {leaf.name for leaf in model.leaves_of_kind("target")}
    without = kernel.predict(params, {key: value for key, value in inputs.items() if key not in targets})
    assert tuple(without) == model.outputs
    assert_same(without, kernel.predict(params, inputs))


@pytest.mark.parametrize("name", NAMES)
def test_one_example_and_none(name: str) -> None:
    model, kernel = sb.builtin(name), committed(name)
    params, inputs, _ = sample(model, 5)
    if model.batch is None:
        return
    value, _ = kernel.loss_and_grad(params, {key: array[:1] for key, array in inputs.items()})
    assert np.isfinite(value)
    with pytest.raises(ValueError, match="empty"):
        kernel.loss_and_grad(params, {key: array[:0] for key, array in inputs.items()})


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_named(name: str) -> None:
    kernel = committed(name)
    params, inputs, _ = sample(sb.builtin(name), 6)
    key = next(k for k, v in params.items() if v.ndim)
    with pytest.raises(ValueError, match=key):
        kernel.loss_and_grad({**params, key: np.ones((2,) * (params[key].ndim + 1))}, inputs)
    with pytest.raises(ValueError, match=key):
        kernel.loss_and_grad({k: v for k, v in params.items() if k != key}, inputs)
    with pytest.raises(ValueError, match="surprise"):
        kernel.loss_and_grad({**params, "surprise": np.ones(3)}, inputs)
    with pytest.raises(ValueError, match="surprise"):
        kernel.loss_and_grad(params, inputs, hyper={"surprise": 1.0})


def test_classes_outside_their_range_are_refused() -> None:
    kernel = committed("mlp_classifier")
    params, inputs, sizes = sample(sb.builtin("mlp_classifier"), 7)
    with pytest.raises(ValueError, match="y holds a class outside"):
        kernel.loss_and_grad(params, {**inputs, "y": np.full_like(inputs["y"], sizes["q"])})


def test_integer_inputs_are_converted() -> None:
    kernel = committed("d2l_mlp")
    params, inputs, _ = sample(sb.builtin("d2l_mlp"), 8)
    whole = {key: np.rint(value).astype(int) for key, value in inputs.items()}
    as_floats = {key: value.astype(float) for key, value in whole.items()}
    assert_same(flat(kernel.loss_and_grad(params, whole)), flat(kernel.loss_and_grad(params, as_floats)))


ALLOCATE = ("gaussian_likelihood",)
"""Models whose kernel cannot do without arrays of NumPy's own: inverses and factorisations."""


def allocated(name: str, n: int) -> int:
    """The largest number of bytes that a second call with a workspace holds beside it, for n examples."""
    model, kernel = sb.builtin(name), committed(name)
    sizes = {**{key: size or 8 for key, size in model.dimensions.items()}, "n": n}
    rng = np.random.default_rng(0)
    params = kernel.init(seed=0, dtype=np.float32, sizes=sizes)
    inputs = {}
    for leaf in model.leaves_of_kind("input", "target"):
        shape = [sizes[s.name] for s in leaf.shape]
        shape = [n, *shape] if model.batch else shape
        real = leaf.classes is None
        inputs[leaf.name] = rng.normal(size=shape).astype(np.float32) if real else rng.integers(0, 2, size=shape)
    workspace = kernel.Workspace(dtype=np.float32, **sizes)
    kernel.loss_and_grad(params, inputs, workspace)
    tracemalloc.start()
    kernel.loss_and_grad(params, inputs, workspace)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALLOCATE])
def test_a_second_call_allocates_nothing_that_grows_with_the_data(name: str) -> None:
    small, large = allocated(name, 1024), allocated(name, 4096)
    assert large < 150_000  # NumPy's own buffers for casts
    assert large - small < 20_000


LOGITS = {
    "softmax then log": "p = softmax(o)\nL = -sum(y .* log(p))",
    "cross entropy": "L = cross_entropy(o, y)",
    "log softmax": "L = -sum(y .* log_softmax(o))",
    "sigmoid then logs": "p = sigmoid(o)\nL = -sum(y .* log(p) + (1 - y) .* log(1 - p))",
    "written out": "p = 1 ./ (1 + exp(-o))\nL = -sum(y .* log(p) + (1 - y) .* log(1 - p))",
    "softplus": "L = sum(log(1 + exp(o)) - y .* o)",
    "log sum exp": "L = log(sum(exp(o))) - y^T o",
    "log cosh": "L = sum(log_cosh(o, y))",
}


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("spelling", sorted(LOGITS))
def test_logits_of_800_are_finite(spelling: str, sign: float) -> None:
    model = sb.parse(
        f"dim d = 3, q = 4\nbatch n\ninput x[d]\ntarget y[q]\nparam W[q, d]\no = W x\n{LOGITS[spelling]}\nminimize L"
    )
    kernel = sb.derive(model).kernel()
    rng = np.random.default_rng(0)
    y = np.eye(4)[rng.integers(0, 4, size=5)]
    params, inputs = {"W": sign * 800 * np.eye(4, 3)}, {"x": np.eye(3)[rng.integers(0, 3, size=5)], "y": y}
    value, gradients = kernel.loss_and_grad(params, inputs)
    assert np.isfinite(value) and np.isfinite(gradients["W"]).all()


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e200])
def test_norms_of_any_size_are_finite(scale: float) -> None:
    kernel = sb.derive(sb.parse("dim d = 4\nparam w[d]\nL = ||w||\nminimize L")).kernel()
    value, gradients = kernel.loss_and_grad({"w": scale * np.array([3.0, 4.0, 0.0, 0.0])}, {})
    assert value == pytest.approx(5 * scale)
    np.testing.assert_allclose(gradients["w"], np.array([0.6, 0.8, 0, 0]) * (scale > 0))


def test_names_that_python_or_the_module_use() -> None:
    words = ("def", "np", "w", "dtype", "arrays", "math", "lambda", "class_", "params", "self", "λ_2", "loss")
    text = ["dim d = 3", "batch n = 2", "input x[d]", "param " + ", ".join(f"{word}[d]" for word in words)]
    text += ["o = " + " + ".join(words), "L = ||x .* o||^2", "minimize L"]
    model = sb.parse("\n".join(text))
    kernel = sb.derive(model).kernel()
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=3) for name in model.parameters}
    value, gradients = kernel.loss_and_grad(params, {"x": rng.normal(size=(2, 3))})
    assert gradients.keys() == params.keys() and np.isfinite(value)


def test_text_of_the_model_stays_text() -> None:
    hostile = '# """ \\ {{7*7}} <<8*8>> <% x %> \' """; import os'
    source = sb.derive(sb.parse(f"{hostile}\ndim d = 2\nparam w[d]\nL = ||w||^2\nminimize L")).source()
    assert "{{7*7}}" in source and "<<8*8>>" in source and "49" not in source.split("import math")[0]
    compile(source, "generated", "exec")


def test_an_open_function_is_asked_for() -> None:
    model = sb.parse(
        "dim d = 3\nbatch n\ninput x[d]\nparam w[d]\nfunction phi\na = phi(w .* x)\nL = sum(a)\nminimize L"
    )
    kernel = sb.derive(model).kernel()
    params, inputs = {"w": np.array([1.0, 2.0, 3.0])}, {"x": np.ones((2, 3))}
    with pytest.raises(ValueError, match="phi"):
        kernel.loss_and_grad(params, inputs)
    value, gradients = kernel.loss_and_grad(params, inputs, functions={"phi": np.sin, "phi'": np.cos})
    assert value == pytest.approx(np.sin([1.0, 2.0, 3.0]).sum())
    np.testing.assert_allclose(gradients["w"], np.cos([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 6e-7), (np.float64, 4e-16)])
def test_the_error_function_is_right_everywhere(dtype: Any, tolerance: float) -> None:
    kernel = sb.derive(sb.parse("dim n = 4\ninput x[n]\nparam w[n]\ny = erf(w)\nL = x^T y\nminimize L\noutput y")).kernel()
    points = np.concatenate([np.linspace(-7, 7, 20_001), [0.0, 1e-30, -1e-20, 40.0, -40.0]]).astype(dtype)
    given = {"x": np.ones_like(points)}
    wanted = np.array([math.erf(float(point)) for point in points])
    found = kernel.predict({"w": points}, given)["y"]
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0)
    assert kernel.predict({"w": np.array([np.inf, -np.inf], dtype)}, {"x": np.ones(2, dtype)})["y"].tolist() == [1.0, -1.0]


def test_a_workspace_beyond_the_machine_is_refused_before_it_allocates() -> None:
    kernel = committed("mlp_classifier")
    model = sb.builtin("mlp_classifier")
    sizes = {name: size or 1 for name, size in model.dimensions.items()} | {"n": 10**12}
    footprint = footprint_of(model)
    arrays = value_at(footprint.array_bytes, footprint.numbers(sizes))
    with pytest.raises(MemoryError, match=f"takes {arrays:,} bytes; this machine has "):
        kernel.Workspace(n=10**12)
