"""The complex step: f'(x) = Im f(x + ih) / h, with no subtraction and therefore no rounding (Squire and
Trapp 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from symbackprop.checking.kinks import Kink, touched
from symbackprop.checking.objective import Objective
from symbackprop.checking.sampling import Sample
from symbackprop.functions import scalar

Array = np.ndarray[Any, Any]

STEP = 1e-30

_ALLOWED: tuple[Any, ...] = (
    sympy.Pow,
    sympy.exp,
    sympy.log,
    sympy.sin,
    sympy.cos,
    sympy.tan,
    sympy.sinh,
    sympy.cosh,
    scalar.tanh,
    sympy.atan,
    sympy.erf,
    scalar.Primitive,
    scalar.ScalarFunction,
)
"""Functions whose value at x + ih the evaluator knows: analytic ones, and kinks decided by the real part."""


@dataclass(frozen=True)
class ComplexStep:
    """Directional derivatives, which of them stand on a kink, and the kinks."""

    values: Array
    usable: Array
    kinks: tuple[Kink, ...]


def obstacle(objective: Objective) -> str | None:
    """Return why the complex step is not available for a model, or None."""
    for call in objective.calls():
        if not isinstance(call, _ALLOWED):
            return f"{call.func.__name__} has no value at a complex argument"
    return None


def by_complex_step(objective: Objective, sample: Sample, name: str, lines: Array) -> ComplexStep:
    """Return the derivatives of the evaluator's objective by one parameter, along the rows of ``lines``."""
    point = sample.params[name].astype(np.complex128)
    values, usable, kinks = [], [], []
    for line in lines:
        moved = sample.with_parameter(name, point + 1j * STEP * line.reshape(point.shape))
        seen = objective.at(moved, sample.sizes, np.complex128)
        kink = touched(objective.kinks, seen.arguments)
        values.append(seen.value.imag / STEP)
        usable.append(kink is None)
        if kink is not None:
            kinks.append(kink)
    return ComplexStep(np.array(values), np.array(usable, dtype=bool), tuple(kinks))
