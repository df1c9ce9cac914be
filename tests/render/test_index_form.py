"""The displayed index form says what the graph computes: every entry, worked out as a reader would."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Model
from symbackprop.graph.nodes import MatrixFunction
from symbackprop.graph.walk import topological
from symbackprop.models import builtin_names
from symbackprop.render.writer import Forms
from tests.render.formula_value import FUNCTIONS, Reader, near
from tests.render.models import MODELS
from tests.strategies import values_for

TINY = {"small_cnn": {"c": 2, "s": 5, "k": 2, "f": 2, "p": 2, "q": 3, "n": 2}}
SHAPED = ("padded convolution", "strided convolution", "indices", "row-wise", "penalties", "full convolution", "windows")

def model_of(name: str) -> Model:
    if name in builtin_names():
        return sb.builtin(name)
    return sb.parse(MODELS[name])


@pytest.mark.parametrize("batched", [False, True], ids=["example", "batch"])
@pytest.mark.parametrize("name", [*builtin_names(), *SHAPED])
def test_every_entry_is_what_is_displayed(name: str, batched: bool) -> None:
    model = model_of(name)
    derived = sb.derive(model, all_values=True).form(batched)
    sizes = TINY.get(name) or {d: min(3 + k % 2, size or 4) for k, (d, size) in enumerate(model.dimensions.items())}
    if name not in builtin_names():
        sizes = {d: size or 2 for d, size in model.dimensions.items()}
    arrays = values_for(derived.graph, sizes, seed=1)
    arrays |= {n: float(v) for n, v in model.hyper_defaults.items() if v is not None}
    arrays |= evaluate(derived.graph, arrays, sizes)
    beta = float(model.hyper_defaults.get("beta") or 1)
    swish = {
        "swish": lambda u: u * FUNCTIONS["sigmoid"](beta * u),
        "swish′": lambda u: (s := FUNCTIONS["sigmoid"](beta * u)) + beta * u * s * (1 - s),
    }
    reader = Reader(arrays, sizes, {**FUNCTIONS, **swish})
    forms = Forms(model, arrays)
    compared = 0
    for equation in (*derived.forward, *derived.backward):
        if any(isinstance(node, MatrixFunction) for node in topological([equation.node])):
            continue
        letters, formula = forms.index.of(equation.node, equation.indices)
        wanted = np.asarray(arrays[equation.name], dtype=float)
        for place in list(np.ndindex(*wanted.shape))[:40]:
            found = reader.value(formula, dict(zip(letters, place, strict=True)))
            assert near(found, float(wanted[place])), f"{equation.name}{list(place)}: {formula}"
            compared += 1
    assert compared >= min(4, len(derived.backward))


def test_a_condition_that_no_subscript_shows_is_written() -> None:
    """j = 2 r + t with 0 <= t < 2, where nothing is subscripted by t: the window that j lies in has to be said."""
    text = sb.derive(sb.builtin("small_cnn")).text()
    assert "∑[r, u]([0 ≤ j − 2 r < 2] [0 ≤ l − 2 u < 2] [P[i, r, u] = A[i, j, l]]" in text
