"""A contraction as a matrix expression: summed labels go one by one, if at most two matrices meet there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from sympy.matrices.expressions.diagonal import DiagonalOf

from symbackprop.algebra.matrix_forms import (
    NoMatrixFormError,
    combine,
    hadamard,
    inner,
    product,
    total,
    transposed,
)
from symbackprop.graph.nodes import Labels

Edge = tuple[int, int, Any]


class Network:
    """Vectors on labels, matrices between labels."""

    def __init__(self, operands: Sequence[tuple[Any, Labels]], sizes: Mapping[int, Any]) -> None:
        self.sizes = sizes
        self.vectors: dict[int, list[Any]] = {}
        self.matrices: list[Edge] = []
        self.scalars: list[Any] = []
        for matrix, labels in operands:
            if len(labels) > 2:
                raise NoMatrixFormError
            if len(labels) == 1:
                self.vectors.setdefault(labels[0], []).append(matrix)
            elif labels[0] == labels[1]:
                self.vectors.setdefault(labels[0], []).append(DiagonalOf(matrix))
            else:
                self.matrices.append((*labels, matrix))

    def eliminate(self, summed: Sequence[int]) -> None:
        """Sum over the labels. Raises NoMatrixFormError where three matrices meet."""
        remaining = list(summed)
        while remaining:
            if self._close(remaining):
                return
            self._merge()
            label = min(reversed(remaining), key=lambda k: len(self._touching(k)))
            remaining.remove(label)
            self._sum_over(label)
        self._merge()

    def result(self, rank: int) -> Any:
        """Return what is left as a scalar, a column or a matrix."""
        if rank == 0:
            return sympy.Mul(*self.scalars)
        if rank == 1:
            return product([hadamard(self.vectors[0])], sympy.Mul(*self.scalars))
        whole = combine(
            self.vectors.get(0, []), self.vectors.get(1, []), [self._from(0, edge) for edge in self.matrices]
        )
        return product([whole], sympy.Mul(*self.scalars))

    def _touching(self, label: int) -> list[Edge]:
        return [edge for edge in self.matrices if label in edge[:2]]

    @staticmethod
    def _from(label: int, edge: Edge) -> Any:
        """The matrix with this label along its rows."""
        return edge[2] if edge[0] == label else transposed(edge[2])

    def _close(self, remaining: list[int]) -> bool:
        """Matrices between the last two labels are the trace of a product."""
        if len(remaining) != 2 or not self.matrices or any(set(edge[:2]) != set(remaining) for edge in self.matrices):
            return False
        if any(self.vectors.get(label) for label in remaining):
            return False
        first, *others = [self._from(self.matrices[0][0], edge) for edge in self.matrices]
        whole = sympy.Trace(product([first, transposed(hadamard(others))])) if others else total(first)
        self.scalars.append(whole)
        self.matrices = []
        return True

    def _merge(self) -> None:
        merged: dict[tuple[int, int], list[Any]] = {}
        for edge in self.matrices:
            pair = (min(edge[:2]), max(edge[:2]))
            merged.setdefault(pair, []).append(self._from(pair[0], edge))
        self.matrices = [(*pair, hadamard(matrices)) for pair, matrices in merged.items()]

    def _sum_over(self, label: int) -> None:
        touching = self._touching(label)
        vectors = self.vectors.pop(label, [])
        if len(touching) > 2:
            raise NoMatrixFormError
        self.matrices = [edge for edge in self.matrices if edge not in touching]
        if not touching:
            self.scalars.append(inner(vectors[0], hadamard(vectors[1:])) if len(vectors) > 1 else _sum(vectors[0]))
            return
        ends = [edge[0] if edge[1] == label else edge[1] for edge in touching]
        left = self._from(ends[0], touching[0])
        if len(touching) == 1:
            vector = hadamard(vectors) if vectors else sympy.OneMatrix(self.sizes[label], 1)
            self.vectors.setdefault(ends[0], []).append(product([left, vector]))
            return
        middle = [sympy.DiagMatrix(hadamard(vectors))] if vectors else []
        self.matrices.append((*ends, product([left, *middle, self._from(label, touching[1])])))


def _sum(vector: Any) -> Any:
    return sympy.Trace(vector.arg) if isinstance(vector, DiagonalOf) else total(vector)
