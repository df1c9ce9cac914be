"""Under ``batch n`` equations are per example; n is a number, never an axis or an index."""

from __future__ import annotations

import pytest

from symbackprop.errors import EquationError
from symbackprop.graph.lift import batch_graph
from tests.language.models import model

DECLARED = """\
dim d = 3, q = 5
batch n = 8
input x[d], tok in q
target y[q]
param W[q, d], b[q], E[q, d]
hyper lambda = 1
"""

LIFTED = [
    ("o = W x + b", "n × q"),
    ("o[i] = sum[j](W[i, j] x[j])", "n × q"),
    ("o[j] = E[tok, j]", "n × d"),
    ("o = mean(x)", "n"),
    ("o = max(x)", "n"),
    ("o = sum(y)", "n"),
    ("o = ||W||^2", ""),
    ("o = lambda W", "q × d"),
    ("o = W^T b", "d"),
    ("o = x / n", "n × d"),
    ("o = x x^T", "n × d × d"),
]


@pytest.mark.parametrize(("text", "shape"), LIFTED)
def test_a_value_is_lifted_if_it_depends_on_an_input_or_target(text: str, shape: str) -> None:
    lifted = batch_graph(model(text, DECLARED)).by_name["o"]
    assert " × ".join(str(size) for size in lifted.node.shape) == shape


NUMBER = ["L = sum(x) / n", "L = size(n) sum(x)", "L[i] = where(i < n, b[i], 0)"]


@pytest.mark.parametrize("text", NUMBER)
def test_the_batch_size_is_a_number(text: str) -> None:
    assert model(text, DECLARED)


NEVER = [
    "param V[n]\nL = sum(V)",
    "L[n] = b[n]",
    "L = sum[n](b[n])",
    "L = max[n in 2](b[0] n)",
    "L[i in n] = 1",
    "L = ones(n)",
    "L = b[n]",
    "L = b[n - 4]",
    "target z in n\nL = sum(x)",
]


@pytest.mark.parametrize("text", NEVER)
def test_and_never_an_axis_or_an_index(text: str) -> None:
    with pytest.raises(EquationError, match="n is the batch dimension, and no (axis|index)"):
        model(text, DECLARED)


def test_without_batch_the_examples_are_an_axis() -> None:
    found = model("dim n = 4, d = 2\ninput X[n, d]\nmu[j] = mean[i](X[i, j])\nL = ||mu||^2 / n", "")
    assert batch_graph(found) is found.graph
