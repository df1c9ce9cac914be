"""Linear regression with many outputs and a penalty on the weight."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper
from benchmarks.cases.penalties import Penalty


@dataclass(frozen=True)
class Regression:
    """Any penalty, for each peer."""

    penalty: Penalty

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        x, W = inputs["x"], params["W"]
        r = x @ W.T + params["b"] - inputs["y"]
        value = 0.5 * np.sum(r * r) / len(x) + self.penalty.value(np, W, hyper)
        d_o = r / len(x)
        return float(value), {"W": d_o.T @ x + self.penalty.gradient(W, hyper), "b": d_o.sum(axis=0)}

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        np, x = autograd.numpy, inputs["x"]
        r = np.dot(x, params["W"].T) + params["b"] - inputs["y"]
        return 0.5 * np.sum(r * r) / len(x) + self.penalty.value(np, params["W"], hyper)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        o = torch.nn.functional.linear(inputs["x"], params["W"], params["b"])
        squares = torch.nn.functional.mse_loss(o, inputs["y"], reduction="sum")
        return 0.5 * squares / len(o) + self.penalty.value(torch, params["W"], hyper)

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        np, x = jax.numpy, inputs["x"]
        r = x @ params["W"].T + params["b"] - inputs["y"]
        return 0.5 * np.sum(r * r) / len(x) + self.penalty.value(np, params["W"], hyper)
