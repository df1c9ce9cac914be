"""Where everything stands: Graphviz lays out boxes of given sizes, in this process (pygraphviz, whose wheel contains it)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from symbackprop.drawing.diagram import Diagram, Edge, Frame, Label, Vertex
from symbackprop.drawing.glyphs import SIZE, SMALL, setting
from symbackprop.errors import UsageError

PADDING, LEADING, GAP = 9, 5, 7
"""Within a box: around its lines, between them, and between them and the number."""

POINTS = 72
"""Graphviz measures sizes in inches and places in points; a point is our pixel."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle by its centre and its sides; y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The x of its left side."""
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        """The y of its upper side."""
        return self.y - self.height / 2

    def overlaps(self, other: Box, slack: float = 0.0) -> bool:
        """Tell whether two rectangles have points in common, apart from a rim of width ``slack``."""
        near = abs(self.x - other.x) < (self.width + other.width) / 2 - slack
        return near and abs(self.y - other.y) < (self.height + other.height) / 2 - slack


@dataclass(frozen=True)
class Path:
    """The way of an edge: points of cubic Bézier curves, from tail to head, and where its label stands."""

    edge: Edge
    points: tuple[Point, ...]
    label: Box | None


@dataclass(frozen=True)
class Layout:
    """A diagram with places: boxes by key, paths, frames with their vertices, and the sides of the whole."""

    boxes: Mapping[str, Box]
    paths: tuple[Path, ...]
    frames: tuple[tuple[Frame, Box], ...]
    width: float
    height: float


