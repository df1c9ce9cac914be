"""Functions: declared by a formula or left open, built in, and what they go over."""

from __future__ import annotations

import pytest

from symbackprop.errors import EquationError
from tests.language.models import meaning, model

SAME = [
    ("a formula is the function", "function f(z) = 1 / (1 + exp(-z))\nL = log(f(s))", "L = log(sigmoid(s))", False),
    ("softmax along the last axis", "L = softmax(A)", "L[i, j] = exp(A[i, j]) / sum[m](exp(A[i, m]))", True),
    ("log_softmax", "L = log_softmax(A)", "L[i, j] = A[i, j] - logsumexp[m](A[i, m])", True),
    ("logsumexp along the last axis", "L = logsumexp(A)", "L[i] = logsumexp[j](A[i, j])", True),
    ("cross_entropy of a class", "L = cross_entropy(p, c)", "L = logsumexp(p) - p[c]", True),
    ("cross_entropy of a distribution", "L = cross_entropy(p, y)", "L = sum(y) logsumexp(p) - y^T p", True),
    ("max of one argument reduces", "L = max(A)", "L = max[i, j](A[i, j])", True),
    ("max of several is pointwise", "L = max(u, v, 0)", "L[i] = max(u[i], v[i], 0)", True),
    ("min reduces", "L = min(u)", "L = -max(-u)", True),
    ("min is pointwise", "L = min(u, v)", "L = -max(-u, -v)", True),
    ("sum goes over everything", "L = sum(A)", "L = sum[i, j](A[i, j])", True),
    ("mean goes over everything", "L = mean(A)", "L = sum(A) / (h h)", True),
    ("norm", "L = norm(A)", "L = ||A||", True),
    ("rowsum", "L = rowsum(A)", "L = A ones(h)", True),
    ("colsum", "L = colsum(A)", "L = A^T ones(h)", True),
    ("tr", "L = tr(A B)", "L = sum[i, j](A[i, j] B[j, i])", True),
    ("inv", "L = inv(A)", "L = A^-1", True),
    ("inv of a scalar", "L = inv(s)", "L = 1 / s", True),
    ("diag of a vector is a matrix", "L = diag(u) v", "L = u ⊙ v", True),
    ("diag of a matrix is a vector", "L = diag(A)", "L[i] = A[i, i]", True),
    ("onehot", "L = onehot(c)", "L[i in q] = [i = c]", True),
    ("onehot with a size", "L = onehot(c, 7)", "L[i in 7] = [i = c]", True),
    ("ones and zeros", "L = ones(h, d) + zeros(h, d)", "L = ones(h, d)", True),
    ("I takes the size it needs", "L = 2 I A + lambda I", "L = 2 A + lambda I", True),
    ("I from the left", "L = I - A", "L[i, j] = [i = j] - A[i, j]", True),
    ("relu and its spellings", "L = max(0, u)", "L = max(u, 0)", True),
    ("where in matrix form", "L = where(u > v, u, 0)", "L[i] = where(u[i] > v[i], u[i], 0)", True),
    ("a condition of several", "L = where((u > v) ⊙ (u > 0), u, 0)", "L[i] = where((u[i] > v[i]) (u[i] > 0), u[i], 0)", True),
    ("primes of built-in functions", "L = exp'(u)", "L = exp(u)", True),
    ("a hyper in a formula", "L = swish(u)", "L[i] = swish(u[i])", True),
    ("a parameter in a formula", "function f(z) = z r\nL = f(s)", "function f(z) = r z\nL = f(s)", True),
    ("a function in a formula", "function f(z) = swish(z)^2\nL = f(s)", "function f(z) = swish(z) swish(z)\nL = f(s)", True),
    ("a dimension in a formula", "function f(z) = z / h\nL = f(s)", "function f(z) = 1/h z\nL = f(s)", True),
    ("conditions in a formula", "function f(z) = where(z > 0, z, 0)\nL = f(s)", "function f(z) = relu(z)\nL = f(s)", True),
    ("max in a formula", "function f(z) = max(0, z)\nL = f(s)", "function f(z) = relu(z)\nL = f(s)", True),
    ("bars in a formula", "function f(z) = ||z||\nL = f(s)", "function f(z) = abs(z)\nL = f(s)", True),
]


@pytest.mark.parametrize(("text", "other", "same"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_a_function_means(text: str, other: str, same: bool) -> None:
    assert (meaning(text) is meaning(other)) == same


def test_an_open_function_carries_its_primes() -> None:
    found = model("function g(a, b2)\nL = sum(phi(u)) + sum(phi'(u)) + g(s, r)")
    assert [function.body for function in found.functions][-1] is None
    assert {part.func.title for part in meaning("L = phi(s) + phi''(s)").payload[0].args} == {"phi", "phi′′"}


SOFTMAXES = [
    "softmax(p)",
    "exp(p) / sum(exp(p))",
    "exp(log_softmax(p))",
    "exp(p - logsumexp(p))",
]


@pytest.mark.parametrize("probability", SOFTMAXES)
@pytest.mark.parametrize(
    "steps",
    ["L = cross_entropy({}, c)", "P = {}\nL = cross_entropy(P, c)", "P = {}\nQ = P\nL = cross_entropy(Q, y)"],
)
def test_cross_entropy_refuses_a_softmax(probability: str, steps: str) -> None:
    with pytest.raises(EquationError, match="takes logits"):
        meaning(steps.format(probability))


LOGITS = ["p", "2 softmax(p)", "log_softmax(p)", "exp(p)", "sigmoid(p)", "p - logsumexp(p)"]


@pytest.mark.parametrize("logits", LOGITS)
def test_cross_entropy_takes_what_is_no_softmax(logits: str) -> None:
    assert meaning(f"P = {logits}\nL = cross_entropy(P, c)") is not None
