"""Names as the language reads them: each name, derived ones too, gets a word of its own that can be typed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from symbackprop.graph.names import (
    Adjoint,
    Cotangent,
    DataTerm,
    Diagonal,
    OfOne,
    Pairing,
    Quadratic,
    Tangent,
    parse_name,
)
from symbackprop.language.vocabulary import RESERVED, canonical_name

_PREFIXES: Mapping[type[OfOne], str] = {
    Tangent: "dot_", Pairing: "G", Diagonal: "diag_", Quadratic: "Q", DataTerm: "data_"
}  # fmt: skip
_WORD = re.compile(r"[A-Za-zΑ-ω][A-Za-z0-9_Α-ω]*")


class Spelling:
    """The words of one text. A name that can be typed is its own word."""

    def __init__(
        self, tensors: Sequence[str], functions: Sequence[str] = (), capitals: Mapping[str, str] | None = None
    ) -> None:
        self._capitals = dict(capitals or {})
        self._tensors: dict[str, str] = {}
        self._dimensions: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self._taken: set[str] = set(RESERVED)
        for title in functions:
            self._functions[title] = self._claim(_plain(title))
        for name in tensors:
            self.tensor(name)

    def tensor(self, name: str) -> str:
        """Return the word of a tensor, the same each time."""
        if name not in self._tensors:
            self._tensors[name] = self._claim(_plain(name, self._capitals))
        return self._tensors[name]

    def dimension(self, name: str) -> str:
        """Return the word of a dimension; dimensions and tensors have separate name spaces."""
        if name not in self._dimensions:
            wish, taken = _plain(name), {*RESERVED, *self._dimensions.values()}
            self._dimensions[name] = _distinct(wish, taken)
        return self._dimensions[name]

    def function(self, title: str) -> str:
        """Return the word of a function: ``swish′`` is typed so, a declared or derived one has a word of its own."""
        stem = title.rstrip("′")
        return self._functions.get(title) or self._functions.get(stem, stem) + "′" * (len(title) - len(stem))

    def _claim(self, wish: str) -> str:
        word = _distinct(wish, self._taken)
        self._taken.add(word)
        return word


def _distinct(wish: str, taken: set[str]) -> str:
    word, number = wish, 1
    while word in taken:
        number += 1
        word = f"{wish}_{number}"
    return word


def _plain(name: str, capitals: Mapping[str, str] = MappingProxyType({})) -> str:
    meaning = parse_name(name)
    if isinstance(meaning, Adjoint):
        return f"d{_plain(meaning.of, capitals)}_d{_plain(meaning.by, capitals)}"
    if isinstance(meaning, Cotangent):
        return "G"
    if isinstance(meaning, OfOne):
        return _PREFIXES[type(meaning)] + _plain(meaning.of, capitals)
    meaning = capitals.get(meaning, meaning)
    word = canonical_name(unicodedata.normalize("NFC", meaning).replace("∂", "d_"))
    word = word.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
    if not word.isascii() or not _WORD.fullmatch(word):
        cleaned = re.sub(r"\W", "", unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode())
        word = cleaned if cleaned[:1].isalpha() else f"v{cleaned}"
    return word
