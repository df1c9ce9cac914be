"""The models the checker is tested on, one of each kind, built with graph constructors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from symbackprop.functions import scalar
from symbackprop.graph import operations as op
from symbackprop.graph.build import contract, indicator, leaf, pointwise, reduction
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.nodes import Leaf, Node, argument, axis
from symbackprop.graph.operations import Value, value
from symbackprop.graph.sizes import Size, dimension
from symbackprop.graph.verify import verify


class Author:
    """Writes a model line by line."""

    def __init__(self, name: str, **dimensions: int) -> None:
        self.name = name
        self.dimensions = dimensions
        self.declarations: list[Leaf] = []
        self.equations: list[Equation] = []
        self.hyper: dict[str, sympy.Expr | None] = {}

    def declare(self, kind: str, name: str, *shape: Size | str | int, classes: Size | None = None) -> Value:
        sizes = [dimension(size) if isinstance(size, str) else sympy.Integer(size) for size in shape]
        self.declarations.append(leaf(kind, name, sizes, classes))
        return value(self.declarations[-1])

    def param(self, name: str, *shape: str | int) -> Value:
        return self.declare("parameter", name, *shape)

    def input(self, name: str, *shape: str | int, classes: str | None = None) -> Value:
        return self.declare("input", name, *shape, classes=dimension(classes) if classes else None)

    def target(self, name: str, *shape: str | int, classes: str | None = None) -> Value:
        return self.declare("target", name, *shape, classes=dimension(classes) if classes else None)

    def hyper_parameter(self, name: str, default: sympy.Expr | None) -> Value:
        self.hyper[name] = default
        return self.declare("hyper", name)

    def let(self, name: str, what: Value | Node) -> Value:
        what = value(what)
        self.equations.append(Equation(name, what.node))
        return Value(self.equations[-1].reference, what.row)

    def model(self, objective: str, batch: str | None, *constraints: tuple[Size, Size]) -> Model:
        graph = verify(Graph(tuple(self.declarations), tuple(self.equations), constraints))
        return Model(
            self.name,
            graph,
            dimensions=self.dimensions,
            batch=batch,
            hyper_defaults=self.hyper,
            objective=objective,
            outputs=(self.equations[0].name,),
        )


def squares(operand: Value) -> Value:
    return op.sum_all(operand**2)


def half_squared_error(wanted: Value, found: Value) -> Value:
    return squares(wanted - found) * sympy.Rational(1, 2)


def tanh_mlp() -> Model:
    m = Author("tanh_mlp", d=784, h=256, q=10, n=256)
    x, y = m.input("x", "d"), m.target("y", "q")
    W1, b1, W2, b2 = m.param("W1", "h", "d"), m.param("b1", "h"), m.param("W2", "q", "h"), m.param("b2", "q")
    z = m.let("z", W1 @ x + b1)
    a = m.let("a", op.apply(sympy.tanh, z))
    o = m.let("o", W2 @ a + b2)
    m.let("J", half_squared_error(y, o))
    return m.model("J", "n")


def relu_mlp() -> Model:
    m = Author("relu_mlp", d=784, h=256, q=10, n=256)
    x, y = m.input("x", "d"), m.target("y", "q")
    W1, b1, W2, b2 = m.param("W1", "h", "d"), m.param("b1", "h"), m.param("W2", "q", "h"), m.param("b2", "q")
    penalty = m.hyper_parameter("lambda", sympy.Rational(1, 1000))
    a = m.let("a", op.apply(scalar.relu, W1 @ x + b1))
    o = m.let("o", W2 @ a + b2)
    loss = m.let("L", half_squared_error(y, o))
    s = m.let("s", penalty / 2 * (squares(W1) + squares(W2)))
    m.let("J", loss + s)
    return m.model("J", "n")


def softmax_regression() -> Model:
    m = Author("softmax_regression", d=64, q=10, n=256)
    x, y = m.input("x", "d"), m.target("y", classes="q")
    W, b = m.param("W", "q", "d"), m.param("b", "q")
    o = m.let("o", W @ x + b)
    m.let("J", op.cross_entropy(o, y))
    return m.model("J", "n")


def elastic_net() -> Model:
    m = Author("elastic_net", d=20, q=3, n=64)
    x, y = m.input("x", "d"), m.target("y", "q")
    W = m.param("W", "q", "d")
    beta = m.hyper_parameter("beta", sympy.Rational(3, 2))
    alpha = m.hyper_parameter("alpha", None)
    u, k = sympy.symbols("u k")
    swish = scalar.define("swish", (u, k), u / (1 + sympy.exp(-k * u)), visible=1)
    a = m.let("a", op.apply(swish, W @ x, beta))
    m.let("J", half_squared_error(y, a) + alpha * (op.norm(W, "1") + squares(W)) + op.norm(W, "F"))
    return m.model("J", "n")


def attention() -> Model:
    m = Author("attention", t=16, m=32, d=16, n=8)
    X, Y = m.input("X", "t", "m"), m.target("Y", "t", "d")
    Wq, Wk, Wv = m.param("Wq", "m", "d"), m.param("Wk", "m", "d"), m.param("Wv", "m", "d")
    t = dimension("t")
    scores = m.let("S", ((X @ Wq) @ (X @ Wk).T) / sympy.sqrt(dimension("d")))
    causal = value(indicator(">=", axis(0) - axis(1), (t, t)))
    masked = pointwise(
        scalar.where(argument(0), argument(1), sympy.S.NegativeInfinity),
        [(causal.node, (0, 1)), (scores.node, (0, 1))],
        (t, t),
    )
    P = m.let("P", op.softmax(m.let("M", masked)))
    O = m.let("O", P @ (X @ Wv))  # noqa: E741
    m.let("J", half_squared_error(Y, O))
    return m.model("J", "n")


def convolution() -> Model:
    """A valid convolution, relu, 2x2 max pooling with stride 2, a dense layer; its index maps tie s, k and
    p.
    """
    m = Author("convolution", c=1, s=8, k=3, f=4, p=3, q=10, n=32)
    x, y = m.input("x", "c", "s", "s"), m.target("y", classes="q")
    K, b, W = m.param("K", "f", "c", "k", "k"), m.param("b", "f"), m.param("W", "q", "f", "p", "p")
    c, s, k, f, p, q = (dimension(name) for name in "cskfpq")
    side = s - k + 1
    window = indicator("==", axis(0) - axis(1) - axis(2), (s, side, k))
    # labels: f0 i1 j2 | c3 a4 b5 u6 v7
    sizes = {0: f, 1: side, 2: side, 3: c, 4: k, 5: k, 6: s, 7: s}
    product = contract(
        [(K.node, (0, 3, 4, 5)), (x.node, (3, 6, 7)), (window, (6, 1, 4)), (window, (7, 2, 5))],
        (0, 1, 2),
        sizes,
    )
    shifted = pointwise(argument(0) + argument(1), [(product, (0, 1, 2)), (b.node, (0,))], (f, side, side))
    A = m.let("A", op.apply(scalar.relu, m.let("Z", shifted)))
    two = sympy.Integer(2)
    stride = indicator("==", axis(0) - 2 * axis(1) - axis(2), (side, p, two))
    # labels: f0 i1 j2 u3 v4 | a5 b6
    pooled = {0: f, 1: p, 2: p, 3: two, 4: two, 5: side, 6: side}
    patches = contract([(A.node, (0, 5, 6)), (stride, (5, 1, 3)), (stride, (6, 2, 4))], (0, 1, 2, 3, 4), pooled)
    P = m.let("P", reduction("max", patches, (0, 1, 2, 3, 4), 3, (f, p, p, two, two)))
    o = m.let("o", contract([(W.node, (0, 1, 2, 3)), (P.node, (1, 2, 3))], (0,), {0: q, 1: f, 2: p, 3: p}))
    m.let("J", op.cross_entropy(o, y))
    return m.model("J", "n")


def layer_norm() -> Model:
    m = Author("layer_norm", m=32, d=16, n=64)
    h, y = m.input("h", "m"), m.target("y", "d")
    W, gamma, beta = m.param("W", "d", "m"), m.param("gamma", "d"), m.param("beta", "d")
    epsilon = m.hyper_parameter("epsilon", sympy.Rational(1, 100000))
    x = m.let("x", W @ h)
    mu = m.let("mu", op.mean_all(x))
    sigma = m.let("sigma", op.apply(sympy.sqrt, op.mean_all((x - mu) ** 2) + epsilon))
    x_hat = m.let("x_hat", (x - mu) / sigma)
    m.let("J", half_squared_error(y, gamma * x_hat + beta))
    return m.model("J", "n")


def batch_norm() -> Model:
    """Statistics over the examples: a model without a batch dimension of its own."""
    m = Author("batch_norm", n=64, m=32, d=16)
    H, Y = m.input("H", "n", "m"), m.target("Y", "n", "d")
    W, gamma, beta = m.param("W", "d", "m"), m.param("gamma", "d"), m.param("beta", "d")
    epsilon = m.hyper_parameter("epsilon", sympy.Rational(1, 100000))
    n, ones = dimension("n"), op.filled(1, dimension("n"))
    X = m.let("X", H @ W.T)
    mu = m.let("mu", op.column_sum(X) / n)
    sigma = m.let("sigma", op.apply(sympy.sqrt, op.column_sum((X - ones @ mu.T) ** 2) / n + epsilon))
    X_hat = m.let("X_hat", (X - ones @ mu.T) / (ones @ sigma.T))
    O = m.let("O", (ones @ gamma.T) * X_hat + ones @ beta.T)  # noqa: E741
    m.let("J", squares(Y - O) / (2 * n))
    return m.model("J", None)


def embedding() -> Model:
    m = Author("embedding", v=1000, t=20, m=32, q=4, n=64)
    tok, y = m.input("tok", "t", classes="v"), m.target("y", classes="q")
    Emb, W, b = m.param("Emb", "v", "m"), m.param("W", "q", "m"), m.param("b", "q")
    chosen = op.onehot(tok, dimension("v"))
    a = m.let("a", op.column_sum(chosen @ Emb) / dimension("t"))
    o = m.let("o", W @ a + b)
    m.let("J", op.cross_entropy(o, y))
    return m.model("J", "n")


def gaussian() -> Model:
    m = Author("gaussian", d=8, n=128)
    x, mu, A = m.input("x", "d"), m.param("mu", "d"), m.param("A", "d", "d")
    epsilon = m.hyper_parameter("epsilon", sympy.Rational(1, 10))
    d = dimension("d")
    Sigma = m.let("Sigma", A @ A.T + epsilon * op.identity(d))
    r = m.let("r", x - mu)
    quadratic = op.product(op.product(r.T, op.inverse(Sigma)), r)
    m.let("J", (quadratic + op.scalar_of_matrix("logdet", Sigma) + d * sympy.log(2 * sympy.pi)) / 2)
    return m.model("J", "n")


def rational_matrices() -> Model:
    """Inverse, determinant, trace, magnitude, pointwise maximum: all of it rational. Without a batch."""
    m = Author("rational_matrices", d=3)
    A, B = m.param("A", "d", "d"), m.param("B", "d", "d")
    X = m.input("X", "d", "d")
    inverse = m.let("R", op.inverse(A + 2 * op.identity(dimension("d"))))
    larger = m.let("H", op.apply(scalar.maximum, B, X, X * sympy.Rational(1, 3)))
    size = m.let("s", op.norm(B, "inf") + op.norm(A, "1"))
    det = op.scalar_of_matrix("det", A @ B)
    m.let("J", op.trace(inverse @ larger @ X) + det**2 + size / (1 + squares(B)))
    return m.model("J", None)


CASES: dict[str, Callable[[], Any]] = {
    case.__name__: case
    for case in (
        tanh_mlp,
        relu_mlp,
        softmax_regression,
        elastic_net,
        attention,
        convolution,
        layer_norm,
        batch_norm,
        embedding,
        gaussian,
        rational_matrices,
    )
}
