"""What the parts of the matrix form share."""

from __future__ import annotations

from typing import Protocol

import sympy

from symbackprop.derivation.workers import Workers
from symbackprop.graph.nodes import Collective, Labels, Node
from symbackprop.render.formula import Call, Formula, Number, Over, Power

Order = tuple[int, ...]


class NoMatrixForm(Exception):  # noqa: N818  (no error: the index form is taken)
    """There is no matrix form; the index form says it."""


class NodeWriter(Protocol):
    """Writes nodes in matrix form."""

    def of(self, node: Node) -> Formula:
        """Return the formula of a node with its axes in order."""

    def along(self, node: Node, labels: Labels, order: Order) -> Formula:
        """Return the formula of a node whose axes run along ``labels``, oriented by ``order``."""

    def operand(self, node: Node, labels: Labels) -> Formula:
        """Return the formula of a node with its labels in increasing order."""


def title(function: type[sympy.Function]) -> str:
    """The printed name of a scalar function."""
    return getattr(function, "title", None) or {"Abs": "abs"}.get(function.__name__, function.__name__)


WORKERS = sympy.Symbol("workers", integer=True, positive=True)
"""How many workers an index such as p_n runs over."""


def over_workers(node: Collective, body: Formula, workers: Workers | None) -> Formula:
    """Write what workers know together of what ``body`` is on each: a sum over p_n, and so on."""
    assert workers is not None
    over = tuple((workers.indices[group], WORKERS) for group in node.groups)
    if node.kind == "norm":
        return Call("sqrt", (Over("sum", over, Power(body, Number(sympy.Integer(2)))),))
    return Over(node.kind, over, body)
