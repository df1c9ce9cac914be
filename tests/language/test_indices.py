"""Index equations: axes, ranges, sums, lookups, padding."""

from __future__ import annotations

import pytest

from symbackprop.errors import EquationError
from symbackprop.language.inequalities import impossible
from tests.language.models import meaning, model

SAME = [
    ("a matrix product", "L[i, j] = sum[k](A[i, k] B[k, j])", "L = A B"),
    ("an inner product", "L = sum[i](u[i] v[i])", "L = u^T v"),
    ("an outer product", "L[i, j] = u[i] v[j]", "L = u v^T"),
    ("a transpose", "L[i, j] = A[j, i]", "L = A^T"),
    ("a trace", "L = sum[i](A[i, i])", "L = tr(A)"),
    ("a diagonal", "L[i] = A[i, i]", "L = diag(A)"),
    ("a diagonal matrix", "L[i, j] = where(i == j, A[i, j], 0)", "L[i, j] = where(j - i == 0, A[i, j], 0)"),
    ("the identity", "L[i in h, j in h] = where(i == j, 1, 0) + A[i, j]", "L = A + I"),
    ("a mean", "L = mean[i](u[i])", "L = mean(u)"),
    ("a maximum", "L = max[i](u[i])", "L = max(u)"),
    ("a stable reduction", "L = logsumexp[i](p[i])", "L = logsumexp(p)"),
    ("row sums", "L[i] = sum[j](A[i, j])", "L = rowsum(A)"),
    ("column sums", "L[j] = sum[i](A[i, j])", "L = colsum(A)"),
    ("several indices", "L = sum[i, j](A[i, j]^2)", "L = ||A||^2"),
    ("a class marked", "L[i in q] = where(i == c, 1, 0)", "L = onehot(c)"),
    ("a class looked up", "L = p[c]", "L = sum[i](p[i] [i = c])"),
    ("a softmax written out", "L[i] = exp(p[i]) / sum[j](exp(p[j]))", "L = softmax(p)"),
    ("elementwise functions", "L[i] = tanh(u[i])", "L = tanh(u)"),
    ("a declared function", "L[i] = swish(u[i])", "L = swish(u)"),
    ("max of two", "L[i] = max(u[i], v[i])", "L = max(u, v)"),
    ("min of two", "L[i] = min(u[i], 0)", "L = min(u, 0)"),
    ("magnitude", "L[i] = ||u[i]||", "L = abs(u)"),
    ("a power", "L[i] = u[i]^2", "L = u .^ 2"),
    ("a quotient", "L[i] = u[i] / v[i]", "L = u ./ v"),
    ("order of sums", "L[i] = sum[j](sum[k](A[i, k] B[k, j]) u[j])", "L[i] = sum[j, k](A[i, k] B[k, j] u[j])"),
    ("a scalar equation with axes", "L[] = s", "L = s"),
    ("constant subscripts", "L = A[0, 1] + A[h - 1, 1]", "L = A[size(h) - 1, 1] + A[0, 1]"),
    ("a doubled condition", "L[i] = where((i >= 1) (i <= 2), u[i], 0)", "L[i] = where((i <= 2) ⊙ (i >= 1), u[i], 0)"),
    ("shadowing", "L[i] = sum[j](A[i, j] u[j]) + sum[j](W[i, j] x[j])", "L = A u + W x"),
]


