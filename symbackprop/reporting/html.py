"""Pieces of HTML: every text in them is escaped here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from symbackprop.reporting.mathml import mathml


def text(words: str) -> str:
    """A text, of which nothing is markup; characters that HTML cannot hold are spaces."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else " " for c in words))


def formula(latex: str, plain: str = "") -> str:
    """Mathematics; nothing where there is none. ``plain`` is what is read out."""
    return mathml(latex, plain) if latex else ""


def sentence(words: str) -> str:
    """A sentence with mathematics between dollars."""
    parts = re.split(r"\$([^$]*)\$", words)
    return "".join(formula(part) if k % 2 else text(part) for k, part in enumerate(parts))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, words: Sequence[int] = (), foot: bool = False) -> str:
    """A table of finished cells below headings, its first column of headings too; with ``foot`` the last row sums up.

    The other columns hold numbers, but for those of ``words``. A wide table scrolls within its box.
    """
    look = [' class="words"' if k == 0 or k in words else "" for k in range(len(head))]
    lines = [_row(row, look) for row in rows]
    body = f"<tbody>{''.join(lines[:-1] if foot else lines)}</tbody>" + (f"<tfoot>{lines[-1]}</tfoot>" if foot else "")
    headings = "".join(f'<th scope="col"{own}>{text(heading)}</th>' for heading, own in zip(head, look, strict=True))
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}"><table><caption>{text(caption)}</caption>'
        f"<thead><tr>{headings}</tr></thead>{body}</table></div>"
    )


def _row(cells: Sequence[str], look: Sequence[str]) -> str:
    first, *rest = cells
    others = "".join(f"<td{own}>{cell}</td>" for cell, own in zip(rest, look[1:], strict=True))
    return f'<tr><th scope="row"{look[0]}>{first}</th>{others}</tr>'


def paragraphs(sentences: Sequence[str]) -> str:
    """A list of sentences."""
    return f"<ul>{''.join(f'<li>{line}</li>' for line in sentences)}</ul>" if sentences else ""