def layout(diagram: Diagram) -> Layout:
    """Lay out a diagram from top to bottom. Raises UsageError where pygraphviz or ziamath is not installed.

    What runs back stands beside what it is the gradient of: its edges count upwards, so that both ends of a pair share a row.
    """
    graph = _pygraphviz().AGraph(directed=True, strict=False, rankdir="TB", nodesep=0.3, ranksep=0.38, splines="true", ordering="")
    name = {vertex.key: f"v{k}" for k, vertex in enumerate(diagram.vertices)}
    returns = {vertex.key: vertex.returns for vertex in diagram.vertices}
    for vertex in diagram.vertices:
        width, height = size(vertex)
        graph.add_node(name[vertex.key], shape="box", fixedsize="true", label="", width=width / POINTS, height=height / POINTS)
    for k, edge in enumerate(diagram.edges):
        _add_edge(graph, k, edge, name, returns)
    _group(graph, diagram, name)
    try:
        with _quiet():
            graph.layout(prog="dot")
    except (OSError, ValueError) as problem:
        raise UsageError(f"the graph cannot be laid out: {problem}") from None
    return _read(graph, diagram, name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Graphviz says of its splines from standard error: it writes there by itself, and offers no way to ask it not to."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def size(vertex: Vertex) -> tuple[float, float]:
    """The width and height of a vertex's box: its lines below each other, its number at their right."""
    lines = [setting(line.latex, SIZE) for line in vertex.lines]
    wide, high = max(line.width for line in lines), sum(line.height for line in lines) + LEADING * (len(lines) - 1)
    right = GAP + setting(number_label(vertex), SMALL).width if vertex.number else 0
    extra = GAP + setting(times_label(vertex.times), SIZE).width if vertex.times > 1 else 0
    slant = max(high, SIZE) * 0.8 if vertex.kind in _SLANTED else 0
    return math.ceil(wide + right + extra + slant + tag_width(vertex) + 2 * PADDING), math.ceil(max(high, SIZE) + 2 * PADDING)


_SLANTED = ("input", "target", "direction", "meeting", "gradient meeting")
"""The kinds of vertices whose ends are not straight."""


def tag_width(vertex: Vertex) -> float:
    """The width of the tag at the left of a vertex's lines, with the bar behind it; 0 where it has none."""
    return setting(vertex.held.tag.latex, SMALL).width + 2 * GAP if vertex.held and vertex.held.tag else 0


def number_label(vertex: Vertex) -> str:
    """The LaTeX of a vertex's number."""
    return vertex.number.replace("–", r"\text{–}")


def times_label(times: int) -> str:
    """The LaTeX of × 12."""
    return rf"\times \, {times}"


def _add_edge(graph: Any, number: int, edge: Edge, name: Mapping[str, str], returns: Mapping[str, bool]) -> None:
    source, target = name[edge.source], name[edge.target]
    attributes: dict[str, Any] = {"key": str(number)}
    if edge.label is not None:
        attributes["label"] = _blank(edge.label)
    if edge.kind == "pair":
        graph.add_edge(source, target, dir="none", weight=1, **attributes)  # the gradient at the right
    elif returns[edge.source] and returns[edge.target]:
        graph.add_edge(target, source, dir="back", weight=2, **attributes)
    elif returns[edge.target]:
        graph.add_edge(source, target, constraint="false", **attributes)
    else:
        graph.add_edge(source, target, weight=2, **attributes)


def _blank(label: Label) -> str:
    """A label of a fixed size without content: what stands there is drawn afterwards."""
    width, height = label_size(label)
    table = f'border="0" cellborder="0" cellspacing="0" cellpadding="0" fixedsize="true" width="{width}" height="{height}"'
    return f"<<table {table}><tr><td></td></tr></table>>"


def label_size(label: Label) -> tuple[int, int]:
    """The sides of the box of an edge's label."""
    found = setting(label.latex, SMALL)
    return math.ceil(found.width) + 6, math.ceil(found.height) + 4


def _group(graph: Any, diagram: Diagram, name: Mapping[str, str]) -> None:
    """Put what belongs to one value into one row, and repeated parts into a frame."""
    rows: dict[str, list[str]] = {}
    for vertex in diagram.vertices:
        if vertex.row:
            rows.setdefault(vertex.row, []).append(vertex.key)
    framed = {key: k for k, frame in enumerate(diagram.frames) for key in frame.members}
    clusters = [
        graph.add_subgraph([name[key] for key in frame.members], name=f"cluster{k}", margin=16)
        for k, frame in enumerate(diagram.frames)
    ]
    for keys in rows.values():
        if len(keys) > 1:
            home = clusters[framed[keys[0]]] if keys[0] in framed else graph
            home.add_subgraph([name[key] for key in keys], rank="same")


def _read(graph: Any, diagram: Diagram, name: Mapping[str, str]) -> Layout:
    left, bottom, right, top = _numbers(graph.graph_attr["bb"])

    def place(x: float, y: float) -> Point:
        return round(x - left, 2), round(top - y, 2)

    boxes = {}
    for vertex in diagram.vertices:
        x, y = place(*_numbers(graph.get_node(name[vertex.key]).attr["pos"]))
        boxes[vertex.key] = Box(x, y, *size(vertex))
    paths: dict[int, Path] = {}
    for tail, head, key in graph.edges(keys=True):
        found, edge = graph.get_edge(tail, head, key), diagram.edges[int(key)]
        points = [place(*point) for point in _spline(found.attr["pos"])]
        if name[edge.source] != tail:
            points.reverse()
        label = None
        if edge.label is not None:
            label = Box(*place(*_numbers(found.attr["lp"])), *label_size(edge.label))
        paths[int(key)] = Path(edge, tuple(points), label)
    frames = []
    for k, frame in enumerate(diagram.frames):
        x0, y0, x1, y1 = _numbers(graph.get_subgraph(f"cluster{k}").graph_attr["bb"])
        frames.append((frame, Box(*place((x0 + x1) / 2, (y0 + y1) / 2), x1 - x0, y1 - y0)))
    return Layout(boxes, tuple(paths[k] for k in sorted(paths)), tuple(frames), right - left, top - bottom)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _spline(text: str) -> Sequence[Point]:
    """The points of a spline from its tail to its head; ends with arrows are marked s and e."""
    start: list[Point] = []
    end: list[Point] = []
    points: list[Point] = []
    for part in text.replace("\\\n", "").split():
        where = end if part.startswith("e,") else start if part.startswith("s,") else points
        x, y = _numbers(part.removeprefix("e,").removeprefix("s,"))
        where.append((x, y))
    return [*(start or points[:1]), *points, *(end or points[-1:])]


def _pygraphviz() -> ModuleType:
    try:
        import pygraphviz
    except ImportError:
        raise UsageError("pictures need ziamath and pygraphviz: pip install 'symbackprop[draw]'") from None
    return pygraphviz
