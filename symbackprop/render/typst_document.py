"""A whole derivation in the language of Typst: a part of a document, or a document of its own."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.sizes import Shape
from symbackprop.render.formula import Formula
from symbackprop.render.linebreaks import cuts
from symbackprop.render.sections import Entry, default, sections, spoken_form
from symbackprop.render.template import fill
from symbackprop.render.typst_printer import quoted
from symbackprop.render.workers_note import said, workers_note
from symbackprop.render.writer import Writer
from symbackprop.typesetting import typeset


def pdf(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False, more: str = "") -> bytes:
    """The derivation as PDF. Raises UsageError where Typst is not installed."""
    return typeset(typst(derived, notation=notation, steps=steps, more=more))


def typst(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False, more: str = "") -> str:
    """The derivation as a document in Typst's language; ``more``, of that language too, follows it."""
    model = derived.model
    body = typst_part(derived, notation=notation, steps=steps)
    return typst_document(model.title or model.name, body + more)


def typst_document(title: str, body: str) -> str:
    """A document of that title, a text."""
    return fill("typst/document.typ.j2", title=quoted(title), body=f"= {words(title)}\n{body}")


def typst_part(
    derived: DerivedGraph, *, notation: str = "partial", steps: bool = False, level: int = 2, declared: bool = True,
    first_order: bool = True,
) -> str:  # fmt: skip
    """The derivation as a part of a document, with headings of that level.

    ``declared`` is whether what is given stands first, ``first_order`` whether forward and backward equations are wanted.
    """
    writer = Writer(derived, notation)
    blocks = [
        {
            "title": section.title + (", step by step" if section.worked else ""),
            "sides": _sides(writer, [left for entry in section.entries for left in entry.lefts]),
            "rows": [_numbered(writer, entry) for entry in section.entries],
        }
        for section in sections(writer, steps=steps, first_order=first_order)
    ]
    below = _below(writer) if first_order else []
    if below:
        blocks.append({"title": "where", "sides": _sides(writer, [left for left, _, _ in below]),
                       "rows": [_plain(writer, *row) for row in below]})  # fmt: skip
    sizes = [
        writer.typst.size(name)[0] + ("" if size is None else f" = {size}") for name, size in derived.model.dimensions.items()
    ]
    given = [_declared(writer, leaf) for leaf in derived.graph.declarations] if declared else []
    return fill(
        "typst/derivation.typ.j2",
        form=spoken_form(derived),
        notes=[said(note, words, lambda x: f"${writer.typst.show(x)}$") for note in workers_note(writer)],
        sizes=", ".join(f"${size}$" for size in sizes) if declared else "",
        declared=given,
        columns=4 if any(value for *_, value in given) else 3,
        blocks=blocks,
        heading="=" * level,
        remarks=[_remark(writer, remark.words, remark.formula) for remark in writer.remarks()],
    )


def words(text: str) -> str:
    """Return a text for the running text of a document."""
    return f"#{quoted(text)};"


def _declared(writer: Writer, leaf: Leaf) -> list[str]:
    value = ""
    if leaf.classes is not None:
        value = f"$0\\, …\\, {writer.typst.number(leaf.classes - 1)[0]}$"
    elif leaf.kind == "hyper":
        found = default(writer, leaf, writer.typst)
        value = f"${found}$" if found else ""
    return [f"${writer.typst.name(leaf.name, leaf.rank)}$", leaf.kind, _shape(writer, leaf.shape), value]


def _shape(writer: Writer, shape: Shape) -> str:
    return f"${writer.shape(shape, writer.typst)}$" if shape else "scalar"


def _sides(writer: Writer, lefts: Sequence[Formula]) -> list[str]:
    """Left sides of one section, each once, to be measured."""
    return list(dict.fromkeys(_side(writer, left) for left in lefts))


def _side(writer: Writer, left: Formula) -> str:
    return f"$display({writer.typst.show(left)})$"


def _numbered(writer: Writer, entry: Entry) -> str:
    """A call of the document's function for an equation that has a number, and steps before it."""
    line = entry.line
    rows = [_row(writer, step.left, step.right, step.source) for step in entry.steps]
    repeated = bool(entry.steps) and entry.steps[-1].left == line.left
    rows.append(_row(writer, None if repeated else line.left, line.right))
    spoken = [writer.text.equation(step.left, step.right) for step in entry.steps]
    alt = "; ".join([*spoken, writer.text.equation(line.left, line.right)])
    note = _shape(writer, line.equation.node.shape) + (words(f", {line.why}") if line.why else "")
    label = f"#box[({line.number})]<{_label(writer, line.number)}>"
    call = "worked" if entry.steps else "numbered"
    return f"{call}([{label}], [{note}], {quoted(alt)}, $ {_lines(rows)} $)"


def _label(writer: Writer, number: int) -> str:
    return f"{'batch' if writer.derived.batched else 'example'}-{number}"


def _plain(writer: Writer, left: Formula, right: Formula, more: str) -> str:
    """An equation without a number."""
    alt = writer.text.equation(left, right)
    row = _row(writer, left, right) + (f" quad {quoted(more)}" if more else "")
    return f"math.equation(block: true, alt: {quoted(alt)}, $ {row} $)"


def _lines(rows: list[str]) -> str:
    return " \\\n  ".join(rows)


def _row(writer: Writer, left: Formula | None, right: Formula, source: int = 0) -> str:
    """The lines of one equation, cut where its LaTeX is; ``source`` is that of a local derivative."""
    shown = "" if left is None else f"#room({_side(writer, left)}) {writer.typst.show(left)} "
    measured = "" if left is None else writer.latex.show(left)
    pieces = writer.typst.pieces(right)
    found = [writer.typst.row(pieces[cut]) for cut in cuts(measured, writer.latex.pieces(right))]
    note = f" quad #faint[from #link(<{_label(writer, source)}>)[({source})]]" if source else ""
    return f"{shown}&= " + _lines([found[0], *[f"&quad {row}" for row in found[1:]]]) + note


def _below(writer: Writer) -> list[tuple[Formula, Formula, str]]:
    """The equations that explain: what a δ stands for, and the formulas of functions."""
    delta = writer.delta()
    first = [(delta[0], delta[1], "and so for every pre-activation" if delta[2] else "")] if delta else []
    return [*first, *[(left, right, "") for left, right in writer.definitions()]]


def _remark(writer: Writer, text: str, formula: Formula | None) -> str:
    return words(text) if formula is None else f"{words(text + ': ')} ${writer.typst.show(formula)}$"
