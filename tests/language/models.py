"""A few declarations, and what an equation below them means: nodes say the same thing exactly if they are the same object."""

from __future__ import annotations

from symbackprop.graph.model import Model
from symbackprop.graph.nodes import Node
from symbackprop.language.lowering import Lowering
from symbackprop.language.parser import parse_text

DECLARED = """\
dim d = 3, h = 4, q = 5, k = 6
input x[d], tok[k] in q
target y[q], c in q
param W[h, d], A[h, h], B[h, h], D[h, h], u[h], v[h], p[q], s[], r[], T3[h, d, q]
hyper lambda = 1/2, epsilon
function phi
function swish(w) = w / (1 + exp(-lambda w))
"""
LINES = DECLARED.count("\n")


def below_a_heading(text: str) -> Model:
    """The model of a text, without the check that every declared name is used: many cases share one heading."""
    return Lowering(parse_text(text, "m.eq"), "model").model()


def model(text: str, declared: str = DECLARED) -> Model:
    return below_a_heading(declared + text + "\n")


def meaning(text: str, declared: str = DECLARED) -> Node:
    """The right side of the last equation."""
    return model(text, declared).graph.equations[-1].node
