"""The check of order two: a kernel's Hessian-vector product against routes that share no code with its derivation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy

from symbackprop.checking.comparison import norm_relative
from symbackprop.checking.complex_step import STEP
from symbackprop.checking.differences import GOOD_ENOUGH, STEPS, richardson
from symbackprop.checking.exact import DIGITS, ENTRIES, exact_values, is_rational
from symbackprop.checking.expand import Expansion, OnKinkError, TooLargeError, t
from symbackprop.checking.kernel_run import frozen, hyper_arguments
from symbackprop.checking.kinks import Kink, crossed, touched
from symbackprop.checking.reference import Reference
from symbackprop.checking.report import Row, Verdict
from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.graph.evaluate import evaluate

Array = np.ndarray[Any, Any]

PRODUCT_TOLERANCES = {
    "product, complex step": 1e-11,
    "product, differences": 1e-8,
    "product, symmetry": 1e-12,
    "product, remainder": 0.5,
    "product, float32": 1e-3,
    "product, exact": 1e-11,
}
"""The largest error of each route that passes, norm-relative but for the remainder.

complex step: the product and the complex step of the gradient's equations along the direction. differences: the product
and differences of the complex step of the objective (of its differences, where it has no complex step). symmetry: <u, Hv>
and <v, Hu>. remainder: how far the order of J(p + t v) - J - t <g, v> - t²/2 <v, Hv> in t stays below three. float32: the
product in float32. exact: the product and the second derivative of the exact expansion.
"""

LINES = 3
"""Directions along which a parameter's product is compared with the exact expansion."""


class Products:
    """A kernel's products at one sample, along a random direction."""

    def __init__(self, reference: Reference, kernel: Any, dtype: Any = np.float64) -> None:
        self.reference, self.kernel, self.dtype = reference, kernel, dtype
        sample = reference.sample
        self.params = {name: frozen(array, dtype) for name, array in sample.params.items()}
        self.inputs = {name: frozen(array, dtype) for name, array in sample.inputs.items()}
        self.v, self.u = (self._direction(seed) for seed in (0, 1))

    def _direction(self, seed: int) -> dict[str, Array]:
        """A direction of short binary fractions, exact in float32 too."""
        rng = np.random.default_rng([seed, 2])
        return {n: np.asarray(rng.integers(-16, 17, size=a.shape) / 16.0) for n, a in self.reference.sample.params.items()}

    def along(self, direction: Mapping[str, Array]) -> dict[str, Array]:
        """The kernel's product. Raises whatever the kernel raises."""
        given = {name: frozen(array, self.dtype) for name, array in direction.items()}
        found = self.kernel.hvp(self.params, given, self.inputs, hyper=hyper_arguments(self.reference.sample))
        products = {name: np.array(array) for name, array in found.items()}
        for name, array in self.params.items():
            if name not in products:
                raise ValueError(f"the kernel returned no product for {name}")
            if products[name].shape != array.shape or products[name].dtype != np.dtype(self.dtype):
                raise ValueError(f"the product of {name} has shape {products[name].shape} and dtype {products[name].dtype}")
        return products


def product_rows(reference: Reference, kernel: Any) -> Iterator[Row]:
    """The comparisons at an ordinary sample."""
    label, names = reference.sample.label, reference.objective.parameters
    try:
        products = Products(reference, kernel)
        hv, hu = products.along(products.v), products.along(products.u)
        single = Products(reference, kernel, np.float32).along(products.v)
    except Exception as problem:  # a kernel may raise anything; whatever it is, it is the finding
        for name in names:
            for route in PRODUCT_TOLERANCES:
                yield _row(name, route, label, None, Verdict.FAIL, f"{type(problem).__name__}: {problem}")
        return
    scale = max(reference.scale, float(np.sqrt(sum(np.sum(array**2) for array in hv.values()))))
    yield _symmetry(reference, products, hv, hu)
    yield _remainder(reference, products, hv)
    stepped, kink = _complex_step(reference, products.v)
    for name in names:
        lines = reference.lines[name]
        found = lines @ hv[name].ravel()
        for route, wanted, note in (
            ("product, complex step", None if stepped is None else stepped[name], kink),
            ("product, float32", hv[name], ""),
        ):
            other = found if route != "product, float32" else lines @ np.asarray(single[name], np.float64).ravel()
            if wanted is None:
                verdict = Verdict.KINK if note and reference.obstacle is None else Verdict.NOT_AVAILABLE
                yield _row(name, route, label, None, verdict, note or reference.obstacle or "")
            else:
                yield _judged(name, route, label, norm_relative(other, lines @ wanted.ravel(), scale))
        values, errors, usable, crossing = _differences(reference, name, lines, products.v)
        error = norm_relative(found[usable], values[usable], scale)
        route = "product, differences"
        if error > PRODUCT_TOLERANCES[route] and np.linalg.norm((found - values)[usable]) <= 8 * np.linalg.norm(errors):
            yield _row(name, route, label, None, Verdict.NOT_AVAILABLE, f"here the route is accurate to {error:.0e} only")
        elif error <= PRODUCT_TOLERANCES[route] and not np.all(usable):
            yield _row(name, route, label, None, Verdict.KINK, str(crossing))
        else:
            yield _judged(name, route, label, error)


