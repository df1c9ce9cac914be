"""Matrix products of the generated modules: in tiles or whole, every entry of every shape is a @ b."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbackprop as sb

KERNEL = sb.derive(sb.mlp([4, 3])).kernel()
SIDES = st.one_of(st.integers(1, 90), st.sampled_from([16, 64, 96, 100, 128, 144, 160, 200, 256]))
FORMS = {
    "NN": lambda a, b: (a, b),
    "NT": lambda a, b: (a, np.swapaxes(np.swapaxes(b, -1, -2).copy(), -1, -2)),
    "TN": lambda a, b: (np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2), b),
}


@pytest.fixture(params=[0, 15, math.inf], ids=["never", "few rows", "any number of rows"])
def matmul(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(KERNEL, "_ROWS_IN_TILES", request.param)
    return lambda a, b, out: (KERNEL._matmul if a.ndim == 2 else KERNEL._stacked_matmul)(a, b, out)


def assert_multiplies(matmul: Any, form: str, stack: tuple[int, ...], rows: int, inner: int, columns: int) -> None:
    random = np.random.default_rng(rows * inner * columns)
    a, b = random.standard_normal((*stack, rows, inner)), random.standard_normal((*stack, inner, columns))
    out = np.full((*stack, rows, columns), np.nan)
    left, right = FORMS[form](a, b)
    matmul(left, right, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("rows", "inner", "columns"),
    [(8, 784, 256), (256, 8, 784), (32, 64, 64), (64, 250, 300), (65, 250, 300), (300, 200, 250), (130, 976, 33), (130, 977, 33),
     (10, 1024, 128), (256, 32, 1100), (70, 300, 17), (2, 1000, 1000), (1, 1000, 1000), (1000, 1000, 1), (128, 64, 128)],
)  # fmt: skip
def test_shapes_on_both_sides_of_every_limit(matmul: Any, form: str, rows: int, inner: int, columns: int) -> None:
    assert_multiplies(matmul, form, (), rows, inner, columns)
    assert_multiplies(matmul, form, (2,), rows, inner, columns)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.sampled_from([(), (2,), (1, 2)]), SIDES, SIDES, SIDES)
def test_any_tile_of_any_shape(form: str, stack: tuple[int, ...], rows: int, inner: int, columns: int) -> None:
    for height, width in ((16, 16), (64, 32), (7, 5), (rows, columns)):
        assert_multiplies(lambda a, b, out, h=height, w=width: KERNEL._tiled(a, b, out, h, w), form, stack, rows, inner, columns)


def test_parts_are_even_and_no_larger_than_asked() -> None:
    for count in range(1, 400):
        for largest in (1, 16, 60, 64, 159):
            part = KERNEL._even(count, largest)
            assert part % 16 == 0 and part <= max(16, largest)
            assert -(-count // part) == -(-count // max(16, largest // 16 * 16))


@pytest.mark.parametrize(
    ("blas", "simd", "environment", "wanted"),
    [
        ("scipy-openblas", "X86_V4", {"OPENBLAS_NUM_THREADS": "1"}, math.inf),
        ("openblas64", "AVX512_SKX", {"OMP_NUM_THREADS": "1"}, math.inf),
        ("scipy-openblas", "X86_V4", {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, 15),
        ("scipy-openblas", "X86_V3", {"OPENBLAS_NUM_THREADS": "1"}, 0),
        ("mkl", "X86_V4", {"OPENBLAS_NUM_THREADS": "1"}, 0),
        ("scipy-openblas", "X86_V4", {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}, 0),
    ],
)
def test_tiles_are_for_the_library_that_packs_no_small_matrix(
    blas: str, simd: str, environment: dict[str, str], wanted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = {"Build Dependencies": {"blas": {"name": blas}}, "SIMD Extensions": {"baseline": ["X86_V2"], "found": [simd]}}
    monkeypatch.setattr(np, "show_config", lambda mode: config)
    assert KERNEL._rows_in_tiles() == wanted
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    assert KERNEL._rows_in_tiles() == 0
