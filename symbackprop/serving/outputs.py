"""What can be had of an equation text: one table, from which the page's menu, the server and the tests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symbackprop.api import Derivation, check, derive, parse
from symbackprop.errors import EquationError, SymbackpropError
from symbackprop.reporting import Contents, page, paper


@dataclass(frozen=True)
class Output:
    """A file: what the menu calls it, its name, its media type, and what makes its content of a derivation."""

    words: str
    file: str
    media: str
    make: Callable[[Derivation], str | bytes]


def _report(derivation: Derivation) -> str:
    return page(derivation)


OUTPUTS: Mapping[str, Output] = {
    "model": Output("Equations, .eq", "model.eq", "text/plain", lambda d: d.model.source),
    "text": Output("Derivation, text", "derivation.txt", "text/plain", lambda d: d.text()),
    "latex": Output("Derivation, LaTeX", "derivation.tex", "application/x-tex", lambda d: d.latex(standalone=True)),
    "markdown": Output("Derivation, Markdown", "derivation.md", "text/markdown", lambda d: d.markdown()),
    "json": Output("Derivation, JSON", "derivation.json", "application/json", lambda d: d.json()),
    "pdf": Output("Derivation, PDF", "derivation.pdf", "application/pdf", lambda d: d.pdf()),
    "kernel": Output("Kernel, Python", "kernel.py", "text/x-python", lambda d: d.source()),
    "svg": Output("Graph, SVG", "graph.svg", "image/svg+xml", lambda d: d.drawing(backward=True).svg()),
    "png": Output("Graph, PNG", "graph.png", "image/png", lambda d: d.drawing(backward=True).png()),
    "tikz": Output("Graph, TikZ", "graph.tex", "application/x-tex", lambda d: d.drawing(backward=True).tikz()),
    "dot": Output("Graph, dot", "graph.dot", "text/plain", lambda d: d.drawing(backward=True).dot()),
    "mermaid": Output("Graph, Mermaid", "graph.mmd", "text/plain", lambda d: d.drawing(backward=True).mermaid()),
    "footprint": Output("Footprint, text", "footprint.txt", "text/plain", lambda d: str(d.footprint())),
    "check": Output("Check, text", "check.txt", "text/plain", lambda d: check(d, samples=1).table),
    "report": Output("Report, HTML", "report.html", "text/html", _report),
    "paper": Output("Report, PDF", "report.pdf", "application/pdf", lambda d: paper(Contents(d))),
}


def answer(name: str, text: str) -> dict[str, Any]:
    """Return ``{"content": ...}`` for an output, or for ``page`` the live page; or ``{"error": ...}`` that says what is wrong.

    An error has message, line, column, length and hint; line 0 is no place in the text.
    """
    try:
        derivation = derive(parse(text, name="model", filename="model.eq"))
        if name == "page":
            shown = page(derivation, parts=("equations", "graph", "kernel"))
            return {"content": shown, "warnings": list(derivation.model.warnings)}
        return {"content": OUTPUTS[name].make(derivation)}
    except EquationError as problem:
        place = {"line": problem.line, "column": problem.column, "length": problem.length}
        return {"error": {"message": problem.message, "hint": problem.hint, **place}}
    except SymbackpropError as problem:
        return {"error": {"message": str(problem), "hint": "", "line": 0, "column": 0, "length": 0}}
