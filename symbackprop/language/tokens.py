"""From lines to tokens, statement by statement: where a bar opens or closes, where a bracket is a subscript, what is a function."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from lark import Token

from symbackprop.errors import EquationError
from symbackprop.language.vocabulary import (
    CONSTANTS,
    FUNCTIONS,
    REDUCERS,
    STATEMENTS,
    canonical_name,
    digits,
    is_letter,
)

TOKEN_LIMIT = 10_000
NESTING_LIMIT = 200
NAME_LIMIT = 100
DIGIT_LIMIT = 400
EXPONENT_LIMIT = 300
"""Powers of ten: whatever is accepted is a number in double precision."""

_LETTERS = "".join(filter(is_letter, map(chr, range(0x1F00))))
_ACCENT = "[\u0302\u0303\u0304\u0307]"
_PATTERN = re.compile(
    r"(?P<SPACE>[ \t]+)|(?P<COMMENT>\#.*)"
    r"|(?P<NUMBER>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+(?![0-9A-Za-z_]))?|[½⅓¼¾])"
    rf"|(?P<WORD>[{_LETTERS}]{_ACCENT}?[{_LETTERS}0-9_]*(?:⁽[0-9]+⁾|⁽[⁰¹²³⁴-⁹]+⁾|[₀-₉]+)?)"
    r"|(?P<INVERSE_TRANSPOSE>\^[ \t]*[-−][ \t]*T(?![0-9A-Za-z_])|\^\{-[T⊤]\}|⁻ᵀ)"
    r"|(?P<TRANSPOSE>\^[ \t]*T(?![0-9A-Za-z_])|\^\{[T⊤]\}|\^⊤|ᵀ)"
    r"|(?P<BAR>(?:\|\||‖)(?:_(?:inf|∞|1|2|F)(?![0-9A-Za-z_])|[₁₂])?)"
    r"|(?P<COMPARE>>=|<=|==|!=|[≥≤≠><])"
    r"|(?P<DOTSTAR>\.\*|⊙)|(?P<DOTSLASH>\./)|(?P<DOTPOWER>\.\^)"
    r"|(?P<DOUBLE>\*\*|//|:=|&&)|(?P<POWER>\^)"
    r"|(?P<SUPERSCRIPT>⁻?[⁰¹²³⁴-⁹]+)"
    r"|(?P<STAR>[*@·×])|(?P<SLASH>[/÷])|(?P<PLUS>\+)|(?P<MINUS>[-−])|(?P<PRIME>['′″])|(?P<ROOT>√)"
    r"|(?P<SIGN>[∞∑𝟏])"
    r"|(?P<LPAR>\()|(?P<RPAR>\))|(?P<LBRACKET>\[)|(?P<RBRACKET>\])|(?P<COMMA>,)|(?P<EQUALS>=)"
)
_SIGNS = {"∞": ("CONSTANT", "inf"), "∑": ("REDUCER", "sum"), "𝟏": ("FUNCTION", "ones")}
_FRACTIONS = {"½": "1/2", "⅓": "1/3", "¼": "1/4", "¾": "3/4"}
_COMPARE = {"≥": ">=", "≤": "<=", "≠": "!="}
_NORMS = {"∞": "inf", "₁": "1", "₂": "2"}
_CLOSING = {"RPAR": "LPAR", "RBRACKET": "LBRACKET", "RSUB": "LSUB"}
_OPERAND_ENDS = frozenset(
    ("NUMBER", "NAME", "CONSTANT", "RPAR", "RBRACKET", "RSUB", "NORM_CLOSE", "TRANSPOSE", "SUPERSCRIPT", "PRIME")
)
_HINTS = {
    "**": "a power is written ^",
    "//": "division is written /",
    ":=": "a definition is written =",
    "&&": "both hold in (a > b) ⊙ (c > d)",
}


@dataclass(frozen=True)
class Lines:
    """A text with its common indentation removed."""

    filename: str
    lines: tuple[str, ...]
    shift: int

    def error(self, line: int, column: int, message: str, hint: str = "", length: int = 1) -> EquationError:
        """Return the error for a place; the column counts in the text as given."""
        source = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return EquationError(
            message, file=self.filename, line=line, column=column, source_line=source, length=length, hint=hint
        )

    def error_at(self, token: Token, message: str, hint: str = "") -> EquationError:
        """Return the error for a token."""
        line, column = token.line or 1, token.column or 1
        return self.error(line, column, message, hint, max(1, (token.end_column or 0) - column))


def split_lines(text: str, filename: str) -> Lines:
    """Return the lines, and how far all of them are indented."""
    lines = tuple(text.split("\n"))
    depths = [
        len(line) - len(line.lstrip(" \t")) for line in lines if line.strip() and not line.lstrip().startswith("#")
    ]
    return Lines(filename, lines, min(depths, default=0))


class Tokenizer:
    """Yields the statements of a text as lists of tokens. `functions` grows as the caller meets declarations."""

    def __init__(self, source: Lines) -> None:
        self.source = source
        self.functions: set[str] = set(FUNCTIONS)
        self.title = ""

    def statements(self) -> Iterator[list[Token]]:
        """Yield each statement's tokens: a line, continued while brackets are open and by indented lines."""
        current: list[Token] = []
        stack: list[Token] = []
        for number, line in enumerate(self.source.lines, start=1):
            stripped = line.strip()
            if not stripped:
                continue
            if stripped.startswith("#"):
                self.title = self.title or stripped.lstrip("# ").strip()
                continue
            indented = len(line) - len(line.lstrip(" \t")) > self.source.shift
            if current and not stack and not indented:
                yield current
                current = []
            self._line(number, line, current, stack)
        if stack:
            raise self.source.error_at(stack[-1], f"this {stack[-1].value} is never closed")
        if current:
            yield current

    def _line(self, number: int, line: str, tokens: list[Token], stack: list[Token]) -> None:
        place = 0
        while place < len(line):
            match = _PATTERN.match(line, place)
            if match is None:
                raise self.source.error(
                    number, place + 1, f"the character {line[place]!r} means nothing here", _character_hint(line[place])
                )
            kind, text = match.lastgroup or "", match.group()
            if kind not in ("SPACE", "COMMENT"):
                spaced = place > 0 and line[place - 1] in " \t"
                for name, value in self._read(kind, text, bool(tokens)):
                    token = Token(name, value, line=number, column=place + 1, end_column=match.end() + 1)
                    tokens.append(self._placed(token, text, tokens, stack, spaced))
                if len(tokens) > TOKEN_LIMIT:
                    raise self.source.error(
                        number, place + 1, f"this statement has more than {TOKEN_LIMIT} words and signs", "split it"
                    )
            place = match.end()

    def _read(self, kind: str, text: str, later: bool) -> list[tuple[str, str]]:
        """Return the types and values of the tokens that a piece of text stands for."""
        if kind == "WORD":
            return [self._word(canonical_name(text), later)]
        if kind == "SIGN":
            return [_SIGNS[text]]
        if kind == "NUMBER":
            return [(kind, _FRACTIONS.get(text, text))]
        if kind == "COMPARE":
            return [(kind, _COMPARE.get(text, text))]
        if kind == "SUPERSCRIPT":
            return [(kind, digits(text))]
        if kind == "INVERSE_TRANSPOSE":
            return [("SUPERSCRIPT", "-1"), ("TRANSPOSE", "T")]
        if text == "″":
            return [("PRIME", "'")] * 2
        return [(kind, text)]

    def _word(self, name: str, later: bool) -> tuple[str, str]:
        if name in STATEMENTS:
            return (f"KW_{name.upper()}", name) if not later else ("RESERVED", name)
        if name == "in":
            return "IN", name
        if name in CONSTANTS:
            return "CONSTANT", name
        if name in REDUCERS:
            return "REDUCER", name
        return ("FUNCTION" if name in self.functions else "NAME"), name

    def _placed(self, token: Token, text: str, tokens: list[Token], stack: list[Token], spaced: bool) -> Token:
        """Return the token as what it is at its place; brackets and bars open and close."""
        before = tokens[-1] if tokens else None
        if token.type == "DOUBLE":
            raise self.source.error_at(token, f"{text} is no sign of this language", _HINTS[text])
        if len(text) > NAME_LIMIT and token.type == "NAME":
            raise self.source.error_at(token, f"this name has more than {NAME_LIMIT} characters")
        if token.type == "NAME" and any(unicodedata.combining(character) for character in token):
            raise self.source.error_at(token, "an accent belongs to a single letter", "write a word: xy_hat")
        if token.type == "NUMBER":
            self._check_number(token, before, spaced)
        if token.type == "BAR":
            return self._bar(token, text, before, stack)
        if token.type == "LBRACKET" and before is not None and before.type == "NAME" and not spaced:
            token = token.update(type="LSUB")
        if token.type == "RBRACKET" and stack and stack[-1].type == "LSUB":
            token = token.update(type="RSUB")
        if token.type in ("LPAR", "LBRACKET", "LSUB"):
            self._open(token, stack)
        elif token.type in _CLOSING:
            if not stack or stack[-1].type != _CLOSING[token.type]:
                opened = f"; {stack[-1].value} in column {stack[-1].column} is open" if stack else ""
                raise self.source.error_at(token, f"this {text} closes nothing{opened}")
            stack.pop()
        return token

    def _check_number(self, token: Token, before: Token | None, spaced: bool) -> None:
        if before is not None and not spaced and before.line == token.line and before.type in ("NUMBER", "NAME"):
            raise self.source.error_at(token, f"{before}{token} is no number and no name")
        mantissa, _, exponent = token.lower().partition("e")
        if sum(c.isdigit() for c in mantissa) > DIGIT_LIMIT:
            raise self.source.error_at(token, f"this number is too long (at most {DIGIT_LIMIT} digits)")
        if len(mantissa.partition(".")[0]) > EXPONENT_LIMIT or len(exponent) > 6 or abs(int(exponent or 0)) > EXPONENT_LIMIT:
            raise self.source.error_at(token, f"this number is too large or too small (at most 1e{EXPONENT_LIMIT})")

    def _open(self, token: Token, stack: list[Token]) -> None:
        stack.append(token)
        if len(stack) > NESTING_LIMIT:
            raise self.source.error_at(token, f"brackets are nested more than {NESTING_LIMIT} deep")

    def _bar(self, token: Token, text: str, before: Token | None, stack: list[Token]) -> Token:
        kind = re.sub("^([|][|]|‖)_?", "", text)
        if before is not None and before.type in _OPERAND_ENDS and stack and stack[-1].type == "NORM_OPEN":
            stack.pop()
            return token.update(type="NORM_CLOSE", value=_NORMS.get(kind, kind))
        if kind:
            raise self.source.error_at(token, "this bar opens a norm; the suffix belongs to the closing one")
        opening = token.update(type="NORM_OPEN")
        self._open(opening, stack)
        return opening


def _character_hint(character: str) -> str:
    return {
        "|": "a magnitude is written abs(x), a norm ||x||", "{": "brackets are ( and [", "}": "brackets are ( and [",
        ";": "one statement a line", ":": "a range is written i in n", "\\": "write names and signs, not LaTeX commands",
        '"': "there are no strings", "%": "a comment begins with #", "!": "different is written !=",
        "∂": "derivatives are what the tool finds", "∇": "derivatives are what the tool finds", "∈": "write in",
        "_": "a name begins with a letter; norms end with _1, _2, _F or _inf", "$": "write the formula without $",
    }.get(character, "")  # fmt: skip
