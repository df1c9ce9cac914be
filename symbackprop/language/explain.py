"""What to say about a token that does not fit."""

from __future__ import annotations

from collections.abc import Collection

from lark import Token, UnexpectedInput
from lark.exceptions import UnexpectedToken

from symbackprop.errors import EquationError
from symbackprop.language.tokens import Lines
from symbackprop.language.vocabulary import RESERVED, STATEMENTS

_WORDS = {
    "NAME": "a name", "COMMA": ",", "EQUALS": "=", "RPAR": ")", "RBRACKET": "]", "RSUB": "]", "LSUB": "[ (without a space)",
    "LPAR": "(", "LBRACKET": "[", "IN": "in", "NORM_CLOSE": "||", "$END": "the end of the line",
}  # fmt: skip
_OPERAND = frozenset(("NUMBER", "NAME", "CONSTANT", "FUNCTION", "REDUCER", "LPAR", "LBRACKET", "NORM_OPEN", "ROOT"))
_OPERATOR = frozenset(
    ("STAR", "SLASH", "PLUS", "MINUS", "DOTSTAR", "DOTSLASH", "POWER", "DOTPOWER", "SUPERSCRIPT", "TRANSPOSE", "PRIME", "COMPARE")
)
_BEGINNINGS = f"{', '.join(STATEMENTS)}, or an equation: z = ..."


def explain(problem: UnexpectedInput, tokens: list[Token], source: Lines, start: str) -> EquationError:
    """Return the error for a statement (or a formula: ``start`` says which) whose tokens the grammar does not accept."""
    if not isinstance(problem, UnexpectedToken):
        return source.error_at(tokens[0], "this cannot be read")
    token = problem.token
    accepted = frozenset(problem.accepts or problem.expected)
    at_end = token.type == "$END"
    position = len(tokens) if at_end else next(k for k, other in enumerate(tokens) if other is token)
    before = tokens[position - 1] if position else None
    if before is not None and before.type in ("FUNCTION", "REDUCER") and not (token.type == "RPAR" and position > 1):
        return source.error_at(
            before, f"{before} is a function, and a function is followed by its argument", f"{before}(...)"
        )
    if at_end:
        last = tokens[-1]
        return source.error(
            last.line or 1, last.end_column or 1, "the statement ends too early", f"expected {_expected(accepted)}"
        )
    unreadable = position == 1 and tokens[0].type == "NAME" and token.type not in ("LBRACKET", "COMPARE")
    if start == "statement" and (before is None or unreadable):
        return _beginning(tokens, source)
    if "NAME" in accepted and not accepted & {"FUNCTION"} and (str(token) in RESERVED or token.type == "FUNCTION"):
        what = "a word of the language" if str(token) in RESERVED else "a function already"
        return source.error_at(token, f"{token} is {what} and cannot be a name", "choose another name")
    if token.type == "RESERVED":
        return source.error_at(token, f"{token} begins a statement and is no name", "one statement a line")
    if token.type == "EQUALS" and any(other.type == "EQUALS" for other in tokens[:position]):
        return source.error_at(token, "a second = in one equation", "one equation a line; compare with ==")
    if token.type == "COMPARE" and position == 1 and start == "statement":
        return source.error_at(token, "an equation is written with one =", f"{before} = ...")
    if token.type == "COMPARE" and any(other.type == "COMPARE" for other in tokens[:position]):
        return source.error_at(token, "comparisons do not chain", "both hold in (a > b) ⊙ (b > c)")
    if token.type == "COMMA" and {"EQUALS", "RBRACKET"} <= accepted or token.type == "LBRACKET" and position == 1:
        bracket = next(other for other in reversed(tokens[: position + 1]) if other.type == "LBRACKET")
        return source.error_at(bracket, "subscripts stand directly behind a name, without a space", "A[i, j]")
    return source.error_at(token, f"{token} does not fit here", f"expected {_expected(accepted)}")


def _beginning(tokens: list[Token], source: Lines) -> EquationError:
    first = tokens[0]
    if first.type in ("FUNCTION", "REDUCER", "CONSTANT", "IN"):
        what = "a word of the language" if str(first) in RESERVED else "a function already"
        return source.error_at(first, f"{first} is {what} and cannot be a name", "choose another name")
    return source.error_at(first, f"{first} cannot begin a statement", _BEGINNINGS)


def _expected(accepted: Collection[str]) -> str:
    names = set(accepted)
    words = []
    if names >= {"NUMBER", "FUNCTION"}:
        words.append("an operand (a name, a number or a bracket)")
        names -= _OPERAND
    if names & {"STAR", "PLUS"}:
        words.append("an operator" if "STAR" in names else "a sign")
        names -= _OPERATOR
    words += sorted({_WORDS[name] for name in names if name in _WORDS})
    return " or ".join(words) or "something else"
