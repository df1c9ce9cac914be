"""Matrix factorization: half the squared norm of U Vᵀ - R."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper


class Factorization:
    """Both factors are parameters, for each peer."""

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        r = params["U"] @ params["V"].T - inputs["R"]
        return float(0.5 * np.sum(r * r)), {"U": r @ params["V"], "V": r.T @ params["U"]}

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        return _half_square(autograd.numpy, params, inputs)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        return _half_square(torch, params, inputs)

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        return _half_square(jax.numpy, params, inputs)


def _half_square(library: Any, params: Arrays, inputs: Arrays) -> Any:
    r = library.matmul(params["U"], params["V"].T) - inputs["R"]
    return 0.5 * library.sum(r * r)
