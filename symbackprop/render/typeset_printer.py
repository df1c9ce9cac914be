"""What typeset mathematics has in common: fractions, raised and lowered signs, accents. LaTeX and Typst spell them."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from symbackprop.graph.names import Adjoint, as_printed, parse_name
from symbackprop.render import formula as f
from symbackprop.render.printing import ARGUMENT, ATOM, HADAMARD, POWER, PRODUCT, SPELLED_OUT, SUM, Printed, Printer
from symbackprop.render.symbols import is_letter, parts

_KNOWN_OPERATORS = {"exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "det", "max", "min"}
_SUBSCRIPT_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_BINDING = {f.Sum: SUM, f.Hadamard: HADAMARD, f.Quotient: HADAMARD, f.Product: PRODUCT, f.Over: PRODUCT}
"""How tightly the formulas bind that are cut into pieces."""


@dataclass(frozen=True)
class Piece:
    """A part of a formula at whose sign a row may begin: what it is, how tightly its sign binds, and the sign, if there is one."""

    text: str
    binds: int = SUM
    sign: str = ""

    def inside(self) -> str:
        """The piece within a row."""
        return f" {self.sign} {self.text}" if self.sign else self.text


class TypesetPrinter(Printer):
    """Prints formulas in two dimensions. The order of things is decided here, their spelling by a subclass."""

    opening: ClassVar[str]
    closing: ClassVar[str]
    """Around what is raised or lowered as a whole."""
    comma: ClassVar[str]
    between: ClassVar[str]
    """The space between factors."""
    dot: ClassVar[str]
    """The sign of a product at the beginning of a row."""
    elementwise: ClassVar[str]
    over: ClassVar[str]
    """The signs of a product and of a quotient entry by entry."""
    partial_sign: ClassVar[str]
    nabla_sign: ClassVar[str]
    delta_sign: ClassVar[str]
    sigmoid_sign: ClassVar[str]
    transposed: ClassVar[str]
    relations: ClassVar[Mapping[str, str]]
    fraction_start: ClassVar[str]

    # ------------------------------------------------------------ what a subclass spells

    @abstractmethod
    def stem(self, stem: str, rank: int) -> str:
        """The letter or word that a name begins with: bold for a vector or matrix, italic for a scalar, a word upright."""

    @abstractmethod
    def lowered(self, subscript: str) -> str:
        """A part of a name that stands as subscript."""

    @abstractmethod
    def accented(self, text: str, accent: str) -> str:
        """A letter with hat, bar, dot or tilde."""

    @abstractmethod
    def dotted(self, text: str, dots: int) -> str:
        """A letter with a dot for each derivative along a direction."""

    @abstractmethod
    def bold(self, text: str) -> str:
        """A sign in bold type."""

    @abstractmethod
    def operator(self, word: str, known: bool = False) -> str:
        """The name of a function in upright letters; ``known`` where mathematics has a name for it."""

    @abstractmethod
    def quotient(self, above: str, below: str) -> str:
        """A fraction."""

    @abstractmethod
    def rooted(self, text: str) -> str:
        """A square root."""

    @abstractmethod
    def bars(self, text: str, double: bool) -> str:
        """A text between bars, which grow with tall content."""

    @abstractmethod
    def angles(self, text: str) -> str:
        """A text in angle brackets."""

    @abstractmethod
    def reduction(self, kind: str) -> str:
        """The sign of a sum, a maximum or a logsumexp over indices."""

    @abstractmethod
    def choice(self, condition: str, yes: str, no: str) -> str:
        """Two cases."""

    # ------------------------------------------------------------ names

    def group(self, text: str) -> str:
        """A text that is raised or lowered as a whole."""
        return f"{self.opening}{text}{self.closing}"

    def kept(self, text: str) -> str:
        """A text of which a subscript takes the whole."""
        return self.group(text)

    def named(self, name: str, rank: int, dots: int = 0) -> str:
        """A name of the model: its stem with accent and dots, its subscripts, and the number of its layer above."""
        p = parts(name)
        core = self.stem(p.stem, rank)
        if p.accent:
            core = self.accented(core, p.accent)
        core = self.dotted(core, dots)
        if p.subscript:
            core += f"_{self.group(self.comma.join(self.lowered(part) for part in p.subscript.split(',')))}"
        return core + (f"^{self.group(f'({p.number})')}" if p.number else "")

    def own(self, name: str, rank: int) -> str:
        """A name of the model."""
        return self.named(name, rank)

    def letter(self, word: str, rank: int) -> str:
        """The letter of a derived value, bold where it has axes."""
        return self.named(word, rank)

    def subscripted(self, base: str, subscripts: str) -> str:
        """A name with subscripts, in brackets where it has some."""
        return f"{self.bracketed(base) if '_' in base else base}_{self.group(subscripts)}"

    def diagonal(self, matrix: str) -> str:
        """The diagonal of a matrix."""
        return f"{self.operator('diag')} {self.bracketed(matrix)}"

    def pairing(self, cotangent: str, value: str) -> str:
        """The inner product of a value and its cotangent."""
        return self.angles(f"{cotangent}{self.comma} {value}")

    def partial(self, above: str, below: Sequence[str]) -> str:
        """A derivative of first or second order as a quotient of ∂."""
        order, under = "^2" if len(below) == 2 else "", self.between.join(f"{self.partial_sign} {by}" for by in below)
        return self.quotient(f"{self.partial_sign}{order} {above}", under)

    def nabla(self, above: str, below: Sequence[str]) -> str:
        """The same with ∇."""
        order = "^2" if len(below) == 2 else ""
        return f"{self.nabla_sign}{order}_{self.group(f'{self.comma} '.join(below))} {above}"

    def tangent(self, name: str, dots: int, rank: int) -> str:
        """A value with a dot over its letter for each tangent."""
        if isinstance(parse_name(name), str):
            return self.named(self.style.capitals(name), rank, dots)
        return self.dotted(self.name(name, rank), dots)

    def delta(self, by: str, rank: int, dots: int) -> str:
        """δ with the number of its layer where the name is z1 and no other value could be meant, else with the name."""
        core = self.dotted(self.bold(self.delta_sign) if rank else self.delta_sign, dots)
        p = parts(by)
        alike = [other for other in self.style.preactivations if replace(parts(other), stem=parts(other).stem.lower()) == p]
        if p.number and p.stem == "z" and not (p.accent or p.subscript) and alike == [by]:
            return f"{core}^{self.group(f'({p.number})')}"
        return f"{core}_{self.group(self.name(by, rank))}"

    def _symbol(self, x: f.Symbol) -> Printed:
        if x.kind == ARGUMENT:
            return self.named(x.name, 0), ATOM
        text = self.name(x.name, x.rank, x.kind == SPELLED_OUT)
        if text.startswith(self.nabla_sign):
            return text, PRODUCT
        return text, POWER if "^" in text or text.startswith(self.fraction_start) else ATOM

    def _entry(self, x: f.Entry) -> Printed:
        """An entry is a number: its name is not bold. Subscripts follow a superscript, and never another subscript."""
        subscripts = self.comma.join(self.show(s) for s in x.subscripts)
        if not isinstance(x.base, f.Symbol):
            return f"{self.kept(self.show(x.base, ATOM))}_{self.group(subscripts)}", ATOM
        meaning, base = as_printed(x.base.name), self.name(x.base.name, 0)
        if not isinstance(meaning, Adjoint):
            text = self.subscripted(base, subscripts)
            return text, POWER if "^" in text else ATOM
        second = isinstance(as_printed(meaning.of), Adjoint)
        if base.startswith(self.fraction_start) and not second:
            by = self.subscripted(self.name(meaning.by, 0), subscripts)
            return self.partial(self.name(meaning.of, 0), [by]), POWER
        if base.startswith(self.nabla_sign) or second:
            return f"{self.bracketed(base)}_{self.group(subscripts)}", ATOM
        return self.subscripted(base, subscripts), POWER

    def _slope(self, x: f.Slope) -> Printed:
        return self.partial(self.show(x.of), [self.show(x.by)]), POWER

    def _index(self, x: f.Index) -> Printed:
        stem, _, below = x.letter.partition("_")
        return stem + (f"_{self.group(below if below.isdigit() else self.size(below)[0])}" if below else ""), ATOM

    def size(self, name: str) -> Printed:
        """The size of a dimension; its number is no layer, and stands below."""
        p = parts(name)
        subscripts = f"{p.number}_{p.subscript.replace(',', '_')}".rstrip("_")
        return self.named(f"{p.stem}_{subscripts}" if p.number and not p.accent else name, 0), ATOM

    # ------------------------------------------------------------ numbers

    def fraction(self, above: Printed, below: Printed) -> Printed:
        """A fraction."""
        return self.quotient(above[0], below[0]), POWER

    def root(self, inner: Printed) -> Printed:
        """A square root."""
        return self.rooted(inner[0]), ATOM

    def raised(self, base: Printed, exponent: Printed) -> Printed:
        """A power."""
        return f"{self._at(base, ATOM)}^{self.group(exponent[0])}", POWER

    def function(self, title: str, arguments: list[str]) -> Printed:
        """A function applied to arguments."""
        if title == "sqrt":
            return self.rooted(arguments[0]), ATOM
        stem = title.rstrip("′")
        primes = "'" * (len(title) - len(stem))
        partial = ""
        while stem.startswith("∂"):
            partial += f"{self.partial_sign}_{self.group(stem[1].translate(_SUBSCRIPT_DIGITS))}"
            stem = stem[2:]
        if stem == "sigmoid" and "sigma" not in self.style.taken:
            name = self.sigmoid_sign
        elif is_letter(stem):
            name = self.named(stem, 0)
        else:
            name = self.operator(stem, stem in _KNOWN_OPERATORS)
        return self.applied(f"{partial}{name}{primes}", f"{self.comma} ".join(arguments)), ATOM

    def applied(self, name: str, arguments: str) -> str:
        """A function's name before its arguments."""
        return f"{name}{self.bracketed(arguments)}"

    # ------------------------------------------------------------ operations

    def pieces(self, formula: f.Formula, level: int = SUM) -> list[Piece]:
        """Return what `show` returns, cut before the signs at which a row may begin."""
        own, found = _BINDING.get(type(formula), ATOM), self._cut(formula)
        if not found:
            return [Piece(self.show(formula, level))]
        return [Piece(self.bracketed(self.row(found)))] if own < level else found

    def _cut(self, x: f.Formula) -> list[Piece]:
        """The pieces of a formula, or none where it stays whole."""
        if isinstance(x, f.Sum):
            signs = [self.minus if sign < 0 else "+" for sign, _ in x.terms]
            found = self._joined([(term, HADAMARD) for _, term in x.terms], SUM, signs)
            sign = signs[0].replace("+", "")
            return [replace(found[0], text=f"{sign}{found[0].text}"), *found[1:]]
        if isinstance(x, f.Hadamard):
            return self._joined([(part, PRODUCT) for part in x.factors], HADAMARD, [self.elementwise] * len(x.factors))
        if isinstance(x, f.Quotient) and x.elementwise:
            return self._joined([(x.above, PRODUCT), (x.below, POWER)], HADAMARD, [self.over] * 2)
        if isinstance(x, f.Product):
            return self._joined([(part, POWER) for part in x.factors], PRODUCT, [self.between.strip()] * len(x.factors))
        if isinstance(x, f.Over):
            first, *rest = self.pieces(x.body, PRODUCT)
            return [replace(first, text=f"{self._reduced(x)} {first.text}"), *rest]
        return []

    def _joined(self, parts: Sequence[tuple[f.Formula, int]], binds: int, signs: Sequence[str]) -> list[Piece]:
        found: list[Piece] = []
        for (part, level), sign in zip(parts, signs, strict=True):
            first, *rest = self.pieces(part, level)
            found += [replace(first, binds=binds, sign=sign) if found else first, *rest]
        return found

    def _reduced(self, x: f.Over) -> str:
        return f"{self.reduction(x.kind)}_{self.group(self.comma.join(self.show(f.Index(name)) for name, _ in x.indices))}"

    def row(self, pieces: Sequence[Piece]) -> str:
        """Return a row of pieces; one that begins with a factor has a sign before it."""
        first = pieces[0]
        sign = self.dot if first.binds == PRODUCT else first.sign
        head = f"{sign} {first.text}" if first.sign else first.text
        return head + "".join(piece.inside() for piece in pieces[1:])

    def _whole(self, x: f.Formula) -> str:
        return self.row(self._cut(x))

    def _sum(self, x: f.Sum) -> Printed:
        return self._whole(x), SUM

    def _hadamard(self, x: f.Hadamard) -> Printed:
        return self._whole(x), HADAMARD

    def _product(self, x: f.Product) -> Printed:
        return self._whole(x), PRODUCT

    def _over(self, x: f.Over) -> Printed:
        return self._whole(x), PRODUCT

    def _quotient(self, x: f.Quotient) -> Printed:
        return (self._whole(x), HADAMARD) if x.elementwise else self.fraction(self.write(x.above), self.write(x.below))

    def _power(self, x: f.Power) -> Printed:
        sign = f"{self.elementwise} " if x.elementwise else ""
        return f"{self.show(x.base, ATOM)}^{self.group(sign + self.show(x.exponent))}", POWER

    def _transpose(self, x: f.Transpose) -> Printed:
        if isinstance(x.operand, f.Inverse):
            return self._raised(x.operand.operand, f"{self.minus}{self.transposed}"), POWER
        return self._raised(x.operand, self.transposed), POWER

    def _inverse(self, x: f.Inverse) -> Printed:
        return self._raised(x.operand, f"{self.minus}1"), POWER

    def _raised(self, operand: f.Formula, sign: str) -> str:
        """A transpose stands beside the number of a layer; everything else is raised over brackets."""
        text, own = self.write(operand)
        number = re.escape(self.group("(#)")).replace(r"\#", r"\d+")
        numbered = isinstance(operand, f.Symbol) and re.search(f"\\^{number}$", text) and not text.startswith(self.nabla_sign)
        if own < ATOM and numbered and sign == self.transposed:
            return f"{text.removesuffix(self.closing)}{sign}{self.closing}"
        return f"{text if own == ATOM else self.bracketed(text)}^{self.group(sign)}"

    def _call(self, x: f.Call) -> Printed:
        return self.function(x.function, [self.show(argument) for argument in x.arguments])

    def _norm(self, x: f.Norm) -> Printed:
        return self.bars(self.show(x.operand), double=True) + (f"_{self.group(x.kind)}" if x.kind else ""), ATOM

    def _magnitude(self, x: f.Magnitude) -> Printed:
        return self.bars(self.show(x.operand), double=False), ATOM

    def _ones(self, x: f.Ones) -> Printed:
        return self.stem("1", 1), ATOM

    def _zeros(self, x: f.Zeros) -> Printed:
        return self.stem("0", 1), ATOM

    def _identity(self, x: f.Identity) -> Printed:
        return self.stem("I", 1), ATOM

    # ------------------------------------------------------------ conditions

    def _comparison(self, x: f.Comparison) -> Printed:
        return f"{self.show(x.left)} {self.relations.get(x.relation, x.relation)} {self.show(x.right)}", SUM

    def _bracket(self, x: f.Bracket) -> Printed:
        return self.indicator(self.show(x.condition)), ATOM

    def _within(self, x: f.Within) -> Printed:
        within = f"0 {self.relations['<=']} {self.show(x.operand)} < {self.number(x.size)[0]}"
        return self.indicator(within), ATOM

    def indicator(self, condition: str) -> str:
        """A condition in square brackets: 1 where it holds, else 0."""
        return f"[{condition}]"

    def _cases(self, x: f.Cases) -> Printed:
        return self.choice(self.show(x.condition), self.show(x.yes), self.show(x.no)), ATOM
