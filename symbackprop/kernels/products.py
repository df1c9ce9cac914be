"""Products of labelled factors, pair by pair: matrix products where a label is summed, otherwise one multiplication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symbackprop.graph.nodes import Labels
from symbackprop.graph.sizes import Size, usual_value
from symbackprop.kernels.operations import Operation

if TYPE_CHECKING:
    from symbackprop.kernels.lowering import Lowering


@dataclass(frozen=True)
class Term:
    """An operand in progress: the axes of the operation run along labels."""

    operation: Operation
    labels: Labels


class ProductLowering:
    """Multiplies the factors of one contraction at a time."""

    def __init__(self, lowering: Lowering, default_sizes: dict[str, int]) -> None:
        self.lowering = lowering
        self.default_sizes = default_sizes
        self._copies: dict[Operation, tuple[Operation, Labels]] = {}

    def arranged(self, term: Term, wanted: Labels) -> Operation:
        """Return a term's value with its axes in that order."""
        return self.lowering.view(term.operation, tuple(wanted.index(label) for label in term.labels), len(wanted))

    def reduce(self, terms: list[Term], output: Labels, sizes: tuple[Size, ...]) -> Term:
        """Multiply the terms pair by pair and sum what is not in the output."""
        if not terms:
            raise AssertionError("a contraction has an operand")
        terms = [
            self._sum_out(term, set(output) | {x for other in terms if other is not term for x in other.labels})
            for term in terms
        ]
        for first, second in self._path(terms, output, sizes):
            a, b = terms[first], terms[second]
            terms = [term for k, term in enumerate(terms) if k not in (first, second)]
            needed = set(output) | {label for term in terms for label in term.labels}
            terms.append(self._pair(a, b, needed, output, sizes))
        return self._sum_out(terms[0], set(output))

    def _path(self, terms: list[Term], output: Labels, sizes: tuple[Size, ...]) -> list[tuple[int, int]]:
        if len(terms) < 3:
            return [(0, 1)] if len(terms) == 2 else []
        arguments: list[Any] = []
        for term in terms:
            shape = tuple(usual_value(sizes[label], self.default_sizes) for label in term.labels)
            arguments += [np.broadcast_to(np.float32(0), shape), list(term.labels)]
        needed = [label for label in output if any(label in term.labels for term in terms)]
        path = np.einsum_path(*arguments, needed, optimize="optimal" if len(terms) < 6 else "greedy")[0][1:]
        pairs: list[tuple[int, int]] = []
        left = len(terms)
        for step in path:
            chosen = sorted(step)
            while len(chosen) > 1:  # NumPy takes more than two at once where that saves nothing; the result goes to the end
                first, second, *others = chosen
                pairs.append((first, second))
                left -= 1
                chosen = [*[other - 2 for other in others], left - 1] if others else []
        return pairs

    def _sum_out(self, term: Term, needed: set[int]) -> Term:
        term = Term(*self.lowering.diagonal(term.operation, term.labels))
        axes = tuple(k for k, label in enumerate(term.labels) if label not in needed)
        if not axes:
            return term
        kept = tuple(label for label in term.labels if label in needed)
        return Term(self.lowering.total(term.operation, axes), kept)

    def _pair(self, a: Term, b: Term, needed: set[int], output: Labels, sizes: tuple[Size, ...]) -> Term:
        a, b = self._copied(a), self._copied(b)
        shared = [label for label in a.labels if label in b.labels]
        contracted = [label for label in shared if label not in needed]
        batch = [label for label in shared if label in needed]
        rows = [label for label in a.labels if label not in shared]
        columns = [label for label in b.labels if label not in shared]
        if not contracted:
            labels = tuple(dict.fromkeys((*a.labels, *b.labels)))
            labels = tuple(sorted(labels, key=lambda x: output.index(x) if x in output else len(output) + x))
            labels = next((term.labels for term in (a, b) if set(term.labels) == set(labels)), labels)
            place = {label: k for k, label in enumerate(labels)}
            left = self.lowering.view(a.operation, tuple(place[x] for x in a.labels), len(labels))
            right = self.lowering.view(b.operation, tuple(place[x] for x in b.labels), len(labels))
            shape = tuple(sizes[label] for label in labels)
            return Term(self.lowering.add("multiply", (left, right), shape, "buffer"), labels)
        if self._first(columns, output) < self._first(rows, output):
            a, b, rows, columns = b, a, columns, rows
        order = tuple(x for x in output if x in batch) + tuple(x for x in batch if x not in output)
        a = self._packed(self._floating(a), (order, rows, contracted))
        b = self._packed(self._floating(b), (order, contracted, columns))
        result = (*order, *rows, *columns)
        shape = tuple(sizes[label] for label in result)
        made = self.lowering.add(
            "matmul", (a.operation, b.operation), shape, "buffer", left=a.labels, right=b.labels, batch=order,
            rows=tuple(rows), contracted=tuple(contracted), columns=tuple(columns), sizes=sizes,
            symmetric=not order and len(rows) == len(columns) == 1 and _is_symmetric(a, b, rows[0], columns[0]),
        )  # fmt: skip
        return Term(made, result)

    def _floating(self, term: Term) -> Term:
        """A condition as numbers: NumPy multiplies matrices of conditions as conditions, and slowly those of mixed types."""
        operation = term.operation
        if operation.dtype == "float":
            return term
        return Term(self.lowering.add("copy", (operation,), operation.shape, "buffer"), term.labels)

    def _packed(self, term: Term, groups: Sequence[Sequence[int]]) -> Term:
        """Copy an operand into an array of its own where axes that a product merges do not lie side by side."""
        batch, *merged = groups
        places = [[term.labels.index(label) for label in group] for group in merged if len(group) > 1]
        adjacent = all(group == list(range(group[0], group[0] + len(group))) for group in places)
        if not places or (adjacent and _mergeable(term.operation, places)):
            return term
        wanted = tuple(label for group in groups for label in group)
        viewed = self.arranged(term, wanted)
        copy = self.lowering.add("copy", (viewed,), viewed.shape, "buffer")
        self._copies.setdefault(term.operation, (copy, tuple(term.labels.index(label) for label in wanted)))
        return Term(copy, wanted)

    def _copied(self, term: Term) -> Term:
        """A value that an earlier product has copied is read from that copy, whose layout the results of products have."""
        copy, order = self._copies.get(term.operation, (term.operation, tuple(range(len(term.labels)))))
        return Term(copy, tuple(term.labels[axis] for axis in order))

    def _first(self, labels: list[int], output: Labels) -> int:
        return min((output.index(label) for label in labels if label in output), default=len(output))


