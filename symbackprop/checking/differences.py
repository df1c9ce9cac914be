"""Central differences with Richardson extrapolation, along lines that cross no kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from symbackprop.checking.kinks import CrossingError, Kink, stay_between
from symbackprop.checking.objective import Objective
from symbackprop.checking.sampling import Sample

Array = np.ndarray[Any, Any]

STEPS = tuple(2.0**-exponent for exponent in (6, 9, 12, 15))
"""The steps tried, longest first; a shorter one is taken where a line crosses a kink or bends too much."""

GOOD_ENOUGH = 1e-11
"""An estimated error below this part of the value (or of a hundredth of the objective) ends the search for
a step.
"""


@dataclass(frozen=True)
class Differences:
    """Directional derivatives, the estimated error of each, the step taken, and the kink that left no
    step.
    """

    values: Array
    errors: Array
    steps: tuple[float | None, ...]
    kinks: tuple[Kink, ...]

    @property
    def usable(self) -> Array:
        """Which directions have a value."""
        return np.array([step is not None for step in self.steps], dtype=bool)


def richardson(function: Callable[[float], float], step: float) -> tuple[float, float]:
    """Return the derivative at 0 of a function of one number, and an estimate of the error.

    Central differences with steps h, h/2, h/4, extrapolated twice: the error is of order h^6 and eps/h
    (Richardson 1911). The estimate is the last correction, which is the larger error of the value before it.
    """
    slopes = [(function(h) - function(-h)) / (2 * h) for h in (step, step / 2, step / 4)]
    once = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(slopes)]
    twice = (16 * once[1] - once[0]) / 15
    rounding = 4 * np.finfo(np.float64).eps * abs(function(step)) / step
    return twice, abs(twice - once[1]) + float(rounding)


def by_differences(objective: Objective, sample: Sample, name: str, lines: Array) -> Differences:
    """Return the derivatives of the evaluator's objective by one parameter, along the rows of ``lines``."""
    point = sample.params[name]
    here = objective.at(sample.values(), sample.sizes)

    def along(line: Array) -> Callable[[float], float]:
        direction = line.reshape(point.shape)

        def value(distance: float) -> float:
            moved = sample.with_parameter(name, point + distance * direction)
            seen = objective.at(moved, sample.sizes)
            stay_between(objective.kinks, here.arguments, seen.arguments)
            return float(seen.value)

        return value

    return along_lines(along, lines, abs(float(here.value)))


def along_lines(along: Callable[[Array], Callable[[float], float]], lines: Array, size: float) -> Differences:
    """Return the derivatives at 0 of the functions that ``along`` gives for the rows of ``lines``.

    They raise CrossingError beyond a kink. ``size`` is that of the objective.
    """
    found = [_best(along(line), size) for line in lines]
    values, errors, steps, kinks = zip(*found, strict=True) if found else ((), (), (), ())
    return Differences(np.array(values), np.array(errors), steps, tuple(kink for kink in kinks if kink is not None))


def _best(along: Callable[[float], float], size: float) -> tuple[float, float, float | None, Kink | None]:
    best: tuple[float, float, float | None] = (0.0, float("inf"), None)
    kink: Kink | None = None
    for step in STEPS:
        try:
            value, error = richardson(along, step)
        except CrossingError as crossing:
            kink = crossing.kink
            continue
        if best[2] is None or error < best[1]:
            best = (value, error, step)
        if error <= GOOD_ENOUGH * max(abs(value), 0.01 * size):
            break
    return (*best, kink if best[2] is None else None)


def of_function(
    function: Callable[[Array], float], point: Array, lines: Array, steps: tuple[float | None, ...]
) -> Array:
    """Return the derivatives of any function of one array along ``lines``, with steps already found (None
    gives 0).
    """
    values = []
    for line, step in zip(lines, steps, strict=True):
        direction = line.reshape(point.shape)
        values.append(
            0.0 if step is None else richardson(lambda s, d=direction: function(point + s * d), step)[0]  # type: ignore[misc]
        )
    return np.array(values)
