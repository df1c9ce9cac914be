"""Every linear term of every node family: <A x, y> = <x, A^T y>, and A is what a complex step says, on random shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symbackprop.derivation.rules import _TABLE, linearise
from symbackprop.functions.scalar import absolute, maximum, positive, relu, sigmoid, softplus, where
from symbackprop.graph.build import contract, coordinate, indicator, leaf, matrix_function, pointwise, reduction
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import (
    Collective,
    Contraction,
    Coordinate,
    Indicator,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
    axis,
)
from symbackprop.graph.walk import leaves

_0, _1, _2 = argument(0), argument(1), argument(2)
EXPRESSIONS = (
    _0 * _1, _0 / (2 + _1**2), sympy.exp(_0 - _1), _0 * sigmoid(_1) + _2, relu(_0) * _2 - _1, maximum(_0, _1, _2),
    where(positive(_0), _1, _2**2), absolute(_0) ** sympy.Rational(3, 2) * _1, softplus(_0 * _1) + sympy.tanh(_2),
)  # fmt: skip

Drawn = Callable[[Any], Node]


def tensor(name: str, shape: tuple[int, ...]) -> Leaf:
    return leaf("parameter", name, [sympy.Integer(size) for size in shape])


def draw_pointwise(data: Any) -> Node:
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    operands = []
    for name in ("A", "B", "C"):
        labels = tuple(data.draw(st.permutations(range(len(shape)))))[: data.draw(st.integers(0, len(shape)))]
        operands.append((tensor(name, tuple(shape[label] for label in labels)), labels))
    return pointwise(data.draw(st.sampled_from(EXPRESSIONS)), operands, tuple(map(sympy.Integer, shape)))


def draw_contraction(data: Any) -> Node:
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    factors = []
    for name in ("A", "B", "C")[: data.draw(st.integers(1, 3))]:
        labels = tuple(data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=3)))
        factors.append((tensor(name, tuple(sizes[label] for label in labels)), labels))
    output = tuple(data.draw(st.permutations(range(len(sizes)))))[: data.draw(st.integers(0, len(sizes) - 1))]
    return contract(factors, output, [sympy.Integer(size) for size in sizes])


def draw_indicated(data: Any) -> Node:
    """A window, a slice or a mask: a contraction with an indicator."""
    size, width, stride = data.draw(st.integers(4, 6)), data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    places = (size - width) // stride + 1
    window = indicator("==", axis(0) - stride * axis(1) - axis(2), tuple(map(sympy.Integer, (size, places, width))))
    mask = indicator(">=", axis(0) - axis(1), tuple(map(sympy.Integer, (places, width))))
    factors = [(tensor("A", (size,)), (2,)), (window, (2, 0, 1)), (tensor("B", (width, places)), (1, 0))]
    if data.draw(st.booleans()):
        factors.append((mask, (0, 1)))
    output = data.draw(st.sampled_from([(), (0,), (1,), (1, 0)]))
    return contract(factors, output, [sympy.Integer(n) for n in (places, width, size)])


def draw_reduction(data: Any) -> Node:
    kind = data.draw(st.sampled_from(["max", "logsumexp", "norm"]))
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    rank = data.draw(st.integers(0, len(sizes) - 1))
    labels = tuple(data.draw(st.permutations(range(len(sizes)))))
    operand = tensor("A", tuple(sizes[label] for label in labels))
    return reduction(kind, operand, labels, rank, [sympy.Integer(size) for size in sizes])


def draw_matrix(data: Any) -> Node:
    kind = data.draw(st.sampled_from(["inverse", "cofactor", "logdet", "det"]))
    batch, size = data.draw(st.lists(st.integers(1, 2), max_size=1)), data.draw(st.integers(1, 3))
    operand = tensor("A", (*batch, size, size))
    if data.draw(st.booleans()):
        operand = pointwise(_0 + _1, [(operand, tuple(range(operand.rank))), (tensor("B", (size,)), (operand.rank - 1,))],
                            operand.shape)  # fmt: skip
    return matrix_function(kind, operand)


def draw_indicator(data: Any) -> Node:
    return indicator(">=", axis(0) - axis(1), (sympy.Integer(2), sympy.Integer(3)))


def draw_coordinate(data: Any) -> Node:
    return coordinate(sympy.Integer(data.draw(st.integers(1, 4))))


FAMILIES: dict[type[Node], tuple[Drawn, ...]] = {
    Pointwise: (draw_pointwise,),
    Contraction: (draw_contraction, draw_indicated),
    Reduction: (draw_reduction,),
    MatrixFunction: (draw_matrix,),
    Indicator: (draw_indicator,),
    Coordinate: (draw_coordinate,),
}


def test_every_node_family_is_drawn() -> None:
    assert set(FAMILIES) == set(_TABLE) == set(Node.__subclasses__()) - {Leaf, Collective}  # split after derivation


def value_of(node: Node, values: dict[str, Any], dtype: Any = np.float64) -> Any:
    graph = Graph(tuple(leaves(node)), (Equation("out", node),))
    return evaluate(graph, values, {}, dtype)["out"]


@pytest.mark.parametrize(
    "drawn",
    [drawn for family in FAMILIES.values() for drawn in family],
    ids=lambda drawn: drawn.__name__.removeprefix("draw_"),
)
@settings(max_examples=60)
@given(st.data())
def test_linear_terms(drawn: Drawn, data: Any) -> None:
    node = drawn(data)
    assume(not isinstance(node, Leaf))
    seed = data.draw(st.integers(0, 2**20))
    random = np.random.default_rng(seed)
    values: dict[str, Any] = {}
    for found in leaves(node):
        values[found.name] = random.uniform(0.2, 1.2, tuple(map(int, found.shape))) * random.choice([-1.0, 1.0])
        if isinstance(node, MatrixFunction) and found.rank >= 2:
            values[found.name] += 8 * np.eye(int(found.shape[-1]))
    for term in linearise(node):
        operand = node.operands[term.position]
        x, y = random.normal(size=tuple(map(int, operand.shape))), random.normal(size=tuple(map(int, node.shape)))
        pushed = term.forward(leaf("tangent", "x", operand.shape))
        pulled = term.reverse(leaf("cotangent", "y", node.shape))
        assert pushed.shape == node.shape and pulled.shape == operand.shape
        left = np.sum(value_of(pushed, {**values, "x": x}) * y)
        right = np.sum(x * value_of(pulled, {**values, "y": y}))
        assert left == pytest.approx(right, rel=1e-12, abs=1e-12)
    moved = {n: v + 1e-30j * random.normal(size=v.shape) for n, v in values.items()}
    total = sum(
        (
            value_of(
                term.forward(leaf("tangent", "x", node.operands[term.position].shape)),
                {**values, "x": value_of(node.operands[term.position], moved, np.complex128).imag / 1e-30},
            )
            for term in linearise(node)
        ),
        np.zeros(tuple(map(int, node.shape))),
    )
    stepped = value_of(node, moved, np.complex128).imag / 1e-30
    assert np.allclose(total, stepped, rtol=1e-11, atol=1e-11)
