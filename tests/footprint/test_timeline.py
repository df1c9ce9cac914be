"""Memory step by step: what is alive, what NumPy allocates beside the workspace, and when most is in use."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.errors import UsageError
from symbackprop.footprint import Footprint, footprint_of
from symbackprop.footprint import memory_use as use
from symbackprop.graph.model import Model
from symbackprop.kernels import load_source
from symbackprop.kernels.schedule import operations_of
from symbackprop.models import builtin_names
from tests.footprint.test_footprint import LARGE, given, sizes_of

NAMES = builtin_names()
BESIDE = {
    "inverses": "dim d = 1000\nparam A[d, d]\nB = A^-1\nL = tr(B A^T) + ||B||^2\nminimize L",
    "determinants": "dim d = 1000\nparam A[d, d]\nL = logdet(A A^T)\nminimize L",
    "cofactors": "dim d = 300\nparam A[d, d]\nL = det(A)^2\nminimize L",
    "the error function": "dim d = 60000\nbatch n = 20\ninput x[d]\nparam W[d]\nz = gelu(W ⊙ x)\nL = ||z||^2\nminimize L",
}
"""Models whose kernels allocate much beside the workspace."""


def numbers_of(footprint: Footprint, sizes: dict[str, int], dtype: str = "float32") -> Any:
    return footprint.numbers(sizes, dtype)


def allocated_in(model: Model, sizes: dict[str, int], dtype: str, function: str) -> int:
    """What tracemalloc sees allocated within a call that has its workspace."""
    kernel = load_source(sb.derive(model).source(), "measured")
    params, inputs = given(model, sizes, dtype)
    for name in params:
        if params[name].ndim == 2 and params[name].shape[0] == params[name].shape[1]:
            params[name] = params[name] + 100 * np.eye(len(params[name]), dtype=dtype)
    workspace = kernel.Workspace(dtype=dtype, **sizes)
    call = getattr(kernel, function)
    call(params, inputs, workspace)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call(params, inputs, workspace)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(BESIDE))
def test_what_numpy_allocates_is_what_was_predicted(name: str, dtype: str) -> None:
    model = sb.parse(BESIDE[name])
    footprint = footprint_of(model)
    predicted = footprint.training_call(numbers_of(footprint, sizes_of(model) if model.batch else {}, dtype)).allocated
    sizes = {key: size or 1 for key, size in model.dimensions.items()}
    measured = allocated_in(model, sizes, dtype, "loss_and_grad")
    assert predicted > 400_000
    assert abs(measured - predicted) <= 0.02 * predicted + 10_000


@pytest.mark.parametrize("name", NAMES)
def test_no_built_in_model_allocates_what_was_not_predicted(name: str) -> None:
    model = sb.builtin(name)
    sizes, footprint = {**sizes_of(model), "n": LARGE[name] // 4}, footprint_of(model)
    numbers = numbers_of(footprint, sizes)
    for function, call in (
        ("loss_and_grad", footprint.training_call(numbers)), ("predict", footprint.prediction_call(numbers)),
    ):  # fmt: skip
        buffers = 200_000  # of NumPy, where it casts
        assert allocated_in(model, sizes, "float32", function) <= call.allocated + buffers, function


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_is_a_copy(dtype: str) -> None:
    inside = "where(i + a >= 1, where(i + a <= s, K[a] x[i + a - 1], 0), 0)"
    head = "dim s = 4000\nbatch n = 640\ninput x[s]\nparam K[3]"
    model = sb.parse(f"{head}\nZ[i in s] = sum[a]({inside})\nL = ||Z||^2\nminimize L")
    footprint = footprint_of(model)
    assert any(op.kind == "window" for op in footprint.plan.operations)
    predicted = footprint.training_call(numbers_of(footprint, {}, dtype)).allocated
    assert predicted >= footprint.numbers({}, dtype)[use.FLOAT_BYTES] * 640 * 4002
    measured = allocated_in(model, {"s": 4000, "n": 640}, dtype, "loss_and_grad")
    assert predicted <= measured <= 1.02 * predicted


def test_prediction_of_the_classifier_is_the_sum_of_its_parts() -> None:
    footprint = footprint_of(sb.builtin("mlp_classifier"))
    values = 256 * (784 + 256 + 128 + 10 + 10)  # inputs, hidden layers, outputs, and the copy of these that is returned
    assert footprint.prediction_bytes(footprint.numbers({})) == 4 * (235_146 + values + 256 + 128)  # rows of zeros for relu


def test_a_model_that_only_predicts_fills_its_whole_workspace() -> None:
    text = BESIDE["the error function"].replace("\nL = ||z||^2\nminimize L", "")
    footprint = footprint_of(sb.parse(text))
    numbers = footprint.numbers({})
    assert any(array.loop is not None for array in footprint.plan.arrays)
    given_bytes = 4 * (60_000 + 20 * 60_000)
    beside = footprint.prediction_call(numbers).allocated
    assert footprint.prediction_bytes(numbers) - given_bytes - beside == footprint.workspace_bytes(numbers)


@pytest.mark.parametrize("name", NAMES)
def test_alive_is_what_will_still_be_read(name: str) -> None:
    """Run the plan with an array for each name: an array counts while a later step reads what it holds."""
    footprint = footprint_of(sb.builtin(name))
    plan, numbers = footprint.plan, footprint.numbers({})
    moments = iter(footprint.training_call(numbers).moments)
    ends = {op.base for op in (*plan.gradients.values(), *([plan.objective] if plan.objective else []))}
    steps, needed = plan.needed(ends)
    holds: dict[Any, Any] = {}
    silent = {"given", "number", "align", "lowest", "scratch", "window"}
    for k, step in enumerate(steps):
        chosen = [op for op in operations_of(step) if op in needed]
        used_here = {operand.base for op in chosen for operand in op.operands} | set(chosen)
        later = {o.base for s in steps[k + 1 :] for op in operations_of(s) if op in needed for o in op.operands} | ends
        busy: dict[Any, int] = {}
        for op in [*holds.values(), *chosen]:
            if op.storage == "buffer" and op in used_here | later:
                array = plan.array_of[op]
                if array.loop is None:
                    count = use.value_at(use.entry_bytes(op.dtype) * _entries(op.shape), numbers)
                else:
                    rows = use.rows_of(plan, array.loop, numbers)
                    count = rows * use.value_at(use.entry_bytes(op.dtype) * _entries(array.shape), numbers)
                busy[array] = max(busy.get(array, 0), count)
        holds.update((plan.array_of[op], op) for op in chosen if op.storage == "buffer")
        if any(op.kind not in silent and op.storage != "constant" for op in chosen):
            assert next(moments).alive == sum(busy.values()), f"step {k}"
    assert next(moments, None) is None


def _entries(shape: Any) -> Any:
    total: Any = 1
    for size in shape:
        total = total * size
    return total


@pytest.mark.parametrize("name", NAMES)
def test_no_more_is_alive_than_the_workspace_holds(name: str) -> None:
    footprint = footprint_of(sb.builtin(name))
    numbers = footprint.numbers({})
    for call in (footprint.training_call(numbers), footprint.prediction_call(numbers)):
        assert call.peak is not None and 0 < call.peak.alive <= footprint.workspace_bytes(numbers)


def test_the_moment_of_the_peak_is_the_first_layers_gradient() -> None:
    footprint = footprint_of(sb.builtin("mlp_classifier"))
    peak = footprint.training_call(footprint.numbers({})).peak
    assert peak is not None and peak.equation == "∂J/∂W1" and peak.backward and peak.loop


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_the_polynomials_are_the_numbers(name: str, optimizer: str) -> None:
    """Where no row of zeros is short: sizes of at least 32, but for kernels and windows."""
    model = sb.builtin(name)
    small = {"k": 3, "s": 66, "p": 32} if name == "small_cnn" else {}
    sizes = {key: small.get(key, 32 + place) for place, key in enumerate(model.dimensions)}
    footprint = footprint_of(model)
    numbers = footprint.numbers(sizes)
    scratch = {use.SCRATCH_BYTES: use.scratch_bytes(footprint.plan, numbers)}
    allocated = footprint.training_call(numbers).allocated
    value = use.value_at(footprint.training_size(optimizer), {**numbers, **scratch})
    assert value == footprint.training_bytes(numbers, optimizer) - allocated
    outputs = footprint.prediction_call(numbers).allocated
    assert use.value_at(footprint.prediction_size, {**numbers, **scratch}) <= footprint.prediction_bytes(numbers) + outputs


def test_a_dimension_may_have_the_name_of_a_symbol() -> None:
    names = ("scratch", "bytes_of_a_float")
    texts = [
        f"dim {d} = 784, h = 256\nbatch n = 64\ninput x[{d}]\nparam W[h, {d}]\nz = W x\nL = ||z||^2 + 0.1 ||W||^2\nminimize L"
        for d in ("d", *names)
    ]
    footprints = [footprint_of(sb.parse(text)) for text in texts]
    assert len({f.training_bytes(f.numbers({})) for f in footprints}) == 1


def test_a_batch_in_parts_takes_less() -> None:
    footprint = footprint_of(sb.builtin("mlp_classifier"))
    numbers = footprint.numbers({"n": 100})
    gradients = use.value_at(footprint.gradient_bytes, numbers)
    assert footprint.accumulated_bytes(numbers, 1) == footprint.training_bytes(numbers)
    expected = footprint.training_bytes(footprint.numbers({"n": 34})) + gradients
    assert footprint.accumulated_bytes(numbers, 3) == expected
    with pytest.raises(UsageError, match="101 parts"):
        footprint.accumulated_bytes(numbers, 101)
    with pytest.raises(UsageError, match="no batch dimension"):
        ridge = footprint_of(sb.builtin("ridge_regression"))
        ridge.accumulated_bytes(ridge.numbers({}), 2)


@pytest.mark.parametrize("memory", [30_000, 300_000, 3_000_000])
@pytest.mark.parametrize("name", [name for name in NAMES if sb.builtin(name).batch])
def test_no_larger_batch_fits(name: str, memory: int) -> None:
    footprint = footprint_of(sb.builtin(name))
    numbers = footprint.numbers({})
    largest = footprint.largest_batch(memory, numbers)
    for batch in range(largest, largest + 60):
        fits = batch > 0 and footprint.training_bytes(footprint.numbers({"n": batch})) <= memory
        assert fits is (0 < batch <= largest)


def test_models_without_parameters_or_objective_have_a_footprint() -> None:
    footprint = footprint_of(sb.parse("dim d = 3\nbatch n = 2\ninput x[d]\nz = tanh(x)"))
    numbers = footprint.numbers({})
    assert footprint.training_bytes(numbers) > 0 and footprint.prediction_bytes(numbers) > 0
