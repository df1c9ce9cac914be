"""The matrix form of a contraction: a product of matrices and vectors, a trace, or the sums of rows."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.graph.nodes import Labels, Node
from symbackprop.graph.sizes import Size
from symbackprop.render.build import chain, hadamard, transpose
from symbackprop.render.forms import NodeWriter, NoMatrixForm
from symbackprop.render.formula import Call, Formula, Ones


class ChainForm:
    """A product of several operands as a chain of matrices from the row label to the column label."""

    def __init__(
        self, form: NodeWriter, factors: Sequence[tuple[Node, Labels]], rank: int, sizes: Sequence[Size]
    ) -> None:
        self.form, self.rank, self.sizes = form, rank, sizes
        if any(len(set(labels)) < len(labels) or len(labels) > 2 for _, labels in factors):
            raise NoMatrixForm
        self.matrices = [(node, labels) for node, labels in factors if len(labels) == 2]
        self.vectors = {labels[0]: node for node, labels in factors if len(labels) == 1}
        self.summed = set(range(rank, len(sizes)))

    def formula(self) -> Formula:
        """Return the formula. Raises NoMatrixForm."""
        if self.rank == 2:
            parts, end = self._walk(0)
            if end != 1:
                raise NoMatrixForm
            return self._finish(parts)
        if self.rank == 1 and sum(0 in labels for _, labels in self.matrices) == 2:
            return self._row_sums()
        if self.rank == 1:
            parts, end = self._walk(0)
            parts.append(self._vector(end))
            return self._finish(parts)
        if self.rank == 0:
            ends = sorted(self.vectors)
            if not ends:
                return self._trace()
            for start in ends:
                if sum(start in labels for _, labels in self.matrices) == 1:
                    first = transpose(self._vector(start))
                    parts, end = self._walk(start)
                    return self._finish([first, *parts, self._vector(end)])
        raise NoMatrixForm

    def _row_sums(self) -> Formula:
        """Sum over j of A[i, j] B[i, j], where A may be a product."""
        last = next(factor for factor in reversed(self.matrices) if 0 in factor[1])
        self.matrices.remove(last)
        parts, end = self._walk(0)
        node, labels = last
        if set(labels) != {0, end} or end in self.vectors or 0 in self.vectors:
            raise NoMatrixForm
        return Call("rowsum", (hadamard([self._finish(parts), self.form.along(node, labels, (0, end))]),))

    def _trace(self) -> Formula:
        """A closed chain of matrices."""
        node, labels = self.matrices.pop()
        parts, end = self._walk(labels[1])
        if end != labels[0]:
            raise NoMatrixForm
        return Call("tr", (self._finish([self.form.along(node, labels, labels), *parts]),))

    def _walk(self, label: int) -> tuple[list[Formula], int]:
        parts: list[Formula] = []
        while True:
            following = [(node, labels) for node, labels in self.matrices if label in labels]
            if not following or (parts and label not in self.summed):
                return parts, label
            if len(following) > 1:
                raise NoMatrixForm
            (node, labels) = following[0]
            self.matrices.remove(following[0])
            other = labels[1] if labels[0] == label else labels[0]
            parts.append(self.form.along(node, labels, (label, other)))
            label = other
            if label in self.vectors and any(label in labels for _, labels in self.matrices):
                parts.append(Call("diag", (self._vector(label),)))

    def _vector(self, label: int) -> Formula:
        node = self.vectors.pop(label, None)
        return Ones(self.sizes[label]) if node is None else self.form.of(node)

    def _finish(self, parts: list[Formula]) -> Formula:
        if self.matrices or self.vectors:
            raise NoMatrixForm
        return chain(parts)
