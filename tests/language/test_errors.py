"""What is wrong is said, with its place, and what would be right. The column is where the caret stands."""

from __future__ import annotations

import pytest

from symbackprop.errors import EquationError
from tests.language.models import DECLARED, LINES, model

# text (its first line is line 1 here), line, column, words of the message and of the hint
ERRORS = [
    # characters
    ("L = s \u200b+ r", 1, 7, "invisible character U+200B (ZERO WIDTH SPACE)", "delete it"),
    ("L = s # \u202e", 1, 9, "U+202E (RIGHT-TO-LEFT OVERRIDE)", "delete it"),
    ("L = \x00s", 1, 5, "U+0000", "delete it"),
    ("L = \u0391", 1, 5, "Greek letter U+0391 looks like the Latin A", "write A in Latin"),
    ("L = \u0440", 1, 5, "U+0440 (CYRILLIC SMALL LETTER ER) is neither Latin nor Greek", "Latin or Greek"),
    ("L = \u0131", 1, 5, "LATIN SMALL LETTER DOTLESS I) is easily taken for another", "plain Latin"),
    ("L = \ufb01", 1, 5, "is easily taken for another", "plain Latin"),
    ("L = \U0001d400", 1, 5, "neither Latin nor Greek", ""),
    ("L = \u0663 s", 1, 5, "digit U+0663 (ARABIC-INDIC DIGIT THREE)", "0 to 9"),
    ("L = s\u0331", 1, 6, "combining mark U+0331", "x_hat"),
    ("L = x\u0302y", 1, 5, "an accent belongs to a single letter", "xy_hat"),
    ("L = s $ r", 1, 7, "the character '$' means nothing here", "without $"),
    ("L = |s|", 1, 5, "'|' means nothing", "abs(x), a norm ||x||"),
    ("L = \\frac{s}{r}", 1, 5, "means nothing", "not LaTeX commands"),
    ("L = {s}", 1, 5, "means nothing", "brackets are ( and ["),
    ("L = s; M = r", 1, 6, "means nothing", "one statement a line"),
    ("L = _s", 1, 5, "'_' means nothing", "begins with a letter"),
    ("L = ||u||_3", 1, 10, "'_' means nothing", "_1, _2, _F or _inf"),
    ("L = s**2", 1, 6, "** is no sign of this language", "a power is written ^"),
    ("L := s", 1, 3, ":= is no sign", "written ="),
    ("L = ∂s", 1, 5, "means nothing", "derivatives are what the tool finds"),
    # numbers
    ("L = 1.2.3", 1, 8, "1.2.3 is no number", ""),
    ("L = 1e999 s", 1, 5, "too large or too small (at most 1e300)", ""),
    ("L = 1e-999 s", 1, 5, "too large or too small", ""),
    ("L = " + "9" * 5000, 1, 5, "too long (at most 400 digits)", ""),
    ("L = 2 3", 1, 7, "two numbers side by side", "write *"),
    ("L = 1e200 * 1e200 s", 1, 13, "too many digits for double precision", ""),
    ("L = 9^9999 s", 1, 5, "too many digits", ""),
    ("L = s^99999", 1, 5, "this exponent is too large", ""),
    ("L[i] = u[i]^99999", 1, 8, "this exponent is too large", ""),
    ("L = s / 0", 1, 9, "division by 0", ""),
    ("L = s / (1 - 1)", 1, 10, "division by 0", ""),
    ("L[i] = u[i] / 0", 1, 15, "division by 0", ""),
    ("hyper a = 1/0", 1, 13, "division by 0", ""),
    ("hyper a = s", 1, 11, "a number is needed here", ""),
    # brackets
    ("L = (s", 1, 5, "this ( is never closed", ""),
    ("L = s)", 1, 6, "this ) closes nothing", ""),
    ("L = (A[0, 1)", 1, 12, "this ) closes nothing; [ in column 7 is open", ""),
    ("L = ||u", 1, 5, "this || is never closed", ""),
    ("L = u||", 1, 6, "this || is never closed", ""),
    ("L = ||_1 u||", 1, 5, "the suffix belongs to the closing one", ""),
    ("L = " + "(" * 201 + "s" + ")" * 201, 1, 205, "nested more than 200 deep", ""),
    ("L = " + "exp(" * 201 + "s" + ")" * 201, 1, 808, "nested more than 200 deep", ""),
    ("L = " + "-(1 + " * 150 + "s" + ")" * 150, 1, 605, "nested more than 200 deep", "a name of its own"),
    ("L = A" + "^2^T" * 250, 1, 607, "nested more than 200 deep", ""),
    ("L = s" + " + s" * 5000, 1, 20001, "more than 10000 words and signs", "split it"),
    # statements
    ("L", 1, 2, "the statement ends too early", "expected = or ["),
    ("L =", 1, 4, "the statement ends too early", "expected an operand"),
    ("L = s +", 1, 8, "the statement ends too early", "expected an operand"),
    ("L = s r =", 1, 9, "a second = in one equation", "compare with =="),
    ("L == s", 1, 3, "an equation is written with one =", "L = ..."),
    ("= s", 1, 1, "= cannot begin a statement", "or an equation: z = ..."),
    ("3 = s", 1, 1, "3 cannot begin a statement", ""),
    ("dims m = 3", 1, 1, "dims cannot begin a statement", "dim, batch, input"),
    ("relu = s", 1, 1, "relu is a word of the language and cannot be a name", "another name"),
    ("I = A", 1, 1, "I is a word of the language", "another name"),
    ("param output[h]", 1, 7, "output is a word of the language", "another name"),
    ("phi = s", 1, 1, "phi is a function already", "another name"),
    ("L = dim s", 1, 5, "dim begins a statement", "one statement a line"),
    ("L = s > r > 1", 1, 11, "comparisons do not chain", "⊙"),
    ("L = A [0, 1]", 1, 7, "subscripts stand directly behind a name", "A[i, j]"),
    ("L [i] = u[i]", 1, 3, "subscripts stand directly behind a name", "A[i, j]"),
    ("L = (A)[0]", 1, 8, "holds a comparison", "A[i, j]"),
    ("L = s^2^3", 1, 8, "a^b^c can be read in two ways", "in brackets"),
    ("L = u .^2 .^2", 1, 11, "a^b^c can be read in two ways", "in brackets"),
    ("L = s\n + ", 2, 3, "the statement ends too early", ""),
    # declarations
    ("dim g = 0", 1, 9, "the size of g is 0", "a whole number from 1"),
    ("dim g = -1", 1, 9, "the size of g is -1", "a whole number from 1"),
    ("dim g = 1.5", 1, 9, "the size of g is 3/2", "a whole number from 1"),
    ("dim g = nan", 1, 9, "a number is needed", ""),
    ("dim g = 1208925819614629174706176", 1, 9, "the size of g is 1208925819614629174706176", "from 1 to 2147483647"),
    ("dim h = 3", 1, 5, "the dimension h is declared twice; it stands in line 1", ""),
    ("batch n = 2\nbatch m = 3", 2, 7, "there is a batch dimension already: n", ""),
    ("batch n = 2, m = 3", 1, 14, "there is one batch dimension", ""),
    ("param V[g]", 1, 9, "there is no dimension g", "one of: d, h, q, k"),
    ("param V[0]", 1, 9, "an axis of size 0", "from 1"),
    ("param V[h + 1]", 1, 9, "a size is the name of a dimension or a whole number", "dim m"),
    ("param V in q", 1, 12, "only inputs and targets hold integers", ""),
    ("param V = 3", 1, 11, "only a hyper-parameter has a default", ""),
    ("hyper m[h]", 1, 7, "a hyper-parameter is a scalar", ""),
    ("param s[]", 1, 7, "s is defined twice; it stands in line 4", ""),
    ("function g(a, a) = a", 1, 15, "two parameters of one name", ""),
    ("function g = 3", 1, 10, "needs its argument", "function g(u) = ..."),
    ("function s(a) = a", 1, 10, "s is defined twice", ""),
    ("function h(a) = a", 1, 10, "h is a dimension", ""),
    ("function relu(a) = a", 1, 10, "relu is a word of the language", ""),
    ("function g(a) = a^T", 1, 17, "made of scalars", ""),
    ("function g(a) = a x", 1, 19, "hypers and parameters; x is none of them", ""),
    ("function g(a) = a zz", 1, 19, "zz is not defined", "its arguments are a"),
    ("function g(a) = g(a)", 1, 17, "g is defined by itself", ""),
    ("minimize s", 1, 10, "s is no equation of this model", ""),
    ("L = u\nminimize L", 2, 10, "the objective L has the shape h; a scalar is needed", ""),
    ("L = s\nminimize L\nminimize L", 3, 10, "there is an objective already: L", ""),
    ("L = s\noutput L, M", 2, 11, "M is no equation of this model", ""),
    ("L = s\noutput L, L", 2, 11, "L is an output already", ""),
    # names
    ("L = zz", 1, 5, "zz is not defined", "declared or defined in a line above"),
    ("L = lamda s", 1, 5, "lamda is not defined", "did you mean lambda?"),
    ("L = M\nM = s", 1, 5, "M is not defined", ""),
    ("L = L + 1", 1, 5, "L is defined by itself", "a recurrence is written out"),
    ("L[i] = L[i] + u[i]", 1, 8, "L is defined by itself", "a recurrence is written out"),
    ("L = s\nL = L + 1", 2, 1, "L is defined twice; it stands in line", "a recurrence is written out"),
    ("L = rleu(u)", 1, 5, "there is no function rleu", "did you mean relu?"),
    ("L = frobnicate(s)", 1, 5, "there is no function frobnicate", "function frobnicate(u) = ..."),
    ("L = relu u", 1, 5, "a function is followed by its argument", "relu(...)"),
    ("L = log", 1, 5, "a function is followed by its argument", "log(...)"),
    ("L = phi + 1", 1, 5, "a function is followed by its argument", "phi(...)"),
    ("L = relu(u, v)", 1, 5, "relu takes 1 argument, not 2", ""),
    ("L = max()", 1, 5, "max takes 1 argument, not 0", ""),
    ("L = where(s > 0, s)", 1, 5, "where takes 3 arguments, not 2", ""),
    ("L = where(s, s, r)", 1, 11, "a comparison is needed here", "> < >= <= == !="),
    ("L[i] = where(u[i], 0, 1)", 1, 14, "a comparison is needed here", "> < >= <= == !="),
    ("L = huber'(s, r)", 1, 5, "a prime needs a function of one argument", ""),
    ("L = phi" + "'" * 9 + "(s)", 1, 5, "more than 8 primes", ""),
    ("L = size(u)", 1, 10, "size takes the name of a dimension", "size(h)"),
    ("L = onehot(u)", 1, 12, "onehot needs an integer tensor, not u (h)", "target y in q"),
    ("L = onehot(c, 4)", 1, 15, "c has q (5) classes, more than 4", ""),
    ("L = I", 1, 5, "nothing says how large this I is", "add it to a matrix"),
    ("L = s + I", 1, 9, "nothing says how large this I is", ""),
    ("L = u + I", 1, 9, "a square matrix is needed", ""),
    # shapes
    ("L = A + u", 1, 9, "A (h × h) + u (h): the shapes differ", "added to every row by ones(h) v^T"),
    ("L = W - x", 1, 9, "W (h × d) - x (d): the shapes differ", "added to every row by ones(h) v^T"),
    ("L = u - v^T", 1, 9, "u (h) - v (1 × h): the shapes differ", "transpose one of them"),
    ("L = u + x", 1, 5, "u (h) and x (d): the sizes d (3) and h (4) must be equal", ""),
    ("L = s + sum(u + x)", 1, 13, "u (h) and x (d): the sizes d (3) and h (4)", ""),
    ("L = W u", 1, 5, "W (h × d) and u (h): the sizes h (4) and d (3)", ""),
    ("L = s ||A W u||^2", 1, 9, "A (h × h) and W (h × d): the sizes h (4) and d (3)", ""),
    ("L = inv(W)", 1, 5, "W (h × d): the sizes", ""),
    ("L = det(W)", 1, 5, "W (h × d): the sizes", ""),
    ("L = u v", 1, 7, "u (h) times v (h): there is no such product", "x^T y is the inner and x y^T the outer"),
    ("L = A + T3", 1, 9, "A (h × h) + T3 (h × d × q): the shapes differ", ""),
    ("L = T3 A", 1, 8, "more than two axes need the index form", ""),
    ("L = T3^T", 1, 5, "has no transpose", "index form"),
    ("L = s / u", 1, 9, "only by a scalar", "./ divides element by element"),
    ("L = u^2", 1, 5, "a power of a vector is written .^", ""),
    ("L = A^0.5", 1, 5, "a whole number from 1 to 64, or -1", ""),
    ("L = A^s", 1, 7, "the power of a matrix is a whole number", ".^"),
    ("L = A^(T)", 1, 8, "T is not defined", ""),
    ("L = ||A||_2", 1, 5, "a spectral norm is not offered", "Frobenius"),
    ("L = tr(u)", 1, 5, "a square matrix is needed", ""),
    ("L = softmax(s)", 1, 5, "a vector or matrix is needed", ""),
    ("L = cross_entropy(softmax(p), c)", 1, 19, "cross_entropy takes logits", "with the o inside the softmax"),
    ("L = cross_entropy(u, c)", 1, 22, "u (h) has h (4) logits, and c has q (5) classes", ""),
    ("L = cross_entropy(s, c)", 1, 19, "cross_entropy of a scalar", ""),
    # indices
    ("L = A[i, 0]", 1, 7, "the index i is bound nowhere", "nothing is summed implicitly"),
    ("L[i] = A[i, j]", 1, 13, "the index j is bound nowhere", "sum[...]"),
    ("L[i] = A[i, k]", 1, 13, "leaves its axis of size h (4)", "k is the size of a dimension here"),
    ("L[i, i] = A[i, i]", 1, 6, "the index i stands here twice", ""),
    ("L = sum[i, i](A[i, i])", 1, 12, "the index i stands here twice", ""),
    ("L[i] = 3", 1, 3, "nothing says how far the index i runs", "i in SIZE"),
    ("L[i] = u", 1, 3, "nothing says how far the index i runs", "i in SIZE"),
    ("L[i in 2] = u[i + 9]", 1, 15, "leaves its axis of size h (4)", "padding is written where"),
    ("L[i] = u[i + 9]", 1, 3, "the index i runs over nothing: h - 9 is -5", ""),
    ("L[i in h] = u", 1, 13, "u (h) stands among indices without its own", "subscripts"),
    ("L[i] = u[i] + v", 1, 15, "v (h) stands among indices without its own", "subscripts"),
    ("L[i] = u[i] x[i]", 1, 15, "this index runs over h (4), and the axis of x here has the size d (3)", ""),
    ("L = A[0]", 1, 5, "A has 2 axes (h × h), and 1 subscript here", ""),
    ("L = u[0, 1]", 1, 5, "u has 1 axis (h), and 2 subscripts here", ""),
    ("L = u[0.5]", 1, 7, "a sum of indices, whole numbers and sizes", "2 i + a"),
    ("L = u[s]", 1, 7, "a sum of indices, whole numbers and sizes", "tok[t]"),
    ("L = u[4]", 1, 7, "leaves its axis of size h (4)", "padding"),
    ("L[t] = u[tok[t]]", 1, 10, "leaves its axis of size h (4)", "the integers run from 0 to q (5) - 1"),
    ("L[i] = A[i, i]^T", 1, 8, "a single entry has no transpose", "swap the subscripts"),
    ("L[i] = softmax(u[i])", 1, 8, "softmax of indexed entries", "name the tensor first"),
    ("function g(a) = u a\nL[i] = g(v[i])", 2, 8, "g reads u (h), which has no subscripts here", "whole tensors"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), ERRORS, ids=[case[0][:40] for case in ERRORS])
