"""Sums of gradients over the workers, taken together: one after so many bytes of parameters, while what remains is computed.

After Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.sizes import Size, usual_value
from symbackprop.kernels.operations import Operation

BYTES = 25 * 2**20
"""The bytes of gradients, in single precision at the default sizes, after which a bucket is full."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Sums over the workers of ``groups`` that are taken at once: their operands lie behind one another in one flat array."""

    groups: tuple[str, ...]
    members: tuple[Operation, ...]

    @property
    def entries(self) -> Size:
        """The number of entries of all of them."""
        return sympy.Add(*[sympy.Mul(*member.shape) for member in self.members])


def with_buckets(
    operations: Sequence[Operation], derived: DerivedGraph, sizes: Mapping[str, int]
) -> tuple[list[Operation], list[Bucket]]:
    """Return the operations with sums of gradients in buckets: begun when the last operand is there, awaited at the end."""
    gradients = {derived.gradient_name(name) for name in derived.wrt}
    open_, buckets = dict[tuple[str, ...], list[Operation]](), list[Bucket]()

    def close(groups: tuple[str, ...]) -> None:
        members = open_.pop(groups)
        if len(members) > 1 or members[0].rank:
            buckets.append(Bucket(groups, tuple(members)))

    for operation in operations:
        if operation.kind != "all_reduce" or operation.equation not in gradients or operation.details["function"] != "SUM":
            continue
        if operation.storage != "buffer" or operation.operands[0].storage != "buffer":
            continue
        groups = operation.details["groups"]
        open_.setdefault(groups, []).append(operation)
        if sum(4 * usual_value(sympy.Mul(*member.shape), sizes) for member in open_[groups]) >= BYTES:
            close(groups)
    for groups in list(open_):
        close(groups)
    return _scheduled(operations, buckets), buckets


def _scheduled(operations: Sequence[Operation], buckets: Sequence[Bucket]) -> list[Operation]:
    last = {bucket.members[-1]: bucket for bucket in buckets}
    members = {member for bucket in buckets for member in bucket.members}
    late: dict[Operation, None] = {}
    ordered: list[Operation] = []
    waits: list[Operation] = []
    for operation in operations:
        passed_on = operation.kind == "receive" and operation.details["late"]
        if passed_on or operation in members or any(operand in late for operand in operation.operands):
            late[operation] = None
        else:
            ordered.append(operation)
        if operation in last:
            bucket = last[operation]
            parts = tuple(member.operands[0] for member in bucket.members)
            start = Operation("start_sum", parts, (), "scalar", {"bucket": bucket}, "", operation.equation)
            wait = Operation("end_sum", (start,), (), "scalar", {"bucket": bucket}, "", operation.equation)
            ordered.append(start)
            waits.append(wait)
            for member in bucket.members:
                member.kind, member.operands = "summed", (member.operands[0], wait)
    return [*_needed_early(ordered, late), *waits, *[op for op in operations if op in late]]


def _needed_early(ordered: Sequence[Operation], late: dict[Operation, None]) -> list[Operation]:
    """Of what may come before the sums, that which something before them reads; the rest is put to what comes late."""
    kept: list[Operation] = []
    read: set[Operation] = set()
    equations = {operation.equation for operation in late}
    readers = {operand for operation in late for operand in operation.operands}
    for operation in reversed(ordered):
        waits = operation in readers and operation.equation in equations and operation.storage in ("buffer", "view", "scalar")
        if waits and operation not in read and operation.kind not in ("start_sum", "end_sum"):
            late[operation] = None
            readers.update(operation.operands)
            continue
        kept.append(operation)
        read.update(operation.operands)
    return kept[::-1]
