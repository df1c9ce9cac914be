"""A drawn graph: what is in it, where it stands, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

from symbackprop import typesetting
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.drawing.diagram import Diagram
from symbackprop.drawing.equations import by_equation
from symbackprop.drawing.layers import by_layer
from symbackprop.drawing.layout import Layout, layout
from symbackprop.drawing.operations import by_operation
from symbackprop.drawing.svg import svg
from symbackprop.errors import UsageError


class _Level(Protocol):
    def __call__(self, derived: DerivedGraph, *, backward: bool, second: bool) -> Diagram: ...


LEVELS: Mapping[str, _Level] = {"ops": by_operation, "equations": by_equation, "layers": by_layer}
"""What a vertex stands for, from the finest to the coarsest."""


class Drawing:
    """A computational graph to be looked at; a notebook shows it by itself."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram

    @cached_property
    def layout(self) -> Layout:
        """Where everything stands. Raises UsageError where pygraphviz or ziamath is not installed."""
        return layout(self.diagram)

    def svg(self, prefix: str = "") -> str:
        """The picture as SVG; ``prefix`` begins every id in it."""
        return svg(self.diagram, self.layout, prefix)

    def png(self) -> bytes:
        """The picture as PNG."""
        return typesetting.picture(self.svg(), "png")

    def pdf(self) -> bytes:
        """The picture as PDF."""
        return typesetting.picture(self.svg(), "pdf")

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"<Drawing of {self.diagram.title}: {len(self.diagram.vertices)} vertices, {len(self.diagram.edges)} edges>"


def draw(derived: DerivedGraph, level: str = "equations", *, backward: bool = False, second: bool = False) -> Drawing:
    """Return the drawing of a derivation; ``backward`` with its gradients, ``second`` with its products of second derivatives too.

    Raises UsageError for an unknown level.
    """
    if level not in LEVELS:
        raise UsageError(f"there is no level {level!r}; there are {', '.join(LEVELS)}")
    return Drawing(LEVELS[level](derived, backward=backward, second=second))
