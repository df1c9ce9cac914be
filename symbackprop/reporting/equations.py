"""The equations of a derivation: in both forms and all notations, of which the page shows one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symbackprop import render
from symbackprop.api import Derivation
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.model import Equation
from symbackprop.render.formula import Formula
from symbackprop.render.steps import Steps
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer
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
    return _variants(derivation, lambda derived: [("Forward", derived.forward), ("Backward", derived.backward)], steps=True)


def further_equations(derivation: Derivation) -> str:
    """The equations beyond those of first order."""
    return _variants(derivation, lambda derived: [(section.title, section.equations) for section in derived.further])


def _variants(derivation: Derivation, sections: Any, steps: bool = False) -> str:
    return "".join(
        _variant(form, notation, derived, sections(derived), steps)
        for form, derived in forms(derivation).items()
        for notation in NOTATIONS
    )


def _variant(
    form: str, notation: str, derived: DerivedGraph, sections: Sequence[tuple[str, Sequence[Equation]]], steps: bool
) -> str:
    writer = Writer(derived, notation)
    worked = Steps(writer) if steps else None
    blocks = [
        {"title": text(title), "rows": [_row(writer, equation, worked) for equation in equations]}
        for title, equations in sections
        if equations
    ]
    whole = render.latex(derived.first_order if steps else derived, notation=notation)
    below = [_formula(writer, left, right) for left, right in writer.definitions()]
    delta = writer.delta()
    if delta:
        more = text(", and so for every pre-activation") if delta[2] else ""
        below.insert(0, _formula(writer, delta[0], delta[1]) + more)
    if writer.index.leaves_axes:
        below.append(text("an entry outside its tensor is 0"))
    below += [f"{text(remark.words)}: {formula(remark.latex, remark.text)}" for remark in writer.remarks()]
    return fill(
        "html/equations.html.j2", form=form, notation=notation, blocks=blocks, below=below, latex=text(whole),
    )  # fmt: skip


def _row(writer: Writer, equation: Equation, steps: Steps | None) -> dict[str, Any]:
    line = writer.line(equation)
    found = []
    for step in steps.of(line.by) if steps and line.backward else ():
        found += [f"{_formula(writer, x.left, x.right)} {text(f'from ({x.number})')}" for x in step.locals]
        found.append(_formula(writer, step.left, step.right))
    plain = writer.text.equation(line.left, line.right)
    return {
        "name": text(equation.name),
        "number": line.number,
        "plain": text(plain),
        "formula": _formula(writer, line.left, line.right),
        "latex": text(writer.latex.equation(line.left, line.right)),
        "shape": text(writer.shape(equation.node.shape)),
        "why": text(line.why),
        "steps": found,
    }


def _formula(writer: Writer, left: Formula, right: Formula) -> str:
    return formula(writer.latex.equation(left, right), writer.text.equation(left, right))
