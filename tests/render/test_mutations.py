"""The reading back is itself tested: a printer that says something else must be caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import symbackprop as sb
from symbackprop.render import formula as f
from symbackprop.render.index_form import IndexForm
from symbackprop.render.text_printer import TextPrinter
from tests.render.models import MODELS
from tests.render.reading import derivation_differences

Write = Callable[[TextPrinter, Any], tuple[str, int]]


def dropped_term(x: Any) -> Any:
    return f.Sum(x.terms[:-1]) if len(x.terms) > 1 else x


def turned_sign(x: Any) -> Any:
    return f.Sum((*x.terms[:-1], (-x.terms[-1][0], x.terms[-1][1])))


def dropped_factor(x: Any) -> Any:
    return type(x)(x.factors[:-1])


def swapped_factors(x: Any) -> Any:
    return f.Product((*x.factors[2:], *reversed(x.factors[:2])))


def swapped_subscripts(x: Any) -> Any:
    return f.Entry(x.base, tuple(reversed(x.subscripts)), tuple(reversed(x.sizes)))


MUTATIONS = {
    "a term dropped": ("_sum", dropped_term),
    "a sign turned": ("_sum", turned_sign),
    "a factor dropped": ("_product", dropped_factor),
    "factors swapped": ("_product", swapped_factors),
    "an elementwise factor dropped": ("_hadamard", dropped_factor),
    "a transpose dropped": ("_transpose", lambda x: x.operand),
    "an inverse dropped": ("_inverse", lambda x: x.operand),
    "a divisor dropped": ("_quotient", lambda x: x.above),
    "a power dropped": ("_power", lambda x: x.base),
    "a function dropped": ("_call", lambda x: x.arguments[0]),
    "a norm of another kind": ("_norm", lambda x: f.Norm(x.operand, "1")),
    "an index dropped": ("_over", lambda x: f.Over("max" if x.kind == "sum" else "sum", x.indices, x.body)),
    "subscripts swapped": ("_entry", swapped_subscripts),
    "a condition turned": ("_comparison", lambda x: f.Comparison(x.right, x.relation, x.left)),
    "the branches of a choice swapped": ("_cases", lambda x: f.Cases(x.condition, x.no, x.yes)),
}
MIXED = (
    MODELS["indices"], MODELS["determinants"], MODELS["row-wise"], MODELS["penalties"],
    "dim d, h\nbatch n\ninput x[d]\ntarget y[h]\nparam W[h, d], b[h]\nhyper c\n"
    "z = W x + b\na = tanh(z)\nL = 1/2 ||y - a||^2 + c ||W||^2\nminimize L",
)  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_printer_that_says_something_else_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, mutate = MUTATIONS[name]
    honest: Write = getattr(TextPrinter, method)
    changed = 0

    def lying(printer: TextPrinter, x: Any) -> tuple[str, int]:
        nonlocal changed
        other = mutate(x)
        changed += other != x
        return honest(printer, other) if type(other) is type(x) else printer.write(other)

    monkeypatch.setattr(TextPrinter, method, lying)
    found = 0
    for text in MIXED:
        try:
            found += bool(derivation_differences(sb.parse(text), False))
        except (sb.SymbackpropError, AssertionError, KeyError):  # what cannot be read back is caught as well
            found += 1
    assert changed and found


def test_a_condition_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a subscript leaves its axis, what is typed says so; left out, the text is refused."""
    model = sb.parse(MODELS["strided convolution"].replace("input x", "param x"))
    assert derivation_differences(model, False) == []
    monkeypatch.setattr(IndexForm, "_leaves", lambda *_: False)
    with pytest.raises(sb.SymbackpropError, match="leaves its axis"):
        derivation_differences(model, False)
