"""Mistakes that pass random tests, each by the example that shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

from symbackprop.derivation.derived import derive_graph
from symbackprop.functions import scalar
from symbackprop.graph.build import add, leaf, pointwise
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.nodes import Leaf, argument
from symbackprop.graph.walk import leaves, topological
from symbackprop.language.lowering import lower
from symbackprop.models import builtin_text
from symbackprop.simplify.rewrites import multiply_out


def gradient_at(text: str, name: str, values: dict[str, Any], sizes: dict[str, int] | None = None) -> Any:
    derived = derive_graph(lower(text))
    return evaluate(derived.graph, values, sizes or {}, np.float64)[derived.gradient_name(name)]


def test_a_quotient_is_not_derived_through_its_value() -> None:
    """d(c / s) / ds is -c / s^2; written through r = c / s as -r^2 / c it is right except where c is 0."""
    text = "dim d = 3\nparam c[d], s[d]\nr = c ./ s\nL = sum(r.^2) / 2 + sum(r)\nminimize L\n"
    found = gradient_at(text, "s", {"c": [0.0, 1.0, -2.0], "s": [2.0, 2.0, 4.0]}, {"d": 3})
    c, s = np.array([0.0, 1.0, -2.0]), np.array([2.0, 2.0, 4.0])
    assert np.allclose(found, (c / s + 1) * (-c / s**2), rtol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "dim d = 2\nparam x[d], y[d]\nr = x ⊙ y\nL = sum(r.^2 ⊙ x)\nminimize L\n",
        "dim d = 2\nparam x[d], y[d]\nu = (x + y) ⊙ y\nL = sum(u ⊙ u ⊙ y)\nminimize L\n",
        "dim d = 2\nparam x[d], y[d]\nu = x / ||y||\nL = sum(u ⊙ x) + sum(u)\nminimize L\n",
    ],
)
def test_naming_a_value_divides_by_nothing(text: str) -> None:
    """A product that contains a named value is written with it, never as the value over the factor it lacks."""
    for name in ("x", "y"):
        found = gradient_at(text, name, {"x": [0.0, 0.5], "y": [0.0, 1.5]}, {"d": 2})
        assert np.all(np.isfinite(found)), (name, found)


def test_an_exponential_of_a_difference_survives_multiplying_out() -> None:
    _0, _1 = argument(0), argument(1)
    x, y = leaf("parameter", "x", ()), leaf("parameter", "y", ())
    node = pointwise(sympy.exp(_0 - _1) * (_0 + _1), [(x, ()), (y, ())], ())
    expanded = multiply_out(node, None)  # type: ignore[arg-type]
    assert expanded is not None
    assert {call.args[0] for call in expanded.payload[0].atoms(sympy.exp)} == {_0 - _1}


def test_logits_of_800_stay_finite() -> None:
    for loss in ("cross_entropy(x, y)", "-sum(onehot(y) ⊙ log(softmax(x)))", "log(sum(exp(x))) - x[y]"):
        text = f"dim d = 3\nparam x[d]\ntarget y in d\nL = {loss}\nminimize L\n"
        for logits in ([800.0, -800.0, 0.0], [-800.0, 800.0, 800.0]):
            found = gradient_at(text, "x", {"x": logits, "y": 1}, {"d": 3})
            assert np.all(np.isfinite(found)) and abs(found.sum()) < 1e-12


@pytest.mark.parametrize("count", [50, 100, 200])
def test_a_sum_of_many_terms_is_differentiated_term_by_term(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sum of n terms by n symbols costs n derivatives and not n^2."""
    calls: list[sympy.Expr] = []
    monkeypatch.setattr(
        scalar, "differentiate", lambda expression, symbol: calls.append(expression) or expression.diff(symbol)
    )
    symbols = [argument(k) for k in range(count)]
    scalar.partial_derivatives.cache_clear()
    slopes = scalar.partial_derivatives(sympy.Add(*[sympy.tanh(symbol) * (k + 2) for k, symbol in enumerate(symbols)]))
    assert len(slopes) == count
    assert len(calls) <= 2 * count
    assert all(len(expression.free_symbols) <= 1 for expression in calls)
    scalar.partial_derivatives.cache_clear()


