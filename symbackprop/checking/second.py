"""The check of order two: a kernel's Hessian-vector product against routes that share no code with its derivation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import sympy

from symbackprop.checking.comparison import inner, norm_of, norm_relative
from symbackprop.checking.complex_step import STEP
from symbackprop.checking.differences import Differences, along_lines, richardson
from symbackprop.checking.exact import DIGITS, ENTRIES, exact_values, is_rational
from symbackprop.checking.expand import Expansion, OnKinkError, TooLargeError, t
from symbackprop.checking.kernel_run import attempt, fault_in, frozen, hyper_arguments
from symbackprop.checking.kinks import crossed, stay_between, touched
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
        return {name: np.array(found[name]) for name in self.params if name in found}

    def slope(self) -> float:
        """The derivative of the objective along the direction, by the kernel's own gradients. Raises whatever the kernel raises."""
        _, gradients = self.kernel.loss_and_grad(self.params, self.inputs, hyper=hyper_arguments(self.reference.sample))
        return inner(self.v, gradients)

    def fault(self, products: Mapping[str, Array], name: str) -> str:
        """What is wrong with the form of a parameter's product, or an empty text."""
        return fault_in(products, self.reference.sample, name, self.dtype, "product")


def product_rows(reference: Reference, kernel: Any) -> Iterator[Row]:
    """The comparisons at an ordinary sample."""
    label, names = reference.sample.label, reference.objective.parameters
    products, single = Products(reference, kernel), Products(reference, kernel, np.float32)
    found, failure = attempt(
        lambda: (products.along(products.v), products.along(products.u), single.along(single.v), products.slope())
    )
    hv, hu, hv32, slope = found or ({}, {}, {}, 0.0)
    faults = {
        name: failure or products.fault(hv, name) or products.fault(hu, name) or single.fault(hv32, name) for name in names
    }
    if any(faults.values()):
        for name in names:
            for route in PRODUCT_TOLERANCES:
                yield _row(name, route, label, None, Verdict.FAIL, faults[name] or "a product is missing or of another form")
        return
    scale = max(reference.scale, norm_of(hv))
    yield _symmetry(reference, products, hv, hu)
    yield _remainder(reference, products.v, slope, inner(products.v, hv))
    stepped, kink = _complex_step(reference, products.v)
    for name in names:
        lines = reference.lines[name]
        seen, seen32 = lines @ hv[name].ravel(), lines @ hv32[name].astype(np.float64).ravel()
        yield _judged(name, "product, float32", label, norm_relative(seen32, seen, scale))
        if stepped is None:
            verdict = Verdict.KINK if kink else Verdict.NOT_AVAILABLE
            yield _row(name, "product, complex step", label, None, verdict, kink or reference.obstacle or "")
        else:
            error = norm_relative(seen, lines @ stepped[name].ravel(), scale)
            yield _judged(name, "product, complex step", label, error)
        yield _against_differences(reference, name, seen, products.v, scale)


def _against_differences(reference: Reference, name: str, seen: Array, direction: Mapping[str, Array], scale: float) -> Row:
    route, label = "product, differences", reference.sample.label
    differences = _differences(reference, name, direction)
    usable = differences.usable
    error = norm_relative(seen[usable], differences.values[usable], scale)
    if error > PRODUCT_TOLERANCES[route]:
        doubt = float(np.linalg.norm(differences.errors[usable]))
        if np.linalg.norm((seen - differences.values)[usable]) <= 8 * doubt:
            return _row(name, route, label, None, Verdict.NOT_AVAILABLE, f"here the route is accurate to {error:.0e} only")
    elif not np.all(usable):
        return _row(name, route, label, None, Verdict.KINK, str(differences.kinks[0]))
    return _judged(name, route, label, error)


def _row(name: str, route: str, label: str, error: float | None, verdict: Verdict, note: str = "") -> Row:
    return Row(name, route, label, error, PRODUCT_TOLERANCES[route], verdict, note)


def _judged(name: str, route: str, label: str, error: float) -> Row:
    passes = error <= PRODUCT_TOLERANCES[route]
    return _row(name, route, label, error, Verdict.PASS if passes else Verdict.FAIL)


