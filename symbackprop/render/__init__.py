"""Rendering: nodes become formulas, as a textbook would write them, and formulas become text, LaTeX, Typst, Markdown or JSON."""

from symbackprop.render.equations import equation_latex, equation_text, why
from symbackprop.render.json_document import json_form
from symbackprop.render.latex_document import latex
from symbackprop.render.markdown_document import markdown
from symbackprop.render.source import derivation_source, source
from symbackprop.render.text_document import text
from symbackprop.render.typst_document import pdf, typst

__all__ = [
    "derivation_source", "equation_latex", "equation_text", "json_form", "latex", "markdown", "pdf", "source", "text", "typst",
    "why",
]  # fmt: skip