@pytest.mark.parametrize(("indexed", "matrix"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_index_form_means(indexed: str, matrix: str) -> None:
    assert meaning(indexed) is meaning(matrix)


RANGES = [
    ("L[i] = u[i]", "h"),
    ("L[i, j] = W[i, j]", "h × d"),
    ("L[i in 2] = u[i]", "refused"),
    ("L[i in h] = 3", "h"),
    ("L[i in (h - 1)] = u[i + 1]", "h - 1"),
    ("L[i in floor(h/2)] = u[2 i]", "floor(h/2)"),
    ("L[i in floor(h/2)] = u[i + floor(h/2)]", "floor(h/2)"),
    ("L[i in 7] = 3", "7"),
    ("L[i] = u[i + 1]", "h - 1"),
    ("L[i] = u[h - 1 - i]", "h"),
    ("L[i] = u[3 - i]", "4"),
    ("L[i] = u[2 i]", "floor(h/2 - 1/2) + 1"),
    ("L[i] = sum[j](p[i + j] x[j])", "-d + q + 1"),
    ("L[i] = sum[a in 2](p[i + a])", "q - 1"),
    ("L[i] = sum[j](p[i + j] x[j]) + sum[j](p[i + j] u[j])", "Min(-d + q + 1, -h + q + 1)"),
    ("L[i] = sum[j](A[i, j] u[j]) + sum[j](W[i, j] x[j])", "h"),
    ("L[t, j] = T3[tok[0], 0, j] tok[t]", "refused"),
    ("L[t] = p[tok[t]]", "k"),
    ("L[i] = where(i >= 1, u[i - 1], 0)", "h + 1"),
]


@pytest.mark.parametrize(("text", "shape"), RANGES)
def test_a_range_is_the_axis_subscripted_alone_or_the_longest_from_zero(text: str, shape: str) -> None:
    if shape == "refused":
        with pytest.raises(EquationError):
            meaning(text)
    else:
        assert " × ".join(str(size) for size in meaning(text).shape) == shape


EXCLUDED = [
    "L[i in h] = where(i >= 1, u[i - 1], 0)",
    "L[i in h] = where(i > 0, u[i - 1], 0)",
    "L[i in h] = where(0 < i, u[i - 1], 0)",
    "L[i in h] = where(i < 1, 0, u[i - 1])",
    "L[i in h] = where(i == 0, 0, u[i - 1])",
    "L[i in h] = where(i != 0, u[i - 1], 0)",
    "L[i in h] = where(i - 1 >= 0, u[i - 1], 0)",
    "L[i in h] = where(2 i >= 1, u[i - 1], 0)",
    "L[i in h] = where(i + 1 < h, u[i + 1], 0)",
    "L[i in h] = where(i == h - 1, 0, u[i + 1])",
    "L[i in h] = where(i >= h - 1, 0, u[i + 1])",
    "L[i in h] = where(i > h - 2, 0, u[i + 1])",
    "L[i in h] = where(i <= 0, 0, u[i - 1])",
    "L[i in h] = where(i != 2, 0, u[i + 1])",
    "L[i in h] = where(i == 0, u[0], where(i == 3, 0, u[i + 1] - u[i - 1]))",
    "L[i in h] = where((i >= 1) (i <= 2), u[i + 1] - u[i - 1], 0)",
    "L[i in h, j in h] = where(i >= j, u[i - j], 0)",
    "L[i in h, j in h] = where(i == j, 0, where(i > j, u[i - j - 1], u[j - i - 1]))",
    "L[i in d, j in d] = where(i >= 1, where(j >= 1, u[i + j - 2], 0), 0)",
    "L[i in h] = sum[a in 3](where((i + a >= 1) (i + a <= h), u[i + a - 1], 0))",
    "L[i in h] = where(i >= 1, sum[a in 2](u[i - a]), 0)",
    "L[t] = where(tok[t] < 3, u[tok[t] + 1], 0)",
]


@pytest.mark.parametrize("text", EXCLUDED)
def test_a_where_that_excludes_the_outside_allows_it(text: str) -> None:
    assert meaning(text) is not None


NOT_EXCLUDED = [
    "L[i in h] = u[i - 1]",
    "L[i in h] = where(i >= 1, u[i + 1], 0)",
    "L[i in h] = where(i >= 0, u[i - 1], 0)",
    "L[i in h] = where(i >= 1, 0, u[i - 1])",
    "L[i in h] = where(i == 1, 0, u[i - 1])",
    "L[i in h] = where(i < h, u[i + 1], 0)",
    "L[i in h] = where(i >= h, 0, u[i + 1])",
    "L[i in h] = where(i > h - 1, 0, u[i + 1])",
    "L[i in h] = where(i <= -1, 0, u[i - 1])",
    "L[i in h] = where(i < 0, 0, u[i - 1])",
    "L[i in h] = where(i >= 1, u[i - 2], 0)",
    "L[i in h] = where(s > 0, u[i - 1], 0)",
    "L[i in h] = where(u[i] > 0, u[i - 1], 0)",
    "L[i in h] = where(i/2 >= 1, 0, u[i - 1])",
    "L[i in h] = where((i >= 1) (i <= 2), 0, u[i - 1])",
    "L[i in h, j in h] = where(i >= j, u[j - i], 0)",
    "L[i in h] = where(i >= 1, 0, 1) u[i - 1]",
    "L[i in h] = u[4]",
    "L[i in h] = u[-1] i",
    "L[t] = u[tok[t]]",
    "L[t] = where(tok[t] < 4, p[tok[t] + 2], 0)",
]


@pytest.mark.parametrize("text", NOT_EXCLUDED)
def test_a_where_that_does_not_exclude_the_outside_is_no_excuse(text: str) -> None:
    with pytest.raises(EquationError, match="leaves its axis"):
        meaning(text)


SYMBOLIC = "dim d, h\nparam u[d], v[h]\n"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("L[i in d] = where(i >= 1, u[i - 1], 0)", True),
        ("L[i in d] = where(i < d - h, u[i + h], 0)", True),
        ("L[i in d] = where(i == d - 1, 0, u[i + 1])", True),
        ("L[i] = sum[j](u[i + j] v[j])", True),
        ("L[i in d] = u[i + 1]", False),
        ("L[i in d] = where(i >= 1, u[i + 1], 0)", False),
        ("L[i in d] = u[i + h]", False),
    ],
)
def test_without_default_sizes_it_is_proved(text: str, fits: bool) -> None:
    if fits:
        assert meaning(text, SYMBOLIC) is not None
    else:
        with pytest.raises(EquationError, match="leaves its axis"):
            meaning(text, SYMBOLIC)


