"""When two gradients are the same: directions to look along, and the norm-relative error between what is
seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

EVERY_ENTRY = 256
"""A parameter of at most this many entries is compared entry by entry."""

RANDOM_DIRECTIONS = 64
"""A larger one is compared along this many random directions, which keep the norm of an error to about a
fifth.
"""

FLOOR = 1e-3
"""A gradient below this part of the scale of its model (see `scale_of`) is compared with that part instead
of itself.
"""


def directions(size: int, rng: np.random.Generator) -> Array:
    """Return the directions along which a parameter of ``size`` entries is compared, one a row.

    Few entries: one direction each. Many: random signs, divided by the root of their number, so that the norm
    of the projections is about the norm of the vector (Johnson and Lindenstrauss).
    """
    if size <= EVERY_ENTRY:
        return np.eye(size)
    signs = rng.choice([-1.0, 1.0], size=(RANDOM_DIRECTIONS, size))
    return np.asarray(signs / np.sqrt(RANDOM_DIRECTIONS))


def scale_of(loss: float, gradients: Array) -> float:
    """Return what counts as 1 in a model: the larger of its loss and the norm of all its gradients
    together.
    """
    return max(abs(loss), float(np.linalg.norm(gradients)), np.finfo(np.float64).tiny)


def inner(first: Mapping[str, Array], second: Mapping[str, Array]) -> float:
    """Return the inner product over all entries together, of what the first holds."""
    return sum(float(np.sum(array * second[name])) for name, array in first.items())


def norm_of(arrays: Mapping[str, Array]) -> float:
    """Return the norm of all entries together."""
    return float(np.sqrt(inner(arrays, arrays)))


def norm_relative(found: Array, wanted: Array, scale: float) -> float:
    """Return ||found - wanted|| / max(||found||, ||wanted||, FLOOR scale); infinite where anything is not
    finite.

    The last term is for gradients that are 0: an exact 0 agrees with 1e-17, and a missing gradient of 1e-9 is
    seen.
    """
    if not (np.all(np.isfinite(found)) and np.all(np.isfinite(wanted))):
        return float("inf")
    gap = float(np.linalg.norm(found - wanted))
    if gap == 0.0:
        return 0.0
    return gap / max(float(np.linalg.norm(found)), float(np.linalg.norm(wanted)), FLOOR * scale)
