"""Random shapes fit the equations; random numbers suit the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from cases import CASES, Author, squares

from symbackprop.checking.dimensions import Dimensions
from symbackprop.checking.objective import Objective
from symbackprop.checking.reference import prepare
from symbackprop.checking.sampling import CONDITION, Sample, _worst_condition, draw, draw_tiny
from symbackprop.errors import SizeError, UsageError
from symbackprop.graph import operations as op
from symbackprop.graph.model import Model
from symbackprop.graph.nodes import argument
from symbackprop.graph.sizes import dimension


def of(case: str) -> tuple[Objective, Dimensions]:
    objective = Objective(CASES[case]())
    return objective, Dimensions(objective.model, objective.whole)


def floats(sample: Sample) -> list[np.ndarray[Any, Any]]:
    return [array for array in {**sample.params, **sample.inputs}.values() if array.dtype.kind == "f"]


@pytest.mark.parametrize("case", CASES)
def test_samples_fit_and_repeat(case: str) -> None:
    objective, dimensions = of(case)
    for number in range(4):
        sample = draw(objective, dimensions, 7, number)
        again = draw(objective, dimensions, 7, number)
        assert dimensions.allows(sample.sizes)
        assert sample.label == again.label
        for name, array in sample.values().items():
            assert np.array_equal(array, again.values()[name])
        for array in floats(sample):
            assert np.array_equal(array.astype(np.float32).astype(np.float64), array)
            assert np.all(array != 0)
    assert draw(objective, dimensions, 8, 0).params.keys() == set(objective.parameters)


@pytest.mark.parametrize("case", CASES)
def test_the_first_sample_has_no_size_of_one(case: str) -> None:
    objective, dimensions = of(case)
    for seed in range(3):
        assert min(draw(objective, dimensions, seed, 0).sizes.values()) >= 2


@pytest.mark.parametrize("case", CASES)
def test_tiny_samples_are_tiny(case: str) -> None:
    objective, dimensions = of(case)
    for seed in range(3):
        sample = draw_tiny(objective, dimensions, seed, 0)
        assert sum(array.size for array in sample.params.values()) <= 60
        assert all(np.array_equal(array * 8, np.round(array * 8)) for array in floats(sample))


def test_a_window_stays_inside_as_it_does_at_the_default_sizes() -> None:
    _, dimensions = of("convolution")
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = dimensions.choose(rng, 1, 4)
        side = sizes["s"] - sizes["k"] + 1
        assert side >= 2 * sizes["p"], sizes
    assert dimensions.allows({"c": 1, "s": 8, "k": 3, "f": 4, "p": 3, "q": 10, "n": 32})
    assert not dimensions.allows({"c": 1, "s": 3, "k": 3, "f": 1, "p": 1, "q": 1, "n": 1})
    assert not dimensions.allows({"c": 1, "s": 2, "k": 3, "f": 1, "p": 1, "q": 1, "n": 1})


def tied(*constraints: Any, **defaults: int) -> Dimensions:
    m = Author("tied", **defaults)
    w = m.param("w", "a", "b")
    m.let("J", squares(w))
    model = m.model("J", None, *constraints)
    return Dimensions(model, Objective(model).whole)


def test_constraints_are_kept() -> None:
    a, b = dimension("a"), dimension("b")
    rng = np.random.default_rng(0)
    for _ in range(20):
        sizes = tied((a, 3 * b + 2)).choose(rng, 1, 4)
        assert sizes["a"] == 3 * sizes["b"] + 2
    assert tied((a, 100 * b), a=200, b=2).choose(rng, 1, 4)["a"] % 100 == 0
    assert tied((a**2, 10000 * b), a=200, b=4).choose(rng, 1, 4) == {"a": 200, "b": 4}
    with pytest.raises(SizeError, match="give defaults for a, b"):
        tied((a**2, 10000 * b)).choose(rng, 1, 4)


def test_a_dimension_that_no_array_has_keeps_its_default() -> None:
    m = Author("hidden", a=9, b=5)
    w = m.param("w", "a")
    m.let("J", squares(w) * squares(op.filled(1, dimension("b"))))
    model = m.model("J", None)
    sizes = Dimensions(model, Objective(model).whole).choose(np.random.default_rng(0), 1, 4)
    assert sizes["b"] == 5 and sizes["a"] <= 4


def test_classes_are_in_range_and_hyper_parameters_positive() -> None:
    objective, dimensions = of("embedding")
    for number in range(5):
        sample = draw(objective, dimensions, 0, number)
        assert 0 <= sample.inputs["tok"].min() and sample.inputs["tok"].max() < sample.sizes["v"]
        assert sample.inputs["tok"].dtype == np.int64
    objective, dimensions = of("elastic_net")
    first, second = (draw(objective, dimensions, 0, number) for number in range(2))
    assert first.exact_hyper["beta"] == sympy.Rational(3, 2) and float(first.hyper["beta"]) == 1.5
    assert second.exact_hyper["beta"] > 0 and second.exact_hyper["beta"] != sympy.Rational(3, 2)
    assert first.exact_hyper["alpha"] > 0


def test_a_regularizer_with_weight_zero_is_seen_in_a_varied_sample() -> None:
    m = Author("off", d=2)
    w = m.param("w", "d")
    weight = m.hyper_parameter("lambda", sympy.S.Zero)
    m.let("J", squares(w) * (1 + weight))
    samples = prepare(m.model("J", None), samples=2).samples
    assert samples[0].sample.hyper["lambda"] == 0
    assert samples[1].sample.hyper["lambda"] > 0


def logarithms() -> Model:
    m = Author("logarithms", d=3)
    w, x = m.param("w", "d"), m.input("x", "d")
    m.let("J", op.sum_all(op.apply(sympy.log, w)) + op.sum_all(op.apply(sympy.sqrt, x * w)))
    return m.model("J", None)


def test_numbers_are_drawn_where_the_objective_is_defined() -> None:
    for reference in prepare(logarithms(), samples=4).samples:
        assert np.isfinite(reference.loss)
        assert np.all(reference.sample.params["w"] > 0)


def test_matrices_that_are_inverted_are_well_conditioned_and_determinants_of_logarithms_positive() -> None:
    m = Author("determinants", d=3)
    A = m.param("A", "d", "d")
    m.let("J", op.scalar_of_matrix("logdet", A) + op.sum_all(op.inverse(A)))
    references = prepare(m.model("J", None), samples=4)
    for reference in references.samples:
        assert np.linalg.det(reference.sample.params["A"]) > 0
        assert _worst_condition(references.objective, reference.sample) <= CONDITION


def test_a_model_that_minimizes_nothing_is_refused() -> None:
    m = Author("nothing", d=2)
    m.let("y", m.param("w", "d"))
    model = m.model("y", None)
    with pytest.raises(UsageError, match="minimizes nothing"):
        prepare(Model("nothing", model.graph))


def test_probe_arguments_are_symbols_of_operands() -> None:
    objective, _ = of("relu_mlp")
    assert objective.kinks[0].node.expression.free_symbols <= {argument(0), argument(1)}  # type: ignore[attr-defined]
