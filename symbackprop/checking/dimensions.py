"""Random sizes for a model's dimensions, among those its equations allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import sympy

from symbackprop.errors import SizeError
from symbackprop.graph.model import Graph, Model
from symbackprop.graph.nodes import Contraction, Indicator, Leaf, Node, Reduction, axis
from symbackprop.graph.sizes import Size, dimension, size_value
from symbackprop.graph.walk import topological

Sizes = dict[str, int]

TRIES = 400
"""Random choices of sizes that are tried before the defaults are taken."""

CHEAP = 4000
"""Products in one node up to which sizes are taken without looking for smaller ones."""


class Dimensions:
    """The dimensions of a model, and which sizes they may take together."""

    def __init__(self, model: Model, graph: Graph) -> None:
        nodes = topological([*graph.declarations, *(equation.node for equation in graph.equations)])
        sizes = {size: None for node in nodes for size in _sizes_of(node)}
        self._sizes = [size for size in sizes if not size.is_Integer]
        self._constraints = [sympy.expand(left - right) for left, right in graph.constraints]
        self._indicators = [node for node in nodes if isinstance(node, Indicator) and not node.operands]
        self.defaults = {name: default for name, default in model.dimensions.items() if default is not None}
        symbols = set().union(*(size.free_symbols for size in [*sizes, *self._constraints]))
        names = [*model.dimensions, *([model.batch] if model.batch else [])]
        self.names = tuple(dict.fromkeys([*names, *sorted(symbol.name for symbol in symbols)]))
        self._inside = self._maps_inside(self.defaults) if set(self.names) <= set(self.defaults) else set()
        self._spaces = {space: None for node in nodes if (space := _space_of(node))}

    def allows(self, sizes: Mapping[str, int]) -> bool:
        """Tell whether every size is a positive integer, every constraint holds and no index map leaves its
        axis.

        An index map may leave an axis (padding) if it does so at the model's default sizes too.
        """
        try:
            for size in self._sizes:
                size_value(size, sizes)
        except SizeError:
            return False
        if any(_number(constraint, sizes) != 0 for constraint in self._constraints):
            return False
        return self._inside <= self._maps_inside(sizes)

    def cost(self, sizes: Mapping[str, int]) -> int:
        """The number of products in the largest node, which is what the evaluator spends its time on."""
        return max(
            (int(np.prod([size_value(s, sizes) for s in shape], dtype=int)) for shape in self._spaces),
            default=1,
        )

    def choose(self, rng: np.random.Generator, low: int, high: int) -> Sizes:
        """Return random sizes from ``low`` to ``high`` where the equations allow them, wider ones otherwise.

        The first that are cheap enough, else the cheapest found. Where nothing random fits, the defaults.
        Raises SizeError where there are none either.
        """
        found: list[Sizes] = []
        for sizes in self._feasible(rng, low, high):
            if self.cost(sizes) <= CHEAP:
                return sizes
            found.append(sizes)
        return min(found, key=self.cost) if found else self._default_sizes()

    def smallest(self, rng: np.random.Generator) -> Sizes:
        """Return tiny sizes: of many random ones that are cheap, those with the fewest sizes of 1 (which
        hide mistakes).
        """
        found = list(self._feasible(rng, 1, 3))
        if not found:
            return self._default_sizes()

        def key(sizes: Sizes) -> tuple[int, int, int]:
            cost = self.cost(sizes)
            return max(cost, CHEAP), sum(size == 1 for size in sizes.values()), cost

        return min(found, key=key)

    def _feasible(self, rng: np.random.Generator, low: int, high: int) -> Iterator[Sizes]:
        """Yield random sizes that the equations allow; the later ones may be wider, or at their defaults."""
        for attempt in range(TRIES):
            widest = high + attempt // 40
            sizes = {
                name: int(rng.integers(low, (widest if rng.random() < 0.3 else high) + 1))
                for name in self.names
            }
            for name in self.names if attempt >= TRIES // 2 else ():
                if self.defaults.get(name, 99) <= 16 and rng.random() < 0.5:
                    sizes[name] = self.defaults[name]
            if attempt % 2:
                self._repair(sizes, rng)
            if self.allows(sizes):
                yield sizes

    def _default_sizes(self) -> Sizes:
        missing = [name for name in self.names if name not in self.defaults]
        if missing:
            raise SizeError(
                f"no sizes were found that fit the equations; give defaults for {', '.join(missing)}"
            )
        return dict(self.defaults)

    def _repair(self, sizes: Sizes, rng: np.random.Generator) -> None:
        """Solve each constraint for one of its dimensions, where it is linear in it and the solution is a
        size.
        """
        for constraint in self._constraints:
            names = sorted(symbol.name for symbol in constraint.free_symbols)
            name = names[int(rng.integers(len(names)))] if names else None
            if name is None:
                continue
            symbol = dimension(name)
            slope = sympy.diff(constraint, symbol)
            if slope.is_Integer:
                others = {key: value for key, value in sizes.items() if key != name}
                solution = -_number(constraint.xreplace({symbol: sympy.S.Zero}), others) / slope
                if solution.is_Integer and solution > 0:
                    sizes[name] = int(solution)

    def _maps_inside(self, sizes: Mapping[str, int]) -> set[tuple[int, int]]:
        """Return the (index map, axis) for which every position of the other axes has its position on this
        one.
        """
        inside: set[tuple[int, int]] = set()
        for number, node in enumerate(self._indicators):
            if node.relation != "==":
                continue
            symbols = [axis(position) for position in range(node.rank)]
            if sympy.Poly(node.condition, *symbols).total_degree() > 1:
                continue
            slopes = [node.condition.coeff(symbol) for symbol in symbols]
            if not all(slope.is_Integer for slope in slopes):
                continue
            origin = _number(node.condition.xreplace(dict.fromkeys(symbols, sympy.S.Zero)), sizes)
            last = [size_value(size, sizes) - 1 for size in node.shape]
            for position, slope in enumerate(slopes):
                if abs(slope) != 1:
                    continue
                reach = [-slope * other * end for other, end in zip(slopes, last, strict=True)]
                del reach[position]
                start = -slope * origin
                lowest = start + sum(min(value, 0) for value in reach)
                highest = start + sum(max(value, 0) for value in reach)
                if lowest >= 0 and highest <= last[position]:
                    inside.add((number, position))
        return inside


def _space_of(node: Node) -> tuple[Size, ...]:
    return node.label_sizes if isinstance(node, Contraction | Reduction) else node.shape


def _sizes_of(node: Node) -> tuple[Size, ...]:
    classes = (node.classes,) if isinstance(node, Leaf) and node.classes is not None else ()
    return (*_space_of(node), *classes)


def _number(expression: sympy.Expr, sizes: Mapping[str, int]) -> sympy.Expr:
    return expression.xreplace(
        {symbol: sympy.Integer(sizes[symbol.name]) for symbol in expression.free_symbols}
    )