def _row(name: str, route: str, label: str, error: float | None, verdict: Verdict, note: str = "") -> Row:
    return Row(name, route, label, error, PRODUCT_TOLERANCES[route], verdict, note)


def _judged(name: str, route: str, label: str, error: float) -> Row:
    passes = error <= PRODUCT_TOLERANCES[route]
    return _row(name, route, label, error, Verdict.PASS if passes else Verdict.FAIL)


def _symmetry(reference: Reference, products: Products, hv: dict[str, Array], hu: dict[str, Array]) -> Row:
    left = sum(float(np.sum(products.u[name] * hv[name])) for name in hv)
    right = sum(float(np.sum(products.v[name] * hu[name])) for name in hu)
    size = [float(np.sqrt(sum(np.sum(a**2) for a in arrays.values()))) for arrays in (products.u, hv, products.v, hu)]
    scale = max(size[0] * size[1], size[2] * size[3], np.finfo(np.float64).tiny)
    return _judged(reference.objective.name, "product, symmetry", reference.sample.label, abs(left - right) / scale)


def _remainder(reference: Reference, products: Products, hv: dict[str, Array]) -> Row:
    """The order of the remainder of Taylor's formula, from its last two values that rounding does not hide."""
    objective, sample, name = reference.objective, reference.sample, "product, remainder"
    here = objective.at(sample.values(), sample.sizes)
    _, gradients = products.kernel.loss_and_grad(products.params, products.inputs, hyper=hyper_arguments(sample))
    slope = sum(float(np.sum(products.v[n] * gradients[n])) for n in hv)
    bend = sum(float(np.sum(products.v[n] * hv[n])) for n in hv)
    found: list[tuple[float, float]] = []
    for step in (2.0**-k for k in range(5, 13)):
        moved = {n: array + step * products.v[n] for n, array in sample.params.items()}
        seen = objective.at({**sample.values(), **moved}, sample.sizes)
        if crossed(objective.kinks, here.arguments, seen.arguments) is not None:
            continue
        rest = float(seen.value) - float(here.value) - step * slope - step**2 / 2 * bend
        if abs(rest) > 1e4 * np.finfo(np.float64).eps * max(abs(float(here.value)), abs(step * slope)):
            found.append((step, abs(rest)))
    if len(found) < 2:
        return _judged(objective.name, name, sample.label, 0.0)  # there is none beside rounding: the objective is quadratic
    (long, large), (short, small) = found[-2:]
    order = float(np.log(large / small) / np.log(long / short))
    return _judged(objective.name, name, sample.label, max(0.0, 3.0 - order))


def _complex_step(reference: Reference, direction: Mapping[str, Array]) -> tuple[dict[str, Array] | None, str]:
    """The derivative of the gradients along a direction, or None and the kink that the sample lies on."""
    if reference.obstacle is not None:
        return None, ""
    derived, sample = _gradients(reference), reference.sample
    moved = {n: a + 1j * STEP * direction[n] for n, a in sample.params.items()}
    values = {**sample.values(), **moved}
    kink = touched(reference.objective.kinks, reference.objective.at(values, sample.sizes, np.complex128).arguments)
    if kink is not None:
        return None, str(kink)
    result = evaluate(derived.graph, values, sample.sizes, np.complex128)
    return {n: np.asarray(result[derived.gradient_name(n)]).imag / STEP for n in reference.objective.parameters}, ""


def _gradients(reference: Reference) -> DerivedGraph:
    return derive_graph(reference.objective.model, batched=True)


