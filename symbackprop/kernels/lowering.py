"""From nodes to operations: every value once, pointwise expressions one operation at a time over the axes they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import sympy

from symbackprop.graph.build import transpose
from symbackprop.graph.nodes import (
    Collective,
    Contraction,
    Coordinate,
    Indicator,
    Labels,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
)
from symbackprop.graph.sizes import Shape, Size
from symbackprop.graph.walk import topological
from symbackprop.kernels.collectives import CollectiveLowering
from symbackprop.kernels.contraction import ContractionLowering
from symbackprop.kernels.layout import as_it_lies, common_order
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.pointwise import PointwiseLowering
from symbackprop.kernels.reductions import ReductionLowering


class Lowering:
    """Lowers the nodes of a graph's equations, remembering every value it has made."""

    def __init__(self, default_sizes: dict[str, int]) -> None:
        self.operations: list[Operation] = []
        self.values: dict[Node, Operation] = {}
        self.named: dict[str, Operation] = {}
        self.equation = ""
        self._made: dict[tuple[Any, ...], Operation] = {}
        self.contraction = ContractionLowering(self, default_sizes)
        self.pointwise, self.reductions = PointwiseLowering(self), ReductionLowering(self)
        self.collectives = CollectiveLowering(self)

    def add(
        self, kind: str, operands: Sequence[Operation], shape: Shape, storage: str, dtype: str = "float", **details: Any
    ) -> Operation:
        """Return the operation of that kind on those operands: the same one each time, so that nothing is computed twice."""
        storage = storage if shape or storage in ("given", "view") else "scalar"
        key = (kind, tuple(id(operand) for operand in operands), shape, dtype, tuple(sorted(details.items())))
        if key not in self._made:
            self._made[key] = Operation(kind, tuple(operands), shape, storage, details, "", self.equation, dtype)
            self.operations.append(self._made[key])
        return self._made[key]

    def given(self, name: str, shape: Shape, dtype: str) -> Operation:
        """Append a declared tensor."""
        made = self.add("given", (), shape, "given", dtype, name=name)
        made.name, self.named[name] = name, made
        return made

    def define(self, name: str, node: Node) -> Operation:
        """Lower the right-hand side of an equation and give it its name."""
        self.equation = name
        made = self.lower(node)
        self.named[name] = made
        lying, _ = as_it_lies(made, tuple(range(made.rank)))
        if not lying.name and lying.storage in ("buffer", "scalar"):
            lying.name = name
        return made

    def own_array(self, operation: Operation, name: str, others: Iterable[Operation]) -> Operation:
        """Return a gradient as an array of its own: neither a view, nor a constant, nor an array that is another gradient."""
        if operation.storage == "scalar" or (operation.storage == "buffer" and operation not in others):
            return operation
        return self.add("copy", (operation,), operation.shape, "buffer", of=name)

    def lower(self, root: Node) -> Operation:
        """Return the operation that computes a node."""
        for node in topological([root]):
            if node not in self.values and not self._inlined(node, root):
                self.values[node] = self._lower(node)
        return self.values[root]

    def _inlined(self, node: Node, root: Node) -> bool:
        """Indicators and pointwise operands of contractions are lowered by those who read them."""
        return isinstance(node, Indicator | Pointwise) and node is not root

    def of(self, node: Node) -> Operation:
        """Return the operation of a node, lowering it now if it was left to its reader."""
        if node not in self.values:
            self.values[node] = self._lower(node)
        return self.values[node]

    def _lower(self, node: Node) -> Operation:
        if isinstance(node, Leaf):
            return self.named[node.name]
        if isinstance(node, Pointwise):
            return self.pointwise.lower(node)
        if isinstance(node, Contraction):
            return self._turned(node) or self.contraction.lower(node)
        if isinstance(node, Reduction):
            return self.reductions.lower(node)
        if isinstance(node, Indicator):
            return self.contraction.indicator(node)
        if isinstance(node, Coordinate):
            return self.add("coordinate", (), node.shape, "constant")
        if isinstance(node, Collective):
            return self.collectives.lower(node)
        assert isinstance(node, MatrixFunction)
        return self.add(node.kind, (self.of(node.operands[0]),), node.shape, "fresh")

    def _turned(self, node: Contraction) -> Operation | None:
        """Return a view of the same contraction with its axes in another order, where that has been computed."""
        for order in list(permutations(range(node.rank)))[1:] if 1 < node.rank <= 3 else ():
            made = self.values.get(transpose(node, order))
            if made is not None:
                return self.view(made, order, node.rank)
        return None

    def view(self, operation: Operation, labels: Labels, rank: int) -> Operation:
        """Return an operation's value with one axis for each of ``rank`` labels, of length 1 where it lacks the label."""
        if operation.kind == "align":
            labels = tuple(labels[label] for label in operation.details["labels"])
            operation = operation.operands[0]
        operation, labels = self.diagonal(operation, labels)
        if operation.rank == 0 or labels == tuple(range(rank)):
            return operation
        shape: list[Size] = [sympy.S.One] * rank
        for size, label in zip(operation.shape, labels, strict=True):
            shape[label] = size
        return self.add("align", (operation,), tuple(shape), "view", operation.dtype, labels=labels, rank=rank)

    def diagonal(self, operation: Operation, labels: Labels) -> tuple[Operation, Labels]:
        """Return a view of what a value holds where axes that run along the same label are equal, and the labels, each once."""
        distinct = tuple(dict.fromkeys(labels))
        if len(distinct) == len(labels):
            return operation, labels
        shape = tuple(operation.shape[labels.index(label)] for label in distinct)
        made = self.add("diagonal", (operation,), shape, "view", operation.dtype, inputs=labels, output=distinct)
        return made, distinct

    def number(self, value: sympy.Expr) -> Operation:
        """Return a number, or an expression in sizes, as an operand."""
        return self.add("number", (), (), "scalar", value=value)

    def filled(self, value: int, shape: Shape) -> Operation:
        """Return an array of the workspace whose entries are all ``value``."""
        return self.add("fill", (), shape, "constant", value=sympy.Integer(value))

    def ufunc(
        self, name: str, operands: Sequence[Operation], shape: Shape, dtype: str = "float", **details: Any
    ) -> Operation:
        """Append a universal function of aligned operands, its result laid out in memory as they are."""
        order = common_order(tuple(operands), shape)
        if order == tuple(range(len(shape))):
            return self.add(name, operands, shape, "buffer", dtype, **details)
        place = tuple(order.index(axis) for axis in range(len(shape)))
        lying = tuple(shape[axis] for axis in order)
        moved = [
            self.zero_row(lying)
            if operand.kind == "zero_row"
            else self.view(operand, place, len(shape))
            if operand.rank
            else operand
            for operand in operands
        ]
        return self.view(self.add(name, moved, lying, "buffer", dtype, **details), order, len(shape))

    def zero_row(self, shape: Shape) -> Operation:
        """A row of zeros, beside which NumPy compares faster than with the number 0."""
        return self.add("zero_row", (), shape[-1:], "constant") if len(shape) > 1 else self.number(sympy.S.Zero)

    def flat_index(self, classes: Operation, count: Size) -> Operation:
        """Return the places of one entry of each row, that of the row's class, in the array's flat memory."""
        if not classes.rank:
            return classes
        starts = self.add("row_starts", (), classes.shape, "constant", "int", count=count)
        return self.add("flat_index", (classes, starts), classes.shape, "buffer", "int")

    def total(self, operation: Operation, axes: tuple[int, ...]) -> Operation:
        """Return the sum over some axes: a product with ones where they are the first or the last ones of an array."""
        shape = tuple(size for k, size in enumerate(operation.shape) if k not in axes)
        count = sympy.Mul(*[operation.shape[k] for k in axes])
        plain = operation.storage in ("buffer", "given") and operation.dtype == "float"
        if plain and operation.rank == 1:
            return self.add("dot", (operation, self.filled(1, (count,))), (), "scalar")
        plain = plain and bool(shape)
        if plain and axes == tuple(range(len(axes))):
            return self.add("sum_first", (operation, self.filled(1, (count,))), shape, "buffer", axes=axes)
        if plain and axes == tuple(range(len(shape), operation.rank)):
            return self.add("sum_last", (operation, self.filled(1, (count,))), shape, "buffer", axes=axes)
        few = bool(shape) and count.is_Integer and count <= 32
        return self.add("sum_window" if few else "sum", (operation,), shape, "buffer", axes=axes)
