"""Reads the mathematics that is printed in Typst, and says it in LaTeX, so that the two can be compared."""

from __future__ import annotations

import re

from symbackprop.render.symbols import GREEK_IN_LATEX, GREEK_LETTERS

_TOKENS = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z]+(?:\.[a-z]+)?|\\.|\s+|.', re.DOTALL)
_SIGNS = {
    "∂": r"\partial", "∇": r"\nabla", "⊙": r"\odot", "⊘": r"\oslash", "⊗": r"\otimes", "⊤": r"\top", "⋅": r"\cdot",
    "∑": r"\sum",
    "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "≈": r"\approx", "∞": r"\infty", "ℓ": r"\ell", "−": "-",
    "⟨": r"\langle", "⟩": r"\rangle",
    "thin": r"\,", "\\,": ",", "\\(": "(", "\\)": ")", "\\[": "[", "\\]": "]",
}  # fmt: skip
_GREEK = {letter: f"\\{name}" for name, letter in GREEK_LETTERS.items() if name in GREEK_IN_LATEX}
_WRAPPERS = {
    "frac": r"\frac", "sqrt": r"\sqrt", "bold": r"\boldsymbol", "hat": r"\hat", "macron": r"\bar", "dot": r"\dot",
    "tilde": r"\tilde",
    "dot.double": r"\ddot", "dot.triple": r"\dddot", "dot.quad": r"\ddddot", "upright": r"\mathrm",
}  # fmt: skip
_KNOWN = {"exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "det", "max", "min"}


def as_latex(typst: str) -> str:
    """Return what the printer of LaTeX has for the same, without spaces."""
    reader = _Reader(typst)
    found = reader.sequence("")
    assert reader.place == len(reader.tokens), f"a bracket is closed that was never opened: {typst}"
    return _bold(found)


def plain(latex: str) -> str:
    """Return LaTeX without spaces, the growing of brackets, and the braces around a base."""
    text = re.sub(r"\\(left|right)(?=[\\()])", "", latex)
    found = re.search(r"(?:^|(?<=[ (,]))\{", text)
    while found:
        end = _closing(text, found.end())
        text = text[: found.start()] + text[found.end() : end] + text[end + 1 :]
        found = re.search(r"(?:^|(?<=[ (,]))\{", text)
    return re.sub(r"\s+", "", text)


def _closing(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    raise AssertionError(text)


def _bold(latex: str) -> str:
    return re.sub(r"\\boldsymbol\{\\mathrm\{([^{}]*)\}\}", r"\\mathbf{\1}", latex)


class _Reader:
    def __init__(self, typst: str) -> None:
        self.tokens = [token for token in _TOKENS.findall(typst) if not token.isspace()]
        self.place = 0

    def next(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def sequence(self, closing: str) -> str:
        """Everything up to a closing bracket or a comma between arguments, which is left."""
        text = ""
        while self.place < len(self.tokens) and self.tokens[self.place] not in (closing and ")", closing and ","):
            text += self.item()
        return text

    def arguments(self) -> list[str]:
        assert self.next() == "("
        found = [self.sequence(")")]
        while self.next() == ",":
            found.append(self.sequence(")"))
        return found

    def item(self) -> str:
        token = self.next()
        if token in ("^", "_"):
            if self.tokens[self.place] != "(":
                return f"{token}{self.next()}"
            (inner,) = self.arguments()
            return f"{token}{{{inner}}}"
        if token == "(":
            self.place -= 1
            (inner,) = self.arguments()
            return f"({inner})"
        if token == "op":
            word = self.arguments()[0]
            return f"\\{word}" if word in _KNOWN else f"\\operatorname{{{word}}}"
        if token == "class":
            side, bar = self.arguments()
            return f"\\{'l' if side == 'opening' else 'r'}{'Vert' if bar == '‖' else 'vert'}"
        if token in ("norm", "abs"):
            (inner,) = self.arguments()
            bar = "Vert" if token == "norm" else "vert"
            return f"\\l{bar}{inner}\\r{bar}"
        if token == "cases":
            yes, no = (part.replace("quad&", "&") for part in self.arguments())
            rows = yes.replace("&if", r"&\text{if}") + r"\\" + no.replace("&otherwise", r"&\text{otherwise}")
            return rf"\begin{{cases}}{rows}\end{{cases}}"
        if token in _WRAPPERS:
            return _WRAPPERS[token] + "".join(f"{{{part}}}" for part in self.arguments())
        if token.startswith('"'):
            return token[1:-1].replace("\\\\", "\\").replace('\\"', '"')
        return _SIGNS.get(token) or _GREEK.get(token, token)
