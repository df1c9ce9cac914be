"""The choices of `mlp`: every combination is a model, and its kernel has the right gradients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.checking.checker import check_model
from symbackprop.cli import run
from symbackprop.flags import choices_of, parse_arguments
from symbackprop.functions.registry import PENALTIES
from symbackprop.perceptron import ACTIVATION_NAMES, LOSS_TEXTS, Perceptron


def equations(text: str) -> list[str]:
    """The lines after the declarations."""
    return text.split("\n\n")[1].splitlines()


def test_the_two_layer_network_with_weight_decay_is_that_of_the_book() -> None:
    text = Perceptron([4, 3, 2], loss="squared", regularizer="l2").text()
    assert equations(text) == [
        "z1 = W1 x + b1",
        "a1 = relu(z1)",
        "o = W2 a1 + b2",
        "L = 1/2 ||y - o||^2",
        "s = lambda/2 (||W1||^2 + ||W2||^2)",
        "J = L + s",
        "minimize J",
        "output o",
    ]


@pytest.mark.parametrize(
    ("choices", "lines"),
    [
        ({"bias": False}, ["z1 = W1 x", "z2 = W2 a1", "o = W3 a2"]),
        ({"bias": [True, True, False]}, ["z1 = W1 x + b1", "z2 = W2 a1 + b2", "o = W3 a2"]),
        ({"activation": ["tanh", "u^2"]}, ["function phi(u) = u^2", "a1 = tanh(z1)", "a2 = phi(z2)"]),
        (
            {"activation": ["u^2", "u^3"]},
            ["function phi1(u) = u^2", "function phi2(u) = u^3", "a1 = phi1(z1)", "a2 = phi2(z2)"],
        ),
        ({"activation": "u^2"}, ["function phi(u) = u^2", "a1 = phi(z1)", "a2 = phi(z2)"]),
        ({"activation": "phi*u"}, ["hyper phi = 1", "function phi_(u) = phi*u", "a1 = phi_(z1)"]),
        ({"activation": "identity"}, ["z2 = W2 z1 + b2", "o = W3 z2 + b3"]),
        ({"output_activation": "tanh", "loss": "squared"}, ["z3 = W3 a2 + b3", "o = tanh(z3)"]),
        ({"output_activation": "softmax", "loss": "squared"}, ["o = softmax(z3)"]),
        ({"loss": "cross_entropy"}, ["target y in q", "L = cross_entropy(o, y)"]),
        ({"loss": "huber"}, ["target y[q]", "L = sum(huber(o, y))"]),
        ({"loss": "(o - y)^4 / 4"}, ["target y[q]", "function loss(o, y) = (o - y)^4 / 4", "L = sum(loss(o, y))"]),
        ({"loss": "mean_squared"}, ["L = 1/2 ||y - o||^2 / size(q)"]),
        ({"regularizer": ["l2", "none", "l1"]}, ["s = lambda/2 ||W1||^2 + lambda_1 ||W3||_1"]),
        (
            {"regularizer": [["l2", "alpha*abs(w)"], "none", "l2"]},
            ["function penalty(w) = alpha*abs(w)", "s = lambda/2 (||W1||^2 + ||W3||^2) + sum(penalty(W1))"],
        ),
        (
            {"regularizer": "l2", "regularize_bias": True, "bias": [True, False, True]},
            ["s = lambda/2 (||W1||^2 + ||b1||^2 + ||W2||^2 + ||W3||^2 + ||b3||^2)"],
        ),
        ({"regularizer": "elastic_net"}, ["hyper lambda_1 = 0.001, lambda = 0.001"]),
        ({"regularizer": "l2", "hyper": {"λ": "1/3"}}, ["hyper lambda = 1/3"]),
        ({"regularizer": "l2", "hyper": {"lambda": 0.5}}, ["hyper lambda = 0.5"]),
        ({"regularizer": "d*w^2", "activation": "n*u"}, ["hyper n = 1, d = 0.001"]),
        ({"batch": 7}, ["batch n = 7"]),
    ],
    ids=str,
)
def test_each_choice_is_written_where_it_belongs(choices: dict[str, Any], lines: list[str]) -> None:
    text = Perceptron([4, 3, 3, 2], **choices).text()
    assert [line for line in lines if line not in text.splitlines()] == []
    sb.derive(sb.parse(text))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"activation": "rellu"}, "no activation rellu (did you mean relu?)"),
        ({"activation": ["relu", "tanh", "relu"]}, "activation: 3 values for 2 hidden layers; give 1 or 2"),
        ({"activation": "foo(u)"}, "there is no function foo; if a product is meant, write foo*(...)"),
        ({"activation": "W1*u"}, "the name W1 in the activation W1*u is taken by the model's own W1"),
        ({"activation": "u*y"}, "the name y in the activation u*y is taken"),
        ({"regularizer": "o*w^2"}, "the name o in the regularizer o*w^2 is taken"),
        ({"regularizer": "J*w^2"}, "the name J in the regularizer J*w^2 is taken"),
        ({"activation": "lambda*u", "regularizer": "l2"}, "lambda stands in the activation lambda*u (usually 1) and in"),
        ({"activation": "u*(1 + u"}, "activation:1:3: this ( is never closed"),
        ({"activation": "u = 1"}, "activation:1:3: = does not fit here"),
        ({"activation": ""}, "activation:1:"),
        ({"activation": "u)\nminimize (L"}, "activation:1:2: this ) closes nothing"),
        ({"activation": "__import__('os').system('ls')"}, "activation:1:"),
        ({"loss": "rubbish"}, "there is no loss rubbish"),
        ({"loss": "2^9^9^9"}, "a^b^c can be read in two ways"),
        ({"regularizer": "elasticnet"}, "there is no regularizer elasticnet (did you mean elastic_net?)"),
        ({"regularizer": ["l2", "l1"]}, "regularizer: 2 values for 3 layers; give 1 or 3"),
        ({"bias": [True, False]}, "bias: 2 values for 3 layers; give 1 or 3"),
        ({"output_activation": "softmax"}, "cross_entropy takes logits"),
        ({"hyper": {"nu": 1}}, "hyper nu: no formula reads it; the hyper-parameters are: none"),
        ({"regularizer": "l2", "hyper": {"lambda": "1, y = 2"}}, "hyper lambda: '1, y = 2' is no number"),
        ({"regularizer": "l2", "hyper": {"lambda": "nan"}}, "hyper lambda: 'nan' is no number"),
        ({"batch": 0}, "batch: the size 0"),
    ],
    ids=str,
)
def test_choices_that_do_not_fit_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(sb.SymbackpropError) as refusal:
        Perceptron([4, 3, 3, 2], **choices).text()
    assert message in str(refusal.value)


@pytest.mark.parametrize("layers", [[], [5], [0, 2], [3, -1], [3, 2.5], [3, True], [2**40, 2]], ids=str)
def test_sizes_that_are_none_are_refused(layers: list[Any]) -> None:
    with pytest.raises(sb.UsageError, match="layers"):
        Perceptron(layers).text()


@pytest.mark.parametrize("formula", ["sum(u)", "u[3]", "u^T", "sum[i](u)", "softmax(u)"])
def test_what_is_no_scalar_formula_is_refused_with_its_place(formula: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in ([], ["--show-model"]):
        assert run(["derive", "mlp", "--layers", "3,2,2", "--activation", formula, *flags]) == 2
        assert capsys.readouterr().err.startswith("error: mlp.eq:")


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSS_TEXTS)
def test_every_penalty_loss_and_activation_derive_together(penalty: str, loss: str) -> None:
    hidden = [2] * len(ACTIVATION_NAMES)
    model = sb.mlp([3, *hidden, 2], activation=ACTIVATION_NAMES, loss=loss, regularizer=penalty)
    names = {equation.name for equation in sb.derive(model).backward}
    objective = model.objective
    assert {f"∂{objective}/∂{name}" for name in model.parameters} <= names


@pytest.mark.parametrize("loss", LOSS_TEXTS)
def test_every_output_activation_and_loss_have_a_kernel(loss: str) -> None:
    penalties = list(PENALTIES)
    for number, activation in enumerate(ACTIVATION_NAMES):
        if loss == "cross_entropy" and activation.endswith("softmax"):
            continue
        penalty = penalties[number % len(penalties)]
        model = sb.mlp([2, 2], output_activation=activation, loss=loss, regularizer=penalty)
        assert "def loss_and_grad" in sb.derive(model).source()


def test_a_thousand_penalised_layers_are_a_model() -> None:
    text = Perceptron([2] * 1001, regularizer="l2", regularize_bias=True).text()
    assert "s = s_1 + s_2" in text.splitlines()
    assert max(map(len, text.splitlines())) < 132
    assert len(sb.parse(text).parameters) == 2000


ACTIVATION = st.sampled_from(
    [*ACTIVATION_NAMES, "u*sigmoid(1.7*u)", "u / (1 + exp(-beta u))", "max(u, 0.1 u)", "where(u > 0, u, c*tanh'(u))", "1"]
)
LOSS = st.sampled_from([*LOSS_TEXTS, "(o - y)^4/4", "-log(1 / (1 + (o - y)^2))", "c/2 (o - y)^2", "softplus(o) - y o"])
PENALTY = st.sampled_from(
    [*PENALTIES, "alpha*abs(w) + gamma*w^2", "mu*log(1 + w^2/0.01)", "mu*sqrt(w^2 + 1)", "-0.1 w", "0", "λ*w^4"]
)
OUTPUT = st.sampled_from(["identity", "tanh", "softplus", "-u*c"])


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Flags of mlp whose values fit together."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    layers = len(sizes) - 1

    def list_of(choice: st.SearchStrategy[str], count: int) -> str:
        return ",".join(draw(st.one_of(st.tuples(choice), st.lists(choice, min_size=count, max_size=count))))

    flags = ["mlp", "--layers", ",".join(map(str, sizes)), "--loss", draw(LOSS), "--output-activation", draw(OUTPUT)]
    if layers > 1:
        flags += ["--activation", list_of(ACTIVATION, layers - 1)]
    flags += draw(st.sampled_from([[], ["--no-bias"], ["--bias", list_of(st.sampled_from("01"), layers)]]))
    for _ in range(draw(st.integers(0, 2))):
        flags += ["--regularizer", list_of(PENALTY, layers)]
    flags += draw(st.sampled_from([[], ["--regularize-bias"]]))
    read = [name for name in ("c", "beta", "alpha", "mu", "λ") if any(re.search(rf"\b{name}\b", flag) for flag in flags)]
    for name in draw(st.lists(st.sampled_from(read), unique=True)) if read else ():
        flags += ["--hyper", f"{name}=7/10"]
    return flags


@settings(max_examples=25)
@given(flags=command_lines())
def test_any_choices_make_a_model_with_the_right_gradients(flags: list[str]) -> None:
    model = sb.parse(Perceptron(**choices_of(parse_arguments(["derive", *flags]))).text())
    derivation = sb.derive(model)
    assert not model.warnings
    assert derivation.text()
    report = check_model(model, derivation.kernel(), samples=1, routes=("complex step", "differences", "float32"))
    assert not report.failures, report.table


def test_a_shown_model_derives_to_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--layers", "6,5,4,3", "--activation", "tanh,u*sigmoid(1.7*u)", "--loss", "-y*log(o)", "--output-activation", "softmax",
        "--regularizer", "l2,none,alpha*abs(w) + beta*w^2", "--regularizer", "none,l1,l1", "--bias", "1,1,0",
        "--regularize-bias", "--hyper", "beta=1/7",
    ]  # fmt: skip
    assert run(["derive", "mlp", *flags]) == 0
    answer = capsys.readouterr().out
    assert run(["derive", "mlp", *flags, "--show-model"]) == 0
    (tmp_path / "mlp.eq").write_text(capsys.readouterr().out, encoding="utf-8")
    assert run(["derive", str(tmp_path / "mlp.eq")]) == 0
    assert capsys.readouterr().out == answer
    assert "∂J/∂W2" in answer
