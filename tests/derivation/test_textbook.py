"""The forms a textbook prints, for many spellings of each model: the same nodes as the expected formula, and its print.

An expected formula is itself an equation, in the model's names and those of the cotangents (``d o`` for ∂J/∂o is written
``d_o``), so it is compared as mathematics in normal form and not as a string.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from symbackprop.api import derive, parse
from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.functions.scalar import guarded
from symbackprop.graph.build import leaf, pointwise
from symbackprop.graph.nodes import Leaf, Node, Pointwise
from symbackprop.graph.walk import rewrite, substitute
from tests.language.models import below_a_heading


def expected(derived: DerivedGraph, formula: str) -> Node:
    """The node of a formula in the values of the derivation; ``d_x`` stands for its cotangent of x, ``G`` for an open one."""
    graph = derived.graph
    given: dict[str, Leaf] = {d.name: d for d in graph.declarations if d.kind != "cotangent"}
    given |= {equation.name: equation.reference for equation in derived.forward}
    for name in list(given):
        equation = graph.by_name.get(derived.gradient_name(name))
        if equation is not None:
            given[f"d_{name}"] = equation.reference
    if graph.declarations[-1].kind == "cotangent":
        given["G"] = graph.declarations[-1]
    lines = [f"dim {', '.join(dict.fromkeys([*derived.model.dimensions, derived.model.batch or 'd']))}"]
    for name, reference in given.items():
        classes = "" if reference.classes is None else f" in {reference.classes}"
        lines.append(f"input {name}[{', '.join(str(size) for size in reference.shape)}]{classes}")
    lines.append(f"wanted{formula}" if formula.startswith("[") else f"wanted = {formula}")
    replaced: dict[Node, Node] = {leaf("input", n, r.shape, r.classes): r for n, r in given.items()}
    return substitute(below_a_heading("\n".join(lines)).graph.by_name["wanted"].node, replaced)


def unguarded(node: Node) -> Node:
    """A divisor that is 1 where it would be 0 prints as itself."""

    def bare(part: Node) -> Node | None:
        if not isinstance(part, Pointwise) or not part.expression.has(guarded):
            return None
        expression = part.expression.replace(guarded, lambda u: u)
        return pointwise(expression, list(zip(part.operands, part.labels, strict=True)), part.shape)

    return rewrite(node, bare)


def check(text: str, wanted: Mapping[str, str], *, batched: bool = False) -> None:
    derived = derive_graph(below_a_heading(text), batched=batched)
    for name, formula in wanted.items():
        found = unguarded(derived.gradient(name).node)
        assert found is expected(derived, formula), f"∂/∂{name} is {found!r}, not {formula}\n{text}"


# ---------------------------------------------------------------- squared loss with L2

D2L = """
dim d = 4, h = 3, q = 2
batch n = 5
input x[d]
target y[q]
param W1[h, d], b1[h], W2[q, h], b2[q]
hyper lambda = 0.001
z = W1 x + b1
a = {activation}
o = W2 a + b2
L = {loss}
s = {penalty}
J = L + s
minimize J
"""
LOSSES = (
    "1/2 ||y - o||^2",
    "1/2 ||o - y||^2",
    "1/2 (o - y)^T (o - y)",
    "sum((y - o).^2) / 2",
    "0.5 sum(squared_error(o, y)) * 2",
)
PENALTIES = (
    "lambda/2 (||W1||^2 + ||W2||^2)",
    "lambda/2 (tr(W1^T W1) + sum(W2 ⊙ W2))",
    "0.5 λ ||W2||^2 + λ/2 sum(W1.^2)",
)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_squared_loss_with_l2(loss: str, penalty: str) -> None:
    text = D2L.format(activation="relu(z)", loss=loss, penalty=penalty)
    check(
        text,
        {
            "s": "1",
            "L": "1",
            "o": "o - y",
            "W2": "d_o a^T + lambda W2",
            "b2": "d_o",
            "a": "W2^T d_o",
            "z": "d_a ⊙ relu'(z)",
            "W1": "d_z x^T + lambda W1",
            "b1": "d_z",
        },
    )
    check(
        text,
        {
            "o": "(o - y) / n",
            "W2": "d_o^T a + lambda W2",
            "b2": "d_o^T ones(n)",
            "a": "d_o W2",
            "z": "d_a ⊙ relu'(z)",
            "W1": "d_z^T x + lambda W1",
            "b1": "d_z^T ones(n)",
        },
        batched=True,
    )


def test_it_prints_as_the_textbook_does() -> None:
    model = derive(parse(D2L.format(activation="relu(z)", loss=LOSSES[0], penalty=PENALTIES[0])))
    printed = [model.gradient(name).text() for name in ("o", "W2", "b2", "a", "z", "W1", "b1")]
    assert printed == [
        "∂J/∂o = o − y",
        "∂J/∂W2 = (∂J/∂o) aᵀ + λ W2",
        "∂J/∂b2 = ∂J/∂o",
        "∂J/∂a = W2ᵀ (∂J/∂o)",
        "∂J/∂z = ∂J/∂a ⊙ relu′(z)",
        "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1",
        "∂J/∂b1 = ∂J/∂z",
    ]
    batch = [model.gradient(name, batch_form=True).text() for name in ("W1", "b1")]
    assert batch == ["∂J/∂W1 = (∂J/∂Z)ᵀ X + λ W1", "∂J/∂b1 = (∂J/∂Z)ᵀ 𝟏"]


# ---------------------------------------------------------------- softmax and sigmoid with their losses

CLASSES = """
dim d = 4, q = 3
batch n = 5
input x[d]
target y in q
param W[q, d]
o = W x
{loss}
minimize L
"""


@pytest.mark.parametrize(
    "loss",
    [
        "L = cross_entropy(o, y)",
        "L = logsumexp(o) - o[y]",
        "L = log(sum(exp(o))) - o[y]",
        "L = -sum(onehot(y) ⊙ log(softmax(o)))",
        "L = -sum(onehot(y) ⊙ log_softmax(o))",
        "L = -onehot(y)^T log_softmax(o)",
        "L = -log(exp(o[y]) / sum(exp(o)))",
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_softmax_with_cross_entropy(loss: str, batched: bool) -> None:
    wanted = "(softmax(o) - onehot(y)) / n" if batched else "softmax(o) - onehot(y)"
    check(CLASSES.format(loss=loss), {"o": wanted}, batched=batched)


@pytest.mark.parametrize("loss", ["p = softmax(o)\nL = -sum(onehot(y) ⊙ log(p))", "p = softmax(o)\nL = -log(p[y])"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_named_softmax_with_cross_entropy(loss: str, batched: bool) -> None:
    check(CLASSES.format(loss=loss), {"o": "(p - onehot(y)) / n" if batched else "p - onehot(y)"}, batched=batched)


@pytest.mark.parametrize(
    "loss",
    [
        "L = cross_entropy(o, y)",
        "L = -sum(y ⊙ log(softmax(o)))",
        "L = -y^T log_softmax(o)",
        "p = softmax(o)\nL = -y^T log(p)",
    ],
)
def test_softmax_with_a_distribution(loss: str) -> None:
    name = "p" if "p =" in loss else "softmax(o)"
    check(CLASSES.replace("y in q", "y[q]").format(loss=loss), {"o": f"sum(y) {name} - y"})


BINARY = CLASSES.replace("y in q", "y[q]")


@pytest.mark.parametrize(
    "loss",
    [
        "L = sum(binary_cross_entropy(o, y))",
        "L = sum(softplus(o) - y ⊙ o)",
        "L = sum(log(1 + exp(o)) - o ⊙ y)",
        "L = -sum(y ⊙ log(sigmoid(o)) + (1 - y) ⊙ log(1 - sigmoid(o)))",
        "L = -y^T log(sigmoid(o)) - (1 - y)^T log(sigmoid(-o))",
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_sigmoid_with_binary_cross_entropy(loss: str, batched: bool) -> None:
    check(BINARY.format(loss=loss), {"o": "(sigmoid(o) - y) / n" if batched else "sigmoid(o) - y"}, batched=batched)


def test_a_named_sigmoid_with_binary_cross_entropy() -> None:
    check(BINARY.format(loss="p = sigmoid(o)\nL = -sum(y ⊙ log(p) + (1 - y) ⊙ log(1 - p))"), {"o": "p - y"})


# ---------------------------------------------------------------- through a saved output


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        ("tanh(z)", "(1 - a.^2)"),
        ("sigmoid(z)", "a ⊙ (1 - a)"),
        ("1 ./ (1 + exp(-z))", "a ⊙ (1 - a)"),
        ("exp(z)", "a"),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_through_the_saved_output(activation: str, slope: str, batched: bool) -> None:
    text = D2L.format(activation=activation, loss=LOSSES[0], penalty=PENALTIES[0])
    check(text, {"z": f"d_a ⊙ {slope}"}, batched=batched)


@pytest.mark.parametrize("softmax", ["softmax(u)", "exp(u - logsumexp(u))", "exp(u) / sum(exp(u))"])
def test_softmax_alone(softmax: str) -> None:
    check(f"dim d = 3\nparam u[d]\np = {softmax}\n", {"u": "p ⊙ (G - p^T G)"})
    check(
        f"dim d = 3\nparam u[d]\ntarget y[d]\np = {softmax}\nL = 1/2 ||p - y||^2\nminimize L\n",
        {"u": "p ⊙ (d_p - (p^T d_p))"},
    )


# ---------------------------------------------------------------- normalisation

LAYER_NORM = """
dim m = 4, d = 3
batch n = 5
input h[m]
target y[d]
param W[d, m], gamma[d], beta[d]
hyper epsilon = 0.00001
x = W h
{statistics}
o = gamma ⊙ x_hat + beta
L = 1/2 ||y - o||^2
minimize L
"""
VARIANCES = ("mean((x - mean(x)).^2)", "||x - mean(x)||^2 / d", "1/d sum((x - mean(x)) ⊙ (x - mean(x)))")


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("named", ["", "mu", "sigma", "mu sigma", "mu v sigma"])
def test_layer_norm(variance: str, named: str) -> None:
    lines = []
    mean, deviation = "mean(x)", f"sqrt({variance} + epsilon)"
    if "mu" in named:
        lines.append("mu = mean(x)")
        mean, deviation = "mu", deviation.replace("mean(x)", "mu")
    if "v" in named.split():
        lines.append(f"v = {deviation[5:-11]}")
        deviation = "sqrt(v + epsilon)"
    if "sigma" in named:
        lines.append(f"sigma = {deviation}")
        deviation = "sigma"
    statistics = "\n".join([*lines, f"x_hat = (x - {mean}) / {deviation}"])
    check(
        LAYER_NORM.format(statistics=statistics),
        {
            "o": "o - y",
            "x_hat": "d_o ⊙ gamma",
            "x": f"(d_x_hat - mean(d_x_hat) - x_hat mean(d_x_hat ⊙ x_hat)) / {deviation}",
            "gamma": "d_o ⊙ x_hat",
            "beta": "d_o",
            "W": "d_x h^T",
        },
    )


def test_batch_norm() -> None:
    for axes in ("i, j", "p, r"):
        i, j = axes.split(", ")
        text = f"""
            dim n = 5, d = 3
            input X[n, d]
            target Y[n, d]
            param A[d, d], gamma[d], beta[d]
            hyper epsilon = 0.00001
            Z = X A
            mu[{j}] = mean[{i}](Z[{i}, {j}])
            sigma[{j}] = sqrt(mean[{i}]((Z[{i}, {j}] - mu[{j}])^2) + epsilon)
            X_hat[{i}, {j}] = (Z[{i}, {j}] - mu[{j}]) / sigma[{j}]
            O[{i}, {j}] = gamma[{j}] X_hat[{i}, {j}] + beta[{j}]
            L = 1/(2 n) ||Y - O||^2
            minimize L
            """
        check(
            text,
            {
                "O": "(O - Y) / n",
                "X_hat": "[i, j] = d_O[i, j] gamma[j]",
                "Z": "[i, j] = (d_X_hat[i, j] - mean[k](d_X_hat[k, j])"
                " - X_hat[i, j] mean[k](d_X_hat[k, j] X_hat[k, j])) / sigma[j]",
                "gamma": "[j] = sum[i](d_O[i, j] X_hat[i, j])",
                "beta": "[j] = sum[i](d_O[i, j])",
                "A": "X^T d_Z",
            },
        )


# ---------------------------------------------------------------- attention

ATTENTION = """
dim t = 4, m = 3, d = 2
batch n = 2
input X[t, m]
target Y[t, d]
param Wq[m, d], Wk[m, d], Wv[m, d]
Q = X Wq
K = X Wk
V = X Wv
{scores}
O = P V
L = 1/2 ||Y - O||^2
minimize L
"""
SCORES = {
    "matrix": "S = Q K^T / sqrt(d)\nP = softmax(S)",
    "transposed": "S = (K Q^T)^T / sqrt(d)\nP = softmax(S)",
    "index": "S[i, j] = sum[k](Q[i, k] K[j, k]) / sqrt(d)\nP[i, j] = exp(S[i, j]) / sum[k](exp(S[i, k]))",
    "where": "S = Q K^T / sqrt(d)\nM[i, j] = where(i >= j, S[i, j], -inf)\nP = softmax(M)",
    "inline": "S = Q K^T / sqrt(d)\nP[i, j] = where(i >= j, exp(S[i, j]), 0) / sum[k](where(i >= k, exp(S[i, k]), 0))",
    "index mask": "S[i, j] = sum[k](Q[i, k] K[j, k]) / sqrt(d)\nM[p, r] = where(r <= p, S[p, r], -inf)\n"
    "P[i, j] = exp(M[i, j] - logsumexp[k](M[i, k]))",
}


@pytest.mark.parametrize("scores", [name for name in SCORES if name != "inline"])
@pytest.mark.parametrize("batched", [False, True])
def test_attention(scores: str, batched: bool) -> None:
    masked = "M" if "mask" in scores or scores == "where" else "S"
    b, mean = ("b, ", " / n") if batched else ("", "")
    wanted = {
        "O": f"(O - Y){mean}",
        "V": f"[{b}i, j] = sum[k](P[{b}k, i] d_O[{b}k, j])",
        "P": f"[{b}i, j] = sum[k](d_O[{b}i, k] V[{b}j, k])",
        masked: f"[{b}i, j] = P[{b}i, j] (d_P[{b}i, j] - sum[k](d_P[{b}i, k] P[{b}i, k]))",
        "Q": f"[{b}i, j] = sum[k](d_S[{b}i, k] K[{b}k, j]) / sqrt(d)",
        "K": f"[{b}i, j] = sum[k](d_S[{b}k, i] Q[{b}k, j]) / sqrt(d)",
    }
    if masked == "M":
        wanted["S"] = "d_M"
    if not batched:
        wanted |= {"V": "P^T d_O", "P": "d_O V^T", "Q": "d_S K / sqrt(d)", "K": "d_S^T Q / sqrt(d)"}
    check(ATTENTION.format(scores=SCORES[scores]), wanted, batched=batched)


# ---------------------------------------------------------------- convolution


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(stride: int) -> None:
    """The kernel's gradient is a correlation of the input with the cotangent, the input's a full convolution."""
    text = f"""
        dim s = {4 + 2 * (stride - 1) + 1}, a = 3, p = 3
        input X[s, s]
        param K[a, a], B[s, s]
        U = X + B
        Y[i in p, j in p] = sum[u, v](K[u, v] U[{stride} i + u, {stride} j + v])
        L = 1/2 ||Y||^2
        minimize L
        """
    reached = f"d_Y[u, v] K[c, e] [{stride} u + c == i] [{stride} v + e == j]"
    check(
        text,
        {
            "Y": "Y",
            "K": f"[u in a, v in a] = sum[i, j](d_Y[i, j] U[{stride} i + u, {stride} j + v])",
            "U": f"[i in s, j in s] = sum[u in p, v in p, c in a, e in a]({reached})",
        },
    )


# ---------------------------------------------------------------- matrices


@pytest.mark.parametrize("spelling", ["logdet(X)", "log(det(X))", "logdet(X^T)", "-logdet(inv(X))"])
def test_log_determinant(spelling: str) -> None:
    check(f"dim d = 3\nparam X[d, d]\nL = {spelling}\nminimize L\n", {"X": "inv(X)^T"})


@pytest.mark.parametrize("spelling", ["inv(X)", "X^-1", "inv(X^T)^T"])
def test_inverse(spelling: str) -> None:
    check(f"dim d = 3\nparam X[d, d]\nY = {spelling}\n", {"X": "-Y^T G Y^T"})
    text = f"dim d = 3\ninput C[d, d]\nparam X[d, d]\nL = sum(C ⊙ {spelling})\nminimize L\n"
    check(text, {"X": "-inv(X)^T C inv(X)^T"})


@pytest.mark.parametrize("spelling", ["tr(A X)", "tr(X A)", "tr(X^T A^T)", "sum(A ⊙ X^T)", "sum(A^T ⊙ X)"])
def test_trace(spelling: str) -> None:
    check(f"dim p = 3, q = 2\ninput A[p, q]\nparam X[q, p]\nL = {spelling}\nminimize L\n", {"X": "A^T"})


@pytest.mark.parametrize("spelling", ["||v||", "sqrt(v^T v)", "sqrt(sum(v.^2))", "norm(v)", "(v^T v)^0.5"])
def test_norm(spelling: str) -> None:
    check(f"dim d = 3\nparam v[d]\nr = {spelling}\nL = r\nminimize L\n", {"v": "v / r"})
