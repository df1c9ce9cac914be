"""From lines to tokens, statement by statement: where a bar opens or closes, where a bracket is a subscript, what is a function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lark import Token

from symbackprop.errors import EquationError
from symbackprop.language.vocabulary import CONSTANTS, FUNCTIONS, GREEK, REDUCERS, STATEMENTS

TOKEN_LIMIT = 10_000
NESTING_LIMIT = 200
DIGIT_LIMIT = 400

_NAME = r"[^\W\dᵀ⁰¹²³⁴-⁹](?:(?![ᵀ⁰¹²³⁴-⁹])\w)*"
_PATTERN = re.compile(
    r"(?P<SPACE>[ \t]+)|(?P<COMMENT>\#.*)"
    r"|(?P<NUMBER>\d+(?:\.\d+)?(?:[eE][+-]?\d+(?!\w))?|\.\d+(?:[eE][+-]?\d+(?!\w))?)"
    rf"|(?P<WORD>{_NAME}(?:⁽\d+⁾|⁽[⁰¹²³⁴-⁹]+⁾|[₀-₉]+)?)"
    r"|(?P<TRANSPOSE>\^\s*T(?!\w)|\^\s*\{T\}|\^⊤|ᵀ)"
    r"|(?P<BAR>(?:\|\||‖)(?:_(?:inf|∞|1|2|F)(?!\w))?)"
    r"|(?P<COMPARE>>=|<=|==|!=|[≥≤≠><])"
    r"|(?P<DOTSTAR>\.\*|⊙)|(?P<DOTSLASH>\./)|(?P<DOTPOWER>\.\^)|(?P<POWER>\^)"
    r"|(?P<SUPERSCRIPT>⁻?[⁰¹²³⁴-⁹]+)"
    r"|(?P<DOUBLE>\*\*|//|:=|&&)"
    r"|(?P<STAR>[*@·×])|(?P<SLASH>[/÷])|(?P<PLUS>\+)|(?P<MINUS>[-−])|(?P<PRIME>['′])"
    r"|(?P<LPAR>\()|(?P<RPAR>\))|(?P<LBRACKET>\[)|(?P<RBRACKET>\])|(?P<COMMA>,)|(?P<EQUALS>=)"
)
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_COMPARE = {"≥": ">=", "≤": "<=", "≠": "!="}
_CLOSING = {"RPAR": "LPAR", "RBRACKET": "LBRACKET", "RSUB": "LSUB"}
_OPERANDS = {"NUMBER", "NAME", "CONSTANT", "RPAR", "RBRACKET", "NORM_CLOSE", "TRANSPOSE", "SUPERSCRIPT", "PRIME"}
_HINTS = {
    "**": "a power is written ^",
    "//": "division is written /",
    ":=": "a definition is written =",
    "&&": "nest where(...)",
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
            opened = stack[-1]
            raise self.source.error(opened.line or 1, opened.column or 1, f"this {opened.value} is never closed")
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
                tokens.append(self._token(kind, text, number, place + 1, tokens, stack, spaced))
                if len(tokens) > TOKEN_LIMIT:
                    raise self.source.error(
                        number, place + 1, f"this statement has more than {TOKEN_LIMIT} words and signs", "split it"
                    )
            place = match.end()

    def _token(
        self, kind: str, text: str, line: int, column: int, tokens: list[Token], stack: list[Token], spaced: bool
    ) -> Token:
        def token(name: str, value: str) -> Token:
            return Token(name, value, line=line, column=column, end_column=column + len(text))

        before = tokens[-1] if tokens else None
        if kind == "DOUBLE":
            raise self.source.error(
                line, column, f"{text} is no sign of this language", _HINTS.get(text, ""), len(text)
            )
        if kind == "NUMBER":
            if (
                sum(c.isdigit() for c in text) > DIGIT_LIMIT
                or abs(int(re.split("[eE]", text)[1]) if re.search("[eE]", text) else 0) > DIGIT_LIMIT
            ):
                raise self.source.error(
                    line, column, f"this number is too large or too long (at most {DIGIT_LIMIT} digits)"
                )
            return token("NUMBER", text)
        if kind == "WORD":
            return token(*self._word(text, not tokens))
        if kind == "COMPARE":
            return token(kind, _COMPARE.get(text, text))
        if kind == "SUPERSCRIPT":
            return token(kind, text.translate(_SUPERSCRIPTS))
        if kind == "BAR":
            return self._bar(token, text, before, stack)
        if kind == "LBRACKET" and before is not None and before.type == "NAME" and not spaced:
            kind = "LSUB"
        if kind == "RBRACKET" and stack and stack[-1].type == "LSUB":
            kind = "RSUB"
        made = token(kind, text)
        if kind in ("LPAR", "LBRACKET", "LSUB"):
            self._open(made, stack)
        elif kind in _CLOSING:
            if not stack or stack[-1].type != _CLOSING[kind]:
                opened = f"; {stack[-1].value} in column {stack[-1].column} is open" if stack else ""
                raise self.source.error(line, column, f"this {text} closes nothing{opened}")
            stack.pop()
        return made

    def _open(self, token: Token, stack: list[Token]) -> None:
        stack.append(token)
        if len(stack) > NESTING_LIMIT:
            raise self.source.error(
                token.line or 1, token.column or 1, f"brackets are nested more than {NESTING_LIMIT} deep"
            )

    def _bar(self, token: object, text: str, before: Token | None, stack: list[Token]) -> Token:
        bar, _, kind = text.partition("_")
        operand_before = before is not None and (before.type in _OPERANDS or before.type == "RSUB")
        if operand_before and stack and stack[-1].type == "NORM_OPEN":
            stack.pop()
            return token("NORM_CLOSE", {"∞": "inf"}.get(kind, kind))  # type: ignore[operator]
        made: Token = token("NORM_OPEN", bar)  # type: ignore[operator]
        if kind:
            raise self.source.error(
                made.line or 1, made.column or 1, "this bar opens a norm; the suffix belongs to the closing one"
            )
        self._open(made, stack)
        return made

    def _word(self, text: str, first: bool) -> tuple[str, str]:
        name = canonical_name(text)
        if first and name in STATEMENTS:
            return f"KW_{name.upper()}", name
        if name == "in":
            return "IN", name
        if name in CONSTANTS:
            return "CONSTANT", name
        if name in REDUCERS:
            return "REDUCER", name
        if name in self.functions:
            return "FUNCTION", name
        return "NAME", name


def canonical_name(text: str) -> str:
    """Return a name with Greek letters spelled out, ``W⁽¹⁾`` as ``W1`` and ``b₁`` as ``b_1``."""
    text = "".join(GREEK.get(character, character) for character in text)
    if text.endswith("⁾"):
        base, _, inner = text[:-1].partition("⁽")
        return base + inner.translate(_SUPERSCRIPTS)
    digits = re.search("[₀-₉]+$", text)
    return f"{text[: digits.start()]}_{digits.group().translate(_SUBSCRIPTS)}" if digits else text


def _character_hint(character: str) -> str:
    return {
        "|": "a magnitude is written abs(x), a norm ||x||", "{": "brackets are ( and [", "}": "brackets are ( and [",
        ";": "one statement a line", ":": "a range is written i in n", "\\": "write names and signs, not LaTeX commands",
        '"': "there are no strings", "%": "a comment begins with #", "!": "different is written !=",
        "∂": "derivatives are what the tool finds", "∑": "write sum[i](...)", "Σ": "write sum[i](...)",
    }.get(character, "")  # fmt: skip
