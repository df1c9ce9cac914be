"""Arithmetic: multiply-adds, those of the products (matrix products, dots, sums as products with ones) that a kernel makes.

What works entry by entry is counted apart.
"""

from __future__ import annotations

import sympy

from symbackprop.graph.sizes import Size
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.schedule import ELEMENTWISE


def multiply_adds(operation: Operation) -> Size:
    """The number of multiply-adds of one operation: 0 for what works entry by entry."""
    if operation.kind == "matmul":
        details = operation.details
        labels = (*details["batch"], *details["rows"], *details["contracted"], *details["columns"])
        if details["symmetric"]:  # half of the rows whole, of the others the half beyond the diagonal
            count = details["sizes"][details["rows"][0]]
            half = sympy.floor(count / 2)
            return (half * count + (count - half) ** 2) * sympy.Mul(*[details["sizes"][x] for x in details["contracted"]])
        return sympy.Mul(*[details["sizes"][label] for label in labels])
    if operation.kind in ("dot", "vecdot", "sum_last", "sum_first"):
        return sympy.Mul(*operation.operands[0].shape)
    if operation.kind == "einsum":
        sizes: dict[int, Size] = {}
        for operand, labels in zip(operation.operands, operation.details["inputs"], strict=True):
            sizes.update(zip(labels, operand.shape, strict=True))
        return sympy.Mul(*sizes.values())
    return sympy.S.Zero


def entry_operations(operation: Operation) -> Size:
    """The entries that an operation works one by one: those of its result, or where it reduces, of its operand."""
    if operation.kind in ("sum", "max", "row_max", "sum_window", "max_window", "norm"):
        return sympy.Mul(*operation.operands[0].shape)
    if operation.kind in ELEMENTWISE | {"open_function"} and operation.storage != "constant":
        return sympy.Mul(*operation.shape)
    return sympy.S.Zero
