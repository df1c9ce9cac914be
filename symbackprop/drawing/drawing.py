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
from symbackprop.drawing.plain import dot, mermaid
from symbackprop.drawing.svg import svg
from symbackprop.drawing.tikz import tikz
from symbackprop.errors import UsageError


class _Level(Protocol):
    def __call__(self, derived: DerivedGraph, *, backward: bool, second: bool) -> Diagram: ...


LEVELS: Mapping[str, _Level] = {"ops": by_operation, "equations": by_equation, "layers": by_layer}
"""What a vertex stands for, from the finest to the coarsest."""


TEXTS = ("svg", "tikz", "dot", "mermaid")
FORMS = (*TEXTS, "png", "pdf")
"""The formats of a picture; `Drawing` has a method for each."""


class Drawing:
    """A computational graph to be looked at; a notebook shows it by itself."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram

    @cached_property
    def layout(self) -> Layout:
        """Where everything stands. Raises UsageError where pygraphviz or ziamath is not installed."""
        return layout(self.diagram)

    def text(self, form: str) -> str:
        """The picture in one of the formats that are text: svg, tikz, dot or mermaid. Raises UsageError for another."""
        if form not in TEXTS:
            raise UsageError(f"there is no text format {form!r} of a picture; there are {', '.join(TEXTS)}")
        written: str = getattr(self, form)()
        return written

    def binary(self, form: str) -> bytes:
        """The picture as png or pdf. Raises UsageError for another format."""
        if form in TEXTS or form not in FORMS:
            raise UsageError(f"there is no binary format {form!r} of a picture; there are png, pdf")
        return self.png() if form == "png" else self.pdf()

    def svg(self, prefix: str = "") -> str:
        """The picture as SVG; ``prefix`` begins every id in it."""
        return svg(self.diagram, self.layout, prefix)

    def png(self) -> bytes:
        """The picture as PNG."""
        return typesetting.picture(self.svg(), "png")

    def pdf(self) -> bytes:
        """The picture as PDF."""
        return typesetting.picture(self.svg(), "pdf")

    def tikz(self) -> str:
        """The picture as a tikzpicture, for a document that loads amsmath and TikZ with shapes.misc and arrows.meta."""
        return tikz(self.diagram, self.layout)

    def dot(self) -> str:
        """The graph for Graphviz. Needs no library."""
        return dot(self.diagram)

    def mermaid(self) -> str:
        """The graph for Mermaid. Needs no library."""
        return mermaid(self.diagram)

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
