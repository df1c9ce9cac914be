"""A whole derivation in LaTeX: a fragment to paste, or a document that compiles."""

from __future__ import annotations

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.render.formula import Formula
from symbackprop.render.linebreaks import cuts
from symbackprop.render.sections import Entry, sections
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill
from symbackprop.render.workers_note import said, workers_note
from symbackprop.render.writer import Writer


def latex(
    derived: DerivedGraph, *, standalone: bool = False, notation: str = "partial", steps: bool = False, more: str = "",
    first_order: bool = True,
) -> str:  # fmt: skip
    """The derivation in LaTeX: a fragment for amsmath, or with ``standalone`` a document that compiles. ``more`` follows it.

    ``first_order`` is whether forward and backward equations are wanted.
    """
    writer = Writer(derived, notation)
    label = _label(derived) if steps else ""
    blocks = [
        {
            "title": section.title,
            "rows": [_rows(writer, entry, label) for entry in section.entries],
            "end": " \\\\[1ex]" if section.worked else " \\\\",
        }
        for section in sections(writer, steps=steps, first_order=first_order)
    ]
    below = _below(writer) if first_order else []
    if below:
        blocks.append({"title": "where", "rows": below, "end": " \\\\"})
    notes = [said(note, escape, lambda x: f"${writer.latex.show(x)}$") for note in workers_note(writer)]
    body = fill("latex/fragment.tex.j2", notes=notes, blocks=blocks) + more
    if not standalone:
        return body
    return fill("latex/document.tex.j2", title=escape(derived.model.title or derived.model.name), body=body)


def _label(derived: DerivedGraph) -> str:
    """A prefix of labels: steps refer to the equations they come from by \\eqref."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in derived.model.name)
    return f"{name}:{'batch' if derived.batched else 'example'}:"


def _rows(writer: Writer, entry: Entry, label: str) -> str:
    """The rows of one equation, of which the last has its number, and a label where there is a prefix for it."""
    line, rows = entry.line, []
    for step in entry.steps:
        source = f" && \\text{{from \\eqref{{{label}{step.source}}}}}" if step.source else ""
        rows.append(_equation(writer, step.left, step.right, source))
    repeated = bool(entry.steps) and entry.steps[-1].left == line.left
    mark = f" \\label{{{label}{line.number}}}" if label else ""
    rows.append(_equation(writer, None if repeated else line.left, line.right, mark))
    return " \\nonumber \\\\\n".join(rows)


def _equation(writer: Writer, left: Formula | None, right: Formula, note: str = "") -> str:
    shown, pieces = "" if left is None else writer.latex.show(left) + " ", writer.latex.pieces(right)
    rows = [writer.latex.row(pieces[cut]) for cut in cuts(shown, pieces)]
    return f"{shown}&= " + " \\nonumber \\\\\n&\\quad ".join(rows) + note


def _below(writer: Writer) -> list[str]:
    rows = []
    delta = writer.delta()
    if delta:
        more = " \\quad \\text{and so for every pre-activation}" if delta[2] else ""
        rows.append(f"{writer.latex.show(delta[0])} &= {writer.latex.show(delta[1])}{more}")
    rows += [_equation(writer, left, right) for left, right in writer.definitions()]
    return rows + [f"&{writer.latex.remark(remark.words, remark.formula)}" for remark in writer.remarks()]
