"""The engine: it offers every node of an equation to every rewrite, and keeps what makes the equation shorter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from symbackprop.graph.build import add, terms_of
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Node, Pointwise
from symbackprop.graph.walk import rewrite, rewrite_down
from symbackprop.simplify.cost import cost
from symbackprop.simplify.definitions import Definitions
from symbackprop.simplify.rewrites import REWRITES, TERM_LIMIT, Rewrite, name_forward_value
from symbackprop.simplify.statistics import HiddenNames

ROUNDS = 12


class Simplifier:
    """Simplifies one expression at a time, against the definitions of a graph.

    ``fired`` counts, by name, how often each rewrite was kept.
    """

    def __init__(self, graph: Graph) -> None:
        self._hidden = HiddenNames(graph)
        self.definitions = Definitions(self._hidden.graph)
        self.fired: Counter[str] = Counter()

    def __call__(self, equation: Equation) -> Equation:
        """Return the equation with a right-hand side that is equal and costs no more, and remember it."""
        node = self._shortest(self._hidden.put_in(equation.node))
        self.definitions.learn(replace(equation, node=node))
        return replace(equation, node=self._hidden.written_out(node))

    def simplify(self, node: Node) -> Node:
        """Return an equal expression that costs no more, where a statistic counts as a name."""
        return self._hidden.written_out(self._shortest(self._hidden.put_in(node)))

    def _shortest(self, node: Node) -> Node:
        """A sum of very many terms is simplified term by term."""
        if isinstance(node, Pointwise) and node.expression.is_Add and len(node.expression.args) > TERM_LIMIT:
            return add([self._shortest(term) for term in terms_of(node)], node.shape)
        best, lowest = node, cost(node)
        for _ in range(ROUNDS):
            before = best
            for change in REWRITES:
                candidate = self._named(best if change is name_forward_value else rewrite(best, self._offer(change)))
                if candidate is best:
                    continue
                price = cost(candidate)
                if price < lowest:
                    best, lowest = candidate, price
                    self.fired[change.__name__] += 1
            if best is before:
                return best
        return best

    def _offer(self, change: Rewrite) -> Callable[[Node], Node | None]:
        return lambda node: change(node, self.definitions)

    def _named(self, node: Node) -> Node:
        """Write forward values by their names, the largest first, as long as that makes the expression shorter."""
        price = cost(node)
        for _ in range(ROUNDS):
            candidate = rewrite_down(node, self._offer(name_forward_value))
            if candidate is node or cost(candidate) >= price:
                return node
            node, price = candidate, cost(candidate)
        return node
