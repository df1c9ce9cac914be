"""A dense network of any depth with cross-entropy, and a penalty on its weights if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper
from benchmarks.cases import cross_entropy
from benchmarks.cases.activations import RELU, Activation
from benchmarks.cases.penalties import Penalty


@dataclass(frozen=True)
class Classifier:
    """Weights W1, W2, ... and biases b1, b2, ..., for each peer."""

    penalty: Penalty | None = None
    activation: Activation = RELU

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        depth = len(params) // 2
        slopes, values = [], [inputs["x"]]
        for k in range(1, depth):
            value, slope = self.activation.textbook(values[-1] @ params[f"W{k}"].T + params[f"b{k}"], hyper)
            slopes.append(slope)
            values.append(value)
        o = values[-1] @ params[f"W{depth}"].T + params[f"b{depth}"]
        value, d_z = cross_entropy.textbook(o, inputs["y"])
        gradients = {}
        for k in range(depth, 0, -1):
            gradients[f"W{k}"] = d_z.T @ values[k - 1]
            gradients[f"b{k}"] = d_z.sum(axis=0)
            if self.penalty:
                gradients[f"W{k}"] += self.penalty.gradient(params[f"W{k}"], hyper)
            if k > 1:
                d_z = (d_z @ params[f"W{k}"]) * slopes[k - 2]
        return float(value + self._penalty(np, params, hyper)), gradients

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        np, activation = autograd.numpy, partial(self.activation.with_autograd, autograd, hyper=hyper)
        o = _logits(lambda a, w, b: np.dot(a, w.T) + b, activation, params, inputs)
        return cross_entropy.with_autograd(autograd, o, inputs["y"]) + self._penalty(np, params, hyper)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        o = _logits(torch.nn.functional.linear, partial(self.activation.with_torch, torch, hyper=hyper), params, inputs)
        return torch.nn.functional.cross_entropy(o, inputs["y"]) + self._penalty(torch, params, hyper)

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        o = _logits(lambda a, w, b: a @ w.T + b, partial(self.activation.with_jax, jax, hyper=hyper), params, inputs)
        return cross_entropy.with_jax(jax, o, inputs["y"]) + self._penalty(jax.numpy, params, hyper)

    def _penalty(self, library: Any, params: Arrays, hyper: Hyper) -> Any:
        weights = [params[f"W{k}"] for k in range(1, len(params) // 2 + 1)]
        return self.penalty.total(library, weights, hyper) if self.penalty else 0.0


def _logits(dense: Callable[..., Any], activation: Callable[..., Any], params: Arrays, inputs: Arrays) -> Any:
    depth = len(params) // 2
    a = inputs["x"]
    for k in range(1, depth):
        a = activation(dense(a, params[f"W{k}"], params[f"b{k}"]))
    return dense(a, params[f"W{depth}"], params[f"b{depth}"])
