"""Single equations of a derivation, printed."""

from __future__ import annotations

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.model import Equation
from symbackprop.render.writer import Writer


def equation_text(derived: DerivedGraph, equation: Equation, notation: str = "partial") -> str:
    """One equation in Unicode."""
    writer = Writer(derived, notation)
    line = writer.line(equation)
    return writer.text.equation(line.left, line.right)


def equation_latex(derived: DerivedGraph, equation: Equation, notation: str = "partial") -> str:
    """One equation in LaTeX, without delimiters."""
    writer = Writer(derived, notation)
    line = writer.line(equation)
    return writer.latex.equation(line.left, line.right)


def why(derived: DerivedGraph, equation: Equation) -> str:
    """Why a backward equation holds."""
    return Writer(derived).why(equation)
