"""Logistic regression: softplus(z) - y z, with z = wᵀ x."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper


class Logistic:
    """The mean over the examples, for each peer; and its Hessian by hand."""

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        x, y = inputs["x"], inputs["y"]
        z = x @ params["w"]
        value = np.mean(np.logaddexp(0, z) - y * z)
        return float(value), {"w": (1 / (1 + np.exp(-z)) - y) @ x / len(x)}

    def hessian(self, params: Arrays, inputs: Arrays) -> Any:
        """Xᵀ diag(p (1 - p)) X / n by hand in NumPy."""
        x = inputs["x"]
        p = 1 / (1 + np.exp(-(x @ params["w"])))
        return (x * (p * (1 - p))[:, None]).T @ x / x.dtype.type(len(x))

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        np = autograd.numpy
        z = np.dot(inputs["x"], params["w"])
        return np.mean(np.logaddexp(0, z) - inputs["y"] * z)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        z = inputs["x"] @ params["w"]
        return (torch.nn.functional.softplus(z) - inputs["y"] * z).mean()

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        z = inputs["x"] @ params["w"]
        return (jax.nn.softplus(z) - inputs["y"] * z).mean()
