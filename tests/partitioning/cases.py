"""The partitions that the tests draw and print: every built-in model, split along the examples and along another dimension."""

from __future__ import annotations

from functools import cache

import symbackprop as sb
from symbackprop.models import builtin_names
from symbackprop.partitioning.parts import Partition, split_over

BATCH, OTHER = "along the examples", "along another dimension"
CASES = [(name, along) for name in builtin_names() for along in (BATCH, OTHER)]

HOSTILE = """# <script>alert(1)</script> "]; } \\input{x} {{7*7}} --> %s
dim class = 4, lambda = 3
input x[class]
param p_class[class], class_p[lambda, class], class_first[lambda], é_q[lambda]
z = class_p (p_class ⊙ x) + class_first ⊙ é_q
L = sum(z ⊙ z)
minimize L"""


@cache
def partition(name: str, along: str) -> Partition:
    """A built-in model split into two parts along one dimension."""
    derived = sb.derive(sb.builtin(name)).batch
    batch = derived.model.batch or "n"
    sizes = {size: k for size, k in derived.model.dimensions.items() if size != batch and k is not None and k > 1}
    return split_over(derived, {batch if along == BATCH else list(sizes)[-1]: 2})


@cache
def two_ways() -> Partition:
    """A classifier on a grid of four workers."""
    return split_over(sb.derive(sb.builtin("mlp_classifier")).batch, {"n": 2, "h1": 2})


@cache
def hostile() -> Partition:
    """A model whose title is markup, and whose tensors have the names that the sizes and indices of workers would have."""
    model = sb.parse(HOSTILE, name='"><svg onload=alert(1)>')
    return split_over(sb.derive(model).batch, {"class": 2, "lambda": 3})
