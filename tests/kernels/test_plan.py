"""The plan of a kernel: what it decides changes where and in which order things are computed, never what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import symbackprop as sb
from symbackprop.derivation.derived import derive_graph
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Model
from symbackprop.kernels import emit, load_source, schedule
from symbackprop.kernels.plan import Plan, make_plan
from symbackprop.kernels.schedule import Loop, operations_of
from symbackprop.models import builtin_names
from tests.strategies import Recipe, recipes, values_for
from tests.test_generated import sample

NAMES = builtin_names()
TOLERANCE = 1e-11


def gradients(model: Model, params: Any, inputs: Any, sizes: Any) -> dict[str, Any]:
    """The gradients by the slow evaluator, which knows nothing of plans."""
    derived = derive_graph(model, batched=True)
    hyper = {name: float(value) for name, value in model.hyper_defaults.items() if value is not None}
    values = evaluate(derived.graph, {**params, **inputs, **hyper}, sizes)
    return {name: values[derived.gradient_name(name)] for name in model.parameters}


def agree(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    scale = max(1.0, *(float(np.abs(value).max()) for value in wanted.values()))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=TOLERANCE * scale, err_msg=name)


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of a few bytes: whatever can become a loop does, and every turn of it works a single row."""
    monkeypatch.setattr(schedule, "CACHE", 1)
    monkeypatch.setattr(emit, "CACHE", 1)


@pytest.mark.usefixtures("small_cache")
@pytest.mark.parametrize("name", NAMES)
def test_loops_over_single_rows_change_nothing(name: str) -> None:
    model = sb.builtin(name)
    kernel = load_source(sb.derive(model).source(), name)
    params, inputs, sizes = sample(model, 11)
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    for _ in range(2):  # what the first call leaves behind must not matter
        agree(kernel.loss_and_grad(params, inputs, workspace)[1], gradients(model, params, inputs, sizes))


@pytest.mark.usefixtures("small_cache")
def test_a_small_cache_makes_loops_of_several_kinds() -> None:
    loops = [loop for name in NAMES for loop in plan_of(sb.builtin(name)).loops]
    kinds = {operation.kind for loop in loops for operation in loop.operations}
    accumulated = {operation.kind for loop in loops for operation in loop.accumulated}
    assert {"multiply", "exp", "sum_last", "vecdot", "sqrt"} <= kinds
    assert {"dot", "sum_first", "einsum"} <= accumulated


@given(recipe=recipes())
@settings(max_examples=25)
def test_random_models_compute_what_the_evaluator_does(recipe: Recipe) -> None:
    model = sb.parse(recipe.spell())
    derived = derive_graph(model, batched=True)
    kernel = load_source(sb.derive(model).source(), "random")
    sizes = {name: size or 2 for name, size in model.dimensions.items()}
    values = values_for(derived.graph, sizes)
    kinds = {d.name: d.kind for d in derived.graph.declarations}
    given_ = [{n: v for n, v in values.items() if kinds[n] in which} for which in (("parameter",), ("input", "target"), ("hyper",))]
    params, inputs, hyper = ({name: np.asarray(value) for name, value in part.items()} for part in given_)
    _, found = kernel.loss_and_grad(params, inputs, hyper={name: float(value) for name, value in hyper.items()})
    wanted = evaluate(derived.graph, values, sizes)
    agree(found, {name: wanted[derived.gradient_name(name)] for name in model.parameters})


# ---------------------------------------------------------------- what must hold of every plan


def plan_of(model: Model) -> Plan:
    return make_plan(derive_graph(model, batched=True))


def check_lives(plan: Plan) -> None:
    """Run the plan with tokens for values: an operand must still be in its array when it is read."""
    holds: dict[Any, Any] = {}
    for step in plan.steps:
        for operation in operations_of(step):
            for operand in operation.operands if operation.storage != "view" else ():
                base = operand.base
                if base.storage == "buffer":
                    assert holds[plan.array_of[base]] is base, f"{operation.kind} of {operation.equation} reads {base.kind}"
            if operation.storage == "buffer":
                holds[plan.array_of[operation]] = operation
    for gradient in (*plan.gradients.values(), *plan.products.values()):
        if gradient.storage == "buffer":
            assert holds[plan.array_of[gradient]] is gradient


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_overwritten_while_it_is_needed(name: str) -> None:
    check_lives(plan_of(sb.builtin(name)))


@pytest.mark.usefixtures("small_cache")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_overwritten_while_it_is_needed_in_loops(name: str) -> None:
    check_lives(plan_of(sb.builtin(name)))


