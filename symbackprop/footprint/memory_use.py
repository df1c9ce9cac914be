"""Bytes: of the arrays of a workspace, of what is given, and of what the backward pass reads of the forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy

from symbackprop.graph.nodes import axis
from symbackprop.graph.sizes import Size
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.schedule import CACHE, Loop

FLOAT_BYTES = sympy.Symbol("bytes_of_a_float", integer=True, nonnegative=True)
"""The bytes of a float: 4 or 8. No dimension is the same symbol, whatever its name: dimensions are positive."""

INTEGER_BYTES = 8
SHORT_ROW = 32
"""A row of zeros shorter than this is a single zero (see `Constants.constant`)."""


def entry_bytes(dtype: str) -> sympy.Expr:
    """The bytes of one entry."""
    return {"float": FLOAT_BYTES, "int": sympy.Integer(INTEGER_BYTES), "bool": sympy.S.One}[dtype]


def array_bytes(plan: Plan) -> sympy.Expr:
    """The bytes of the workspace's arrays that hold results: a polynomial in the sizes."""
    return sympy.expand(sympy.Add(*[entry_bytes(dtype) * entries for dtype, entries in plan.entries.items()]))


def gradient_bytes(plan: Plan) -> sympy.Expr:
    """The part of `array_bytes` that the gradients are."""
    arrays = dict.fromkeys(plan.array_of[op] for op in plan.gradients.values() if op in plan.array_of)
    return sympy.expand(sympy.Add(*[entry_bytes(array.dtype) * array.entries for array in arrays]))


def constant_bytes(plan: Plan, numbers: Mapping[sympy.Symbol, int]) -> int:
    """The bytes of arrays that depend on sizes alone: ones, masks, positions."""
    return sum(_constant_at(op, numbers) for op in plan.operations if op.storage == "constant")


def _constant_at(op: Operation, numbers: Mapping[sympy.Symbol, int]) -> int:
    if op.kind == "zero_row" and value_at(op.shape[0], numbers) < SHORT_ROW:
        return numbers[FLOAT_BYTES]
    return value_at(constant_size(op), numbers)


def constant_size(op: Operation) -> sympy.Expr:
    """The bytes of an array that depends on sizes alone, as a polynomial: that of rows of zeros that are not short."""
    if op.kind in ("zero_row", "fill", "coordinate", "limit"):
        return FLOAT_BYTES * sympy.Mul(*op.shape)
    if op.kind == "row_starts":
        return INTEGER_BYTES * sympy.Mul(*op.shape)
    if op.kind == "indicator":  # broadcast along the axes that its condition does not speak of
        return sympy.Mul(*[size for k, size in enumerate(op.shape) if op.details["condition"].has(axis(k))])
    return sympy.Mul(*op.shape) if op.kind == "logical_not" else sympy.S.Zero


SCRATCH_BYTES = sympy.Symbol("scratch", integer=True, nonnegative=True)
"""The bytes of the memory that the loops share for their scratch arrays; no dimension is the same symbol."""


def rows_of(plan: Plan, loop: Loop, numbers: Mapping[sympy.Symbol, int]) -> int:
    """How many rows one turn of a loop works: as many as the cache holds, as the generated module decides it."""
    width = plan.row_width(loop)
    row_bytes = sum(value_at(entry_bytes(dtype) * entries, numbers) for dtype, entries in width.items())
    return min(value_at(loop.length, numbers), max(1, CACHE // row_bytes))


def scratch_bytes(plan: Plan, numbers: Mapping[sympy.Symbol, int], loops: Iterable[Loop] | None = None) -> int:
    """The most bytes that one of some loops (all, if None) has scratch arrays of: they share that memory."""
    most = 0
    for loop in plan.loops if loops is None else loops:
        width = sympy.Add(*[entry_bytes(dtype) * entries for dtype, entries in plan.scratch_width(loop).items()])
        most = max(most, rows_of(plan, loop, numbers) * value_at(width, numbers))
    return most


def saved(plan: Plan) -> dict[Operation, tuple[str, ...]]:
    """The results of the forward pass that the backward pass reads, with the equations that read them.

    What lives within one turn of a loop is not among them.
    """
    backward = plan.derived.reversed
    found: dict[Operation, dict[str, None]] = {}
    for op in plan.operations:
        for operand in op.operands if op.equation in backward else ():
            base = operand.base
            kept = base.storage == "fresh" or (base in plan.array_of and plan.array_of[base].loop is None)
            if kept and base.equation not in backward and base.shape:
                found.setdefault(base, {})[op.equation] = None
    return {base: tuple(readers) for base, readers in found.items()}


def value_at(size: Size, numbers: Mapping[sympy.Symbol, int]) -> int:
    """The whole number that an expression in sizes is."""
    return int(size.xreplace({symbol: sympy.Integer(numbers[symbol]) for symbol in size.free_symbols}))
