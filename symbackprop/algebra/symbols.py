"""What stands for tensors in SymPy, and what it lacks: a maximum over an index, sums that stay as written, and cofactors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.concrete.expr_with_intlimits import ExprWithIntLimits
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr

from symbackprop.graph.nodes import Leaf


class _AsWritten:
    """Limits as SymPy has them, around an expression that is left alone.

    SymPy's own constructors move every Piecewise under them to the top, out of the inner sums that bind its indices too.
    """

    def __new__(cls, function: Any, *limits: Any) -> Any:
        """Return the object; limits are triples of an index, its first and its last value."""
        made: Any = sympy.Expr.__new__(cls, function, *[sympy.Tuple(*limit) for limit in limits])
        made.is_commutative = function.is_commutative
        return made


class IndexMax(_AsWritten, ExprWithIntLimits):
    """The largest value of an expression over ranges of indices, written like a Sum.

    ``IndexMax(x[i, 0], (i, 0, n - 1))`` is the largest entry of x.
    """


class IndexSum(_AsWritten, sympy.Sum):
    """A Sum around sums with conditions of their own."""


def index_sum(function: Any, *limits: Any) -> Any:
    """Return a sum over indices: SymPy's own, unless that would move conditions out of the sums in it."""
    nested = any(inner.has(sympy.Piecewise) for inner in function.atoms(ExprWithIntLimits))
    return (IndexSum if nested else sympy.Sum)(function, *limits)


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
