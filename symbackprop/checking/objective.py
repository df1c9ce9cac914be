"""A model's objective as the slow evaluator computes it: a number, and how far every kink is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from symbackprop.checking.kinks import Kink, kinks_of, probe_name, with_probes
from symbackprop.errors import UsageError
from symbackprop.functions import scalar
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Graph, Model
from symbackprop.graph.nodes import Node, Pointwise
from symbackprop.graph.walk import topological

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Observation:
    """The objective at a point, and the values of the arguments of all kinks there."""

    value: Any
    arguments: list[Array]


class Objective:
    """The objective of a model over a batch, as a function of everything declared. Raises UsageError
    without one.
    """

    def __init__(self, model: Model) -> None:
        if model.objective is None:
            raise UsageError(f"{model.name} minimizes nothing: there is no gradient to check")
        self.model = model
        self.name = model.objective
        self.whole: Graph = batch_graph(model)
        self.graph: Graph = self.whole.restricted_to(frozenset({self.name}))
        self.parameters: tuple[str, ...] = model.parameters
        self.kinks: tuple[Kink, ...] = kinks_of(self.graph)
        self._probed = with_probes(self.graph, self.kinks)

    def at(self, values: Mapping[str, Any], sizes: Mapping[str, int], dtype: Any = np.float64) -> Observation:
        """Return the objective and the kinks' arguments at a point."""
        found = evaluate(self._probed, values, sizes, dtype)
        arguments = [found[probe_name(position)] for position in range(len(self.kinks))]
        return Observation(found[self.name][()], arguments)

    def open_functions(self) -> tuple[str, ...]:
        """The names of the functions that were left open, which therefore have no value."""
        return tuple(
            dict.fromkeys(
                part.func.title
                for part in _scalar_calls(_nodes(self.graph))
                if isinstance(part, scalar.ScalarFunction) and part.func.body is None
            )
        )

    def nodes(self) -> list[Node]:
        """Every node the objective is computed from, once."""
        return _nodes(self.graph)

    def calls(self) -> list[sympy.Basic]:
        """Every call of a scalar function in the objective, those inside the formulas of functions too."""
        return _scalar_calls(self.nodes())


def _nodes(graph: Graph) -> list[Node]:
    return topological([equation.node for equation in graph.equations])


def _scalar_calls(nodes: Iterable[Node]) -> list[sympy.Basic]:
    """The functions and powers in the scalar expressions of the nodes."""
    found: dict[sympy.Basic, None] = {}
    pending = [node.expression for node in nodes if isinstance(node, Pointwise)]
    while pending:
        for part in sympy.preorder_traversal(pending.pop()):
            if (part.is_Function or part.is_Pow) and part not in found:
                found[part] = None
                if isinstance(part, scalar.ScalarFunction) and part.func.body is not None:
                    pending.append(part.func.body)
    return list(found)
