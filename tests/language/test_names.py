"""What a name means: the innermost index, else a tensor, else a dimension; functions from their declaration on."""

from __future__ import annotations

import pytest
import sympy

from symbackprop.errors import EquationError
from symbackprop.language.lowering import lower
from tests.language.models import DECLARED, meaning, model

SAME = [
    ("an index hides a tensor and a dimension", "L = sum[u](A[u, 0])", "L = sum[i](A[i, 0])"),
    ("an index may have a dimension's name", "L[h] = u[h]", "L[i] = u[i]"),
    ("the innermost index", "L[i] = sum[i](A[i, 0]) u[i]", "L[i] = sum[j](A[j, 0]) u[i]"),
    ("a tensor hides a dimension", "d = s\nL = d r", "L = s r"),
    ("size() of a hidden dimension", "d = s\nL = size(d) r", "L = size(d) r"),
    ("a dimension is its size", "L = s / sqrt(h)", "L = s / sqrt(size(h))"),
    ("a dimension in a subscript", "L = u[h - 1]", "L[] = u[size(h) - 1]"),
    ("an index as a value", "L = sum[i](i u[i])", "L = sum[i](u[i] i)"),
]


@pytest.mark.parametrize(("written", "other"), [case[1:] for case in SAME[:3] + SAME[5:]], ids=[c[0] for c in SAME[:3] + SAME[5:]])
def test_a_name_means(written: str, other: str) -> None:
    assert meaning(written) is meaning(other)


def test_a_tensor_hides_a_dimension() -> None:
    hidden = model("d = s\nL = d r\nM = size(d) r").graph
    names = [leaf.name for leaf in hidden.by_name["L"].node.operands]
    assert sorted(names) == ["d", "r"]
    assert {symbol.name for symbol in hidden.by_name["M"].node.payload[0].free_symbols} >= {"d"}


def test_dimensions_and_tensors_have_separate_name_spaces() -> None:
    found = model("dim s2 = 2\nparam s2[s2]\nL = ||s2||^2 / size(s2)")
    assert found.graph.declared["s2"].shape == (sympy.Symbol("s2", integer=True, positive=True),)


def test_a_name_is_a_function_from_its_declaration_on() -> None:
    before = model("t = s (r)\nfunction f(z) = z^2\nL = f(t)")
    assert before.graph.by_name["t"].node is meaning("L = s r")
    assert [function.title for function in before.functions] == ["phi", "swish", "f"]


def test_hypers_have_exact_defaults_or_none() -> None:
    found = model("hyper a = 0.1, b = -1e-3, c9 = 2/3, e9\nL = a + b + c9 + e9")
    assert found.hyper_defaults["a"] == sympy.Rational(1, 10)
    assert found.hyper_defaults["b"] == -sympy.Rational(1, 1000)
    assert found.hyper_defaults["c9"] == sympy.Rational(2, 3)
    assert found.hyper_defaults["e9"] is None


def test_axes_are_dimensions_or_whole_numbers_and_may_repeat() -> None:
    found = model("param M[h, h], N[2, 3], k0[]\nL = sum(M) + sum(N) + k0").graph.declared
    assert [str(size) for size in found["M"].shape] == ["h", "h"]
    assert [str(size) for size in found["N"].shape] == ["2", "3"]
    assert found["k0"].shape == ()


def test_integers_are_declared_with_their_classes() -> None:
    declared = model("L = s").graph.declared
    assert str(declared["c"].classes) == str(declared["tok"].classes) == "q"
    assert declared["y"].classes is None and declared["tok"].rank == 1


def test_the_title_is_the_first_comment() -> None:
    assert model("L = s", "\n#   a title \n# more\n" + DECLARED).title == "a title"


UNUSED = "t = 2 s\nM = r\nL = s\nminimize L"


def test_what_nothing_uses_is_a_warning_with_its_place() -> None:
    warnings = model(UNUSED).warnings
    lines = DECLARED.count("\n")
    assert f"m.eq:{lines + 1}:1: t is never used" in warnings
    assert f"m.eq:{lines + 2}:1: M is never used" in warnings
    assert not any(": L is" in line or ": s is" in line for line in warnings)


def test_a_declared_tensor_that_no_equation_uses_is_refused() -> None:
    text = "param s[],\n  w9[2]\nt = 2 s\nL = s\nminimize L"
    with pytest.raises(EquationError, match="w9 is never used") as caught:
        lower(text, filename="m.eq")
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert lower(text.replace("2 s", "||w9||")).warnings  # what reads it is itself unused, which is a warning


def test_what_only_a_formula_reads_is_used() -> None:
    text = "param s[]\nhyper beta = 2\nfunction f(u) = tanh(beta u)\nL = f(s)\nminimize L"
    assert lower(text).warnings == ()


def test_outputs_are_named_or_found() -> None:
    text = "dim d = 2\ninput x[d]\ntarget y[d]\nparam W[d, d]\no = W x\nt = tanh(o)\nL = ||o - y||^2\n"
    assert model(text, "").outputs == ("o",)
    assert model(text + "output t, o\nminimize L", "").outputs == ("t", "o")
