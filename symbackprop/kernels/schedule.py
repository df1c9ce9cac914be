"""The order of a kernel's operations, and the loops that work long chains of them in blocks of rows that the cache holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.model import Equation
from symbackprop.graph.names import without_tangents
from symbackprop.graph.sizes import Size, usual_value
from symbackprop.kernels.operations import Operation

CACHE = 512 * 1024
"""Bytes of the rows that one turn of a loop touches: what a second-level cache holds."""

ELEMENTWISE = frozenset(
    "add subtract multiply divide negative square sqrt exp log sin cos tan sinh cosh tanh arctan abs sign sigmoid softplus relu "
    "maximum fmin fmax power greater greater_equal equal logical_not replace guarded erf copy".split()
)
"""Operations that work entry by entry."""

ROW_REDUCTIONS = frozenset(("sum_last", "sum", "max", "row_max", "vecdot", "einsum"))
ACCUMULATED = frozenset(("sum_first", "sum", "dot", "einsum"))


@dataclass(eq=False, repr=False)
class Loop:
    """Operations on the rows (the first axis, of size ``length``) of arrays, worked block by block.

    ``accumulated`` are those among them whose results add up over the blocks.
    """

    length: Size
    operations: list[Operation]
    accumulated: frozenset[Operation]


Step = Operation | Loop


def operations_of(step: Step) -> Sequence[Operation]:
    """The operations of a step."""
    return step.operations if isinstance(step, Loop) else (step,)


def in_order(derived: DerivedGraph, live: frozenset[str]) -> list[Equation]:
    """The equations that are needed: first those that run forward, each value and then its tangents, then those that run back.

    Each derivative by a declared tensor comes as soon as what it is written with is there.
    """
    graph = derived.graph
    results = {*map(derived.gradient_name, graph.declared), *derived.products.values()}
    place = {equation.name: k for k, equation in enumerate(derived.equations)}

    def turn(equation: Equation) -> tuple[bool, int, int]:
        base, tangents = without_tangents(equation.name)
        return equation.name in derived.reversed, place[base], tangents

    needed = sorted((equation for equation in derived.equations if equation.name in live), key=turn)
    waiting = [equation for equation in needed if equation.name in results]
    known, ordered = set(graph.declared), list[Equation]()
    for equation in needed:
        if equation in waiting:
            continue
        ordered.append(equation)
        known.add(equation.name)
        ready = [other for other in waiting if graph.influences[other.name] <= known]
        ordered += ready
        known.update(other.name for other in ready)
        waiting = [other for other in waiting if other not in ready]
    return ordered + waiting


def with_loops(operations: Iterable[Operation], sizes: Mapping[str, int]) -> list[Step]:
    """Gather neighbouring operations on the rows of the same length into loops where that pays at the default sizes."""
    steps: list[Step] = []
    group = _Group()
    for operation in operations:
        passed_on = operation.kind in ("send", "receive")  # nothing comes before or after them that did not
        if passed_on or not group.takes(operation):
            steps += [*group.close(sizes), *([operation] if passed_on else [])]
            group = _Group()
            if not passed_on:
                group.takes(operation)
    return steps + group.close(sizes)


class _Group:
    """Operations on rows that may become one loop, with those between them that may come before it or after it."""

    def __init__(self) -> None:
        self.length: Size | None = None
        self.operations: list[Operation] = []
        self.accumulated: set[Operation] = set()
        self.before: list[Operation] = []
        self.after: list[Operation] = []
        self.all: list[Operation] = []

    def takes(self, operation: Operation) -> bool:
        """Take an operation in, if that can be: into the loop, before it or after it."""
        waits = any(operand.base in self.accumulated or operand.base in self.after for operand in operation.operands)
        reads = waits or any(operand.base in self.operations for operand in operation.operands)
        if not waits and self._joins(operation):
            self.operations.append(operation)
        elif operation.storage in ("given", "constant") or operation.kind in ("number", "scratch", "lowest", "align"):
            self.before.append(operation)
        elif not reads and (self.length is None or not _works_on_rows(operation)):
            self.before.append(operation)
        elif (operation.storage == "scalar" or operation.kind == "add_round") and not any(
            operand.base in self.operations and operand.base not in self.accumulated for operand in operation.operands
        ):
            self.after.append(operation)
        else:
            return False
        self.all.append(operation)
        return True

    def _joins(self, operation: Operation) -> bool:
        length = self.length or _length(operation)
        if length is None or not (is_row_wise(operation, length) or accumulates(operation, length)):
            return False
        whole = [operand.base for operand in operation.operands if not reads_rows(operation, operand, length)]
        written = [base for base in whole if base.storage == "buffer" and base.kind != "scratch"]
        if any(base in self.operations for base in whole) or any(base.shape[:1] == (length,) for base in written):
            return False  # what a loop writes row by row is there as a whole only after it
        self.length = length
        if not is_row_wise(operation, length):
            self.accumulated.add(operation)
        return True

    def close(self, sizes: Mapping[str, int]) -> list[Step]:
        """Return the steps of the group: as they came, where a loop does not pay."""
        if self.length is not None and self._pays(self.length, sizes):
            return [*self.before, Loop(self.length, self.operations, frozenset(self.accumulated)), *self.after]
        return list(self.all)

    def _pays(self, length: Size, sizes: Mapping[str, int]) -> bool:
        """Several passes, or an array that only they need, over more memory than the cache holds."""
        passes = [op for op in self.operations if op.kind in ELEMENTWISE and op.rank > 1]
        temporary = any(
            op.dtype == "float" and not any(o.storage == "buffer" and o.shape == op.shape for o in op.operands)
            for op in passes[:-1]
        )
        touched = dict.fromkeys(value.base for op in self.operations for value in (op, *op.operands))
        entries = sympy.Add(*[sympy.Mul(*value.shape) for value in touched if value.shape[:1] == (length,)])
        return (len(passes) > 2 or temporary) and 4 * usual_value(entries, sizes) > CACHE


def _works_on_rows(operation: Operation) -> bool:
    length = _length(operation)
    return length is not None and (is_row_wise(operation, length) or accumulates(operation, length))


def _length(operation: Operation) -> Size | None:
    """The number of rows an operation works on: of its result, or of what it sums over its first axis."""
    if operation.kind in ELEMENTWISE and operation.shape:
        return operation.shape[0]
    if operation.kind in ROW_REDUCTIONS | ACCUMULATED:
        rows = operation.operands[0]
        return rows.shape[0] if rows.rank > 1 or operation.kind == "dot" and rows.rank else None
    return None


def is_row_wise(operation: Operation, length: Size) -> bool:
    """Tell whether the rows of an operation's result depend on the same rows of its operands only."""
    if operation.shape[:1] != (length,) or operation.storage != "buffer":
        return False
    if operation.kind in ELEMENTWISE:
        return all(_rows_or_same(operand, operation.rank, length) for operand in operation.operands)
    if operation.kind in ("vecdot", "einsum"):
        if operation.kind == "einsum" and any(
            own[:1] != operation.details["output"][:1] for own in operation.details["inputs"]
        ):
            return False
        return all(has_rows(operand, length) for operand in operation.operands)
    if operation.kind in ROW_REDUCTIONS:
        return 0 not in operation.details["axes"] and has_rows(operation.operands[0], length)
    return False


