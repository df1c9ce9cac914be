"""A case: an equation text with sizes, the same loss written for each peer, and the ratios aimed at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import Any, Protocol

import numpy as np

import symbackprop as sb

Arrays = Mapping[str, Any]
"""Arrays by the model's names, each of the kind that the peer works on."""
Hyper = Mapping[str, float]


class Loss(Protocol):
    """One objective as each peer's users would write it. The peers' packages come in as arguments: none is imported here."""

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """Return the objective and its gradients, forward and backward written by hand in NumPy."""

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """Return the objective, written for HIPS autograd."""

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """Return the objective, written for torch."""

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """Return the objective, written for JAX."""


@dataclass(frozen=True)
class Problem:
    """A case in numbers: the model, its generated kernel and what that is called with."""

    model: sb.Model
    kernel: ModuleType
    params: Arrays
    inputs: Arrays
    hyper: Hyper
    sizes: Mapping[str, int]
    loss: Loss


@dataclass(frozen=True)
class Case:
    """What is compared.

    sizes differ from the defaults of the equations. targets are the highest ratios ours/peer by peer, on one thread.
    scales are the standard deviations of arrays that are not drawn as usual.
    """

    name: str
    title: str
    equations: str
    loss: Loss
    sizes: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    @cached_property
    def model(self) -> sb.Model:
        """The model of the equations."""
        return sb.parse(self.equations, name=self.name)

    def problem(self, dtype: Any = np.float32) -> Problem:
        """Return the kernel and arrays drawn with the case's seed."""
        sizes = {**{name: size for name, size in self.model.dimensions.items() if size is not None}, **self.sizes}
        random = np.random.default_rng(self.seed)
        params: dict[str, Any] = {}
        inputs: dict[str, Any] = {}
        for leaf in self.model.leaves_of_kind("input", "target", "parameter"):
            shape = tuple(sizes[str(size)] if size.is_Symbol else int(size) for size in leaf.shape)
            if leaf.kind == "parameter":
                params[leaf.name] = (random.standard_normal(shape) * self._scale(leaf.name, shape)).astype(dtype)
                continue
            shape = ((sizes[self.model.batch],) if self.model.batch else ()) + shape
            if leaf.classes is None:
                inputs[leaf.name] = (random.standard_normal(shape) * self.scales.get(leaf.name, 1.0)).astype(dtype)
            else:
                inputs[leaf.name] = random.integers(0, sizes[str(leaf.classes)], shape)
        hyper = {name: float(value) for name, value in self.model.hyper_defaults.items() if value is not None}
        return Problem(self.model, _kernel(self.equations), params, inputs, hyper, sizes, self.loss)

    def _scale(self, name: str, shape: tuple[int, ...]) -> float:
        """A weight keeps the size of what a ReLU passes on; a bias is small."""
        return self.scales.get(name, math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1)


@cache
def _kernel(equations: str) -> ModuleType:
    return sb.derive(sb.parse(equations)).kernel()
