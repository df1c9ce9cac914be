"""From text to the syntax tree: one LALR grammar, one statement at a time, nothing that grows with the depth of the input."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, UnexpectedInput
from lark.lexer import Lexer

from symbackprop.errors import EquationError
from symbackprop.language import syntax
from symbackprop.language.explain import explain
from symbackprop.language.source import decode
from symbackprop.language.tokens import NESTING_LIMIT, Lines, Tokenizer, split_lines
from symbackprop.language.tree import Refusal, tree_builder
from symbackprop.language.walk import deeper_than


class GivenTokens(Lexer):
    """The parser is handed tokens, not text."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, data: Any) -> Iterator[Token]:  # type: ignore[override]
        """Return the tokens as they are."""
        return iter(data)


def build_parser(**options: Any) -> Lark:
    """Return a parser of statements and formulas; the tests ask for a strict one."""
    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, parser="lalr", lexer=GivenTokens, transformer=tree_builder(), maybe_placeholders=True,
        start=["statement", "formula"], **options,
    )  # fmt: skip


_parser = lru_cache(maxsize=1)(build_parser)


def parse_text(text: str | bytes, filename: str = "<text>") -> syntax.Module:
    """Return the syntax tree of a model. Raises EquationError with the place of what is wrong."""
    source = split_lines(decode(text, filename), filename)
    tokenizer = Tokenizer(source)
    statements = []
    for tokens in tokenizer.statements():
        statement = _parse(tokens, source, "statement")
        if isinstance(statement, syntax.FunctionDefinition):
            tokenizer.functions.add(statement.name)
        statements.append(statement)
    return syntax.Module(filename, tokenizer.title, tuple(statements), source.lines)


def parse_formula(text: str, filename: str = "<formula>") -> syntax.Expression:
    """Return the tree of one expression, such as the formula of an activation. Raises EquationError with its place in the text."""
    source = split_lines(decode(text, filename), filename)
    statements = list(Tokenizer(source).statements())
    if not statements:
        raise source.error(1, 1, "there is no formula here")
    if len(source.lines) > 1:
        raise source.error(2, 1, "a formula is one line")
    return _parse(statements[0], source, "formula")


def _parse(tokens: list[Token], source: Lines, start: str) -> Any:
    try:
        tree: Any = _parser().parse(tokens, start=start)
    except UnexpectedInput as problem:
        raise explain(problem, tokens, source, start) from None
    except Refusal as refusal:
        raise _refused(refusal.position, refusal.message, refusal.hint, source) from None
    deep = deeper_than(NESTING_LIMIT, tree)
    if deep is not None:
        raise _refused(deep, f"this is nested more than {NESTING_LIMIT} deep", "give a part a name of its own", source)
    return tree


def _refused(place: syntax.Position, message: str, hint: str, source: Lines) -> EquationError:
    return source.error(place.line, place.column, message, hint, place.length)