def accumulates(operation: Operation, length: Size) -> bool:
    """Tell whether an operation sums over the rows of its operands, so that its result may be added up block by block."""
    if operation.kind in ("sum", "sum_first"):
        return operation.details["axes"][0] == 0 and all(has_rows(operand, length) for operand in operation.operands)
    if operation.kind == "einsum":
        inputs, output = operation.details["inputs"], operation.details["output"]
        return inputs[0][0] == inputs[1][0] not in output and all(has_rows(o, length) for o in operation.operands)
    return operation.kind == "dot" and all(has_rows(operand, length) for operand in operation.operands)


def reads_rows(operation: Operation, operand: Operation, length: Size) -> bool:
    """Tell whether an operation of a loop reads an operand row by row, and not as a whole for every row.

    The sizes alone do not tell: a vector may run along either axis of a square matrix.
    """
    if operation.kind in ELEMENTWISE:
        return operand.rank == operation.rank and has_rows(operand, length)
    if operation.kind in ("sum_last", "row_max"):
        return operand is operation.operands[0]
    return has_rows(operand, length)


def has_rows(operand: Operation, length: Size) -> bool:
    """Tell whether the first axis of a value is the first axis of its memory, and of that length."""
    if operand.shape[:1] != (length,):
        return False
    if operand.storage != "view":
        return operand.kind not in ("zero_row", "places")
    inner = operand.operands[0]
    return operand.kind == "align" and operand.details["labels"][0] == 0 and has_rows(inner, length)


def _rows_or_same(operand: Operation, rank: int, length: Size) -> bool:
    """Tell whether a value is read row by row, or is the same for every row."""
    if operand.rank < rank or operand.shape[:1] == (sympy.S.One,) != (length,):
        return operand.base.kind != "indicator" or operand.base.storage == "constant"
    return has_rows(operand, length)
