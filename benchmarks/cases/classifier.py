"""A ReLU network of any depth with cross-entropy, and a penalty on its weights if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper
from benchmarks.cases import cross_entropy
from benchmarks.cases.penalties import Penalty


@dataclass(frozen=True)
class Classifier:
    """Weights W1, W2, ... and biases b1, b2, ..., for each peer."""

    penalty: Penalty | None = None

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        depth = len(params) // 2
        before, values = [], [inputs["x"]]
        for k in range(1, depth + 1):
            before.append(values[-1] @ params[f"W{k}"].T + params[f"b{k}"])
            values.append(np.maximum(before[-1], 0))
        value, d_z = cross_entropy.textbook(before[-1], inputs["y"])
        gradients = {}
        for k in range(depth, 0, -1):
            gradients[f"W{k}"] = d_z.T @ values[k - 1]
            gradients[f"b{k}"] = d_z.sum(axis=0)
            if self.penalty:
                gradients[f"W{k}"] += self.penalty.gradient(params[f"W{k}"], hyper)
            if k > 1:
                d_z = (d_z @ params[f"W{k}"]) * (before[k - 2] > 0)
        return float(value + self._penalty(np, params, hyper)), gradients

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        np = autograd.numpy
        o = _logits(lambda a, w, b: np.dot(a, w.T) + b, lambda z: np.maximum(z, 0), params, inputs)
        return cross_entropy.with_autograd(autograd, o, inputs["y"]) + self._penalty(np, params, hyper)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        o = _logits(torch.nn.functional.linear, torch.relu, params, inputs)
        return torch.nn.functional.cross_entropy(o, inputs["y"]) + self._penalty(torch, params, hyper)

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        o = _logits(lambda a, w, b: a @ w.T + b, jax.nn.relu, params, inputs)
        return cross_entropy.with_jax(jax, o, inputs["y"]) + self._penalty(jax.numpy, params, hyper)

    def _penalty(self, library: Any, params: Arrays, hyper: Hyper) -> Any:
        weights = [params[f"W{k}"] for k in range(1, len(params) // 2 + 1)]
        return self.penalty.total(library, weights, hyper) if self.penalty else 0.0


def _logits(dense: Callable[..., Any], relu: Callable[[Any], Any], params: Arrays, inputs: Arrays) -> Any:
    depth = len(params) // 2
    a = inputs["x"]
    for k in range(1, depth):
        a = relu(dense(a, params[f"W{k}"], params[f"b{k}"]))
    return dense(a, params[f"W{depth}"], params[f"b{depth}"])
