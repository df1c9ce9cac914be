"""One line of the language at a time: its kernel, with products, computes what the graph says."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.derivation.derived import derive_graph
from symbackprop.derivation.products import with_products
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.names import Tangent
from tests.kernels.test_plan import agree
from tests.strategies import values_for

HEAD = "dim d = 3, h = 2\n{batch}param A[d, d], B[h, d], b[d]\ninput {x}\n"

LINES = {
    "a diagonal by repetition": "y[i] = A[i, i] + b[i] x[i]",
    "a diagonal in a product": "y[i] = A[i, i] b[i] x[i]",
    "a diagonal in a function": "y[i] = tanh(A[i, i]) x[i]",
    "diag of a matrix": "y = diag(A) ⊙ x + b",
    "diag of a vector": "y = diag(b) A x",
    "a trace": "y = tr(A A) x + b",
    "a lower triangle": "y[i] = sum[k](where(i >= k, A[i, k] x[k], 0)) + b[i]",
    "an upper triangle": "y[i] = sum[k](where(i <= k, A[i, k] x[k], 0)) + b[i]",
    "a strict triangle": "y[i] = sum[k](where(i > k, A[i, k] b[k] x[k], 0))",
    "a triangle, the other way": "y[k] = sum[i](where(i >= k, A[i, k] x[i], 0)) + b[k]",
    "a triangle twice": "y[i] = sum[j, k](where(i >= j, where(j >= k, A[i, j] A[j, k] x[k], 0), 0)) + b[i]",
    "all but the diagonal": "y[i] = sum[k](where(i != k, A[i, k] x[k], 0)) + b[i]",
    "the band above": "y[i] = sum[k](where(k == i + 1, A[i, k] x[k], 0)) + b[i]",
    "backwards": "y[i] = b[2 - i] x[i] + A[i, 2 - i]",
    "a shift": "y[i in d] = where(i > 0, b[i - 1] x[i - 1], 0) + A[i, i]",
    "an index as a value": "y[i] = i b[i] x[i] + A[0, i]",
    "a constant subscript": "y[i] = A[1, i] x[i] + b[2]",
    "a maximum over an axis": "y[i] = max[k](A[i, k] x[k]) + b[i]",
    "logsumexp over the other axis": "y[k] = logsumexp[i](A[i, k]) x[k] + b[k]",
    "a norm of rows": "y[i] = sqrt(sum[k](A[i, k]^2)) x[i] + b[i]",
    "an inverse": "y = (A A^T + I)^-1 x + b",
    "powers of a matrix": "y = A^2 x + A^T b",
    "an outer product": "y = (x b^T) A b",
    "two layers": "y = A tanh(B^T (B x)) + b",
    "windows": "y[i in d] = sum[a in d](where(i + a < d, b[a] x[i + a], 0)) + A[i, 0]",
    "a softmax in a product": "y = softmax(A x) ⊙ b",
}


@pytest.mark.parametrize("batched", [False, True], ids=["alone", "batch"])
@pytest.mark.parametrize("line", LINES)
def test_a_line(line: str, batched: bool) -> None:
    head = HEAD.format(batch="batch n = 2\n" if batched else "", x="x[d]")
    head = head if "B" in LINES[line] else head.replace(", B[h, d]", "").replace(", h = 2", "")
    model = sb.parse(f"{head}{LINES[line]}\nL = 1/2 ||y||^2 + 0.1 ||b||^2 + 0.1 ||A||^2\nminimize L\n")
    derived = with_products(derive_graph(model, batched=True))
    kernel = sb.derive(model).kernel(2)
    sizes = {name: size or 1 for name, size in model.dimensions.items()}
    values = values_for(derived.graph, sizes)
    params = {name: np.asarray(values[name]) for name in model.parameters}
    direction = {name: np.asarray(values[Tangent(name).name]) for name in params}
    expected = evaluate(derived.graph, values, sizes)
    workspace = kernel.Workspace(dtype=np.float64, **sizes)
    for _ in range(2):
        loss, gradients, products = kernel.loss_grad_and_hvp(params, direction, {"x": values["x"]}, workspace)
        assert loss == pytest.approx(float(expected["L"]))
        agree(gradients, {name: expected[derived.gradient_name(name)] for name in params})
        agree(products, {name: expected[product] for name, product in derived.products.items()})