def test_an_alias_captures_no_name() -> None:
    """The gradient by b2 equals that by o, and what follows is still written with the latter."""
    derived = derive_graph(lower(builtin_text("d2l_mlp")))
    read = {leaf.name for equation in derived.backward for leaf in leaves(equation.node)}
    assert derived.gradient("b2").node is derived.gradient("o").reference
    assert not read & {derived.gradient_name(name) for name in ("b1", "b2", "W1", "W2")}


def test_statistics_are_put_in_where_that_is_shorter_and_can_all_be_seen() -> None:
    model = lower(builtin_text("layer_norm"))
    short, whole = derive_graph(model), derive_graph(model, all_values=True)
    shown = {equation.name for equation in whole.backward} - {equation.name for equation in short.backward}
    assert shown == {short.gradient_name("mu"), short.gradient_name("sigma")}
    assert len(short.backward) == len(whole.backward) - 2


def test_a_mask_behind_many_names_is_looked_for_within_a_budget() -> None:
    lines = ["dim t = 3", "param S[t, t], V[t, t]", "M0[i, j] = where(i >= j, S[i, j], -inf)"]
    lines += [f"M{k} = M{k - 1}" for k in range(1, 200)]
    text = "\n".join([*lines, "P = softmax(M199)", "L = sum(P ⊙ V)", "minimize L", ""])
    derived = derive_graph(lower(text))
    values = {"S": np.arange(9.0).reshape(3, 3) / 5, "V": np.eye(3) + 0.5}
    found = evaluate(derived.graph, values, {"t": 3})[derived.gradient_name("S")]
    assert np.all(np.isfinite(found)) and np.all(found[np.triu_indices(3, 1)] == 0)


def test_the_sum_of_a_centred_value_is_0() -> None:
    text = "dim d = 4\nparam x[d]\nmu = mean(x)\nc = x - mu\nL = sum(c) + sum(c.^2) / 2\nminimize L\n"
    derived = derive_graph(lower(text))
    found = evaluate(derived.graph, {"x": [0.3, -1.0, 2.0, 0.1]}, {"d": 4})[derived.gradient_name("x")]
    x = np.array([0.3, -1.0, 2.0, 0.1])
    assert np.allclose(found, x - x.mean(), atol=1e-15)


NORMS = ("||v||", "norm(v)", "sqrt(v^T v)", "sqrt(sum(v.^2))", "(sum(v ⊙ v))^0.5")


@pytest.mark.parametrize("spelling", NORMS)
def test_the_gradient_of_a_norm_at_0_is_0(spelling: str) -> None:
    text = f"dim d = 3\nparam v[d]\nL = {spelling}\nminimize L\n"
    assert np.all(gradient_at(text, "v", {"v": np.zeros(3)}, {"d": 3}) == 0)
    tiny, huge = np.array([3e-200, 4e-200, 0.0]), np.array([3e200, 4e200, 0.0])
    for v in (tiny, huge):
        assert np.allclose(gradient_at(text, "v", {"v": v}, {"d": 3}), [0.6, 0.8, 0.0], rtol=1e-14)


RELUS = ("relu(v)", "max(0, v)", "max(v, 0)")


@pytest.mark.parametrize("spelling", [*RELUS, "where(v[i] > 0, v[i], 0)", "where(v[i] >= 0, v[i], 0)"])
def test_all_spellings_of_relu_are_flat_at_0(spelling: str) -> None:
    axes = "[i]" if "[i]" in spelling else ""
    text = f"dim d = 3\nparam v[d]\na{axes} = {spelling}\nL = sum(a)\nminimize L\n"
    assert gradient_at(text, "v", {"v": np.array([-1.0, 0.0, 2.0])}, {"d": 3}).tolist() == [0.0, 0.0, 1.0]


def test_a_maximum_over_an_axis_shares_ties() -> None:
    text = "dim d = 4\nparam v[d]\nL = max(v)\nminimize L\n"
    assert gradient_at(text, "v", {"v": np.array([1.0, 3.0, 3.0, 0.0])}, {"d": 4}).tolist() == [0.0, 0.5, 0.5, 0.0]


def test_walks_do_not_recurse_over_a_deep_expression() -> None:
    """A tree of 5,000 nodes, none of which fuses with the next."""
    x: Any = leaf("parameter", "x", (sympy.Integer(2),))
    node = x
    for _ in range(5_000):
        node = add([pointwise(sympy.exp(argument(0)), [(node, (0,))], node.shape), x])
    order = topological([node])
    assert len(order) > 10 and isinstance(order[0], Leaf)
    assert node.key
