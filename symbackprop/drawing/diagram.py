"""What is drawn, before it has a place: vertices, edges between them, and frames around what is repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from symbackprop.render.printing import spans


@dataclass(frozen=True)
class Label:
    """A line of a vertex, or what stands at an edge: the same mathematics in LaTeX and in plain text."""

    latex: str
    text: str


@dataclass(frozen=True)
class Held:
    """How workers hold a value: ``tag`` stands in its vertex (none where each holds the whole), ``words`` in the legend.

    shade is the number of its colour, 0 for the whole.
    """

    shade: int
    words: Label
    tag: Label | None = None


@dataclass(frozen=True)
class Vertex:
    """A box. key is unique, kind decides its shape and colour.

    kind is ``input``, ``target``, ``parameter``, ``hyper``, ``value``, ``objective``, ``gradient``, ``tangent`` (of a value),
    ``direction`` or ``gradient tangent``; or it is an ``operation``, a ``gradient operation``, or a value ``kept`` for one; or
    it is a ``meeting`` of workers or a ``gradient meeting``.
    lines are set below each other. equations are the names of those that it stands for, numbers those that are printed. row
    is the value beside which it stands, owner that to which it belongs. title is said where one points at it; times is how
    many copies it stands for. held is how workers hold it, where there are several.
    """

    key: str
    kind: str
    lines: tuple[Label, ...]
    title: str
    equations: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    row: str = ""
    owner: str = ""
    times: int = 1
    held: Held | None = None

    @property
    def returns(self) -> bool:
        """Whether it belongs to what runs back from the objective."""
        return self.kind.startswith("gradient") or self.kind == "kept"

    @property
    def number(self) -> str:
        """Its numbers as they are printed: (3), or (3–5, 7)."""
        return f"({spans(self.numbers)})" if self.numbers else ""


@dataclass(frozen=True)
class Edge:
    """An arrow from one vertex to another, with the shape of what is passed on; a ``pair`` is a line between neighbours."""

    source: str
    target: str
    label: Label | None = None
    kind: str = "flow"


@dataclass(frozen=True)
class Frame:
    """A frame around vertices that stand for several copies of themselves, one after the other."""

    members: tuple[str, ...]
    times: int


@dataclass(frozen=True)
class Diagram:
    """A picture without places."""

    title: str
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()

    @property
    def held(self) -> tuple[Held, ...]:
        """The ways in which workers hold what is drawn, each once; none where there is one worker."""
        found = dict.fromkeys(vertex.held for vertex in self.vertices if vertex.held is not None)
        return tuple(sorted(found, key=lambda held: held.shade))


Place: TypeAlias = Callable[[str], str]
"""Maps the key of a vertex to that of the vertex that it becomes part of."""


def merged(diagram: Diagram, place: Place, join: Callable[[str, Sequence[Vertex]], Vertex]) -> Diagram:
    """Return the diagram with vertices put together, edges within them left out and parallel ones drawn once.

    A frame around a single vertex becomes that vertex's number of copies.
    """
    groups: dict[str, list[Vertex]] = {}
    for vertex in diagram.vertices:
        groups.setdefault(place(vertex.key), []).append(vertex)
    vertices = {key: join(key, members) for key, members in groups.items()}
    edges: dict[tuple[str, str, str], Edge] = {}
    for edge in diagram.edges:
        source, target = place(edge.source), place(edge.target)
        if source != target:
            edges.setdefault((source, target, edge.kind), replace(edge, source=source, target=target))
    frames = []
    for frame in diagram.frames:
        members = tuple(dict.fromkeys(place(key) for key in frame.members))
        inside = [key for key in members if all(vertex.key in frame.members for vertex in groups[key])]
        if len(inside) == len(members) > 1:
            frames.append(replace(frame, members=members))
            continue
        for key in inside:
            vertices[key] = replace(vertices[key], times=frame.times)
    return Diagram(diagram.title, tuple(vertices.values()), tuple(edges.values()), tuple(frames))
