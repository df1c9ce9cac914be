"""The table of derivatives. Each family of nodes says, for each operand, how the result moves when the operand moves:

    d result[output] = sum over the other labels of  factors * d operand[labels]

Both modes read this one statement: forward mode puts a tangent in the operand's place, reverse mode a cotangent in
the result's place. Pointwise derivatives come only from `sympy.diff`; a layer has no rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy

from symbackprop.functions.scalar import equals, guarded, partial_derivatives
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph.build import Factor, contract, matrix_function, pointwise
from symbackprop.graph.nodes import (
    Contraction,
    Coordinate,
    Indicator,
    Labels,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
)
from symbackprop.graph.sizes import Shape


@dataclass(frozen=True)
class LinearTerm:
    """How a node depends, to first order, on the operand at ``position``."""

    position: int
    factors: tuple[Factor, ...]
    labels: Labels
    output: Labels
    sizes: Shape

    def forward(self, tangent: Node) -> Node:
        """The change of the result for a change of the operand."""
        return contract([*self.factors, (tangent, self.labels)], self.output, self.sizes)

    def reverse(self, cotangent: Node) -> Node:
        """The cotangent of the operand for a cotangent of the result."""
        return contract([(cotangent, self.output), *self.factors], self.labels, self.sizes)


def linearise(node: Node) -> list[LinearTerm]:
    """Return one term for each operand the node depends on smoothly."""
    return _TABLE[type(node)](node)


def _pointwise(node: Node) -> list[LinearTerm]:
    assert isinstance(node, Pointwise)
    factors = list(zip(node.operands, node.labels, strict=True))
    output = tuple(range(node.rank))
    position_of = {argument(k): k for k in range(len(factors))}
    terms = []
    slopes = partial_derivatives(node.expression)
    for position, (_, labels) in enumerate(factors):
        local = tidy(slopes[argument(position)])
        if local != 0:
            used = sorted(position_of[symbol] for symbol in local.free_symbols if symbol in position_of)
            axes = tuple(sorted({label for k in used for label in factors[k][1]}))
            place = {label: k for k, label in enumerate(axes)}
            slope = pointwise(
                local.xreplace({argument(k): argument(new) for new, k in enumerate(used)}),
                [(factors[k][0], tuple(place[label] for label in factors[k][1])) for k in used],
                tuple(node.shape[label] for label in axes),
            )
            terms.append(LinearTerm(position, ((slope, axes),), labels, output, node.shape))
    return terms


def _contraction(node: Node) -> list[LinearTerm]:
    assert isinstance(node, Contraction)
    factors = list(zip(node.operands, node.labels, strict=True))
    return [
        LinearTerm(k, tuple(factors[:k] + factors[k + 1 :]), labels, tuple(range(node.rank)), node.label_sizes)
        for k, (_, labels) in enumerate(factors)
    ]


def _reduction(node: Node) -> list[LinearTerm]:
    """logsumexp: exp(x - y), the softmax. norm: x / y, and 0 at 0. max: the winners, over their number."""
    assert isinstance(node, Reduction)
    (operand,), (labels,) = node.operands, node.labels
    output = tuple(range(node.rank))
    every = tuple(range(len(node.label_sizes)))
    x, y = argument(0), argument(1)
    slopes = {
        "logsumexp": sympy.exp(x - y),
        "norm": x / guarded(y),
        "max": equals(x - y),
    }
    slope = pointwise(slopes[node.kind], [(operand, labels), (node, output)], node.label_sizes)
    factors: tuple[Factor, ...] = ((slope, every),)
    if node.kind == "max":
        winners = contract([(slope, every)], output, node.label_sizes)
        factors = (*factors, (pointwise(1 / x, [(winners, output)], node.shape), output))
    return [LinearTerm(0, factors, labels, output, node.label_sizes)]


def _matrix(node: Node) -> list[LinearTerm]:
    """d X^-1 = -X^-1 dX X^-1; d logdet X = tr(X^-1 dX); d det X = sum of cofactors times dX (Jacobi)."""
    assert isinstance(node, MatrixFunction)
    (operand,) = node.operands
    batch = tuple(range(operand.rank - 2))
    size = operand.shape[-1]
    i, j, a, b = (len(batch) + k for k in range(4))
    sizes = (*operand.shape[:-2], size, size, size, size)
    if node.kind == "inverse":
        negative = pointwise(-argument(0), [(node, tuple(range(node.rank)))], node.shape)
        return [
            LinearTerm(0, ((negative, (*batch, a, i)), (node, (*batch, j, b))), (*batch, i, j), (*batch, a, b), sizes)
        ]
    if node.kind in ("logdet", "det"):
        slope = matrix_function("inverse" if node.kind == "logdet" else "cofactor", operand)
        order = (j, i) if node.kind == "logdet" else (i, j)
        return [LinearTerm(0, ((slope, (*batch, *order)),), (*batch, i, j), batch, sizes[: len(batch) + 2])]
    inverse = matrix_function("inverse", operand)
    determinant = matrix_function("det", operand)
    outer: tuple[Factor, ...] = ((determinant, batch), (inverse, (*batch, j, i)), (inverse, (*batch, b, a)))
    crossed = pointwise(-argument(0), [(determinant, tuple(range(determinant.rank)))], determinant.shape)
    inner: tuple[Factor, ...] = ((crossed, batch), (inverse, (*batch, b, i)), (inverse, (*batch, j, a)))
    return [LinearTerm(0, factors, (*batch, i, j), (*batch, a, b), sizes) for factors in (outer, inner)]


def _constant(node: Node) -> list[LinearTerm]:
    return []


_TABLE: dict[type[Node], Callable[[Node], list[LinearTerm]]] = {
    Pointwise: _pointwise,
    Contraction: _contraction,
    Reduction: _reduction,
    MatrixFunction: _matrix,
    Indicator: _constant,
    Coordinate: _constant,
}
