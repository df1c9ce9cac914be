"""Systems of linear inequalities in whole numbers: a proof that nothing fulfils one (Fourier and Motzkin's elimination)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction

Row = Mapping[Hashable, Fraction]
"""Coefficients of the unknowns, and of 1 the constant: their sum is 0 or more."""

ONE: Hashable = 1
ROW_LIMIT = 400
SPLIT_LIMIT = 6


def impossible(rows: Sequence[Row], unequal: Sequence[Row] = ()) -> bool:
    """Tell whether it is proved that no whole numbers make every row 0 or more, and none of ``unequal`` 0."""
    if _contradictory(rows):
        return True
    if not unequal or len(unequal) > SPLIT_LIMIT:
        return False
    first, *rest = unequal
    above = {**first, ONE: first.get(ONE, Fraction(0)) - 1}
    below = {**{key: -value for key, value in first.items()}, ONE: -first.get(ONE, Fraction(0)) - 1}
    return impossible([*rows, above], rest) and impossible([*rows, below], rest)


def _contradictory(rows: Sequence[Row]) -> bool:
    current = _distinct(rows)
    while True:
        if any(len(row) == 1 and row[ONE] < 0 for row in current):
            return True
        unknowns = list(dict.fromkeys(key for row in current for key in row if key != ONE))
        if not unknowns or len(current) > ROW_LIMIT:
            return False

        def cost(key: Hashable, rows: list[Row] = current) -> int:
            return sum(row.get(key, 0) > 0 for row in rows) * sum(row.get(key, 0) < 0 for row in rows)

        gone = min(unknowns, key=cost)
        lower = [row for row in current if row.get(gone, 0) > 0]
        upper = [row for row in current if row.get(gone, 0) < 0]
        added = [_eliminated(low, high, gone) for low in lower for high in upper]
        current = _distinct([row for row in current if gone not in row] + added)


def _eliminated(low: Row, high: Row, gone: Hashable) -> Row:
    keys = dict.fromkeys([*low, *high])
    zero = Fraction(0)
    return {key: low.get(key, zero) * -high[gone] + high.get(key, zero) * low[gone] for key in keys if key != gone}


def _distinct(rows: Sequence[Row]) -> list[Row]:
    unique = {tuple(sorted(_tightened(row).items(), key=lambda item: repr(item[0]))): None for row in rows}
    return [dict(row) for row in unique]


def _tightened(row: Row) -> dict[Hashable, Fraction]:
    """Divide by the common factor of the coefficients, and round the constant down: the unknowns are whole numbers."""
    coefficients = {key: value for key, value in row.items() if key != ONE and value != 0}
    constant = row.get(ONE, Fraction(0))
    if not coefficients:
        return {ONE: constant}
    denominator = math.lcm(*[value.denominator for value in coefficients.values()])
    factor = Fraction(denominator, math.gcd(*[int(value * denominator) for value in coefficients.values()]))
    return {**{key: value * factor for key, value in coefficients.items()}, ONE: Fraction(math.floor(constant * factor))}
