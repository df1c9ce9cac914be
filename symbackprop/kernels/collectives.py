"""Where workers meet: sums and maxima over their arrays, and parts put behind one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from symbackprop.graph.nodes import Collective
from symbackprop.kernels.layout import as_it_lies
from symbackprop.kernels.operations import Operation

if TYPE_CHECKING:
    from symbackprop.kernels.lowering import Lowering


class CollectiveLowering:
    """Lowers one collective at a time."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    def lower(self, node: Collective) -> Operation:
        """Return the operation of a collective, its axes in order. It works on arrays as they lie in memory."""
        operand = self.lowering.of(node.operands[0])
        inner, labels = as_it_lies(operand, tuple(range(operand.rank)))
        if node.kind == "gather":
            assert node.position is not None
            made = self._gathered(inner, node.groups, labels.index(node.position), node.shape[node.position])
        else:
            made = {"sum": self._sum, "max": self._max, "logsumexp": self._logsumexp, "norm": self._norm}[node.kind](
                inner, node.groups
            )
        return self.lowering.view(made, labels, node.rank)

    def _reduced(self, operand: Operation, groups: tuple[str, ...], function: str) -> Operation:
        return self.lowering.add("all_reduce", (operand,), operand.shape, "buffer", groups=groups, function=function)

    def _sum(self, operand: Operation, groups: tuple[str, ...]) -> Operation:
        return self._reduced(operand, groups, "SUM")

    def _max(self, operand: Operation, groups: tuple[str, ...]) -> Operation:
        return self._reduced(operand, groups, "MAX")

    def _logsumexp(self, operand: Operation, groups: tuple[str, ...]) -> Operation:
        """log of the sum of exp(x - m), plus m: the largest of the workers' x, or the lowest number where all are -inf."""
        ufunc, shape = self.lowering.ufunc, operand.shape
        shift = ufunc("maximum", (self._max(operand, groups), self.lowering.add("lowest", (), (), "scalar")), shape)
        total = self._sum(ufunc("exp", (ufunc("subtract", (operand, shift), shape),), shape), groups)
        return ufunc("add", (ufunc("log", (total,), shape), shift), shape)

    def _norm(self, operand: Operation, groups: tuple[str, ...]) -> Operation:
        """The root of the sum of (x / m)^2, times m: the largest of the workers' x, or 1 where all are 0."""
        ufunc, shape = self.lowering.ufunc, operand.shape
        largest = ufunc("guarded", (self._max(operand, groups),), shape)
        total = self._sum(ufunc("square", (ufunc("divide", (operand, largest), shape),), shape), groups)
        return ufunc("multiply", (ufunc("sqrt", (total,), shape), largest), shape)

    def _gathered(self, operand: Operation, groups: tuple[str, ...], axis: int, size: sympy.Expr) -> Operation:
        """The parts of an axis one behind the other: of the first axis at once, of another by way of a flat array."""
        shape = (*operand.shape[:axis], size, *operand.shape[axis + 1 :])
        room = [self.lowering.add("scratch", (), (sympy.Mul(*shape),), "buffer", of=operand, axis=axis)] if axis else []
        return self.lowering.add("all_gather", (operand, *room), shape, "buffer", groups=groups, axis=axis)
