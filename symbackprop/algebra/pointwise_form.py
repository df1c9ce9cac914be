"""A pointwise expression in matrix algebra: sums, Hadamard and outer products, powers, applied functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.matrices.expressions.diagonal import DiagonalOf

from symbackprop.algebra.matrix_forms import (
    NoMatrixFormError,
    apply,
    combine,
    filled,
    hadamard,
    product,
    transposed,
)
from symbackprop.algebra.scalar_forms import in_sympy
from symbackprop.functions.scalar import ScalarFunction
from symbackprop.graph.nodes import Labels, Pointwise, argument

Piece = tuple[Labels, Any]
"""The axes a value runs along, () or (0,) or (1,) or (0, 1), and the scalar, column or matrix."""


def pointwise_form(node: Pointwise, operands: Sequence[tuple[Any, Labels]], variable: Any) -> Any:
    """Return the matrix form; ``operands`` are the operands' forms. Raises NoMatrixFormError."""
    writer = _Writer(node, [_aligned(matrix, labels) for matrix, labels in operands], variable)
    axes, result = writer.write(node.expression)
    return writer.broadcast((axes, result), tuple(range(node.rank)))


def _aligned(matrix: Any, labels: Labels) -> Piece:
    if len(labels) == 2 and labels[0] == labels[1]:
        return labels[:1], DiagonalOf(matrix)
    if len(labels) == 2 and labels[0] > labels[1]:
        return labels[::-1], transposed(matrix)
    return labels, matrix


class _Writer:
    def __init__(self, node: Pointwise, pieces: list[Piece], variable: Any) -> None:
        self._shape = node.shape
        self._pieces = {argument(k): piece for k, piece in enumerate(pieces)}
        self._scalars = {symbol: value for symbol, (axes, value) in self._pieces.items() if not axes}
        self._variable = variable

    def write(self, expression: Any) -> Piece:
        tensors = [s for s in self._pieces if s not in self._scalars and s in expression.free_symbols]
        if not tensors:
            return (), in_sympy(expression, self._scalars)
        if expression.is_Symbol:
            return self._pieces[expression]
        if expression.is_Add:
            return self._sum([self.write(term) for term in expression.args])
        if expression.is_Mul:
            return self._product([self.write(factor) for factor in expression.args])
        if expression.is_Pow and not set(tensors) & expression.exp.free_symbols:
            axes, base = self.write(expression.base)
            return axes, sympy.HadamardPower(base, in_sympy(expression.exp, self._scalars))
        if len(tensors) == 1:
            axes, value = self._pieces[tensors[0]]
            return axes, apply(self._variable, self._function(expression, tensors[0]), value)
        if len(expression.args) == 1:
            axes, value = self.write(expression.args[0])
            inner = sympy.Dummy()
            return axes, apply(self._variable, self._function(expression.func(inner), inner), value)
        if isinstance(expression, ScalarFunction) and expression.func.body is not None:
            return self.write(expression.expand_definition())
        raise NoMatrixFormError

    def _function(self, expression: Any, symbol: Any) -> Any:
        return in_sympy(expression, {**self._scalars, symbol: self._variable})

    def _sum(self, pieces: list[Piece]) -> Piece:
        axes = tuple(sorted({axis for own, _ in pieces for axis in own}))
        return axes, sympy.MatAdd(*[self.broadcast(piece, axes) for piece in pieces])

    def _product(self, pieces: list[Piece]) -> Piece:
        axes = tuple(sorted({axis for own, _ in pieces for axis in own}))
        groups: dict[Labels, list[Any]] = {}
        for own, value in pieces:
            groups.setdefault(own, []).append(value)
        coefficient = sympy.Mul(*groups.pop((), []))
        if len(axes) == 1:
            whole = hadamard(groups[axes])
        else:
            whole = combine(groups.get((0,), []), groups.get((1,), []), groups.get((0, 1), []))
        return axes, product([whole], coefficient)

    def broadcast(self, piece: Piece, axes: Labels) -> Any:
        """Return the value repeated along the axes that it lacks."""
        own, value = piece
        if own == axes:
            return value
        sizes = [self._shape[axis] for axis in axes]
        if not own:
            return filled(value, *(sizes if len(sizes) == 2 else [sizes[0], 1]))
        if own == (0,):
            return product([value, sympy.OneMatrix(1, sizes[1])])
        return product([sympy.OneMatrix(sizes[0], 1), transposed(value)])
