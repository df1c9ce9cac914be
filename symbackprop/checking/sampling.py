"""Random shapes, parameters and inputs for a model, away from its kinks and from where it is not defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

SAME_SIZES = 8
"""Draws after which other sizes are tried."""

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
                name: array * (1 + relative * _jitter(rng, array.shape)) if array.dtype.kind == "f" else array
                for name, array in arrays.items()
            }

        return replace(self, params=move(self.params), inputs=move(self.inputs))


def _jitter(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers from 1/2 to 1, up or down: no two alike, so that a tie does not survive them."""
    return np.asarray(rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 1.0, size=shape))


def draw(objective: Objective, dimensions: Dimensions, seed: int, number: int) -> Sample:
    """Return the sample of that number: the first with larger sizes and default hyper-parameters."""
    rng = np.random.default_rng([seed, number])
    low = 3 if number == 0 else 1
    varied = number % 2 == 1
    return _settle(objective, lambda _: dimensions.choose(rng, low, 4), rng, f"sample {number}", 1024, varied)


def draw_tiny(objective: Objective, dimensions: Dimensions, seed: int, number: int) -> Sample:
    """Return a tiny sample for exact arithmetic: sizes of 1 to 3, if they fit, and entries in eighths."""
    rng = np.random.default_rng([seed, number, 1])
    return _settle(objective, lambda place: dimensions.smallest(rng, place), rng, f"tiny {number}", 8, False)


def _settle(
    objective: Objective,
    choose: Callable[[int], Sizes],
    rng: np.random.Generator,
    label: str,
    grid: int,
    varied: bool,
) -> Sample:
    """Draw until the objective is defined, well-conditioned and away from kinks; else take the best draw."""
    best: tuple[float, Sample] | None = None
    for attempt in range(ATTEMPTS):
        if attempt % SAME_SIZES == 0:
            sizes = choose(attempt // SAME_SIZES)
            shown = " ".join(f"{name}={size}" for name, size in sizes.items())
            exact_hyper = _exact_hyper(objective, sizes, rng, varied)
        low = -1.25 if attempt % 3 < 2 else 0.25  # every third draw is positive, for logarithms and roots
        params, inputs = _arrays(objective, sizes, rng, (low, 1.25), grid)
        hyper = {
            declaration.name: np.full(_shape(declaration, sizes), float(exact_hyper[declaration.name]))
            for declaration in objective.model.leaves_of_kind("hyper")
        }
        sample = Sample(f"{label}: {shown}".rstrip(": "), sizes, params, inputs, hyper, exact_hyper)
        badness = _badness(objective, sample, rng)
        if best is None or badness < best[0]:
            best = (badness, sample)
        if badness == 0:
            break
    assert best is not None
    return best[1]


def _exact_hyper(objective: Objective, sizes: Sizes, rng: np.random.Generator, varied: bool) -> dict[str, sympy.Expr]:
    """The defaults, and random positive numbers where there are none.

    A varied sample takes 1/2 to 2 times a default that is not whole, and a random number for a default of 0.
    """
    known = {dimension(name): sympy.Integer(size) for name, size in sizes.items()}
    chosen: dict[str, sympy.Expr] = {}
    for declaration in objective.model.leaves_of_kind("hyper"):
        drawn = sympy.Rational(int(rng.integers(4, 17)), 8)
        default = objective.model.hyper_defaults.get(declaration.name)
        if default is not None:
            default = default.xreplace(known)
        if default is None or (varied and default == 0):
            chosen[declaration.name] = drawn
        else:
            whole = default.is_Integer or not default.is_positive
            chosen[declaration.name] = default * drawn if varied and not whole else default
    return chosen


def _shape(declaration: Leaf, sizes: Sizes) -> tuple[int, ...]:
    return tuple(size_value(size, sizes) for size in declaration.shape)


def _arrays(
    objective: Objective, sizes: Sizes, rng: np.random.Generator, interval: tuple[float, float], grid: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random parameters and inputs: whole multiples of 1/grid in the interval, none of them 0.

    The interval of a parameter shrinks with the root of its entries for each row, so that sums of products
    stay near 1 and nothing saturates.
    """
    params: dict[str, Array] = {}
    inputs: dict[str, Array] = {}
    for declaration in objective.graph.declarations:
        shape = _shape(declaration, sizes)
        if declaration.kind == "hyper":
            continue
        if declaration.classes is not None:
            inputs[declaration.name] = rng.integers(0, size_value(declaration.classes, sizes), size=shape)
            continue
        parameter = declaration.name in objective.parameters
        reach = grid / np.sqrt(max(1, int(np.prod(shape[1:], dtype=int)))) if parameter else grid
        low, high = (int(np.trunc(end * reach)) for end in interval)
        steps = rng.integers(low, high + 1, size=shape)
        array = np.asarray(np.where(steps == 0, 1, steps) / grid, dtype=np.float64)
        (params if parameter else inputs)[declaration.name] = array
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
    return near(objective.kinks, here.arguments, moved.arguments, MARGIN) + 0.01 * _silent(objective, sample, rng)


def _silent(objective: Objective, sample: Sample, rng: np.random.Generator) -> int:
    """Count the parameters that the objective hardly depends on here: a dead relu hides every mistake
    before it.
    """
    slopes = []
    for name in objective.parameters:
        point = sample.params[name]
        moved = point * (1 + 2.0**-12 * _jitter(rng, point.shape))
        there = objective.at(sample.with_parameter(name, moved), sample.sizes).value
        slopes.append(abs(float(there) - float(objective.at(sample.values(), sample.sizes).value)))
    return sum(slope < 1e-3 * max(slopes) for slope in slopes)


def _worst_condition(objective: Objective, sample: Sample) -> float:
    matrices = [node.operands[0] for node in objective.nodes() if isinstance(node, MatrixFunction)]
    if not matrices:
        return 1.0
    probes = tuple(Equation(f"matrix {position}", node) for position, node in enumerate(matrices))
    graph = Graph(objective.graph.declarations, objective.graph.equations + probes)
    found = evaluate(graph, sample.values(), sample.sizes)
    return max(float(np.max(np.linalg.cond(found[probe.name]))) for probe in probes)