def test_inequalities_in_whole_numbers() -> None:
    def row(constant: int, **coefficients: int) -> dict[object, int]:
        return {1: constant, **coefficients}

    assert impossible([row(-1, i=1), row(0, i=-1)])  # i >= 1 and i <= 0
    assert not impossible([row(-1, i=1), row(1, i=-1)])  # i = 1
    assert impossible([row(-1, i=2), row(1, i=-2)])  # 2 i = 1
    assert impossible([row(0, i=1, j=-1), row(-1, i=-1, j=1)])  # i >= j and j > i
    assert not impossible([row(0, i=1), row(2, i=-1)], [row(0, i=1), row(-1, i=1)])  # 0..2 without 0 and 1
    assert impossible([row(0, i=1), row(1, i=-1)], [row(0, i=1), row(-1, i=1)])  # 0..1 without 0 and 1
    assert not impossible([])


CONSTRAINTS = [
    ("L = sum[i](z1[i] z2[i])", ("m", "n2")),
    ("L = z1^T z2", ("m", "n2")),
    ("L = sum(z1 + z2)", ("m", "n2")),
]


@pytest.mark.parametrize(("text", "sizes"), CONSTRAINTS)
def test_sizes_that_cannot_be_proved_equal_become_constraints(text: str, sizes: tuple[str, str]) -> None:
    declared = "dim m, n2\nparam z1[m], z2[n2]\n"
    assert [{str(left), str(right)} for left, right in model(text, declared).graph.constraints] == [set(sizes)]
    equal = declared.replace("m, n2", "m = 4, n2 = 4", 1)
    assert len(model(text, equal).graph.constraints) == 1
    with pytest.raises(EquationError, match=r"4.*5|5.*4"):
        model(text, declared.replace("m, n2", "m = 4, n2 = 5", 1))
