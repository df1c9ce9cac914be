"""The stated cost of an expression: what a reader has to read. A rewrite is kept only if it falls."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import sympy

from symbackprop.graph.nodes import (
    Contraction,
    Indicator,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
)
from symbackprop.graph.walk import topological


@cache
def _reading(expression: sympy.Expr) -> tuple[int, tuple[tuple[sympy.Symbol, int], ...]]:
    """Return the cost of the operations of a scalar expression and how often each symbol is read."""
    counts: dict[Any, int] = {}
    operations = 0
    for part in sympy.preorder_traversal(expression):
        if part.is_Symbol:
            counts[part] = counts.get(part, 0) + 1
        elif part.is_number:
            operations += 0 if part in (1, -1) else 1
        elif part.is_Add or part.is_Mul:
            operations += len(part.args) - 1
        else:
            operations += 1
    return operations, tuple(sorted(counts.items(), key=lambda item: item[0].name))


def cost(root: Node) -> int:
    """Return the length of an expression as printed: one for each operation and each name."""
    costs: dict[Node, int] = {}
    for node in topological([root]):
        if isinstance(node, Pointwise):
            operations, counts = _reading(node.expression)
            operand_costs = {argument(k): costs[operand] for k, operand in enumerate(node.operands)}
            costs[node] = operations + sum(count * operand_costs.get(symbol, 1) for symbol, count in counts)
        elif isinstance(node, Contraction):
            costs[node] = 1 + sum(costs[operand] for operand in node.operands) + len(node.operands)
        elif isinstance(node, Reduction | MatrixFunction | Indicator):
            costs[node] = 2 + sum(costs[operand] for operand in node.operands)
        else:
            assert isinstance(node, Leaf) or not node.operands
            costs[node] = 1
    return costs[root]


def total_cost(roots: Iterable[Node]) -> int:
    """The cost of several expressions together."""
    return sum(cost(root) for root in roots)
