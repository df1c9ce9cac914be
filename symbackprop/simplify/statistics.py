"""Hidden names for statistics: what a model computes once and broadcasts, but gave no name to.

``x_hat = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)`` has the derivative of the model that names the mean and the
deviation, and it should read the same. So the simplifier works with names for them, and writes them out at the end.
"""

from __future__ import annotations

from dataclasses import replace

import sympy

from symbackprop.graph.build import leaf, pointwise
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Contraction, Node, Pointwise, Reduction, argument
from symbackprop.graph.walk import rewrite, substitute, topological


class HiddenNames:
    """The hidden names of a graph; ``graph`` has their equations, each before the first that reads it."""

    def __init__(self, graph: Graph) -> None:
        self._name_of: dict[Node, Node] = {}
        self._meaning: dict[Node, Node] = {}
        self._new: list[Equation] = []
        equations: list[Equation] = []
        for equation in graph.equations:
            node = rewrite(equation.node, self._with_names)
            equations += [*self._new, replace(equation, node=node)]
            self._new.clear()
        self.graph = replace(graph, equations=tuple(equations))

    def put_in(self, node: Node) -> Node:
        """Return the expression with the hidden names of the sums and reductions in it."""
        return rewrite(node, self._name_of.get) if self._name_of else node

    def written_out(self, node: Node) -> Node:
        """Return the expression without hidden names."""
        while any(part in self._meaning for part in topological([node])):
            node = substitute(node, self._meaning)
        return node

    def _hide(self, node: Node) -> Node:
        if node not in self._name_of:
            name = leaf("value", f"<{len(self._name_of)}>", node.shape)
            self._name_of[node], self._meaning[name] = name, node
            self._new.append(Equation(f"<{len(self._meaning) - 1}>", node))
        return self._name_of[node]

    def _with_names(self, node: Node) -> Node | None:
        """Name the statistics that a pointwise node broadcasts, then their powers and functions in it."""
        if not isinstance(node, Pointwise):
            return None
        factors = list(zip(node.operands, node.labels, strict=True))
        statistics = {
            argument(k): k
            for k, (operand, labels) in enumerate(factors)
            if isinstance(operand, Contraction | Reduction) and len(labels) < node.rank
        }
        if not statistics:
            return None
        for k in statistics.values():
            factors[k] = (self._hide(factors[k][0]), factors[k][1])
        expression = node.expression
        for part in _parts(expression, frozenset(statistics)):
            used = [k for k in range(len(factors)) if argument(k) in part.free_symbols]
            axes = tuple(sorted({label for k in used for label in factors[k][1]}))
            if len(axes) == node.rank:
                continue
            place = {label: position for position, label in enumerate(axes)}
            meaning = pointwise(
                part.xreplace({argument(k): argument(new) for new, k in enumerate(used)}),
                [(factors[k][0], tuple(place[label] for label in factors[k][1])) for k in used],
                tuple(node.shape[axis] for axis in axes),
            )
            expression = expression.subs(part, argument(len(factors)))
            factors.append((self._hide(meaning), axes))
        return pointwise(expression, factors, node.shape)


def _parts(expression: sympy.Expr, statistics: frozenset[sympy.Symbol]) -> list[sympy.Expr]:
    """The largest powers and functions of statistics alone; of a power, the one with a positive exponent."""
    found: list[sympy.Expr] = []
    pending = [expression]
    while pending:
        part = pending.pop()
        symbols = {symbol for symbol in part.free_symbols if not symbol.is_integer}  # a dimension is an integer
        if not symbols & statistics:
            continue
        if symbols <= statistics and not (part.is_Add or part.is_Mul or part.is_Symbol):
            if part.is_Pow and part.exp.is_number:
                part = part.base ** abs(part.exp)
            if not (part.is_Symbol or part.is_Pow and part.base.is_Symbol) and part not in found:
                found.append(part)
            continue
        pending.extend(reversed(part.args))
    return found
