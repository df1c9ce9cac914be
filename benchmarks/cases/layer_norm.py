"""Layer normalisation of the rows of a matrix, with gain and shift, and a squared loss."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper


class LayerNorm:
    """For each peer."""

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        X, gamma = params["X"], params["gamma"]
        centred = X - X.mean(axis=1, keepdims=True)
        sigma = np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + hyper["epsilon"])
        X_hat = centred / sigma
        d_O = gamma * X_hat + params["beta"] - inputs["Y"]
        value = 0.5 * np.sum(d_O * d_O)
        U = d_O * gamma
        d_X = (U - U.mean(axis=1, keepdims=True) - X_hat * np.mean(U * X_hat, axis=1, keepdims=True)) / sigma
        return float(value), {"X": d_X, "gamma": np.sum(d_O * X_hat, axis=0), "beta": d_O.sum(axis=0)}

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        return _by_hand(autograd.numpy, params, inputs, hyper)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch, with its fused layer normalisation."""
        X, functional = params["X"], torch.nn.functional
        O = functional.layer_norm(X, X.shape[1:], params["gamma"], params["beta"], hyper["epsilon"])  # noqa: E741
        return 0.5 * functional.mse_loss(O, inputs["Y"], reduction="sum")

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        return _by_hand(jax.numpy, params, inputs, hyper)


def _by_hand(np: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
    X = params["X"]
    centred = X - np.mean(X, axis=1, keepdims=True)
    sigma = np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + hyper["epsilon"])
    r = params["gamma"] * (centred / sigma) + params["beta"] - inputs["Y"]
    return 0.5 * np.sum(r * r)
