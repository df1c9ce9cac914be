"""Activations as each peer has them; by hand, the value and the derivative."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Hyper

_INNER = math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class Activation:
    """``textbook(z, hyper)`` gives the value and the derivative at z; the others, of the package, z and hyper, only the value."""

    textbook: Callable[[Any, Hyper], tuple[Any, Any]]
    with_autograd: Callable[..., Any]
    with_torch: Callable[..., Any]
    with_jax: Callable[..., Any]


def _relu(z: Any, hyper: Hyper) -> tuple[Any, Any]:
    return np.maximum(z, 0), z > 0


def _tanh(z: Any, hyper: Hyper) -> tuple[Any, Any]:
    t = np.tanh(z)
    return t, 1 - t * t


def _gelu_tanh(z: Any, hyper: Hyper) -> tuple[Any, Any]:
    t = np.tanh(_INNER * (z + 0.044715 * z * z * z))
    return 0.5 * z * (1 + t), 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * _INNER * (1 + 3 * 0.044715 * z * z)


def _gelu(z: Any, hyper: Hyper) -> tuple[Any, Any]:
    from scipy.special import erf  # NumPy has none

    below = 0.5 * (1 + erf(z / math.sqrt(2)))
    return z * below, below + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _swish(z: Any, hyper: Hyper) -> tuple[Any, Any]:
    s = 1 / (1 + np.exp(-hyper["beta"] * z))
    a = z * s
    return a, s + hyper["beta"] * a * (1 - s)


def _autograd_gelu_tanh(autograd: ModuleType, z: Any, hyper: Hyper) -> Any:
    return 0.5 * z * (1 + autograd.numpy.tanh(_INNER * (z + 0.044715 * z * z * z)))


RELU = Activation(
    _relu,
    lambda autograd, z, hyper: autograd.numpy.maximum(z, 0),
    lambda torch, z, hyper: torch.relu(z),
    lambda jax, z, hyper: jax.nn.relu(z),
)
TANH = Activation(
    _tanh,
    lambda autograd, z, hyper: autograd.numpy.tanh(z),
    lambda torch, z, hyper: torch.tanh(z),
    lambda jax, z, hyper: jax.numpy.tanh(z),
)
GELU_TANH = Activation(
    _gelu_tanh,
    _autograd_gelu_tanh,
    lambda torch, z, hyper: torch.nn.functional.gelu(z, approximate="tanh"),
    lambda jax, z, hyper: jax.nn.gelu(z, approximate=True),
)
GELU = Activation(
    _gelu,
    lambda autograd, z, hyper: 0.5 * z * (1 + autograd.scipy.special.erf(z / math.sqrt(2))),
    lambda torch, z, hyper: torch.nn.functional.gelu(z),
    lambda jax, z, hyper: jax.nn.gelu(z, approximate=False),
)
SWISH = Activation(
    _swish,
    lambda autograd, z, hyper: z / (1 + autograd.numpy.exp(-hyper["beta"] * z)),
    lambda torch, z, hyper: z * torch.sigmoid(hyper["beta"] * z),
    lambda jax, z, hyper: z * jax.nn.sigmoid(hyper["beta"] * z),
)
