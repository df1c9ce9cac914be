"""A convolutional classifier: convolution, bias, ReLU, 2x2 max pooling, a dense layer, cross-entropy."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.case import Arrays, Hyper
from benchmarks.cases import cross_entropy


class Convolution:
    """For each peer. Images are n x c x s x s; the convolved side must be even."""

    def textbook(self, params: Arrays, inputs: Arrays, hyper: Hyper) -> tuple[float, Arrays]:
        """By hand in NumPy: the windows as rows of a matrix (im2col), pooling as the maximum over blocks."""
        x, K, W = inputs["x"], params["K"], params["W"]
        filters, channels, side, _ = K.shape
        classes, _, pooled, _ = W.shape
        windows = sliding_window_view(x, (side, side), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        n, rows, columns = windows.shape[:3]
        X = windows.reshape(n * rows * columns, channels * side * side)
        Z = X @ K.reshape(filters, -1).T + params["b1"]
        A = np.maximum(Z, 0).reshape(n, pooled, 2, pooled, 2, filters)
        P = A.max(axis=(2, 4), keepdims=True)
        flat = P.reshape(n, pooled * pooled, filters).transpose(0, 2, 1).reshape(n, -1)
        V = W.reshape(classes, -1)
        value, d_o = cross_entropy.textbook(flat @ V.T + params["b2"], inputs["y"])
        d_P = (d_o @ V).reshape(n, filters, pooled, pooled).transpose(0, 2, 3, 1)
        d_A = (A == P) * d_P[:, :, None, :, None, :]
        d_Z = d_A.reshape(Z.shape) * (Z > 0)  # ties of the maximum are at 0, where this is 0
        return float(value), {
            "K": (d_Z.T @ X).reshape(K.shape),
            "b1": d_Z.sum(axis=0),
            "W": (d_o.T @ flat).reshape(W.shape),
            "b2": d_o.sum(axis=0),
        }

    def with_autograd(self, autograd: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for autograd, which has no fast convolution: the windows as rows of a matrix."""
        np, K, W = autograd.numpy, params["K"], params["W"]
        filters, channels, side, _ = K.shape
        classes, _, pooled, _ = W.shape
        windows = sliding_window_view(inputs["x"], (side, side), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        n, rows, columns = windows.shape[:3]
        X = windows.reshape(n * rows * columns, channels * side * side)
        Z = np.dot(X, K.reshape((filters, -1)).T) + params["b1"]
        P = np.max(np.maximum(Z, 0).reshape((n, pooled, 2, pooled, 2, filters)), axis=(2, 4))
        flat = np.transpose(P, (0, 3, 1, 2)).reshape((n, -1))
        o = np.dot(flat, W.reshape((classes, -1)).T) + params["b2"]
        return cross_entropy.with_autograd(autograd, o, inputs["y"])

    def with_torch(self, torch: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for torch."""
        functional = torch.nn.functional
        P = functional.max_pool2d(torch.relu(functional.conv2d(inputs["x"], params["K"], params["b1"])), 2)
        o = functional.linear(P.flatten(1), params["W"].flatten(1), params["b2"])
        return functional.cross_entropy(o, inputs["y"])

    def with_jax(self, jax: ModuleType, params: Arrays, inputs: Arrays, hyper: Hyper) -> Any:
        """The objective for JAX."""
        np, lax = jax.numpy, jax.lax
        layout = ("NCHW", "OIHW", "NCHW")
        Z = lax.conv_general_dilated(inputs["x"], params["K"], (1, 1), "VALID", dimension_numbers=layout)
        A = jax.nn.relu(Z + params["b1"][:, None, None])
        P = lax.reduce_window(A, -np.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        n, classes = len(P), len(params["W"])
        o = P.reshape(n, -1) @ params["W"].reshape(classes, -1).T + params["b2"]
        return cross_entropy.with_jax(jax, o, inputs["y"])
