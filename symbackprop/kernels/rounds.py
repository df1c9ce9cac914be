"""The batch in rounds, one after the other: what is computed before them, in each, and after them.

A sum over the examples of a worker is one over its rounds: what a round gives of it is added up, and only then is it summed over
the workers. So a value belongs to a round where it depends on examples and on no sum over them; one that depends on both would need
every example twice.
"""

from __future__ import annotations

from dataclasses import replace

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Split, Workers
from symbackprop.errors import UsageError
from symbackprop.graph.build import leaf
from symbackprop.graph.sizes import dimension
from symbackprop.kernels.lowered import Lowered
from symbackprop.kernels.operations import Operation, expressions_of

BEFORE, FORWARD, BACKWARD, AFTER = range(4)
"""The phases of a call: before the rounds, their forward and backward pass, after them. Without rounds all is before them."""

KEPT = frozenset(("total", "add_round", "room", "put_round"))
"""Operations of the arrays that gather what the rounds give, which outlive them."""


def as_held(derived: DerivedGraph) -> DerivedGraph:
    """Return a derivation with its tensors as large as they are given: for all rounds."""
    split = derived.workers.in_rounds if derived.workers else None
    if split is None:
        return derived
    declared = []
    for given in derived.graph.declarations:
        shape = tuple(split.all_rounds if size == split.own else size for size in given.shape)
        declared.append(leaf(given.kind, given.name, shape, given.classes))
    return replace(derived, graph=replace(derived.graph, declarations=tuple(declared)))


def in_rounds(lowered: Lowered) -> tuple[Lowered, dict[Operation, int]]:
    """Return the operations with sums over the rounds, in the order of their phases, and the phase of each.

    Raises UsageError where an example's value depends on a sum over the examples, or on its position among them.
    """
    workers = lowered.derived.workers
    if workers is None or workers.in_rounds is None:
        return lowered, dict.fromkeys(lowered.operations, BEFORE)
    made = _InRounds(workers, workers.in_rounds, lowered.derived.reversed)
    for operation in lowered.operations:
        made.take(operation)
    outputs = {name: made.whole(name, operation) for name, operation in lowered.outputs.items()}
    gradients = {name: made.whole(name, operation) for name, operation in lowered.gradients.items()}
    phase = made.phases()
    ordered = sorted(made.operations, key=lambda operation: phase[operation])
    return replace(lowered, operations=ordered, outputs=outputs, gradients=gradients), phase


class _InRounds:
    """Operations taken one by one. ``same`` are those that have the same value in all rounds, ``summed`` those after them."""

    def __init__(self, workers: Workers, split: Split, backward: frozenset[str]) -> None:
        self.workers, self.split, self.backward = workers, split, backward
        self.operations: list[Operation] = []
        self.same: set[Operation] = set()
        self.summed: set[Operation] = set()

    def take(self, operation: Operation) -> None:
        """Take an operation whose operands have been taken."""
        late = any(operand in self.summed for operand in operation.operands)
        near = [size for value in (operation, *operation.operands) for size in expressions_of(value)]
        if any(size.has(dimension(self.split.first)) for size in near):
            self._refuse(operation, "the position of an example among the others enters")
        if self.split.name in operation.details.get("groups", ()):
            if late or operation.details.get("function") != "SUM":
                self._refuse(operation, "it needs all of them at once")
            self._sum(operation)
        elif late:
            if any(size.has(self.split.own) for size in near) or not all(
                operand in self.summed | self.same for operand in operation.operands
            ):
                self._refuse(operation, "what it has of one depends on all the others")
            self.summed.add(operation)
        elif all(operand in self.same for operand in operation.operands) and not self._given_in_rounds(operation):
            self.same.add(operation)
        self.operations.append(operation)

    def _given_in_rounds(self, operation: Operation) -> bool:
        return operation.kind == "given" and self.workers.axis(operation.name, self.split) is not None

    def _refuse(self, operation: Operation, why: str) -> None:
        raise UsageError(
            f"the model couples its examples, so that they cannot be worked in {self.split.rounds} rounds: "
            f"in {operation.equation or operation.name} {why}"
        )

    def _sum(self, operation: Operation) -> None:
        """A sum over the examples: one over the rounds, and then over the workers, where there are others."""
        (part,), shape = operation.operands, operation.shape
        total = Operation("total", (), shape, "buffer", {}, "", operation.equation, operation.dtype)
        added = Operation("add_round", (total, part), shape, "buffer", {}, "", operation.equation, operation.dtype)
        groups = operation.details["groups"]
        groups = tuple(name for name in groups if name != self.split.name or self.split.parts > 1)
        self.operations.append(total)
        if groups:
            self.operations.append(added)
            operation.operands, operation.details = (added,), {**operation.details, "groups": groups}
        else:  # it is the sum itself, under the same name
            operation.kind, operation.operands = added.kind, added.operands
            operation.storage, operation.details = added.storage, {}
        self.summed |= {added, operation}

    def whole(self, name: str, operation: Operation) -> Operation:
        """Return a result as it is after the rounds: where they give parts of it, those are put where they belong."""
        axis = self.workers.axis(name, self.split)
        if axis is None:
            if operation not in self.summed | self.same:
                self._refuse(operation, f"{name} is not summed over them")
            return operation
        shape = (*operation.shape[:axis], self.split.all_rounds, *operation.shape[axis + 1 :])
        room = Operation("room", (), shape, "buffer", {}, "", operation.equation, operation.dtype)
        put = Operation("put_round", (room, operation), shape, "buffer", {"axis": axis}, "", operation.equation, operation.dtype)
        self.operations += [room, put]
        self.summed.add(put)
        return put

    def phases(self) -> dict[Operation, int]:
        """The phase of each operation: what no round reads comes after them."""
        phase: dict[Operation, int] = {}
        for operation in reversed(self.operations):
            if operation.kind in ("total", "room"):
                phase[operation] = BEFORE
            elif operation.kind in KEPT or operation not in self.summed | self.same:
                phase[operation] = BACKWARD if operation.equation in self.backward else FORWARD
            else:
                phase.setdefault(operation, AFTER)
            if phase[operation] != AFTER:
                phase.update((operand, BEFORE) for operand in operation.operands if operand in self.same)
        return phase
