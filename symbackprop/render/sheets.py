"""Tables of words and numbers with sentences below them, in every format but JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from symbackprop.render.symbols import escape
from symbackprop.render.template import fill
from symbackprop.render.typst_document import words as typst_words

WIDTH = 100


@dataclass(frozen=True)
class Table:
    """A table: the first row heads. ``left`` are the columns of words; a rule stands above the last ``sums`` rows."""

    title: str
    rows: Sequence[Sequence[str]]
    left: tuple[int, ...] = (0,)
    sums: int = 0

    @property
    def columns(self) -> str:
        """For each column whether it is set to the left or to the right: ``l`` or ``r``."""
        return "".join("l" if k in self.left else "r" for k in range(len(self.rows[0])))


@dataclass(frozen=True)
class Sheet:
    """Tables, each with a title, and sentences. All of them are plain text."""

    title: str
    tables: tuple[Table, ...]
    sentences: tuple[str, ...] = ()

    def written(self, form: str) -> str:
        """The sheet as text, LaTeX, Markdown, or (``pdf``) a part of a document in Typst's language."""
        if form == "text":
            return self.text()
        template, words = {
            "latex": ("latex/sheet.tex.j2", escape),
            "markdown": ("markdown/sheet.md.j2", _for_markdown),
            "pdf": ("typst/sheet.typ.j2", typst_words),
        }[form]
        return fill(template, sheet=self._with(words), typst={"l": "left", "r": "right"})

    def _with(self, words: Callable[[str], str]) -> Sheet:
        tables = [
            replace(t, title=words(t.title), rows=[[words(cell) if cell else "" for cell in row] for row in t.rows])
            for t in self.tables
        ]
        return Sheet(words(self.title), tuple(tables), tuple(map(words, self.sentences)))

    def text(self) -> str:
        """For a terminal."""
        lines = [self.title]
        for part in self.tables:
            lines += ["", part.title, *[f"  {line}" for line in table_lines(part)]]
        for sentence in self.sentences:
            lines += textwrap.wrap(sentence, WIDTH, initial_indent="\n  ", subsequent_indent="  ", break_long_words=False)
        return "\n".join(line.rstrip(" ") for line in lines) + "\n"


def table_lines(part: Table) -> list[str]:
    """The rows of a table in columns, with lines below the first row and above the sums."""
    widths = [max(len(row[k]) for row in part.rows) for k in range(len(part.rows[0]))]
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for number, row in enumerate(part.rows):
        if number == 1 or (part.sums and number == len(part.rows) - part.sums):
            lines.append(rule)
        cells = [c.ljust(w) if k in part.left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def _for_markdown(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|&" else c for c in text)
