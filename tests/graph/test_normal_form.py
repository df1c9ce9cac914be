"""Equal mathematics is one node: spellings in pairs, and the rules of the normal form one by one."""

from __future__ import annotations

import pickle

import pytest
import sympy

from symbackprop.errors import ShapeError
from symbackprop.graph.build import constant, contract, indicator, leaf, pointwise, reduction, transpose
from symbackprop.graph.equalities import exchangeable
from symbackprop.graph.nodes import Contraction, Node, Pointwise, Reduction, argument, axis
from symbackprop.graph.sizes import dimension
from symbackprop.graph.walk import substitute
from tests.language.models import below_a_heading

_0, _1 = argument(0), argument(1)
HEAD = "dim m = 2, k = 3, p = 4\nparam A[m, k], B[k, p], C[m, p], S[m, m], x[m], v[k]\ninput t[k] in p\n"

SAME = [
    ("A B", "(B^T A^T)^T"),
    ("tanh(A B)", "tanh(B^T A^T)^T"),
    ("sum(tanh(A B))", "sum(tanh(B^T A^T))"),
    ("sum(tanh(A B) ⊙ C)", "sum(C^T ⊙ tanh(B^T A^T))"),
    ("sum(C ⊙ (A B))", "sum(C^T ⊙ (B^T A^T))"),
    ("tr(C^T A B)", "tr(A B C^T)"),
    ("x^T A B C^T x", "x^T C B^T A^T x"),
    ("x^T (A B C^T) x", "tr(A B C^T x x^T)"),
    ("max(A)", "max(A^T)"),
    ("max(A B)", "max(B^T A^T)"),
    ("||A B||", "||B^T A^T||"),
    ("logsumexp[i, j](A[i, j])", "logsumexp[j, i](A[i, j])"),
    ("max[u in 2, w in 2](v[u + w])", "max[w in 2, u in 2](v[u + w])"),
    ("sum[i, j](A[i, j] v[j] x[i])", "x^T A v"),
    ("||C|| ||C||", "||C||^2"),
    ("||C||^4", "sum(C ⊙ C)^2"),
    ("sqrt(sum(C.^2))", "||C||"),
    ("sqrt(x^T x)", "||x||"),
    ("sum(sqrt(x ⊙ x))", "||x||_1"),
    ("1/2 (A B + C)", "C / 2 + 0.5 A B"),
    ("exp(x)^T exp(x)", "sum(exp(2 x))"),
    ("log(sum(exp(x)))", "logsumexp(x)"),
    ("exp(x) / sum(exp(x))", "softmax(x)"),
    ("log(softmax(x))", "log_softmax(x)"),
    ("log(1 + exp(x))", "softplus(x)"),
    ("log(1 - sigmoid(x))", "-softplus(x)"),
    ("1 ./ (1 + exp(-x))", "sigmoid(x)"),
    ("inv(S A A^T)^T", "inv(A A^T S^T)"),
    ("logdet((S + I)^T)", "logdet(S + I)"),
    ("det(inv(S))", "1 / det(S)"),
    ("logdet(inv(S))", "-logdet(S)"),
    ("inv(A A^T) C", "(C^T inv(A A^T))^T"),
    ("inv(inv(S))", "S"),
    ("sum[i](3 x[i])", "3 sum(x)"),
    ("sum[i in m](2)", "2 size(m)"),
    ("sum(I A)", "sum(A)"),
    ("sum[j](onehot(t)[i, j])", "ones(k)"),
    ("-(x - 1) ⊙ x", "(1 - x) ⊙ x"),
    ("(x - A v) / (-2)", "(A v - x) / 2"),
]


def node(expression: str) -> Node:
    if expression.startswith("sum[j](onehot"):
        text = f"{HEAD}h = onehot(t)\ny[i] = sum[j](h[i, j])\n"
        model = below_a_heading(text)
        (hot, y) = model.graph.equations
        return substitute(y.node, {hot.reference: hot.node})
    return below_a_heading(f"{HEAD}y = {expression}\n").graph.by_name["y"].node


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_node(left: str, right: str) -> None:
    assert node(left) is node(right)


DIFFERENT = [
    ("A B", "A (2 B)"),
    ("max(x)", "sum(x)"),
    ("tanh(A B)", "tanh(C)"),
    ("S x", "S^T x"),
    ("inv(S) x", "inv(S)^T x"),
]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_nodes(left: str, right: str) -> None:
    assert node(left) is not node(right)


# ---------------------------------------------------------------- the rules

m, n = dimension("m"), dimension("n")
A, x = leaf("parameter", "A", (m, n)), leaf("parameter", "x", (n,))


