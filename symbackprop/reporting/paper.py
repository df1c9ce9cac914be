"""Everything about a model as one typeset document, without TeX."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.checking.report import HEADINGS
from symbackprop.footprint import documents, plot
from symbackprop.render.source import source
from symbackprop.render.template import fill
from symbackprop.render.typst_document import typst_document, typst_part, words
from symbackprop.reporting.contents import Contents
from symbackprop.typesetting import typeset


def paper(contents: Contents) -> bytes:
    """Return the report as PDF: the model, its equations, graph and costs, the check, second derivatives, and the kernel.

    Raises UsageError where the libraries of the extra ``draw`` are missing.
    """
    derivation, footprint = contents.derivation, contents.footprint
    inputs = {
        "model": derivation.model.source or source(derivation.model),
        "graph": contents.drawing.svg(),
        "kernel": derivation.source(),
    }
    if footprint.numbers is not None:
        inputs["plot"] = plot.svg(footprint.plot())
    equations = [
        (heading, typst_part(derived, notation=contents.notation, level=3)) for heading, derived in contents.forms.items()
    ]
    body = fill(
        "typst/report.typ.j2",
        model=words(derivation.model.name),
        equations=equations,
        footprint=documents.typst(footprint),
        plots=["plot"] if "plot" in inputs else [],
        second=[_second(contents)] if contents.derivation.model.minimizes else [],
        proofs=[(words(contents.proof.summary), _table(HEADINGS, contents))] if contents.derivation.model.minimizes else [],
    )
    return typeset(typst_document(contents.title, body), inputs)


def _second(contents: Contents) -> str:
    part = typst_part(contents.second, notation=contents.notation, level=3, declared=False, first_order=False)
    return part + contents.growth.typst(level=3)


def _table(heads: Sequence[str], contents: Contents) -> list[list[str]]:
    rows = [heads, *[line.cells() for line in contents.proof.lines]]
    return [[words(cell) for cell in row] for row in rows]
