"""Every built-in model, written with Python operators."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import sympy
from sympy import Rational

from symbackprop.builder import Builder
from symbackprop.graph.model import Model

half = Rational(1, 2)


def ridge_regression(b: Builder) -> Model:
    n, d = b.dims(n=100, d=10)
    X, y = b.input("X", n, d), b.target("y", n)
    w, c, lam = b.param("w", d), b.param("b"), b.hyper("lambda", Rational(1, 10))
    y_hat = b.let("y_hat", X @ w + c)
    L = b.let("L", half * b.norm(y - y_hat) ** 2)
    s = b.let("s", lam / 2 * b.norm(w) ** 2)
    return b.minimize(b.let("J", L + s))


def softmax_regression(b: Builder) -> Model:
    d, q = b.dims(d=64, q=10)
    x, y = b.input("x", d), b.target("y", classes=q)
    W, c = b.param("W", q, d), b.param("b", q)
    o = b.let("o", W @ x + c)
    return b.minimize(b.let("L", b.cross_entropy(o, y)))


def d2l_mlp(b: Builder, bias: bool = True) -> Model:
    d, h, q = b.dims(d=784, h=256, q=10)
    x, y = b.input("x", d), b.target("y", q)
    W1 = b.param("W1", h, d)
    b1 = b.param("b1", h) if bias else None
    W2 = b.param("W2", q, h)
    b2 = b.param("b2", q) if bias else None
    lam = b.hyper("lambda", Rational(1, 1000))
    z = b.let("z", W1 @ x if b1 is None else W1 @ x + b1)
    a = b.let("a", b.relu(z))
    o = b.let("o", W2 @ a if b2 is None else W2 @ a + b2)
    L = b.let("L", half * b.norm(y - o) ** 2)
    s = b.let("s", lam / 2 * (b.norm(W1) ** 2 + b.norm(W2) ** 2))
    return b.minimize(b.let("J", L + s))


def mlp_classifier(b: Builder) -> Model:
    d, h1, h2, q = b.dims(d=784, h1=256, h2=128, q=10)
    x, y = b.input("x", d), b.target("y", classes=q)
    W1, b1, W2, b2 = b.param("W1", h1, d), b.param("b1", h1), b.param("W2", h2, h1), b.param("b2", h2)
    W3, b3, lam = b.param("W3", q, h2), b.param("b3", q), b.hyper("lambda", Rational(1, 10000))
    a1 = b.let("a1", b.relu(b.let("z1", W1 @ x + b1)))
    a2 = b.let("a2", b.relu(b.let("z2", W2 @ a1 + b2)))
    o = b.let("o", W3 @ a2 + b3)
    L = b.let("L", b.cross_entropy(o, y))
    s = b.let("s", lam / 2 * (b.norm(W1) ** 2 + b.norm(W2) ** 2 + b.norm(W3) ** 2))
    return b.minimize(b.let("J", L + s))


def elastic_net_mlp(b: Builder) -> Model:
    d, h, q = b.dims(d=20, h=32, q=3)
    x, y = b.input("x", d), b.target("y", q)
    W1, b1, W2, b2 = b.param("W1", h, d), b.param("b1", h), b.param("W2", q, h), b.param("b2", q)
    beta, alpha, lam = b.hyper("beta", Rational(3, 2)), b.hyper("alpha", Rational(1, 1000)), b.hyper("lambda", Rational(1, 100))
    swish = b.function("swish", lambda u, beta: u / (1 + sympy.exp(-beta * u)), beta)
    a = b.let("a", swish(b.let("z", W1 @ x + b1)))
    o = b.let("o", W2 @ a + b2)
    L = b.let("L", half * b.norm(y - o) ** 2)
    absolute, squares = b.norm(W1, "1") + b.norm(W2, "1"), b.norm(W1) ** 2 + b.norm(W2) ** 2
    s = b.let("s", alpha * absolute + lam * squares)
    return b.minimize(b.let("J", L + s))


def tied_autoencoder(b: Builder) -> Model:
    d, k = b.dims(d=64, k=16)
    x = b.input("x", d)
    W, c, e = b.param("W", k, d), b.param("b", k), b.param("c", d)
    h = b.let("h", b.tanh(b.let("z", W @ x + c)))
    x_hat = b.let("x_hat", W.T @ h + e)
    L = b.let("L", half * b.norm(x - x_hat) ** 2)
    b.output(x_hat)
    return b.minimize(L)


def small_cnn(b: Builder) -> Model:
    channels, side, kernel, filters, pooled, q = b.dims(c=1, s=8, k=3, f=16, p=3, q=10)
    x, y = b.input("x", channels, side, side), b.target("y", classes=q)
    K, b1 = b.param("K", filters, channels, kernel, kernel), b.param("b1", filters)
    W, b2 = b.param("W", q, filters, pooled, pooled), b.param("b2", q)
    f, i, j, c, u, v, r = (b.index(name) for name in ("f", "i", "j", "c", "a", "b", "r"))
    Z = b.let("Z", b.sum(K[f, c, u, v] * x[c, i + u, j + v], c, u, v) + b1[f], f, i, j)
    A = b.let("A", b.relu(Z))
    i, j, u, v = b.index("i", pooled), b.index("j", pooled), b.index("u", 2), b.index("v", 2)
    P = b.let("P", b.max(A[f, 2 * i + u, 2 * j + v], u, v), f, i, j)
    i, j = b.index("i"), b.index("j")
    o = b.let("o", b.sum(W[r, f, i, j] * P[f, i, j], f, i, j) + b2[r], r)
    return b.minimize(b.let("L", b.cross_entropy(o, y)))


def layer_norm(b: Builder) -> Model:
    m, d = b.dims(m=32, d=16)
    h, y = b.input("h", m), b.target("y", d)
    W, gamma, beta = b.param("W", d, m), b.param("gamma", d), b.param("beta", d)
    epsilon = b.hyper("epsilon", Rational(1, 100000))
    x = b.let("x", W @ h)
    mu = b.let("mu", b.mean(x))
    sigma = b.let("sigma", b.sqrt(b.mean((x - mu) ** 2) + epsilon))
    x_hat = b.let("x_hat", (x - mu) / sigma)
    o = b.let("o", gamma * x_hat + beta)
    return b.minimize(b.let("L", half * b.norm(y - o) ** 2))


def batch_norm(b: Builder) -> Model:
    n, m, d = b.dims(n=64, m=32, d=16)
    H, Y = b.input("H", n, m), b.target("Y", n, d)
    W, gamma, beta = b.param("W", d, m), b.param("gamma", d), b.param("beta", d)
    epsilon = b.hyper("epsilon", Rational(1, 100000))
    i, j = b.index("i"), b.index("j")
    X = b.let("X", H @ W.T)
    mu = b.let("mu", b.mean(X[i, j], i), j)
    sigma = b.let("sigma", b.sqrt(b.mean((X[i, j] - mu[j]) ** 2, i) + epsilon), j)
    X_hat = b.let("X_hat", (X[i, j] - mu[j]) / sigma[j], i, j)
    out = b.let("O", gamma[j] * X_hat[i, j] + beta[j], i, j)
    return b.minimize(b.let("L", 1 / (2 * n) * b.norm(Y - out) ** 2))


def causal_attention(b: Builder) -> Model:
    t, m, d = b.dims(t=16, m=32, d=16)
    X, Y = b.input("X", t, m), b.target("Y", t, d)
    W_q, W_k, W_v = (b.param(name, m, d) for name in ("W_q", "W_k", "W_v"))
    Q, K, V = b.let("Q", X @ W_q), b.let("K", X @ W_k), b.let("V", X @ W_v)
    S = b.let("S", Q @ K.T / sympy.sqrt(d))
    i, j = b.index("i"), b.index("j")
    M = b.let("M", b.where(i >= j, S[i, j], -inf), i, j)
    P = b.let("P", b.softmax(M))
    out = b.let("O", P @ V)
    return b.minimize(b.let("L", half * b.norm(Y - out) ** 2))


def embedding_classifier(b: Builder) -> Model:
    v, t, m, q = b.dims(v=1000, t=20, m=32, q=4)
    tok, y = b.input("tok", t, classes=v), b.target("y", classes=q)
    Emb, W, c = b.param("Emb", v, m), b.param("W", q, m), b.param("b", q)
    k, j = b.index("t"), b.index("m")
    E = b.let("E", Emb[tok[k], j], k, j)
    a = b.let("a", b.mean(E[k, j], k), j)
    o = b.let("o", W @ a + c)
    return b.minimize(b.let("L", b.cross_entropy(o, y)))


def gaussian_likelihood(b: Builder) -> Model:
    (d,) = b.dims(d=8)
    x, mu, A, epsilon = b.input("x", d), b.param("mu", d), b.param("A", d, d), b.hyper("epsilon", Rational(1, 10))
    Sigma = b.let("Sigma", A @ A.T + epsilon * b.identity(d))
    r = b.let("r", x - mu)
    ell = b.let("ell", -half * (r.T @ b.inv(Sigma) @ r + b.logdet(Sigma) + d * sympy.log(2 * sympy.pi)))
    b.output(ell)
    return b.minimize(b.let("L", -ell))


OPERATOR_MODELS: dict[str, Callable[[Builder], Any]] = {
    "ridge_regression": ridge_regression,
    "softmax_regression": softmax_regression,
    "d2l_mlp": d2l_mlp,
    "d2l_mlp_no_bias": lambda b: d2l_mlp(b, bias=False),
    "mlp_classifier": mlp_classifier,
    "elastic_net_mlp": elastic_net_mlp,
    "tied_autoencoder": tied_autoencoder,
    "small_cnn": small_cnn,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "causal_attention": causal_attention,
    "embedding_classifier": embedding_classifier,
    "gaussian_likelihood": gaussian_likelihood,
}
