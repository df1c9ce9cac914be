"""Printed text is parsed back: a printer that drops a term passes every numeric test of the graph, and fails here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.functions.registry import ACTIVATIONS, ELEMENTARY, LOSSES
from symbackprop.language.lowering import lower
from symbackprop.language.vocabulary import FUNCTIONS
from symbackprop.models import builtin_names
from symbackprop.render import source
from symbackprop.render.writer import Writer
from tests import operator_models
from tests.render.models import MODELS
from tests.render.reading import FORMS, derivation_differences, differences
from tests.strategies import recipes

BUILTIN = builtin_names()


@pytest.mark.parametrize("name", BUILTIN)
def test_a_built_in_model_is_read_back(name: str) -> None:
    assert differences(sb.builtin(name)) == []


@pytest.mark.parametrize("batched", FORMS, ids=["example", "batch"])
@pytest.mark.parametrize("name", BUILTIN)
def test_a_built_in_derivation_is_read_back(name: str, batched: bool) -> None:
    assert derivation_differences(sb.builtin(name), batched) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_read_back(name: str) -> None:
    assert differences(sb.parse(MODELS[name])) == []


@pytest.mark.parametrize("batched", FORMS, ids=["example", "batch"])
@pytest.mark.parametrize("name", MODELS)
def test_a_derivation_is_read_back(name: str, batched: bool) -> None:
    assert derivation_differences(sb.parse(MODELS[name]), batched) == []


@pytest.mark.parametrize("batched", FORMS, ids=["example", "batch"])
@pytest.mark.parametrize("name", [name for name in (*ACTIVATIONS, *ELEMENTARY) if name in FUNCTIONS])
def test_every_function_is_read_back(name: str, batched: bool) -> None:
    model = sb.parse(f"dim d, h\nbatch n\ninput x[d]\nparam W[h, d]\na = {name}(W x)\nL = sum(a)\nminimize L")
    assert differences(model) == []
    assert derivation_differences(model, batched) == []


@pytest.mark.parametrize("batched", FORMS, ids=["example", "batch"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_read_back(name: str, batched: bool) -> None:
    model = sb.parse(
        f"dim d, h\nbatch n\ninput x[d]\ntarget y[h]\nparam W[h, d]\no = W x\nL = sum({name}(o, y))\nminimize L"
    )
    assert differences(model) == []
    assert derivation_differences(model, batched) == []


@settings(max_examples=25)
@given(recipes())
def test_random_models_are_read_back(recipe: object) -> None:
    text = recipe.spell()  # type: ignore[attr-defined]
    assert differences(lower(text)) == [], text


@settings(max_examples=12)
@given(recipes(), st.booleans())
def test_random_derivations_are_read_back(recipe: object, batched: bool) -> None:
    text = recipe.spell()  # type: ignore[attr-defined]
    assert derivation_differences(lower(text), batched) == [], text


def test_names_that_cannot_be_typed_get_words_of_their_own() -> None:
    b = sb.Builder("odd")
    (d,) = b.dims(d=3)
    x, w = b.input("I", d), b.param("lambda", d)
    objective = b.let("in", w.T @ x + b.let("T", w.T @ w) ** 2)
    model = b.minimize(objective)
    assert differences(model) == []
    assert source(model) == (
        "dim d = 3\ninput I_2[d]\nparam lambda[d]\n\n"
        "T = ‖lambda‖²\nin_2 = I_2ᵀ lambda + T²\nminimize in_2\n"
    )  # fmt: skip


OPERATORS = {
    name: function
    for name, function in vars(operator_models).items()
    if name in BUILTIN and callable(function)
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_a_model_written_with_operators_is_read_back(name: str) -> None:
    model = OPERATORS[name](sb.Builder(name, batch=sb.builtin(name).batch))
    assert model.source == ""
    assert differences(model) == []


@pytest.mark.parametrize("name", BUILTIN)
def test_the_displayed_equations_are_read_too(name: str) -> None:
    """All but the signs whose size or range only the reader knows: the vector of ones, and the sum sign with its indices."""
    model = sb.builtin(name)
    derived = sb.derive(model).example
    writer = Writer(derived)
    shown = []
    for equation in derived.forward:
        line = writer.line(equation)
        shown.append(writer.text.equation(line.left, line.right))
    if any("𝟏" in text or "∑[" in text for text in shown):
        assert name in ("batch_norm", "embedding_classifier", "small_cnn")
        return
    read = lower("\n".join([source(model).partition("\n\n")[0], *shown]))
    assert [e.node for e in read.graph.equations] == [e.node for e in derived.forward]


def test_a_kernel_of_a_model_without_text_carries_its_text() -> None:
    b = sb.Builder("line")
    (d,) = b.dims(d=3)
    x, y, w = b.input("x", d), b.target("y"), b.param("w", d)
    model = b.minimize(b.let("L", (y - w.T @ x) ** 2))
    assert model.source == ""
    header = sb.derive(model).source().split('"""')[1]
    assert "    L = (y − xᵀ w)²\n    minimize L\n" in header
