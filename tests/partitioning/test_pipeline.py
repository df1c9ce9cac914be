"""The batch in rounds and the layers in stages: what workers compute together, what they send, and that none waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import sympy

import symbackprop as sb
from symbackprop import render
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.layers import layers
from symbackprop.errors import UsageError
from symbackprop.footprint import Footprint
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.sizes import size_value
from symbackprop.kernels import emit, schedule
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan, make_plan
from symbackprop.kernels.schedule import operations_of
from symbackprop.models import builtin_names
from symbackprop.partitioning import Cost, Partition, split_over
from symbackprop.partitioning.parts import stage_plans, transferred
from symbackprop.partitioning.proof import difference
from symbackprop.partitioning.simulate import assembled, simulate

TOLERANCE = 1e-13
NOTHING: Mapping[str, int] = MappingProxyType({})
NAMES = builtin_names()

SKIPPING = """
dim d = 6, q = 5
batch n = 24
input x[d]
target y[q]
param W1[d, d], b1[d], W2[d, d], W3[d, d], W4[q, d], g
hyper lambda = 0.01

a1 = tanh(W1 x + b1)
a2 = tanh(W2 a1) + g a1
a3 = tanh(W3 a2 + W1 a2) + a1
o = W4 (a3 + g x)
L = 1/2 ||y - o||^2
s = lambda (||W1||^2 + ||W3||^2) + lambda g^2
J = L + s
minimize J
"""
"""Values and a weight that pass over a stage, a scalar parameter that several read, and a penalty on several."""

LARGE = """
dim d = 300, h = 400, q = 10
batch n = 240
input x[d]
target y in q
param W1[h, d], W2[h, h], W3[q, h]

a1 = relu(W1 x)
a2 = relu(W2 a1)
o = W3 a2 + W3 a1
L = cross_entropy(o, y)
minimize L
"""
"""Messages that are too long to be sent before somebody receives them."""

MODELS = {name: sb.builtin(name) for name in NAMES} | {"skipping": sb.parse(SKIPPING), "large": sb.parse(LARGE)}
DERIVED: dict[str, DerivedGraph] = {name: sb.derive(model).batch for name, model in MODELS.items()}
DERIVED["inputs"] = sb.derive(MODELS["mlp_classifier"], ["x", "W1", "W3", "lambda"]).batch


def sizes_of(name: str) -> dict[str, int]:
    """Small sizes, a batch that 2 workers and 2, 3 or 4 rounds divide."""
    derived = DERIVED[name]
    limit = 400 if name == "large" else 8
    sizes = {dimension: min(size or limit, limit) for dimension, size in derived.model.dimensions.items()}
    return sizes | {"n": 240 if name == "large" else 24}


def values_of(derived: DerivedGraph, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Arrays for all declared tensors as wholes."""
    rng, values = np.random.default_rng(1), dict[str, Any]()
    for leaf in derived.graph.declarations:
        shape = tuple(size_value(size, sizes) for size in leaf.shape)
        if leaf.classes is not None:
            values[leaf.name] = rng.integers(0, size_value(leaf.classes, sizes), shape)
        else:
            values[leaf.name] = rng.uniform(0.25, 1, shape) * (1 if leaf.kind == "hyper" else rng.choice([-1, 1], shape))
    return values


def cut(name: str, splits: Mapping[str, int], stages: int, rounds: int) -> Partition:
    return split_over(DERIVED[name], splits, sizes_of(name), stages=stages, rounds=rounds)


def divisible(stages: int, rounds: int) -> tuple[str, ...]:
    """The models that can be divided so: with a layer for each stage, and for rounds with a batch of independent examples."""
    names = [name for name, derived in DERIVED.items() if len({*layers(derived).values()}) >= stages]
    return tuple(name for name in names if rounds == 1 or DERIVED[name].model.batch is not None)


# ---------------------------------------------------------------- what is refused


def test_a_model_that_couples_its_examples_is_not_worked_in_rounds() -> None:
    normalised = sb.derive(sb.builtin("batch_norm")).batch
    with pytest.raises(UsageError, match="couples its examples, so that they cannot be worked in 2 rounds: in sigma"):
        split_over(normalised, {"n": 2}, rounds=2)
    length = sb.derive(sb.parse("dim n = 8, d = 3\ninput X[n, d]\nparam w[d]\n\nz = X w\nJ = ||z||\nminimize J\n")).batch
    with pytest.raises(UsageError, match="couples its examples.* in J it needs all of them at once"):
        split_over(length, {"n": 1}, rounds=2)
    assert split_over(normalised, {"n": 2}, stages=2).workers == 4  # stages are no parts of the batch


