"""Formulas as LaTeX (amsmath). Every name passes through the escaping of `symbols`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import sympy

from symbackprop.graph.names import Adjoint, as_printed, parse_name
from symbackprop.render import formula as f
from symbackprop.render.printing import ARGUMENT, ATOM, HADAMARD, POWER, PRODUCT, SPELLED_OUT, SUM, Printed, Printer
from symbackprop.render.symbols import dotted, escape, latex_name, parts

_RELATIONS = {">=": r"\ge", "<=": r"\le", "!=": r"\ne", "==": "="}
_OPERATORS = {"sum": r"\sum", "max": r"\max", "logsumexp": r"\operatorname{logsumexp}"}
_KNOWN_OPERATORS = {"exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "det", "max", "min"}
_TALL = re.compile(r"\\(frac|sum|begin|sqrt|left|max_|operatorname\{logsumexp\}_)")
_SUBSCRIPT_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


class LatexPrinter(Printer):
    """Prints formulas in LaTeX."""

    hadamard_sign = r" \odot "
    kronecker_sign = r" \otimes "

    # ------------------------------------------------------------ names

    def own(self, name: str, rank: int) -> str:
        """A name of the model."""
        return latex_name(name, rank)

    def letter(self, word: str, rank: int) -> str:
        """The letter of a derived value, bold where it has axes."""
        return latex_name(word, rank)

    def subscripted(self, base: str, subscripts: str) -> str:
        """A name with subscripts, in brackets where it has some."""
        return f"{self.bracketed(base) if '_' in base else base}_{{{subscripts}}}"

    def diagonal(self, matrix: str) -> str:
        """The diagonal of a matrix."""
        return f"\\operatorname{{diag}} {self.bracketed(matrix)}"

    def pairing(self, cotangent: str, value: str) -> str:
        """The inner product of a value and its cotangent."""
        return f"\\langle {cotangent}, {value} \\rangle"

    def partial(self, above: str, below: Sequence[str]) -> str:
        """A derivative of first or second order as a quotient of ∂."""
        order, under = "^2" if len(below) == 2 else "", " \\, ".join(f"\\partial {by}" for by in below)
        return f"\\frac{{\\partial{order} {above}}}{{{under}}}"

    def nabla(self, above: str, below: Sequence[str]) -> str:
        """The same with ∇."""
        return f"\\nabla{'^2' if len(below) == 2 else ''}_{{{', '.join(below)}}} {above}"

    def tangent(self, name: str, dots: int, rank: int) -> str:
        """A value with a dot over its letter for each tangent."""
        if isinstance(parse_name(name), str):
            return latex_name(self.style.capitals(name), rank, dots)
        return dotted(self.name(name, rank), dots)

    def delta(self, by: str, rank: int, dots: int) -> str:
        """δ with the number of its layer where the name is z1 and no other value could be meant, else with the name."""
        core = dotted("\\boldsymbol{\\delta}" if rank else "\\delta", dots)
        p = parts(by)
        alike = [other for other in self.style.preactivations if replace(parts(other), stem=parts(other).stem.lower()) == p]
        if p.number and p.stem == "z" and not (p.accent or p.subscript) and alike == [by]:
            return f"{core}^{{({p.number})}}"
        return f"{core}_{{{self.name(by, rank)}}}"

    def _symbol(self, x: f.Symbol) -> Printed:
        if x.kind == ARGUMENT:
            return latex_name(x.name, 0), ATOM
        text = self.name(x.name, x.rank, x.kind == SPELLED_OUT)
        if text.startswith("\\nabla"):
            return text, PRODUCT
        return text, POWER if "^" in text or text.startswith("\\frac") else ATOM

    def _entry(self, x: f.Entry) -> Printed:
        """An entry is a number: its name is not bold. Subscripts follow a superscript, and never another subscript."""
        subscripts = ",".join(self.show(s) for s in x.subscripts)
        if not isinstance(x.base, f.Symbol):
            return f"{{{self.show(x.base, ATOM)}}}_{{{subscripts}}}", ATOM
        meaning = as_printed(x.base.name)
        if isinstance(meaning, Adjoint) and isinstance(as_printed(meaning.of), Adjoint):
            return f"{self.bracketed(self.name(x.base.name, 0))}_{{{subscripts}}}", ATOM
        if isinstance(meaning, Adjoint):
            base = self.name(x.base.name, 0)
            if base.startswith("\\frac"):
                above = self.name(meaning.of, 0)
                return f"\\frac{{\\partial {above}}}{{\\partial {self.subscripted(self.name(meaning.by, 0), subscripts)}}}", POWER
            if "\\delta" in base[:12]:
                return self.subscripted(base, subscripts), POWER
            return f"{self.bracketed(base)}_{{{subscripts}}}", ATOM
        text = self.subscripted(self.name(x.base.name, 0), subscripts)
        return text, POWER if "^" in text else ATOM

    def _slope(self, x: f.Slope) -> Printed:
        return f"\\frac{{\\partial {self.show(x.of)}}}{{\\partial {self.show(x.by)}}}", POWER

    def _index(self, x: f.Index) -> Printed:
        stem, _, number = x.letter.partition("_")
        return stem + (f"_{{{number}}}" if number else ""), ATOM

    def size(self, name: str) -> Printed:
        """The size of a dimension; its number is no layer, and stands below."""
        p = parts(name)
        numbered = p.number and not p.subscript
        return latex_name(f"{p.stem}_{p.number}" if numbered and not p.accent else name, 0), ATOM

    def beside(self, factors: Sequence[str]) -> str:
        """The factors of a product of sizes, apart where a name has several letters."""
        return (" \\, " if any("\\mathrm" in factor for factor in factors) else " ").join(factors)

    # ------------------------------------------------------------ numbers

    def constant(self, value: sympy.Expr) -> str:
        """Infinity or pi."""
        return "\\infty" if value is sympy.oo else "\\pi"

    def fraction(self, above: Printed, below: Printed) -> Printed:
        """A fraction."""
        return f"\\frac{{{above[0]}}}{{{below[0]}}}", POWER

    def root(self, inner: Printed) -> Printed:
        """A square root."""
        return f"\\sqrt{{{inner[0]}}}", ATOM

    def raised(self, base: Printed, exponent: Printed) -> Printed:
        """A power."""
        return f"{self._at(base, ATOM)}^{{{exponent[0]}}}", POWER

    def bracketed(self, text: str) -> str:
        """The text in round brackets, which grow with tall content."""
        return f"\\left({text}\\right)" if _TALL.search(text) else f"({text})"

    def function(self, title: str, arguments: list[str]) -> Printed:
        """A function applied to arguments."""
        if title == "sqrt":
            return f"\\sqrt{{{arguments[0]}}}", ATOM
        stem = title.rstrip("′")
        primes = "'" * (len(title) - len(stem))
        partial = ""
        while stem.startswith("∂"):
            partial += f"\\partial_{{{stem[1].translate(_SUBSCRIPT_DIGITS)}}}"
            stem = stem[2:]
        symbol = latex_name(stem, 0)
        if stem == "sigmoid" and "sigma" not in self.style.taken:
            name = "\\sigma"
        elif stem in _KNOWN_OPERATORS:
            name = f"\\{stem}"
        elif len(stem) == 1 or symbol.startswith("\\") and not symbol.startswith("\\mathrm"):
            name = symbol
        else:
            name = f"\\operatorname{{{escape(stem)}}}"
        return f"{partial}{name}{primes}{self.bracketed(', '.join(arguments))}", ATOM

    # ------------------------------------------------------------ operations

    def _product(self, x: f.Product) -> Printed:
        return " \\, ".join(self.show(part, POWER) for part in x.factors), PRODUCT

    def _quotient(self, x: f.Quotient) -> Printed:
        if x.elementwise:
            return f"{self.show(x.above, PRODUCT)} \\oslash {self.show(x.below, POWER)}", HADAMARD
        return self.fraction(self.write(x.above), self.write(x.below))

    def _power(self, x: f.Power) -> Printed:
        sign = "\\odot " if x.elementwise else ""
        return f"{self.show(x.base, ATOM)}^{{{sign}{self.show(x.exponent)}}}", POWER

    def _transpose(self, x: f.Transpose) -> Printed:
        if isinstance(x.operand, f.Inverse):
            return self._raised(x.operand.operand, "-\\top"), POWER
        return self._raised(x.operand, "\\top"), POWER

    def _inverse(self, x: f.Inverse) -> Printed:
        return self._raised(x.operand, "-1"), POWER

    def _raised(self, operand: f.Formula, sign: str) -> str:
        text, own = self.write(operand)
        if own == ATOM:
            return f"{text}^{{{sign}}}"
        if isinstance(operand, f.Symbol) and text.endswith(")}") and "^{(" in text and not text.startswith("\\nabla"):
            return f"{text[:-1]}{sign}}}" if sign == "\\top" else f"{self.bracketed(text)}^{{{sign}}}"
        return f"{self.bracketed(text)}^{{{sign}}}"

    def _call(self, x: f.Call) -> Printed:
        return self.function(x.function, [self.show(argument) for argument in x.arguments])

    def _bars(self, bar: str, inner: str) -> str:
        if _TALL.search(inner):
            return f"\\left\\l{bar} {inner} \\right\\r{bar}"
        return f"\\l{bar} {inner} \\r{bar}"

    def _norm(self, x: f.Norm) -> Printed:
        return self._bars("Vert", self.show(x.operand)) + (f"_{{{x.kind}}}" if x.kind else ""), ATOM

    def _magnitude(self, x: f.Magnitude) -> Printed:
        return self._bars("vert", self.show(x.operand)), ATOM

    def _ones(self, x: f.Ones) -> Printed:
        return "\\mathbf{1}", ATOM

    def _zeros(self, x: f.Zeros) -> Printed:
        return "\\mathbf{0}", ATOM

    def _identity(self, x: f.Identity) -> Printed:
        return "\\mathbf{I}", ATOM

    # ------------------------------------------------------------ indices

    def _over(self, x: f.Over) -> Printed:
        names = ",".join(self.show(f.Index(name)) for name, _ in x.indices)
        return f"{_OPERATORS[x.kind]}_{{{names}}} {self.show(x.body, PRODUCT)}", PRODUCT

    def _comparison(self, x: f.Comparison) -> Printed:
        return f"{self.show(x.left)} {_RELATIONS.get(x.relation, x.relation)} {self.show(x.right)}", SUM

    def _bracket(self, x: f.Bracket) -> Printed:
        return f"[{self.show(x.condition)}]", ATOM

    def _within(self, x: f.Within) -> Printed:
        return f"[0 \\le {self.show(x.operand)} < {self.number(x.size)[0]}]", ATOM

    def _cases(self, x: f.Cases) -> Printed:
        return (
            f"\\begin{{cases}} {self.show(x.yes)} & \\text{{if }} {self.show(x.condition)} \\\\ "
            f"{self.show(x.no)} & \\text{{otherwise}} \\end{{cases}}"
        ), ATOM
