"""Breaking a displayed equation at its signs, where it would run off the page."""

from __future__ import annotations

import re

LIMIT = 72.0
"""The widest row, in digits: a page of 12 cm in a 10 point type holds a little less, one of 17 cm more."""

_TOKENS = re.compile(r"\\[A-Za-z]+|\\.|[{}^_&]|\s+|.", re.DOTALL)
_WRAPPERS = {"mathbf", "mathrm", "boldsymbol", "operatorname", "hat", "bar", "tilde", "dot", "text", "sqrt"}
_INVISIBLE = {"left", "right", "lVert", "rVert", "lvert", "rvert"}
_SIGNS = ({"+", "-"}, {"\\odot", "\\oslash"}, {"\\,"})
"""Where a row may be broken: at the signs that bind least first."""


def broken(left: str, right: str) -> str:
    """Return ``left &= right``, in several rows where it is too wide."""
    first = width(left) + 2
    rows = _split(right, max(LIMIT - first, LIMIT / 2), 0)
    shown = [rows[0], *["\\cdot" + row[2:] if row.startswith("\\,") else row for row in rows[1:]]]
    return f"{left}&= " + " \\nonumber \\\\\n&\\quad ".join(shown)


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


def _split(text: str, limit: float, rank: int) -> list[str]:
    """Cut at the signs of one rank into rows that fit; a piece that does not fit alone is cut at the next."""
    if width(text) <= limit or rank == len(_SIGNS):
        return [text]
    rows: list[str] = []
    for piece in _pieces(text, _SIGNS[rank]):
        if rows and width(rows[-1]) + width(piece) <= limit:
            rows[-1] += piece
        elif width(piece) <= limit:
            rows.append(piece)
        else:
            rows += _split(piece, limit, rank + 1)
    return [row.strip() for row in rows]


def _pieces(text: str, signs: set[str]) -> list[str]:
    """Cut a formula before each of the signs that stands in no group and in no brackets that must stay together."""
    pieces, depth, before = [""], 0, ""
    for token in _TOKENS.findall(text):
        if depth == 0 and token in signs and pieces[-1].strip():
            pieces.append("")
        pieces[-1] += token
        if before in ("\\left", "\\right"):  # the bracket of a pair that is counted already
            before = token
            continue
        before = token
        if token in ("{", "\\left", "\\begin", "(", "["):
            depth += 1
        elif token in ("}", "\\right", "\\end", ")", "]"):
            depth -= 1
    return pieces