def test_what_cannot_be_divided_is_said() -> None:
    with pytest.raises(UsageError, match="no batch dimension"):
        split_over(sb.derive(sb.builtin("batch_norm")).batch, {}, rounds=2)
    with pytest.raises(UsageError, match="4 stages: a stage is one or more layers, and the model has 3 of them"):
        split_over(DERIVED["mlp_classifier"], {}, stages=4)
    with pytest.raises(UsageError, match="0 stages"):
        split_over(DERIVED["mlp_classifier"], {}, stages=0)
    with pytest.raises(UsageError, match="0 rounds"):
        split_over(DERIVED["mlp_classifier"], {}, rounds=0)
    with pytest.raises(UsageError, match="n = 256 cannot be split into 300 parts"):
        split_over(DERIVED["mlp_classifier"], {}, rounds=300)
    uneven = split_over(DERIVED["mlp_classifier"], {"n": 2}, rounds=3)
    with pytest.raises(UsageError, match="n: 4 positions of a worker cannot be worked in 3 equal rounds"):
        Cost(uneven).numbers({"n": 8})


# ---------------------------------------------------------------- in one process


@pytest.mark.parametrize("name", [name for name in divisible(1, 3) if name != "large"])
def test_rounds_are_what_so_many_workers_would_do(name: str) -> None:
    sizes = sizes_of(name)
    values = values_of(DERIVED[name], sizes)
    whole = evaluate(DERIVED[name].graph, values, sizes)
    partition = cut(name, {"n": 2}, 1, 3)
    parts = simulate(partition, values, sizes)
    assert len(parts) == 6
    for equation, value in whole.items():
        found = assembled([part[equation] for part in parts], partition.layouts[equation], partition.mesh.in_space)
        assert difference(found, value) <= TOLERANCE, equation


@pytest.mark.parametrize("name", DERIVED)
def test_without_stages_and_rounds_the_plan_is_as_ever(name: str) -> None:
    partition = cut(name, {"n": 2}, 1, 1)
    (plan,), alone = stage_plans(partition), make_plan(partition.derived)
    assert [op.kind for op in plan.operations] == [op.kind for op in alone.operations]
    assert plan.entries == alone.entries


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("rounds", [1, 4])
def test_all_stages_together_do_the_arithmetic_of_one(stages: int, rounds: int) -> None:
    for name in ("mlp_classifier", "skipping", "causal_attention"):
        partition = cut(name, {}, stages, rounds)
        costs = [Cost(partition, stage) for stage in range(stages)]
        alone = Cost(cut(name, {}, 1, rounds))
        numbers = costs[0].numbers(sizes_of(name))
        for of in ("multiply_adds", "parameters"):
            values = [getattr(cost.footprint if of == "parameters" else cost, of) for cost in (alone, *costs)]
            whole, *parts = [int(value.xreplace(numbers)) for value in values]
            assert sum(parts) == whole > 0, (name, of)


def test_rounds_add_no_products() -> None:
    one, four = (Cost(cut("mlp_classifier", {}, 1, rounds)) for rounds in (1, 4))
    sizes = sizes_of("mlp_classifier")
    found = [int(cost.multiply_adds.xreplace(cost.numbers(sizes))) for cost in (one, four)]
    assert found[0] == found[1]


def test_rounds_are_told_with_the_equations() -> None:
    text = " ".join(render.text(cut("d2l_mlp", {"n": 2}, 1, 2).derived).split())
    assert "each of 2 workers holds n_p of n (2 parts), n_r at a time in 2 rounds" in text
    assert "a sum over p_n, the workers along n and their rounds, adds up what each of them has" in text


def test_a_cut_is_passed_by_a_value_and_its_gradient() -> None:
    partition = split_over(DERIVED["mlp_classifier"], {"n": 2}, stages=3, rounds=4)
    assert partition.workers == 6
    parameters = partition.derived.model.parameters
    assert {name: partition.shared.stages_of[name] for name in parameters} == {
        "W1": (0,), "b1": (0,), "W2": (1,), "b2": (1,), "W3": (2,), "b3": (2,),
    }  # fmt: skip
    passed = [(t.value, t.source, t.target, t.times) for t, _ in transferred(partition) if t.shape]
    assert passed == [("a1", 0, 1, 4), ("a2", 1, 2, 4), ("∂J/∂a2", 2, 1, 4), ("∂J/∂a1", 1, 0, 4)]
    sent = {t.value: size for t, size in transferred(partition)}
    assert str(sent["a1"]) == "4*bytes_of_a_float*h1*n_r"


