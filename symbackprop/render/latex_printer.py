"""Formulas as LaTeX (amsmath). Every name passes through the escaping of `symbols`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

import sympy

from symbackprop.render.formula import Formula
from symbackprop.render.symbols import GREEK_IN_LATEX, escape
from symbackprop.render.typeset_printer import TypesetPrinter

_OPERATORS = {"sum": r"\sum", "max": r"\max", "logsumexp": r"\operatorname{logsumexp}", "gather": r"\operatorname{gather}"}
_TALL = re.compile(r"\\(frac|sum|begin|sqrt|left|max_|operatorname\{(logsumexp|gather)\}_)")


class LatexPrinter(TypesetPrinter):
    """Prints formulas in LaTeX."""

    opening, closing = "{", "}"
    comma = ","
    between, dot = r" \, ", r"\cdot"
    elementwise, over, kronecker_sign = r"\odot", r"\oslash", r" \otimes "
    partial_sign, nabla_sign, delta_sign, sigmoid_sign = r"\partial", r"\nabla", r"\delta", r"\sigma"
    transposed = r"\top"
    relations = MappingProxyType({">=": r"\ge", "<=": r"\le", "!=": r"\ne", "==": "=", "≈": r"\approx"})
    fraction_start = r"\frac"

    def stem(self, stem: str, rank: int) -> str:
        """The letter or word that a name begins with."""
        if stem in GREEK_IN_LATEX or stem == "ell":
            return self.bold(f"\\{stem}") if rank else f"\\{stem}"
        if rank:
            return f"\\mathbf{{{escape(stem)}}}"
        return escape(stem) if len(stem) == 1 else f"\\mathrm{{{escape(stem)}}}"

    def lowered(self, subscript: str) -> str:
        """A part of a name that stands as subscript."""
        if subscript in GREEK_IN_LATEX:
            return f"\\{subscript}"
        return subscript if len(subscript) == 1 or subscript.isdigit() else f"\\mathrm{{{escape(subscript)}}}"

    def accented(self, text: str, accent: str) -> str:
        """A letter with hat, bar, dot or tilde."""
        return f"\\{accent}{{{text}}}"

    def dotted(self, text: str, dots: int) -> str:
        """A letter with a dot for each derivative along a direction."""
        return f"\\{'d' * dots}ot{{{text}}}" if dots else text

    def bold(self, text: str) -> str:
        """A sign in bold type."""
        return f"\\boldsymbol{{{text}}}"

    def operator(self, word: str, known: bool = False) -> str:
        """The name of a function in upright letters."""
        return f"\\{word}" if known else f"\\operatorname{{{escape(word)}}}"

    def beside(self, factors: Sequence[str]) -> str:
        """The factors of a product of sizes, apart where a name has several letters."""
        return (" \\, " if any("\\mathrm" in factor for factor in factors) else " ").join(factors)

    def constant(self, value: sympy.Expr) -> str:
        """Infinity or pi."""
        return "\\infty" if value is sympy.oo else "\\pi"

    def quotient(self, above: str, below: str) -> str:
        """A fraction."""
        return f"\\frac{{{above}}}{{{below}}}"

    def rooted(self, text: str) -> str:
        """A square root."""
        return f"\\sqrt{{{text}}}"

    def bracketed(self, text: str) -> str:
        """The text in round brackets, which grow with tall content."""
        return f"\\left({text}\\right)" if _TALL.search(text) else f"({text})"

    def bars(self, text: str, double: bool) -> str:
        """A text between bars, which grow with tall content."""
        bar = "Vert" if double else "vert"
        return f"\\left\\l{bar} {text} \\right\\r{bar}" if _TALL.search(text) else f"\\l{bar} {text} \\r{bar}"

    def angles(self, text: str) -> str:
        """A text in angle brackets."""
        return f"\\langle {text} \\rangle"

    def reduction(self, kind: str) -> str:
        """The sign of a sum, a maximum or a logsumexp over indices, or of a gathering over workers."""
        return _OPERATORS[kind]

    def choice(self, condition: str, yes: str, no: str) -> str:
        """Two cases."""
        return f"\\begin{{cases}} {yes} & \\text{{if }} {condition} \\\\ {no} & \\text{{otherwise}} \\end{{cases}}"

    def remark(self, words: str, formula: Formula | None) -> str:
        """Words, and a formula where there is one to them."""
        return f"\\text{{{words}}}" if formula is None else f"\\text{{{words}: }} {self.show(formula)}"