def test_nodes_are_one_object_also_after_pickling() -> None:
    product = contract([(A, (0, 1)), (x, (1,))], (0,), (m, n))
    assert product is contract([(x, (1,)), (A, (0, 1))], (0,), {0: m, 1: n})
    assert pickle.loads(pickle.dumps(product)) is product
    with pytest.raises(AttributeError, match="frozen"):
        product.shape = ()  # type: ignore[misc]


def test_neighbouring_pointwise_nodes_are_one() -> None:
    inner = pointwise(_0 + 1, [(x, (0,))], (n,))
    outer = pointwise(sympy.exp(_0) * _1, [(inner, (0,)), (x, (0,))], (n,))
    assert outer.operands == (x,) and outer.payload == (_0 * sympy.exp(_0 + 1),)


def test_what_does_not_depend_on_a_summed_label_stands_outside() -> None:
    s = leaf("parameter", "s", ())
    total = contract([(s, ()), (x, (0,))], (), (n,))
    assert isinstance(total, Pointwise) and total.payload == (_0 * _1,)
    assert contract([(s, ())], (), (n,)).payload == (_0 * n,)


def test_a_sum_over_an_equality_renames() -> None:
    equal = indicator("==", axis(0) - axis(1), (n, n))
    assert contract([(equal, (0, 1)), (x, (1,))], (0,), (n, n)) is x
    assert contract([(equal, (0, 1))], (0,), (n, n)) is constant(1, (n,))


def test_a_certain_condition_sums_to_1_and_an_uncertain_one_does_not() -> None:
    window = indicator("==", axis(0) - axis(1) - axis(2), (m + n - 1, m, n))
    assert contract([(window, (2, 0, 1))], (0, 1), (m, n, m + n - 1)) is constant(1, (m, n))
    shorter = indicator("==", axis(0) - axis(1) - axis(2), (m, m, n))
    assert isinstance(contract([(shorter, (2, 0, 1))], (0, 1), (m, n, m)), Contraction)


def test_a_diagonal_is_read_and_embedded() -> None:
    S = leaf("parameter", "S", (n, n))
    assert contract([(S, (0, 0))], (0,), (n,)).shape == (n,)
    embedded = contract([(x, (0,))], (0, 0), (n,))
    assert embedded.shape == (n, n)
    (diagonal,) = [operand for operand in embedded.operands if operand is not x]
    assert exchangeable(diagonal) == [(0, 1)]


def test_transposing_twice_is_nothing() -> None:
    for tensor in (
        A,
        contract([(A, (0, 1)), (A, (2, 1))], (0, 2), (m, n, m)),
        pointwise(sympy.exp(_0), [(A, (0, 1))], (m, n)),
    ):
        assert transpose(transpose(tensor, (1, 0)), (1, 0)) is tensor


def test_reductions_do_not_mind_the_order_of_their_labels() -> None:
    first = reduction("max", A, (0, 1), 0, (m, n))
    assert isinstance(first, Reduction) and first is reduction("max", A, (1, 0), 0, (n, m))


def test_sizes_that_differ_are_refused() -> None:
    two, three = sympy.Integer(2), sympy.Integer(3)
    short, long = leaf("parameter", "s", (two,)), leaf("parameter", "l", (three,))
    with pytest.raises(ShapeError):
        pointwise(_0 + _1, [(short, (0,)), (long, (0,))], (two,))
    with pytest.raises(ShapeError):
        contract([(short, (0,)), (long, (0,))], (), (two,))
    with pytest.raises(ShapeError):
        reduction("max", short, (0,), 0, (three,))


def test_a_triangle_is_not_its_transpose() -> None:
    """[i >= k] is no symmetric condition, though its two axes look alike."""
    below = indicator(">=", axis(0) - axis(1), (dimension("m"),) * 2)
    assert exchangeable(below) == []
    matrix, vector = (leaf("input", name, (dimension("m"),) * rank) for name, rank in (("S", 2), ("x", 1)))
    m = dimension("m")
    lower = contract([(matrix, (0, 1)), (below, (0, 1)), (vector, (1,))], (0,), (m, m))
    upper = contract([(matrix, (0, 1)), (below, (1, 0)), (vector, (1,))], (0,), (m, m))
    assert lower is not upper


def test_a_condition_on_its_diagonal_is_certain() -> None:
    """[i = j] read along one label twice is 1."""
    m = dimension("m")
    identity = indicator("==", axis(0) - axis(1), (m, m))
    vector = leaf("input", "x", (m,))
    assert contract([(identity, (0, 0)), (vector, (0,))], (0,), (m,)) is vector
    assert pointwise(_0 * _1, [(identity, (0, 0)), (vector, (0,))], (m,)) is vector
