"""A derivation in the order in which it is read: equations in sections, each with the steps to it."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.model import Equation
from symbackprop.graph.nodes import Leaf
from symbackprop.render.formula import Formula
from symbackprop.render.printing import Printer, decimal
from symbackprop.render.steps import Steps
from symbackprop.render.writer import Line, Writer


@dataclass(frozen=True)
class Row:
    """A step: a local derivative of the equation with the number ``source``, or (0) the chain rule."""

    left: Formula
    right: Formula
    source: int = 0


@dataclass(frozen=True)
class Entry:
    """An equation, and the steps to it."""

    line: Line
    steps: tuple[Row, ...]

    @property
    def lefts(self) -> list[Formula]:
        """The left sides of its rows."""
        return [*[step.left for step in self.steps], self.line.left]


@dataclass(frozen=True)
class Section:
    """Equations under a title; ``worked`` tells whether they may have steps."""

    title: str
    entries: tuple[Entry, ...]
    worked: bool = False


def sections(writer: Writer, *, steps: bool = False, first_order: bool = True) -> list[Section]:
    """Return forward, backward and further equations, the backward ones with ``steps``; a section without any is left out.

    ``first_order`` is whether forward and backward equations are wanted.
    """
    derived, worked = writer.derived, Steps(writer) if steps else None
    found = [
        Section("Forward", tuple(_entry(writer, equation, None) for equation in derived.forward)),
        Section("Backward", tuple(_entry(writer, equation, worked) for equation in derived.backward), steps),
    ] if first_order else []  # fmt: skip
    for more in derived.further:
        found.append(Section(more.title, tuple(_entry(writer, equation, None) for equation in more.equations)))
    return [section for section in found if section.entries]


def _entry(writer: Writer, equation: Equation, steps: Steps | None) -> Entry:
    line = writer.line(equation)
    rows: list[Row] = []
    for step in steps.of(line.by) if steps else ():
        rows += [Row(local.left, local.right, local.number) for local in step.locals]
        rows.append(Row(step.left, step.right))
    return Entry(line, tuple(rows))


def spoken_form(derived: DerivedGraph) -> str:
    """Say which of the two forms a derivation has."""
    if not derived.model.batch:
        return "as written"
    return "examples stacked as rows, the objective their mean" if derived.batched else "one example"


def default(writer: Writer, leaf: Leaf, printer: Printer) -> str:
    """Return the value of a hyper-parameter in the model as that printer has it, or an empty text where there is none."""
    value = writer.derived.model.hyper_defaults.get(leaf.name)
    if value is None:
        return ""
    exact = decimal(value, smallest_divisor=2) if value.is_Rational else None
    return exact.replace("-", "−") if exact else printer.number(value)[0]