def test_a_classes_gradient_is_added_up_where_the_table_lives() -> None:
    partition = split_over(DERIVED["embedding_classifier"], {}, stages=2)
    assert [t.value for t, _ in transferred(partition) if t.shape] == ["a", "∂L/∂a"]


def test_each_part_under_way_has_its_own_arrays_of_the_forward_pass() -> None:
    two, four = (stage_plans(split_over(DERIVED["mlp_classifier"], {}, stages=2, rounds=k)) for k in (2, 4))
    for before, after in zip(two, four, strict=True):
        assert before.turns is not None and after.turns is not None
        arrays = {array.values[0].name or array.values[0].kind for array in after.of_a_turn}
        assert not any(name.startswith("∂J/∂W") for name in arrays)
        own = sympy.Add(*[array.entries for array in before.of_a_turn if array.dtype == "float"])
        assert sympy.expand(after.entries["float"] - before.entries["float"] - 2 * own) == 0
    (alone,) = stage_plans(split_over(DERIVED["mlp_classifier"], {}, rounds=4))
    assert not alone.of_a_turn
    assert Footprint(alone).workspace_size.coeff(sympy.Symbol("n_r", integer=True, positive=True)) != 0


@pytest.mark.parametrize("name", divisible(2, 2))
@pytest.mark.parametrize(("splits", "stages", "rounds"), [({}, 2, 1), ({}, 2, 4), ({"n": 2}, 2, 3), ({}, 3, 1), ({"n": 2}, 3, 2)])
def test_nobody_waits_for_ever(name: str, splits: dict[str, int], stages: int, rounds: int) -> None:
    """Every stage goes on until it waits for what has not been sent; if each is at its end, none waits for another."""
    try:
        plans = stage_plans(cut(name, splits, stages, rounds))
    except UsageError:
        assert stages == 3
        return
    for targets in functions(plans):
        needed = plans[0].needed(targets)[1]
        waiting = [events(plan, needed) for plan in plans]
        sent: dict[tuple[int, int], int] = {}
        received: dict[tuple[int, int], int] = {}
        moved = True
        while moved:
            moved = False
            for queue in waiting:
                while queue:
                    operation, turn = queue[0]
                    key = (operation.details["tag"], turn)
                    if operation.kind == "receive" and key not in sent:
                        break
                    (sent if operation.kind == "send" else received)[key] = 1
                    queue.pop(0)
                    moved = True
        assert not any(waiting), [queue[0] for queue in waiting if queue]
        assert sent == received


def functions(plans: tuple[Plan, ...]) -> list[list[Operation]]:
    objectives = [plan.objective for plan in plans if plan.objective is not None]
    gradients = [op for plan in plans for op in plan.gradients.values()]
    outputs = [op for plan in plans for op in plan.outputs.values()]
    return [targets for targets in (objectives, [*objectives, *gradients], outputs) if targets]


def events(plan: Plan, needed: frozenset[Operation]) -> list[tuple[Operation, int]]:
    """What a stage sends and receives, in order, with the number of the part of the batch: all forward, then all back."""
    turns = plan.turns
    bounds = (len(plan.steps),) * 3 if turns is None else (turns.first, turns.back, turns.end)
    slices = [(plan.steps[: bounds[0]], 1)]
    slices += [(plan.steps[slice(*bounds[k : k + 2])], turns.number if turns else 1) for k in (0, 1)]
    slices.append((plan.steps[bounds[2] :], 1))
    return [
        (operation, turn)
        for steps, number in slices
        for turn in range(number)
        for step in steps
        for operation in operations_of(step)
        if operation in needed and operation.kind in ("send", "receive")
    ]


