"""Memory over one call, and how graphs grow, as pictures: a few shapes, written as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from symbackprop.footprint.timeline import Moment
from symbackprop.render.template import fill

WIDTH, HEIGHT = 900, 460
LEFT, RIGHT, TOP, BOTTOM = 90, 880, 60, 400
FORWARD, BACKWARD, LINE, INK = "#4477aa", "#cc6677", "#222222", "#333333"
_CRISP = ' shape-rendering="crispEdges"'  # no light lines between bars that touch
COLORS = (FORWARD, "#228833", BACKWARD, "#aa3377")

@dataclass(frozen=True)
class Bar:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    color: str


@dataclass(frozen=True)
class Stroke:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    color: str


@dataclass(frozen=True)
class Words:
    """A text at its base line; anchor is start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    size: int = 13


Shape = Bar | Stroke | Words


def picture(moments: Sequence[Moment], whole: int, title: str, peak: str) -> list[Shape]:
    """The shapes of a picture: a bar of the bytes in use for each moment, and a line at the bytes of the ``whole`` workspace.

    ``peak`` is the equation at which most are in use.
    """
    used = [moment.alive + moment.allocated for moment in moments]
    top = max([whole, *used, 1]) * 1.08
    unit, name = next((u, n) for u, n in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")) if top >= u)

    def height(count: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * count / top, 2)

    step = (RIGHT - LEFT) / max(1, len(moments))
    shapes: list[Shape] = [Words(LEFT, 24, title, size=16)]
    for k, count in enumerate(used):
        color = BACKWARD if moments[k].backward else FORWARD
        left = round(LEFT + k * step, 2)
        shapes.append(Bar(left, height(count), round(LEFT + (k + 1) * step - left, 2), BOTTOM - height(count), color))
    shapes += [*axis_marks(top, name, LEFT, unit), Stroke(LEFT, BOTTOM, RIGHT, BOTTOM, INK)]
    shapes += [Stroke(LEFT, height(whole), RIGHT, height(whole), LINE)]
    shapes.append(Words(LEFT + 8, height(whole) - 5, f"workspace: {whole:,} bytes"))
    if used:
        place = used.index(max(used))
        right = place > len(used) / 2
        x = round(LEFT + (place + 0.5) * step, 2)
        shapes.append(Stroke(x, BOTTOM, x, BOTTOM + 8, INK))
        shapes.append(Words(x, BOTTOM + 22, f"{peak}: {used[place]:,} bytes", "end" if right else "start"))
    shapes += [Bar(LEFT, HEIGHT - 22, 12, 12, FORWARD), Words(LEFT + 18, HEIGHT - 11, "forward")]
    shapes += [Bar(LEFT + 100, HEIGHT - 22, 12, 12, BACKWARD), Words(LEFT + 118, HEIGHT - 11, "backward")]
    shapes.append(Words(RIGHT, HEIGHT - 11, f"{len(moments):,} steps of one call", "end"))
    return shapes


def curves(points: Mapping[str, Sequence[tuple[float, float]]], title: str, across: str) -> list[Shape]:
    """The shapes of a picture of curves, each named at its end with its last value; ``across`` names the horizontal axis."""
    every = [point for pairs in points.values() for point in pairs]
    bottom, top = min(0.0, *(y for _, y in every)), max(1e-300, *(y for _, y in every)) * 1.08
    low, high = min(x for x, _ in every), max(x for x, _ in every)
    right = RIGHT - 150

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + (right - LEFT) * (x - low) / max(high - low, 1e-300), 2),
            round(BOTTOM - (BOTTOM - TOP) * (y - bottom) / (top - bottom), 2),
        )

    shapes: list[Shape] = [Words(LEFT, 24, title, size=16), *axis_marks(top, "", LEFT, 1, bottom)]
    shapes.append(Stroke(LEFT, BOTTOM, right, BOTTOM, INK))
    gap = _round((high - low) / 10)
    for mark in [gap * k for k in range(math.ceil(low / gap), int(high / gap * (1 + 1e-9)) + 1)]:
        x, _ = place(mark, 0)
        shapes += [Stroke(x, BOTTOM, x, BOTTOM + 5, INK), Words(x, BOTTOM + 20, f"{mark:.4g}", "middle")]
    named: list[float] = []
    for number, (name, pairs) in enumerate(points.items()):
        color, drawn = COLORS[number % len(COLORS)], [place(x, y) for x, y in pairs]
        for (x1, y1), (x2, y2) in pairwise(drawn):
            shapes.append(Stroke(x1, y1, x2, y2, color))
        shapes += [Bar(round(x - 3, 2), round(y - 3, 2), 6, 6, color) for x, y in (drawn if len(drawn) <= 60 else drawn[-1:])]
        last = pairs[-1][1]
        shown = f"{last:,}" if isinstance(last, int) else f"{last:.3g}"
        height = drawn[-1][1] + 4
        while any(abs(height - other) < 16 for other in named):
            height += 16
        named.append(height)
        shapes.append(Words(drawn[-1][0] + 10, height, f"{name}: {shown}"))
    shapes.append(Words((LEFT + right) / 2, BOTTOM + 40, across, "middle"))
    return shapes


def axis_marks(top: float, name: str, left: float, unit: float, bottom: float = 0.0) -> list[Shape]:
    """An axis that stands upright from ``bottom`` to ``top``, with about five round marks in a unit of that name."""
    gap = _round((top - bottom) / unit / 5)
    shapes: list[Shape] = [Stroke(left, TOP, left, BOTTOM, INK)]
    for mark in [unit * gap * part for part in range(math.ceil(bottom / unit / gap), int(top / unit / gap) + 1)]:
        y = round(BOTTOM - (BOTTOM - TOP) * (mark - bottom) / (top - bottom), 2)
        shapes.append(Words(left - 8, y + 4, f"{mark / unit:.4g} {name}".rstrip(), "end"))
        shapes.append(Stroke(left - 4, y, left, y, INK))
    return shapes


def _round(number: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not below a number."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= number * (1 - 1e-9))


def svg(shapes: Sequence[Shape]) -> str:
    """The picture as SVG, every text escaped."""
    return fill("footprint/plot.svg.j2", width=WIDTH, height=HEIGHT, shapes=[_element(shape) for shape in shapes])


def _element(shape: Shape) -> str:
    if isinstance(shape, Bar):
        return f'<rect x="{shape.x}" y="{shape.y}" width="{shape.width}" height="{shape.height:.2f}" fill="{shape.color}"{_CRISP}/>'
    if isinstance(shape, Stroke):
        return f'<line x1="{shape.x1}" y1="{shape.y1}" x2="{shape.x2}" y2="{shape.y2}" stroke="{shape.color}"/>'
    return f'<text x="{shape.x}" y="{shape.y}" font-size="{shape.size}" text-anchor="{shape.anchor}">{_text(shape.text)}</text>'


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in text))
