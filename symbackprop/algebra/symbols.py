"""What stands for tensors in SymPy, and two things it lacks: a maximum over an index, and cofactors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.concrete.expr_with_intlimits import ExprWithIntLimits
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr

from symbackprop.graph.nodes import Leaf


class IndexMax(ExprWithIntLimits):
    """The largest value of an expression over ranges of indices, written like a Sum.

    ``IndexMax(x[i, 0], (i, 0, n - 1))`` is the largest entry of x.
    """


class Cofactor(MatrixExpr):
    """The matrix of cofactors: det(X) X^-T where X has an inverse; the gradient of det(X) (Jacobi)."""

    def __new__(cls, matrix: Any) -> Any:
        """Return the cofactors of a square matrix."""
        return MatrixExpr.__new__(cls, matrix)

    @property
    def shape(self) -> Any:
        """The shape of the matrix."""
        return self.args[0].shape

    def _entry(self, i: Any, j: Any, **_: Any) -> Any:
        return MatrixElement(self, i, j)


def tensor_symbol(leaf: Leaf) -> Any:
    """Return what stands for a tensor: a Symbol, an n×1 or m×n MatrixSymbol, or else an IndexedBase."""
    if leaf.rank == 0:
        return sympy.Symbol(leaf.name)
    if leaf.rank <= 2:
        return sympy.MatrixSymbol(leaf.name, *leaf.shape, *([1] if leaf.rank == 1 else []))
    return sympy.IndexedBase(sympy.Symbol(leaf.name), shape=leaf.shape)


def tensor_entry(leaf: Leaf, indices: Sequence[Any]) -> Any:
    """Return the entry of a tensor at the given indices, one for each axis."""
    symbol = tensor_symbol(leaf)
    if leaf.rank == 0:
        return symbol
    if leaf.rank <= 2:
        return MatrixElement(symbol, *indices, *([0] if leaf.rank == 1 else []))
    return symbol[tuple(indices)]
