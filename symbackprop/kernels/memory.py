"""Where results are kept: which values share an array of the workspace because their lives do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from heapq import heapify, heappop, heappush
from itertools import count

import sympy

from symbackprop.graph.sizes import Shape, Size
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.schedule import ELEMENTWISE, Loop, Step, operations_of, reads_rows

_OTHER_RESULT = {"greater", "greater_equal", "equal", "logical_not", "copy", "erf"}
IN_PLACE = ELEMENTWISE - _OTHER_RESULT | {"add_at_class", "all_reduce", "summed", "clipped", "add_round", "put_round"}
"""Operations that may write over an operand: any of them, but only the first where they change a few of its entries."""

FIRST_ONLY = frozenset(("add_at_class", "replace", "add_round", "put_round"))


@dataclass(eq=False, repr=False)
class Array:
    """An array of the workspace, or of the scratch of a loop: then ``shape`` is that of one row.

    values are the operations whose results it holds, one after the other.
    """

    shape: Shape
    dtype: str
    loop: Loop | None
    values: list[Operation] = field(default_factory=list)

    @cached_property
    def entries(self) -> Size:
        """The number of entries (of one row, in a loop)."""
        return sympy.expand(sympy.Mul(*self.shape))


@dataclass(eq=False)
class _Cell:
    """Values that are written over one another in place, and the steps of their life: from the first to the last.

    made is the loop whose rows the first of them are, ended the one that reads the last of them row by row, if there is one.
    """

    values: list[Operation]
    first: tuple[int, int]
    last: tuple[int, int]
    loop: Loop | None = None
    made: Loop | None = None
    ended: Loop | None = None


def assign(
    steps: Sequence[Step], pinned: frozenset[Operation], until: Mapping[Operation, int],
    alone: frozenset[Operation] = frozenset(), among: frozenset[Operation] | None = None,
) -> dict[Operation, Array]:
    """Give each result of the workspace (of those ``among`` the steps' that are asked for) its array.

    pinned results keep theirs to the end of the call, those in ``until`` at least up to the end of that step; with those that
    stand ``alone`` nothing shares an array but what is written over them.
    """
    place = {op: (s, k) for s, step in enumerate(steps) for k, op in enumerate(operations_of(step))}
    last: dict[Operation, tuple[int, int]] = {}
    for step in steps:
        for operation in operations_of(step):
            for operand in operation.operands:
                last[operand.base] = max(last.get(operand.base, (0, 0)), place[operation])
    for operation, step_number in until.items():
        last[operation.base] = max(last.get(operation.base, (0, 0)), (step_number, len(place)))
    for operation in pinned:
        last[operation.base] = (len(steps), 0)
    cells = _cells(steps, place, last, frozenset(operation.base for operation in until), among)
    arrays: dict[Operation, Array] = {}
    pool = _Pool()
    for cell in sorted(cells, key=lambda cell: cell.first):
        own = any(value in alone for value in cell.values)
        kept = own or any(value in pinned for value in cell.values)
        array = (None if kept else pool.take(cell)) or Array(_shape(cell), cell.values[0].dtype, cell.loop)
        if not own:
            pool.put(cell, array)
        array.values += cell.values
        arrays.update(dict.fromkeys(cell.values, array))
    return arrays


def _cells(
    steps: Sequence[Step],
    place: dict[Operation, tuple[int, int]],
    last: dict[Operation, tuple[int, int]],
    kept: frozenset[Operation],
    among: frozenset[Operation] | None,
) -> list[_Cell]:
    """``kept`` results are read after the steps: they are no scratch of a loop."""
    cell_of: dict[Operation, _Cell] = {}
    cells: list[_Cell] = []
    for step in steps:
        loop = step if isinstance(step, Loop) else None
        for operation in operations_of(step):
            if operation.storage != "buffer" or (among is not None and operation not in among):
                continue
            end = last.get(operation, place[operation])
            over = _written_over(operation, place[operation], last, cell_of)
            local = loop is not None and operation not in loop.accumulated and end[0] == place[operation][0]
            local = local and operation not in kept
            if over is not None and (over.loop is not None) <= (loop is not None):
                over.values.append(operation)
                over.last = end
                if over.loop is not None and not local:
                    over.loop = None
                cell_of[operation] = over
                continue
            by_rows = loop if loop is not None and operation not in loop.accumulated else None
            cell = _Cell([operation], place[operation], end, loop if local else None, by_rows)
            cells.append(cell)
            cell_of[operation] = cell
    for cell in cells:
        ending = steps[cell.last[0]] if cell.last[0] < len(steps) else None
        if isinstance(ending, Loop) and all(_by_rows(ending, value) for value in cell.values):
            cell.ended = ending
    return cells


def _by_rows(loop: Loop, value: Operation) -> bool:
    """Tell whether a loop that has to do with a value works on its rows, and never reads it as a whole."""
    readers = [(op, operand) for op in loop.operations for operand in op.operands if operand.base is value]
    return value not in loop.accumulated and all(reads_rows(op, operand, loop.length) for op, operand in readers)


def _written_over(
    operation: Operation, here: tuple[int, int], last: dict[Operation, tuple[int, int]], cell_of: dict[Operation, _Cell]
) -> _Cell | None:
    """Return the cell of an operand that nothing reads any more and that the result fits into."""
    if operation.kind not in IN_PLACE:
        return None
    bases = [operand.base for operand in operation.operands]
    found: list[_Cell] = []
    for operand in operation.operands[:1] if operation.kind in FIRST_ONLY else operation.operands:
        fits = operand.storage == "buffer" and operand.shape == operation.shape and operand.dtype == operation.dtype
        if fits and operand in cell_of and last[operand] == here and bases.count(operand) == 1:
            found.append(cell_of[operand])
    return next((cell for cell in found if cell.loop is None), found[0] if found else None)


def _shape(cell: _Cell) -> Shape:
    shape = cell.values[0].shape
    return shape[1:] if cell.loop is not None else shape


class _Pool:
    """Arrays that hold something, by the end of its life, and arrays that are free again, by their shape."""

    def __init__(self) -> None:
        self._busy: dict[Loop | None, list[tuple[tuple[int, int], int, Array, _Cell]]] = {}
        self._free: dict[tuple[Loop | None, str], dict[Shape, list[Array]]] = {}
        self._number = count()

    def put(self, cell: _Cell, array: Array) -> None:
        """Note that an array is taken until the end of a cell's life."""
        heappush(self._busy.setdefault(cell.loop, []), (cell.last, next(self._number), array, cell))

    def take(self, cell: _Cell) -> Array | None:
        """Return an array whose value is dead before the cell's first step (within a loop: before its first operation)."""
        busy = self._busy.get(cell.loop, [])
        while busy and (busy[0][0] < cell.first if cell.loop is not None else busy[0][0][0] < cell.first[0]):
            array = heappop(busy)[2]
            self._free.setdefault((cell.loop, array.dtype), {}).setdefault(array.shape, []).append(array)
        free, shape = self._free.get((cell.loop, cell.values[0].dtype), {}), _shape(cell)
        if shape not in free and cell.loop is None:
            need = sympy.expand(sympy.Mul(*shape))
            shape = next((other for other, (array, *_) in free.items() if _holds(array.entries, need)), shape)
        if shape not in free:
            return self._in_the_same_loop(cell)
        array = free[shape].pop(0)
        if not free[shape]:
            del free[shape]
        return array


    def _in_the_same_loop(self, cell: _Cell) -> Array | None:
        """Return an array of the workspace whose rows the cell's loop has read before it writes those of the cell."""
        busy = self._busy.get(None, [])
        for place, (last, _, array, before) in enumerate(busy if cell.loop is None and cell.made is not None else ()):
            done = before.ended is cell.made and last[0] == cell.first[0] and last[1] < cell.first[1]
            if done and (_shape(before), array.dtype) == (_shape(cell), cell.values[0].dtype):
                del busy[place]
                heapify(busy)
                return array
        return None


@cache
def _holds(capacity: Size, need: Size) -> bool:
    """Tell whether one size is at least another whatever the dimensions are: by the coefficients of the difference around 1."""
    if not need.free_symbols <= capacity.free_symbols:
        return False
    symbols = sorted(capacity.free_symbols, key=lambda symbol: symbol.name)
    spare = (capacity - need).xreplace({symbol: symbol + 1 for symbol in symbols})
    if not symbols or not spare.is_polynomial(*symbols):
        return bool(symbols == [] and spare >= 0)
    return all(coefficient >= 0 for coefficient in sympy.Poly(spare, *symbols).coeffs())