def test_the_module_is_the_same_in_every_process() -> None:
    program = (
        "import hashlib, symbackprop as sb; from symbackprop.partitioning import split_over\n"
        "for name in ('mlp_classifier', 'causal_attention', 'layer_norm'):\n"
        "    text = split_over(sb.derive(sb.builtin(name)).batch, {'n': 2}, stages=2, rounds=2).source()\n"
        "    print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


# ---------------------------------------------------------------- by several workers

CASES: dict[str, tuple[dict[str, int], int, int, tuple[str, ...]]] = {
    "rounds": ({}, 1, 3, divisible(1, 3)),
    "split_rounds": ({"n": 2}, 1, 2, divisible(1, 2)),
    "two_stages": ({}, 2, 1, divisible(2, 1)),
    "two_stages_rounds": ({}, 2, 4, divisible(2, 4)),
    "three_stages": ({}, 3, 1, ("mlp_classifier", "causal_attention", "skipping", "large", "inputs")),
    "three_stages_rounds": ({}, 3, 2, ("mlp_classifier", "causal_attention", "skipping", "large", "inputs")),
    "stages_batch_rounds": ({"n": 2}, 2, 2, divisible(2, 2)),
    "stages_layer": ({"h1": 2}, 2, 1, ("mlp_classifier", "inputs")),
    "stages_layer_rounds": ({"h": 2}, 2, 2, ("d2l_mlp", "elastic_net_mlp", "large")),
    "batch_layer_rounds": ({"n": 2, "h1": 2}, 1, 2, ("mlp_classifier", "inputs")),
}


def write_case(
    folder: Path, name: str, partition: Partition, change: tuple[str, str] = ("", ""), sizes: Mapping[str, int] = NOTHING
) -> None:
    """Write the module of a partition (with a change in its text) and whole arrays."""
    text = partition.source()
    assert change[0] in text
    (folder / f"{name}.py").write_text(text.replace(*change) if change[0] else text, encoding="utf-8")
    kinds = {leaf.name: {"parameter": "p_", "hyper": "h_"}.get(leaf.kind, "i_") for leaf in DERIVED[name].graph.declarations}
    sizes = sizes_of(name) | sizes
    arrays = {kinds[key] + key: value for key, value in values_of(DERIVED[name], sizes).items()}
    np.savez(folder / f"{name}.npz", **arrays, **{f"s_{key}": size for key, size in sizes.items()})


def worst(folder: Path, name: str) -> float:
    """The worst difference of what all workers together have from the unsplit kernel."""
    with np.load(folder / f"{name}.npz") as file:
        given = {kind: {k[2:]: file[k] for k in file if k[:2] == kind} for kind in ("p_", "i_", "h_")}
    hyper = {key: float(value) for key, value in given["h_"].items()}
    derivation = sb.derive(MODELS["mlp_classifier"], ["x", "W1", "W3", "lambda"]) if name == "inputs" else sb.derive(MODELS[name])
    alone = derivation.kernel()
    loss, gradients = alone.loss_and_grad(given["p_"], given["i_"], hyper=hyper)
    outputs = alone.predict(given["p_"], given["i_"], hyper=hyper)
    with np.load(folder / f"{name}.out.npz") as out:
        wanted = {"loss": np.asarray(loss)}
        wanted |= {f"g_{key}": value for key, value in gradients.items()} | {f"o_{key}": value for key, value in outputs.items()}
        assert {*out} == {*wanted}
        return max(difference(out[key], value) for key, value in wanted.items())


def run(workers: int, folder: Path) -> list[dict[str, Any]]:
    """Run all cases of a folder; return what each worker tells of each."""
    from tests.partitioning.mpi import run_workers

    done = run_workers(workers, [Path(__file__).parent / "run_workers.py", folder], seconds=60)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads((folder / "counted.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("case", CASES)
def test_workers_compute_what_one_alone_does(case: str, tmp_path: Path) -> None:
    splits, stages, rounds, names = CASES[case]
    for name in names:
        write_case(tmp_path, name, partition := cut(name, splits, stages, rounds))
    told = run(partition.workers, tmp_path)
    errors = {name: worst(tmp_path, name) for name in names}
    assert max(errors.values()) <= TOLERANCE, errors
    for name in names:
        assert all(worker[name]["repeated"] for worker in told), name
        assert len({worker[name]["loss"] for worker in told}) == 1, name


@pytest.mark.parametrize(("splits", "stages", "rounds"), [({}, 1, 3), ({}, 2, 4), ({"n": 2}, 2, 2)])
def test_loops_in_them_change_nothing(
    splits: dict[str, int], stages: int, rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "CACHE", 1)
    monkeypatch.setattr(emit, "CACHE", 1)
    names = divisible(stages, rounds)
    for name in names:
        write_case(tmp_path, name, partition := cut(name, splits, stages, rounds))
    assert stages == 1 or "in m.blocks" in (tmp_path / "layer_norm.py").read_text(encoding="utf-8")
    told = run(partition.workers, tmp_path)
    errors = {name: worst(tmp_path, name) for name in names}
    assert max(errors.values()) <= TOLERANCE, errors
    assert all(worker[name]["repeated"] for worker in told for name in names)


@pytest.mark.parametrize(("parts", "stages", "rounds"), [(2, 1, 2), (1, 2, 4), (2, 2, 2)])
def test_local_statistics_are_those_of_a_round(parts: int, stages: int, rounds: int, tmp_path: Path) -> None:
    derived, sizes = DERIVED["batch_norm"], sizes_of("batch_norm")
    workers = split_over(derived, {"n": 4}, sizes, local=True)
    values = simulate(workers, values_of(derived, sizes), sizes)
    partition = split_over(derived, {"n": parts}, sizes, stages=stages, rounds=rounds, local=True)
    write_case(tmp_path, "batch_norm", partition)
    run(partition.workers, tmp_path)
    with np.load(tmp_path / "batch_norm.out.npz") as out:
        assert difference(out["loss"], values[0]["L"]) <= TOLERANCE
        for name in derived.wrt:
            assert difference(out[f"g_{name}"], values[0][derived.gradient_name(name)]) <= TOLERANCE
        outputs = assembled([part["O"] for part in values], workers.layouts["O"], workers.mesh)
        assert difference(out["o_O"], outputs) <= TOLERANCE


@pytest.mark.parametrize(("splits", "stages", "rounds"), [({}, 1, 2), ({}, 2, 1), ({}, 2, 4), ({"n": 2}, 2, 2)])
def test_they_hand_over_and_take_what_was_predicted(splits: dict[str, int], stages: int, rounds: int, tmp_path: Path) -> None:
    partitions = {name: cut(name, splits, stages, rounds) for name in ("mlp_classifier", "large", "small_cnn")}
    for name, partition in partitions.items():
        write_case(tmp_path, name, partition)
    told = run(partition.workers, tmp_path)
    for name, partition in partitions.items():
        for rank, worker in enumerate(told):
            stage, place = divmod(rank, partition.mesh.workers)
            cost = Cost(partition, stage)
            numbers = cost.numbers(sizes_of(name), "float64", place)
            predicted = [[meeting.kind, int(meeting.payload.xreplace(numbers))] for meeting in cost.meetings]
            for transfer, size in transferred(partition):
                if transfer.source == stage:
                    predicted += [["send", int(size.xreplace(numbers)) // transfer.times]] * transfer.times
            assert sorted(worker[name]["counted"]) == sorted(predicted), (name, rank)


@pytest.mark.parametrize(("stages", "rounds"), [(1, 4), (2, 1), (2, 4)])
def test_they_take_the_memory_that_was_predicted(stages: int, rounds: int, tmp_path: Path) -> None:
    sizes = {"d": 784, "h1": 256, "h2": 128, "q": 10, "n": 1024}
    partition = split_over(DERIVED["mlp_classifier"], {}, stages=stages, rounds=rounds)
    write_case(tmp_path, "mlp_classifier", partition, sizes=sizes)
    for stage, worker in enumerate(run(stages, tmp_path)):
        cost = Cost(partition, stage)
        predicted = cost.memory(cost.numbers(sizes, "float64"))
        assert abs(worker["mlp_classifier"]["bytes"] / predicted - 1) <= 0.02, (stage, worker["mlp_classifier"]["bytes"], predicted)


@pytest.mark.parametrize(
    ("stages", "change"),
    [
        (1, ("np.add(w.d_W1, d_W1_part_2, out=w.d_W1)", "np.copyto(w.d_W1, d_W1_part_2)")),
        (2, ("[_Arrays() for _ in w.parts]", "[_Arrays()] * len(w.parts)")),
        (2, ("slice(k * rows, (k + 1) * rows)", "slice(0, rows)")),
    ],
    ids=["a round is forgotten", "arrays are shared by parts under way", "one part is worked twice"],
)
def test_a_mistake_is_found(stages: int, change: tuple[str, str], tmp_path: Path) -> None:
    write_case(tmp_path, "mlp_classifier", cut("mlp_classifier", {}, stages, 2), change)
    run(stages, tmp_path)
    assert worst(tmp_path, "mlp_classifier") > 1e-3


def test_a_batch_that_rounds_do_not_divide_is_said(tmp_path: Path) -> None:
    from tests.partitioning.mpi import run_workers

    (tmp_path / "two.py").write_text(cut("mlp_classifier", {}, 2, 3).source(), encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import numpy as np, two
params = two.init(sizes={{"d": 8, "h1": 6, "h2": 4, "q": 3}})
two.loss_and_grad(params, two.shard({{"x": np.ones((7, 8), "f"), "y": np.zeros(7, int)}}))
""",
        encoding="utf-8",
    )
    done = run_workers(2, [program], seconds=60)
    assert done.returncode != 0
    assert "ValueError: n: 7 positions of a worker cannot be worked in 3 equal rounds" in done.stderr
