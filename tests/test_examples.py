"""The examples train on real data, at a small size: a few epochs of one seed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))

SIZES = {"train_digits.py": (6, 0.95), "train_digits_cnn.py": (8, 0.95)}
"""Epochs, and the test accuracy that they reach at least (the whole training reaches 99 %)."""


def run(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *flags], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_every_example_is_run() -> None:
    elsewhere = {"make_tour.py", "train_digits_mpi.py"}  # in tests/test_notebook.py and tests/partitioning/test_mpi.py
    assert {*SIZES, "truncated_newton_digits.py", *elsewhere} == set(EXAMPLES)


def test_truncated_newton_goes_down_on_generated_products(tmp_path: Path) -> None:
    picture = tmp_path / "newton.svg"
    done = run("truncated_newton_digits.py", "--iterations", "12", "--plot", str(picture))
    assert done.returncode == 0, done.stderr
    found = {name: (float(a), float(b)) for name, a, b in re.findall(r"(.+): loss (\S+) at first, (\S+) after", done.stdout)}
    assert set(found) == {"truncated Newton", "SGD"}
    assert found["truncated Newton"][1] < found["truncated Newton"][0] / 2
    assert "a product costs 1.69 gradients" in done.stdout
    assert picture.read_text(encoding="utf-8").count("<line") > 20
    refused = run("truncated_newton_digits.py", "--iterations", "0")
    assert refused.returncode == 2 and "must be at least 1" in refused.stderr


@pytest.mark.parametrize("name", SIZES)
def test_a_few_epochs_learn(name: str) -> None:
    epochs, bar = SIZES[name]
    done = run(name, "--seeds", "1", "--epochs", str(epochs))
    assert done.returncode == 0, done.stderr
    first, last, accuracy = map(float, re.search(
        r"seed 0: loss (\S+) in the first epoch, (\S+) in the last; test accuracy (\S+)%", done.stdout
    ).groups())  # type: ignore[union-attr]  # fmt: skip
    assert 0 < last < first / 2
    assert accuracy >= 100 * bar
    assert f"median of 1: {accuracy:.2f}% on 360 test digits" in done.stdout


@pytest.mark.parametrize("name", SIZES)
def test_an_example_explains_itself(name: str) -> None:
    help_text = run(name, "--help").stdout
    assert "--seeds" in help_text and "--epochs" in help_text
    refused = run(name, "--epochs", "0")
    assert refused.returncode == 2
    assert "must be at least 1" in refused.stderr and "Traceback" not in refused.stderr
