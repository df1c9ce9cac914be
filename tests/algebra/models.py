"""Models written with the graph's own operators, of every kind that the algebra has to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from symbackprop.builder import Builder
from symbackprop.functions.registry import ACTIVATIONS, LOSSES
from symbackprop.functions.scalar import define, maximum, relu, sigmoid, where
from symbackprop.graph import operations as op
from symbackprop.graph.build import contract, coordinate, indicator, matrix_function, pointwise, reduction
from symbackprop.graph.model import Model
from symbackprop.graph.nodes import argument, axis
from symbackprop.graph.operations import Value, apply
from symbackprop.graph.sizes import dimension

d, h, q, t, k, n = map(dimension, "dhqtkn")
half = op.value(sympy.Rational(1, 2))


def squared(left: Value, right: Value) -> Value:
    return half * op.norm(left - right) ** 2


def mlp(activation: Any = sympy.tanh, batch: str | None = "n") -> Model:
    b = Builder("mlp", batch)
    x, y, penalty = b.input("x", d), b.target("y", q), b.hyper("lambda", sympy.Rational(1, 1000))
    W1, b1, W2, b2 = b.param("W1", h, d), b.param("b1", h), b.param("W2", q, h), b.param("b2", q)
    z = b.let("z", W1 @ x + b1)
    a = b.let("a", apply(activation, z))
    o = b.let("o", W2 @ a + b2)
    L = b.let("L", squared(y, o))
    s = b.let("s", penalty / 2 * (op.norm(W1) ** 2 + op.norm(W2) ** 2))
    return b.minimize(b.let("J", L + s))


def classifier() -> Model:
    b = Builder("classifier", "n")
    x, y, W = b.input("x", d), b.target("y", classes=q), b.param("W", q, d)
    o = b.let("o", W @ x)
    b.let("p", op.softmax(o))
    return b.minimize(b.let("J", op.cross_entropy(o, y)))


def softmax_alone() -> Model:
    b = Builder("softmax")
    X = b.param("X", t, d)
    b.let("p", op.softmax(X))
    return b.model()


def soft_labels() -> Model:
    b = Builder("soft_labels", "n")
    x, y, W = b.input("x", d), b.target("y", q), b.param("W", q, d)
    o = b.let("o", W @ x)
    p = b.let("p", op.softmax(o))
    return b.minimize(b.let("J", -op.sum_all(y * apply(sympy.log, p))))


def logistic() -> Model:
    b = Builder("logistic", "n")
    x, y, w, c = b.input("x", d), b.target("y"), b.param("w", d), b.param("c")
    o = b.let("o", w.T @ x + c)
    p = b.let("p", apply(sigmoid, o))
    return b.minimize(b.let("J", -(y * apply(sympy.log, p) + (1 - y) * apply(sympy.log, 1 - p))))


def layer_norm() -> Model:
    b = Builder("layer_norm", "n")
    x, y, W = b.input("x", d), b.target("y", d), b.param("W", d, d)
    gain, shift, eps = b.param("gamma", d), b.param("beta", d), b.hyper("eps", sympy.Rational(1, 100))
    u = b.let("u", W @ x)
    mu = b.let("mu", op.mean_all(u))
    deviation = b.let("sigma", (op.mean_all((u - mu) ** 2) + eps) ** sympy.Rational(1, 2))
    xhat = b.let("xhat", (u - mu) / deviation)
    o = b.let("o", gain * xhat + shift)
    return b.minimize(b.let("J", squared(y, o)))


def batch_norm() -> Model:
    b = Builder("batch_norm")
    x, y, W, eps = (
        b.input("X", n, d),
        b.target("Y", n, h),
        b.param("W", d, h),
        b.hyper("eps", sympy.Rational(1, 100)),
    )
    u = b.let("u", x @ W)
    mu = b.let("mu", op.scale(1 / n, op.column_sum(u).node))
    centred = b.let("c", u - op.filled(1, n) @ mu.T)
    variance = b.let("v", op.scale(1 / n, op.column_sum(centred**2).node))
    deviation = (variance + eps) ** sympy.Rational(-1, 2)
    xhat = b.let(
        "xhat",
        Value(pointwise(argument(0) * argument(1), [(centred.node, (0, 1)), (deviation.node, (1,))], (n, h))),
    )
    return b.minimize(b.let("J", squared(y, xhat)))


def attention(batch: str | None) -> Model:
    b = Builder("attention", batch)
    X, Y = b.input("X", t, d), b.target("Y", t, d)
    Q, K, V = (b.let(name, X @ b.param(f"W{name}", d, d)) for name in "QKV")
    S = b.let("S", Q @ K.T / op.value(sympy.sqrt(d)))
    causal = indicator(">=", axis(0) - axis(1), (t, t))
    masked = where(argument(0), argument(1), -sympy.oo)
    M = b.let("M", Value(pointwise(masked, [(causal, (0, 1)), (S.node, (0, 1))], (t, t))))
    P = b.let("P", op.softmax(M))
    O = b.let("O", P @ V)  # noqa: E741  (the paper's name)
    return b.minimize(b.let("J", squared(Y, O)))


def gaussian() -> Model:
    b = Builder("gaussian")
    X, S, mu = b.input("x", d), b.param("Sigma", d, d), b.param("mu", d)
    r = b.let("r", X - mu)
    J = half * op.scalar_of_matrix("logdet", S) + half * (r.T @ op.inverse(S) @ r)
    return b.minimize(b.let("J", J))


def matrices() -> Model:
    b = Builder("matrices")
    X, A, v = b.param("X", d, d), b.input("A", d, d), b.param("v", d)
    I = b.let("D", op.diagonal(v) @ X + op.identity(d))  # noqa: E741
    trace = b.let("c", op.trace(A @ op.inverse(I)) + op.trace(A @ X @ A @ X))
    rest = op.scalar_of_matrix("det", X @ A) + op.sum_all(op.diagonal(X) * v) + op.sum_all(A * X * X)
    return b.minimize(b.let("J", trace + rest + v.T @ X @ v + op.norm(X @ v)))


def batched_matrices() -> Model:
    b = Builder("batched_matrices", "n")
    X, A = b.input("X", d, d), b.param("A", d, d)
    S = b.let("S", op.identity(d) + X @ A @ A.T @ X.T)
    return b.minimize(
        b.let("J", op.scalar_of_matrix("logdet", S) + op.trace(op.inverse(S)) + op.scalar_of_matrix("det", S))
    )


def convolution(exact: bool) -> Model:
    b = Builder("convolution", "n" if exact else None)
    C, F, A, H = map(dimension, "CFAH")
    size = H - A + 1 if exact else dimension("B")
    stride = 1 if exact else 2
    X, K, c = b.input("X", C, H), b.param("K", F, C, A), b.param("c", F)
    window = indicator("==", axis(0) - stride * axis(1) - axis(2), (H, size, A))
    factors = [(K.node, (0, 2, 3)), (X.node, (2, 4)), (window, (4, 1, 3))]
    Y = b.let("Y", Value(contract(factors, (0, 1), {0: F, 1: size, 2: C, 3: A, 4: H})))
    Z = b.let("Z", Value(pointwise(relu(argument(0) + argument(1)), [(Y.node, (0, 1)), (c.node, (0,))], (F, size))))
    m = b.let("m", Value(reduction("max", Z.node, (0, 1), 1, (F, size))))
    return b.minimize(b.let("J", half * op.norm(m) ** 2))


def embedding(batch: str | None) -> Model:
    b = Builder("embedding", batch)
    tokens, E, w = b.input("tok", t, classes=k), b.param("E", k, d), b.param("w", d)
    looked = indicator("==", axis(0) - argument(0), (k, t), [(tokens.node, (1,))])
    X = b.let("X", Value(contract([(E.node, (2, 1)), (looked, (2, 0))], (0, 1), {0: t, 1: d, 2: k})))
    norms = b.let("r", Value(reduction("norm", X.node, (0, 1), 1, (t, d))))
    return b.minimize(b.let("J", op.sum_all(X @ w) ** 2 + op.sum_all(norms) + op.logsumexp(op.logsumexp(X))))


def functions() -> Model:
    b = Builder("functions")
    x, y, beta = b.param("x", d), b.target("y", d), b.param("beta")
    total = op.sum_all(apply(lambda u, v: maximum(u, v, 2 * u - 1), x, y))
    for number, (name, function) in enumerate({**ACTIVATIONS, **LOSSES}.items()):
        operands = [x] if name in ACTIVATIONS else [x, y]
        total = total + op.sum_all(b.let(f"f{number}", apply(function, *operands)))
    swish = apply(lambda u, s: u * sigmoid(s * u), x, beta)
    return b.minimize(b.let("J", total + op.sum_all(b.let("g", swish * x * apply(sympy.exp, x - y)))))


def positions() -> Model:
    b = Builder("positions", "n")
    x, w = b.input("x", d), b.param("w", d)
    u = b.let("u", w * x * Value(coordinate(d)))
    shifted = indicator("==", axis(0) - axis(1) - 1, (d, d))
    s = b.let("s", Value(contract([(u.node, (1,)), (shifted, (0, 1))], (0,), (d, d))))
    U = b.let("U", s @ u.T + op.identity(d) * (x @ w.T))
    return b.minimize(b.let("J", op.norm(U, "1") + op.norm(u, "inf") + Value(matrix_function("det", U.node))))


def open_function() -> Model:
    b = Builder("open")
    phi = define("phi", (sympy.Symbol("u"),), None)
    x, W = b.input("x", d), b.param("W", h, d)
    z = b.let("z", W @ x)
    return b.minimize(b.let("J", op.sum_all(apply(phi, z))))


MODELS: dict[str, Callable[[], Model]] = {
    "mlp": mlp,
    "mlp relu": lambda: mlp(relu),
    "mlp sigmoid": lambda: mlp(sigmoid),
    "classifier": classifier,
    "softmax": softmax_alone,
    "soft labels": soft_labels,
    "logistic": logistic,
    "layer norm": layer_norm,
    "batch norm": batch_norm,
    "attention": lambda: attention(None),
    "batched attention": lambda: attention("n"),
    "gaussian": gaussian,
    "matrices": matrices,
    "batched matrices": batched_matrices,
    "convolution": lambda: convolution(True),
    "strided convolution": lambda: convolution(False),
    "embedding": lambda: embedding(None),
    "batched embedding": lambda: embedding("n"),
    "functions": functions,
    "positions": positions,
}
SIZES = {"n": 2, "d": 3, "h": 4, "q": 3, "t": 3, "k": 5, "C": 2, "F": 2, "A": 2, "H": 4, "B": 2}
