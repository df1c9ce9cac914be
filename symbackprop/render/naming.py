"""The walk from names to print: what a derived name stands for. How a thing looks, a subclass says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from symbackprop.graph.names import (
    Adjoint,
    Cotangent,
    DataTerm,
    Diagonal,
    OfOne,
    Pairing,
    Quadratic,
    Tangent,
    as_printed,
    parse_name,
    without_tangents,
)

_WORDS: Mapping[type[OfOne], str] = {Cotangent: "G", Quadratic: "Q", DataTerm: "ell"}
"""Values shown as one letter, unless a name of the model is that word."""


@dataclass(frozen=True)
class Style:
    """How names are shown: ``notation`` of gradients, the capital of a stacked value, and which values take a δ.

    taken holds the names of the model, of which no sign may be the look-alike; rank gives that of a named value.
    """

    notation: str = "partial"
    capitals: Callable[[str], str] = staticmethod(lambda name: name)
    preactivations: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    rank: Callable[[str], int] = staticmethod(lambda name: 0)


class NamePrinter(ABC):
    """Prints names, derived ones too."""

    def __init__(self, style: Style) -> None:
        self.style = style

    def name(self, name: str, rank: int = 0, plain: bool = False) -> str:
        """Return a name, or a derived one: ∂J/∂z, ż; ``plain`` spells a δ out."""
        meaning = as_printed(name)
        if isinstance(meaning, Adjoint):
            return self._gradient(meaning, rank, plain)
        if isinstance(meaning, Tangent):
            return self.tangent(*without_tangents(name), rank)
        if isinstance(meaning, Diagonal):
            return self.diagonal(self.name(meaning.of, rank))
        if isinstance(meaning, Pairing):
            return self.pairing(self.name(Cotangent(meaning.of).name, 2), self.name(meaning.of, 2))
        if isinstance(meaning, OfOne):
            word = _WORDS[type(meaning)]
            letter = self.letter(word, rank)
            return self.subscripted(letter, self.name(meaning.of, rank)) if word in self.style.taken else letter
        return self.own(self.style.capitals(meaning), rank)

    def _gradient(self, meaning: Adjoint, rank: int, plain: bool) -> str:
        first, ranks = as_printed(meaning.of), self.style.rank
        if isinstance(first, Adjoint):
            above = self.name(first.of)
            below = [self.name(by, ranks(by)) for by in (first.by, meaning.by)]
        else:
            above, below = self.name(meaning.of, ranks(meaning.of)), [self.name(meaning.by, rank)]
            objective, dots = without_tangents(meaning.of)
            quadratic = isinstance(parse_name(objective), Quadratic)
            if self.style.notation == "delta" and meaning.by in self.style.preactivations and not (plain or quadratic):
                delta = self.delta(meaning.by, rank, dots)
                if delta:
                    return delta
        return self.nabla(above, below) if self.style.notation == "nabla" else self.partial(above, below)

    @abstractmethod
    def own(self, name: str, rank: int) -> str:
        """A name of the model."""

    @abstractmethod
    def letter(self, word: str, rank: int) -> str:
        """The letter of a derived value: G, Q or ell."""

    @abstractmethod
    def subscripted(self, base: str, subscripts: str) -> str:
        """A name with subscripts."""

    @abstractmethod
    def tangent(self, name: str, dots: int, rank: int) -> str:
        """The derivative of a value along the direction, so many times."""

    @abstractmethod
    def diagonal(self, matrix: str) -> str:
        """The diagonal of a matrix."""

    @abstractmethod
    def pairing(self, cotangent: str, value: str) -> str:
        """The inner product of a value and its cotangent."""

    @abstractmethod
    def partial(self, above: str, below: Sequence[str]) -> str:
        """The derivative by one value, or by two after each other, as a quotient of ∂."""

    @abstractmethod
    def nabla(self, above: str, below: Sequence[str]) -> str:
        """The same with ∇."""

    @abstractmethod
    def delta(self, by: str, rank: int, dots: int) -> str:
        """The gradient by a preactivation as a δ, or an empty text where there is no such sign."""
