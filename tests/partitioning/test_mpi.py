"""Kernels for several workers, run by several workers: what they compute, hand over and take, and how they end."""

from __future__ import annotations

import json
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop import builtin, derive
from symbackprop.graph.sizes import size_value
from symbackprop.models import builtin_names
from symbackprop.partitioning import Cost, split_over
from symbackprop.partitioning.proof import TOLERANCE, difference, sizes_for
from tests.partitioning.mpi import run_workers

HERE = Path(__file__).parent
EXAMPLE = HERE.parent.parent / "examples" / "train_digits_mpi.py"
KINDS = {"parameter": "p_", "input": "i_", "target": "i_", "hyper": "h_"}
DERIVATIONS = {name: derive(builtin(name)) for name in builtin_names()}


def cases(count: int) -> list[tuple[str, dict[str, int]]]:
    """Every dimension of every built-in model in so many parts, and any two of them at once where that makes so many."""
    found = [(name, {dimension: count}) for name, d in DERIVATIONS.items() for dimension in d.model.dimensions]
    if count == 4:
        pairs = [(name, pair) for name, d in DERIVATIONS.items() for pair in combinations(d.model.dimensions, 2)]
        found += [(name, dict.fromkeys(pair, 2)) for name, pair in pairs]
    return found


def write_case(folder: Path, name: str, splits: dict[str, int], dtype: Any = np.float64) -> tuple[str, Cost, dict[str, int]]:
    """Write a module and arrays of a case; return what it is called, its costs and its sizes."""
    rng = np.random.default_rng(0)
    derived = DERIVATIONS[name].batch
    sizes = sizes_for(derived, splits, rng)
    partition = split_over(derived, splits, sizes)
    case = "_".join([name, *[f"{dimension}{parts}" for dimension, parts in splits.items()]])
    (folder / f"{case}.py").write_text(partition.source(), encoding="utf-8")
    save(folder / f"{case}.npz", derived, sizes, dtype)
    return case, Cost(partition), sizes


def save(path: Path, derived: Any, sizes: dict[str, int], dtype: Any) -> None:
    rng, arrays = np.random.default_rng(1), {}
    for leaf in derived.graph.declarations:
        shape = tuple(size_value(size, sizes) for size in leaf.shape)
        if leaf.classes is not None:
            value = rng.integers(0, size_value(leaf.classes, sizes), shape)
        else:
            value = rng.uniform(0.25, 1, shape) * (1 if leaf.kind == "hyper" else rng.choice([-1, 1], shape))
        arrays[KINDS[leaf.kind] + leaf.name] = value if leaf.classes is not None else value.astype(dtype)
    np.savez(path, **arrays, **{f"s_{name}": size for name, size in sizes.items()})


