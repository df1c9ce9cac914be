"""Names as mathematics: W1 is a bold W with superscript (1), b_1 has a subscript, lambda and x_hat are symbols."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from symbackprop.language.vocabulary import GREEK

GREEK_LETTERS = {name: letter for letter, name in GREEK.items() if letter not in "ςϵϕϑ"}
GREEK_IN_LATEX = {
    name
    for name in (*GREEK_LETTERS,)
    if name.lower() not in ("omicron",)
    and (
        name[0].islower()
        or name in ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega")
    )
}
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "dot": "\u0307", "tilde": "\u0303"}
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "^": r"\textasciicircum{}",
    "_": r"\_", "~": r"\textasciitilde{}", "%": r"\%", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
}  # fmt: skip


@dataclass(frozen=True)
class NameParts:
    """A name taken apart: its stem, accent, superscript number and subscript."""

    stem: str
    accent: str = ""
    number: str = ""
    subscript: str = ""


def parts(name: str) -> NameParts:
    """Take a name apart: ``W1`` has a number, ``b_1`` and ``W_q`` a subscript, ``x_hat`` an accent."""
    stem, accent, number, subscript = name, "", "", ""
    pieces = name.split("_")
    if len(pieces) > 1 and pieces[0]:
        stem, rest = pieces[0], pieces[1:]
        if rest and rest[0] in _ACCENTS:
            accent, rest = rest[0], rest[1:]
        subscript = ",".join(piece for piece in rest if piece)
    found = re.fullmatch(r"([^\W\d_]+?)(\d+)", stem)
    if found:
        stem, number = found.groups()
    return NameParts(stem, accent, number, subscript)


def is_letter(name: str) -> bool:
    """Tell whether a function's name is a letter, or a letter with an accent, and no word."""
    p = parts(name)
    return len(name) == 1 or bool(p.accent) or p.stem in GREEK_IN_LATEX or p.stem == "ell"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it stands."""
    return "".join(
        _SPECIAL.get(character, character) if character.isascii() else _ascii_name(character) for character in text
    )


def _ascii_name(character: str) -> str:
    if character in GREEK:
        return GREEK[character]
    base = unicodedata.normalize("NFKD", character)
    return "".join(c for c in base if c.isascii() and c.isalnum()) or "x"


def text_name(name: str) -> str:
    """Return a name for a terminal: Greek letters and accents where they exist, otherwise as written."""
    p = parts(name)
    stem = GREEK_LETTERS.get(p.stem, p.stem)
    if p.accent:
        if len(stem) != 1:
            return name
        stem += _ACCENTS[p.accent]
    subscript = p.subscript.replace(",", "_")
    return stem + p.number + (f"_{GREEK_LETTERS.get(subscript, subscript)}" if subscript else "")
