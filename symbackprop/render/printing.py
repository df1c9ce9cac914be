"""Formulas as text and as LaTeX. One walk; two tables of signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy

from symbackprop.graph.names import Adjoint, Tangent, parse_name
from symbackprop.render import formula as f
from symbackprop.render.symbols import escape, latex_name, parts, text_name

SUM, HADAMARD, PRODUCT, POWER, ATOM = range(5)
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_RELATIONS = {
    ">=": ("≥", r"\ge"),
    "==": ("=", "="),
    ">": (">", ">"),
    "<": ("<", "<"),
    "<=": ("≤", r"\le"),
    "!=": ("≠", r"\ne"),
}
_OPERATORS = {"sum": r"\sum", "max": r"\max", "logsumexp": r"\operatorname{logsumexp}"}
_KNOWN_OPERATORS = {"exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "det", "max", "min"}


@dataclass(frozen=True)
class Style:
    """How names are shown: ``notation`` of gradients, and the capital of a stacked value."""

    notation: str = "partial"
    capitals: Callable[[str], str] = staticmethod(lambda name: name)
    intermediate: frozenset[str] = frozenset()


class TextPrinter:
    """Prints formulas in Unicode. ``typeable`` prints what the language reads back."""

    def __init__(self, style: Style, typeable: bool = False) -> None:
        self.style, self.typeable = style, typeable

    def name(self, name: str) -> str:
        """A name, or a derived name: ∂J/∂z, ż."""
        meaning = parse_name(name)
        if isinstance(meaning, Adjoint):
            above, below = self.name(meaning.of), self.name(meaning.by)
            if self.style.notation == "nabla":
                return f"∇{below} {above}"
            if self.style.notation == "delta" and meaning.by in self.style.intermediate:
                return f"δ_{below}"
            return f"∂{_bracketed(above)}/∂{_bracketed(below)}"
        if isinstance(meaning, Tangent):
            inner = self.name(meaning.of)
            return inner + "\u0307" if len(inner) == 1 else f"D[{inner}]"
        if name.startswith("G["):
            return "G"
        return text_name(self.style.capitals(name))

    def show(self, formula: f.Formula, level: int = SUM) -> str:
        """Return the formula, in brackets where it binds less tightly than ``level`` asks."""
        text, own = self._show(formula)
        return f"({text})" if own < level else text

    def _show(self, x: f.Formula) -> tuple[str, int]:
        if isinstance(x, f.Symbol):
            text = self.name(x.name)
            return text, (PRODUCT if "/" in text or " " in text else ATOM)
        if isinstance(x, f.Number):
            return self.number(x.value)
        if isinstance(x, f.Index):
            return x.letter, ATOM
        if isinstance(x, f.Sum):
            text = ""
            for k, (plus_or_minus, term) in enumerate(x.terms):
                shown = self.show(term, HADAMARD)
                text += (
                    ("−" if plus_or_minus < 0 else "") + shown
                    if k == 0
                    else (" − " if plus_or_minus < 0 else " + ") + shown
                )
            return text, SUM
        if isinstance(x, f.Product):
            return self._product(x), PRODUCT
        if isinstance(x, f.Hadamard):
            return " ⊙ ".join(self.show(part, PRODUCT) for part in x.factors), HADAMARD
        if isinstance(x, f.Quotient):
            if x.elementwise:
                return f"{self.show(x.above, PRODUCT)} ./ {self.show(x.below, POWER)}", HADAMARD
            return self._fraction(x)
        if isinstance(x, f.Power):
            if isinstance(x.exponent, f.Number) and x.exponent.value.is_Integer and not x.elementwise:
                return self.show(x.base, ATOM) + str(x.exponent.value).translate(_SUPERSCRIPT), POWER
            return f"{self.show(x.base, ATOM)}{'.' if x.elementwise else ''}^{self.show(x.exponent, ATOM)}", POWER
        if isinstance(x, f.Transpose):
            return self.show(x.operand, ATOM) + "ᵀ", POWER
        if isinstance(x, f.Inverse):
            return self.show(x.operand, ATOM) + "⁻¹", POWER
        if isinstance(x, f.Call):
            name = {"sigmoid": "σ"}.get(x.function, x.function)
            if name == "sqrt":
                return f"√({self.show(x.arguments[0])})", ATOM
            return f"{text_name(name)}({', '.join(self.show(a) for a in x.arguments)})", ATOM
        if isinstance(x, f.Norm):
            return f"‖{self.show(x.operand)}‖{'_' + x.kind if x.kind else ''}", ATOM
        if isinstance(x, f.Magnitude):
            return f"|{self.show(x.operand)}|", ATOM
        if isinstance(x, f.Ones):
            return "𝟏", ATOM
        if isinstance(x, f.Identity):
            return "I", ATOM
        if isinstance(x, f.Entry):
            subscripts = ", ".join(self.show(s) for s in x.subscripts)
            return f"{self.show(x.base, ATOM)}[{subscripts}]", ATOM
        if isinstance(x, f.Over):
            sign = {"sum": "Σ"}.get(x.kind, x.kind)
            return f"{sign}[{', '.join(name for name, _ in x.indices)}]({self.show(x.body)})", ATOM
        if isinstance(x, f.Comparison):
            return f"{self.show(x.left)} {_RELATIONS[x.relation][0]} {self.show(x.right)}", SUM
        if isinstance(x, f.Bracket):
            return f"[{self.show(x.condition)}]", ATOM
        if isinstance(x, f.Within):
            return f"[0 ≤ {self.show(x.operand)} < {self.number(x.size)[0]}]", ATOM
        if isinstance(x, f.Cases):
            return f"where({self.show(x.condition)}, {self.show(x.yes)}, {self.show(x.no)})", ATOM
        raise TypeError(f"no text for {type(x).__name__}")

    def _product(self, x: f.Product) -> str:
        shown = []
        for k, part in enumerate(x.factors):
            level = POWER if k or len(x.factors) > 1 and isinstance(part, f.Symbol) else PRODUCT
            shown.append(
                self.show(part, POWER if not isinstance(part, f.Quotient) or part.elementwise else PRODUCT)
                if level
                else self.show(part, level)
            )
        return " ".join(shown)

    def _fraction(self, x: f.Quotient) -> tuple[str, int]:
        if isinstance(x.above, f.Number) and isinstance(x.below, f.Number):
            common = {(1, 2): "½", (1, 3): "⅓", (1, 4): "¼", (3, 4): "¾"}
            if x.above.value.is_Integer and x.below.value.is_Integer:
                found = common.get((int(x.above.value), int(x.below.value)))
                if found:
                    return found, ATOM
        return f"{self.show(x.above, PRODUCT)}/{self.show(x.below, POWER)}", PRODUCT

    def number(self, value: sympy.Expr) -> tuple[str, int]:
        """A number or an expression in sizes."""
        if value.is_Integer:
            return str(value).replace("-", "−"), ATOM if value >= 0 else SUM
        if value is sympy.oo:
            return "∞", ATOM
        if value is sympy.pi:
            return "π", ATOM
        if value.is_Rational:
            return decimal(value) or f"{value.p}/{value.q}", PRODUCT if decimal(value) is None else ATOM
        if value.is_Symbol:
            return text_name(value.name), ATOM
        if value.is_Pow and value.exp == sympy.Rational(1, 2):
            inner, own = self.number(value.base)
            return (f"√{inner}" if own == ATOM else f"√({inner})"), ATOM
        if value.is_Pow and value.exp.could_extract_minus_sign():
            below, own = self.number(1 / value)
            return f"1/{below if own >= POWER else f'({below})'}", PRODUCT
        if value.is_Pow:
            base, own = self.number(value.base)
            exponent, _ = self.number(value.exp)
            return (
                f"{base if own == ATOM else f'({base})'}^{exponent if len(exponent) == 1 else f'({exponent})'}",
                POWER,
            )
        if value.is_Add:
            text = ""
            for k, term in enumerate(
                sorted(value.args, key=lambda t: (t.is_number, t.could_extract_minus_sign(), str(t)))
            ):
                minus = term.could_extract_minus_sign()
                shown = self.number(-term if minus else term)[0]
                text += ("−" if minus else "") + shown if k == 0 else (" − " if minus else " + ") + shown
            return text, SUM
        if value.is_Mul:
            above, below = sympy.fraction(value)
            if below != 1:
                top, bottom = self.number(above), self.number(below)
                return (top[0] if top[1] >= PRODUCT else f"({top[0]})") + "/" + (
                    bottom[0] if bottom[1] >= POWER else f"({bottom[0]})"
                ), PRODUCT
            pieces = [
                self.number(part)
                for part in sorted(value.args, key=lambda t: (not t.is_Rational, not t.is_Symbol, str(t)))
            ]
            return " ".join(text if own >= PRODUCT else f"({text})" for text, own in pieces), PRODUCT
        inner = ", ".join(self.number(part)[0] for part in value.args)
        return f"{getattr(value.func, 'title', value.func.__name__)}({inner})", ATOM


def _bracketed(text: str) -> str:
    return f"({text})" if "/" in text else text


def decimal(value: sympy.Rational) -> str | None:
    """A fraction as a short exact decimal, or None."""
    denominator = value.q
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1 or value.q < 10:
        return None
    digits = len(str(value.q)) + 8
    text = f"{sympy.Float(value, 30):.{digits}f}".rstrip("0") if value.q < 10**12 else None
    if text is None or sympy.Rational(text) != value:
        return None
    return text


class LatexPrinter:
    """Prints formulas in LaTeX (amsmath). Every name passes through the escaping of `symbols`."""

    def __init__(self, style: Style) -> None:
        self.style = style

    def name(self, name: str, rank: int) -> str:
        """A name, or a derived name."""
        meaning = parse_name(name)
        if isinstance(meaning, Adjoint):
            above, below = self.name(meaning.of, 0), self.name(meaning.by, rank)
            if self.style.notation == "nabla":
                return f"\\nabla_{{{below}}} {above}"
            if self.style.notation == "delta" and meaning.by in self.style.intermediate:
                p = parts(meaning.by)
                core = "\\boldsymbol{\\delta}" if rank else "\\delta"
                if p.number and len(p.stem) == 1 and p.stem in "zZ":
                    return f"{core}^{{({p.number})}}"
                return f"{core}_{{{below}}}"
            return f"\\frac{{\\partial {above}}}{{\\partial {below}}}"
        if isinstance(meaning, Tangent):
            return f"\\dot{{{self.name(meaning.of, rank)}}}"
        if name.startswith("G["):
            return "\\mathbf{G}" if rank else "G"
        return latex_name(self.style.capitals(name), rank)

    def show(self, formula: f.Formula, level: int = SUM) -> str:
        """Return the formula, in brackets where it binds less tightly than ``level`` asks."""
        text, own = self._show(formula)
        return f"\\left({text}\\right)" if own < level else text

    def _show(self, x: f.Formula) -> tuple[str, int]:
        if isinstance(x, f.Symbol):
            text = self.name(x.name, x.rank)
            return text, (PRODUCT if "\\nabla" in text else POWER if "^" in text or "\\frac" in text else ATOM)
        if isinstance(x, f.Number):
            return self.number(x.value)
        if isinstance(x, f.Index):
            return x.letter if "_" not in x.letter else x.letter.replace("_", "_{") + "}", ATOM
        if isinstance(x, f.Sum):
            text = ""
            for k, (plus_or_minus, term) in enumerate(x.terms):
                shown = self.show(term, HADAMARD)
                text += (
                    ("-" if plus_or_minus < 0 else "") + shown
                    if k == 0
                    else (" - " if plus_or_minus < 0 else " + ") + shown
                )
            return text, SUM
        if isinstance(x, f.Product):
            return " \\, ".join(self.show(part, POWER) for part in x.factors), PRODUCT
        if isinstance(x, f.Hadamard):
            return " \\odot ".join(self.show(part, PRODUCT) for part in x.factors), HADAMARD
        if isinstance(x, f.Quotient):
            if x.elementwise:
                return f"{self.show(x.above, PRODUCT)} \\oslash {self.show(x.below, POWER)}", HADAMARD
            return f"\\frac{{{self.show(x.above)}}}{{{self.show(x.below)}}}", POWER
        if isinstance(x, f.Power):
            sign = "\\odot " if x.elementwise else ""
            return f"{self.show(x.base, ATOM)}^{{{sign}{self.show(x.exponent)}}}", POWER
        if isinstance(x, f.Transpose):
            return self._raised(x.operand, "\\top"), POWER
        if isinstance(x, f.Inverse):
            return self._raised(x.operand, "-1"), POWER
        if isinstance(x, f.Call):
            return self._call(x), ATOM
        if isinstance(x, f.Norm):
            return f"\\left\\lVert {self.show(x.operand)} \\right\\rVert" + (f"_{{{x.kind}}}" if x.kind else ""), ATOM
        if isinstance(x, f.Magnitude):
            return f"\\left\\lvert {self.show(x.operand)} \\right\\rvert", ATOM
        if isinstance(x, f.Ones):
            return "\\mathbf{1}", ATOM
        if isinstance(x, f.Identity):
            return "\\mathbf{I}", ATOM
        if isinstance(x, f.Entry):
            subscripts = ",".join(self.show(s) for s in x.subscripts)
            base, own = self._show(x.base)
            plain = own == ATOM and not base.endswith("}") or (own == ATOM and "_" not in base)
            return f"{base if plain else f'{{{self.show(x.base, ATOM)}}}'}_{{{subscripts}}}", ATOM
        if isinstance(x, f.Over):
            names = ",".join(self._show(f.Index(name))[0] for name, _ in x.indices)
            return f"{_OPERATORS[x.kind]}_{{{names}}} {self.show(x.body, PRODUCT)}", PRODUCT
        if isinstance(x, f.Comparison):
            return f"{self.show(x.left)} {_RELATIONS[x.relation][1]} {self.show(x.right)}", SUM
        if isinstance(x, f.Bracket):
            return f"[{self.show(x.condition)}]", ATOM
        if isinstance(x, f.Within):
            return f"[0 \\le {self.show(x.operand)} < {self.number(x.size)[0]}]", ATOM
        if isinstance(x, f.Cases):
            return (
                f"\\begin{{cases}} {self.show(x.yes)} & \\text{{if }} {self.show(x.condition)} \\\\ "
                f"{self.show(x.no)} & \\text{{otherwise}} \\end{{cases}}"
            ), ATOM
        raise TypeError(f"no LaTeX for {type(x).__name__}")

    def _raised(self, operand: f.Formula, sign: str) -> str:
        text, own = self._show(operand)
        if own == ATOM:
            return f"{text}^{{{sign}}}"
        if isinstance(operand, f.Symbol) and "\\frac" not in text and text.endswith("}") and "^{(" in text:
            return f"{text[:-1]}{sign}}}" if sign == "\\top" else f"{{{text}}}^{{{sign}}}"
        return f"\\left({text}\\right)^{{{sign}}}"

    def _call(self, x: f.Call) -> str:
        arguments = ", ".join(self.show(a) for a in x.arguments)
        if x.function == "sqrt":
            return f"\\sqrt{{{arguments}}}"
        primes = len(x.function) - len(x.function.rstrip("′"))
        stem = x.function.rstrip("′")
        partial = ""
        while stem.startswith("∂"):
            partial += f"\\partial_{{{stem[1].translate(str.maketrans('₀₁₂₃₄₅₆₇₈₉', '0123456789'))}}}"
            stem = stem[2:]
        if stem == "sigmoid":
            name = "\\sigma"
        elif stem in _KNOWN_OPERATORS:
            name = f"\\{stem}"
        elif len(stem) == 1 or latex_name(stem, 0).startswith("\\") and not latex_name(stem, 0).startswith("\\mathrm"):
            name = latex_name(stem, 0)
        else:
            name = f"\\operatorname{{{escape(stem)}}}"
        return f"{partial}{name}{chr(39) * primes}\\left({arguments}\\right)"

    def number(self, value: sympy.Expr) -> tuple[str, int]:
        """A number or an expression in sizes."""
        if value.is_Integer:
            return str(value), ATOM if value >= 0 else SUM
        if value is sympy.oo:
            return "\\infty", ATOM
        if value is sympy.pi:
            return "\\pi", ATOM
        if value.is_Rational:
            exact = decimal(value)
            return (exact, ATOM) if exact else (f"\\frac{{{value.p}}}{{{value.q}}}", POWER)
        if value.is_Symbol:
            return latex_name(value.name, 0), ATOM
        if value.is_Pow and value.exp == sympy.Rational(1, 2):
            return f"\\sqrt{{{self.number(value.base)[0]}}}", ATOM
        if value.is_Pow and value.exp.could_extract_minus_sign():
            return f"\\frac{{1}}{{{self.number(1 / value)[0]}}}", POWER
        if value.is_Pow:
            base, own = self.number(value.base)
            return f"{base if own == ATOM else f'({base})'}^{{{self.number(value.exp)[0]}}}", POWER
        if value.is_Add:
            text = ""
            for k, term in enumerate(
                sorted(value.args, key=lambda t: (t.is_number, t.could_extract_minus_sign(), str(t)))
            ):
                minus = term.could_extract_minus_sign()
                shown = self.number(-term if minus else term)[0]
                text += ("-" if minus else "") + shown if k == 0 else (" - " if minus else " + ") + shown
            return text, SUM
        if value.is_Mul:
            above, below = sympy.fraction(value)
            if below != 1:
                return f"\\frac{{{self.number(above)[0]}}}{{{self.number(below)[0]}}}", POWER
            pieces = [
                self.number(part)
                for part in sorted(value.args, key=lambda t: (not t.is_Rational, not t.is_Symbol, str(t)))
            ]
            return " ".join(text if own >= PRODUCT else f"({text})" for text, own in pieces), PRODUCT
        inner = ", ".join(self.number(part)[0] for part in value.args)
        return f"\\operatorname{{{escape(value.func.__name__)}}}\\left({inner}\\right)", ATOM
