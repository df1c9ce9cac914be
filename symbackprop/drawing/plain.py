"""The graph as text for other programs, which lay it out themselves: Graphviz' dot and Mermaid."""

from __future__ import annotations

import json
from collections.abc import Mapping

from symbackprop.drawing.diagram import Diagram, Held, Vertex
from symbackprop.drawing.looks import Look, edge_look, look, shade, style, styles
from symbackprop.render.template import fill

_DOT = {"hexagon": "hexagon", "stadium": "ellipse", "cut": "octagon", "round": "ellipse", "box": "box"}
_MERMAID: Mapping[str, tuple[str, str]] = {
    "stadium": ("([", "])"), "cut": ("{{", "}}"), "round": ("((", "))"), "box": ("[", "]"),
    "hexagon": ("[/", "\\]"),
}  # fmt: skip


def dot(diagram: Diagram) -> str:
    """Return the graph in the language of Graphviz."""
    name, kinds = _names(diagram), {vertex.key: vertex.kind for vertex in diagram.vertices}
    edges = []
    for edge in diagram.edges:
        color, dash = edge_look(edge.kind, kinds[edge.target])
        parts = [f'color="{color}"', *(['style="dashed"'] if dash else [])]
        parts += [f"label={_quoted(edge.label.text)}"] if edge.label else []
        parts += ['dir="none"', 'constraint="false"'] if edge.kind == "pair" else []
        edges.append(f"{name[edge.source]} -> {name[edge.target]} [{', '.join(parts)}];")
    return fill(
        "draw/graph.dot.j2",
        title=_quoted(diagram.title),
        nodes=[
            f"{name[vertex.key]} [{_dot_look(look(vertex))}, label={_quoted(_words(vertex))}];"
            for vertex in diagram.vertices
        ],
        edges=edges,
        frames=[
            (k, _quoted(f"× {frame.times}"), "; ".join(name[key] for key in frame.members))
            for k, frame in enumerate(diagram.frames)
        ],
        legend=[
            f'legend{k} [shape="box", style="filled", fillcolor="{shade(held)}", label={_quoted(_explained(held))}];'
            for k, held in enumerate(diagram.held)
        ],
    )  # fmt: skip


def mermaid(diagram: Diagram) -> str:
    """Return the graph as a Mermaid flowchart."""
    name, kinds = _names(diagram), {vertex.key: vertex.kind for vertex in diagram.vertices}
    framed = {key for frame in diagram.frames for key in frame.members}

    def node(vertex: Vertex) -> str:
        opening, closing = _MERMAID[look(vertex).outline]
        return f'{name[vertex.key]}{opening}"{_entities(_words(vertex))}"{closing}:::{style(vertex).replace(" ", "-")}'

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
            *[(key.replace(" ", "-"), f"fill:{own.fill},stroke:{own.stroke},color:#000") for key, own in styles(diagram).items()],
            *[(f"legend-{k}", f"fill:{shade(held)},stroke:#222,color:#000") for k, held in enumerate(diagram.held)],
        ],
        legend=[f'legend{k}["{_entities(_explained(held))}"]:::legend-{k}' for k, held in enumerate(diagram.held)],
    )  # fmt: skip


def _names(diagram: Diagram) -> dict[str, str]:
    return {vertex.key: f"v{k}" for k, vertex in enumerate(diagram.vertices)}


def _words(vertex: Vertex) -> str:
    """The lines of a vertex, its number and its copies as text."""
    lines = [line.text for line in vertex.lines]
    lines[-1] += f"  {vertex.number}" if vertex.number else ""
    lines[-1] += f"  × {vertex.times}" if vertex.times > 1 else ""
    lines[0] = f"{vertex.held.tag.text} | {lines[0]}" if vertex.held and vertex.held.tag else lines[0]
    return "\n".join(lines)


def _explained(held: Held) -> str:
    """A way to hold a value as the legend has it: its tag and its words."""
    return f"{held.tag.text} | {held.words.text}" if held.tag else held.words.text


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
