"""What a footprint says is what a kernel does: bytes, arithmetic and parameters, for every built-in model."""

from __future__ import annotations

import json
import tracemalloc
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.cli import run
from symbackprop.errors import SizeError, UsageError
from symbackprop.footprint import Footprint, footprint_of
from symbackprop.footprint.memory_use import FLOAT_BYTES, saved, value_at
from symbackprop.footprint.report import Report
from symbackprop.graph.model import Model
from symbackprop.graph.sizes import size_value
from symbackprop.kernels import load_source
from symbackprop.models import builtin_names
from tests.test_generated import committed

NAMES = builtin_names()
CASES = [(name, factor, dtype) for name in NAMES for factor in (1, 3) for dtype in ("float32", "float64")]


def sizes_of(model: Model, factor: int = 1) -> dict[str, int]:
    sizes = {name: size or 4 for name, size in model.dimensions.items()}
    return {**sizes, "n": factor * sizes["n"]}


def bytes_below(values: Any, seen: dict[int, int]) -> int:
    """The bytes of all arrays in (lists of) attributes, each memory once."""
    for value in values:
        if isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):
                value = value.base
            seen[id(value)] = value.nbytes
        elif isinstance(value, list | tuple):
            bytes_below(value, seen)
    return sum(seen.values())


def given(model: Model, sizes: dict[str, int], dtype: str) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(0)
    params: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for leaf in model.graph.declarations:
        batched = model.batch is not None and leaf.kind in ("input", "target")
        shape = ([sizes[model.batch]] if batched and model.batch else []) + [
            size_value(size, sizes) for size in leaf.shape
        ]
        if leaf.kind == "parameter":
            params[leaf.name] = rng.normal(size=shape).astype(dtype)
        elif leaf.kind != "hyper":
            real = leaf.classes is None
            inputs[leaf.name] = rng.normal(size=shape).astype(dtype) if real else rng.integers(0, 2, size=shape)
    return params, inputs


@pytest.mark.parametrize(("name", "factor", "dtype"), CASES)
def test_the_workspace_has_the_bytes_that_were_predicted(name: str, factor: int, dtype: str) -> None:
    model = sb.builtin(name)
    sizes, footprint = sizes_of(model, factor), footprint_of(model)
    workspace = committed(name).Workspace(dtype=dtype, **sizes)
    assert bytes_below(vars(workspace).values(), {}) == footprint.workspace_bytes(footprint.numbers(sizes, dtype))


@pytest.mark.parametrize("name", NAMES)
def test_with_checkpoints_too(name: str) -> None:
    model = sb.builtin(name)
    kernel = load_source(sb.derive(model).source(checkpoint=1), name)
    footprint = footprint_of(model, 1)
    workspace = kernel.Workspace(dtype="float32", **sizes_of(model))
    assert bytes_below(vars(workspace).values(), {}) == footprint.workspace_bytes(footprint.numbers({}))


