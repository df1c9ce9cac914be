"""Stable reductions: the largest entry, the norm, and logsumexp, whose exponentials a softmax shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbackprop.graph.nodes import Labels, Pointwise, Reduction, argument
from symbackprop.graph.sizes import Shape
from symbackprop.kernels.layout import as_it_lies, memory_order
from symbackprop.kernels.operations import Operation

if TYPE_CHECKING:
    from symbackprop.kernels.lowering import Lowering


class ReductionLowering:
    """Lowers one reduction at a time."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    def lower(self, node: Reduction) -> Operation:
        """Return the operation of a reduction, its axes in order."""
        (operand,), (labels,) = node.operands, node.labels
        if node.kind == "logsumexp":
            _, total, shift, kept = self._exponentials(node)
            result = self.lowering.ufunc("add", (self.lowering.ufunc("log", (total,), total.shape), shift), total.shape)
        else:
            inner, own = as_it_lies(self.lowering.of(operand), labels)
            order = memory_order(inner)
            if "window" in _kinds(inner) and order is not None:
                inner, own = (
                    self.lowering.view(inner, tuple(order.index(k) for k in range(inner.rank)), inner.rank),
                    tuple(own[k] for k in order),
                )
            axes = tuple(position for position, label in enumerate(own) if label >= node.rank)
            kept = tuple(label for label in own if label < node.rank)
            shape = tuple(size for size, label in zip(inner.shape, own, strict=True) if label < node.rank)
            if node.kind == "norm":
                scratch = self.lowering.add("scratch", (), inner.shape, "buffer", of=operand)
                result = self.lowering.add("norm", (inner, scratch), shape, "buffer", axes=axes)
            elif shape and "window" in _kinds(inner):
                result = self.lowering.add("max_window", (inner,), shape, "buffer", axes=axes)
            else:
                result = self._largest(inner, axes, shape)
        return result if kept == tuple(sorted(kept)) else self.lowering.view(result, kept, node.rank)

    def _exponentials(self, node: Reduction) -> tuple[Operation, Operation, Operation, Labels]:
        """exp(x - m) for the largest entry m, their sum, and m (0 where every entry is -inf), and the labels of the sum's axes."""
        (operand,), (labels,) = node.operands, node.labels
        inner, labels = as_it_lies(self.lowering.of(operand), labels)
        axes = tuple(position for position, label in enumerate(labels) if label >= node.rank)
        places = tuple(position for position in range(inner.rank) if position not in axes)
        shape = tuple(inner.shape[position] for position in places)
        shift = self.lowering.ufunc(
            "maximum",
            (
                self._largest(inner, axes, shape),
                self.lowering.add("lowest", (), (), "scalar"),
            ),
            shape,
        )
        centred = self.lowering.ufunc("subtract", (inner, self.lowering.view(shift, places, inner.rank)), inner.shape)
        exponential = self.lowering.ufunc("exp", (centred,), inner.shape)
        total = self.lowering.total(exponential, axes)
        return exponential, total, shift, tuple(labels[position] for position in places)

    def _largest(self, inner: Operation, axes: tuple[int, ...], shape: Shape) -> Operation:
        """The largest entries along some axes; those of rows by their places, which NumPy finds several times as fast."""
        if axes == (inner.rank - 1,) and shape and inner.storage in ("buffer", "given") and inner.dtype == "float":
            starts = self.lowering.add("row_starts", (), shape, "constant", "int", count=inner.shape[-1])
            places = self.lowering.add("scratch", (), shape, "buffer", "int", of=inner)
            return self.lowering.add("row_max", (inner, places, starts), shape, "buffer", axes=axes)
        return self.lowering.add("max", (inner,), shape, "buffer", axes=axes)

    def softmax(self, node: Pointwise) -> Operation | None:
        """exp(x - logsumexp(x)) is exp(x - m) over the sum of those, which the logsumexp has computed."""
        factors = list(zip(node.operands, node.labels, strict=True))
        for k, (normaliser, labels) in enumerate(factors):
            if not isinstance(normaliser, Reduction) or normaliser.kind != "logsumexp":
                continue
            for j, (operand, own) in enumerate(factors):
                places = normaliser.labels[0]
                if (
                    operand is normaliser.operands[0]
                    and node.expression.args[0] == argument(j) - argument(k)
                    and all(
                        own[position] == labels[label]
                        for position, label in enumerate(places)
                        if label < normaliser.rank
                    )
                ):
                    exponential, total, _, kept = self._exponentials(normaliser)
                    below = self.lowering.view(total, tuple(labels[label] for label in kept), node.rank)
                    lying = as_it_lies(self.lowering.of(operand), own)[1]
                    return self.lowering.ufunc(
                        "divide", (self.lowering.view(exponential, lying, node.rank), below), node.shape
                    )
        return None


def _kinds(operation: Operation) -> list[str]:
    """The kinds of the views between an operation and the memory it lies in."""
    kinds = []
    while operation.storage == "view":
        kinds.append(operation.kind)
        operation = operation.operands[0]
    return kinds
