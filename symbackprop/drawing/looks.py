"""How the kinds of vertices look: told apart by outline as well as by colour, so that a grey print is read as well.

The colours are tints of Paul Tol's and Okabe and Ito's palettes, which colour-blind readers tell apart; text on them is black.
Where workers share a graph, the outline still tells the kind of a vertex, and its colour tells which of them hold what of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symbackprop.drawing.diagram import Diagram, Held, Vertex

INK, FLOW, BACK, PAIR = "#222222", "#444444", "#b03a2e", "#999999"


@dataclass(frozen=True)
class Look:
    """An outline (``box``, ``round``, ``stadium``, ``cut`` or ``hexagon``), fill and stroke, how thick it is, dashed or double."""

    outline: str
    fill: str
    stroke: str
    thickness: float = 1.0
    dash: str = ""
    double: bool = False
    words: str = ""


LOOKS: Mapping[str, Look] = {
    "input": Look("stadium", "#dcebf7", "#1f5f8b", words="input"),
    "target": Look("stadium", "#ffffff", "#1f5f8b", dash="5 3", words="target"),
    "parameter": Look("cut", "#fbe3b4", "#8a5a00", 1.8, words="parameter"),
    "hyper": Look("stadium", "#ffffff", "#777777", dash="1.5 2.5", words="hyper-parameter"),
    "value": Look("box", "#ffffff", INK, words="value"),
    "objective": Look("box", "#ffffff", INK, double=True, words="objective"),
    "operation": Look("round", "#eeeeee", "#777777", words="operation"),
    "kept": Look("stadium", "#ffffff", "#555555", dash="3 3", words="a value of the forward pass"),
    "gradient": Look("box", "#f9dedc", BACK, dash="6 3", words="gradient"),
    "gradient operation": Look("round", "#f9dedc", BACK, dash="3 2", words="operation of a gradient"),
    "direction": Look("stadium", "#d9efe3", "#11694b", 1.8, words="direction"),
    "tangent": Look("box", "#d9efe3", "#11694b", dash="2 2", words="tangent"),
    "gradient tangent": Look("box", "#ece0f4", "#6b3a8f", dash="8 2 2 2", words="tangent of a gradient"),
    "meeting": Look("hexagon", "#f4f4f4", INK, 2.2, words="workers meet"),
    "gradient meeting": Look("hexagon", "#fdf3f2", BACK, 2.2, dash="6 3", words="workers meet on the way back"),
}
"""By the kind of a vertex, in the order of the legend."""

SHADES = ("#ffffff", "#c5e4f7", "#f5bf6b", "#7cc4a6", "#d37f5c", "#fbf3c2", "#8f78b8", "#b9b9b9")
"""By how workers hold a value: their greys differ as well. The first is that of a whole; of many ways some share a colour."""


def shade(held: Held) -> str:
    """The colour of a way to hold a value."""
    return SHADES[0] if held.shade == 0 else SHADES[1 + (held.shade - 1) % (len(SHADES) - 1)]


def style(vertex: Vertex) -> str:
    """The name of a vertex's look: those of one name look alike."""
    return vertex.kind if vertex.held is None else f"{vertex.kind} held {SHADES.index(shade(vertex.held))}"


def look(vertex: Vertex) -> Look:
    """The look of a vertex."""
    return LOOKS[vertex.kind] if vertex.held is None else replace(LOOKS[vertex.kind], fill=shade(vertex.held))


def styles(diagram: Diagram) -> dict[str, Look]:
    """The looks in a diagram by their names, in the order of the legend."""
    order = list(LOOKS)
    shown = sorted(diagram.vertices, key=lambda vertex: (order.index(vertex.kind), vertex.held.shade if vertex.held else 0))
    return {style(vertex): look(vertex) for vertex in shown}


def samples(diagram: Diagram) -> list[Look]:
    """The kinds in a diagram, as a legend shows them: without colour where that tells something else."""
    plain = {vertex.kind: vertex.held is None for vertex in diagram.vertices}
    return [own if plain[kind] else replace(own, fill=SHADES[0]) for kind, own in LOOKS.items() if kind in plain]


def edge_look(kind: str, target: str) -> tuple[str, str]:
    """The colour and the dashes of an edge, by its own kind and that of the vertex it leads to."""
    if kind == "pair":
        return PAIR, "1.5 3"
    if "gradient" in target:
        return LOOKS[target].stroke, "6 3"
    return (LOOKS[target].stroke, "2 2") if target == "tangent" else (FLOW, "")
