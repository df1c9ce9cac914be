"""All formats, notations and forms, over all models: complete, deterministic, and what was asked for."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.graph.model import Model
from symbackprop.language.lowering import lower
from symbackprop.models import builtin_names
from tests.render.models import MODELS
from tests.strategies import recipes

NOTATIONS = ("partial", "delta", "nabla")
KNOWN = {
    "exp", "log", "sqrt", "√", "sin", "cos", "tan", "tanh", "sinh", "cosh", "atan", "erf", "sign", "max", "min", "sum", "mean",
    "rowsum", "softmax", "logsumexp", "onehot", "diag", "tr", "det", "logdet", "cofactor", "where", "abs", "floor", "size",
}  # fmt: skip
ALL = (*builtin_names(), *MODELS)


def model_of(name: str) -> Model:
    return sb.builtin(name) if name in builtin_names() else sb.parse(MODELS[name], name=name)


@pytest.mark.parametrize("name", ALL)
def test_every_function_is_defined_below_or_open(name: str) -> None:
    model = model_of(name)
    opens = {f.title for f in model.functions if f.body is None}
    derivation = sb.derive(model)
    for batch_form in (False, True):
        text = derivation.text(batch_form=batch_form)
        equations, _, below = text.partition("\nwhere\n")
        called = set(re.findall(r"(?<![\w∂])([^\W\d]\w*[₀-₉]?′*)\(", equations.partition("\nForward\n")[2] + below))
        defined = set(re.findall(r"^  ([^\W\d]\w*′*)\(.*\) = ", below, re.MULTILINE))
        missing = {c for c in called - KNOWN - defined if c.rstrip("′") not in {*opens, *GREEK_OPENS}}
        assert not missing
        assert all(word in derivation.latex(batch_form=batch_form) for word in ("Forward", "Backward"))


GREEK_OPENS = {"φ", "ψ"}


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_every_format_of_every_model(name: str, notation: str) -> None:
    derivation = sb.derive(model_of(name))
    for batch_form in (False, True):
        options = {"batch_form": batch_form, "notation": notation, "steps": True}
        assert derivation.text(**options) == derivation.text(**options)  # type: ignore[arg-type]
        document = json.loads(derivation.json(**options))  # type: ignore[arg-type]
        numbers = [equation["number"] for equation in document["equations"]]
        assert numbers == list(range(1, len(numbers) + 1))
        markdown = derivation.markdown(**options)  # type: ignore[arg-type]
        assert all(f"\\tag{{{number}}}" in markdown for number in numbers)


@settings(max_examples=15)
@given(recipes(), st.booleans(), st.sampled_from(NOTATIONS))
def test_random_models_are_written_in_every_format(recipe: object, batch_form: bool, notation: str) -> None:
    derivation = sb.derive(lower(recipe.spell()))  # type: ignore[attr-defined]
    for write in (derivation.text, derivation.latex, derivation.markdown, derivation.json):
        assert write(batch_form=batch_form, notation=notation, steps=True)


def lines(model: Model, **options: object) -> list[str]:
    return [" ".join(line.split()) for line in sb.derive(model).text(**options).splitlines()]


def test_delta_is_for_preactivations_alone() -> None:
    text = lines(sb.builtin("d2l_mlp"), notation="delta")
    assert "(12) δ_z = ∂J/∂a ⊙ relu′(z) h, through (2)" in text
    assert "(11) ∂J/∂a = W2ᵀ δ_o h, through (3)" in text
    assert "δ_o stands for ∂J/∂o, and so for every pre-activation" in text
    assert {word for line in text for word in re.findall(r"δ_\w+", line)} == {"δ_z", "δ_o"}


def test_delta_of_a_single_output_and_of_a_model_without_a_target() -> None:
    declared = "dim d\nbatch n\ninput x[d]\ntarget y[]\nparam w[d], b[]\n"
    logistic = sb.parse(declared + "o = w^T x + b\nL = log(1 + exp(o)) - y o\nminimize L")
    assert any("δ_o = σ(o) − y" in line for line in lines(logistic, notation="delta"))
    assert not any("δ_L" in line for line in lines(logistic, notation="delta"))
    tied = {word for line in lines(sb.builtin("tied_autoencoder"), notation="delta") for word in re.findall(r"δ_\w", line)}
    assert tied == {"δ_z", "δ_x"}


def test_layers_of_delta_in_latex() -> None:
    latex = sb.derive(sb.builtin("mlp_classifier")).latex(notation="delta")
    assert "\\boldsymbol{\\delta}^{(1)} &= \\frac{\\partial J}{\\partial \\mathbf{a}^{(1)}} \\odot" in latex
    assert "\\boldsymbol{\\delta}_{\\mathbf{o}} &= \\frac{\\partial J}{\\partial \\mathbf{o}} \\quad" in latex
    assert "{\\boldsymbol{\\delta}^{(2)}}" not in latex


def test_an_open_function_keeps_its_letter() -> None:
    model = sb.parse(MODELS["open functions"])
    text = "\n".join(lines(model))
    assert "a = φ(z)" in text and "∂L/∂z = ∂L/∂a ⊙ φ′(z)" in text and "∂₁ψ(a, y)" in text
    assert "\\phi'(\\mathbf{z})" in sb.derive(model).latex()


def test_a_vector_jacobian_product_names_what_it_differentiates() -> None:
    inverse = lines(sb.parse(MODELS["a vector-Jacobian product"]))
    assert "(2) ∂⟨G, Y⟩/∂Y = G n × n, given" in inverse
    assert "(3) ∂⟨G, Y⟩/∂X = −Yᵀ G Yᵀ n × n, through (1)" in inverse
    softmax = lines(sb.parse(MODELS["softmax alone"]))
    assert "(3) ∂⟨G, p⟩/∂x = p ⊙ (G − pᵀ G) n, through (1)" in softmax
    named = lines(sb.parse("dim n\nparam G[n, n]\nY = G G"))
    assert any("∂⟨G_Y, Y⟩/∂G = " in line and "G_Y Gᵀ" in line for line in named)


def test_the_transpose_of_an_inverse() -> None:
    model = sb.parse("dim n\nparam X[n, n]\nL = logdet(X)\nminimize L")
    assert "(3) ∂L/∂X = X⁻ᵀ n × n, through (1)" in lines(model)
    assert "\\mathbf{X}^{-\\top}" in sb.derive(model).latex()


def test_a_function_is_not_called_like_a_tensor() -> None:
    model = sb.parse("dim d\nparam sigma[d]\nL = sum(sigmoid(sigma))\nminimize L")
    assert any("L = sum(sigmoid(σ))" in line for line in lines(model))
    assert "\\operatorname{sigmoid}(\\boldsymbol{\\sigma})" in sb.derive(model).latex()


def test_an_index_is_not_called_like_a_size_of_its_equation() -> None:
    text = lines(sb.builtin("embedding_classifier"), batch_form=True)
    assert "(8) ∂L/∂E[i, j, m] = ∂L/∂A[i, m]/t n × t × m, through (2)" in text


def test_a_function_s_argument_is_not_a_stacked_tensor() -> None:
    model = sb.parse("dim d, q\nbatch n\ninput u[d]\nparam W[q, d]\nL = sum(relu(W u))\nminimize L")
    assert "relu(u) = max(u, 0)" in lines(model, batch_form=True)


def test_defaults_are_short_decimals() -> None:
    text = "\n".join(lines(sb.parse(MODELS["a formula with a hyper-parameter"])))
    assert "hyper α = 2.5, β = ⅓, γ = −2" in text


def test_sizes_with_a_sign_stand_in_brackets() -> None:
    assert any(line.endswith("f × (s − k + 1) × (s − k + 1)") for line in lines(sb.builtin("small_cnn")))
