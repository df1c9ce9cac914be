"""The expanded objective: every entry of every value written out as a SymPy expression in one symbol t.

This interpreter is the meaning of the nodes, said once more with loops over entries: it shares no code with
the evaluator or with the rules. Where a function has a kink, the branch is decided by the value at t = 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations, product
from typing import Any, TypeAlias

import numpy as np
import sympy

from symbackprop.functions import scalar
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import (
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
from symbackprop.graph.sizes import dimension, size_value
from symbackprop.graph.walk import topological

Array = np.ndarray[Any, Any]
Expr: TypeAlias = sympy.Expr

t = sympy.Symbol("t")
"""The one free symbol: the distance along a line through the sample. Without assumptions SymPy infers
nothing, fast.
"""

BUDGET = 20_000
"""Operations in the expanded objective beyond which it is too large."""


class TooLargeError(Exception):
    """The expansion has more operations than the budget."""

    def __init__(self, count: int) -> None:
        super().__init__(f"more than {count:,} operations when expanded")


class OnKinkError(Exception):
    """The sample lies on a kink, and the line leaves it."""


class Expansion:
    """The values of a graph with numbers for its declared tensors, and their expansions along lines through
    them.

    values holds arrays of exact SymPy numbers by name. With ``digits``, whatever is not rational is a float
    of so many.
    """

    def __init__(self, graph: Graph, values: Mapping[str, Array], sizes: Mapping[str, int], digits: int | None) -> None:
        self._graph = graph
        self._sizes = sizes
        self._digits = digits
        self._counts: dict[Expr, int] = {}
        self._values = values
        self._base = self._run({}, {})

    def along(self, lines: Mapping[str, Array], objective: str) -> Expr:
        """Return the objective with ``values[name] + t line`` for each of the named tensors. Raises TooLargeError,
        OnKinkError.
        """
        moves: dict[Node, Array] = {}
        for name, line in lines.items():
            moved = np.empty_like(self._values[name])
            for index in np.ndindex(moved.shape):
                moved[index] = self._values[name][index] + t * line[index]
            moves[self._graph.declared[name]] = moved
        computed = self._run(moves, self._base)
        result: Expr = computed[self._graph.by_name[objective].node][()]
        return result

    def _run(self, moved: dict[Node, Array], base: Mapping[Node, Array]) -> dict[Node, Array]:
        """Compute every node that depends on a moved leaf; the others keep their values."""
        computed: dict[Node, Array] = dict(base)
        changed: set[Node] = set(moved)
        done: set[Node] = set()
        computed.update(moved)
        for equation in self._graph.equations:
            for node in topological([equation.node]):
                stale = node not in done and any(operand in changed for operand in node.operands)
                if node in computed and not stale:
                    continue
                done.add(node)
                if isinstance(node, Leaf):
                    computed[node] = np.asarray(self._values[node.name], dtype=object)
                    continue
                try:
                    computed[node] = self._node(node, [computed[operand] for operand in node.operands])
                except OnKinkError as kink:
                    raise OnKinkError(f"{kink} in {equation.name}") from None
                if base:
                    changed.add(node)
                self._charge(computed[node])
            computed[equation.reference] = computed[equation.node]
            if equation.node in changed:
                changed.add(equation.reference)
        return computed

    # ------------------------------------------------------------ nodes

    def _node(self, node: Node, operands: list[Array]) -> Array:
        shape = tuple(size_value(size, self._sizes) for size in node.shape)
        result = np.empty(shape, dtype=object)
        if isinstance(node, MatrixFunction):
            for batch in np.ndindex(operands[0].shape[:-2]):
                result[batch] = self._matrix(node.kind, operands[0][batch])
            return result
        for index in np.ndindex(shape):
            result[index] = self._entry(node, operands, index)
        return result

    def _entry(self, node: Node, operands: list[Array], index: tuple[int, ...]) -> Expr:
        def pick(position: int, place: tuple[int, ...]) -> Any:
            return operands[position][tuple(place[label] for label in node.labels[position])]

        known: dict[sympy.Basic, Any] = {}
        if isinstance(node, Pointwise | Indicator):
            known = {argument(position): sympy.S(pick(position, index)) for position in range(len(operands))}
        if isinstance(node, Pointwise):
            return self._scalar(node.expression, known)
        if isinstance(node, Indicator):
            known.update({axis(position): sympy.Integer(place) for position, place in enumerate(index)})
            condition = self._scalar(node.condition, known)
            return sympy.S.One if (condition == 0 if node.relation == "==" else condition >= 0) else sympy.S.Zero
        if isinstance(node, Coordinate):
            return sympy.Integer(index[0])
        assert isinstance(node, Contraction | Reduction)
        inner = product(*[range(size_value(size, self._sizes)) for size in node.summed])
        terms = []
        for rest in inner:
            factors = [sympy.S(pick(position, (*index, *rest))) for position in range(len(operands))]
            terms.append(sympy.S.Zero if any(factor == 0 for factor in factors) else sympy.Mul(*factors))
        return sympy.Add(*terms) if isinstance(node, Contraction) else self._reduced(node.kind, terms)

    def _reduced(self, kind: str, terms: list[Expr]) -> Expr:
        if kind == "max":
            return self._largest(terms)
        if kind == "logsumexp":
            return self._number(sympy.log(sympy.Add(*[sympy.exp(term) for term in terms])))
        squares = sympy.Add(*[term**2 for term in terms])
        if self._at_zero(squares) == 0:
            if squares.has(t):
                raise OnKinkError("norm")
            return sympy.S.Zero
        return self._number(sympy.sqrt(squares))

    def _matrix(self, kind: str, matrix: Array) -> Any:
        """Cramer's rule and Leibniz' formula: as obvious as they are slow."""
        size = matrix.shape[0]
        if size > 4:
            raise TooLargeError(BUDGET)
        if kind in ("det", "logdet"):
            value = _determinant(matrix)
            if kind == "det":
                return value
            return self._number(sympy.log(value if self._at_zero(value) > 0 else -value))
        cofactors = np.empty((size, size), dtype=object)
        for row, column in np.ndindex(size, size):
            minor = np.delete(np.delete(matrix, row, axis=0), column, axis=1)
            cofactors[row, column] = (-1) ** (row + column) * _determinant(minor)
        return cofactors if kind == "cofactor" else cofactors.T / _determinant(matrix)

    # ------------------------------------------------------------ scalars

    def _scalar(self, expression: Expr, known: Mapping[sympy.Basic, Any]) -> Expr:
        """The value of a scalar expression, its kinks decided."""
        if expression in known:
            return known[expression]
        if expression.is_Symbol:
            return (
                sympy.Integer(self._sizes[expression.name]) if expression == dimension(expression.name) else expression
            )
        if not expression.args:
            return self._number(expression)
        if isinstance(expression, scalar.where):
            taken = self._scalar(expression.args[0], known) == 1
            return self._scalar(expression.args[1 if taken else 2], known)
        values = [self._scalar(part, known) for part in expression.args]
        if isinstance(expression, scalar.maximum):
            return self._largest(values)
        if isinstance(expression, scalar.relu):
            return values[0] if self._side(expression, values[0]) > 0 else sympy.S.Zero
        if isinstance(expression, scalar.Primitive):
            side = self._side(expression, values[0])
            if isinstance(expression, scalar.absolute):
                return values[0] * side
            holds = {scalar.positive: side > 0, scalar.nonnegative: side >= 0, scalar.equals: side == 0}
            return sympy.Integer(side if isinstance(expression, scalar.sign) else holds[expression.func])
        if isinstance(expression, scalar.ScalarFunction):
            return self._scalar(expression.func.body, dict(zip(expression.func.parameters, values, strict=True)))
        if expression.is_Add:
            infinite = [value for value in values if value in (sympy.oo, -sympy.oo)]
            return infinite[0] if infinite and len(set(infinite)) == 1 else sympy.Add(*values)
        return self._number(expression.func(*values))

    def _number(self, value: Expr) -> Expr:
        """Turn an irrational number into one of many digits."""
        if self._digits is not None and value.is_number and not value.is_Rational and not value.is_infinite:
            return value.evalf(self._digits)
        return value

    def _at_zero(self, value: Expr) -> Expr:
        return value.xreplace({t: sympy.S.Zero}) if value.has(t) else value

    def _side(self, expression: Expr, value: Expr) -> int:
        here = self._at_zero(value)
        if here == 0 and value.has(t):
            raise OnKinkError(expression.func.title)
        return int(bool(here > 0)) - int(bool(here < 0))

    def _largest(self, values: list[Expr]) -> Expr:
        here = [self._at_zero(value) for value in values]
        best = here[0]
        for number in here[1:]:
            best = number if number > best else best
        winners = [value for value, number in zip(values, here, strict=True) if number == best]
        if any((winner - winners[0]).has(t) for winner in winners[1:]):
            raise OnKinkError("max")
        return winners[0]

    # ------------------------------------------------------------ the budget

    def _charge(self, values: Array) -> None:
        total = sum(self._count(value) for value in values.flat if isinstance(value, sympy.Basic) and value.has(t))
        if total > BUDGET:
            raise TooLargeError(total)

    def _count(self, expression: Expr) -> int:
        """The operations of an expression, remembered by subexpression."""
        if expression not in self._counts:
            self._counts[expression] = 1 + sum(self._count(part) for part in expression.args)
        return self._counts[expression]


def _determinant(matrix: Array) -> Expr:
    terms = []
    for order in permutations(range(matrix.shape[0])):
        inversions = sum(a > b for position, a in enumerate(order) for b in order[position + 1 :])
        factors = [matrix[row, column] for row, column in enumerate(order)]
        terms.append(sympy.Mul((-1) ** inversions, *factors))
    return sympy.Add(*terms)
