"""Causal attention with several heads, from queries, keys and values, and a squared loss."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Hyper


class Attention:
    """For each peer. Q, K and V are heads x time x features."""

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy."""
        Q, K, V = params["Q"], params["K"], params["V"]
        _, time, features = Q.shape
        scale = 1 / math.sqrt(features)
        S = Q @ K.swapaxes(1, 2) * scale
        M = np.where(np.tri(time, dtype=bool), S, -np.inf)
        P = np.exp(M - M.max(axis=2, keepdims=True))
        P = P / P.sum(axis=2, keepdims=True)
        d_O = P @ V - inputs["Y"]
        value = 0.5 * np.sum(d_O * d_O)
        d_P = d_O @ V.swapaxes(1, 2)
        d_S = P * (d_P - np.sum(d_P * P, axis=2, keepdims=True)) * scale
        return float(value), {"Q": d_S @ K, "K": d_S.swapaxes(1, 2) @ Q, "V": P.swapaxes(1, 2) @ d_O}

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd."""
        np = autograd.numpy
        Q, K, V = params["Q"], params["K"], params["V"]
        _, time, features = Q.shape
        S = np.matmul(Q, np.swapaxes(K, 1, 2)) / math.sqrt(features)
        M = np.where(np.tri(time, dtype=bool), S, -np.inf)
        P = np.exp(M - np.max(M, axis=2, keepdims=True))
        r = np.matmul(P / np.sum(P, axis=2, keepdims=True), V) - inputs["Y"]
        return 0.5 * np.sum(r * r)

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch, whose fused kernel wants four axes."""
        functional = torch.nn.functional
        heads = (params[name][None] for name in ("Q", "K", "V"))
        O = functional.scaled_dot_product_attention(*heads, is_causal=True)[0]  # noqa: E741
        return 0.5 * functional.mse_loss(O, inputs["Y"], reduction="sum")

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        np = jax.numpy
        Q, K, V = params["Q"], params["K"], params["V"]
        _, time, features = Q.shape
        S = Q @ np.swapaxes(K, 1, 2) / math.sqrt(features)
        r = jax.nn.softmax(np.where(np.tri(time, dtype=bool), S, -np.inf)) @ V - inputs["Y"]
        return 0.5 * np.sum(r * r)
