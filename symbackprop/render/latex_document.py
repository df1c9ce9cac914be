"""A whole derivation in LaTeX: a fragment to paste, or a document that compiles."""

from __future__ import annotations

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.model import Equation
from symbackprop.render.formula import Formula
from symbackprop.render.linebreaks import broken
from symbackprop.render.steps import Steps
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer


def latex(
    derived: DerivedGraph, *, standalone: bool = False, notation: str = "partial", steps: bool = False, more: str = ""
) -> str:
    """The derivation in LaTeX: a fragment for amsmath, or with ``standalone`` a document that compiles. ``more`` follows it."""
    writer = Writer(derived, notation)
    worked = Steps(writer) if steps else None
    label = _label(derived) if steps else ""
    forward = [_row(writer, equation, None, label) for equation in derived.forward]
    backward = [_row(writer, equation, worked, label) for equation in derived.backward]
    blocks = [
        {"title": "Forward", "rows": forward, "end": " \\\\"},
        {"title": "Backward", "rows": backward, "end": " \\\\[1ex]" if steps else " \\\\"},
    ]
    for section in derived.further:
        rows = [_row(writer, equation, None, label) for equation in section.equations]
        blocks.append({"title": section.title, "rows": rows, "end": " \\\\"})
    blocks = [block for block in blocks if block["rows"]]
    below = _below(writer)
    if below:
        blocks.append({"title": "where", "rows": below, "end": " \\\\"})
    body = fill("latex/fragment.tex.j2", blocks=blocks) + more
    if not standalone:
        return body
    return fill("latex/document.tex.j2", title=escape(derived.model.title or derived.model.name), body=body)


def _label(derived: DerivedGraph) -> str:
    """A prefix of labels: steps refer to the equations they come from by \\eqref."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in derived.model.name)
    return f"{name}:{'batch' if derived.batched else 'example'}:"


def _row(writer: Writer, equation: Equation, steps: Steps | None, label: str) -> str:
    """The rows of one equation, of which the last has its number, and a label where there is a prefix for it."""
    line = writer.line(equation)
    rows = []
    left: Formula | None = line.left
    for step in steps.of(line.by) if steps else ():
        for local in step.locals:
            rows.append(_equation(writer, local.left, local.right, f" && \\text{{from \\eqref{{{label}{local.number}}}}}"))
        rows.append(_equation(writer, step.left, step.right))
        left = line.left if step.left != line.left else None
    rows.append(_equation(writer, left, line.right, f" \\label{{{label}{line.number}}}" if label else ""))
    return " \\nonumber \\\\\n".join(rows)


def _equation(writer: Writer, left: Formula | None, right: Formula, note: str = "") -> str:
    shown = "" if left is None else writer.latex.show(left) + " "
    return broken(shown, writer.latex.show(right)) + note


def _below(writer: Writer) -> list[str]:
    rows = []
    delta = writer.delta()
    if delta:
        more = " \\quad \\text{and so for every pre-activation}" if delta[2] else ""
        rows.append(f"{writer.latex.show(delta[0])} &= {writer.latex.show(delta[1])}{more}")
    rows += [_equation(writer, left, right) for left, right in writer.definitions()]
    if writer.index.leaves_axes:
        rows.append("&\\text{an entry outside its tensor is } 0")
    return rows + [f"&\\text{{{remark.words}: }} {remark.latex}" for remark in writer.remarks()]
