"""The picture as TikZ: the same places, the labels set by LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.drawing.diagram import Diagram, Held, Vertex
from symbackprop.drawing.layout import Box, Layout, Path, Point, times_label
from symbackprop.drawing.looks import INK, PAIR, Look, edge_look, shade, style, styles
from symbackprop.render.template import fill

POINT = 0.75
"""TeX's points for one of our pixels, so that letters of 14 pixels are about as large as those of a text of 10 points."""

WIDEST = 440.0
"""The points of a line of text; a wider picture is scaled down to them."""

TALLEST = 600.0
"""The same for its height."""

LEGEND = 26
"""The height of an entry of the legend, in pixels."""


def tikz(diagram: Diagram, placed: Layout) -> str:
    """Return the picture as a tikzpicture, for a document that loads amsmath and TikZ (libraries shapes.misc, arrows.meta)."""
    kinds = {vertex.key: vertex.kind for vertex in diagram.vertices}
    shown = styles(diagram)
    colors = dict.fromkeys(c for own in shown.values() for c in (own.fill, own.stroke))
    colors |= dict.fromkeys(shade(held) for held in diagram.held)
    colors |= dict.fromkeys((*(edge_look(path.edge.kind, kinds[path.edge.target])[0] for path in placed.paths), INK, PAIR))
    names = {color: f"graph{color.removeprefix('#')}" for color in colors}
    height = placed.height + LEGEND * (len(diagram.held) + bool(diagram.held))
    scale = min(1.0, WIDEST / (placed.width * POINT), TALLEST / (height * POINT))
    return fill(
        "draw/graph.tikz.j2",
        scale=f"{scale:.3f}",
        colors=[(name, color.removeprefix("#").upper()) for color, name in names.items()],
        styles=[(_style(name), _look(own, names)) for name, own in shown.items()],
        frames=[_frame(frame.times, box) for frame, box in placed.frames],
        edges=[_edge(path, kinds[path.edge.target], names) for path in placed.paths],
        nodes=[_node(vertex, placed.boxes[vertex.key]) for vertex in diagram.vertices],
        labels=[
            (_place(path.label.x, path.label.y), f"${path.edge.label.latex}$")
            for path in placed.paths if path.label is not None and path.edge.label is not None
        ],
        legend=[_sample(held, placed.height + LEGEND * (k + 1), names) for k, held in enumerate(diagram.held)],
    )  # fmt: skip


def _style(name: str) -> str:
    return f"graph {name}"


_OUTLINES = {
    "box": "rectangle",
    "round": "rectangle, rounded corners=7pt",
    "stadium": "rounded rectangle",
    "cut": "chamfered rectangle, chamfered rectangle xsep=2pt, chamfered rectangle ysep=2pt",
    "hexagon": "chamfered rectangle",
}


def _look(look: Look, names: dict[str, str]) -> str:
    parts = [_OUTLINES[look.outline], f"fill={names[look.fill]}", f"draw={names[look.stroke]}"]
    parts.append(f"line width={look.thickness * POINT * 0.7:.2f}pt")
    return ", ".join([*parts, *([_dashes(look.dash)] if look.dash else []), *(["double"] if look.double else [])])


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
    if vertex.held and vertex.held.tag:
        content = f"{{\\scriptsize ${vertex.held.tag.latex}$}}\\;\\rule[-2pt]{{0.5pt}}{{10pt}}\\; {content}"
    cut = f", {_cut(0.3 * box.height * POINT)}" if vertex.kind.endswith("meeting") else ""
    return f"{_style(style(vertex))}, {size}{cut}", _place(box.x, box.y), content


def _cut(length: float) -> str:
    return f"chamfered rectangle xsep={length:.1f}pt, chamfered rectangle ysep={length:.1f}pt"


def _sample(held: Held, y: float, names: dict[str, str]) -> tuple[str, str, str, str, str]:
    """An entry of the legend: the colour of a way to hold a value, the places of its sample and its words, and both."""
    tag = f"\\scriptsize ${held.tag.latex}$" if held.tag else ""
    return names[shade(held)], _place(20, y), tag, _place(48, y), f"${held.words.latex}$"


def _edge(path: Path, target: str, names: dict[str, str]) -> tuple[str, str]:
    color, dash = edge_look(path.edge.kind, target)
    parts = [names[color], *([_dashes(dash)] if dash else []), *(["-Latex"] if path.edge.kind != "pair" else [])]
    return ", ".join(parts), _curve(path.points)


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
