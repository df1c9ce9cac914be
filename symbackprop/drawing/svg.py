"""The picture as SVG: outlines and formulas that occur several times are there once, and every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from symbackprop.drawing.diagram import Diagram, Held, Label, Vertex
from symbackprop.drawing.glyphs import SIZE, SMALL, Bar, Glyph, Stroke, setting
from symbackprop.drawing.layout import GAP, LEADING, Box, Layout, Path, Point, number_label, tag_width, times_label
from symbackprop.drawing.looks import INK, Look, edge_look, look, samples, shade
from symbackprop.render.template import fill

MARGIN, LEGEND, SWATCH, WORDS = 14, 34, 30, 12
"""Around the picture; the height of the legend, the width of a sample in it, and the size of its words."""


def svg(diagram: Diagram, placed: Layout, prefix: str = "") -> str:
    """Return the picture; ``prefix`` begins every id, so that several of them can stand on one page."""
    return _Svg(diagram, placed, prefix).text()


class _Svg:
    def __init__(self, diagram: Diagram, placed: Layout, prefix: str) -> None:
        self.diagram, self.placed, self.prefix = diagram, placed, prefix
        self.kinds = {vertex.key: vertex.kind for vertex in diagram.vertices}
        self.outlines: dict[str, str] = {}
        self.settings: dict[tuple[str, float], tuple[str, list[str]]] = {}

    def text(self) -> str:
        legend, wide, high = self._legend()
        nodes = [self._node(k, vertex) for k, vertex in enumerate(self.diagram.vertices)]
        edges = [self._edge(path) for path in self.placed.paths]
        labelled = [(path.edge.label, path.label) for path in self.placed.paths]
        labels = [self._edge_label(label, self._moved(box)) for label, box in labelled if label and box]
        frames = [self._frame(frame.times, box) for frame, box in self.placed.frames]
        return fill(
            "draw/graph.svg.j2",
            prefix=self.prefix, title=_text(self.diagram.title),
            frames=frames, edges=edges, labels=labels, nodes=nodes, legend=legend,
            outlines=[(name, outline) for outline, name in self.outlines.items()], settings=list(self.settings.values()),
            width=_number(max(self.placed.width, wide) + 2 * MARGIN), height=_number(self.placed.height + high + 2 * MARGIN),
        )  # fmt: skip

    # ------------------------------------------------------------ vertices

    def _node(self, number: int, vertex: Vertex) -> dict[str, str]:
        box = self._moved(self.placed.boxes[vertex.key])
        lines = [setting(line.latex, SIZE) for line in vertex.lines]
        number_width = GAP + setting(number_label(vertex), SMALL).width if vertex.number else 0
        times_width = GAP + setting(times_label(vertex.times), SIZE).width if vertex.times > 1 else 0
        wide = max(line.width for line in lines)
        left = box.x - (wide + number_width + times_width - tag_width(vertex)) / 2
        y = box.y - (sum(line.height for line in lines) + LEADING * (len(lines) - 1)) / 2
        shown = self._tag(vertex.held, left - tag_width(vertex), box)
        for label, line in zip(vertex.lines, lines, strict=True):
            shown.append(self._put(label.latex, SIZE, left + (wide - line.width) / 2, y))
            y += line.height + LEADING
        if vertex.times > 1:
            shown.append(self._centred(times_label(vertex.times), SIZE, left + wide + GAP, box.y))
        if vertex.number:
            shown.append(self._centred(number_label(vertex), SMALL, left + wide + times_width + GAP, box.y, "#555555"))
        return {
            "kind": vertex.kind,
            "id": f"{self.prefix}node-{number}",
            "equations": _text("|".join(vertex.equations)),
            "title": _text(vertex.title),
            "shape": _shape(look(vertex), box),
            "lines": "".join(shown),
        }

    def _tag(self, held: Held | None, left: float, box: Box) -> list[str]:
        """What stands before the lines of a vertex that workers hold in parts, and the bar between."""
        if held is None or held.tag is None:
            return []
        bar = left + setting(held.tag.latex, SMALL).width + GAP
        line = f'<path d="M{_number(bar)} {_number(box.top + 4)} V{_number(box.top + box.height - 4)}" stroke="{INK}"/>'
        return [self._centred(held.tag.latex, SMALL, left, box.y), line]

    def _frame(self, times: int, box: Box) -> dict[str, str]:
        moved = self._moved(box)
        label = times_label(times)
        place = (moved.left + moved.width - setting(label, SIZE).width - 8, moved.top + 4)
        return {
            "x": _number(moved.left), "y": _number(moved.top), "width": _number(moved.width), "height": _number(moved.height),
            "label": self._put(label, SIZE, *place),
        }  # fmt: skip

    # ------------------------------------------------------------ edges

    def _edge(self, path: Path) -> dict[str, str]:
        kind, target = path.edge.kind, self.kinds[path.edge.target]
        color, dash = edge_look(kind, target)
        points = [(x + MARGIN, y + MARGIN) for x, y in path.points]
        pair = kind == "pair"
        return {
            "kind": kind if pair else "back" if "gradient" in target else "forth",
            "path": _way(points if pair else points[:-1]),
            "color": color,
            "dash": f' stroke-dasharray="{dash}"' if dash else "",
            "head": "" if pair else _head(points[-2], points[-1], color),
        }

    def _edge_label(self, label: Label, box: Box) -> str:
        """A shape beside an edge, on a piece of paper that covers what crosses it."""
        found = setting(label.latex, SMALL)
        paper = _rect(Box(box.x, box.y, found.width + 2, found.height + 2), 2, 'class="paper" fill="#ffffff" fill-opacity="0.8"')
        return paper + self._put(label.latex, SMALL, box.x - found.width / 2, box.y - found.height / 2, "#555555")

    # ------------------------------------------------------------ formulas

    def _centred(self, latex: str, size: float, x: float, y: float, color: str = "") -> str:
        return self._put(latex, size, x, y - setting(latex, size).height / 2, color)

    def _put(self, latex: str, size: float, x: float, y: float, color: str = "") -> str:
        """A formula with its upper left corner at a place."""
        found = setting(latex, size)
        if (latex, size) not in self.settings:
            name = f"{self.prefix}label-{len(self.settings)}"
            self.settings[latex, size] = name, [self._part(part) for part in found.parts]
        name, _ = self.settings[latex, size]
        look = f' class="faint" fill="{color}"' if color else ""
        return f'<use href="#{name}" transform="translate({_number(x - found.left)} {_number(y - found.top)})"{look}/>'

    def _part(self, part: Glyph | Bar | Stroke) -> str:
        if isinstance(part, Bar):
            sides = (f'{side}="{_number(getattr(part, side))}"' for side in ("x", "y", "width", "height"))
            return f"<rect {' '.join(sides)}/>"
        if isinstance(part, Stroke):
            return f'<path d="{part.outline}"/>'
        name = self.outlines.setdefault(part.outline, f"{self.prefix}glyph-{len(self.outlines)}")
        return f'<use href="#{name}" transform="translate({_number(part.x)} {_number(part.y)}) scale({part.scale})"/>'

    # ------------------------------------------------------------ the legend

    def _legend(self) -> tuple[list[str], float, float]:
        """The legend's entries below the picture, and the width and height that they take: kinds, then who holds what."""
        kinds: list[_Sample] = [(own, rf"\text{{{own.words}}}", None) for own in samples(self.diagram)]
        held: list[_Sample] = [(_plain(shade(way)), way.words.latex, way) for way in self.diagram.held]
        x, y, widest = float(MARGIN), self.placed.height + MARGIN + LEGEND, 0.0
        entries = []
        for k, (own, words, way) in enumerate([*kinds, *held]):
            found, tag = setting(words, WORDS), setting(way.tag.latex, SMALL).width + GAP if way and way.tag else 0.0
            swatch = max(SWATCH, tag + GAP)
            if x > MARGIN and (k == len(kinds) or x + swatch + found.width > MARGIN + max(self.placed.width, 420)):
                x, y = float(MARGIN), y + 24
            box = Box(x + swatch / 2, y, swatch, 20 if way else 16)
            label = self._centred(way.tag.latex, SMALL, x + (swatch - tag + GAP) / 2, y) if way and way.tag else ""
            entries.append(_shape(own, box) + label + self._centred(words, WORDS, x + swatch + 6, y))
            x += swatch + 6 + found.width + 20
            widest = max(widest, x - 20 - MARGIN)
        return entries, widest, y + 12 - self.placed.height - MARGIN

    def _moved(self, box: Box) -> Box:
        return Box(box.x + MARGIN, box.y + MARGIN, box.width, box.height)


