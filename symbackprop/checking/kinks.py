"""Where a model has kinks: the arguments of relu, abs, max and their like, as equations of their own.

The slow evaluator then says how far each argument is from its kink, and whether a line of differences crosses
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sympy

from symbackprop.functions import scalar
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Node, Pointwise, Reduction, argument
from symbackprop.graph.walk import topological

Array = np.ndarray[Any, Any]

_SIGN_FUNCTIONS = (
    scalar.positive,
    scalar.nonnegative,
    scalar.equals,
    scalar.sign,
    scalar.absolute,
    scalar.relu,
)


@dataclass(frozen=True)
class Kink:
    """A function with a kink inside an equation, and the node whose value tells where its argument lies.

    kind ``sign``: the kink is where the node is 0. kind ``winners``: the node is an entry minus the maximum
    over its rivals, never positive, and the kink is where another entry reaches 0.
    """

    equation: str
    function: str
    kind: Literal["sign", "winners"]
    node: Node

    def __str__(self) -> str:
        return f"{self.function} in {self.equation}"


def kinks_of(graph: Graph) -> tuple[Kink, ...]:
    """Return every kink of a graph, in order of its equations."""
    found: dict[Node, Kink] = {}
    seen: set[Node] = set()
    for equation in graph.equations:
        for node in topological([equation.node]):
            if node in seen:
                continue
            seen.add(node)
            for function, kind, probe in _of_node(node):
                found.setdefault(probe, Kink(equation.name, function, kind, probe))
    return tuple(found.values())


def _of_node(node: Node) -> Iterator[tuple[str, Literal["sign", "winners"], Node]]:
    if isinstance(node, Pointwise):
        for function, kind, expression in _of_expression(node.expression):
            yield function, kind, Pointwise((expression,), node.operands, node.labels, node.shape)
    elif isinstance(node, Reduction) and node.kind == "norm":
        yield "norm", "sign", node
    elif isinstance(node, Reduction) and node.kind == "max":
        gap = argument(0) - argument(1)
        labels = (node.labels[0], tuple(range(node.rank)))
        yield "max", "winners", Pointwise((gap,), (node.operands[0], node), labels, node.label_sizes)


def _of_expression(expression: sympy.Expr) -> Iterator[tuple[str, Literal["sign", "winners"], sympy.Expr]]:
    for part in sympy.postorder_traversal(expression):
        if isinstance(part, _SIGN_FUNCTIONS):
            yield part.func.title, "sign", part.args[0]
        elif isinstance(part, scalar.maximum):
            for candidate in part.args:
                yield "max", "winners", candidate - part
        elif isinstance(part, scalar.ScalarFunction) and part.func.body is not None and not part.func.stable:
            for _, kind, inner in _of_expression(part.expand_definition()):
                yield part.func.title, kind, inner


def with_probes(graph: Graph, kinks: tuple[Kink, ...]) -> Graph:
    """Append one equation for each kink, named by `probe_name`."""
    probes = tuple(Equation(probe_name(position), kink.node) for position, kink in enumerate(kinks))
    return Graph(graph.declarations, graph.equations + probes, graph.constraints)


def probe_name(position: int) -> str:
    """The name of the equation that evaluates a kink's argument."""
    return f"kink {position}"


# ---------------------------------------------------------------- what the arguments say


def crossed(kinks: tuple[Kink, ...], before: list[Array], after: list[Array]) -> Kink | None:
    """Return the first kink that lies between two points, given the values of all arguments at both."""
    for kink, old, new in zip(kinks, before, after, strict=True):
        if not np.array_equal(_pattern(kink, old), _pattern(kink, new)):
            return kink
    return None


class CrossingError(Exception):
    """A point lies beyond a kink."""

    def __init__(self, kink: Kink) -> None:
        super().__init__(str(kink))
        self.kink = kink


def stay_between(kinks: tuple[Kink, ...], before: list[Array], after: list[Array]) -> None:
    """Raise CrossingError where a kink lies between two points, given the values of all arguments at both."""
    kink = crossed(kinks, before, after)
    if kink is not None:
        raise CrossingError(kink)


def _pattern(kink: Kink, value: Array) -> Array:
    real = np.nan_to_num(value.real, nan=-1.0)  # -inf minus -inf: an entry masked out never wins
    return np.asarray(np.sign(real) if kink.kind == "sign" else real == 0)


def touched(kinks: tuple[Kink, ...], complex_values: list[Array]) -> Kink | None:
    """Return the first kink on which a complex step stands: its argument is 0, and moves."""
    for kink, value in zip(kinks, complex_values, strict=True):
        if np.any((value.real == 0) & (value.imag != 0)):
            return kink
    return None


def near(kinks: tuple[Kink, ...], here: list[Array], moved: list[Array], margin: float) -> int:
    """Count the arguments within ``margin`` of their kink that move when the sample does (a padding's 0
    does not).
    """
    count = 0
    for kink, value, other in zip(kinks, here, moved, strict=True):
        close = np.abs(value) < margin
        if kink.kind == "winners":
            close &= (value != 0) | (other != 0)
        count += int(np.count_nonzero(close & (value != other)))
    return count
