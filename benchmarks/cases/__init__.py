"""The cases of first and of second order, in the order of their tables, with what each ratio has to be at most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import symbackprop as sb
from benchmarks.case import Case
from benchmarks.cases.activations import GELU, GELU_TANH, RELU, SWISH, TANH
from benchmarks.cases.attention import Attention
from benchmarks.cases.classifier import Classifier
from benchmarks.cases.convolution import Convolution
from benchmarks.cases.factorization import Factorization
from benchmarks.cases.layer_norm import LayerNorm
from benchmarks.cases.logistic import Logistic
from benchmarks.cases.one_hidden import OneHidden
from benchmarks.cases.penalties import ELASTIC_NET, WEIGHT_DECAY
from benchmarks.cases.regression import Regression
from symbackprop.models import builtin_text

_FOLDER = Path(__file__).parent


def _built_in(name: str) -> str:
    return builtin_text(name)


def _own(name: str) -> str:
    return (_FOLDER / f"{name}.eq").read_text(encoding="utf-8")


def _dense(n: int) -> Mapping[str, float]:
    """At large batches the products are what counts, and little may be added to them."""
    return {"floor": 1.10, "torch": 0.85, "jax": 0.95} if n >= 256 else {"torch": 0.85, "jax": 0.95}


CASES: tuple[Case, ...] = (
    *(
        Case(
            f"classifier-{n}",
            f"784-256-128-10 classifier, n = {n}",
            _built_in("mlp_classifier"),
            Classifier(WEIGHT_DECAY),
            {"n": n},
            _dense(n),
        )
        for n in (1, 8, 32, 256, 1024)
    ),
    Case(
        "one-hidden",
        "784-256-10, squared loss, n = 256",
        _built_in("d2l_mlp"),
        OneHidden(RELU, WEIGHT_DECAY),
        targets=_dense(256),
    ),
    Case(
        "deep-narrow",
        "50 layers of 64, n = 32",
        sb.mlp([64] * 51, batch=32).source,
        Classifier(),
        targets={"torch": 0.40, "jax": 0.95},
    ),
    Case(
        "gelu-block",
        "512-2048-512, GELU (tanh), n = 256",
        _own("gelu_block"),
        OneHidden(GELU_TANH),
        targets={"floor": 1.12, "torch": 0.92, "jax": 0.80},
    ),
    Case(
        "gelu-block-exact",
        "512-2048-512, GELU (erf), n = 256",
        _own("gelu_block_exact"),
        OneHidden(GELU),
    ),
    Case(
        "cnn",
        "3x3 convolution, max pooling, dense, n = 32",
        _built_in("small_cnn"),
        Convolution(),
        targets={"torch": 1.0},
    ),
    Case(
        "attention",
        "causal attention, t = 128, d = 64, 8 heads",
        _own("attention"),
        Attention(),
        targets={"torch": 0.85, "jax": 1.0},
        scales={"Q": 1.0, "K": 1.0, "V": 1.0},
    ),
    Case(
        "layer-norm",
        "layer norm, 512 x 1024",
        _own("layer_norm"),
        LayerNorm(),
        targets={"jax": 1.15},
        scales={"X": 1.0, "gamma": 1.0},
    ),
    Case(
        "elastic-net-mlp",
        "elastic net, 20-32-3, swish, n = 64",
        _built_in("elastic_net_mlp"),
        OneHidden(SWISH, ELASTIC_NET),
        targets={"torch": 1.0},
    ),
    Case(
        "elastic-net-regression",
        "elastic net, linear, 256 to 512, n = 256",
        _own("elastic_net_regression"),
        Regression(ELASTIC_NET),
        targets={"torch": 1.0},
    ),
)

PRODUCTS: tuple[Case, ...] = tuple(
    Case(
        f"product-{n}",
        f"784-256-128-10 classifier with tanh, n = {n}",
        sb.mlp([784, 256, 128, 10], activation="tanh", batch=n).source,
        Classifier(activation=TANH),
        {"n": n},
        {"own gradient": 2.0, "all": 2.5, "jax": 0.95, "torch": 0.50},
    )
    for n in (32, 256, 1024)
)
"""Hessian-vector products; the target of *all* is that of loss, gradient and product together, against our gradient."""

HESSIANS: tuple[Case, ...] = (
    Case(
        "hessian-logistic",
        "logistic regression, 2048 x 256",
        _own("logistic"),
        Logistic(),
        targets={"jax": 0.5, "torch": 0.02},
    ),
    Case(
        "hessian-factorization",
        "matrix factorization, 40 x 30, rank 4",
        _own("factorization"),
        Factorization(),
        targets={"jax": 1.0},
    ),
    Case(
        "hessian-perceptron",
        "8-16-4 perceptron, n = 128",
        sb.mlp([8, 16, 4], activation="tanh", loss="squared_error", batch=128).source,
        OneHidden(TANH),
        targets={"jax": 1.0},
    ),
)
"""Whole Hessians."""