def _differences(
    reference: Reference, name: str, lines: Array, direction: Mapping[str, Array]
) -> tuple[Array, Array, Array, Kink | None]:
    """Second derivatives along the lines of one parameter and the direction; no derivative equation is used."""
    objective, sample = reference.objective, reference.sample
    here = objective.at(sample.values(), sample.sizes)
    values, errors, usable = [], [], []
    crossing: Kink | None = None
    for line in lines:
        step_line = line.reshape(sample.params[name].shape)

        def slope(distance: float, line: Array = step_line) -> float:
            moved = {n: a + distance * direction[n] for n, a in sample.params.items()}
            if reference.obstacle is None:
                there: dict[str, Any] = {**sample.values(), **moved, name: moved[name] + 1j * STEP * line}
                seen = objective.at(there, sample.sizes, np.complex128)
                _refuse(crossed(objective.kinks, here.arguments, [np.real(a) for a in seen.arguments]))
                return float(seen.value.imag) / STEP

            def along(s: float) -> float:
                shifted = {**sample.values(), **moved, name: moved[name] + s * line}
                seen = objective.at(shifted, sample.sizes)
                _refuse(crossed(objective.kinks, here.arguments, seen.arguments))
                return float(seen.value)

            return richardson(along, 2.0**-6)[0]

        best = (0.0, float("inf"))
        for step in STEPS:
            try:
                found = richardson(slope, step)
            except _OnKink as problem:
                crossing = problem.kink
                continue
            best = min(best, found, key=lambda pair: pair[1])
            if best[1] <= GOOD_ENOUGH * max(abs(best[0]), 0.01 * abs(float(here.value))):
                break
        values.append(best[0])
        errors.append(best[1] if np.isfinite(best[1]) else 0.0)
        usable.append(bool(np.isfinite(best[1])))
    return np.array(values), np.array(errors), np.array(usable, dtype=bool), crossing


class _OnKink(Exception):  # noqa: N818  (control flow: a point of the line lies beyond a kink)
    def __init__(self, kink: Kink) -> None:
        self.kink = kink


def _refuse(kink: Kink | None) -> None:
    if kink is not None:
        raise _OnKink(kink)


def tiny_product_rows(reference: Reference, kernel: Any) -> Iterator[Row]:
    """The comparisons with the second derivative of the exact expansion."""
    route, label, objective = "product, exact", reference.sample.label, reference.objective
    entries = sum(array.size for array in reference.sample.params.values())
    if entries > ENTRIES:
        for name in objective.parameters:
            yield _row(name, route, label, None, Verdict.TOO_LARGE, f"{entries:,} entries")
        return
    try:
        products = Products(reference, kernel)
        hv = products.along(products.v)
    except Exception as problem:
        for name in objective.parameters:
            yield _row(name, route, label, None, Verdict.FAIL, f"{type(problem).__name__}: {problem}")
        return
    scale = max(reference.scale, float(np.sqrt(sum(np.sum(array**2) for array in hv.values()))))
    rational = is_rational(objective, reference.sample)
    values = exact_values(reference.sample, rational=rational)
    v = {n: _exact(array) for n, array in products.v.items()}
    rng = np.random.default_rng(3)
    try:
        expansion = Expansion(objective.graph, values, reference.sample.sizes, None if rational else DIGITS)
        along_v = _bend(expansion, v, objective.name)
        for name in objective.parameters:
            found, wanted = [], []
            for _ in range(LINES):
                line = np.asarray(rng.integers(-2, 3, size=hv[name].shape))
                exact = _exact(line)
                both = {**v, name: np.asarray(v[name] + exact, dtype=object)}
                mixed = (_bend(expansion, both, objective.name) - along_v - _bend(expansion, {name: exact}, objective.name)) / 2
                found.append(float(np.sum(line * hv[name])))
                wanted.append(float(mixed))
            yield _judged(name, route, label, norm_relative(np.array(found), np.array(wanted), scale))
    except TooLargeError as reason:
        yield from (_row(n, route, label, None, Verdict.TOO_LARGE, str(reason)) for n in objective.parameters)
    except OnKinkError as reason:
        yield from (_row(n, route, label, None, Verdict.KINK, str(reason)) for n in objective.parameters)


def _bend(expansion: Expansion, lines: Mapping[str, Array], objective: str) -> sympy.Expr:
    """The second derivative of the objective along a line, at the sample."""
    return sympy.diff(expansion.along(lines, objective), t, 2).xreplace({t: sympy.S.Zero}).evalf(DIGITS)


def _exact(array: Array) -> Array:
    result = np.empty(np.shape(array), dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = sympy.Rational(*float(np.asarray(array)[index]).as_integer_ratio())
    return result
