"""One hidden layer with a squared loss: W2 phi(W1 x + b1) + b2, and a penalty on both weights if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper
from benchmarks.cases.activations import Activation
from benchmarks.cases.penalties import Penalty


@dataclass(frozen=True)
class OneHidden:
    """Any activation, any penalty, for each peer."""

    activation: Activation
    penalty: Penalty | None = None

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        x, y, W1, W2 = inputs["x"], inputs["y"], params["W1"], params["W2"]
        z = x @ W1.T + params["b1"]
        a, slope = self.activation.textbook(z, hyper)
        o = a @ W2.T + params["b2"]
        r = o - y
        value = 0.5 * np.sum(r * r) / len(x) + self._penalty(np, params, hyper)
        d_o = r / len(x)
        d_z = (d_o @ W2) * slope
        gradients = {"W1": d_z.T @ x, "b1": d_z.sum(axis=0), "W2": d_o.T @ a, "b2": d_o.sum(axis=0)}
        if self.penalty:
            gradients["W1"] += self.penalty.gradient(W1, hyper)
            gradients["W2"] += self.penalty.gradient(W2, hyper)
        return float(value), gradients

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        np, x = autograd.numpy, inputs["x"]
        a = self.activation.with_autograd(autograd, np.dot(x, params["W1"].T) + params["b1"], hyper)
        r = np.dot(a, params["W2"].T) + params["b2"] - inputs["y"]
        return 0.5 * np.sum(r * r) / len(x) + self._penalty(np, params, hyper)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        linear, x = torch.nn.functional.linear, inputs["x"]
        a = self.activation.with_torch(torch, linear(x, params["W1"], params["b1"]), hyper)
        o = linear(a, params["W2"], params["b2"])
        squares = torch.nn.functional.mse_loss(o, inputs["y"], reduction="sum")
        return 0.5 * squares / len(x) + self._penalty(torch, params, hyper)

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        np, x = jax.numpy, inputs["x"]
        a = self.activation.with_jax(jax, x @ params["W1"].T + params["b1"], hyper)
        r = a @ params["W2"].T + params["b2"] - inputs["y"]
        return 0.5 * np.sum(r * r) / len(x) + self._penalty(np, params, hyper)

    def _penalty(self, library: Any, params: Arrays, hyper: Hyper) -> Any:
        return self.penalty.total(library, [params["W1"], params["W2"]], hyper) if self.penalty else 0.0