@pytest.fixture(scope="module", params=[2, 3, 4])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All cases of a number of workers, run."""
    folder, made = tmp_path_factory.mktemp(f"workers{request.param}"), {}
    for name, splits in cases(request.param):
        case, cost, sizes = write_case(folder, name, splits)
        made[case] = (name, cost, sizes)
    done = run_workers(request.param, [HERE / "run_workers.py", folder])
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, made, json.loads((folder / "counted.json").read_text(encoding="utf-8"))


def test_they_compute_what_one_alone_does(ran: Any) -> None:
    folder, made, _ = ran
    for case, (name, _, _) in made.items():
        with np.load(folder / f"{case}.npz") as file:
            given = {kind: {k[2:]: file[k] for k in file if k[:2] == kind} for kind in ("p_", "i_", "h_")}
        hyper = {k: float(v) for k, v in given["h_"].items()}
        alone = DERIVATIONS[name].kernel()
        loss, gradients = alone.loss_and_grad(given["p_"], given["i_"], hyper=hyper)
        outputs = alone.predict(given["p_"], given["i_"], hyper=hyper)
        with np.load(folder / f"{case}.out.npz") as out:
            errors = {"loss": difference(out["loss"], np.asarray(loss))}
            errors |= {key: difference(out[f"g_{key}"], value) for key, value in gradients.items()}
            errors |= {key: difference(out[f"o_{key}"], value) for key, value in outputs.items()}
        assert max(errors.values()) <= TOLERANCE, (case, errors)


def test_they_repeat_every_bit_and_agree_on_the_objective(ran: Any) -> None:
    _, made, workers = ran
    for case in made:
        assert all(worker[case]["repeated"] for worker in workers), case
        assert len({worker[case]["loss"] for worker in workers}) == 1, case


def test_they_hand_over_what_was_predicted(ran: Any) -> None:
    _, made, workers = ran
    for case, (_, cost, sizes) in made.items():
        for rank, worker in enumerate(workers):
            numbers = cost.numbers(sizes, "float64", rank)
            predicted = sorted([meeting.kind, int(meeting.payload.xreplace(numbers))] for meeting in cost.meetings)
            assert sorted(worker[case]["counted"]) == predicted, (case, rank)


def test_another_run_gives_the_same_bits(tmp_path: Path) -> None:
    derived = DERIVATIONS["mlp_classifier"].batch
    (tmp_path / "case.py").write_text(split_over(derived, {"n": 3}).source(), encoding="utf-8")
    save(tmp_path / "case.npz", derived, {"d": 64, "h1": 48, "h2": 32, "q": 10, "n": 100}, np.float32)
    found = []
    for _ in range(2):
        done = run_workers(3, [HERE / "run_workers.py", tmp_path])
        assert done.returncode == 0, done.stderr[-3000:]
        with np.load(tmp_path / "case.out.npz") as out:
            found.append({name: out[name].tobytes() for name in out})
    assert found[0] == found[1]


@pytest.mark.parametrize("splits", [{"n": 2}, {"h1": 2}, {"d": 2}], ids=str)
def test_they_take_the_memory_that_was_predicted(splits: dict[str, int], tmp_path: Path) -> None:
    derived = DERIVATIONS["mlp_classifier"].batch
    sizes = {"d": 784, "h1": 256, "h2": 128, "q": 10, "n": 1024}
    partition = split_over(derived, splits)
    (tmp_path / "case.py").write_text(partition.source(), encoding="utf-8")
    save(tmp_path / "case.npz", derived, sizes, np.float32)
    done = run_workers(2, [HERE / "run_workers.py", tmp_path])
    assert done.returncode == 0, done.stderr[-3000:]
    cost = Cost(partition)
    for rank, worker in enumerate(json.loads((tmp_path / "counted.json").read_text(encoding="utf-8"))):
        predicted = cost.memory(cost.numbers(sizes, "float32", rank))
        assert abs(worker["case"]["bytes"] / predicted - 1) <= 0.02, (rank, worker["case"]["bytes"], predicted)


# ---------------------------------------------------------------- how they end


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier for two workers that share its batch."""
    path = tmp_path_factory.mktemp("two") / "two.py"
    path.write_text(split_over(DERIVATIONS["mlp_classifier"].batch, {"n": 2}).source(), encoding="utf-8")
    return path


