"""The derivations whose graphs the tests draw: every built-in model, a deep one, and those with the strangest names and shapes."""

from __future__ import annotations

from functools import cache

import symbackprop as sb
from symbackprop.api import Derivation
from symbackprop.models import builtin_names
from tests.render.models import MODELS

DEEP = "thirteen layers"
NAMES = (*builtin_names(), DEEP)
HOSTILE = """# <script>alert(1)</script> "]; } \\input{x} {{7*7}} --> %s
dim d = 3
input x[d]
param class[d], a_hat[d], é_q[d], lambda[d]
z = class ⊙ x + a_hat ⊙ é_q + lambda
L = sum(z ⊙ z)
minimize L"""


@cache
def derivation(name: str) -> Derivation:
    """The derivation of a case; with products of second derivatives where it minimizes something."""
    if name == DEEP:
        return sb.derive(sb.mlp([64] * 13 + [10], regularizer="l2")).products()
    model = sb.parse(MODELS[name]) if name in MODELS else sb.builtin(name)
    derived = sb.derive(model)
    return derived.products() if model.objective and derived.example.wrt else derived


@cache
def hostile() -> Derivation:
    """A model whose title is markup in every language that a picture is written in."""
    return sb.derive(sb.parse(HOSTILE, name='"><svg onload=alert(1)>'))
