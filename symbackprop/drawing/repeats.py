"""Repeated layers: runs of equations that say the same of other names, found by comparing trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.sizes import dimension
from symbackprop.graph.walk import leaves, topological

FEWEST = 3
"""Copies from which on they are drawn as one."""

LONGEST = 12
"""The most equations that a repeated part may have."""


@dataclass(frozen=True)
class Run:
    """So many copies of ``period`` equations, from the position ``first`` on."""

    first: int
    period: int
    times: int

    def copy_of(self, position: int) -> int | None:
        """Which copy the equation at a position belongs to, counted from 0; None outside."""
        copy = (position - self.first) // self.period
        return copy if 0 <= copy < self.times else None


@dataclass(frozen=True)
class Copy:
    """Where a name stands in a run: in which run and which copy, and the name at that place in the first copy."""

    run: int
    number: int
    first: str


class Repeats:
    """The runs of a graph's equations, and the copies of each name in them."""

    def __init__(self, equations: Sequence[Equation], graph: Graph, sizes: Mapping[str, int | None]) -> None:
        compare = _Compare(equations, sizes)
        self.runs = _chosen(compare)
        self.copies: dict[str, Copy] = {}
        for index, run in enumerate(self.runs):
            within = {equation.name for equation in equations[run.first : run.first + run.period]}
            for number in range(run.times):
                for first, name in compare.names(run.first, run.period, number or 1).items():
                    if first in within or (first in graph.declared and first != name):
                        own = name if number else first
                        self.copies[own] = Copy(index, number, first)

    def first(self, name: str) -> str:
        """The name that stands for a name: that of the first copy."""
        return self.copies[name].first if name in self.copies else name

    def apart(self, one: str, other: str) -> bool:
        """Tell whether two names stand in different copies of one run: what is between them is not drawn."""
        a, b = self.copies.get(one), self.copies.get(other)
        return a is not None and b is not None and a.run == b.run and a.number != b.number


class _Compare:
    """Compares stretches of equations, names aside."""

    def __init__(self, equations: Sequence[Equation], sizes: Mapping[str, int | None]) -> None:
        self.equations = equations
        self.position = {equation.name: k for k, equation in enumerate(equations)}
        self.sizes = {dimension(name): sympy.Integer(size) for name, size in sizes.items() if size is not None}
        self.readers: dict[str, list[int]] = {}
        for k, equation in enumerate(equations):
            for node in leaves(equation.node):
                self.readers.setdefault(node.name, []).append(k)
        self.outlines = [self._outline(equation.node) for equation in equations]

    def _plain(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._plain(part) for part in value)
        return value.xreplace(self.sizes) if isinstance(value, sympy.Basic) else value

    def _outline(self, root: Node) -> tuple[Any, ...]:
        order = topological([root])
        place = {node: k for k, node in enumerate(order)}
        return tuple(
            (
                node.family,
                (node.kind, self._plain(node.classes)) if isinstance(node, Leaf) else self._plain(node.payload),
                self._plain(node.shape),
                node.labels,
                tuple(place[operand] for operand in node.operands),
            )
            for node in order
        )

    def names(self, first: int, period: int, number: int) -> dict[str, str]:
        """The names in the copy ``number`` by those in the first copy; of one that contradicts itself, nothing."""
        found: dict[str, str] = {}
        for k in range(first, first + period):
            one, other = self.equations[k], self.equations[k + number * period]
            pairs = [(one.name, other.name)]
            pairs += [(a.name, b.name) for a, b in zip(leaves(one.node), leaves(other.node), strict=True)]
            if any(found.setdefault(a, b) != b for a, b in pairs):
                return {}
        return found

    def alike(self, first: int, period: int, number: int) -> bool:
        """Tell whether a copy says of its names what the first copy says of its own, and reads the copy before it as that does."""
        start = first + number * period
        if any(self.outlines[first + k] != self.outlines[start + k] for k in range(period)):
            return False
        names = self.names(first, period, number)
        moved = all(
            self.position[b] - self.position[a] == number * period or a == b for a, b in names.items() if a in self.position
        )
        return bool(names) and moved and len(set(names.values())) == len(names)

    def enters(self, position: int) -> bool:
        """Tell whether a parameter is read here first."""
        read = [node.name for node in leaves(self.equations[position].node) if node.kind == "parameter"]
        return any(self.readers[name][0] == position for name in read)

    def closed(self, run: Run) -> bool:
        """Tell whether what a copy gives is read by itself and the next one alone, but for the last copy."""
        for k in range(run.first, run.first + run.period * (run.times - 1)):
            own = run.copy_of(k)
            if any(run.copy_of(reader) not in (own, (own or 0) + 1) for reader in self.readers.get(self.equations[k].name, ())):
                return False
        return True


def _chosen(compare: _Compare) -> tuple[Run, ...]:
    """The longest runs that do not overlap; of equally long ones that which begins where a parameter enters."""
    count = len(compare.equations)
    found: list[Run] = []
    for first in range(count):
        for period in range(1, min(LONGEST, (count - first) // FEWEST) + 1):
            if first >= period and compare.alike(first - period, period, 1):
                continue  # it is the end of a longer run
            times = 1
            while first + (times + 1) * period <= count and compare.alike(first, period, times):
                times += 1
            run = Run(first, period, times)
            if times >= FEWEST and compare.closed(run):
                found.append(run)
    found.sort(key=lambda run: (-run.times * run.period, not compare.enters(run.first), run.period, run.first))
    chosen: list[Run] = []
    for run in found:
        end = run.first + run.period * run.times
        if all(end <= other.first or run.first >= other.first + other.period * other.times for other in chosen):
            chosen.append(run)
    return tuple(sorted(chosen, key=lambda run: run.first))