# ---------------------------------------------------------------- shapes

_Sample = tuple[Look, str, Held | None]
"""An entry of the legend: a look, words in LaTeX, and how workers hold what looks so, where it tells that."""


def _plain(fill: str) -> Look:
    return Look("box", fill, INK)


def _shape(own: Look, box: Box) -> str:
    """The outline of a vertex."""
    style = f'fill="{own.fill}" stroke="{own.stroke}" stroke-width="{own.thickness}"'
    style += f' stroke-dasharray="{own.dash}"' if own.dash else ""
    if own.outline == "cut":
        return f'<path class="shape" d="{_cut(box)}" {style}/>'
    if own.outline == "hexagon":
        return f'<path class="shape" d="{_hexagon(box)}" {style}/>'
    radius = {"stadium": box.height / 2, "round": min(box.height, box.width) / 2, "box": 2}[own.outline]
    whole = _rect(box, radius, f'class="shape" {style}')
    inner = Box(box.x, box.y, box.width - 6, box.height - 6)
    return whole + (_rect(inner, 1, f'fill="none" stroke="{own.stroke}"') if own.double else "")


def _rect(box: Box, radius: float, style: str) -> str:
    sides = f'x="{_number(box.left)}" y="{_number(box.top)}" width="{_number(box.width)}" height="{_number(box.height)}"'
    return f'<rect {sides} rx="{_number(radius)}" {style}/>'


