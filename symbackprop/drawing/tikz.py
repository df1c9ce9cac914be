"""The picture as TikZ: the same places, the labels set by LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.drawing.diagram import Diagram, Vertex
from symbackprop.drawing.layout import Box, Layout, Path, Point, times_label
from symbackprop.drawing.looks import INK, LOOKS, PAIR, Look, edge_look
from symbackprop.render.template import fill

POINT = 0.75
"""TeX's points for one of our pixels, so that letters of 14 pixels are about as large as those of a text of 10 points."""

WIDEST = 440.0
"""The points of a line of text; a wider picture is scaled down to them."""

TALLEST = 600.0
"""The same for its height."""


def tikz(diagram: Diagram, placed: Layout) -> str:
    """Return the picture as a tikzpicture, for a document that loads amsmath and TikZ (libraries shapes.misc, arrows.meta)."""
    kinds = {vertex.key: vertex.kind for vertex in diagram.vertices}
    shown = dict.fromkeys(kind for kind in LOOKS if kind in kinds.values())
    colors = dict.fromkeys(c for kind in shown for c in (LOOKS[kind].fill, LOOKS[kind].stroke))
    colors |= dict.fromkeys((*(edge_look(path.edge.kind, kinds[path.edge.target])[0] for path in placed.paths), INK, PAIR))
    names = {color: f"graph{color.removeprefix('#')}" for color in colors}
    scale = min(1.0, WIDEST / (placed.width * POINT), TALLEST / (placed.height * POINT))
    return fill(
        "draw/graph.tikz.j2",
        scale=f"{scale:.3f}",
        colors=[(name, color.removeprefix("#").upper()) for color, name in names.items()],
        styles=[(_style(kind), _look(LOOKS[kind], names)) for kind in shown],
        frames=[_frame(frame.times, box) for frame, box in placed.frames],
        edges=[_edge(path, kinds[path.edge.target], names) for path in placed.paths],
        nodes=[_node(vertex, placed.boxes[vertex.key]) for vertex in diagram.vertices],
        labels=[
            (_place(path.label.x, path.label.y), f"${path.edge.label.latex}$")
            for path in placed.paths if path.label is not None and path.edge.label is not None
        ],
    )  # fmt: skip


def _style(kind: str) -> str:
    return f"graph {kind}"


_OUTLINES = {
    "box": "rectangle",
    "round": "rectangle, rounded corners=7pt",
    "stadium": "rounded rectangle",
    "cut": "chamfered rectangle, chamfered rectangle xsep=2pt, chamfered rectangle ysep=2pt",
}


def _look(look: Look, names: dict[str, str]) -> str:
    style = [_OUTLINES[look.outline], f"fill={names[look.fill]}", f"draw={names[look.stroke]}"]
    style.append(f"line width={look.thickness * POINT * 0.7:.2f}pt")
    return ", ".join([*style, *([_dashes(look.dash)] if look.dash else []), *(["double"] if look.double else [])])


def _dashes(lengths: str) -> str:
    words = [f"{'off' if k % 2 else 'on'} {float(part) * POINT:.2f}pt" for k, part in enumerate(lengths.split())]
    return f"dash pattern={' '.join(words)}"


def _node(vertex: Vertex, box: Box) -> tuple[str, str, str]:
    """Style, place and content of a vertex; its size is that for which a place was found."""
    lines = [f"$\\displaystyle {line.latex}$" for line in vertex.lines]
    rows = " \\\\[2pt] ".join(lines)
    content = rows if len(lines) == 1 else f"\\begin{{tabular}}{{@{{}}c@{{}}}}{rows}\\end{{tabular}}"
    if vertex.times > 1:
        content += f" ${times_label(vertex.times)}$"
    if vertex.number:
        content += f" \\;{{\\scriptsize {vertex.number.replace('–', '--')}}}"
    size = f"minimum width={box.width * POINT:.1f}pt, minimum height={box.height * POINT:.1f}pt"
    return f"{_style(vertex.kind)}, {size}", _place(box.x, box.y), content


def _edge(path: Path, target: str, names: dict[str, str]) -> tuple[str, str]:
    color, dash = edge_look(path.edge.kind, target)
    style = [names[color], *([_dashes(dash)] if dash else []), *(["-Latex"] if path.edge.kind != "pair" else [])]
    return ", ".join(style), _curve(path.points)


def _curve(points: Sequence[Point]) -> str:
    """A path of cubic curves between straight ends."""
    places = [_place(*point) for point in points]
    curves = places[2:-1]
    text = f"{places[0]} -- {places[1]}"
    for k in range(0, len(curves) - 2, 3):
        text += f" .. controls {curves[k]} and {curves[k + 1]} .. {curves[k + 2]}"
    return f"{text} -- {places[-1]}"


def _frame(times: int, box: Box) -> tuple[str, str, str, str]:
    """Three corners of a frame, the last of which has the label."""
    right, bottom = box.left + box.width, box.top + box.height
    return _place(box.left, box.top), _place(right, bottom), _place(right, box.top), f"${times_label(times)}$"


def _place(x: float, y: float) -> str:
    return f"({x * POINT:.2f}pt, {-y * POINT:.2f}pt)"
