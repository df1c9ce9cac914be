"""A whole derivation in Markdown, with mathematics between dollars."""

from __future__ import annotations

from typing import Any

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.render.sections import Entry, sections
from symbackprop.render.template import fill
from symbackprop.render.workers_note import said, workers_note
from symbackprop.render.writer import Writer


def markdown(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False) -> str:
    """The derivation in Markdown, with mathematics between double dollars."""
    writer = Writer(derived, notation)
    shapes = [
        {"name": writer.latex.name(leaf.name, leaf.rank), "kind": leaf.kind, "shape": writer.shape(leaf.shape)}
        for leaf in derived.graph.declarations
    ]
    blocks = [
        {"title": section.title, "rows": [_row(writer, entry) for entry in section.entries]}
        for section in sections(writer, steps=steps)
    ]
    definitions = [writer.latex.equation(left, right) for left, right in writer.definitions()]
    delta = writer.delta()
    if delta:
        more = " \\quad \\text{and so for every pre-activation}" if delta[2] else ""
        definitions.insert(0, writer.latex.equation(delta[0], delta[1]) + more)
    definitions += [writer.latex.remark(remark.words, remark.formula) for remark in writer.remarks()]
    notes = [said(note, str, lambda x: f"${writer.latex.show(x)}$") for note in workers_note(writer)]
    title = _escaped(derived.model.title or derived.model.name)
    return fill("markdown/derivation.md.j2", title=title, notes=notes, shapes=shapes, blocks=blocks, definitions=definitions)


def _row(writer: Writer, entry: Entry) -> dict[str, Any]:
    line = entry.line
    return {
        "number": line.number,
        "latex": writer.latex.equation(line.left, line.right),
        "why": line.why,
        "shape": writer.shape(line.equation.node.shape),
        "steps": [
            writer.latex.equation(step.left, step.right) + (f" \\quad \\text{{from ({step.source})}}" if step.source else "")
            for step in entry.steps
        ],
    }


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#+-!|&" else c for c in text)
