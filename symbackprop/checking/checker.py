"""The check: a kernel's loss and gradients against every route, at several random shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from symbackprop.checking.comparison import norm_relative
from symbackprop.checking.differences import of_function
from symbackprop.checking.exact import exact_error
from symbackprop.checking.kernel_run import KernelRun, fault_in, frozen, hyper_arguments, run_kernel
from symbackprop.checking.reference import Reference, References, prepare
from symbackprop.checking.report import CheckReport, Row, Verdict
from symbackprop.checking.second import PRODUCT_TOLERANCES, product_rows, tiny_product_rows
from symbackprop.errors import UsageError
from symbackprop.graph.model import Model

Array = np.ndarray[Any, Any]

TOLERANCES = {
    "loss": 1e-12,
    "complex step": 1e-12,
    "differences": 1e-8,
    "own differences": 1e-8,
    "float32": 1e-3,
    "exact": 1e-25,  # 0 where the model is made of rationals
    "exact kernel": 1e-12,
}
"""The largest norm-relative error of each route that passes.

loss: the kernel's loss and the evaluator's. complex step, differences: the kernel's gradient and those of the
evaluator's objective. own differences: the kernel's gradient and differences of its own loss. float32: the
kernel in float32 and the gradient in float64. exact: the derived graph and the exact expansion. exact kernel:
the kernel and that expansion.
"""

ROUTES = tuple(TOLERANCES)

ROUNDING = 2.0**-50
ROUNDING32 = 2.0**-22

Progress = Callable[[int, int, str], None]
"""Called with the work done, the work in all, and what comes next."""


def check_model(
    model: Model,
    kernel: Any,
    *,
    seed: int = 0,
    samples: int = 3,
    routes: Iterable[str] | None = None,
    order: int = 1,
    progress: Progress | None = None,
) -> CheckReport:
    """Compare a kernel's loss and gradients with routes that share no code with the derivation.

    With ``order`` 2 its products of second derivatives too.

    kernel is a module, or any object, with ``loss`` and ``loss_and_grad``. samples is the number of random
    shapes; exact expansion adds a tiny one. routes are names from `ROUTES` (all, if None). Raises UsageError
    for an unknown route or a model without an objective, SizeError where no sizes fit the equations.
    """
    chosen = _chosen(routes)
    if order not in (1, 2):
        raise UsageError(f"there are checks of order 1 and 2, not of order {order}")
    return judge(prepare(model, seed=seed, samples=samples), kernel, routes=chosen, order=order, progress=progress)


def _chosen(routes: Iterable[str] | None) -> tuple[str, ...]:
    wanted = ROUTES if routes is None else tuple(routes)
    unknown = [route for route in wanted if route not in TOLERANCES]
    if unknown:
        raise UsageError(f"there is no route {unknown[0]!r}; there are {', '.join(ROUTES)}")
    return tuple(route for route in ROUTES if route in wanted)


def judge(
    references: References,
    kernel: Any,
    *,
    routes: Iterable[str] | None = None,
    order: int = 1,
    progress: Progress | None = None,
) -> CheckReport:
    """Compare a kernel with references already prepared: many kernels can be judged against the same ones."""
    chosen = _chosen(routes)
    objective = references.objective
    rows: list[Row] = []
    work = [(reference, False) for reference in references.samples] + [
        (reference, True) for reference in references.tiny
    ]
    for done, (reference, tiny) in enumerate(work):
        if progress is not None:
            progress(done, len(work), reference.sample.label)
        rows.extend(_tiny_rows(reference, kernel, chosen) if tiny else _rows(reference, kernel, chosen))
        if order == 2:
            rows.extend(tiny_product_rows(reference, kernel) if tiny else product_rows(reference, kernel))
    if progress is not None:
        progress(len(work), len(work), "")
    missing = objective.open_functions()
    if missing:
        note = f"no formula for {', '.join(missing)}"
        rows.extend(
            Row(name, route, "", None, TOLERANCES[route], Verdict.NOT_AVAILABLE, note)
            for name in objective.parameters
            for route in chosen
        )
    first = {name: position for position, name in enumerate((objective.name, *objective.parameters))}
    place = {route: position for position, route in enumerate((*ROUTES, *PRODUCT_TOLERANCES))}
    rows.sort(key=lambda row: (first[row.parameter], place[row.route]))
    return CheckReport(objective.model.name, tuple(rows), objective.parameters)


def _rows(reference: Reference, kernel: Any, routes: tuple[str, ...]) -> Iterator[Row]:
    """The comparisons at an ordinary sample."""
    run = run_kernel(kernel, reference.sample, np.float64)
    single = run_kernel(kernel, reference.sample, np.float32) if "float32" in routes else KernelRun()
    if "loss" in routes:
        yield _loss_row(reference, run, "loss")
    if "float32" in routes:
        yield _loss_row(reference, single, "float32")
    for name in reference.objective.parameters:
        for route in routes:
            if route in ("complex step", "differences", "own differences", "float32"):
                yield _gradient_row(reference, kernel, single if route == "float32" else run, name, route)


def _loss_row(reference: Reference, run: KernelRun, route: str) -> Row:
    name, label = reference.objective.name, reference.sample.label
    if run.failure:
        return Row(name, route, label, None, TOLERANCES[route], Verdict.FAIL, run.failure)
    found = np.array([run.loss, run.loss_with_gradients])
    error = norm_relative(found, np.array([reference.loss] * 2), reference.scale)
    return _row(reference, name, route, error, error <= TOLERANCES[route])


def _gradient_row(reference: Reference, kernel: Any, run: KernelRun, name: str, route: str) -> Row:
    dtype = np.float32 if route == "float32" else np.float64
    tolerance, label = TOLERANCES[route], reference.sample.label
    fault = run.failure or fault_in(run.gradients, reference.sample, name, dtype)
    if fault:
        return Row(name, route, label, None, tolerance, Verdict.FAIL, fault)
    if route == "complex step" and reference.obstacle is not None:
        return Row(name, route, label, None, tolerance, Verdict.NOT_AVAILABLE, reference.obstacle)
    lines = reference.lines[name]
    found = lines @ np.asarray(run.gradients[name], dtype=np.float64).ravel()
    kink, rounding, doubt = "", 0.0, 0.0
    if route == "complex step":
        step = reference.complex_step(name)
        wanted, usable, kink = step.values, step.usable, "".join(map(str, step.kinks[:1]))
        rounding = ROUNDING
    elif route == "float32":
        wanted, usable = reference.best(name)
        rounding = ROUNDING32
    else:
        differences = reference.differences(name)
        wanted, usable, kink = (
            differences.values,
            differences.usable,
            "".join(map(str, differences.kinks[:1])),
        )
        doubt = float(np.linalg.norm(differences.errors[usable]))
        if route == "own differences":
            wanted = _own_differences(reference, kernel, name, lines, differences.steps)
    found, wanted = found[usable], wanted[usable]
    error = norm_relative(found, wanted, reference.scale)
    if error > tolerance and np.isfinite(error):
        doubt = reference.unsteadiness(name, rounding) if rounding else doubt
    if error > tolerance and np.linalg.norm(found - wanted) <= 8 * doubt:
        note = f"at this sample the route itself is accurate to {error:.0e} only"
        return Row(name, route, label, None, tolerance, Verdict.NOT_AVAILABLE, note)
    if error <= tolerance and not np.all(usable):
        return Row(name, route, label, None, tolerance, Verdict.KINK, kink)
    return _row(reference, name, route, error, error <= tolerance)


def _own_differences(
    reference: Reference, kernel: Any, name: str, lines: Array, steps: tuple[float | None, ...]
) -> Array:
    """Differences of the kernel's own loss, with the steps that suit the evaluator's."""
    sample = reference.sample
    params = {key: frozen(array, np.float64) for key, array in sample.params.items()}
    inputs = {key: frozen(array, np.float64) for key, array in sample.inputs.items()}
    hyper = hyper_arguments(sample)

    def loss(point: Array) -> float:
        return float(kernel.loss({**params, name: frozen(point, np.float64)}, inputs, hyper=hyper))

    return of_function(loss, sample.params[name], lines, steps)


def _tiny_rows(reference: Reference, kernel: Any, routes: tuple[str, ...]) -> Iterator[Row]:
    """The comparisons with the exact expansion."""
    if not {"exact", "exact kernel"} & set(routes):
        return
    run = run_kernel(kernel, reference.sample, np.float64) if "exact kernel" in routes else KernelRun()
    for name in reference.objective.parameters:
        gradient = reference.expansion[name]
        for route in ("exact", "exact kernel"):
            if route not in routes:
                continue
            tolerance = 0.0 if route == "exact" and reference.rational else TOLERANCES[route]
            if gradient.truth is None:
                verdict = Verdict.KINK if gradient.kink else Verdict.TOO_LARGE
                note = gradient.kink or gradient.too_large
                yield Row(name, route, reference.sample.label, None, tolerance, verdict, note)
            elif route == "exact":
                error = exact_error(reference.derived[name], gradient.truth, reference.scale)
                yield _row(reference, name, route, error, error <= tolerance, tolerance)
            else:
                yield _exact_kernel_row(reference, run, name, gradient.truth)


def _exact_kernel_row(reference: Reference, run: KernelRun, name: str, truth: Array) -> Row:
    route, label = "exact kernel", reference.sample.label
    fault = run.failure or fault_in(run.gradients, reference.sample, name, np.float64)
    if fault:
        return Row(name, route, label, None, TOLERANCES[route], Verdict.FAIL, fault)
    found, wanted = run.gradients[name], truth.astype(np.float64)
    error = norm_relative(found, wanted, reference.scale)
    passes = error <= TOLERANCES[route]
    if (
        not passes
        and np.isfinite(error)
        and np.linalg.norm(found - wanted) <= 8 * reference.unsteadiness(name, ROUNDING)
    ):
        note = f"one rounding of the sample moves the gradient by {error:.0e}"
        return Row(name, route, label, None, TOLERANCES[route], Verdict.NOT_AVAILABLE, note)
    return _row(reference, name, route, error, passes)


def _row(
    reference: Reference, name: str, route: str, error: float, passes: bool, tolerance: float | None = None
) -> Row:
    verdict = Verdict.PASS if passes else Verdict.FAIL
    return Row(
        name,
        route,
        reference.sample.label,
        error,
        TOLERANCES[route] if tolerance is None else tolerance,
        verdict,
    )
