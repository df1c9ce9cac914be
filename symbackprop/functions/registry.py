"""The built-in scalar functions, by the name they have in the language. Each is its formula; nobody wrote its derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop.functions.scalar import (
    absolute,
    define,
    nonnegative,
    positive,
    relu,
    sigmoid,
    sign,
    softplus,
    tanh,
    where,
)
from symbackprop.functions.scalar_rules import tidy

_u, _a, _b = sympy.Symbol("u"), sympy.Symbol("o"), sympy.Symbol("y")
_half, _sixth = sympy.Rational(1, 2), sympy.Rational(1, 6)


def _activation(name: str, formula: sympy.Expr) -> tuple[str, Callable[..., Any]]:
    return name, define(name, (_u,), tidy(formula))


def _loss(name: str, formula: sympy.Expr) -> tuple[str, Callable[..., Any]]:
    return name, define(name, (_a, _b), tidy(formula))


def _clipped(expression: sympy.Expr, low: int, high: int) -> sympy.Expr:
    """The expression held between two numbers; at both its slope is 0."""
    return where(positive(high - expression), where(positive(expression - low), expression, low), high)


_selu_scale = sympy.Rational("1.0507009873554804934193349852946")
_selu_alpha = sympy.Rational("1.6732632423543772848170429916717")

ACTIVATIONS: Mapping[str, Callable[..., Any]] = dict(
    [
        ("identity", lambda u: u),
        ("relu", relu),
        ("sigmoid", sigmoid),
        ("tanh", tanh),
        ("softplus", softplus),
        _activation("leaky_relu", where(positive(_u), _u, _u / 100)),
        _activation("elu", where(positive(_u), _u, sympy.exp(_u) - 1)),
        _activation("selu", _selu_scale * where(positive(_u), _u, _selu_alpha * (sympy.exp(_u) - 1))),
        _activation("softsign", _u / (1 + absolute(_u))),
        _activation("gelu", _u / 2 * (1 + sympy.erf(_u / sympy.sqrt(2)))),
        _activation(
            "gelu_tanh", _u / 2 * (1 + tanh(sympy.sqrt(2 / sympy.pi) * (_u + sympy.Rational("0.044715") * _u**3)))
        ),
        _activation("silu", _u * sigmoid(_u)),
        _activation("mish", _u * tanh(softplus(_u))),
        _activation("hardtanh", _clipped(_u, -1, 1)),
        _activation("relu6", _clipped(_u, 0, 6)),
        _activation("hard_sigmoid", _clipped(_u * _sixth + _half, 0, 1)),
        _activation("hard_swish", _u * _clipped(_u * _sixth + _half, 0, 1)),
    ]
)
"""Activations of one argument (Hendrycks & Gimpel 2016 for gelu, Klambauer et al. 2017 for selu's constants,
Misra 2019 for mish, Howard et al. 2019 for the hard forms)."""

ELEMENTARY: Mapping[str, Callable[..., Any]] = {
    "exp": sympy.exp,
    "log": sympy.log,
    "sqrt": sympy.sqrt,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "atan": sympy.atan,
    "erf": sympy.erf,
    "abs": absolute,
    "sign": sign,
}
"""Elementary functions of one argument."""

_difference = _a - _b

LOSSES: Mapping[str, Callable[..., Any]] = dict(
    [
        _loss("squared_error", _difference**2 / 2),
        _loss("absolute_error", absolute(_difference)),
        _loss(
            "huber",
            where(nonnegative(1 - absolute(_difference)), _difference**2 / 2, absolute(_difference) - _half),
        ),
        _loss("log_cosh", softplus(2 * _difference) - _difference - sympy.log(2)),
        _loss("hinge", relu(1 - _a * _b)),
        _loss("binary_cross_entropy", softplus(_a) - _b * _a),
        _loss("poisson", sympy.exp(_a) - _b * _a),
    ]
)
"""Losses of a prediction o and a target y, element by element (logits for binary_cross_entropy, log rates for poisson)."""


@dataclass(frozen=True)
class Penalty:
    """A penalty of one weight w, as a formula in the language, and the defaults of its hyper-parameters."""

    formula: str
    hypers: Mapping[str, str]


PENALTIES: Mapping[str, Penalty] = {
    "none": Penalty("0", {}),
    "l2": Penalty("lambda/2 * w^2", {"lambda": "0.001"}),
    "l1": Penalty("lambda_1 * abs(w)", {"lambda_1": "0.001"}),
    "elastic_net": Penalty("lambda_1 * abs(w) + lambda/2 * w^2", {"lambda_1": "0.001", "lambda": "0.001"}),
    "log": Penalty("lambda * log(1 + w^2)", {"lambda": "0.001"}),
}
"""Penalties by name."""

POINTWISE: Mapping[str, Callable[..., Any]] = {**ACTIVATIONS, **ELEMENTARY, **LOSSES}
"""Every function that the language applies element by element."""