def test_an_error_has_its_place(text: str, line: int, column: int, message: str, hint: str) -> None:
    with pytest.raises(EquationError) as caught:
        model(text)
    problem = caught.value
    assert message in problem.message
    assert hint in problem.hint and bool(hint) <= bool(problem.hint)
    assert (problem.line, problem.column) == (line + LINES, column)
    _caret_stands_under_the_place(problem, text.split("\n")[line - 1])


def _caret_stands_under_the_place(problem: EquationError, source: str) -> None:
    first, shown, caret, *rest = str(problem).split("\n")
    assert first == f"m.eq:{problem.line}:{problem.column}: {problem.message}"
    assert len(rest) == bool(problem.hint)
    if all(character.isprintable() for character in source) and len(source) <= 100:
        assert shown == f"    {source}"
        assert caret.index("^") == 4 + problem.column - 1
    assert set(caret.strip()) == {"^"}
    wanted = source[problem.column - 1 : problem.column]
    assert not wanted.isprintable() or shown[caret.index("^") :].startswith(wanted)


def test_a_text_without_equations() -> None:
    with pytest.raises(EquationError, match="m.eq:.*the model has no equation"):
        model("# nothing")
    with pytest.raises(EquationError, match="m.eq:2:1: the model has no equation"):
        model("", "")


def test_the_column_counts_in_the_text_as_given() -> None:
    indented = "".join(f"      {line}\n" for line in [*DECLARED.splitlines(), "L = s + zz"])
    with pytest.raises(EquationError) as caught:
        model(indented, "")
    assert (caught.value.line, caught.value.column) == (LINES + 1, 6 + 9)


def test_bytes_that_are_no_text_have_a_place_too() -> None:
    from symbackprop.language.lowering import lower

    with pytest.raises(EquationError, match=r"b.eq:2:5: the byte 0xff is not UTF-8"):
        lower(b"# \xc3\xa4\nL = \xff\n", filename="b.eq")
