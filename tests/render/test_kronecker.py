"""Kronecker products, computed as a reader would, are the block's entries in the order of vec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.derivation.blocks import block_name, with_block
from symbackprop.graph.evaluate import evaluate
from symbackprop.render import formula as f
from symbackprop.render.writer import Writer
from tests.derivation.test_products import model_of, products_of, sizes_and_values

MATRICES: dict[str, Any] = {
    "diag": lambda a: np.diag(a) if a.ndim == 1 else np.diag(a).copy(),
    "relu′": lambda a: (a > 0) * 1.0,
    "σ": lambda a: 1 / (1 + np.exp(-a)),
    "mean": np.mean,
    "sum": np.sum,
}


class MatrixReader:
    """The value of a formula in matrix form; a vector is a column of one axis."""

    def __init__(self, arrays: dict[str, Any], sizes: dict[str, int]) -> None:
        self.arrays, self.sizes = arrays, sizes

    def value(self, x: f.Formula) -> Any:
        return getattr(self, f"_{type(x).__name__.lower()}")(x)

    def _size(self, value: Any) -> float:
        return float(value.xreplace({s: self.sizes[s.name] for s in value.free_symbols}))

    def _symbol(self, x: f.Symbol) -> Any:
        return np.asarray(self.arrays[x.name], dtype=float)

    def _number(self, x: f.Number) -> float:
        return self._size(x.value)

    def _identity(self, x: f.Identity) -> Any:
        return np.eye(int(self._size(x.size)))

    def _ones(self, x: f.Ones) -> Any:
        return np.ones(int(self._size(x.size)))

    def _sum(self, x: f.Sum) -> Any:
        return sum(sign * self.value(term) for sign, term in x.terms)

    def _transpose(self, x: f.Transpose) -> Any:
        inner = self.value(x.operand)
        return inner[None, :] if inner.ndim == 1 else inner.T

    def _product(self, x: f.Product) -> Any:
        result: Any = 1.0
        for factor in map(self.value, x.factors):
            if np.ndim(result) == 0 or np.ndim(factor) == 0:
                result = result * factor
            else:
                column = result[:, None] if result.ndim == 1 else result
                result = column @ factor
        return result

    def _hadamard(self, x: f.Hadamard) -> Any:
        result: Any = 1.0
        for factor in map(self.value, x.factors):
            result = result * factor
        return result

    def _power(self, x: f.Power) -> Any:
        return self.value(x.base) ** self.value(x.exponent)

    def _quotient(self, x: f.Quotient) -> Any:
        return self.value(x.above) / self.value(x.below)

    def _call(self, x: f.Call) -> Any:
        return MATRICES[x.function](*map(self.value, x.arguments))

    def _kronecker(self, x: f.Kronecker) -> Any:
        matrices = [value[:, None] if value.ndim == 1 else value for value in map(self.value, x.factors)]
        return np.kron(*matrices)


def stacked(block: Any, row: int, column: int) -> Any:
    """The block as a matrix: columns of matrices stacked."""
    axes = (*reversed(range(row)), *reversed(range(row, row + column)))
    return block.transpose(axes).reshape(int(np.prod(block.shape[:row])), -1)


CASES = [
    ("d2l_mlp", "W2", "W2"), ("d2l_mlp", "W1", "W1"), ("d2l_mlp", "b1", "W1"), ("d2l_mlp", "W1", "b1"), ("d2l_mlp", "b2", "W2"),
    ("mlp_classifier", "W3", "W3"), ("mlp_classifier", "W1", "W1"), ("mlp_classifier", "W2", "W2"), ("mlp_classifier", "b1", "W1"),
    ("softmax_regression", "W", "W"), ("softmax_regression", "b", "W"), ("factorization", "U", "U"), ("factorization", "V", "V"),
    ("layer_norm", "W", "W"),
]  # fmt: skip


BOTH = [("hessian", *case) for case in CASES] + [("gauss-newton", *case) for case in CASES if case[0] != "factorization"]


@pytest.mark.parametrize(("kind", "name", "row", "column"), BOTH)
def test_a_block_is_what_its_kronecker_products_say(kind: str, name: str, row: str, column: str) -> None:
    derived = with_block(products_of(name, kind, False), row, column)
    sizes, values = sizes_and_values(name, False)
    block = block_name(products_of(name, kind, False), row, column)
    arrays = {**values, **evaluate(derived.graph, values, sizes)}
    right = Writer(derived).line(derived.graph.by_name[block]).right
    assert any(isinstance(part, f.Kronecker) for part in f.parts(right)) or kind == "gauss-newton"
    ranks = [model_of(name).graph.declared[n].rank for n in (row, column)]
    found = np.broadcast_to(MatrixReader(arrays, sizes).value(right), stacked(arrays[block], *ranks).shape)
    np.testing.assert_allclose(found, stacked(arrays[block], *ranks), atol=1e-12)


def test_what_has_no_kronecker_form_is_written_in_indices() -> None:
    text = sb.derive(model_of("d2l_mlp")).block("W1", "W2").text()
    assert "∂²J/∂W1∂W2[i, j, k, l] = " in text and "⊗" not in text