class Counting:
    """NumPy, but it counts the multiply-adds of its products from the arrays they are given."""

    def __init__(self) -> None:
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name in ("matmul", "dot", "vdot", "vecdot", "einsum"):
            return lambda *operands, **options: self._counted(name, function, *operands, **options)
        return function

    def _counted(self, name: str, function: Any, *operands: Any, **options: Any) -> Any:
        if name == "einsum":
            pattern, *arrays = operands
            extents = {letter: size for term, a in zip(pattern.split("->")[0].split(","), arrays, strict=True)
                       for letter, size in zip(term, a.shape, strict=True)}  # fmt: skip
            self.count += int(np.prod(list(extents.values()))) if len(arrays) > 1 else 0
        else:
            a, b = (np.asarray(operand) for operand in operands[:2])
            if name in ("vdot", "vecdot"):
                self.count += int(np.broadcast(a, b).size)
            elif a.ndim == 1:
                self.count += a.size * (b.size // b.shape[0])
            else:
                batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if b.ndim > 1 else a.shape[:-2]
                columns = b.shape[-1] if b.ndim > 1 else 1
                self.count += int(np.prod(batch)) * a.shape[-2] * a.shape[-1] * columns
        return function(*operands, **options)


@pytest.mark.parametrize("name", NAMES)
def test_the_multiply_adds_are_those_of_a_run(name: str) -> None:
    model = sb.builtin(name)
    sizes, footprint = sizes_of(model), footprint_of(model)
    kernel: ModuleType = load_source(sb.derive(model).source(), name)
    params, inputs = given(model, sizes, "float32")
    workspace = kernel.Workspace(dtype="float32", **sizes)
    counting = Counting()
    kernel.__dict__["np"] = counting
    kernel.loss_and_grad(params, inputs, workspace)
    total = footprint.multiply_adds(backward=False) + footprint.multiply_adds(backward=True)
    assert value_at(total, footprint.numbers(sizes)) == counting.count > 0


LARGE = {
    "batch_norm": 40_000, "causal_attention": 1_200, "d2l_mlp": 2_000, "d2l_mlp_no_bias": 2_000, "elastic_net_mlp": 30_000,
    "embedding_classifier": 4_000,
    "gaussian_likelihood": 200_000, "layer_norm": 40_000, "mlp_classifier": 2_000, "ridge_regression": 240_000,
    "small_cnn": 1_200, "softmax_regression": 30_000, "tied_autoencoder": 15_000,
}  # fmt: skip
"""A batch for each model with which its data exceed 8 MB."""


@pytest.mark.parametrize("name", NAMES)
def test_training_takes_the_memory_that_was_predicted(name: str) -> None:
    model = sb.builtin(name)
    sizes, footprint, kernel = {**sizes_of(model), "n": LARGE[name]}, footprint_of(model), committed(name)
    wanted = footprint.training_bytes(footprint.numbers(sizes))
    tracemalloc.start()
    try:
        params, inputs = given(model, sizes, "float32")
        tracemalloc.reset_peak()
        workspace = kernel.Workspace(dtype="float32", **sizes)
        kernel.loss_and_grad(params, inputs, workspace)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert wanted > 8_000_000
    assert abs(peak - wanted) <= 0.02 * wanted


def test_the_parameters_of_the_classifier() -> None:
    footprint = footprint_of(sb.builtin("mlp_classifier"))
    numbers = footprint.numbers({})
    assert [value_at(layer.parameters, numbers) for layer in footprint.layers] == [200_960, 32_896, 1_290]
    assert value_at(footprint.parameters, numbers) == 235_146


def test_what_is_saved_is_what_backward_equations_read() -> None:
    footprint = footprint_of(sb.builtin("d2l_mlp"))
    readers = {op.name: read_by for op, read_by in saved(footprint.plan).items() if op.name}
    assert readers == {"a": ("∂J/∂W2", "∂J/∂z")}


def test_recomputing_saves_memory_and_costs_arithmetic() -> None:
    depth = 16
    layers = [f"a{k} = tanh(W{k} a{k - 1})" for k in range(1, depth + 1)]
    weights = ", ".join(f"W{k}[h, h]" for k in range(1, depth + 1))
    head = ["dim h = 32", "batch n = 512", "input a0[h]", f"param {weights}"]
    model = sb.parse("\n".join([*head, *layers, f"L = ||a{depth}||^2", "minimize L"]))
    plain, recomputed = footprint_of(model), footprint_of(model, 4)
    numbers = plain.numbers({})
    assert recomputed.workspace_bytes(numbers) < 0.7 * plain.workspace_bytes(numbers)
    more = value_at(work(recomputed), numbers) / value_at(work(plain), numbers)
    assert 1.15 < more < 1.25  # 9 of the 47 products: in three groups of four layers, all but the last layer of each
    assert recomputed.without is not None and recomputed.without.training_bytes(numbers) == plain.training_bytes(numbers)
    document = json.loads(Report(recomputed, {}).json())
    assert document["without_checkpoints"]["training"]["number"] == plain.training_bytes(numbers)
    assert document["without_checkpoints"]["multiply_adds"]["number"] == value_at(work(plain), numbers)
    assert json.loads(Report(plain, {}).json())["without_checkpoints"] is None
    before, after = plain.training_bytes(numbers), recomputed.training_bytes(numbers)
    again = 9 * 32 * 32 * 512
    assert f"checkpoints save {before - after:,} of {before:,} bytes" in Report(recomputed, {}).text()
    assert f"to compute again, {again:,} multiply-adds" in Report(recomputed, {}).text()


def test_without_sizes_the_saving_is_a_polynomial() -> None:
    model = sb.parse("dim d, h\nbatch n\ninput x[d]\nparam V[h, d], W[h, h]\na = tanh(V x)\nL = ||tanh(W a)||^2\nminimize L")
    text = " ".join(Report(footprint_of(model, 1), {}).text().split())
    assert "without checkpoints, training takes float (" in text and "to compute again, " in text


def work(footprint: Footprint) -> Any:
    return footprint.multiply_adds(backward=False) + footprint.multiply_adds(backward=True)


def test_the_largest_batch_fits_and_the_next_does_not() -> None:
    model = sb.builtin("mlp_classifier")
    footprint = footprint_of(model)
    numbers = footprint.numbers({})
    memory = 100_000_000
    largest = footprint.largest_batch(memory, numbers, "adam")
    for batch, fits in ((largest, True), (largest + 1, False)):
        assert (footprint.training_bytes(footprint.numbers({"n": batch}), "adam") <= memory) is fits
    assert footprint.largest_batch(10, numbers) == 0


def test_numbers_that_are_missing_are_named() -> None:
    model = sb.parse("dim d, h = 3\nbatch n\ninput x[d]\nparam W[h, d]\nz = W x\nL = ||z||^2\nminimize L")
    footprint = footprint_of(model)
    with pytest.raises(SizeError, match="d, n"):
        footprint.numbers({})
    assert footprint.numbers({"d": 2, "n": 5})[FLOAT_BYTES] == 4
    with pytest.raises(UsageError, match="zz"):
        footprint.numbers({"zz": 2})


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["footprint", "mlp_classifier", "--memory", "24GiB", "--optimizer", "adam"]) == 0
    out = capsys.readouterr().out
    for text in (
        "235,146",
        "200,960",
        "32,896",
        "1,290",
        "A1 for ∂J/∂W2, ∂J/∂Z1",
        "the largest batch that fits 25,769,803,776",
    ):
        assert text in out
    assert run(["footprint", "mlp", "--layers", "4,3,2", "--batch", "5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sizes"]["n"] == 5 and document["bytes"]["parameters"]["number"] == 4 * (4 * 3 + 3 + 3 * 2 + 2)
    assert run(["footprint", "d2l_mlp", "--batch", "7", "--json", "--dtype", "float64"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sizes"]["n"] == 7 and document["bytes"]["inputs and targets"]["number"] == 8 * 7 * (784 + 10)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--optimizer", "lion"], "there is no optimizer 'lion'"), (["--dtype", "float16"], "there is no dtype 'float16'"),
        (["--memory", "24XB"], "--memory '24XB'"), (["--memory", "-1GiB"], "--memory"), (["--memory", "0"], "--memory '0'"),
        (["--sizes", "h=0"], "--sizes 'h=0'"), (["--sizes", "h"], "--sizes 'h'"), (["--sizes", "zz=3"], "no dimension zz"),
        (["--sizes", "h=99999999999"], "--sizes"), (["--batch", "0"], "--batch"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["footprint", "d2l_mlp", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and captured.err.startswith("error: ")
    assert len(captured.err.strip().splitlines()) == 1


def test_a_missing_size_gives_the_symbolic_answer(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "open.eq"
    path.write_text(
        "dim d, h = 3\nbatch n\ninput x[d]\nparam W[h, d]\nz = W x\nL = ||z||^2\nminimize L\n", encoding="utf-8"
    )
    assert run(["footprint", str(path)]) == 0
    out = capsys.readouterr().out
    assert "no size is given for d, n" in out and "float d h" in out
