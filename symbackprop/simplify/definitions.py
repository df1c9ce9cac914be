"""What the forward equations define, indexed so that a value can be replaced by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import sympy

from symbackprop.graph.build import Factor, scale, transpose
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Contraction, Labels, Leaf, Node, Pointwise, argument


@dataclass(frozen=True)
class Pattern:
    """``expression`` of the operands it mentions equals ``replacement``, which may mention the other operands too.

    In the replacement ``argument(len(operands))`` stands for the named value, whose axes run along ``axes``.
    """

    reference: Leaf
    axes: Labels
    expression: sympy.Expr
    operands: tuple[Factor, ...]
    replacement: sympy.Expr


class Definitions:
    """The named values of a graph, by what they are equal to."""

    def __init__(self, graph: Graph) -> None:
        self.exact: dict[Node, Node] = {}
        self.patterns: dict[Node, list[Pattern]] = {}
        self._right_sides: dict[str, Node] = {}
        for equation in graph.equations:
            self.learn(equation)
            for node, order in _orientations(equation.node):
                if isinstance(node, Pointwise) and node.operands:
                    self._index(node, equation.reference, order)

    def learn(self, equation: Equation) -> None:
        """Remember an equation, so that its right-hand side as a whole is written by its name from now on.

        An alias (``∂J/∂b = ∂J/∂o``) and a constant give no name.
        """
        self._right_sides[equation.name] = equation.node
        if not isinstance(equation.node, Leaf) and equation.node.operands:
            for node, order in _orientations(equation.node):
                self.exact.setdefault(node, _oriented(equation.reference, order))

    def definition(self, leaf: Leaf) -> Node | None:
        """Return the right-hand side of the equation a leaf refers to."""
        return self._right_sides.get(leaf.name) if leaf.kind == "value" else None

    def _index(self, node: Pointwise, reference: Leaf, order: Labels) -> None:
        factors = tuple(zip(node.operands, node.labels, strict=True))
        if len(factors) == 1 and node.operands[0].shape == node.shape:
            core, coefficient = node.expression.as_independent(argument(0), as_Add=False)[::-1]
            if core == argument(0):
                self.exact.setdefault(node.operands[0], scale(1 / coefficient, _oriented(reference, order)))
                return
        used = {label for _, labels in factors for label in labels}
        if used != set(range(node.rank)) or node.expression.is_Symbol:
            return
        name = argument(len(factors))
        axes = tuple(order.index(axis) for axis in range(node.rank))
        patterns = [Pattern(reference, axes, node.expression, factors, name)]
        solved = _solved(node.expression, name)
        if solved is not None:
            patterns.append(Pattern(reference, axes, solved[0], factors, solved[1]))
        for pattern in patterns:
            needed = [o for k, o in enumerate(node.operands) if argument(k) in pattern.expression.free_symbols]
            rarest = min(needed, key=lambda operand: len(self.patterns.get(operand, ())))
            self.patterns.setdefault(rarest, []).append(pattern)


def _orientations(node: Node) -> Iterator[tuple[Node, Labels]]:
    """Yield an expression and, where something in it is computed, its transposes: each with the order of its axes.

    Leaves are read in any orientation; a computed operand is another node in each.
    """
    yield node, tuple(range(node.rank))
    computed = isinstance(node, Contraction) or any(operand.operands for operand in node.operands)
    if computed and 1 < node.rank <= 3:
        for order in list(permutations(range(node.rank)))[1:]:
            yield transpose(node, order), order


def _oriented(reference: Leaf, order: Labels) -> Node:
    return reference if order == tuple(range(reference.rank)) else transpose(reference, order)


def _solved(expression: sympy.Expr, name: sympy.Symbol) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Solve ``name = sum / divisor`` for the sum, where that brings no pole: the divisor only multiplies."""
    sums = [factor for factor in sympy.Mul.make_args(expression) if factor.is_Add]
    if len(sums) != 1 or expression.is_Add:
        return None
    rest = name * sums[0] / expression
    powers = sympy.Mul.make_args(rest)
    if all(not factor.is_Pow or (factor.exp.is_number and factor.exp.is_positive) for factor in powers):
        return sums[0], rest
    return None
