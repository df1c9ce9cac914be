"""Small constructors of SymPy matrix expressions, none of which evaluates: a vector is a column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy


class NoMatrixFormError(Exception):
    """An expression that SymPy's matrix algebra cannot say; it is written with indices instead."""


def transposed(matrix: Any) -> Any:
    """The transpose, taken to the single factors of a product."""
    if isinstance(matrix, sympy.Transpose):
        return matrix.arg
    if isinstance(matrix, sympy.Identity | sympy.DiagMatrix):
        return matrix
    if isinstance(matrix, sympy.OneMatrix | sympy.ZeroMatrix):
        return matrix.func(matrix.cols, matrix.rows)
    if isinstance(matrix, sympy.MatMul):
        coefficient, factors = matrix.as_coeff_matrices()
        return product([transposed(factor) for factor in reversed(factors)], coefficient)
    return sympy.Transpose(matrix)


def product(matrices: Iterable[Any], coefficient: Any = sympy.S.One) -> Any:
    """The matrix product times a scalar, without identities."""
    factors: list[Any] = []
    last = None
    for matrix in matrices:
        last = matrix
        inner, parts = matrix.as_coeff_matrices() if isinstance(matrix, sympy.MatMul) else (sympy.S.One, [matrix])
        coefficient = coefficient * inner
        factors.extend(part for part in parts if not isinstance(part, sympy.Identity))
    if not factors:
        factors = [last]
    if coefficient == 1:
        return factors[0] if len(factors) == 1 else sympy.MatMul(*factors)
    return sympy.MatMul(coefficient, *factors)


def hadamard(matrices: list[Any]) -> Any:
    """The product element by element; scalars stand in front."""
    coefficient: Any = sympy.S.One
    factors: list[Any] = []
    for matrix in matrices:
        if isinstance(matrix, sympy.MatMul) and len(matrix.as_coeff_matrices()[1]) == 1:
            inner, (matrix,) = matrix.as_coeff_matrices()
            coefficient = coefficient * inner
        factors.extend(matrix.args if isinstance(matrix, sympy.HadamardProduct) else [matrix])
    if len(factors) > 1 and all(isinstance(factor, sympy.Transpose) for factor in factors):
        return product([sympy.Transpose(sympy.HadamardProduct(*[factor.arg for factor in factors]))], coefficient)
    return product([factors[0] if len(factors) == 1 else sympy.HadamardProduct(*factors)], coefficient)


def filled(value: Any, rows: Any, columns: Any) -> Any:
    """The matrix whose entries are all one value."""
    if value == 0:
        return sympy.ZeroMatrix(rows, columns)
    return product([sympy.OneMatrix(rows, columns)], value)


def inner(left: Any, right: Any) -> Any:
    """The sum of the products of the entries of two matrices of one shape, as a trace."""
    if left == right:
        return sympy.Trace(sympy.MatMul(sympy.Transpose(left), right))
    return sympy.Trace(product([transposed(left), right]))


def total(matrix: Any) -> Any:
    """The sum of all entries, a scalar."""
    if isinstance(matrix, sympy.HadamardProduct):
        return inner(matrix.args[0], hadamard(list(matrix.args[1:])))
    if isinstance(matrix, sympy.HadamardPower) and matrix.exp == 2:
        return inner(matrix.base, matrix.base)
    ends = [sympy.OneMatrix(1, matrix.rows), matrix]
    if matrix.cols != 1:
        ends.append(sympy.OneMatrix(matrix.cols, 1))
    return sympy.Trace(product(ends))


def combine(columns: list[Any], rows: list[Any], matrices: list[Any]) -> Any:
    """The m×n matrix of products: of vectors along its first axis, vectors along its second, and matrices."""
    if not matrices:
        return product([hadamard(columns), transposed(hadamard(rows))])
    if len(matrices) == 1 and isinstance(matrices[0], sympy.Identity) and columns + rows:
        return sympy.DiagMatrix(hadamard(columns + rows))
    factors = [hadamard(matrices)]
    if columns:
        factors.insert(0, sympy.DiagMatrix(hadamard(columns)))
    if rows:
        factors.append(sympy.DiagMatrix(hadamard(rows)))
    return product(factors)


def apply(variable: Any, body: Any, matrix: Any) -> Any:
    """A scalar function, ``body`` of ``variable``, of every entry."""
    if body == variable:
        return matrix
    if matrix.shape == (1, 1):
        raise NoMatrixFormError  # SymPy would call the function with the matrix itself
    return matrix.applyfunc(sympy.Lambda(variable, body))
