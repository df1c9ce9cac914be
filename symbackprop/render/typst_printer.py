"""Formulas as mathematics of Typst. Every word of a name stands in quotes; whatever is no syntax is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

import sympy

from symbackprop.render.symbols import GREEK_LETTERS
from symbackprop.render.typeset_printer import TypesetPrinter

_OPERATORS = {"sum": "∑", "max": 'op("max", limits: #true)', "logsumexp": 'op("logsumexp")', "gather": 'op("gather")'}
_TALL = re.compile(r"frac\(|sqrt\(|cases\(|∑|limits:|(logsumexp|gather)\"\)_| \(")
_ACCENTS = {"hat": "hat", "bar": "macron", "dot": "dot", "tilde": "tilde"}
_DOTS = ("", "dot", "dot.double", "dot.triple", "dot.quad")


def quoted(text: str) -> str:
    """Return a text as a string of Typst, which shows it as it stands."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


class TypstPrinter(TypesetPrinter):
    """Prints formulas in Typst. Round and square brackets and commas are escaped where they are no syntax."""

    minus = "−"
    opening, closing = "(", ")"
    comma = "\\,"
    between, dot = " thin ", "⋅"
    elementwise, over, kronecker_sign = "⊙", "⊘", " ⊗ "
    partial_sign, nabla_sign, delta_sign, sigmoid_sign = "∂", "∇", "δ", "σ"
    transposed = "⊤"
    relations = MappingProxyType({">=": "≥", "<=": "≤", "!=": "≠", "==": "="})
    fraction_start = "frac("

    def kept(self, text: str) -> str:
        """A text of which a subscript takes the whole: brackets around it would be seen."""
        return text

    def stem(self, stem: str, rank: int) -> str:
        """The letter or word that a name begins with."""
        letter = "ℓ" if stem == "ell" else GREEK_LETTERS.get(stem, stem)
        if len(letter) > 1:
            word = f"upright({quoted(letter)})"
            return self.bold(word) if rank else word
        return self.bold(f"upright({letter})" if stem == letter else letter) if rank else letter

    def lowered(self, subscript: str) -> str:
        """A part of a name that stands as subscript."""
        letter = GREEK_LETTERS.get(subscript, subscript)
        return letter if len(letter) == 1 or letter.isdigit() else f"upright({quoted(letter)})"

    def accented(self, text: str, accent: str) -> str:
        """A letter with hat, bar, dot or tilde."""
        return f"{_ACCENTS[accent]}({text})"

    def dotted(self, text: str, dots: int) -> str:
        """A letter with a dot for each derivative along a direction."""
        return f"{_DOTS[dots]}({text})" if dots else text

    def bold(self, text: str) -> str:
        """A sign in bold type."""
        return f"bold({text})"

    def operator(self, word: str, known: bool = False) -> str:
        """The name of a function in upright letters."""
        return f"op({quoted(word)})"

    def beside(self, factors: Sequence[str]) -> str:
        """The factors of a product of sizes, apart where a name has several letters."""
        return (" thin " if any("upright(" in factor for factor in factors) else " ").join(factors)

    def constant(self, value: sympy.Expr) -> str:
        """Infinity or pi."""
        return "∞" if value is sympy.oo else "π"

    def quotient(self, above: str, below: str) -> str:
        """A fraction."""
        return f"frac({above}, {below})"

    def rooted(self, text: str) -> str:
        """A square root."""
        return f"sqrt({text})"

    def bracketed(self, text: str) -> str:
        """The text in round brackets, which grow with tall content."""
        return f" ({text})" if _TALL.search(text) else f"\\({text}\\)"

    def indicator(self, condition: str) -> str:
        """A condition in square brackets."""
        return f"\\[{condition}\\]"

    def bars(self, text: str, double: bool) -> str:
        """A text between bars, which grow with tall content."""
        if _TALL.search(text):
            return f"{'norm' if double else 'abs'}({text})"
        bar = "‖" if double else "|"
        return f'class("opening", {bar}) {text} class("closing", {bar})'

    def angles(self, text: str) -> str:
        """A text in angle brackets."""
        return f"⟨{text}⟩"

    def reduction(self, kind: str) -> str:
        """The sign of a sum, a maximum or a logsumexp over indices, or of a gathering over workers."""
        return _OPERATORS[kind]

    def choice(self, condition: str, yes: str, no: str) -> str:
        """Two cases."""
        return f'cases({yes} quad & "if" {condition}, {no} quad & "otherwise")'
