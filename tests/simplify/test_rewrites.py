"""Each named rewrite is sound, is kept in two unrelated models at least, and knows of no layer."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings

import symbackprop as sb
from symbackprop.derivation.reverse import reverse
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.nodes import Contraction, Node
from symbackprop.graph.walk import topological
from symbackprop.language.lowering import lower
from symbackprop.models import builtin_names, builtin_text
from symbackprop.simplify import rewrites
from symbackprop.simplify.cost import cost
from symbackprop.simplify.engine import Simplifier
from symbackprop.simplify.rewrites import REWRITES, Rewrite
from symbackprop.simplify.stabilise import stabilise
from tests.derivation.numbers import small_sizes
from tests.strategies import Recipe, recipes, values_for

OTHERS = {
    "logistic regression": """
        dim d = 3
        input x[d]
        target y[]
        param w[d], b[]
        o = w^T x + b
        p = sigmoid(o)
        L = -y log(p) - (1 - y) log(1 - p)
        minimize L
        """,
    "binary autoencoder": """
        dim d = 3, h = 2
        batch n = 4
        input x[d]
        param W[h, d], c[d]
        a = tanh(W x)
        v = W^T a + c
        x_hat = sigmoid(v)
        L = -sum(x ⊙ log(x_hat) + (1 - x) ⊙ log(1 - x_hat))
        minimize L
        """,
    "two sigmoids": """
        dim d = 3
        param w[d], v[d]
        g = sigmoid(w)
        L = sum(sigmoid(-w) ⊙ g ⊙ v + sigmoid(-w) ⊙ v.^2 + sigmoid(w))
        minimize L
        """,
    "two sided mask": """
        dim t = 4
        param S[t, t], V[t, t]
        M[i, j] = where(i >= j, S[i, j], -inf)
        P = softmax(M)
        L = 1/2 ||V - P||^2 + sum(P ⊙ V)
        minimize L
        """,
    "a sum of shifted logits": """
        dim t = 4
        param s[t], v[t]
        m[j] = where(j <= 2, s[j], -inf)
        z = logsumexp(m)
        q = exp(m - z)
        L = v^T q
        minimize L
        """,
    "centred": """
        dim n = 4, d = 3
        input X[n, d]
        param w[d]
        r = X w
        c = r - mean(r)
        e = c / sqrt(mean(c.^2) + 1)
        L = sum(e.^2 ⊙ r) + sum(e)
        minimize L
        """,
    "a rational model": """
        dim n = 3, d = 2
        param X[n, d], w[d]
        m[j] = mean[i](X[i, j])
        c[i, j] = (X[i, j] - m[j]) / (1 + w[j]^2)
        L = sum(c ⊙ c ⊙ c) + w^T w
        minimize L
        """,
    "unit vectors": """
        dim d = 3
        param v[d], w[d]
        u = v / ||v||
        L = w^T u + 1/2 ||u - w||^2
        minimize L
        """,
}
"""Models beside the built-in ones, none like another."""


def model_named(name: str) -> Model:
    text = OTHERS[name] if name in OTHERS else builtin_text(name)
    return lower(text, name=name)


MODELS = (*builtin_names(), *OTHERS)


@cache
def fired(name: str) -> dict[str, int]:
    """How often each rewrite was kept while the model was derived, per example and over the batch."""
    model = model_named(name)
    graph = stabilise(model.graph)
    counts: dict[str, int] = defaultdict(int)
    for form in (graph, batch_graph(model)):
        simplifier = Simplifier(form)
        reverse(form, model.objective or "", model.parameters, simplify=simplifier)
        for rewrite_name, count in simplifier.fired.items():
            counts[rewrite_name] += count
    return counts


@pytest.mark.parametrize("change", REWRITES, ids=lambda change: change.__name__)
def test_each_rewrite_is_kept_in_two_models(change: Rewrite) -> None:
    found = [name for name in MODELS if fired(name).get(change.__name__)]
    assert len(found) >= 2, found


@pytest.mark.parametrize("change", REWRITES, ids=lambda change: change.__name__)
def test_each_rewrite_says_what_it_does(change: Rewrite) -> None:
    assert change.__doc__ and not change.__name__.startswith("_")


LAYERS = r"layer.?norm|batch.?norm|attention|softmax|conv|pool|embedding|cross.?entropy|dense|mlp|gaussian|dropout|relu"


def test_no_rewrite_names_a_layer() -> None:
    assert not re.findall(LAYERS, inspect.getsource(rewrites), flags=re.IGNORECASE)


class Recorder(Simplifier):
    """Keeps what each rewrite was offered and made of it."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.pairs: dict[str, list[tuple[Node, Node]]] = defaultdict(list)

    def _offer(self, change: Rewrite) -> Callable[[Node], Node | None]:
        def offered(node: Node) -> Node | None:
            changed = change(node, self.definitions)
            if changed is not None and (node, changed) not in self.pairs[change.__name__]:
                self.pairs[change.__name__].append((node, changed))
            return changed

        return offered


