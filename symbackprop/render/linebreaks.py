"""Breaking a displayed equation at its signs, where it would run off the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symbackprop.render.printing import HADAMARD, PRODUCT, SUM
from symbackprop.render.typeset_printer import Piece

LIMIT = 72.0
"""The widest row, in digits: a page of 12 cm in a 10 point type holds a little less, one of 17 cm more."""

_TOKENS = re.compile(r"\\[A-Za-z]+|\\.|[{}^_&]|\s+|.", re.DOTALL)
_WRAPPERS = {"mathbf", "mathrm", "boldsymbol", "operatorname", "hat", "bar", "tilde", "dot", "text", "sqrt"}
_INVISIBLE = {"left", "right", "lVert", "rVert", "lvert", "rvert"}
_RANKS = (SUM, HADAMARD, PRODUCT)
"""A row may begin at a sign, at those that bind least first."""


def cuts(left: str, pieces: Sequence[Piece]) -> list[slice]:
    """Return which of the pieces of a right side, printed in LaTeX, make a row each; ``left`` stands before the first."""
    counts = _rows(pieces, max(LIMIT - width(left) - 2, LIMIT / 2), 0)
    starts = [sum(counts[:k]) for k in range(len(counts))]
    return [slice(start, start + count) for start, count in zip(starts, counts, strict=True)]


def _rows(pieces: Sequence[Piece], limit: float, rank: int) -> list[int]:
    """How many pieces make each row: cut at the signs of one rank; what does not fit alone is cut at the next."""
    if _width(pieces) <= limit or rank == len(_RANKS):
        return [len(pieces)]
    rows: list[int] = []
    room = 0.0
    for part in _parts(pieces, _RANKS[rank]):
        own = _width(part)
        if own <= room:
            rows[-1] += len(part)
        else:
            rows += [len(part)] if own <= limit else _rows(part, limit, rank + 1)
            own, room = _width(part[len(part) - rows[-1] :]), limit
        room -= own
    return rows


def _parts(pieces: Sequence[Piece], binds: int) -> list[list[Piece]]:
    parts: list[list[Piece]] = []
    for piece in pieces:
        if not parts or (piece.sign and piece.binds == binds):
            parts.append([])
        parts[-1].append(piece)
    return parts


def _width(pieces: Sequence[Piece]) -> float:
    return sum(width(piece.inside()) for piece in pieces)


def width(latex: str) -> float:
    """Estimate the width of a formula, in digits."""
    return _Measure(latex).sequence()


class _Measure:
    def __init__(self, latex: str) -> None:
        self.tokens = _TOKENS.findall(latex)
        self.place = 0

    def sequence(self) -> float:
        total = 0.0
        while self.place < len(self.tokens) and self.tokens[self.place] != "}":
            total += self.item()
        self.place += 1
        return total

    def group(self) -> float:
        if self.place < len(self.tokens) and self.tokens[self.place] == "{":
            self.place += 1
            return self.sequence()
        return self.item()

    def item(self) -> float:
        token = self.tokens[self.place]
        self.place += 1
        if token == "{":
            return self.sequence()
        if token in "^_":
            return 0.7 * self.group()
        if token == "\\frac":
            return max(self.group(), self.group()) + 0.5
        if token.isspace() or token == "&":
            return 0.0
        if token.startswith("\\"):
            word = token[1:]
            if word in _WRAPPERS:
                return self.group()
            return 0.5 if word in _INVISIBLE else 0.3 if word == "," else 2.5 if word in ("odot", "oslash", "sum") else 1.2
        return 2.5 if token in "+-=<>" else 0.6 if token in ",.()[]" else 1.1
