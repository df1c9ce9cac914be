"""Random models with every loop made that can be: a cache of one byte makes each of them pay."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.derivation.derived import derive_graph
from symbackprop.derivation.products import with_products
from symbackprop.graph.evaluate import evaluate
from symbackprop.kernels import emit, load_source, schedule
from symbackprop.kernels.plan import make_plan
from tests.kernels.test_plan import agree, check_lives
from tests.strategies import recipes, values_for


@given(recipe=recipes(deepest=5), checkpoint=st.sampled_from([None, 1]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_loops_over_rows_compute_what_the_graph_says(recipe, checkpoint):
    model = sb.parse(recipe.spell())
    derived = derive_graph(model, batched=True)
    with mock.patch.object(schedule, "CACHE", 1), mock.patch.object(emit, "CACHE", 1):
        check_lives(make_plan(derived, checkpoint))
        kernel = load_source(sb.derive(model).source(checkpoint=checkpoint), "random")
    sizes = {name: size or 2 for name, size in model.dimensions.items()}
    values = values_for(derived.graph, sizes)
    kinds = {declaration.name: declaration.kind for declaration in derived.graph.declarations}
    parameters, inputs, hyper = (
        {name: np.asarray(value) for name, value in values.items() if kinds[name] in wanted}
        for wanted in (("parameter",), ("input", "target"), ("hyper",))
    )
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    expected = evaluate(derived.graph, values, sizes)
    for _ in range(2):  # a second call finds the workspace as the first one left it
        _, gradients = kernel.loss_and_grad(
            parameters, inputs, workspace, hyper={name: float(value) for name, value in hyper.items()}
        )
        agree(gradients, {name: expected[derived.gradient_name(name)] for name in model.parameters})


@given(recipe=recipes(deepest=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_products_in_loops_are_what_the_graph_says(recipe):
    model = sb.parse(recipe.spell())
    derived = with_products(derive_graph(model, batched=True))
    with mock.patch.object(schedule, "CACHE", 1), mock.patch.object(emit, "CACHE", 1):
        check_lives(make_plan(derived))
        kernel = load_source(sb.derive(model).source(2), "random")
    sizes = {name: size or 2 for name, size in model.dimensions.items()}
    values = values_for(derived.graph, sizes)
    kinds = {declaration.name: declaration.kind for declaration in derived.graph.declarations}
    parameters, inputs, hyper, direction = (
        {name: np.asarray(value) for name, value in values.items() if kinds[name] in wanted}
        for wanted in (("parameter",), ("input", "target"), ("hyper",), ("tangent",))
    )
    direction = {name[2:-1]: value for name, value in direction.items()}
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    expected = evaluate(derived.graph, values, sizes)
    numbers = {name: float(value) for name, value in hyper.items()}
    for _ in range(2):
        _, gradients, products = kernel.loss_grad_and_hvp(parameters, direction, inputs, workspace, numbers)
        agree(gradients, {name: expected[derived.gradient_name(name)] for name in model.parameters})
        agree(products, {name: expected[product] for name, product in derived.products.items()})
        agree(
            kernel.hvp(parameters, direction, inputs, workspace, numbers),
            {name: expected[product] for name, product in derived.products.items()},
        )
