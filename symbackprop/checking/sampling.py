"""Random shapes, parameters and inputs for a model, away from its kinks and from where it is not defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy

from symbackprop.checking.dimensions import Dimensions, Sizes
from symbackprop.checking.kinks import near
from symbackprop.checking.objective import Objective
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.nodes import Leaf, MatrixFunction
from symbackprop.graph.sizes import dimension, size_value

Array = np.ndarray[Any, Any]

ATTEMPTS = 24
"""Samples that are drawn before the best of them is taken."""

MARGIN = 1 / 64
"""How far from a kink an argument should be; the largest step of the differences is as long."""

CONDITION = 1e3
"""The largest condition number of a matrix that is inverted: beyond it rounding alone fails the tightest
tolerance.
"""


@dataclass(frozen=True)
class Sample:
    """A point: sizes by dimension, arrays by name. Every float is a short binary fraction, exact in
    float32 too.
    """

    label: str
    sizes: Sizes
    params: dict[str, Array]
    inputs: dict[str, Array]
    hyper: dict[str, Array]
    exact_hyper: Mapping[str, sympy.Expr]

    def values(self) -> dict[str, Array]:
        """All declared tensors."""
        return {**self.params, **self.inputs, **self.hyper}

    def with_parameter(self, name: str, value: Array) -> dict[str, Array]:
        """All declared tensors, one parameter replaced."""
        return {**self.values(), name: value}

    def perturbed(self, relative: float, rng: np.random.Generator) -> Sample:
        """Return the sample with every float moved by that part of itself, up or down."""

        def move(arrays: dict[str, Array]) -> dict[str, Array]:
            return {
                name: array * (1 + relative * rng.choice([-1.0, 1.0], size=array.shape))
                if array.dtype.kind == "f"
                else array
                for name, array in arrays.items()
            }

        return replace(self, params=move(self.params), inputs=move(self.inputs))


def draw(objective: Objective, dimensions: Dimensions, seed: int, number: int) -> Sample:
    """Return the sample of that number. The first has no size of 1 and default hyper-parameters, if that
    can be.
    """
    rng = np.random.default_rng([seed, number])
    sizes = dimensions.choose(rng, 2, 4) if number == 0 else dimensions.choose(rng, 1, 4)
    return _settle(objective, sizes, rng, f"sample {number}", 1024, vary_hyper=number % 2 == 1)


def draw_tiny(objective: Objective, dimensions: Dimensions, seed: int, number: int) -> Sample:
    """Return a tiny sample for exact arithmetic: sizes of 1 to 3 where possible, and entries that are
    whole eighths.
    """
    rng = np.random.default_rng([seed, number, 1])
    return _settle(objective, dimensions.smallest(rng), rng, f"tiny {number}", 8, vary_hyper=False)


def _settle(
    objective: Objective, sizes: Sizes, rng: np.random.Generator, label: str, grid: int, *, vary_hyper: bool
) -> Sample:
    """Draw until the objective is defined, well-conditioned and away from kinks; else take the best draw."""
    best: tuple[float, Sample] | None = None
    hyper = _hyper(objective, sizes, rng, vary_hyper)
    shown = " ".join(f"{name}={size}" for name, size in sizes.items())
    for attempt in range(ATTEMPTS):
        low = -1.25 if attempt % 3 < 2 else 0.25  # every third draw is positive, for logarithms and roots
        params, inputs = _arrays(objective.graph.declarations, objective, sizes, rng, (low, 1.25), grid)
        values = {name: np.asarray(float(value)) for name, value in hyper.items()}
        for declaration in objective.graph.declarations:
            if declaration.kind == "hyper" and declaration.rank:
                values[declaration.name] = np.full(_shape(declaration, sizes), values[declaration.name])
        sample = Sample(f"{label}: {shown}", sizes, params, inputs, values, hyper)
        badness = _badness(objective, sample, rng)
        if best is None or badness < best[0]:
            best = (badness, sample)
        if badness == 0:
            break
    assert best is not None
    return best[1]


def _hyper(objective: Objective, sizes: Sizes, rng: np.random.Generator, vary: bool) -> dict[str, sympy.Expr]:
    """Defaults, exactly; random positive numbers where there are none, and for a varied sample times 1/2
    to 2.
    """
    chosen: dict[str, sympy.Expr] = {}
    for declaration in objective.graph.declarations:
        if declaration.kind != "hyper":
            continue
        drawn = sympy.Rational(int(rng.integers(4, 17)), 8)
        default = objective.model.hyper_defaults.get(declaration.name)
        if default is None:
            chosen[declaration.name] = drawn
            continue
        known = {dimension(name): sympy.Integer(size) for name, size in sizes.items()}
        default = (
            sympy.nsimplify(default, rational=True).xreplace(known) if default.has(sympy.Float) else default
        )
        default = default.xreplace(known)
        varies = vary and default.is_positive and not default.is_Integer
        chosen[declaration.name] = default * drawn if varies else drawn if vary and default == 0 else default
    return chosen


def _shape(declaration: Leaf, sizes: Sizes) -> tuple[int, ...]:
    return tuple(size_value(size, sizes) for size in declaration.shape)


def _arrays(
    declarations: tuple[Leaf, ...],
    objective: Objective,
    sizes: Sizes,
    rng: np.random.Generator,
    interval: tuple[float, float],
    grid: int,
) -> tuple[dict[str, Array], dict[str, Array]]:
    params: dict[str, Array] = {}
    inputs: dict[str, Array] = {}
    for declaration in declarations:
        shape = _shape(declaration, sizes)
        if declaration.kind == "hyper":
            continue
        if declaration.classes is not None:
            inputs[declaration.name] = rng.integers(0, size_value(declaration.classes, sizes), size=shape)
            continue
        steps = rng.integers(int(interval[0] * grid), int(interval[1] * grid), size=shape)
        array = np.asarray(np.where(steps == 0, 1, steps) / grid, dtype=np.float64)
        (params if declaration.name in objective.parameters else inputs)[declaration.name] = array
    return params, inputs


def _badness(objective: Objective, sample: Sample, rng: np.random.Generator) -> float:
    """0 for a good sample; the number of arguments near a kink; infinity where the objective is not
    defined.
    """
    values = sample.values()
    complex_value = objective.at(values, sample.sizes, np.complex128).value
    here = objective.at(values, sample.sizes)
    if not np.isfinite(here.value) or not np.isfinite(complex_value) or complex_value.imag != 0:
        return float("inf")
    if _worst_condition(objective, sample) > CONDITION:
        return 1e9
    moved = objective.at(sample.perturbed(2.0**-12, rng).values(), sample.sizes)
    return near(objective.kinks, here.arguments, moved.arguments, MARGIN) + 0.01 * _silent(
        objective, sample, rng
    )


def _silent(objective: Objective, sample: Sample, rng: np.random.Generator) -> int:
    """Count the parameters that the objective hardly depends on here: a dead relu hides every mistake
    before it.
    """
    slopes = []
    for name in objective.parameters:
        point = sample.params[name]
        moved = point * (1 + 2.0**-12 * rng.choice([-1.0, 1.0], size=point.shape))
        there = objective.at(sample.with_parameter(name, moved), sample.sizes).value
        slopes.append(abs(float(there) - float(objective.at(sample.values(), sample.sizes).value)))
    return sum(slope < 1e-4 * max(slopes) for slope in slopes)


def _worst_condition(objective: Objective, sample: Sample) -> float:
    matrices = [node.operands[0] for node in objective.nodes() if isinstance(node, MatrixFunction)]
    if not matrices:
        return 1.0
    probes = tuple(Equation(f"matrix {position}", node) for position, node in enumerate(matrices))
    graph = Graph(objective.graph.declarations, objective.graph.equations + probes)
    found = evaluate(graph, sample.values(), sample.sizes)
    return max(float(np.max(np.linalg.cond(found[probe.name]))) for probe in probes)
