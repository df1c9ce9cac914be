"""The footprint in every format."""

from __future__ import annotations

from collections.abc import Callable

from symbackprop.footprint.report import Notation, Report
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill
from symbackprop.render.typst_document import typst_document
from symbackprop.render.typst_document import words as typst_words
from symbackprop.typesetting import typeset

_FOR_MARKDOWN = frozenset("\\`*_{}[]<>#+-!|&")


def written(report: Report, form: str) -> str | bytes:
    """The report in a format of the command line. Raises UsageError where that needs a library that is not installed."""
    if form == "pdf":
        return typeset(typst_document(report.title(), typst(report)))
    forms = {"text": Report.text, "json": Report.json, "latex": latex, "markdown": markdown}
    return forms[form](report)


def latex(report: Report) -> str:
    """The tables, the polynomials and the sentences in LaTeX, to paste into a document that loads amsmath."""
    return _filled("latex/footprint.tex.j2", report, report.mathematics, escape)


def markdown(report: Report) -> str:
    """The same in Markdown, with mathematics between dollars."""
    return _filled("markdown/footprint.md.j2", report, report.mathematics, _escaped)


def typst(report: Report) -> str:
    """The same as a part of a document in Typst's language."""
    return _filled("typst/footprint.typ.j2", report, report.typst, typst_words)


def _filled(template: str, report: Report, inside: Notation, words: Callable[[str], str]) -> str:
    head, *rows, total = report.layer_table(inside)
    return fill(
        template,
        title=words(report.title()),
        sizes=f"{report.dtype}, {_formula(report.sizes(inside))}",
        head=head,
        rows=[[_formula(text) for text in row] for row in rows],
        total=["total", *[_formula(text) for text in total[1:]]],
        memory=[(words(name), f"{count:,}") for name, _, count in report.totals() if count is not None],
        polynomials=[
            (words(name), report.polynomial(value, inside)) for name, value, _ in report.totals() if value is not None
        ],
        legend=[words(line) for line in report.legend()],
        sentences=report.sentences(inside, _formula, words),
    )


def _formula(text: str) -> str:
    """Mathematics between dollars, nothing where there is none."""
    return f"${text}$" if text else ""


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in _FOR_MARKDOWN else c for c in text)