def numbers_for(model: Model, graph: Graph, sizes: dict[str, int], exact: bool) -> dict[str, Any]:
    values: dict[str, Any] = dict(values_for(graph, sizes, 3))
    values |= {name: np.float64(value) for name, value in model.hyper_defaults.items() if value is not None}
    if not exact:
        return values
    floats = {name for name, value in values.items() if np.asarray(value).dtype.kind == "f"}
    return {name: rational(value) if name in floats else value for name, value in values.items()}


def rational(value: Any) -> Any:
    """An array of SymPy rationals, of three decimals."""
    array = np.asarray(value)
    return np.vectorize(lambda entry: sympy.Rational(str(round(float(entry), 3))), otypes=[object])(array)


def check_sound(model: Model, sizes: dict[str, int]) -> dict[str, int]:
    """Compare what the rewrites were offered with what they made of it; return how often each changed something."""
    graph = stabilise(model.graph)
    recorder = Recorder(graph)
    derived = reverse(graph, model.objective or "", model.parameters, simplify=recorder).graph
    backward = derived.equations[len(graph.equations) :]
    before = [Equation(f"{n} {k}", a) for n, pairs in recorder.pairs.items() for k, (a, _) in enumerate(pairs)]
    after = [Equation(f"{n} {k} again", b) for n, pairs in recorder.pairs.items() for k, (_, b) in enumerate(pairs)]
    both = Graph(graph.declarations, (*recorder.hidden.graph.equations, *backward, *before, *after), graph.constraints)
    result = evaluate(both, numbers_for(model, both, sizes, False), sizes)
    for equation in before:
        found, wanted = result[f"{equation.name} again"], result[equation.name]
        assert np.allclose(found, wanted, rtol=1e-10, atol=1e-11), (equation.name, found, wanted)
    return {name: len(pairs) for name, pairs in recorder.pairs.items()}


def test_each_rewrite_is_sound() -> None:
    counts: dict[str, int] = defaultdict(int)
    for name in MODELS:
        for rewrite_name, count in check_sound(model_named(name), small_sizes(model_named(name))).items():
            counts[rewrite_name] += count
    assert all(counts[change.__name__] >= 2 for change in REWRITES), counts


RATIONAL = ("ridge_regression", "d2l_mlp", "d2l_mlp_no_bias", "a rational model")


@pytest.mark.parametrize("name", RATIONAL)
def test_simplification_is_exact_on_rationals(name: str) -> None:
    model = model_named(name)
    graph, sizes = stabilise(model.graph), small_sizes(model)
    plain = reverse(graph, model.objective or "", model.parameters).graph
    simple = reverse(graph, model.objective or "", model.parameters, simplify=Simplifier(graph)).graph
    values = numbers_for(model, graph, sizes, True)
    first, second = (evaluate(g, values, sizes, object) for g in (plain, simple))
    assert any(plain.by_name[name].node is not simple.by_name[name].node for name in first) or name != RATIONAL[-1]
    for name_of in first:
        difference = np.asarray(first[name_of], dtype=object) - np.asarray(second[name_of], dtype=object)
        assert all(sympy.expand(entry) == 0 for entry in np.ravel(difference)), name_of


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(recipes(deepest=2))
def test_rewrites_are_sound_on_random_models(recipe: Recipe) -> None:
    check_sound(lower(recipe.spell()), {**recipe.dims, "n": 2})


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(recipes(deepest=2))
def test_no_equation_gets_longer(recipe: Recipe) -> None:
    model = lower(recipe.spell())
    graph = stabilise(model.graph)
    simplifier = Simplifier(graph)
    for equation in reverse(graph, "J", model.parameters).graph.equations[len(graph.equations) :]:
        hidden = simplifier.hidden.put_in(equation.node)
        assert cost(simplifier.hidden.put_in(simplifier.simplify(equation.node))) <= cost(hidden)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "gelu"])
def test_a_value_is_read_by_its_name_whichever_way_its_axes_lie(activation: str) -> None:
    text = f"dim h = 3, m = 2\nbatch n = 4\ninput x[h]\nparam W[m, h]\na = {activation}(W x)\nL = ||a||^2\nminimize L"
    derived = sb.derive(sb.parse(text)).batch
    named = {"tanh", "sigmoid"}  # whose derivatives are written through their values: the product W x is not needed
    products = [node for e in derived.backward for node in topological([e.node]) if isinstance(node, Contraction)]
    assert any(derived.graph.declared["W"] in node.operands for node in products) is (activation not in named)


def test_a_derivative_through_a_named_value_is_printed_as_a_textbook_would() -> None:
    text = "dim h = 3\nbatch n = 4\ninput x[h]\nparam W[h, h], V[h, h]\na = tanh(W x)\nb = tanh(V a)\nL = ||b||^2\nminimize L"
    derived = sb.derive(sb.parse(text))
    assert derived.gradient("W", batch_form=True).text() == "∂L/∂W = (∂L/∂A ⊙ (1 − A ⊙ A))ᵀ X"
