"""Spellings of one model reach one result: the same nodes, once other names are undone."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import Node
from symbackprop.graph.walk import substitute
from symbackprop.language.lowering import lower
from symbackprop.models import builtin_names, builtin_text
from symbackprop.simplify.engine import Simplifier
from tests.respelling import Respelling, undone
from tests.strategies import Recipe, recipes

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


def derived(text: str, batched: bool) -> DerivedGraph:
    return derive_graph(lower(text), batched=batched, all_values=True)


def backward(of: DerivedGraph) -> dict[str, Node]:
    return {equation.name: equation.node for equation in of.backward}


def differences(plain: str, other: str, renamed: dict[str, str], batched: bool) -> list[str]:
    first = backward(derived(plain, batched))
    second = undone(backward(derived(other, batched)), renamed)
    assert first
    return [name for name in {**first, **second} if first.get(name) is not second.get(name)]


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("batched", [False, True], ids=["example", "batch"])
def test_spellings_of_a_built_in_model(name: str, batched: bool) -> None:
    for seed in range(4):
        respelling = Respelling(Random(f"{name} {seed}"))
        other = respelling.spell(builtin_text(name))
        assert not differences(builtin_text(name), other, respelling.renamed, batched), other


@settings(max_examples=40, suppress_health_check=SLOW)
@given(recipes(), st.randoms(use_true_random=False), st.booleans())
def test_spellings_of_random_models(recipe: Recipe, random: Random, batched: bool) -> None:
    respelling = Respelling(random)
    other = respelling.spell(recipe.spell(random))
    assert not differences(recipe.spell(), other, respelling.renamed, batched), other


def written_out(of: DerivedGraph, renamed: dict[str, str], introduced: list[str]) -> dict[str, Node]:
    """The backward equations with the introduced values and their cotangents put in."""
    new = {equation.reference: equation.node for equation in of.graph.equations}
    objective = of.model.objective
    gone = {*introduced, *(f"∂{objective}/∂{name}" for name in introduced)}
    replacements: dict[Node, Node] = {}
    result: dict[str, Node] = {}
    for reference, node in new.items():
        expanded = substitute(node, replacements)
        if reference.name in gone:
            replacements[reference] = expanded
        elif reference.name.startswith("∂"):
            result[reference.name] = expanded
    return undone(result, renamed)


@settings(max_examples=40, suppress_health_check=SLOW)
@given(recipes(), st.randoms(use_true_random=False))
def test_names_for_parts_change_no_equation(recipe: Recipe, random: Random) -> None:
    respelling = Respelling(random, introduce=True)
    other = respelling.spell(recipe.spell())
    plain, named = derived(recipe.spell(), False), derived(other, False)
    settle = Simplifier(Graph(plain.graph.declarations, plain.forward, plain.graph.constraints)).simplify
    first = {name: settle(node) for name, node in backward(plain).items()}
    second = {n: settle(v) for n, v in written_out(named, respelling.renamed, respelling.introduced).items()}
    assert list(first)
    different = [name for name in {**first, **second} if first.get(name) is not second.get(name)]
    assert not different, f"{different}\n{other}"
