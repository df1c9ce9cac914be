"""``python -m benchmarks.workers``: what several workers gain, measured here and predicted beyond.

It prints Markdown; ``--write`` puts it into WORKERS.md. Two workers share the batch of the 784-256-128-10 classifier, each pinned
to a core of its own with one thread, and are compared in turn with one that has all of it, pinned to the first of the cores.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import machine
from symbackprop import builtin, derive, parse
from symbackprop.footprint import memory_use as use
from symbackprop.partitioning import Cost, Machine, split_over

RESULTS = Path(__file__).parent / "WORKERS.md"
ROWS, REPEATS, TURNS, TARGET = 2048, 5, 20, 1.6

PROGRAM = """
import importlib.util, json, os, statistics, sys, time
import numpy as np
from mpi4py import MPI
cores = sorted(os.sched_getaffinity(0))
rank = MPI.COMM_WORLD.Get_rank()
os.sched_setaffinity(0, {cores[rank]})
def load(name):
    spec = importlib.util.spec_from_file_location(name, f"{sys.argv[1]}/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
two, one, n = load("two"), load("one"), int(sys.argv[2])
rng, params = np.random.default_rng(0), one.init(seed=0)
inputs = {"x": rng.normal(size=(n, 784)).astype("f"), "y": rng.integers(0, 10, n)}
own_params, own_inputs = two.shard(params), two.shard(inputs)
shared, alone, comm = two.Workspace(n=n), one.Workspace(n=n), MPI.COMM_WORLD
loss, gradients = two.loss_and_grad(own_params, own_inputs, shared)
wanted, whole = one.loss_and_grad(params, inputs, alone)
assert abs(loss - wanted) < 1e-5 * abs(wanted)
assert all(np.allclose(gradients[name], whole[name], rtol=1e-3, atol=1e-6) for name in whole)
ratios = []
for _ in range(int(sys.argv[4])):
    comm.Barrier()
    start = time.perf_counter()
    for _ in range(int(sys.argv[3])):
        two.loss_and_grad(own_params, own_inputs, shared)
    comm.Barrier()
    together, apart = time.perf_counter() - start, 0.0
    if rank == 0:
        start = time.perf_counter()
        for _ in range(int(sys.argv[3])):
            one.loss_and_grad(params, inputs, alone)
        apart = time.perf_counter() - start
    comm.Barrier()
    ratios.append(apart / together)
if rank == 0:
    print(json.dumps(ratios))
"""

BLOCK = """
dim m = 3072, f = 12288
batch n = 8192
input X[m]
target Y[m]
param W1[f, m], b1[f], W2[m, f], b2[m]
Z = W1 X + b1
A = gelu(Z)
O = W2 A + b2
L = 1/2 ||Y - O||^2
minimize L
"""
TOKENS = 8 * 1024
CLUSTER = Machine(bandwidth=12.5e9 / 2, latency=5e-6, flops=39e12, links={"f": 150e9})
ASSUMPTIONS = (
    "One multilayer perceptron of a transformer (3072-12288-3072, GELU), with the gradient of its input; 8 sequences of "
    "1,024 tokens for each group of 8 workers that share the block (f), as many groups as there are (n). Half precision (2 "
    "bytes a number), 39 Tflop/s sustained by a worker, 150 GB/s within a group, 6.25 GB/s between groups (two workers on a "
    "link of 100 Gbit/s), 5 µs for a message; ring or tree. The efficiency is the time of one worker with an eighth of the "
    "block, which meets nobody, over that of a worker among so many: with the sums of gradients after the backward pass, "
    "and with as much of them as fits behind it, of which it is two thirds of the computing. Megatron-LM (Shoeybi et al. "
    "2019, figure 5) measured 76 % for whole models of 8.3 billion parameters on 512 GPUs in 64 groups of 8, against one "
    "GPU with a smaller model, attention, embeddings and optimizer included: between the two."
)


def throughput() -> list[float]:
    """The ratios of the time of one worker to that of two."""
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or "mpiexec"
    with tempfile.TemporaryDirectory() as folder:
        derivation = derive(builtin("mlp_classifier"))
        (Path(folder) / "one.py").write_text(derivation.source(), encoding="utf-8")
        (Path(folder) / "two.py").write_text(split_over(derivation.batch, {"n": 2}).source(), encoding="utf-8")
        program = Path(folder) / "program.py"
        program.write_text(PROGRAM, encoding="utf-8")
        command = [mpiexec, "-n", "2", sys.executable, str(program), folder, str(ROWS), str(REPEATS), str(TURNS)]
        threads = ["env", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1"]
        done = subprocess.run([*threads, *command], capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout)
    return sorted(found)


def scaling() -> list[tuple[int, float, float, float, float, float]]:
    """For so many workers: seconds of computing, of meetings within and between groups, and the efficiencies.

    Those of the gradients' sums after the backward pass, and while it goes on: it is two thirds of the computing.
    """
    derived = derive(parse(BLOCK), ["X", "W1", "b1", "W2", "b2"]).batch
    rows = []
    for workers in (1, 8, 64, 512, 1024):
        groups = max(1, workers // 8)
        sizes = {"n": TOKENS * groups} if workers > 1 else {"n": TOKENS, "f": 12288 // 8}
        cost = Cost(split_over(derived, {"f": min(8, workers), "n": groups}, sizes))
        numbers = {**cost.numbers(sizes), use.FLOAT_BYTES: 2}
        computing, _ = cost.seconds(numbers, CLUSTER)
        within, between = (
            sum(meeting.seconds(numbers, CLUSTER) for meeting in cost.meetings if (meeting.groups == ("f",)) is inside)
            for inside in (True, False)
        )
        alone = rows[0][1] if rows else computing
        hidden = computing + within + max(0, between - 2 / 3 * computing)
        rows.append((workers, computing, within, between, alone / (computing + within + between), alone / hidden))
    return rows


def measure() -> str:
    """Return the report."""
    about, ratios = machine(), throughput()
    median, low, high = ratios[len(ratios) // 2], ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    lines = [
        "# Workers", "", f"{datetime.date.today().isoformat()}, {about['processor']}, {about['cores']} cores", "",
        "## Measured", "",
        "| what | measured | target | met |", "| --- | --- | --- | --- |",
        f"| throughput of two workers that share a batch of {ROWS:,} of the classifier, to that of one | {median:.2f} "
        f"(nine in ten from {low:.2f} to {high:.2f} of {len(ratios)}) | {TARGET} | {'✓' if median >= TARGET else '✗'} |",
        "", "## Predicted", "",
        "| workers | computing, ms | meeting within a group, ms | between groups, ms | efficiency, no overlap | full overlap |",
        "| --: | --: | --: | --: | --: | --: |",
        *[
            f"| {workers:,} | {1e3 * computing:.2f} | {1e3 * within:.2f} | {1e3 * between:.2f} | {100 * apart:.0f} % "
            f"| {100 * hidden:.0f} % |"
            for workers, computing, within, between, apart, hidden in scaling()
        ],
        "", ASSUMPTIONS,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Measure, print, and write where that is asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/WORKERS.md")
    options = parser.parse_args(arguments)
    text = measure()
    print(text, end="")
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
