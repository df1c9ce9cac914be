"""The plan of a kernel: its steps in order, which of them each function needs, and where results are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.sizes import Shape, Size
from symbackprop.kernels.buckets import Bucket, with_buckets
from symbackprop.kernels.lowered import Lowered, lowered_of
from symbackprop.kernels.memory import Array, assign
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.recompute import recompute_cheap
from symbackprop.kernels.rounds import AFTER, BEFORE, KEPT
from symbackprop.kernels.schedule import Loop, Step, operations_of, reads_rows, with_loops


@dataclass(frozen=True)
class LoopRows:
    """What a loop works on, row by row: arrays of the workspace and of its scratch, each in a shape, given tensors, constants.

    The scratch of all loops lies in the same memory, in each the entries of most bytes first.
    """

    whole: tuple[tuple[Array, Shape], ...]
    scratch: tuple[tuple[Array, Shape], ...]
    sliced: tuple[Operation, ...]
    constants: tuple[Operation, ...]


@dataclass(frozen=True)
class Turns:
    """The steps from ``first`` up to ``end`` are worked ``number`` times, those from ``back`` on after all turns have gone forward.

    arrays are those of which each turn has its own, where ``copies`` of them are under way; the others are shared by all.
    """

    number: int
    copies: int
    first: int
    back: int
    end: int
    arrays: frozenset[Array]
    operations: frozenset[Operation]


@dataclass(frozen=True)
class Plan:
    """What a kernel does, before any of it is written down; footprint and arithmetic are read from it too.

    steps are in order; objective, outputs, gradients and products are the operations whose results are returned; array_of
    says which array of the workspace holds a result. buckets are the sums over workers that are taken together, each on arrays
    that lie behind one another. turns are those of its steps that are worked once for each part of the batch.
    """

    derived: DerivedGraph
    steps: tuple[Step, ...]
    objective: Operation | None
    outputs: Mapping[str, Operation]
    gradients: Mapping[str, Operation]
    products: Mapping[str, Operation]
    array_of: Mapping[Operation, Array]
    buckets: tuple[Bucket, ...] = ()
    turns: Turns | None = None

    @property
    def operations(self) -> list[Operation]:
        """All operations, in order."""
        return [operation for step in self.steps for operation in operations_of(step)]

    @property
    def loops(self) -> list[Loop]:
        """The loops, in order."""
        return [step for step in self.steps if isinstance(step, Loop)]

    @property
    def arrays(self) -> list[Array]:
        """The arrays of the workspace and of the loops' scratch, in order of first use."""
        return list(dict.fromkeys(self.array_of.values()))

    @property
    def entries(self) -> dict[str, Size]:
        """How many entries of each dtype the arrays of the workspace have; its constants and the loops' scratch come on top."""
        return _by_dtype((array.dtype, self.copies(array) * array.entries) for array in self.arrays if array.loop is None)

    @property
    def of_a_turn(self) -> frozenset[Array]:
        """The arrays of one part of the batch."""
        return frozenset() if self.turns is None else self.turns.arrays

    def is_of_a_turn(self, loop: Loop) -> bool:
        """Tell whether a loop works on arrays of one part of the batch."""
        return any(array in self.of_a_turn for array, _ in self.rows_in(loop).whole)

    def copies(self, array: Array) -> int:
        """How many there are of an array: one for each part of the batch that is under way."""
        return self.turns.copies if self.turns is not None and array in self.turns.arrays else 1

    def times(self, operation: Operation) -> int:
        """How often an operation is worked in a call."""
        return self.turns.number if self.turns is not None and operation in self.turns.operations else 1

    def rows_in(self, loop: Loop) -> LoopRows:
        """Return what a loop works on, row by row."""
        whole: dict[tuple[Array, Shape], None] = {}
        scratch: dict[tuple[Array, Shape], None] = {}
        sliced: dict[Operation, None] = {}
        constants: dict[Operation, None] = {}
        for operation in loop.operations:
            values = [operand for operand in operation.operands if reads_rows(operation, operand, loop.length)]
            if operation not in loop.accumulated:
                values.append(operation)
            for value in (value.base for value in values):
                if value.storage == "buffer":
                    array = self.array_of[value]
                    (scratch if array.loop is loop else whole).setdefault((array, value.shape))
                elif value.storage == "constant":
                    constants.setdefault(value)
                else:
                    sliced.setdefault(value)
        aligned = sorted(scratch, key=lambda part: ("int", "float", "bool").index(part[0].dtype))
        return LoopRows(tuple(whole), tuple(aligned), tuple(sliced), tuple(constants))

    def row_width(self, loop: Loop) -> dict[str, Size]:
        """Return how many entries of each dtype one row of a loop's arrays has, which decides how many rows a turn works."""
        rows = self.rows_in(loop)
        arrays = [(array.dtype, shape) for array, shape in (*rows.whole, *rows.scratch)]
        return _by_dtype(_row(dtype, shape) for dtype, shape in [*arrays, *((v.dtype, v.shape) for v in rows.sliced)])

    def scratch_width(self, loop: Loop) -> dict[str, Size]:
        """Return how many entries of each dtype one row of a loop's scratch arrays has."""
        return _by_dtype(_row(array.dtype, shape) for array, shape in self.rows_in(loop).scratch)

    def needed(self, targets: Iterable[Operation]) -> tuple[list[Step], frozenset[Operation]]:
        """Return the steps that compute the targets, in order, and the operations that are needed of them."""
        wanted: set[Operation] = set()
        pending = list(targets)
        while pending:
            operation = pending.pop()
            if operation not in wanted:
                wanted.add(operation)
                pending += operation.operands
        steps = [step for step in self.steps if any(operation in wanted for operation in operations_of(step))]
        return steps, frozenset(wanted)


