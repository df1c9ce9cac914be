"""The grammar is unambiguous, and the words of the language are those of the registries."""

from __future__ import annotations

import warnings

import pytest
from lark.exceptions import GrammarError, LarkError

from symbackprop.functions.registry import POINTWISE
from symbackprop.language import parser
from symbackprop.language.calls import SPECIAL
from symbackprop.language.vocabulary import ELEMENTWISE, FUNCTIONS, GREEK, RESERVED, canonical_name


def strict_parser(grammar: str | None = None) -> object:
    if grammar is None:
        return parser.build_parser(strict=True)
    from lark import Lark

    return Lark(grammar, parser="lalr", lexer=parser.GivenTokens, start=["statement", "formula"], strict=True)


def test_the_grammar_builds_under_strict_rules() -> None:
    assert strict_parser()


def test_strict_rules_refuse_an_ambiguous_grammar() -> None:
    from importlib.resources import files

    grammar = files("symbackprop.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    unclear = grammar.replace("following: (STAR | SLASH) unary | powered", "following: (STAR | SLASH) unary | unary")
    assert unclear != grammar
    with pytest.raises((GrammarError, LarkError)), warnings.catch_warnings():
        strict_parser(unclear)  # a juxtaposed factor that may begin with a sign: is a - b a difference or a product?


def test_every_function_of_the_registry_is_a_word_of_the_language() -> None:
    assert set(ELEMENTWISE) == set(POINTWISE)
    assert FUNCTIONS == {*ELEMENTWISE, *SPECIAL, "where"}
    assert FUNCTIONS < RESERVED


@pytest.mark.parametrize("letter", sorted(GREEK))
def test_a_greek_letter_is_its_name(letter: str) -> None:
    assert canonical_name(letter) == GREEK[letter]
    assert canonical_name(f"{letter}1") == f"{GREEK[letter]}1"
