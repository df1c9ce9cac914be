"""Whatever is written: a model, or an error with a place in the text. Never anything else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbackprop.errors import EquationError
from symbackprop.graph.verify import verify
from symbackprop.models import builtin_names, builtin_text
from tests.language.models import DECLARED, below_a_heading

WORDS = (
    *"L = x y tok c W A u s T3 lambda phi swish relu softmax max sum mean where cross_entropy onehot ones size floor".split(),
    *"tr inv logdet diag I inf pi in h d q i j 0 1 2 0.5 ( ) [ ] ( ) , + - * / ⊙ ./ ^ .^ ^T ' || || _1 ² ᵀ ⁻¹".split(),
    *"> >= == √ ∑ 𝟏 ½ λ # dim param input minimize output function batch".split(),
    *("\n", "\n "),
)
VALUES = (
    *"x u v A B D u v A W s r p lambda h c tok T3 I 0 1 2 1/2 -1 inf u[i] u[j] W[i,0] u[i+1] p[c] i j tok[0]".split(),
    *"A[i,j] size(h) floor(h/2) onehot(c) ones(h) ones(h,h)".split(),
)
OPERATORS = ("+", "-", "", "*", "/", "⊙", "./", ">", "==")
EXPONENTS = ("T", "2", "-1", "0", "1/2", "s", "(T)")
FUNCTIONS = (
    *"relu phi swish exp log softmax logsumexp sum mean max tr inv det logdet diag rowsum phi' abs sqrt".split(),
    *"sum[i] sum[i,j] max[i] mean[j] logsumexp[j]".split(),
    "sum[i in h]",
)
NORMS = ("", "_1", "_2", "_F", "_inf", "^2")


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("({})^{}".format, inner, st.sampled_from(EXPONENTS)),
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS), inner),
        st.builds("{}({}, {})".format, st.sampled_from(("max", "min", "cross_entropy", "huber")), inner, inner),
        st.builds("where({} > {}, {}, {})".format, inner, inner, inner, inner),
        st.builds("||{}||{}".format, inner, st.sampled_from(NORMS)),
    )


EXPRESSIONS = st.recursive(st.sampled_from(VALUES), _larger, max_leaves=8)


def answer(text: str) -> None:
    """Read a text; the error, if there is one, must point into it."""
    try:
        model = below_a_heading(text)
    except EquationError as problem:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.message and str(problem).startswith("m.eq:")
    else:
        verify(model.graph)


@pytest.mark.timeout(120)
@settings(max_examples=250)
@given(st.lists(st.sampled_from(WORDS), max_size=14), st.sampled_from(("", " ")))
def test_words_in_any_order(words: list[str], between: str) -> None:
    answer(DECLARED + "L = " + between.join(words))


@pytest.mark.timeout(120)
@settings(max_examples=250)
@given(EXPRESSIONS, st.sampled_from(("L", "L[i]", "L[i, j]", "L[i in h]")))
def test_any_expression(expression: str, left: str) -> None:
    answer(f"{DECLARED}{left} = {expression}\n")


@pytest.mark.timeout(120)
@settings(max_examples=150)
@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    answer(text)
    answer(DECLARED + "L = s " + text)


@pytest.mark.parametrize("name", builtin_names())
def test_a_model_with_a_hole_a_swap_or_an_end(name: str) -> None:
    text = builtin_text(name)
    choice = random.Random(7)
    for _ in range(12):
        first, second = sorted(choice.sample(range(len(text)), 2))
        answer(text[:first] + text[first + 1 :])
        answer(text[:first])
        answer(text[:first] + text[second] + text[first + 1 : second] + text[first] + text[second + 1 :])
