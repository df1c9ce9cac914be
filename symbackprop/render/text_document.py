"""A whole derivation for a terminal: aligned, with shapes and with why each equation holds."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.render.sections import Row, default, sections, spoken_form
from symbackprop.render.workers_note import said, workers_note
from symbackprop.render.writer import Line, Writer

WIDEST_LEFT = 24
"""Columns beyond which a left side no longer moves the others."""

_KINDS = ("input", "target", "parameter", "hyper")


def text(
    derived: DerivedGraph, *, width: int = 100, notation: str = "partial", steps: bool = False, color: bool = False
) -> str:
    """The whole derivation for a terminal of that width."""
    writer = Writer(derived, notation)
    paint = _Paint(color)
    shown = [_head(derived, writer, paint)]
    for section in sections(writer, steps=steps):
        rows: list[_Row | None] = []
        for entry in section.entries:
            rows += [*[_step(writer, step) for step in entry.steps], _row(writer, entry.line), *([None] if section.worked else [])]
        title = section.title + (", step by step" if section.worked else "")
        shown.append([paint.bold(title), *_table(rows, width, paint)])
    below = _below(writer)
    if below:
        shown.append([paint.bold("where"), *[f"  {row}" for row in below]])
    return "\n\n".join("\n".join(section).rstrip("\n") for section in shown) + "\n"


class _Paint:
    def __init__(self, color: bool) -> None:
        self.color = color

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self.color else text

    def faint(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self.color else text


@dataclass(frozen=True)
class _Row:
    """One line of a table: what stands in the margin, the two sides, and a note."""

    margin: str
    left: str
    right: str
    note: str = ""


def _row(writer: Writer, line: Line) -> _Row:
    note = writer.shape(line.equation.node.shape) + (f", {line.why}" if line.why else "")
    return _Row(f"({line.number})", writer.text.show(line.left), writer.text.show(line.right), note)


def _step(writer: Writer, step: Row) -> _Row:
    sides = writer.text.show(step.left), writer.text.show(step.right)
    return _Row("local", *sides, f"from ({step.source})") if step.source else _Row("chain", *sides)


def _head(derived: DerivedGraph, writer: Writer, paint: _Paint) -> list[str]:
    model = derived.model
    lines = [
        paint.bold(model.name + (f": {model.title}" if model.title else "")),
        f"  {spoken_form(derived)}",
    ]
    sizes = ", ".join(
        writer.text.dimension(name) + ("" if size is None else f" = {size}") for name, size in model.dimensions.items()
    )
    if sizes:
        lines.append(f"  sizes      {sizes}")
    for k, note in enumerate(workers_note(writer)):
        shown = said(note, str, writer.text.show)
        lines += textwrap.wrap(shown, 96, initial_indent=" " * 13 if k else "  workers    ", subsequent_indent=" " * 15)
    for kind in _KINDS:
        names = []
        for leaf in derived.graph.declarations:
            if leaf.kind == kind:
                shape = f" ({writer.shape(leaf.shape)})" if kind != "hyper" else ""
                classes = f" in 0..{writer.text.number(leaf.classes - 1)[0].replace(' ', '')}" if leaf.classes is not None else ""
                value = default(writer, leaf, writer.text) if kind == "hyper" else ""
                shown = f" = {value}" if value else ""
                names.append(f"{writer.text.name(leaf.name)}{shape}{classes}{shown}")
        if names:
            lines += textwrap.wrap(", ".join(names), 88, initial_indent=f"  {kind:<10} ", subsequent_indent=" " * 13)
    return lines


def _below(writer: Writer) -> list[str]:
    delta = writer.delta()
    rows = []
    if delta:
        more = ", and so for every pre-activation" if delta[2] else ""
        rows.append(f"{writer.text.show(delta[0])} stands for {writer.text.show(delta[1])}{more}")
    rows += [writer.text.equation(left, right) for left, right in writer.definitions()]
    for remark in writer.remarks():
        rows.append(remark.words if remark.formula is None else f"{remark.words}: {writer.text.show(remark.formula)}")
    return rows


def _table(rows: Sequence[_Row | None], width: int, paint: _Paint) -> list[str]:
    """Align the rows at their =; a row that does not fit is wrapped, its note below it. None is a blank line."""
    given = [row for row in rows if row is not None]
    margin = max((len(row.margin) for row in given), default=3)
    left_width = max((columns(row.left) for row in given if columns(row.left) <= WIDEST_LEFT), default=WIDEST_LEFT)
    right_width = max((columns(row.right) for row in given if columns(row.right) <= width // 2), default=10)
    lines = []
    for row in rows:
        if row is None:
            lines.append("")
            continue
        head = f"  {row.margin:>{margin}}  {_right_aligned(row.left, left_width)} = "
        indent = " " * columns(head)
        room = max(30, width - columns(head))
        body = wrapped(row.right, room)
        if len(body) == 1 and columns(head) + max(columns(row.right), right_width) + 3 + len(row.note) <= width:
            note = f"   {paint.faint(row.note)}" if row.note else ""
            lines.append(f"{head}{_left_aligned(row.right, right_width)}{note}".rstrip())
            continue
        lines.append(head + body[0])
        lines += [indent + part for part in body[1:]]
        if row.note:
            lines.append(indent + paint.faint(row.note))
    return lines


def wrapped(formula: str, width: int) -> list[str]:
    """Break a formula before its signs and between its factors, outside brackets where that is possible."""
    lines = []
    while columns(formula) > width:
        place = _break(formula, width)
        if place is None:
            break
        lines.append(formula[:place])
        formula = formula[place + 1 :]
    return [*lines, formula]


def _break(formula: str, width: int) -> int | None:
    """The last space within the width that stands in the fewest brackets, not too near the start and not behind a sign."""
    best: tuple[int, int] | None = None
    depth = 0
    for place, character in enumerate(formula):
        depth += (character in "([") - (character in ")]")
        if character != " " or formula[place - 1] in "+−⊙=≥><≠≤,/":
            continue
        if width // 3 <= place <= width and (best is None or (depth, -place) < best):
            best = depth, -place
        if place > width:
            return -best[1] if best else place
    return None if best is None else -best[1]


def columns(text: str) -> int:
    """The number of columns, not counting combining marks."""
    return sum(1 for character in text if not unicodedata.combining(character))


def _right_aligned(text: str, width: int) -> str:
    return " " * max(0, width - columns(text)) + text


def _left_aligned(text: str, width: int) -> str:
    return text + " " * max(0, width - columns(text))
