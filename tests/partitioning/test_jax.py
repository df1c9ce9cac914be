"""The JAX target: the same numbers as the NumPy kernel, alone and over devices; the same text each time; data stays data."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import symbackprop as sb
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.errors import UsageError
from symbackprop.models import builtin_names
from symbackprop.partitioning.jax_target import jax_source
from symbackprop.partitioning.parts import split_over
from symbackprop.writing import is_untouched

ROOT = Path(__file__).parents[2]
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is missing: the extra jax has it")
MORE = ["ties", "large", "functions", "names", "matrices"]
TOLERANCE = 1e-12


@cache
def derived_of(name: str) -> DerivedGraph:
    return sb.derive(sb.builtin(name)).batch


@pytest.fixture(scope="module")
def runs() -> list[tuple[str, str, dict[str, int], Any, Any]]:
    """What `jax_run` reports: kind, model or case, split, worst error or message, and whether all else holds, or a digest."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.partitioning.jax_run"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


# ---------------------------------------------------------------- numbers


@needs_jax
@pytest.mark.parametrize("name", [*builtin_names(), *MORE])
def test_a_module_gives_what_the_kernel_does(runs: Any, name: str) -> None:
    ((error, digest),) = [(error, digest) for kind, model, _, error, digest in runs if kind == "alone" and model == name]
    assert error <= TOLERANCE
    if name in builtin_names():
        text = jax_source(derived_of(name))
        assert hashlib.sha256(text.encode()).hexdigest() == digest, "another process writes another text"


@needs_jax
@pytest.mark.parametrize("name", [name for name in [*builtin_names(), *MORE] if name != "large"])
def test_single_precision_stays_single(runs: Any, name: str) -> None:
    (error,) = [error for kind, model, _, error, _ in runs if kind == "single" and model == name]
    assert error <= 1e-4


@needs_jax
@pytest.mark.parametrize("name", [*builtin_names(), *MORE])
def test_devices_together_give_what_the_kernel_does(runs: Any, name: str) -> None:
    found = [(split, error, lies) for kind, model, split, error, lies in runs if kind == "split" and model == name]
    if name in builtin_names():
        odd = {"c", "k"} if name == "small_cnn" else set()  # one channel by default, and a kernel of 3 x 3
        assert {key for split, *_ in found for key in split} == {*sb.builtin(name).dimensions} - odd
    assert [item for item in found if not item[1] <= TOLERANCE] == []
    assert [split for split, _, lies in found if not lies] == [], "gradients lie as their parameters do"


@needs_jax
def test_splits_in_two_dimensions_are_among_them(runs: Any) -> None:
    assert sum(kind == "split" and len(split) == 2 for kind, _, split, *_ in runs) == 3


@needs_jax
def test_sums_that_are_left_out_are_noticed(runs: Any) -> None:
    (error,) = [error for kind, *_, error, _ in runs if kind == "bite"]
    assert error > 1e-2


@needs_jax
def test_a_hyper_parameter_may_be_traced(runs: Any) -> None:
    (error,) = [error for kind, *_, error, _ in runs if kind == "hyper"]
    assert error <= TOLERANCE


@needs_jax
@pytest.mark.parametrize(
    "case, message",
    [
        ("uneven", "q = 3 cannot be split into 2 equal parts"),
        ("devices", "this module is for 2 devices; there are 1"),
        ("shape", "W has the shape (3, 4); (q, d=5) is needed"),
        ("missing", "inputs lacks 'y'"),
        ("unknown", "the model has no z"),
        ("class", "y holds a class outside 0 .. 2"),
        ("hyper", "there is no hyper-parameter mu"),
        ("kind", "y has the dtype float64; integers are needed"),
    ],
)
def test_what_does_not_fit_is_refused(runs: Any, case: str, message: str) -> None:
    assert [said for kind, found, _, said, _ in runs if kind == "refusal" and found == case] == [message]


# ---------------------------------------------------------------- the text


@pytest.mark.parametrize("split", [{}, {"n": 2}, {"n": 2, "d": 2}], ids=str)
@pytest.mark.parametrize("name", ["softmax_regression", "batch_norm", "tied_autoencoder"])
def test_the_text_is_the_same_each_time(name: str, split: dict[str, int]) -> None:
    def text() -> str:
        derived = sb.derive(sb.builtin(name)).batch
        return jax_source(derived, split_over(derived, split) if split else None)

    first = text()
    assert first == text()
    assert is_untouched(first.encode())


@pytest.mark.parametrize("split", [None, {"n": 2}], ids=str)
@pytest.mark.parametrize("name", builtin_names())
def test_a_module_imports_numpy_and_jax_alone(name: str, split: dict[str, int] | None) -> None:
    derived = derived_of(name)
    tree = ast.parse(jax_source(derived, split_over(derived, split) if split else None))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"functools", "math", "numpy", "jax"}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not called & {"grad", "value_and_grad", "vjp"}, "the backward equations are the derived ones"


def test_hostile_text_stays_data() -> None:
    model = sb.parse(
        '# """ + __import__("os").abort() + """ \\N{BULLET} \\\n'
        "dim jnp = 2\nbatch sizes = 2\ninput arrays[jnp]\nparam jax[jnp], lambda[], dtype[]\nhyper functions = 2, mesh = 1\n"
        "L = (lambda + dtype) functions (mesh + jax^T arrays)^2\nminimize L\n"
    )
    derived = sb.derive(model).batch
    for partition in (None, split_over(derived, {"sizes": 2, "jnp": 2})):
        tree = ast.parse(jax_source(derived, partition))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "__import__"]
        for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_loss_and_grad"):
            assigned = {t.id for s in function.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
            assert not assigned & {"arrays", "dtype", "sizes", "functions", "jax", "jnp", "mesh", "math"}


def test_products_are_refused() -> None:
    derived = sb.derive(sb.builtin("ridge_regression")).products().batch
    with pytest.raises(UsageError, match=r"jax\.jvp"):
        jax_source(derived)
