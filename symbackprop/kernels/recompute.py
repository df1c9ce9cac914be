"""What is computed again rather than saved: a value that one pass gives from values that are kept in any case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbackprop.kernels.operations import Operation

ONE_PASS = frozenset("add subtract multiply negative square abs sign greater greater_equal equal".split())
"""Operations as cheap as reading their result would be."""


def recompute(operations: Sequence[Operation], backward: frozenset[str]) -> list[Operation]:
    """Return the operations with copies of forward ones, put before the backward equations (their names) that read them."""
    last: dict[Operation, int] = {}
    for position, operation in enumerate(operations):
        for operand in operation.operands:
            last[operand.base] = position
    copies: dict[tuple[Operation, str], Operation] = {}
    result: list[Operation] = []
    for position, operation in enumerate(operations):
        operands = []
        for operand in operation.operands:
            if operation.equation in backward and _may_be_copied(operand, backward, position, last):
                key = (operand, operation.equation)
                if key not in copies:
                    copies[key] = replace(operand, equation=operation.equation)
                    result.append(copies[key])
                operand = copies[key]
            operands.append(operand)
        operation.operands = tuple(operands)
        result.append(operation)
    return result


def _may_be_copied(value: Operation, backward: frozenset[str], position: int, last: dict[Operation, int]) -> bool:
    return (
        value.kind in ONE_PASS
        and value.rank > 1
        and not value.name
        and value.equation not in backward
        and all(o.storage in ("given", "scalar", "constant") or last[o.base] > position for o in value.operands)
    )