PROGRAM = """
import importlib.util, os, signal, sys, time
import numpy as np
spec = importlib.util.spec_from_file_location("two", sys.argv[1])
two = importlib.util.module_from_spec(spec)
spec.loader.exec_module(two)
rank, sizes = two.connect().rank, {"d": 8, "h1": 6, "h2": 4, "q": 3}
params = two.init(sizes=sizes)
inputs = two.shard({"x": np.ones((6, 8), "f"), "y": np.zeros(6, int)})
for step in range(1000):
    if step == 3 and rank == 1:
        WHAT
    two.loss_and_grad(params, inputs)
print("went on to the end")
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "Killed (signal 9)"),
        ("os._exit(3)", ""),
        ("raise RuntimeError('the disk is full')", "RuntimeError: the disk is full"),
        ("inputs['x'] = inputs['x'][:, 1:]", "ValueError: W1 has the shape (6, 8); (h1, d=7) is needed"),
        ("inputs = {'x': inputs['x'][2:], 'y': inputs['y'][2:]}", "holds arrays that do not fit the others': n_p = 1, not 2"),
        ("params = {**params, 'b2': params['b2'][1:]}", "b2 has the shape (3,)"),
    ],
)
def test_one_that_fails_ends_all_with_the_reason(what: str, reason: str, two: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("WHAT", what), encoding="utf-8")
    start = time.monotonic()
    done = run_workers(2, [program, two], seconds=60)
    assert time.monotonic() - start < 10
    assert done.returncode != 0 and "went on" not in done.stdout
    assert reason in done.stdout + done.stderr


def test_too_many_workers_are_told_in_one_line(two: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = run_workers(3, [program, two], seconds=60)
    assert done.returncode != 0
    assert done.stderr.splitlines() == ["error: this module is for 2 workers (mpiexec -n 2); there are 3"]


def test_workers_with_different_modules_are_told_in_one_line(two: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(split_over(DERIVATIONS["mlp_classifier"].batch, {"h1": 2}).source(), encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("sys.argv[1]", "sys.argv[1 + int(os.environ['PMI_RANK'])]"), encoding="utf-8")
    done = run_workers(2, [program, two, other], seconds=60)
    assert done.returncode != 0
    assert done.stderr.splitlines() == [
        "error: the workers run different modules: generate it once, and let all of them import that file"
    ]


def test_training_goes_on_with_another_number_of_workers(two: Path, tmp_path: Path) -> None:
    checkpoint, four = tmp_path / "digits.npz", tmp_path / "four.py"
    four.write_text(split_over(DERIVATIONS["mlp_classifier"].batch, {"n": 2, "h1": 2}).source(), encoding="utf-8")
    begun = run_workers(4, [EXAMPLE, four, "--epochs", "2", "--checkpoint", checkpoint])
    assert begun.returncode == 0, begun.stderr[-2000:]
    gone_on = run_workers(2, [EXAMPLE, two, "--epochs", "4", "--checkpoint", checkpoint])
    assert gone_on.returncode == 0, gone_on.stderr[-2000:]
    assert gone_on.stdout.splitlines()[0] == "going on after epoch 2"
    whole = run_workers(2, [EXAMPLE, two, "--epochs", "4"])
    assert whole.stdout.splitlines()[-1].split()[-1] == gone_on.stdout.splitlines()[-1].split()[-1]
    assert [line.split()[-1][:4] for line in whole.stdout.splitlines()[2:4]] == [
        line.split()[-1][:4] for line in gone_on.stdout.splitlines()[1:3]
    ]


def test_a_checkpoint_is_whole_whenever_a_worker_dies(two: Path, tmp_path: Path) -> None:
    checkpoint, program = tmp_path / "digits.npz", tmp_path / "dies.py"
    program.write_text(
        f"""
import os, runpy, sys, threading, time
begun = time.time()
def die(seconds):
    while not os.path.exists({str(checkpoint)!r}) or os.path.getmtime({str(checkpoint)!r}) < begun:
        time.sleep(0.01)
    time.sleep(seconds)
    os._exit(9)
seconds = float(sys.argv.pop())
if os.environ["PMI_RANK"] == "1":
    threading.Thread(target=die, args=[seconds], daemon=True).start()
runpy.run_path({str(EXAMPLE)!r}, run_name="__main__")
""",
        encoding="utf-8",
    )
    for seconds in ("0.1", "0.33"):
        done = run_workers(2, [program, two, "--epochs", "100000", "--checkpoint", checkpoint, seconds])
        assert done.returncode != 0
        with np.load(checkpoint) as saved:
            assert int(saved["epoch"]) >= 1 and all(np.isfinite(saved[name]).all() for name in saved)


def test_the_module_is_the_same_each_time() -> None:
    for name in ("mlp_classifier", "small_cnn"):
        assert split_over(derive(builtin(name)).batch, {"n": 2}).source() == split_over(DERIVATIONS[name].batch, {"n": 2}).source()
