"""Penalties on weights: the value with any array library (NumPy, autograd, torch, jax.numpy), the gradient by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.case import Hyper


@dataclass(frozen=True)
class Penalty:
    """``value(library, weight, hyper)`` and ``gradient(weight, hyper)`` of one weight."""

    value: Callable[[Any, Any, Hyper], Any]
    gradient: Callable[[Any, Hyper], Any]

    def total(self, library: Any, weights: Sequence[Any], hyper: Hyper) -> Any:
        """Return the sum over the weights."""
        return sum(self.value(library, weight, hyper) for weight in weights)


WEIGHT_DECAY = Penalty(
    lambda library, w, hyper: hyper["lambda"] / 2 * library.sum(w * w),
    lambda w, hyper: hyper["lambda"] * w,
)
ELASTIC_NET = Penalty(
    lambda library, w, hyper: hyper["alpha"] * library.sum(library.abs(w)) + hyper["lambda"] * library.sum(w * w),
    lambda w, hyper: hyper["alpha"] * np.sign(w) + 2 * hyper["lambda"] * w,
)
