"""Which blocks and diagonals of the Hessian a module computes by equations of their own; the others it takes from products."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import sympy

from symbackprop.derivation.blocks import batch_block, batch_diagonal
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.sizes import Size, usual_value
from symbackprop.kernels.arithmetic import multiply_adds
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan, make_plan

MANY = 12
"""Tensors beyond which all blocks are computed column by column: there would be hundreds of them."""

PER_ENTRY = 10
"""The multiply-adds of a matrix product in whose time an entry is read or written."""


@dataclass(frozen=True)
class Part:
    """What has a plan of its own: the block of a row and a column, in the order of the parameters, or a diagonal (one name)."""

    names: tuple[str, ...]
    plan: Plan


def parts(example: DerivedGraph, products: Plan) -> list[Part]:
    """Return the blocks and the diagonals that a module computes by equations of their own."""
    return [*_blocks(example, products), *_diagonals(example)]


def _diagonals(example: DerivedGraph) -> Iterator[Part]:
    names = tuple(example.products)
    for name in names if len(names) <= MANY else ():
        derived = batch_diagonal(example, name)
        if derived is not None:
            yield Part((name,), make_plan(derived))


def _blocks(example: DerivedGraph, products: Plan) -> Iterator[Part]:
    """Yield the blocks that their own equations give with less work than products with unit vectors.

    ``example`` is the derivation per example with products, ``products`` the plan of those over the batch.
    """
    names = tuple(example.products)
    if len(names) > MANY:
        return
    _, needed = products.needed(products.products.values())
    each = _work(products, needed)
    for row, column in combinations_with_replacement(names, 2):
        plan = make_plan(batch_block(example, row, column))
        columns = sympy.Mul(*example.directions[column].shape)
        defaults = plan.derived.model.dimensions
        if usual_value(_work(plan, frozenset(plan.operations)), defaults) <= usual_value(columns * each, defaults):
            yield Part((row, column), plan)


def _work(plan: Plan, chosen: frozenset[Operation]) -> Size:
    """The multiply-adds, and what it takes to read and write the entries: what the time grows with."""
    total: list[Size] = []
    for operation in plan.operations:
        if operation not in chosen or operation.storage in ("given", "constant", "view"):
            continue
        entries = [sympy.Mul(*value.shape) for value in (operation, *operation.operands)]
        total += [multiply_adds(operation), *[PER_ENTRY * count for count in entries]]
    return sympy.Add(*total)