def _row(dtype: str, shape: Shape) -> tuple[str, Size]:
    return dtype, sympy.Mul(*shape[1:])


def _by_dtype(parts: Iterable[tuple[str, Size]]) -> dict[str, Size]:
    """Add up numbers of entries, for each dtype."""
    found: dict[str, list[Size]] = {dtype: [] for dtype in ("float", "int", "bool")}
    for dtype, entries in parts:
        found[dtype].append(entries)
    return {dtype: sympy.expand(sympy.Add(*entries)) for dtype, entries in found.items()}


def make_plan(derived: DerivedGraph, checkpoint: int | None = None) -> Plan:
    """Return the plan of a model's kernel, from its derivation over the batch.

    ``checkpoint`` keeps only what every so many layers give, and computes the rest again in the backward pass.
    """
    lowered = lowered_of(derived, checkpoint)
    return planned(lowered, dict.fromkeys(lowered.operations, BEFORE))


def planned(lowered: Lowered, phase: Mapping[Operation, int], rounds: int = 1, copies: int = 1) -> Plan:
    """Return the plan of operations that are in the order of their phases (see `symbackprop.kernels.rounds`).

    ``copies`` of them are under way at a time: so many arrays there are of each value that the forward pass leaves for the other.
    """
    derived, sizes = lowered.derived, lowered.sizes
    phases = _by_phase(recompute_cheap(lowered.operations, derived.reversed), phase)
    sums = BEFORE if rounds == 1 else AFTER
    phases[sums], buckets = with_buckets(phases[sums], derived, sizes)
    steps: list[Step] = []
    ends = []
    for operations in phases:
        steps += with_loops(operations, sizes)
        ends.append(len(steps))
    plan = Plan(derived, tuple(steps), lowered.objective, lowered.outputs, lowered.gradients, lowered.products, {}, tuple(buckets))
    together = frozenset(member for bucket in buckets for member in bucket.members)
    pinned = frozenset([*lowered.gradients.values(), *lowered.products.values()])
    until = dict.fromkeys(_sent(steps), len(steps))
    if rounds == 1:
        _, forward = plan.needed(lowered.outputs.values())
        end = max((k for k, step in enumerate(steps) if any(op in forward for op in operations_of(step))), default=0)
        until = {**dict.fromkeys(lowered.outputs.values(), end), **until}
        return replace(plan, array_of=assign(steps, pinned, until, together))
    first, back, end = ends[:AFTER]
    turn = frozenset(operation for step in steps[first:end] for operation in operations_of(step))
    read = {operand.base for operation in turn for operand in operation.operands if operand.kind not in KEPT} - turn
    until |= dict.fromkeys(read, end - 1)
    pinned |= frozenset([*lowered.outputs.values(), *([] if lowered.objective is None else [lowered.objective])])
    lasting = {operation for step in steps[first:back] for operation in operations_of(step)} | {*_sent(steps)}
    own = frozenset(operation for operation in turn if copies > 1 and operation in lasting and operation.kind not in KEPT)
    arrays = assign(steps, frozenset(), until, among=own)
    kept = assign(steps, pinned, until, together, frozenset(plan.operations) - own)  # the next turn may write over them
    turns = Turns(rounds, copies, first, back, end, frozenset(arrays.values()), turn)
    return replace(plan, array_of={**kept, **arrays}, turns=turns)


def _by_phase(operations: Sequence[Operation], phase: Mapping[Operation, int]) -> list[list[Operation]]:
    """The operations of each phase; what is computed again is in that of the operation that it stands before."""
    phases: list[list[Operation]] = [[] for _ in range(AFTER + 1)]
    waiting: list[Operation] = []
    for operation in operations:
        waiting.append(operation)
        if operation in phase:
            phases[phase[operation]] += waiting
            waiting = []
    return phases


def _sent(steps: Sequence[Step]) -> list[Operation]:
    """What is sent elsewhere, and has to stay as it is until it has been received."""
    return [step.operands[0].base for step in steps if isinstance(step, Operation) and step.kind == "send"]
