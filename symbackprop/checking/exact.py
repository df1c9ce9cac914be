"""Exact derivatives at tiny shapes: the expanded objective differentiated by SymPy, against the derived
graph.

Each entry of a parameter in turn becomes p + t, everything else being a number; `sympy.diff` by t at 0 is the
entry of the gradient. In models made of rationals all of this is exact, elsewhere it carries 60 digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from symbackprop.checking.expand import Expansion, OnKinkError, TooLargeError, t
from symbackprop.checking.objective import Objective
from symbackprop.checking.sampling import Sample
from symbackprop.derivation.derived import derive_graph
from symbackprop.functions import scalar
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import MatrixFunction, Pointwise, Reduction
from symbackprop.graph.walk import leaves

Array = np.ndarray[Any, Any]

DIGITS = 60

ENTRIES = 150
"""A sample with more entries in its parameters is too large."""

_RATIONAL_FUNCTIONS = (*scalar.Primitive.__subclasses__(), scalar.relu)


@dataclass(frozen=True)
class ExactGradient:
    """The truth for one parameter, or why there is none: ``kink`` names a function, ``too_large`` gives a
    count.
    """

    truth: Array | None
    kink: str = ""
    too_large: str = ""


def is_rational(objective: Objective, sample: Sample) -> bool:
    """Tell whether a model computes rationals from rationals: + - * /, whole powers, functions of kinks,
    matrices.
    """
    for node in objective.nodes():
        if isinstance(node, Reduction) and node.kind != "max":
            return False
        if isinstance(node, MatrixFunction) and node.kind == "logdet":
            return False
        if isinstance(node, Pointwise) and node.expression.has(sympy.NumberSymbol, sympy.I):
            return False
    for call in objective.calls():
        if call.is_Pow:
            if not call.exp.is_Integer:
                return False
        elif not isinstance(call, (*_RATIONAL_FUNCTIONS, scalar.ScalarFunction)):
            return False
        elif isinstance(call, scalar.ScalarFunction) and call.func.body is None:
            return False
    return all(value.is_Rational for value in sample.exact_hyper.values())


def exact_values(sample: Sample, *, rational: bool) -> dict[str, Array]:
    """Return the sample's numbers exactly, or (not rational) as floats of many digits; classes stay
    integers.
    """

    def number(value: Any) -> Any:
        exact = sympy.Rational(*float(value).as_integer_ratio())
        return exact if rational else sympy.Float(exact, DIGITS)

    values: dict[str, Array] = {}
    for name, array in {**sample.params, **sample.inputs}.items():
        values[name] = array if array.dtype.kind in "iu" else _each(number, array)
    for name, array in sample.hyper.items():
        hyper = sample.exact_hyper[name]
        values[name] = np.full(
            array.shape, hyper if rational else sympy.Float(hyper.evalf(DIGITS), DIGITS), dtype=object
        )
    return values


def _each(function: Any, array: Array) -> Array:
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        result[index] = function(array[index])
    return result


def by_expansion(objective: Objective, sample: Sample) -> dict[str, ExactGradient]:
    """Return the gradient of every parameter by exact expansion."""
    entries = sum(array.size for array in sample.params.values())
    if entries > ENTRIES:
        return {name: ExactGradient(None, too_large=f"{entries:,} entries") for name in objective.parameters}
    rational = is_rational(objective, sample)
    values = exact_values(sample, rational=rational)
    try:
        expansion = Expansion(objective.graph, values, sample.sizes, None if rational else DIGITS)
    except TooLargeError as reason:
        return {name: ExactGradient(None, too_large=str(reason)) for name in objective.parameters}
    return {
        name: _gradient(expansion, objective.name, name, sample.params[name].shape) for name in objective.parameters
    }


def _gradient(expansion: Expansion, objective: str, name: str, shape: tuple[int, ...]) -> ExactGradient:
    truth = np.empty(shape, dtype=object)
    try:
        for index in np.ndindex(shape):
            line = np.zeros(shape, dtype=int)
            line[index] = 1
            derivative = sympy.diff(expansion.along({name: line}, objective), t).xreplace({t: sympy.S.Zero})
            truth[index] = derivative if derivative.is_Rational else derivative.evalf(DIGITS)
    except TooLargeError as reason:
        return ExactGradient(None, too_large=str(reason))
    except OnKinkError as reason:
        return ExactGradient(None, kink=str(reason))
    return ExactGradient(truth)


def by_derived_graph(objective: Objective, sample: Sample) -> dict[str, Array]:
    """Return the gradients of the derived graph, in rationals where the model is made of them, else in
    many digits.
    """
    rational = is_rational(objective, sample)
    derived = derive_graph(objective.model, batched=True)
    names = {name: derived.gradient_name(name) for name in objective.parameters}
    known = exact_values(sample, rational=rational)
    for equation in derived.graph.restricted_to(frozenset(names.values())).equations:
        alone = Graph(tuple(leaves(equation.node)), (equation,))  # one by one, so that no irrational number nests
        known[equation.name] = _each(_finished, evaluate(alone, known, sample.sizes, object)[equation.name])
    return {name: known[names[name]] for name in objective.parameters}


def _finished(value: Any) -> Any:
    exact = sympy.S(value)
    return exact if exact.is_Rational else exact.evalf(DIGITS)


def exact_error(found: Array, truth: Array, scale: float) -> float:
    """Return the norm-relative error, 0.0 only where every entry is equal (rationals) or equal in all
    digits.
    """
    gap = [a - b for a, b in zip(found.flat, truth.flat, strict=True)]
    if not all(number.is_finite for number in (*gap, *truth.flat)):
        return float("inf")
    if all(number == 0 for number in gap):
        return 0.0
    norms = [
        sympy.sqrt(sympy.Add(*[number**2 for number in numbers])).evalf(30) for numbers in (gap, found.flat, truth.flat)
    ]
    return float(norms[0] / max(norms[1], norms[2], sympy.Float(1e-3 * scale)))
