"""The benchmarks compare like with like, and their intervals are right. Nothing is timed here, and no peer is imported."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import command, contestants, report, timing, worker
from benchmarks.case import Case
from benchmarks.cases import CASES, HESSIANS, PRODUCTS
from benchmarks.floor import Product, multiply, products
from benchmarks.settings import SETTINGS, cores
from benchmarks.timing import Ratio, paired_ratio, rounds

ROOT = Path(__file__).parent.parent
BY_NAME = {case.name: case for case in CASES}
over_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

DENSE_SMALL = {"torch": 0.85, "jax": 0.95}
DENSE_LARGE = {"floor": 1.10, **DENSE_SMALL}
TARGETS = {
    "classifier-1": DENSE_SMALL,
    "classifier-8": DENSE_SMALL,
    "classifier-32": DENSE_SMALL,
    "classifier-256": DENSE_LARGE,
    "classifier-1024": DENSE_LARGE,
    "one-hidden": DENSE_LARGE,
    "deep-narrow": {"torch": 0.40, "jax": 0.95},
    "gelu-block": {"floor": 1.12, "torch": 0.92, "jax": 0.80},
    "gelu-block-exact": {},
    "cnn": {"torch": 1.0},
    "attention": {"torch": 0.85, "jax": 1.0},
    "layer-norm": {"jax": 1.15},
    "elastic-net-mlp": {"torch": 1.0},
    "elastic-net-regression": {"torch": 1.0},
}


def dense(n: int, *layers: int) -> int:
    """The multiply-adds of all products of a dense network: forward, by the weights, and by all values but the input."""
    forward = [n * a * b for a, b in zip(layers, layers[1:], strict=False)]
    return 3 * sum(forward) - forward[0]


MULTIPLY_ADDS = {
    **{f"classifier-{n}": dense(n, 784, 256, 128, 10) for n in (1, 8, 32, 256, 1024)},
    "one-hidden": dense(256, 784, 256, 10),
    "deep-narrow": dense(32, *[64] * 51),
    "gelu-block": dense(256, 512, 2048, 512),
    "gelu-block-exact": dense(256, 512, 2048, 512),
    "cnn": 2 * 32 * 36 * 9 * 16 + 3 * 32 * 144 * 10,
    "attention": 6 * 8 * 128 * 128 * 64,
    "layer-norm": 0,
    "elastic-net-mlp": dense(64, 20, 32, 3),
    "elastic-net-regression": dense(256, 256, 512),
}

# ---------------------------------------------------------------- the cases


def test_the_targets_are_those_agreed_upon() -> None:
    assert {case.name: dict(case.targets) for case in CASES} == TARGETS
    assert len(BY_NAME) == len(CASES)
    assert all(set(case.targets) <= set(contestants.PEERS) for case in CASES)


def test_the_sizes_are_those_of_the_titles() -> None:
    assert [BY_NAME[f"classifier-{n}"].problem().inputs["x"].shape for n in (1, 1024)] == [(1, 784), (1024, 784)]
    assert len(BY_NAME["deep-narrow"].problem().params) == 100
    assert BY_NAME["gelu-block"].problem().params["W1"].shape == (2048, 512)
    assert BY_NAME["attention"].problem().params["Q"].shape == (8, 128, 64)
    assert BY_NAME["layer-norm"].problem().params["X"].shape == (512, 1024)
    assert BY_NAME["elastic-net-regression"].problem().params["W"].shape == (512, 256)


@pytest.mark.parametrize("case", [*CASES, *PRODUCTS, *HESSIANS], ids=lambda case: case.name)
def test_the_kernel_and_the_hand_written_numpy_agree(case: Case) -> None:
    problem = case.problem(np.float64)
    kernel, textbook = contestants.ours(problem), contestants.textbook(problem)
    assert kernel.answer is not None and textbook.answer is not None
    assert set(kernel.call()[1]) == set(problem.params)
    assert contestants.disagreement(kernel.answer(), textbook.answer()) < 1e-12


@over_cases
def test_single_precision_is_within_what_a_run_accepts(case: Case) -> None:
    problem = case.problem()
    value, gradients = contestants.ours(problem).call()
    assert {array.dtype for array in gradients.values()} == {np.dtype(np.float32)}
    assert contestants.disagreement((value, gradients), contestants.textbook(problem).call()) < worker.AGREEMENT / 10


@over_cases
def test_the_floor_is_the_products_and_nothing_else(case: Case) -> None:
    problem = case.problem(np.float64)
    found = products(lambda *arrays: problem.loss.textbook(*arrays, problem.hyper), problem.params, problem.inputs)
    assert sum(product.multiply_adds for product in found) == MULTIPLY_ADDS[case.name]
    assert {type(array) for product in found for array in vars(product).values()} <= {np.ndarray}
    multiply(found)
    outs = [product.out for product in found]
    gradients = contestants.textbook(problem).call()[1]
    penalised = getattr(problem.loss, "penalty", None) is not None
    for name, weight in problem.params.items():  # a weight's gradient is a product, up to its penalty
        if weight.ndim > 1 and found:
            decay = problem.loss.penalty.gradient(weight, problem.hyper) if penalised else 0.0
            wanted = gradients[name] - decay
            near = (np.allclose(out.reshape(wanted.shape), wanted, atol=1e-12) for out in outs if out.size == wanted.size)
            assert any(near), name


def test_a_case_without_products_has_no_floor() -> None:
    with pytest.raises(contestants.UnavailableError, match="no matrix products"):
        contestants.floor(BY_NAME["layer-norm"].problem())


def test_operands_of_the_floor_lie_in_memory_as_they_did() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    (product,) = products(lambda arrays: arrays["a"] @ arrays["b"].T, {"a": a, "b": b})
    assert isinstance(product, Product)
    assert product.right.strides == b.T.strides and np.shares_memory(product.right, b)
    multiply((product,))
    np.testing.assert_array_equal(product.out, a @ b.T)
    assert product.multiply_adds == 2 * 3 * 4


# ---------------------------------------------------------------- agreement


@pytest.mark.parametrize(
    "other",
    [
        (1.0, {"W": np.array([1.0, 2.0])}),
        (1.0, {"W": np.array([np.nan, 2.0]), "b": np.ones(1)}),
        (1.0, {"W": np.array([[1.0, 2.0]]), "b": np.ones(1)}),
        (float("nan"), {"W": np.array([1.0, 2.0]), "b": np.ones(1)}),
    ],
    ids=["one missing", "not a number", "another shape", "no loss"],
)
def test_what_cannot_be_compared_disagrees(other: contestants.Answer) -> None:
    assert contestants.disagreement(other, (1.0, {"W": np.array([1.0, 2.0]), "b": np.ones(1)})) == float("inf")


def test_the_error_is_relative_to_the_norm_and_the_largest_counts() -> None:
    right = (2.0, {"W": np.array([3.0, 4.0]), "b": np.zeros(1)})
    assert contestants.disagreement(right, right) == 0.0
    assert contestants.disagreement((2.0, {"W": np.array([3.0, 4.5]), "b": np.zeros(1)}), right) == pytest.approx(0.1)
    assert contestants.disagreement((2.5, right[1]), right) == pytest.approx(0.25)


# ---------------------------------------------------------------- timing


class Watch:
    """A clock that only moves when something runs."""

    def __init__(self) -> None:
        self.now, self.calls, self.collected = 0.0, [], []

    def __call__(self) -> float:
        return self.now

    def runs(self, name: str, seconds: Callable[[], float]) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds()
            self.calls.append(name)
            self.collected.append(gc.isenabled())

        return call


def race(seconds: float, seed: int = 0, **durations: float) -> tuple[Watch, dict[str, list[float]]]:
    watch = Watch()
    calls = {name: watch.runs(name, lambda duration=duration: duration) for name, duration in durations.items()}
    return watch, rounds(calls, seconds, seed, watch)


def test_a_sample_is_long_enough_and_gives_the_time_of_one_call() -> None:
    watch, times = race(1.0, short=1e-5, long=1e-2)
    assert set(times) == {"short", "long"}
    assert len(times["short"]) == len(times["long"])
    np.testing.assert_allclose(times["short"], 1e-5)
    np.testing.assert_allclose(times["long"], 1e-2)
    runs = "".join(name[0] for name in watch.calls).replace("l", " ").split()
    assert {len(run) % 33 for run in runs[1:]} == {0}  # 32 calls of 10 µs last 0.3 ms; one before them is not counted


def test_rounds_last_as_long_as_asked_within_bounds() -> None:
    least, most = timing.ROUNDS
    assert len(race(0.1, a=1.0, b=1.0)[1]["a"]) == least
    assert len(race(1000.0, a=1e-3, b=1e-3)[1]["a"]) == most
    assert least < len(race(1.0, a=5e-3, b=5e-3)[1]["a"]) < most


def test_every_round_has_an_order_of_its_own_given_by_the_seed() -> None:
    def orders(seed: int) -> list[tuple[str, ...]]:
        watch, times = race(1e-9, seed, a=1.0, b=1.0, c=1.0)
        played = watch.calls[-2 * 3 * len(times["a"]) :: 2]  # one call is not counted, one is
        return [tuple(played[start : start + 3]) for start in range(0, len(played), 3)]

    assert all(sorted(order) == ["a", "b", "c"] for order in orders(0))
    assert len(set(orders(0))) > 3
    assert orders(0) == orders(0) != orders(1)


def test_the_garbage_collector_rests_during_samples_only() -> None:
    watch, times = race(1e-9, a=1.0)
    assert watch.collected[-2 * len(times["a"]) :] == [True, False] * len(times["a"])
    assert gc.isenabled()


def test_a_machine_that_slows_down_does_not_touch_the_ratio() -> None:
    watch = Watch()

    def slowing(factor: float) -> Callable[[], None]:
        return watch.runs("", lambda: factor * (1 + watch.now // 20))

    times = rounds({"ours": slowing(0.8), "peer": slowing(1.0)}, 400.0, 0, watch)
    assert max(times["ours"]) > 5 * min(times["ours"])
    assert paired_ratio(times["ours"], times["peer"], 0).median == pytest.approx(0.8)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    inside, sure = 0, 0
    for seed in range(300):
        drift = np.exp(np.cumsum(random.normal(0, 0.1, 60)))
        ours, peer = (factor * drift * np.exp(random.exponential(0.1, 60)) for factor in (0.8, 1.0))
        ratio = paired_ratio(ours, peer, seed)
        assert ratio.low <= ratio.median <= ratio.high
        inside += ratio.low <= 0.8 <= ratio.high
        sure += ratio.high < 0.8
    assert 0.92 <= inside / 300 <= 0.98
    assert sure / 300 <= 0.05  # a target at the true ratio is declared met as seldom as that


def test_the_same_times_give_the_same_interval() -> None:
    ours, peer = np.random.default_rng(1).random((2, 30)) + 1
    assert paired_ratio(ours, peer, 3) == paired_ratio(ours, peer, 3) != paired_ratio(ours, peer, 4)


def test_a_target_is_met_by_the_upper_end() -> None:
    ratio = Ratio(0.84, 0.82, 0.86)
    assert ratio.meets(0.86) and not ratio.meets(0.85)


# ---------------------------------------------------------------- settings


def test_a_process_is_told_its_threads_and_no_forced_kernel() -> None:
    given = {"PATH": "/bin", "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "7", "XLA_FLAGS": "--other"}
    one, everything = (SETTINGS[name].environment(given) for name in ("one", "all"))
    assert one["PATH"] == everything["PATH"] == "/bin"
    assert "OPENBLAS_CORETYPE" not in one and "OPENBLAS_CORETYPE" not in everything
    assert {one[name] for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")} == {"1"}
    assert one["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    assert "XLA_FLAGS" not in everything
    assert everything["OMP_NUM_THREADS"] == everything["OPENBLAS_NUM_THREADS"] == str(len(cores()))


def test_a_process_pins_itself_before_an_array_library_is_there() -> None:
    code = (
        "import sys, benchmarks.worker; assert 'numpy' not in sys.modules\n"
        "import benchmarks.command; assert not {'torch', 'jax', 'autograd'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# ---------------------------------------------------------------- a run


@pytest.fixture
def without_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes part is recorded as a tenth slower than the one before, in alphabetical order."""

    def times(calls: dict[str, Any], seconds: float, seed: int) -> dict[str, list[float]]:
        return {name: [1e-3 * (1.0 + 0.1 * place)] * 20 for place, name in enumerate(sorted(calls))}

    monkeypatch.setattr(timing, "rounds", times)


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The peers that need nothing, one that computes something else, and one that is missing."""

    def wrong(problem: Any) -> contestants.Contestant:
        right = contestants.textbook(problem)
        assert right.answer is not None
        value, gradients = right.answer()
        answer = (value, {name: gradient * 1.001 for name, gradient in gradients.items()})
        return contestants.Contestant(lambda: answer, lambda: answer)

    def missing(problem: Any) -> contestants.Contestant:
        contestants.package("surely_no_such_package")
        raise AssertionError

    changed = {"floor": contestants.floor, "textbook": contestants.textbook, "torch": wrong, "jax": missing}
    monkeypatch.setattr(contestants, "PEERS", changed)
    yield changed


@pytest.mark.usefixtures("without_clocks")
def test_whoever_disagrees_is_not_timed_and_whoever_is_missing_is_named(peers: dict[str, Any]) -> None:
    case = worker.measure(BY_NAME["elastic-net-mlp"], list(peers), 1.0)
    found = case["peers"]
    assert found["textbook"]["error"] < worker.AGREEMENT
    assert found["textbook"]["median"] == pytest.approx(1.1 / 1.2)
    assert set(found["torch"]) == {"error", "target"} and found["torch"]["error"] > worker.AGREEMENT
    assert "surely_no_such_package cannot be imported" in found["jax"]["skipped"]
    assert found["floor"]["error"] is None and found["floor"]["median"] == pytest.approx(1.1)
    assert report.failures({"settings": [{"threads": "one", "cases": [case]}]}) == [
        "elastic-net-mlp: torch disagrees, its error is 1.0e-03"
    ]


def ratio(median: float, low: float, high: float, **verdict: Any) -> dict[str, Any]:
    return {"error": 2e-7, "seconds": 1e-3, "median": median, "low": low, "high": high, **verdict}


RESULTS: dict[str, Any] = {
    "date": "2026-01-02",
    "machine": {"processor": "A processor", "cores": 2, "caches": "L1d 32K, L2 1024K", "system": "Linux x86_64", "load": 0.1},
    "versions": {"Python": "3.11.7", "numpy": "2.4.6"},
    "dropped": "OPENBLAS_CORETYPE=Haswell",
    "seconds": 10.0,
    "settings": [
        {
            "threads": name,
            "process": ["a process of its own on core 1; OMP_NUM_THREADS=1", "openblas 0.3.31 SkylakeX, 1 thread (libopenblas.so)"],
            "cases": [
                {
                    "name": "a",
                    "title": "a case",
                    "rounds": 99,
                    "seconds": 0.00123456,
                    "saved": {"torch eager": 1234567},
                    "peers": {
                        "floor": {**ratio(1.05, 1.0, 1.1, target=1.1, met=True), "error": None},
                        "torch": ratio(0.84, 0.82, 0.86, target=0.85, met=False),
                        "torch.compile": {"skipped": "it does not compile here: no compiler"},
                        "jax": ratio(0.5, 0.4, 0.6),
                    },
                },
                {
                    "name": "b",
                    "title": "another",
                    "rounds": 15,
                    "seconds": 1.5,
                    "saved": {"torch eager": "torch cannot be imported: No module named 'torch'"},
                    "peers": {
                        "floor": {"skipped": "it has no matrix products"},
                        "torch": {"error": 0.5, "target": 0.85},
                        "torch.compile": {"skipped": "it does not compile here: no compiler"},
                        "jax": ratio(0.7, 0.6, 0.8),
                    },
                },
            ],
        }
        for name in ("one", "all")
    ],
    "generation": [{"parse": 1.0, "derive": 1.0, "emit": 1.0}, {"parse": 2.0, "derive": 2.0, "emit": 1.5}],
}


def test_the_report(golden: Callable[[str, str], None]) -> None:
    golden("benchmarks.md", report.markdown(RESULTS))


def test_what_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(command, "measure", lambda *options: asked.append(options) or RESULTS)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "RESULTS.md")
    assert command.run(["--json", "--cases", "cnn,attention", "--peers", "jax", "--threads", "one", "--seconds", "2"]) == 1
    printed = capsys.readouterr()
    assert asked == [(("cnn", "attention"), ("jax",), ("one",), 2.0)]
    assert json.loads(printed.out) == RESULTS
    assert printed.err.splitlines() == ["error: b: torch disagrees, its error is 5.0e-01"] * 2
    assert not (tmp_path / "RESULTS.md").exists()
    command.run(["--write"])
    assert asked[1] == (tuple(BY_NAME), tuple(contestants.PEERS), ("one", "all"), 10.0)
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == capsys.readouterr().out == report.markdown(RESULTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "cnn,nothing"], "argument --cases: there is no 'nothing'; there are classifier-1, "),
        (["--peers", ""], "argument --peers: there is no ''; there are floor, "),
        (["--threads", "two"], "argument --threads: invalid choice: 'two'"),
        (["--seconds", "nan"], "argument --seconds: 'nan' is no number of seconds"),
        (["--seconds", "-1"], "argument --seconds: '-1' is no number of seconds"),
        (["--seconds", "soon"], "argument --seconds: 'soon' is no number of seconds"),
    ],
)
def test_bad_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments) == 2
    assert message in capsys.readouterr().err
