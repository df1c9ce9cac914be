"""The footprint in LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Callable

from symbackprop.footprint.report import Report
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill

_FOR_MARKDOWN = frozenset("\\`*_{}[]<>#+-!|&")


def latex(report: Report) -> str:
    """The tables, the polynomials and the sentences in LaTeX, to paste into a document that loads amsmath."""
    return _filled("latex/footprint.tex.j2", report, escape)


def markdown(report: Report) -> str:
    """The same in Markdown, with mathematics between dollars."""
    return _filled("markdown/footprint.md.j2", report, _escaped)


def _filled(template: str, report: Report, words: Callable[[str], str]) -> str:
    inside = report.mathematics
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
