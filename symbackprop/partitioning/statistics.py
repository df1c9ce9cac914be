"""Statistics of each worker's own examples: means over the batch within a model are not taken over all workers.

The objective is then the mean of the workers' objectives, each counted by its examples; so are the gradients. (Batch
normalisation is commonly trained so: Ioffe and Szegedy 2015; Hoffer et al. 2017 call it ghost batch normalisation.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy

from symbackprop.derivation.workers import Layout, Split
from symbackprop.errors import UsageError
from symbackprop.graph.build import collective, scale
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.names import Adjoint, parse_name
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import topological


def with_own_statistics(
    graph: Graph, split: Split, layouts: Mapping[str, Layout], objective: str | None
) -> tuple[Graph, dict[str, Layout]]:
    """Return a worker's equations with its own examples for all of them, and the layouts: the split's axis is in parts.

    Raises UsageError where a tensor has that axis twice.
    """
    if objective is None:
        raise UsageError("local statistics need an objective: the mean of the workers' ones is taken")
    new_layouts = {}
    for tensor in [*graph.declarations, *[equation.reference for equation in graph.equations]]:
        axes = [k for k, size in enumerate(tensor.shape) if size == split.size]
        if len(axes) > 1:
            raise UsageError(f"{tensor.name} has {split.name} twice: statistics along it cannot be local")
        new_layouts[tensor.name] = tuple(split.name if k in axes else name for k, name in enumerate(layouts[tensor.name]))
    renamed: dict[Node, Node] = {}
    equations = []
    for equation in graph.equations:
        node = _renamed(equation.node, {split.size: split.own}, renamed)
        meaning = parse_name(equation.name)
        by = graph.declared.get(meaning.by) if isinstance(meaning, Adjoint) else None
        if equation.name == objective or by is not None:
            node = scale(split.own / split.size, node)
            if by is None or split.name not in new_layouts[by.name]:
                node = collective("sum", (split.name,), node)
        equations.append(Equation(equation.name, node, equation.indices))
    declarations = [_renamed(leaf, {split.size: split.own}, renamed) for leaf in graph.declarations]
    leaves = tuple(leaf for leaf in declarations if isinstance(leaf, Leaf))
    return verify(replace(graph, declarations=leaves, equations=tuple(equations))), new_layouts


def own_values(graph: Graph, split: Split, layouts: Mapping[str, Layout], objective: str | None) -> tuple[str, ...]:
    """The values of which each worker has one of its own: they depend on its examples, and are no part of a whole."""
    given = frozenset(leaf.name for leaf in graph.declarations if leaf.kind in ("input", "target"))
    depends, names = graph.depends_on(given), []
    for equation in graph.equations:
        meaning = parse_name(equation.name)
        summed = equation.name == objective or (isinstance(meaning, Adjoint) and meaning.by in graph.declared)
        if equation.name in depends and split.name not in layouts[equation.name] and not summed:
            names.append(equation.name)
    return tuple(names)


def _renamed(root: Node, sizes: Mapping[sympy.Basic, sympy.Basic], known: dict[Node, Node]) -> Node:
    """The same expression with other sizes. ``known`` remembers what has been renamed."""

    def moved(value: Any) -> Any:
        if isinstance(value, sympy.Expr):
            return value.xreplace(sizes)
        return tuple(map(moved, value)) if isinstance(value, tuple) else value

    for node in topological([root]):
        if node not in known:
            operands = tuple(known[operand] for operand in node.operands)
            known[node] = type(node)(moved(node.payload), operands, node.labels, moved(node.shape))
    return known[root]
