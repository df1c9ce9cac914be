"""Lifting a per-example graph over the batch: a leading axis for whatever depends on an input or a target."""

from __future__ import annotations

from dataclasses import replace

import sympy

from symbackprop.errors import ShapeError
from symbackprop.graph.build import Factor, contract, indicator, leaf, matrix_function, pointwise, reduction
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.nodes import (
    Contraction,
    Indicator,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
    axis,
)
from symbackprop.graph.sizes import Size, dimension
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import topological


def batch_graph(model: Model) -> Graph:
    """Return the graph the kernels compute: examples stacked as rows, the objective their mean.

    A model without a batch dimension is its own batch graph.
    """
    if model.batch is None:
        return model.graph
    if model.objective is not None and model.graph.by_name[model.objective].node.rank:
        raise ShapeError(f"the objective {model.objective} is not a scalar")
    return over_batch(model.graph, model.batch, model.objective)


def over_batch(graph: Graph, batch: str, averaged: str | None) -> Graph:
    """Return a per-example graph over a batch: what an input or a target reaches has a leading axis, and one value is the mean."""
    size = dimension(batch)
    declarations = tuple(
        leaf(d.kind, d.name, (size, *d.shape), d.classes) if d.kind in ("input", "target") else d
        for d in graph.declarations
    )
    lifted: dict[Node, Node] = {
        old: new for old, new in zip(graph.declarations, declarations, strict=True) if old is not new
    }
    equations: list[Equation] = []
    for equation in graph.equations:
        node, depends = lift(equation.node, lifted, size)
        if equation.name == averaged and depends:
            node, depends = mean_over_leading(node, size), False
        new = Equation(equation.name, node, equation.indices)
        equations.append(new)
        if depends:
            lifted[equation.reference] = new.reference
    return verify(replace(graph, declarations=declarations, equations=tuple(equations)))


def mean_over_leading(node: Node, size: Size) -> Node:
    """Return the mean over the first axis, term by term, so that a term that is the same for all examples stays."""
    terms: list[Factor] = []
    expression: sympy.Expr = sympy.S.Zero
    pieces: list[tuple[Node, tuple[int, ...]]] = [(node, tuple(range(node.rank)))]
    if isinstance(node, Pointwise) and node.expression.is_Add:
        factors = list(zip(node.operands, node.labels, strict=True))
        pieces = [(pointwise(term, factors, node.shape), tuple(range(node.rank))) for term in node.expression.args]
    for piece, labels in pieces:
        total = contract([(piece, labels)], labels[1:], node.shape)
        terms.append((total, tuple(range(total.rank))))
        expression += argument(len(terms) - 1) / size
    return pointwise(expression, terms, node.shape[1:])


def lift(root: Node, lifted: dict[Node, Node], size: Size) -> tuple[Node, bool]:
    """Return the expression with a leading axis where it depends on a lifted leaf, and whether it does."""
    new: dict[Node, tuple[Node, bool]] = {}
    for node in topological([root]):
        if isinstance(node, Leaf) or not node.operands:
            new[node] = (lifted.get(node, node), node in lifted)
            continue
        depends = any(new[operand][1] for operand in node.operands)
        if not depends:
            new[node] = (node, False)
            continue
        factors = [
            (new[operand][0], _shift(labels, new[operand][1]))
            for operand, labels in zip(node.operands, node.labels, strict=True)
        ]
        new[node] = (_rebuild(node, factors, size), True)
    return new[root]


def _shift(labels: tuple[int, ...], leading: bool) -> tuple[int, ...]:
    moved = tuple(label + 1 for label in labels)
    return (0, *moved) if leading else moved


def _rebuild(node: Node, factors: list[Factor], size: Size) -> Node:
    if isinstance(node, Pointwise):
        return pointwise(node.expression, factors, (size, *node.shape))
    if isinstance(node, Contraction):
        return contract(factors, tuple(range(node.rank + 1)), (size, *node.label_sizes))
    if isinstance(node, Reduction):
        (operand, labels) = factors[0]
        return reduction(node.kind, operand, labels, node.rank + 1, (size, *node.label_sizes))
    if isinstance(node, MatrixFunction):
        return matrix_function(node.kind, factors[0][0])
    assert isinstance(node, Indicator)

    moved = node.condition.xreplace({axis(k): axis(k + 1) for k in range(node.rank)})
    return indicator(node.relation, moved, (size, *node.shape), factors)
