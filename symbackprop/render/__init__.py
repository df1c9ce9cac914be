"""Rendering: nodes become formulas, as a textbook would write them, and formulas become text, LaTeX, Markdown or JSON."""

from symbackprop.render.documents import (
    equation_latex,
    equation_text,
    json_form,
    latex,
    markdown,
    source,
    text,
    why,
)

__all__ = ["equation_latex", "equation_text", "json_form", "latex", "markdown", "source", "text", "why"]
