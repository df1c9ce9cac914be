"""How a value lies in memory: views tell it, and results are laid out like the operand they are made from."""

from __future__ import annotations

import sympy

from symbackprop.graph.nodes import Labels
from symbackprop.kernels.operations import Operation


def memory_order(value: Operation) -> tuple[int, ...] | None:
    """Return the axes of a value from the largest stride to the smallest; None where it is broadcast along one."""
    if value.storage != "view":
        return tuple(range(value.rank))
    inner = memory_order(value.operands[0])
    if inner is None or value.kind not in ("align", "window"):
        return None
    if value.kind == "align":
        labels = value.details["labels"]
        return tuple(labels[k] for k in inner) if len(labels) == value.rank else None
    order: list[int] = []
    windows = value.details["windows"]
    starts = [sum(1 if entry is None else len(entry[0]) for entry in windows[:axis]) for axis in range(len(windows))]
    for axis in inner:
        steps = () if windows[axis] is None else windows[axis][0]
        known = all(step.is_Integer for _, step in steps)
        largest_first = sorted(range(len(steps)), key=lambda k: -abs(steps[k][1])) if known else range(len(steps))
        order += [starts[axis] + k for k in largest_first] if steps else [starts[axis]]
    return tuple(order)


def as_it_lies(value: Operation, labels: Labels) -> tuple[Operation, Labels]:
    """Return the value that a transposed view shows, its axes in the order of memory, and their labels."""
    if value.kind == "align" and len(value.details["labels"]) == value.rank and value.operands[0].storage != "view":
        return value.operands[0], tuple(labels[axis] for axis in value.details["labels"])
    return value, labels


def common_order(operands: tuple[Operation, ...], shape: tuple[sympy.Expr, ...]) -> tuple[int, ...]:
    """Return the order of memory for a result: that of the first computed operand of its shape, else of a given one."""
    full = [operand for operand in operands if operand.shape == shape]
    for operand in sorted(full, key=lambda operand: operand.base.storage == "given"):
        order = memory_order(operand)
        if order is not None:
            return order
    return tuple(range(len(shape)))
