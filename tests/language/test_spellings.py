"""ASCII and Unicode spellings mean the same, and what is printed can be typed."""

from __future__ import annotations

import pytest

from tests.language.models import meaning, model

PAIRS = [
    ("A^T", "Aᵀ"),
    ("A^T", "A^⊤"),
    ("A^T", "A^{T}"),
    ("A^T", "A'"),
    ("A^T", "A′"),
    ("A^-1", "A⁻¹"),
    ("A^-T", "A⁻ᵀ"),
    ("A^-T", "A^{-T}"),
    ("A^2", "A²"),
    ("s^12", "s¹²"),
    ("s^-3", "s⁻³"),
    ("||u||^2", "‖u‖²"),
    ("||u||_inf", "‖u‖_∞"),
    ("||u||_1", "‖u‖₁"),
    ("||u||_2", "‖u‖₂"),
    ("||A||_F", "‖A‖_F"),
    ("lambda u", "λ u"),
    ("epsilon u", "ε u"),
    ("epsilon u", "ϵ u"),
    ("phi(u)", "φ(u)"),
    ("phi(u)", "ϕ(u)"),
    ("phi'(u)", "φ′(u)"),
    ("phi''(u)", "φ″(u)"),
    ("phi''(u)", "φ′′(u)"),
    ("pi s", "π s"),
    ("where(s > 0, s, -inf)", "where(s > 0, s, −∞)"),
    ("u - v", "u − v"),
    ("A * B", "A · B"),
    ("A * B", "A × B"),
    ("A * B", "A @ B"),
    ("s / r", "s ÷ r"),
    ("A .* B", "A ⊙ B"),
    ("s >= r", "s ≥ r"),
    ("s <= r", "s ≤ r"),
    ("s != r", "s ≠ r"),
    ("1/2 s", "½ s"),
    ("1/3 s", "⅓ s"),
    ("1/4 s + 3/4 r", "¼ s + ¾ r"),
    ("sqrt(h)", "√h"),
    ("ones(h)", "𝟏(h)"),
    ("sum[i](u[i])", "∑[i](u[i])"),
    ("(s > 0)", "[s > 0]"),
    ("(s == 0)", "[s = 0]"),
    ("rowsum(A)", "sum[j](A[0, j]) ones(h) + A ones(h) - sum[j](A[0, j]) ones(h)"),
]


@pytest.mark.parametrize(("ascii_text", "unicode_text"), PAIRS)
def test_ascii_and_unicode_mean_the_same(ascii_text: str, unicode_text: str) -> None:
    assert meaning(f"L = {ascii_text}") is meaning(f"L = {unicode_text}")


NAMES = [
    ("W1", "W⁽¹⁾"),
    ("W12", "W⁽¹²⁾"),
    ("W1", "W⁽1⁾"),
    ("b_1", "b₁"),
    ("b_12", "b₁₂"),
    ("x_hat", "x̂"),
    ("x_hat_1", "x̂₁"),
    ("X1_hat", "X̂1"),
    ("y_hat", "ŷ"),
    ("y_bar", "ȳ"),
    ("n_tilde", "ñ"),
    ("x_dot", "ẋ"),
    ("mu_hat", "μ̂"),
    ("mu", "µ"),
    ("Sigma", "Σ"),
    ("theta", "ϑ"),
    ("sigma_1", "σ₁"),
    ("delta_W", "δ_W"),
]


@pytest.mark.parametrize(("ascii_name", "unicode_name"), NAMES)
def test_names_have_one_spelling(ascii_name: str, unicode_name: str) -> None:
    for left, right in ((ascii_name, unicode_name), (unicode_name, ascii_name)):
        found = model(f"{left} = s\nL = {right} + r").graph
        assert [equation.name for equation in found.equations] == [ascii_name, "L"]


ORDINARY = ("lambda", "beta", "np", "def", "class", "None", "math", "params", "T", "F", "e", "x1", "größe", "Z9_b_c", "self")


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names(name: str) -> None:
    declared = f"dim {name} = 3\nparam {name}[{name}]\n"
    assert meaning(f"L = ||{name}||^2", declared) is not None


@pytest.mark.parametrize("name", ("lambda", "beta", "np", "def", "class", "None", "math", "params", "T", "größe"))
def test_ordinary_names_in_kernels_too(name: str) -> None:
    from symbackprop.api import derive

    text = f"dim {name} = 3\nparam {name}[{name}]\nhyper h_{name} = 2\nv_{name} = h_{name} {name}\nL = ||v_{name}||^2\nminimize L"
    kernel = derive(model(text, "")).kernel()
    params = kernel.init(seed=1)
    value, gradients = kernel.loss_and_grad(params, {})
    assert value == pytest.approx(4 * float((params[name] ** 2).sum()))
    assert gradients[name] == pytest.approx(8 * params[name])
