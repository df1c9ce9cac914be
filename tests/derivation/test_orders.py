"""Derivatives of derivatives: both modes over both modes, against a complex step of what they derive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Model
from symbackprop.graph.names import Adjoint, Tangent
from symbackprop.language.lowering import lower
from symbackprop.models import builtin_names, builtin_text
from symbackprop.simplify.stabilise import stabilise
from tests.derivation import numbers
from tests.strategies import Recipe, recipes, values_for


def built_in(name: str) -> Model:
    return lower(builtin_text(name), name=name)


def point(model: Model, sizes: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    return values_for(batch_graph(model), sizes, seed) | {
        name: np.float64(value) for name, value in model.hyper_defaults.items() if value is not None
    }


@pytest.mark.parametrize("name", builtin_names())
def test_gradients_are_the_complex_step(name: str) -> None:
    model = built_in(name)
    graph, sizes = batch_graph(model), numbers.small_sizes(model)
    derived = numbers.gradient_graph(model, graph)
    values = point(model, sizes, 1)
    direction = numbers.direction_for(model, values, 1)
    found = numbers.dot(numbers.gradients(model, derived, values, sizes), direction)
    moved = evaluate(graph, numbers.shifted(values, direction), sizes, np.complex128)[numbers.objective(model)]
    assert found == pytest.approx(float(moved.imag) / numbers.STEP, rel=1e-12)


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("simplified", [True, False])
def test_hessian_vector_products(name: str, simplified: bool) -> None:
    """Forward over reverse is the complex step of the gradient, symmetric, and what reverse over reverse gives."""
    model = built_in(name)
    sizes = numbers.small_sizes(model)
    derived = numbers.gradient_graph(model, batch_graph(model), simplified)
    second = numbers.forward_over_reverse(model, derived)
    values = point(model, sizes, 2)
    u, v = numbers.direction_for(model, values, 3), numbers.direction_for(model, values, 4)

    def product(direction: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        result = evaluate(second, {**values, **numbers.along(direction)}, sizes)
        found = {name: result.get(numbers.product_name(model, name)) for name in model.parameters}
        return {n: np.zeros(np.shape(values[n])) if array is None else array for n, array in found.items()}

    hv = product(v)
    stepped = numbers.gradients(model, derived, numbers.shifted(values, v), sizes, np.complex128)
    assert numbers.distance(hv, {n: array.imag / numbers.STEP for n, array in stepped.items()}) <= 1e-11
    assert abs(numbers.dot(u, hv) - numbers.dot(product(u), v)) <= 1e-12 * numbers.norm(hv) * numbers.norm(u)
    again_graph, name_of = numbers.reverse_over_reverse(model, derived)
    result = evaluate(again_graph, {**values, **numbers.along(v)}, sizes)
    again = {name: result[Adjoint(name_of, name).name] for name in model.parameters}
    assert numbers.distance(again, hv) <= 1e-12


@pytest.mark.parametrize("name", ["softmax_regression", "tied_autoencoder", "gaussian_likelihood", "layer_norm"])
def test_third_order(name: str) -> None:
    """The tangent of a Hessian-vector product along v is its complex step along v."""
    model = built_in(name)
    sizes = numbers.small_sizes(model)
    second = numbers.forward_over_reverse(model, numbers.gradient_graph(model, batch_graph(model)))
    directions = {n: numbers.leaf("tangent", f"s {n}", second.declared[n].shape) for n in model.parameters}
    third = numbers.forward(second, directions, naming=twice)
    values = point(model, sizes, 5)
    v = numbers.direction_for(model, values, 6)
    along = {**values, **numbers.along(v)}
    result = evaluate(third, {**along, **{f"s {n}": array for n, array in v.items()}}, sizes)
    stepped = evaluate(second, {**along, **numbers.shifted(values, v), **numbers.along(v)}, sizes, np.complex128)
    names = [numbers.product_name(model, n) for n in model.parameters]
    names = [n for n in names if n in second.by_name and twice(n) in third.by_name]
    assert names
    found = {n: result[twice(n)] for n in names}
    assert numbers.distance(found, {n: stepped[n].imag / numbers.STEP for n in names}) <= 1e-11


@pytest.mark.parametrize("name", builtin_names())
def test_forward_and_reverse_mode_are_adjoint(name: str) -> None:
    model = built_in(name)
    check_adjoint(model, numbers.small_sizes(model), 8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(recipes(deepest=2))
def test_forward_and_reverse_mode_are_adjoint_on_random_models(recipe: Recipe) -> None:
    model = lower(recipe.spell())
    check_adjoint(model, {**recipe.dims, "n": 2}, 9)


def twice(name: str) -> str:
    return f"second D[{name}]"


def check_adjoint(model: Model, sizes: dict[str, int], seed: int) -> None:
    """<J v, u> = <v, J^T u> for the last vector-valued value before the objective, and for the objective."""
    graph = batch_graph(model)
    values = point(model, sizes, seed)
    v = numbers.direction_for(model, values, seed)
    moved = numbers.forward(graph, numbers.tangents_for(model, graph))
    pushed = evaluate(moved, {**values, **numbers.along(v)}, sizes)
    targets = [e.name for e in graph.equations if Tangent(e.name).name in moved.by_name][-3:]
    assert targets
    for target in targets:
        shape = graph.reference(target).shape
        seed_leaf = numbers.leaf("cotangent", "open", shape)
        seeded = numbers.Graph((*graph.declarations, seed_leaf), graph.equations, graph.constraints)
        pulled = numbers.reverse(seeded, target, model.parameters, seed_leaf).graph
        u = np.random.default_rng(seed).normal(size=pushed[target].shape)
        back = evaluate(pulled, {**values, "open": u}, sizes)
        right = sum(
            np.sum(v[n] * back[Adjoint(target, n).name]) for n in model.parameters if Adjoint(target, n).name in back
        )
        left = np.sum(pushed[Tangent(target).name] * u)
        scale = np.linalg.norm(pushed[Tangent(target).name]) * np.linalg.norm(u) + 1e-300
        assert abs(left - right) <= 1e-11 * scale, target


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(recipes(deepest=2))
def test_random_gradients_are_the_complex_step(recipe: Recipe) -> None:
    model = lower(recipe.spell())
    model = numbers.Model(**{**vars(model), "graph": stabilise(model.graph)})
    graph, sizes = batch_graph(model), {**recipe.dims, "n": 2}
    derived = numbers.gradient_graph(model, graph)
    values = point(model, sizes, 10)
    direction = numbers.direction_for(model, values, 11)
    found = numbers.dot(numbers.gradients(model, derived, values, sizes), direction)
    moved = evaluate(graph, numbers.shifted(values, direction), sizes, np.complex128)["J"]
    assert found == pytest.approx(float(moved.imag) / numbers.STEP, rel=1e-10, abs=1e-12)
