"""The graph as text for other programs, which lay it out themselves: Graphviz' dot and Mermaid."""

from __future__ import annotations

import json
from collections.abc import Mapping

from symbackprop.drawing.diagram import Diagram, Vertex
from symbackprop.drawing.looks import LOOKS, Look, edge_look
from symbackprop.render.template import fill

_DOT = {"stadium": "ellipse", "cut": "octagon", "round": "ellipse", "box": "box"}
_MERMAID: Mapping[str, tuple[str, str]] = {
    "stadium": ("([", "])"), "cut": ("{{", "}}"), "round": ("((", "))"), "box": ("[", "]"),
}  # fmt: skip


def dot(diagram: Diagram) -> str:
    """Return the graph in the language of Graphviz."""
    name, kinds = _names(diagram), {vertex.key: vertex.kind for vertex in diagram.vertices}
    edges = []
    for edge in diagram.edges:
        color, dash = edge_look(edge.kind, kinds[edge.target])
        style = [f'color="{color}"', *(['style="dashed"'] if dash else [])]
        style += [f"label={_quoted(edge.label.text)}"] if edge.label else []
        style += ['dir="none"', 'constraint="false"'] if edge.kind == "pair" else []
        edges.append(f"{name[edge.source]} -> {name[edge.target]} [{', '.join(style)}];")
    return fill(
        "draw/graph.dot.j2",
        title=_quoted(diagram.title),
        nodes=[
            f"{name[vertex.key]} [{_dot_look(LOOKS[vertex.kind])}, label={_quoted(_words(vertex))}];"
            for vertex in diagram.vertices
        ],
        edges=edges,
        frames=[
            (k, _quoted(f"× {frame.times}"), "; ".join(name[key] for key in frame.members))
            for k, frame in enumerate(diagram.frames)
        ],
    )  # fmt: skip


def mermaid(diagram: Diagram) -> str:
    """Return the graph as a Mermaid flowchart."""
    name, kinds = _names(diagram), {vertex.key: vertex.kind for vertex in diagram.vertices}
    framed = {key for frame in diagram.frames for key in frame.members}

    def node(vertex: Vertex) -> str:
        opening, closing = _MERMAID[LOOKS[vertex.kind].outline]
        return f'{name[vertex.key]}{opening}"{_entities(_words(vertex))}"{closing}:::{vertex.kind.replace(" ", "-")}'

    by_key = {vertex.key: vertex for vertex in diagram.vertices}
    edges = []
    for edge in diagram.edges:
        arrow = "-.-" if edge.kind == "pair" else "-.->" if "gradient" in kinds[edge.target] else "-->"
        label = f'|"{_entities(edge.label.text)}"|' if edge.label else ""
        edges.append(f"{name[edge.source]} {arrow}{label} {name[edge.target]}")
    return fill(
        "draw/graph.mermaid.j2",
        title=_yaml(diagram.title),
        nodes=[node(vertex) for vertex in diagram.vertices if vertex.key not in framed],
        frames=[(k, frame.times, [node(by_key[key]) for key in frame.members]) for k, frame in enumerate(diagram.frames)],
        edges=edges,
        styles=[
            (kind.replace(" ", "-"), f"fill:{LOOKS[kind].fill},stroke:{LOOKS[kind].stroke},color:#000")
            for kind in LOOKS if kind in kinds.values()
        ],
    )  # fmt: skip


def _names(diagram: Diagram) -> dict[str, str]:
    return {vertex.key: f"v{k}" for k, vertex in enumerate(diagram.vertices)}


def _words(vertex: Vertex) -> str:
    """The lines of a vertex, its number and its copies as text."""
    lines = [line.text for line in vertex.lines]
    lines[-1] += f"  {vertex.number}" if vertex.number else ""
    lines[-1] += f"  × {vertex.times}" if vertex.times > 1 else ""
    return "\n".join(lines)


def _dot_look(look: Look) -> str:
    style = ["filled", *(["dashed"] if look.dash else []), *(["bold"] if look.thickness > 1 else [])]
    double = ', peripheries="2"' if look.double else ""
    return f'shape="{_DOT[look.outline]}", style="{",".join(style)}", fillcolor="{look.fill}", color="{look.stroke}"{double}'


def _quoted(text: str) -> str:
    """A text in Graphviz' quotes: a backslash begins no escape, a quote ends nothing."""
    lines = ["".join(c if c.isprintable() else " " for c in line) for line in text.split("\n")]
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


def _yaml(text: str) -> str:
    """A text in quotes for YAML, without a character that means something to HTML."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(f"\\u{ord(c):04x}" if c in "<>&" else c for c in quoted)


def _entities(text: str) -> str:
    """A text within Mermaid's quotes: whatever could mean something to it or to HTML is a character's number."""
    lines = ["".join(c if c.isprintable() else " " for c in line) for line in text.split("\n")]
    return "<br>".join("".join(f"#{ord(c)};" if c in "\"<>&#;`\\*_[]{}()|" else c for c in line) for line in lines)