def _symmetry(reference: Reference, products: Products, hv: dict[str, Array], hu: dict[str, Array]) -> Row:
    gap = abs(inner(products.u, hv) - inner(products.v, hu))
    size = max(norm_of(products.u) * norm_of(hv), norm_of(products.v) * norm_of(hu), np.finfo(np.float64).tiny)
    return _judged(reference.objective.name, "product, symmetry", reference.sample.label, gap / size)


def _remainder(reference: Reference, direction: Mapping[str, Array], slope: float, bend: float) -> Row:
    """The order of the remainder of Taylor's formula, from its last two values that rounding does not hide.

    slope and bend are the first and second derivative along the direction, by the kernel.
    """
    objective, sample, name = reference.objective, reference.sample, "product, remainder"
    here = objective.at(sample.values(), sample.sizes)
    found: list[tuple[float, float]] = []
    for step in (2.0**-k for k in range(5, 13)):
        moved = {n: array + step * direction[n] for n, array in sample.params.items()}
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


def _differences(reference: Reference, name: str, direction: Mapping[str, Array]) -> Differences:
    """Second derivatives along the lines of one parameter and the direction; no derivative equation is used."""
    objective, sample = reference.objective, reference.sample
    here = objective.at(sample.values(), sample.sizes)

    def value(distance: float, shift: Array, dtype: Any) -> Any:
        """The objective where all parameters are moved along the direction, and the one by a shift beside."""
        moved: dict[str, Any] = {n: a + distance * direction[n] for n, a in sample.params.items()}
        seen = objective.at({**sample.values(), **moved, name: moved[name] + shift}, sample.sizes, dtype)
        stay_between(objective.kinks, here.arguments, [np.real(argument) for argument in seen.arguments])
        return seen.value

    def along(line: Array) -> Callable[[float], float]:
        step = line.reshape(sample.params[name].shape)
        if reference.obstacle is None:
            return lambda distance: float(value(distance, 1j * STEP * step, np.complex128).imag) / STEP
        return lambda distance: richardson(lambda s: float(value(distance, s * step, np.float64)), 2.0**-6)[0]

    return along_lines(along, reference.lines[name], abs(float(here.value)))


def tiny_product_rows(reference: Reference, kernel: Any) -> Iterator[Row]:
    """The comparisons with the second derivative of the exact expansion."""
    route, label, objective = "product, exact", reference.sample.label, reference.objective
    entries = sum(array.size for array in reference.sample.params.values())
    if entries > ENTRIES:
        for name in objective.parameters:
            yield _row(name, route, label, None, Verdict.TOO_LARGE, f"{entries:,} entries")
        return
    products = Products(reference, kernel)
    found, failure = attempt(lambda: products.along(products.v))
    hv = found or {}
    faults = {name: failure or products.fault(hv, name) for name in objective.parameters}
    if any(faults.values()):
        yield from (_row(name, route, label, None, Verdict.FAIL, fault) for name, fault in faults.items() if fault)
        return
    scale = max(reference.scale, norm_of(hv))
    rational = is_rational(objective, reference.sample)
    values = exact_values(reference.sample, rational=rational)
    v = {n: _exact(array) for n, array in products.v.items()}
    rng = np.random.default_rng(3)
    try:
        expansion = Expansion(objective.graph, values, reference.sample.sizes, None if rational else DIGITS)
        along_v = _bend(expansion, v, objective.name)
        for name in objective.parameters:
            seen, wanted = [], []
            for _ in range(LINES):
                line = np.asarray(rng.integers(-2, 3, size=hv[name].shape))
                exact = _exact(line)
                both = {**v, name: np.asarray(v[name] + exact, dtype=object)}
                mixed = (_bend(expansion, both, objective.name) - along_v - _bend(expansion, {name: exact}, objective.name)) / 2
                seen.append(float(np.sum(line * hv[name])))
                wanted.append(float(mixed))
            yield _judged(name, route, label, norm_relative(np.array(seen), np.array(wanted), scale))
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
