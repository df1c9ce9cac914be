"""What is computed again in the backward pass rather than saved for it.

Always: a value that a pass or two give from values that are kept in any case. As an option: whatever lies between
checkpoints, layer by layer (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.layers import layers
from symbackprop.kernels.operations import Operation

ONE_PASS = frozenset("add subtract multiply negative square abs sign greater greater_equal equal".split())
"""Operations as cheap as reading their result would be."""

PASSES = 2
"""The most of them that are computed again rather than their result kept."""


def recompute_cheap(operations: Sequence[Operation], backward: frozenset[str]) -> list[Operation]:
    """Return the operations with copies of forward ones, put before the backward equations (their names) that read them."""
    last: dict[Operation, int] = {}
    ends: dict[str, int] = {operation.equation: position for position, operation in enumerate(operations)}
    for operation in operations:  # what an equation reads is there until it ends
        for operand in operation.operands:
            last[operand.base] = max(last.get(operand.base, 0), ends[operation.equation])
    copies: dict[tuple[Operation, str], Operation] = {}
    result: list[Operation] = []
    for position, operation in enumerate(operations):
        operands = []
        for operand in operation.operands:
            if operation.equation in backward:
                for value in _chain(operand, backward, position, last):
                    key = (value, operation.equation)
                    if key not in copies:
                        inner = tuple(copies.get((o, operation.equation), o) for o in value.operands)
                        copies[key] = replace(value, operands=inner, equation=operation.equation)
                        result.append(copies[key])
                operand = copies.get((operand, operation.equation), operand)
            operands.append(operand)
        operation.operands = tuple(operands)
        result.append(operation)
    return result


def _chain(value: Operation, backward: frozenset[str], position: int, last: dict[Operation, int]) -> list[Operation]:
    """The operations that compute a value again from what is kept in any case, at most `PASSES`; none where there are more."""
    if value.kind not in ONE_PASS or value.rank < 2 or value.name or value.equation in backward:
        return []
    found: list[Operation] = []
    for operand in value.operands:
        if operand.storage in ("given", "scalar", "constant") or last[operand.base] > position:
            continue
        inner = _chain(operand, backward, position, last)
        if not inner:
            return []
        found += [operation for operation in inner if operation not in found]
    return [*found, value] if len(found) < PASSES else []


def recompute_layers(operations: Sequence[Operation], derived: DerivedGraph, every: int) -> list[Operation]:
    """Return the operations with only the values between groups of ``every`` layers kept for the backward pass.

    What lies within a group is computed again, all of it at once, when the backward pass first reads one of its values.
    The last group is not: its backward pass follows at once.
    """
    layer = layers(derived)
    group = {op: layer[op.equation] // every for op in operations if op.equation in layer}
    last = max(group.values(), default=0)
    kept = {o.base for op, own in group.items() for o in op.operands if group.get(o.base, own) < own}
    read: set[Operation] = set()
    pending = [operand for op in operations if op not in group for operand in op.operands]
    while pending:
        value = pending.pop()
        if value not in read and group.get(value, last) < last and value.storage != "scalar" and value.base not in kept:
            read.add(value)
            pending += value.operands
    again: dict[int, list[Operation]] = {}
    for op in operations:
        if op in read and op.storage in ("buffer", "fresh", "view"):
            again.setdefault(group[op], []).append(op)
    copies: dict[Operation, Operation] = {}
    result: list[Operation] = []
    for op in operations:
        for operand in op.operands if op not in group else ():
            if operand in read and operand not in copies:
                for member in again.get(group[operand], ()):
                    operands = tuple(copies.get(o, o) for o in member.operands)
                    copies[member] = replace(member, operands=operands, name="")
                    result.append(copies[member])
        if op not in group:
            op.operands = tuple(copies.get(operand, operand) for operand in op.operands)
        result.append(op)
    return result
