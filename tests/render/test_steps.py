"""The steps: local derivatives are true, and the chain rule made of them gives the result."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.derivation.local import local_derivatives
from symbackprop.graph.build import contract
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.sizes import size_value
from symbackprop.models import builtin_names
from symbackprop.render.steps import Steps
from symbackprop.render.writer import Writer
from symbackprop.simplify.engine import Simplifier
from tests.render.models import MODELS
from tests.strategies import values_for

TINY = {"small_cnn": {"c": 2, "s": 5, "k": 2, "f": 2, "p": 2, "q": 3, "n": 2}}
OTHERS = ("row-wise", "softmax alone", "a vector-Jacobian product", "strided convolution")
H = 1e-30


@pytest.mark.parametrize("batched", [False, True], ids=["example", "batch"])
@pytest.mark.parametrize("name", [*builtin_names(), *OTHERS])
def test_local_derivatives_are_those_of_the_complex_step(name: str, batched: bool) -> None:
    model = sb.builtin(name) if name in builtin_names() else sb.parse(MODELS[name])
    derived = sb.derive(model).form(batched)
    forward = Graph(derived.graph.declarations, derived.forward, derived.graph.constraints)
    sizes = TINY.get(name) or (
        {d: 2 + k % 2 for k, d in enumerate(model.dimensions)} if name in builtin_names()
        else {d: size or 2 for d, size in model.dimensions.items()}
    )  # fmt: skip
    values = values_for(derived.graph, sizes, seed=3)
    values |= {n: float(v) for n, v in model.hyper_defaults.items() if v is not None}
    if name == "small_cnn":
        values["b1"] += 9.0  # away from the kinks: no maximum of several zeros
    values |= evaluate(forward, values, sizes)
    active = forward.depends_on(frozenset(derived.wrt))
    compared = 0
    for equation in derived.forward:
        for source, node in local_derivatives(equation, active, Simplifier(forward)).items():
            leaf = forward.reference(source)
            assert node.shape == (*equation.node.shape, *leaf.shape)
            found = alone(equation.name, node, forward, values, sizes)
            for place in list(np.ndindex(*(size_value(size, sizes) for size in leaf.shape)))[:6]:
                moved = {k: np.asarray(v, dtype=v.dtype if np.asarray(v).dtype.kind == "i" else complex) for k, v in
                         ((k, np.asarray(v)) for k, v in values.items())}  # fmt: skip
                moved[source] = moved[source].copy()
                moved[source][place] += 1j * H
                wanted = alone(equation.name, equation.node, forward, moved, sizes, complex).imag / H
                np.testing.assert_allclose(found[(..., *place)], wanted, rtol=1e-9, atol=1e-9)
                compared += 1
    assert compared


def alone(
    name: str, node: object, graph: Graph, values: dict[str, object], sizes: dict[str, int], dtype: type = float
) -> np.ndarray:
    """The value of one expression, of which every name in the graph is given."""
    given = (*graph.declarations, *[equation.reference for equation in graph.equations])
    single = Graph(given, (Equation("result", node),), graph.constraints)  # type: ignore[arg-type]
    return np.asarray(evaluate(single, values, sizes, dtype)["result"])


@pytest.mark.parametrize("name", builtin_names())
def test_the_chain_rule_gives_what_is_sent_back(name: str) -> None:
    model = sb.builtin(name)
    derived = sb.derive(model, all_values=True).form()
    graph = derived.graph
    sizes = TINY.get(name) or {d: 2 + k % 2 for k, d in enumerate(model.dimensions)}
    values = values_for(graph, sizes, seed=4) | {n: float(v) for n, v in model.hyper_defaults.items() if v is not None}
    values |= evaluate(graph, values, sizes)
    active = graph.depends_on(frozenset(derived.wrt))
    forward = {equation.name: equation for equation in derived.forward}
    for equation in derived.backward:
        terms = derived.contributions[equation.name]
        by = Steps(Writer(derived))
        total = 0.0
        for term in terms:
            consumer = forward[term.consumer]
            value = next(v for v in graph.declared | graph.by_name if derived.gradient_name(v) == equation.name)
            local = local_derivatives(consumer, active, Simplifier(graph))[value]
            own = tuple(range(consumer.node.rank))
            rest = tuple(range(consumer.node.rank, local.rank))
            adjoint = graph.reference(by.adjoint(term.consumer).name)
            chain = contract([(adjoint, own), (local, (*own, *rest))], rest, local.shape)
            total = total + alone("chain", chain, graph, values, sizes)
        if terms:
            np.testing.assert_allclose(total, values[equation.name], rtol=1e-9, atol=1e-12)


def test_steps_are_written_as_a_worked_exercise() -> None:
    text = sb.derive(sb.builtin("d2l_mlp")).text(steps=True)
    assert """\
  local            ∂a/∂z = diag(relu′(z))      from (2)
  chain            ∂J/∂z = (∂a/∂z)ᵀ (∂J/∂a)
   (12)            ∂J/∂z = ∂J/∂a ⊙ relu′(z)    h, through (2)

  local  ∂z[i]/∂W1[j, k] = [i = j] x[k]        from (1)
  local     ∂s/∂W1[j, k] = λ W1[j, k]          from (5)
  chain     ∂J/∂W1[j, k] = ∑[i]((∂z[i]/∂W1[j, k]) (∂J/∂z[i])) + (∂s/∂W1[j, k]) (∂J/∂s)
   (13)           ∂J/∂W1 = (∂J/∂z) xᵀ + λ W1   h × d, through (1) and (5), added up
""" in text


def test_a_derivative_put_in_is_worked_out_once() -> None:
    """The cotangents of mean and deviation have no equation of their own: the steps say what they are."""
    text = sb.derive(sb.builtin("layer_norm")).text(steps=True)
    assert text.count("chain           ∂L/∂σ = (∂x̂/∂σ)ᵀ (∂L/∂x̂)") == 1
    assert text.count("chain           ∂L/∂μ =") == 1
    assert text.index("∂L/∂σ = ") < text.index("∂L/∂x = ")