def _cut(box: Box) -> str:
    """A rectangle whose corners are cut off."""
    cut, right, bottom = 6, box.left + box.width, box.top + box.height
    corners = [
        (box.left + cut, box.top), (right - cut, box.top), (right, box.top + cut), (right, bottom - cut),
        (right - cut, bottom), (box.left + cut, bottom), (box.left, bottom - cut), (box.left, box.top + cut),
    ]  # fmt: skip
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in corners) + " Z"


def _hexagon(box: Box) -> str:
    """A rectangle with a point at its left and at its right."""
    cut, right, bottom = box.height / 3, box.left + box.width, box.top + box.height
    corners = [
        (box.left + cut, box.top), (right - cut, box.top), (right, box.y),
        (right - cut, bottom), (box.left + cut, bottom), (box.left, box.y),
    ]  # fmt: skip
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in corners) + " Z"


def _way(points: Sequence[Point]) -> str:
    """A path of cubic curves between straight ends."""
    pairs = [f"{_number(x)} {_number(y)}" for x, y in points]
    curves = 3 * ((len(points) - 2) // 3)
    return f"M{pairs[0]} L{pairs[1]} C{' '.join(pairs[2 : 2 + curves])} L{pairs[-1]}"


def _head(base: Point, tip: Point, color: str) -> str:
    """An arrow's head."""
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    length = math.hypot(dx, dy) or 1.0
    side = (-dy / length * 3.6, dx / length * 3.6)
    corners = [tip, (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])]
    return f'<path d="M{" L".join(f"{_number(x)} {_number(y)}" for x, y in corners)} Z" fill="{color}"/>'


def _number(value: float) -> str:
    """A coordinate with two digits behind the point, at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.005 else "0"


def _text(text: str) -> str:
    """A text for XML: characters that it cannot hold are left out."""
    return escape("".join(c if c.isprintable() or c == "\n" else " " for c in text))

