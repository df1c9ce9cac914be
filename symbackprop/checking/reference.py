"""The truth about a model at its samples, by every route; a kernel is then judged against it, as are
others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symbackprop.checking.comparison import directions, scale_of
from symbackprop.checking.complex_step import ComplexStep, by_complex_step, obstacle
from symbackprop.checking.differences import Differences, by_differences
from symbackprop.checking.dimensions import Dimensions
from symbackprop.checking.exact import ExactGradient, by_derived_graph, by_expansion, is_rational
from symbackprop.checking.objective import Objective
from symbackprop.checking.sampling import Sample, draw, draw_tiny
from symbackprop.graph.model import Model

Array = np.ndarray[Any, Any]


@dataclass
class Reference:
    """One sample of a model, and its gradients by the routes, each computed when first asked for."""

    objective: Objective
    sample: Sample

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.lines = {name: directions(array.size, rng) for name, array in self.sample.params.items()}
        self._complex: dict[str, ComplexStep] = {}
        self._differences: dict[str, Differences] = {}
        self._unsteadiness: dict[tuple[str, float], float] = {}

    @cached_property
    def loss(self) -> float:
        """The objective."""
        return float(self.objective.at(self.sample.values(), self.sample.sizes).value)

    @cached_property
    def obstacle(self) -> str | None:
        """Why the complex step is not available, or None."""
        return obstacle(self.objective)

    def complex_step(self, name: str) -> ComplexStep:
        """The gradient by one parameter, along its lines, by the complex step."""
        if name not in self._complex:
            self._complex[name] = by_complex_step(self.objective, self.sample, name, self.lines[name])
        return self._complex[name]

    def differences(self, name: str) -> Differences:
        """The gradient by one parameter, along its lines, by differences."""
        if name not in self._differences:
            self._differences[name] = by_differences(self.objective, self.sample, name, self.lines[name])
        return self._differences[name]

    def best(self, name: str) -> tuple[Array, Array]:
        """The most accurate gradient there is, along the lines of a parameter, and where it is usable."""
        if self.obstacle is None:
            return self.complex_step(name).values, self.complex_step(name).usable
        return self.differences(name).values, self.differences(name).usable

    @cached_property
    def scale(self) -> float:
        """What counts as 1 at this sample: see `comparison.scale_of`."""
        gradients = [values[usable] for values, usable in map(self.best, self.objective.parameters)]
        return scale_of(self.loss, np.concatenate(gradients)) if gradients else scale_of(self.loss, np.zeros(0))

    def unsteadiness(self, name: str, relative: float) -> float:
        """How far (a norm) the gradient moves when every number of the sample moves by that part of itself.

        A gradient that one rounding of the inputs moves by more than a tolerance cannot be held to it by
        anybody.
        """
        if self.obstacle is not None:
            return 0.0
        if (name, relative) not in self._unsteadiness:
            rng = np.random.default_rng(1)
            here = self.complex_step(name).values
            found = 0.0
            for _ in range(2):
                moved = self.sample.perturbed(relative, rng)
                there = by_complex_step(self.objective, moved, name, self.lines[name]).values
                found = max(found, float(np.linalg.norm(there - here)))
            self._unsteadiness[name, relative] = found
        return self._unsteadiness[name, relative]

    @cached_property
    def rational(self) -> bool:
        """Whether the model is made of rationals."""
        return is_rational(self.objective, self.sample)

    @cached_property
    def expansion(self) -> dict[str, ExactGradient]:
        """The gradients by exact expansion."""
        return by_expansion(self.objective, self.sample)

    @cached_property
    def derived(self) -> dict[str, Array]:
        """The gradients of the derived graph, exactly."""
        return by_derived_graph(self.objective, self.sample)


@dataclass(frozen=True)
class References:
    """All samples of a model: ordinary ones, and tiny ones for exact arithmetic."""

    objective: Objective
    samples: tuple[Reference, ...]
    tiny: tuple[Reference, ...]


def prepare(model: Model, *, seed: int = 0, samples: int = 3, exact: int = 1) -> References:
    """Draw the samples of a model. Raises UsageError where it has no objective, SizeError where no sizes
    fit.
    """
    objective = Objective(model)
    if objective.open_functions():
        return References(objective, (), ())
    dimensions = Dimensions(model, objective.whole)
    return References(
        objective,
        tuple(Reference(objective, draw(objective, dimensions, seed, number)) for number in range(samples)),
        tuple(Reference(objective, draw_tiny(objective, dimensions, seed, number)) for number in range(exact)),
    )