def _is_symmetric(a: Term, b: Term, row: int, column: int) -> bool:
    """Tell whether a product is Xᵀ diag(s) X: one operand is the other, scaled along the axes that are summed."""
    place = a.labels.index(row)
    if b.labels.index(column) != place or a.operation.shape != b.operation.shape:
        return False
    for scaled, plain in ((a.operation, b.operation), (b.operation, a.operation)):
        if scaled.kind == "multiply" and len(scaled.operands) == 2 and plain in scaled.operands:
            (factor,) = [o for o in scaled.operands if o is not plain] or [plain]
            if factor.rank == 0 or factor.rank == scaled.rank and factor.shape[place] == 1:
                return True
    return False


def _mergeable(operation: Operation, places: Sequence[Sequence[int]]) -> bool:
    """Tell whether neighbouring axes of a value lie behind one another in its memory, so that NumPy can merge them in a view."""
    if operation.storage != "view":
        return True
    if operation.kind != "align" or operation.operands[0].storage == "view":
        return False
    order = [
        operation.details["labels"].index(label) if label in operation.details["labels"] else -1
        for label in range(operation.rank)
    ]
    return all(
        order[b] == order[a] + 1 and order[a] >= 0 for group in places for a, b in zip(group, group[1:], strict=False)
    )
