"""Formulas as text in Unicode: as a reader sees them, or as the language reads them back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy

from symbackprop.graph.names import with_tangents
from symbackprop.graph.sizes import Size
from symbackprop.render import formula as f
from symbackprop.render.build import weight
from symbackprop.render.naming import Style
from symbackprop.render.printing import (
    ARGUMENT,
    ATOM,
    HADAMARD,
    POWER,
    PRODUCT,
    SPELLED_OUT,
    SUM,
    Printed,
    Printer,
)
from symbackprop.render.spelling import Spelling
from symbackprop.render.symbols import text_name

DOTS = ("", "\u0307", "\u0308", "\u20db")
"""One dot for each derivative along a direction."""

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_FRACTIONS = {("1", "2"): "½", ("1", "3"): "⅓", ("1", "4"): "¼", ("3", "4"): "¾"}
_RELATIONS = {">=": "≥", "<=": "≤", "!=": "≠"}


@dataclass(frozen=True)
class Signs:
    """The signs that a reader sees and that the language does not know, or knows by another spelling."""

    infinity: str = "∞"
    pi: str = "π"
    root: str = "√"
    sigmoid: str = "σ"
    sum: str = "∑"
    equals: str = "="
    opening: str = "["
    closing: str = "]"
    inverse_transpose: str = "⁻ᵀ"


SHOWN = Signs()
TYPED = Signs("inf", "pi", "sqrt", "sigmoid", "sum", "==", "(", ")", "⁻¹ᵀ")


class TextPrinter(Printer):
    """Prints formulas in Unicode. With a ``spelling`` of the names it prints what the language reads back."""

    minus = "−"
    hadamard_sign = " ⊙ "
    kronecker_sign = " ⊗ "

    def __init__(self, style: Style, spelling: Spelling | None = None) -> None:
        super().__init__(style)
        self.spelling = spelling
        self.signs = SHOWN if spelling is None else TYPED
        if "sigma" in style.taken:
            self.signs = replace(self.signs, sigmoid="sigmoid")
        self._identity_sized = False

    # ------------------------------------------------------------ names

    def name(self, name: str, rank: int = 0, plain: bool = False) -> str:
        """Return a name as it is read, or as it is typed."""
        return super().name(name, rank, plain) if self.spelling is None else self.spelling.tensor(name)

    def own(self, name: str, rank: int) -> str:
        """A name of the model."""
        return text_name(name)

    def letter(self, word: str, rank: int) -> str:
        """The letter of a derived value."""
        return "ℓ" if word == "ell" else word

    def subscripted(self, base: str, subscripts: str) -> str:
        """A name with subscripts."""
        return f"{base}_{subscripts}"

    def diagonal(self, matrix: str) -> str:
        """The diagonal of a matrix."""
        return f"diag({matrix})"

    def pairing(self, cotangent: str, value: str) -> str:
        """The inner product of a value and its cotangent."""
        return f"⟨{cotangent}, {value}⟩"

    def partial(self, above: str, below: Sequence[str]) -> str:
        """A derivative of first or second order as a quotient of ∂."""
        order = "²" if len(below) == 2 else ""
        return f"∂{order}{_grouped(above)}/{''.join(f'∂{_grouped(by)}' for by in below)}"

    def nabla(self, above: str, below: Sequence[str]) -> str:
        """The same with ∇."""
        return f"∇{'²' if len(below) == 2 else ''}_{','.join(below)} {above}"

    def delta(self, by: str, rank: int, dots: int) -> str:
        """A gradient as a δ, as long as there are dots for it."""
        return f"δ{DOTS[dots]}_{self.name(by)}" if dots < len(DOTS) else ""

    def tangent(self, name: str, dots: int, rank: int) -> str:
        """A letter (and what stands beside it) with a dot for each tangent, unless that is another value's name."""
        shown = self.name(name)
        dotted = unicodedata.normalize("NFC", shown[:1] + DOTS[dots] + shown[1:]) if dots < len(DOTS) else ""
        alike = {text_name(other) for other in self.style.taken}
        if dotted and re.fullmatch(r"[^\W\d_](\d*|_\w+)", shown) and dotted not in alike:
            return dotted
        return with_tangents(shown, dots)

    def _symbol(self, x: f.Symbol) -> Printed:
        if x.kind == ARGUMENT:
            return (text_name(x.name) if self.spelling is None else x.name), ATOM
        text = self.name(x.name, plain=x.kind == SPELLED_OUT)
        whole = text.startswith(("⟨", "diag("))
        return text, PRODUCT if not whole and ("/" in text or " " in text) else ATOM

    def _entry(self, x: f.Entry) -> Printed:
        subscripts = ", ".join(self.show(s) for s in x.subscripts)
        base, own = self.write(x.base)
        if own < ATOM and (not isinstance(x.base, f.Symbol) or "/" not in base):
            base, own = self.bracketed(base), ATOM
        return f"{base}[{subscripts}]", own

    def _slope(self, x: f.Slope) -> Printed:
        return f"∂{_grouped(self.show(x.of))}/∂{_grouped(self.show(x.by))}", PRODUCT

    def _index(self, x: f.Index) -> Printed:
        stem, _, below = x.letter.partition("_")
        return x.letter if not below or below.isdigit() else f"{stem}_{self.dimension(below)}", ATOM

    def dimension(self, name: str) -> str:
        """The name of a dimension."""
        return text_name(name) if self.spelling is None else self.spelling.dimension(name)

    def size(self, name: str) -> Printed:
        """The size of a dimension, which a tensor of its name hides."""
        shown = self.dimension(name)
        return (f"size({shown})" if name in self.style.taken else shown), ATOM

    def extent(self, size: Size) -> str:
        """A size where only sizes can stand, so that no tensor hides one."""
        return TextPrinter(Style(), self.spelling).number(size)[0]

    # ------------------------------------------------------------ numbers

    def constant(self, value: sympy.Expr) -> str:
        """Infinity or pi."""
        return self.signs.infinity if value is sympy.oo else self.signs.pi

    def fraction(self, above: Printed, below: Printed) -> Printed:
        """A fraction."""
        if self.spelling is None and (above[0], below[0]) in _FRACTIONS:
            return _FRACTIONS[above[0], below[0]], ATOM
        return f"{self._at(above, PRODUCT)}/{self._at(below, POWER)}", PRODUCT

    def root(self, inner: Printed) -> Printed:
        """A square root."""
        plain = inner[1] == ATOM and not inner[0].endswith(")") and self.signs.root == "√"
        return self.signs.root + (inner[0] if plain else f"({inner[0]})"), ATOM

    def raised(self, base: Printed, exponent: Printed) -> Printed:
        """A power."""
        if exponent[0].isdigit():
            return self._at(base, ATOM) + exponent[0].translate(_SUPERSCRIPT), POWER
        return f"{self._at(base, ATOM)}^{self._at(exponent, ATOM)}", POWER

    def function(self, title: str, arguments: list[str]) -> Printed:
        """A function applied to arguments."""
        if title == "sqrt" and self.signs.root == "√":
            return f"√({arguments[0]})", ATOM
        if self.spelling is not None:
            name = self.spelling.function(title)
        else:
            stem = title.lstrip("∂₀₁₂₃₄₅₆₇₈₉").rstrip("′")
            name = title.replace(stem, self.signs.sigmoid if stem == "sigmoid" else text_name(stem))
        return f"{name}({', '.join(arguments)})", ATOM

    # ------------------------------------------------------------ operations

    def _sum(self, x: f.Sum) -> Printed:
        """An identity takes its size from the other terms, where there are others."""
        outer = self._identity_sized
        others = any(weight(term) and not _is_identity(term) for _, term in x.terms)
        terms = []
        for sign, term in x.terms:
            self._identity_sized = others and _is_identity(term)
            terms.append((sign, self.show(term, HADAMARD)))
        self._identity_sized = outer
        return self._signed(terms), SUM

    def _product(self, x: f.Product) -> Printed:
        shown = []
        for k, part in enumerate(x.factors):
            scalar_fraction = isinstance(part, f.Quotient) and not part.elementwise and k == 0
            number = isinstance(part, f.Number) and k == 0
            shown.append(self.show(part, PRODUCT if scalar_fraction or number else POWER))
        return " ".join(shown), PRODUCT

    def _quotient(self, x: f.Quotient) -> Printed:
        if x.elementwise:
            return f"{self.show(x.above, PRODUCT)} ./ {self.show(x.below, POWER)}", HADAMARD
        return self.fraction(self.write(x.above), self.write(x.below))

    def _power(self, x: f.Power) -> Printed:
        base, exponent = self.write(x.base), self.write(x.exponent)
        if not x.elementwise and exponent[0] != "T":
            return self.raised(base, exponent)
        power = f"({exponent[0]})" if exponent[0] == "T" else self._at(exponent, ATOM)
        return f"{self._at(base, ATOM)}{'.' if x.elementwise else ''}^{power}", POWER

    def _transpose(self, x: f.Transpose) -> Printed:
        if isinstance(x.operand, f.Inverse):
            return self.show(x.operand.operand, ATOM) + self.signs.inverse_transpose, POWER
        return self.show(x.operand, ATOM) + "ᵀ", POWER

    def _inverse(self, x: f.Inverse) -> Printed:
        return self.show(x.operand, ATOM) + "⁻¹", POWER

    def _call(self, x: f.Call) -> Printed:
        return self.function(x.function, [self.show(argument) for argument in x.arguments])

    def _norm(self, x: f.Norm) -> Printed:
        return f"‖{self.show(x.operand)}‖{'_' + x.kind if x.kind else ''}", ATOM

    def _magnitude(self, x: f.Magnitude) -> Printed:
        inner = self.show(x.operand)
        return (f"|{inner}|" if self.spelling is None else f"abs({inner})"), ATOM

    def _ones(self, x: f.Ones) -> Printed:
        return ("𝟏" if self.spelling is None else f"ones({self.extent(x.size)})"), ATOM

    def _zeros(self, x: f.Zeros) -> Printed:
        return ("0" if self.spelling is None else f"zeros({', '.join(self.extent(size) for size in x.shape)})"), ATOM

    def _identity(self, x: f.Identity) -> Printed:
        plain = self.spelling is None or self._identity_sized
        return ("I" if plain else f"diag(ones({self.extent(x.size)}))"), ATOM

    # ------------------------------------------------------------ indices

    def index_list(self, indices: tuple[tuple[str, Size], ...], body: f.Formula) -> str:
        """Return new indices, each with its range where the language would not find it in the subscripts of the body."""
        if self.spelling is None:
            return ", ".join(self.show(f.Index(letter)) for letter, _ in indices)
        alone = _ranges(body)
        return ", ".join(
            letter if alone.get(letter) == [size] else f"{letter} in {_factor(self.extent(size))}"
            for letter, size in indices
        )  # fmt: skip

    def _over(self, x: f.Over) -> Printed:
        kind = self.signs.sum if x.kind == "sum" else x.kind
        return f"{kind}[{self.index_list(x.indices, x.body)}]({self.show(x.body)})", ATOM

    def _comparison(self, x: f.Comparison) -> Printed:
        sign = self.signs.equals if x.relation == "==" else _RELATIONS.get(x.relation, x.relation)
        return f"{self.show(x.left)} {sign} {self.show(x.right)}", SUM

    def _bracket(self, x: f.Bracket) -> Printed:
        return f"{self.signs.opening}{self.show(x.condition)}{self.signs.closing}", ATOM

    def _within(self, x: f.Within) -> Printed:
        return f"[0 ≤ {self.show(x.operand)} < {self.number(x.size)[0]}]", ATOM

    def _cases(self, x: f.Cases) -> Printed:
        return f"where({self.show(x.condition)}, {self.show(x.yes)}, {self.show(x.no)})", ATOM


def _factor(text: str) -> str:
    return f"({text})" if " " in text else text


def _grouped(text: str) -> str:
    return f"({text})" if "/" in text else text


def _is_identity(x: f.Formula) -> bool:
    return isinstance(x, f.Identity) or (isinstance(x, f.Product) and isinstance(x.factors[-1], f.Identity))


def _ranges(body: f.Formula) -> dict[str, list[Size]]:
    """Return, for each index, the distinct sizes of the axes of named tensors that it subscripts alone."""
    found: dict[str, list[Size]] = {}
    for part in f.parts(body):
        if isinstance(part, f.Entry) and isinstance(part.base, f.Symbol):
            for subscript, size in zip(part.subscripts, part.sizes, strict=True):
                if isinstance(subscript, f.Index) and size not in found.setdefault(subscript.letter, []):
                    found[subscript.letter].append(size)
    return found
