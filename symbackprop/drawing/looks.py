"""How the kinds of vertices look: told apart by outline as well as by colour, so that a grey print is read as well.

The colours are tints of Paul Tol's and Okabe and Ito's palettes, which colour-blind readers tell apart; text on them is black.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INK, FLOW, BACK, PAIR = "#222222", "#444444", "#b03a2e", "#999999"


@dataclass(frozen=True)
class Look:
    """An outline (``box``, ``round``, ``stadium`` or ``cut``), its fill and stroke, how thick it is, dashed or double."""

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
}
"""By the kind of a vertex, in the order of the legend."""


def edge_look(kind: str, target: str) -> tuple[str, str]:
    """The colour and the dashes of an edge, by its own kind and that of the vertex it leads to."""
    if kind == "pair":
        return PAIR, "1.5 3"
    if "gradient" in target:
        return LOOKS[target].stroke, "6 3"
    return (LOOKS[target].stroke, "2 2") if target == "tangent" else (FLOW, "")
