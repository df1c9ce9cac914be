"""The committed kernels: up to date, right against hand-written references, and checked by every route."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy
from sympy.core.cache import clear_cache

import symbackprop as sb
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph.nodes import argument
from symbackprop.kernels import load_source
from symbackprop.models import builtin_names
from tests.reference_forward import REFERENCE

GENERATED = Path(__file__).parent.parent / "generated"
NAMES = builtin_names()


def committed(name: str) -> ModuleType:
    return load_source((GENERATED / f"{name}.py").read_text(encoding="utf-8"), name)


def small_sizes(model: sb.Model) -> dict[str, int]:
    """Small sizes that keep every index map inside its axes."""
    if model.name == "small_cnn":
        return {"c": 2, "s": 6, "k": 3, "f": 3, "p": 2, "q": 3, "n": 4}
    return {name: 2 + place % 3 + (name == "v") * 4 for place, name in enumerate(model.dimensions)}


def sample(model: sb.Model, seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    rng, sizes = np.random.default_rng(seed), small_sizes(model)
    params: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for leaf in model.graph.declarations:
        shape = [sizes[s.name] if s.is_Symbol else int(s) for s in leaf.shape]
        if leaf.kind in ("input", "target"):
            shape = ([sizes[model.batch]] if model.batch else []) + shape
            classes = None if leaf.classes is None else sizes[leaf.classes.name]
            inputs[leaf.name] = rng.normal(size=shape) if classes is None else rng.integers(0, classes, size=shape)
        elif leaf.kind == "parameter":
            params[leaf.name] = rng.normal(size=shape)
    return params, inputs, sizes


def test_every_model_has_a_kernel_and_a_reference() -> None:
    assert {path.stem for path in GENERATED.glob("*.py")} == set(NAMES) == set(REFERENCE)


@pytest.mark.parametrize("name", NAMES)
def test_regenerating_changes_nothing(name: str) -> None:
    assert sb.derive(sb.builtin(name)).source() == (GENERATED / f"{name}.py").read_text(encoding="utf-8")


def test_what_was_derived_before_changes_nothing() -> None:
    expected = {name: (GENERATED / f"{name}.py").read_text(encoding="utf-8") for name in NAMES}
    for forget in (lambda: None, clear_cache):
        for name in reversed(NAMES):
            forget()  # SymPy's cache decides which of two equal expressions is met, never what is derived
            assert sb.derive(sb.builtin(name)).source() == expected[name], name


def test_an_expression_that_is_tidy_is_left_as_it_is_whichever_copy_of_its_parts_is_remembered() -> None:
    first = sympy.Add(argument(0), argument(1))
    tidy(first)
    clear_cache()
    second = sympy.Add(argument(0), argument(1))
    assert second == first and second is not first
    product = sympy.Mul(sympy.Rational(1, 2), second, evaluate=False)
    assert tidy(product) == product  # built anew, SymPy would multiply it out


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_no_hash_seed_changes_anything(seed: str) -> None:
    code = (
        "import symbackprop as sb\n"
        "for name in ('causal_attention', 'small_cnn', 'elastic_net_mlp'):\n"
        "    d = sb.derive(sb.builtin(name))\n"
        "    print(d.source(), d.text(), d.latex(), d.json(batch_form=True))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(GENERATED.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    expected = "".join(
        f"{d.source()} {d.text()} {d.latex()} {d.json(batch_form=True)}\n"
        for d in (sb.derive(sb.builtin(n)) for n in ("causal_attention", "small_cnn", "elastic_net_mlp"))
    )
    assert done.stdout.decode() == expected


@pytest.mark.parametrize("name", NAMES)
def test_imports_only_numpy(name: str) -> None:
    lines = (GENERATED / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(("import ", "from "))] == [
        "import math",
        "import os",
        "import numpy as np",
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", NAMES)
def test_forward_value_is_the_reference(name: str, seed: int) -> None:
    model = sb.builtin(name)
    params, inputs, _ = sample(model, seed)
    hyper = {key: float(value) for key, value in model.hyper_defaults.items() if value is not None}
    expected = REFERENCE[name](params, inputs, hyper)
    assert committed(name).loss(params, inputs) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_every_route_agrees(name: str) -> None:
    report = sb.check(sb.builtin(name), kernel=committed(name))
    assert report.ok, report.table
    for row in report.rows:
        if row.route == "complex step":
            assert row.tolerance <= 1e-12
        if row.route == "differences":
            assert row.tolerance <= 1e-8
