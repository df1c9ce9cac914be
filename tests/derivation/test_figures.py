"""The size of a backward pass, and depth: one equation for each named value, none that grows, walks that do not recurse."""

from __future__ import annotations

import sys

import pytest

from symbackprop.api import derive, mlp, parse
from symbackprop.derivation.derived import derive_graph
from symbackprop.graph.model import Model
from symbackprop.models import builtin_names, builtin_text
from symbackprop.simplify.cost import cost

CHOICES = (
    {"activation": "relu", "loss": "cross_entropy", "regularizer": "l2"},
    {"activation": "tanh", "loss": "squared", "regularizer": "elastic_net"},
    {"activation": "sigmoid", "loss": "binary_cross_entropy", "regularizer": "none"},
    {"activation": "u*sigmoid(1.7*u)", "loss": "huber", "regularizer": "alpha*abs(w) + beta*w^2"},
    {"activation": "softplus", "loss": "log(1 + (o - y)^2)", "regularizer": "log", "regularize_bias": True},
)


def network(depth: int, **choices: object) -> Model:
    return mlp([4] + [3] * (depth - 1) + [2], **choices)


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: choices["activation"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6, 50])
@pytest.mark.parametrize("batched", [False, True], ids=["example", "batch"])
def test_at_most_four_equations_a_layer_and_one(depth: int, choices: dict[str, object], batched: bool) -> None:
    if batched and depth == 50:
        depth = 20
    model = network(depth, **choices)
    derived = derive_graph(model, batched=batched)
    names = [equation.name for equation in derived.backward]
    start = f"∂{model.objective}/∂{model.objective}"
    assert names[0] == start
    assert len(names) - 1 <= 4 * depth + 1
    influenced = derived.graph.depends_on(frozenset(model.parameters)) & {
        *model.parameters,
        *(equation.name for equation in derived.forward),
    }
    assert sorted(names) == sorted(derived.gradient_name(name) for name in influenced)


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: choices["activation"])
def test_no_equation_grows_with_depth(choices: dict[str, object]) -> None:
    longest = {}
    for depth in (3, 6, 12):
        backward = derive_graph(network(depth, **choices)).backward
        longest[depth] = max(cost(equation.node) for equation in backward)
        assert max(len(text) for text in map(str, [equation.node for equation in backward])) < 400
    assert longest[3] == longest[6] == longest[12]


@pytest.mark.parametrize("name", builtin_names())
def test_one_equation_for_each_named_value(name: str) -> None:
    model = parse(builtin_text(name), name=name)
    derived = derive_graph(model, all_values=True)
    influenced = derived.graph.depends_on(frozenset(model.parameters))
    names = [n for n in (*model.parameters, *(e.name for e in derived.forward)) if n in influenced]
    needed = derived.graph.needed_for(frozenset({model.objective or ""}))
    assert sorted(e.name for e in derived.backward) == sorted(derived.gradient_name(n) for n in names if n in needed)


CHAIN = 5_000


def test_a_chain_of_5000_layers_parses_derives_and_renders() -> None:
    lines = ["dim d = 2", "input x[d]", "param w[d]", "a0 = w ⊙ x"]
    lines += [f"a{k} = tanh(a{k - 1})" for k in range(1, CHAIN + 1)]
    lines += [f"L = sum(a{CHAIN})", "minimize L", ""]
    limit = sys.getrecursionlimit()
    derivation = derive(parse("\n".join(lines)))
    printed = derivation.text()
    assert sys.getrecursionlimit() == limit
    assert len(derivation.backward) == CHAIN + 3
    assert "∂L/∂a1 = ∂L/∂a2 ⊙ (1 − a2 ⊙ a2)" in printed
    assert f"({2 * CHAIN + 5})" in printed
