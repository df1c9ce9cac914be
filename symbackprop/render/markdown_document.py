"""A whole derivation in Markdown, with mathematics between dollars."""

from __future__ import annotations

from typing import Any

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.model import Equation
from symbackprop.render.steps import Steps
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer


def markdown(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False) -> str:
    """The derivation in Markdown, with mathematics between double dollars."""
    writer = Writer(derived, notation)
    worked = Steps(writer) if steps else None
    shapes = [
        {"name": writer.latex.name(leaf.name, leaf.rank), "kind": leaf.kind, "shape": writer.shape(leaf.shape)}
        for leaf in derived.graph.declarations
    ]
    blocks = [
        {"title": "Forward", "rows": [_row(writer, equation, None) for equation in derived.forward]},
        {"title": "Backward", "rows": [_row(writer, equation, worked) for equation in derived.backward]},
    ]
    blocks += [
        {"title": section.title, "rows": [_row(writer, equation, None) for equation in section.equations]}
        for section in derived.further
    ]
    definitions = [writer.latex.equation(left, right) for left, right in writer.definitions()]
    delta = writer.delta()
    if delta:
        more = " \\quad \\text{and so for every pre-activation}" if delta[2] else ""
        definitions.insert(0, writer.latex.equation(delta[0], delta[1]) + more)
    if writer.index.leaves_axes:
        definitions.append("\\text{an entry outside its tensor is } 0")
    definitions += [f"\\text{{{remark.words}: }} {remark.latex}" for remark in writer.remarks()]
    title = _escaped(derived.model.title or derived.model.name)
    return fill("markdown/derivation.md.j2", title=title, shapes=shapes, blocks=blocks, definitions=definitions)


def _row(writer: Writer, equation: Equation, steps: Steps | None) -> dict[str, Any]:
    line = writer.line(equation)
    found = []
    for step in steps.of(line.by) if steps else ():
        found += [f"{writer.latex.equation(x.left, x.right)} \\quad \\text{{from ({x.number})}}" for x in step.locals]
        found.append(writer.latex.equation(step.left, step.right))
    return {
        "number": line.number,
        "latex": writer.latex.equation(line.left, line.right),
        "why": line.why,
        "shape": writer.shape(equation.node.shape),
        "steps": found,
    }


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#+-!|&" else c for c in text)
