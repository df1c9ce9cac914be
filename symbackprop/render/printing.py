"""The walk from formulas to print: what needs brackets, in which order things stand. How a thing looks, a subclass says."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import sympy

from symbackprop.render import formula as f
from symbackprop.render.naming import NamePrinter

SUM, HADAMARD, PRODUCT, POWER, ATOM = range(5)
"""How tightly a formula binds, loosest first."""

ARGUMENT = "argument"
"""The kind of a symbol that is a function's argument, and no value of the model."""

SPELLED_OUT = "spelled out"
"""The kind of a symbol whose δ is written as the derivative it stands for."""

Printed = tuple[str, int]
"""Text, and how tightly it binds."""


def spans(numbers: Sequence[int]) -> str:
    """Return numbers of equations as they are printed: ``1, 3–5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, dict.fromkeys((run[0], run[-1])))) for run in runs)


class Printer(NamePrinter):
    """Prints formulas; every class of formula has a method of its name in small letters."""

    minus: ClassVar[str] = "-"
    hadamard_sign: ClassVar[str]
    kronecker_sign: ClassVar[str]

    def show(self, formula: f.Formula, level: int = SUM) -> str:
        """Return the formula, in brackets where it binds less tightly than ``level`` asks."""
        text, own = self.write(formula)
        return self.bracketed(text) if own < level else text

    def equation(self, left: f.Formula, right: f.Formula) -> str:
        """Return ``left = right``."""
        return f"{self.show(left)} = {self.show(right)}"

    def write(self, formula: f.Formula) -> Printed:
        """Return the formula's text and how tightly it binds."""
        method: Callable[[f.Formula], Printed] = getattr(self, f"_{type(formula).__name__.lower()}")
        return method(formula)

    def bracketed(self, text: str) -> str:
        """The text in round brackets."""
        return f"({text})"

    def _sum(self, x: f.Sum) -> Printed:
        return self._signed([(sign, self.show(term, HADAMARD)) for sign, term in x.terms]), SUM

    def _signed(self, terms: list[tuple[int, str]]) -> str:
        text = ""
        for k, (sign, shown) in enumerate(terms):
            mark = self.minus if sign < 0 else "+"
            text += f" {mark} {shown}" if k else f"{mark if sign < 0 else ''}{shown}"
        return text

    def _hadamard(self, x: f.Hadamard) -> Printed:
        return self.hadamard_sign.join(self.show(part, PRODUCT) for part in x.factors), HADAMARD

    def _kronecker(self, x: f.Kronecker) -> Printed:
        return self.kronecker_sign.join(self.show(part, POWER) for part in x.factors), HADAMARD

    def _number(self, x: f.Number) -> Printed:
        return self.number(x.value)

    # ------------------------------------------------------------ numbers, and expressions in sizes

    def number(self, value: sympy.Expr) -> Printed:
        """A number or an expression in sizes."""
        if value.is_Integer:
            return str(value).replace("-", self.minus), ATOM if value >= 0 else SUM
        if value in (sympy.oo, sympy.pi):
            return self.constant(value), ATOM
        if value.is_Rational:
            exact = decimal(value)
            return (exact.replace("-", self.minus), ATOM if value >= 0 else SUM) if exact else self._ratio(value)
        if value.is_Symbol:
            return self.size(value.name)
        if value.is_Pow and value.exp == sympy.Rational(1, 2):
            return self.root(self.number(value.base))
        if value.is_Pow and value.exp.could_extract_minus_sign():
            return self.fraction(("1", ATOM), self.number(1 / value))
        if value.is_Pow:
            return self.raised(self.number(value.base), self.number(value.exp))
        if value.is_Add:
            terms = sorted(value.args, key=lambda t: (t.is_number, t.could_extract_minus_sign(), str(t)))
            return self._signed([self._signed_number(term) for term in terms]), SUM
        if value.is_Mul:
            if value.could_extract_minus_sign():
                return self.minus + self._at(self.number(-value), HADAMARD), SUM
            top, bottom = sympy.fraction(value)
            if bottom != 1:
                return self.fraction(self.number(top), self.number(bottom))
            factors = sorted(value.args, key=lambda t: (not t.is_Rational, not t.is_Symbol, str(t)))
            pieces = [self.number(part) for part in factors]
            return self.beside([self._at(piece, POWER) for piece in pieces]), PRODUCT
        arguments = [self.number(part)[0] for part in value.args]
        return self.function(getattr(value.func, "title", value.func.__name__), arguments)

    def _signed_number(self, value: sympy.Expr) -> tuple[int, str]:
        sign = -1 if value.could_extract_minus_sign() else 1
        return sign, self._at(self.number(sign * value), HADAMARD)

    def _ratio(self, value: sympy.Rational) -> Printed:
        if value < 0:
            return self.minus + self.number(-value)[0], SUM
        return self.fraction(self.number(sympy.Integer(value.p)), self.number(sympy.Integer(value.q)))

    def _at(self, printed: Printed, level: int) -> str:
        text, own = printed
        return self.bracketed(text) if own < level else text

    # ------------------------------------------------------------ what a subclass says

    @abstractmethod
    def constant(self, value: sympy.Expr) -> str:
        """Infinity or pi."""

    def beside(self, factors: Sequence[str]) -> str:
        """The factors of a product of sizes."""
        return " ".join(factors)

    @abstractmethod
    def size(self, name: str) -> Printed:
        """The size of a dimension."""

    @abstractmethod
    def fraction(self, above: Printed, below: Printed) -> Printed:
        """A fraction."""

    @abstractmethod
    def root(self, inner: Printed) -> Printed:
        """A square root."""

    @abstractmethod
    def raised(self, base: Printed, exponent: Printed) -> Printed:
        """A power."""

    @abstractmethod
    def function(self, title: str, arguments: list[str]) -> Printed:
        """A function applied to arguments."""


def decimal(value: sympy.Rational, *, smallest_divisor: int = 10) -> str | None:
    """A fraction as a short exact decimal, or None; 1/2 and the like stay fractions unless asked for."""
    digits = next((k for k in range(41) if 10**k % value.q == 0), None)
    if digits is None or value.q < smallest_divisor:
        return None
    scaled = str(abs(value.p) * 10**digits // value.q).rjust(digits + 1, "0")
    text = f"{scaled[:-digits]}.{scaled[-digits:]}" if digits else scaled
    return ("-" if value < 0 else "") + text