def test_an_array_that_is_shared_too_early_is_noticed() -> None:
    plan = plan_of(sb.builtin("d2l_mlp"))
    arrays = dict(plan.array_of)
    (z,) = (op for op in plan.operations if op.name == "z")
    (o,) = (op for op in plan.operations if op.name == "o")
    arrays[o] = arrays[z]
    wrong = Plan(plan.derived, plan.steps, plan.objective, plan.outputs, plan.gradients, plan.products, arrays)
    with pytest.raises(AssertionError):
        check_lives(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_every_result_is_computed_once_in_a_function(name: str) -> None:
    plan = plan_of(sb.builtin(name))
    seen: set[tuple[Any, ...]] = set()
    backward = {equation.name for equation in plan.derived.backward}
    for operation in plan.operations:
        details = tuple(sorted((key, value) for key, value in operation.details.items()))
        key = (operation.kind, operation.operands, operation.shape, details, operation.equation in backward)
        assert key not in seen or operation.kind in ("number", "align"), operation
        seen.add(key)


def test_gradients_are_made_as_soon_as_they_can_be() -> None:
    depth = 8
    layers = [f"a{k} = tanh(W{k} a{k - 1})" for k in range(1, depth + 1)]
    weights = ", ".join(f"W{k}[h, h]" for k in range(1, depth + 1))
    text = "\n".join(["dim h = 8", "batch n = 4", "input a0[h]", f"param {weights}", *layers, f"L = ||a{depth}||^2", "minimize L"])
    arrays = [array for array in plan_of(sb.parse(text)).arrays if [str(size) for size in array.shape] == ["n", "h"]]
    assert len(arrays) <= depth + 2  # the activations, and two that the cotangents take turns in


def test_the_output_of_relu_is_saved_and_not_its_argument() -> None:
    plan = plan_of(sb.builtin("mlp_classifier"))
    for operation in plan.operations:
        if operation.kind == "greater" and operation.equation.startswith("∂"):
            assert operation.operands[0].base.kind == "relu"


def test_a_loop_is_a_chain_of_rows_of_one_length() -> None:
    for name in NAMES:
        for step in plan_of(sb.builtin(name)).steps:
            if isinstance(step, Loop):
                assert all(op.shape[:1] == (step.length,) for op in step.operations if op not in step.accumulated)


@pytest.mark.parametrize(
    "text",
    [
        "dim n = 5\nparam u[n]\nL = max[i in 3](u[i + 1])\nminimize L",
        "dim n = 3\nparam u[n]\nL = sum(u) huber(3, 1)\nminimize L",
        "dim self = 3\nparam u[self]\nL = ||u||^2\nminimize L",
        "dim w = 3, n = 2\nbatch b = 4\ninput shapes[w]\ntarget rows in w\nparam lowest[w, w], sizes[w]\n"
        "arrays = lowest shapes + sizes\nself = cross_entropy(arrays, rows)\nminimize self",
        "dim dtype = 3, n = 2\ninput x[n, dtype]\nparam u[dtype]\nL = ||x u||^2\nminimize L",
    ],
)
def test_awkward_models_have_kernels(text: str) -> None:
    report = sb.check(sb.parse(text), samples=1)
    assert report.ok, report.table


# ---------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_checkpoints_change_no_bit_of_a_gradient(name: str, every: int) -> None:
    model = sb.builtin(name)
    params, inputs, _ = sample(model, 12)
    value, found = sb.derive(model).kernel().loss_and_grad(params, inputs)
    kernel = load_source(sb.derive(model).source(checkpoint=every), "checkpoint")
    again, same = kernel.loss_and_grad(params, inputs)
    assert value == again
    for key, gradient in found.items():
        np.testing.assert_array_equal(gradient, same[key])


def test_checkpoints_keep_every_so_many_layers() -> None:
    depth = 12
    layers = [f"a{k} = tanh(W{k} a{k - 1})" for k in range(1, depth + 1)]
    weights = ", ".join(f"W{k}[h, h]" for k in range(1, depth + 1))
    text = "\n".join(["dim h = 8", "batch n = 4", "input a0[h]", f"param {weights}", *layers, f"L = ||a{depth}||^2", "minimize L"])
    derived = derive_graph(sb.parse(text), batched=True)
    kept = {}
    for every in (None, 1, 3, 4):
        plan = make_plan(derived, every)
        check_lives(plan)
        kept[every] = len([a for a in plan.arrays if [str(size) for size in a.shape] == ["n", "h"]])
    assert kept[None] == kept[1] > kept[3] > 3  # 3 checkpoints, a group of 3, and what the cotangents take turns in
    assert kept[3] <= 3 + 3 + 3 and kept[4] <= 2 + 4 + 3


@pytest.mark.parametrize("activation", ["softplus", "gelu", "relu", "tanh"])
def test_a_product_is_computed_once_whichever_way_its_axes_lie(activation: str) -> None:
    text = f"dim h = 3, m = 2\nbatch n = 4\ninput x[h]\nparam W[m, h]\na = {activation}(W x)\nL = ||a||^2\nminimize L"
    kinds = [operation.kind for operation in plan_of(sb.parse(text)).operations]
    assert kinds.count("matmul") == 2  # W x, and the gradient
    assert sb.check(sb.parse(text), samples=1).ok
