"""Memory step by step: which values are alive during a call, and what NumPy allocates beside the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy

from symbackprop.footprint import memory_use as use
from symbackprop.graph.sizes import Shape, Size
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.schedule import Loop, Step, operations_of

Numbers = Mapping[sympy.Symbol, int]

WITHOUT_STATEMENT = frozenset(("given", "number", "align", "lowest", "scratch", "window"))

ERF_BYTES = {4: 2 * 4, 8: 19 * 8 + 1}
"""The bytes for each entry that the error function allocates at its peak, by the bytes of a float (see the helper `erf`)."""

MATRIX_BYTES = {"inverse": {4: 12, 8: 0}, "logdet": {4: 8, 8: 0}, "det": {4: 8, 8: 0}, "cofactor": {4: 20, 8: 24}}
"""The bytes for each entry of the matrix that NumPy allocates beside the result: its linear algebra works in double precision."""


@dataclass(frozen=True)
class Moment:
    """One step of a call: the equation it belongs to, whether that is a backward one, whether it is a loop, and bytes.

    The equation of a loop is its first one, that of the copies of results at the end is empty.
    alive are those of the values in the workspace that are still needed; allocated those that NumPy allocates beside it.
    """

    equation: str
    backward: bool
    loop: bool
    alive: int
    allocated: int


class Timeline:
    """The moments of a call that computes the targets, in order."""

    def __init__(self, plan: Plan, targets: Iterable[Operation], numbers: Numbers, copied: Iterable[Operation] = ()) -> None:
        self.plan, self.numbers = plan, numbers
        self._targets, self._copied = list(targets), list(copied)
        self._bytes: dict[tuple[Shape, str], int] = {}

    def bytes_of(self, shape: Shape, dtype: str) -> int:
        """The bytes of an array of that shape."""
        if (shape, dtype) not in self._bytes:
            self._bytes[shape, dtype] = use.value_at(use.entry_bytes(dtype) * sympy.Mul(*shape), self.numbers)
        return self._bytes[shape, dtype]

    @cached_property
    def _steps(self) -> tuple[list[Step], list[list[Operation]]]:
        """The steps, and of each the operations that are needed."""
        steps, needed = self.plan.needed(self._targets)
        return steps, [[op for op in operations_of(step) if op in needed] for step in steps]

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """One for each step, and a last one in which results are copied, where they are."""
        backward = self.plan.derived.reversed
        moments = []
        for (step, operations), alive, allocated in zip(
            zip(*self._steps, strict=True), self._alive[:-1], self._allocated[:-1], strict=True
        ):
            shown = [op for op in operations if op.storage != "constant" and op.kind not in WITHOUT_STATEMENT]
            if shown:
                equation = shown[0].equation
                moments.append(Moment(equation, equation in backward, isinstance(step, Loop), alive, allocated))
        if self._copied:
            moments.append(Moment("", False, False, self._alive[-1], self._allocated[-1]))
        return tuple(moments)

    @cached_property
    def _allocated(self) -> list[int]:
        """The bytes that NumPy has allocated beside the workspace, at each step and at the end."""
        allocated, lasting = [], 0  # what lasts is held by a variable of the function until the call returns
        for step, operations in zip(*self._steps, strict=True):
            loop = step if isinstance(step, Loop) else None
            lasting += sum(self._lasting(op) for op in operations)
            allocated.append(lasting + max((self._passing(op, loop) for op in operations), default=0))
        return [*allocated, lasting + sum(self.bytes_of(op.shape, "float") for op in self._copied)]

    @cached_property
    def _alive(self) -> list[int]:
        """The bytes alive at each step and at the end; what is written over in place is counted once."""
        _, chosen = self._steps
        place = {op: k for k, operations in enumerate(chosen) for op in operations}
        last, end = dict(place), len(chosen)
        for k, operations in enumerate(chosen):
            last.update((operand.base, k) for op in operations for operand in op.operands)
        last.update((target.base, end) for target in self._targets if target.base in place)
        lives: dict[object, list[tuple[int, int, int]]] = {}
        for op, first in place.items():
            if op.storage == "buffer":
                array = self.plan.array_of[op]
                count = self.bytes_of(op.shape, op.dtype)
                if array.loop is not None:
                    row = self.bytes_of(array.shape, array.dtype)
                    count = row * use.rows_of(self.plan, array.loop, self.numbers)
                lives.setdefault(array, []).append((first, last[op], count))
        change = [0] * (end + 2)
        for intervals in lives.values():
            free = 0
            for first, final, count in sorted(intervals):
                if final >= max(first, free):
                    change[max(first, free)] += count
                    change[final + 1] -= count
                    free = final + 1
        alive, total = [], 0
        for difference in change[:-1]:
            total += difference
            alive.append(total)
        return alive

    @property
    def allocated(self) -> int:
        """The most bytes that NumPy has allocated beside the workspace at one moment."""
        return max(self._allocated)

    @property
    def peak(self) -> Moment | None:
        """The first moment at which most bytes are in use; None for a call without steps."""
        return max(self.moments, key=lambda moment: moment.alive + moment.allocated, default=None)

    # ------------------------------------------------------------ what NumPy allocates

    def _lasting(self, op: Operation) -> int:
        """The bytes of an array that a step makes beside the workspace, and that is there until the call returns."""
        if op.storage == "fresh" and op.shape:
            return self.bytes_of(op.shape, op.dtype)
        return self._padded(op) if op.kind == "window" else 0

    def _padded(self, op: Operation) -> int:
        """The bytes of the copy that a window is seen in where it reaches beyond its array; 0 where it does not."""
        shape, padded = op.operands[0].shape, False
        total = self.bytes_of((), op.dtype)
        for extent, window in zip(shape, op.details["windows"], strict=True):
            size = self._size(extent)
            if window is None:
                total *= size
                continue
            steps, offset = window
            reach = [self._size(step) * (self._size(count) - 1) for count, step in steps]
            low = self._size(offset) + sum(min(0, each) for each in reach)
            high = self._size(offset) + sum(max(0, each) for each in reach)
            before, after = max(0, -low), max(0, high - size + 1)
            padded = padded or before + after > 0
            total *= before + size + after
        return total if padded else 0

    def _size(self, size: Size) -> int:
        return use.value_at(size, self.numbers)

    def _passing(self, op: Operation, loop: Loop | None) -> int:
        """The bytes of an array that a step makes beside the workspace and gives back at once."""
        item = self.numbers[use.FLOAT_BYTES]
        if op.kind in MATRIX_BYTES:
            return MATRIX_BYTES[op.kind][item] * self.bytes_of(op.operands[0].shape, "bool")
        added = loop is not None and op in loop.accumulated
        each = {"guarded": 1, "open_function": item, "erf": ERF_BYTES[item]}.get(op.kind, item if added else 0)
        if op.storage == "scalar" or not op.shape or not each and op.kind != "add_at_class":
            return 0
        if op.kind == "add_at_class":
            return self.bytes_of(op.operands[1].shape, "float")
        if loop is None or added:
            return each * self.bytes_of(op.shape, "bool")
        return each * self.bytes_of(op.shape[1:], "bool") * use.rows_of(self.plan, loop, self.numbers)
