"""The equations of a derivation: in both forms and all notations, of which the page shows one at a time."""

from __future__ import annotations

from typing import Any

from symbackprop import render
from symbackprop.api import Derivation
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.render.formula import Formula
from symbackprop.render.sections import Entry, sections
from symbackprop.render.template import fill
from symbackprop.render.workers_note import said, workers_note
from symbackprop.render.writer import Remark, Writer
from symbackprop.reporting.html import formula, text

NOTATIONS = {"partial": "∂", "delta": "δ", "nabla": "∇"}
"""The notations of gradients, and the sign on the switch of each."""


def forms(derivation: Derivation) -> dict[str, DerivedGraph]:
    """The forms of a derivation by name: for one example, and for the batch where there is one."""
    if derivation.model.batch is None:
        return {"batch": derivation.batch}
    return {"example": derivation.example, "batch": derivation.batch}


def equations(derivation: Derivation) -> str:
    """The forward and backward equations, with what is defined below them."""
    return _variants(derivation, first_order=True)


def further_equations(derivation: Derivation) -> str:
    """The equations beyond those of first order."""
    return _variants(derivation, first_order=False)


def _variants(derivation: Derivation, first_order: bool) -> str:
    return "".join(
        variant(form, notation, derived, first_order) for form, derived in forms(derivation).items() for notation in NOTATIONS
    )


def variant(form: str, notation: str, derived: DerivedGraph, first_order: bool = True) -> str:
    """The equations of a derivation in one form and notation, and those of workers who share it with what they must know."""
    writer = Writer(derived, notation)
    blocks = [
        {"title": text(section.title), "rows": [_row(writer, entry) for entry in section.entries]}
        for section in sections(writer, steps=first_order and derived.workers is None, first_order=first_order)
    ]
    whole = render.latex(derived.first_order if first_order else derived, notation=notation)
    below = [_formula(writer, left, right) for left, right in writer.definitions()]
    delta = writer.delta()
    if delta:
        more = text(", and so for every pre-activation") if delta[2] else ""
        below.insert(0, _formula(writer, delta[0], delta[1]) + more)
    below += [_remark(writer, remark) for remark in writer.remarks()]
    notes = [said(note, text, lambda x: formula(writer.latex.show(x), writer.text.show(x))) for note in workers_note(writer)]
    return fill(
        "html/equations.html.j2", form=form, notation=notation, notes=notes, blocks=blocks, below=below, latex=text(whole),
    )  # fmt: skip


def _row(writer: Writer, entry: Entry) -> dict[str, Any]:
    line = entry.line
    return {
        "name": text(line.equation.name),
        "number": line.number,
        "plain": text(writer.text.equation(line.left, line.right)),
        "formula": _formula(writer, line.left, line.right),
        "latex": text(writer.latex.equation(line.left, line.right)),
        "shape": text(writer.shape(line.equation.node.shape)),
        "why": text(line.why),
        "steps": [
            _formula(writer, step.left, step.right) + (f" {text(f'from ({step.source})')}" if step.source else "")
            for step in entry.steps
        ],
    }


def _remark(writer: Writer, remark: Remark) -> str:
    if remark.formula is None:
        return text(remark.words)
    return f"{text(remark.words)}: {formula(writer.latex.show(remark.formula), writer.text.show(remark.formula))}"


def _formula(writer: Writer, left: Formula, right: Formula) -> str:
    return formula(writer.latex.equation(left, right), writer.text.equation(left, right))
