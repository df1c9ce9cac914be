"""Numbers for derivation tests: the graph is evaluated node by node, and a complex step is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symbackprop.checking.dimensions import Dimensions
from symbackprop.derivation.forward import forward
from symbackprop.derivation.reverse import reverse
from symbackprop.graph.build import add, contract, leaf
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.names import Adjoint, Tangent
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.simplify.engine import Simplifier

Array = np.ndarray[Any, Any]
Values = Mapping[str, Any]

STEP = 1e-30


def small_sizes(model: Model) -> dict[str, int]:
    """Tiny sizes that fit the model's index equations, found as the checker finds them."""
    graph = batch_graph(model)
    return Dimensions(model, graph).choose(np.random.default_rng(0), 2, 3)


def gradient_graph(model: Model, graph: Graph, simplified: bool = True) -> Graph:
    """The graph with its gradients by all parameters appended."""
    simplify = Simplifier(graph) if simplified else lambda equation: equation
    return reverse(graph, objective(model), model.parameters, simplify=simplify).graph


def objective(model: Model) -> str:
    return model.objective or model.graph.equations[-1].name


def gradients(
    model: Model, graph: Graph, values: Values, sizes: Mapping[str, int], dtype: Any = np.float64
) -> dict[str, Array]:
    result = evaluate(graph, values, sizes, dtype)
    return {name: result[Adjoint(objective(model), name).name] for name in model.parameters}


def direction_for(model: Model, values: Values, seed: int) -> dict[str, Array]:
    random = np.random.default_rng([seed, 7])
    return {name: random.normal(size=np.shape(values[name])) for name in model.parameters}


def shifted(values: Values, direction: Mapping[str, Array]) -> dict[str, Any]:
    """The point an imaginary step away along the direction."""
    moved = {name: values[name] + 1j * STEP * along for name, along in direction.items()}
    return {**values, **moved}


def tangents_for(model: Model, graph: Graph) -> dict[str, Leaf]:
    return {name: leaf("tangent", f"t {name}", graph.declared[name].shape) for name in model.parameters}


def along(direction: Mapping[str, Array]) -> dict[str, Array]:
    return {f"t {name}": array for name, array in direction.items()}


def forward_over_reverse(model: Model, graph: Graph) -> Graph:
    """The tangents of the gradients: a Hessian-vector product for each parameter."""
    return forward(graph, tangents_for(model, graph))


def product_name(model: Model, name: str) -> str:
    return Tangent(Adjoint(objective(model), name).name).name


def inner_product(left: Node, right: Node) -> Node:
    labels = tuple(range(left.rank))
    return contract([(left, labels), (right, labels)], (), left.shape)


def reverse_over_reverse(model: Model, graph: Graph) -> tuple[Graph, str]:
    """The gradient of <gradient, v>, for open directions v; and the name of the inner product."""
    directions = tangents_for(model, graph)
    total: Node | None = None
    for name in model.parameters:
        gradient = graph.reference(Adjoint(objective(model), name).name)
        product = inner_product(gradient, directions[name])
        total = product if total is None else add([total, product])
    assert total is not None
    declared = Graph(
        (*graph.declarations, *directions.values()), (*graph.equations, Equation("gv", total)), graph.constraints
    )
    return reverse(declared, "gv", model.parameters, objective="gv").graph, "gv"


def norm(arrays: Mapping[str, Array]) -> float:
    return float(np.sqrt(sum(np.sum(np.abs(array) ** 2) for array in arrays.values())))


def distance(left: Mapping[str, Array], right: Mapping[str, Array]) -> float:
    """How far two sets of arrays are apart, relative to their size."""
    difference = {name: np.asarray(left[name]) - np.asarray(right[name]) for name in left}
    return norm(difference) / max(norm(right), 1e-30)


def dot(left: Mapping[str, Array], right: Mapping[str, Array]) -> float:
    return float(sum(np.sum(np.asarray(left[name]) * np.asarray(right[name])) for name in left))
