"""Texts that nobody would write: built-in models with letters changed, pieces of the language in any order, and noise."""

from __future__ import annotations

import random
from collections.abc import Iterator

from symbackprop.models import builtin_names, builtin_text

PIECES = (
    "dim d = 3\n", "batch n = 4\n", "input x[d]\n", "target y in q\n", "param W[d, d], b[d]\n", "hyper lambda\n",
    "z = W x + b\n",
    "minimize L\n", "L = ||z||^2\n", "sum[i](", "x[i, j]", "where(", ")", "[", "]", "^T", "^-1", "9**9**9", "||", "⊙", "'",
    "\0", "\u202e", "<script>",
    "function f(u) = u^2\n", "inf", "1e9999999", "-" * 50, "(" * 50, "\\input{x}", "{{7*7}}", "λ", "W^(T)", "max(", ",", "=",
    "\n", "\t",
)  # fmt: skip


def texts(count: int, seed: int) -> Iterator[str]:
    """Return so many texts, the same for the same seed."""
    chance = random.Random(seed)
    models = [builtin_text(name) for name in builtin_names()]
    for number in range(count):
        if number % 3 == 0:
            yield "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 30)))
        elif number % 3 == 1:
            letters = [chance.choice((chance.randrange(32, 127), chance.randrange(0x2000))) for _ in range(chance.randrange(200))]
            yield "".join(map(chr, letters))
        else:
            model = list(chance.choice(models))
            for _ in range(chance.randrange(1, 6)):
                place = chance.randrange(len(model))
                model[place] = chance.choice(("", chance.choice(PIECES), chance.choice(model)))
            yield "".join(model)
