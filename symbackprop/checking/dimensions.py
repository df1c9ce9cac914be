"""Random sizes for a model's dimensions, among those its equations allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy

from symbackprop.errors import SizeError
from symbackprop.graph.model import Graph, Model
from symbackprop.graph.nodes import Contraction, Indicator, Leaf, Node, Reduction, axis
from symbackprop.graph.sizes import Shape, Size, dimension, size_value
from symbackprop.graph.walk import topological

Sizes = dict[str, int]

TRIES = 400
"""Random choices of sizes that are tried before the defaults are taken."""

CHEAP = 20_000
"""Products in one node up to which sizes are taken without looking for smaller ones."""

SHRUNK = 4
"""How many choices are made smaller before smaller ones are drawn: a size of 1 hides mistakes."""

TINY = 4_000
"""The same where every product is one of SymPy's."""


class Dimensions:
    """The dimensions of a model, and which sizes they may take together."""

    def __init__(self, model: Model, graph: Graph) -> None:
        nodes = topological([*graph.declarations, *(equation.node for equation in graph.equations)])
        sizes = {size: None for node in nodes for size in _sizes_of(node)}
        self._sizes = [size for size in sizes if not size.is_Integer]
        self._constraints = [sympy.expand(left - right) for left, right in graph.constraints]
        maps = [_index_map(node) for node in nodes if isinstance(node, Indicator)]
        self._maps = [index_map for index_map in maps if index_map is not None]
        self.defaults = {name: default for name, default in model.dimensions.items() if default is not None}
        symbols = set().union(*(size.free_symbols for size in [*sizes, *self._constraints]))
        names = [*model.dimensions, *([model.batch] if model.batch else [])]
        self.names = tuple(dict.fromkeys([*names, *sorted(symbol.name for symbol in symbols)]))
        shown = set().union(*(size.free_symbols for d in graph.declarations for size in d.shape))
        hidden = [name for name in self.names if dimension(name) not in shown and name in self.defaults]
        self._fixed = {name: self.defaults[name] for name in hidden}  # no array tells a kernel another size
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

        The first that are cheap enough, with a smaller ``low`` if need be, else the cheapest found. Where
        nothing random fits, the defaults. Raises SizeError where there are none either.
        """
        found: list[Sizes] = []
        for lowest in range(low, 0, -1):
            for sizes in self._feasible(rng, lowest, high):
                smaller = self._shrunk(sizes, lowest)
                if self.cost(smaller) <= CHEAP:
                    return smaller
                found.append(smaller)
                if len(found) % SHRUNK == 0:
                    break
        return min(found, key=self.cost) if found else self._default_sizes()

    def _shrunk(self, sizes: Sizes, low: int) -> Sizes:
        """Take 1 from one dimension after another, where the equations allow it, until the sizes are
        cheap.
        """
        while self.cost(sizes) > CHEAP:
            steps = [{**sizes, name: sizes[name] - 1} for name in self.names if sizes[name] > low]
            steps = [step for step in steps if all(step[n] == k for n, k in self._fixed.items())]
            allowed = [step for step in steps if self.allows(step)]
            if not allowed:
                break
            sizes = min(allowed, key=self.cost)
        return sizes

    def smallest(self, rng: np.random.Generator, place: int = 0) -> Sizes:
        """Return tiny sizes: of many that fit, the cheap ones with the fewest sizes of 1, which hide
        mistakes.

        ``place`` asks for the next best instead: 0 is the best.
        """

        def key(sizes: Sizes) -> tuple[Any, ...]:
            cost = self.cost(sizes)
            return max(cost, TINY), sum(size == 1 for size in sizes.values()), cost, tuple(sizes.values())

        found = sorted({key(sizes): sizes for sizes in self._feasible(rng, 1, 3)}.items())
        return found[min(place, len(found) - 1)][1] if found else self._default_sizes()

    def _feasible(self, rng: np.random.Generator, low: int, high: int) -> Iterator[Sizes]:
        """Yield random sizes that the equations allow; the later ones may be wider, or at their defaults."""
        for attempt in range(TRIES):
            widest = high + attempt // 40
            sizes = {name: int(rng.integers(low, (widest if rng.random() < 0.3 else high) + 1)) for name in self.names}
            for name in self.names if attempt >= TRIES // 2 else ():
                if low <= self.defaults.get(name, 99) <= 16 and rng.random() < 0.5:
                    sizes[name] = self.defaults[name]
            sizes.update(self._fixed)
            if attempt % 2:
                self._repair(sizes, rng)
            if self.allows(sizes):
                yield sizes

    def _default_sizes(self) -> Sizes:
        missing = [name for name in self.names if name not in self.defaults]
        if missing:
            raise SizeError(f"no sizes were found that fit the equations; give defaults for {', '.join(missing)}")
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
                if solution.is_Integer and solution > 0 and name not in self._fixed:
                    sizes[name] = int(solution)

    def _maps_inside(self, sizes: Mapping[str, int]) -> set[tuple[int, int]]:
        """Return the (index map, axis) for which every position of the other axes has its position on this
        one.
        """
        inside: set[tuple[int, int]] = set()
        for number, (slopes, constant, shape) in enumerate(self._maps):
            origin = int(_number(constant, sizes))
            last = [size_value(size, sizes) - 1 for size in shape]
            for position, slope in enumerate(slopes):
                reach = [-slope * other * end for other, end in zip(slopes, last, strict=True)]
                del reach[position]
                lowest = sum((min(value, 0) for value in reach), -slope * origin)
                highest = sum((max(value, 0) for value in reach), -slope * origin)
                if abs(slope) == 1 and lowest >= 0 and highest <= last[position]:
                    inside.add((number, position))
        return inside


def _index_map(node: Indicator) -> tuple[list[int], sympy.Expr, Shape] | None:
    """Return the slopes of an equation between indices, its constant term and the axes' sizes."""
    if node.relation != "==" or node.operands:
        return None
    symbols = [axis(position) for position in range(node.rank)]
    slopes = [sympy.diff(node.condition, symbol) for symbol in symbols]
    if not all(slope.is_Integer for slope in slopes):
        return None
    return (
        [int(slope) for slope in slopes],
        node.condition.xreplace(dict.fromkeys(symbols, sympy.S.Zero)),
        node.shape,
    )


def _space_of(node: Node) -> tuple[Size, ...]:
    return node.label_sizes if isinstance(node, Contraction | Reduction) else node.shape


def _sizes_of(node: Node) -> tuple[Size, ...]:
    classes = (node.classes,) if isinstance(node, Leaf) and node.classes is not None else ()
    return (*_space_of(node), *classes)


def _number(expression: sympy.Expr, sizes: Mapping[str, int]) -> sympy.Expr:
    return expression.xreplace({symbol: sympy.Integer(sizes[symbol.name]) for symbol in expression.free_symbols})
