"""The report on second derivatives: each case is compared, then timed, in this process."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping

import numpy as np

import symbackprop as sb
from benchmarks.case import Case
from benchmarks.cases import HESSIANS, PRODUCTS
from benchmarks.contestants import Contestant, relative_error
from benchmarks.machine import machine, versions
from benchmarks.second_contestants import hessians, products
from benchmarks.settings import described
from benchmarks.timing import paired_ratio, rounds
from benchmarks.worker import AGREEMENT

LAYERS, SECONDS_TO_DERIVE = 100, 5.0

_INTRODUCTION = (
    "Ratios of times (ours over the peer's) in float32, medians of paired rounds with their 95 % intervals; ✓ and ✗ say whether "
    "the upper end is within the target. *product* is `hvp` alone, *all* is loss, gradient and product in one call, *hessian* the "
    "whole matrix. *Error* is the largest norm-relative difference from any peer's."
)

PEERS = {
    "product": {"own gradient": "own gradient", "jax": "JAX jvp of grad, jit", "torch": "torch double backward"},
    "hessian": {"closed form by hand": "closed form by hand", "jax": "jax.hessian, jit", "torch": "torch.func.hessian"},
}
"""How the others are called in the table, beside ours."""


def _row(case: Case, contestants: Mapping[str, Contestant], seconds: float) -> tuple[list[str], list[bool]]:
    """A line of the table for what is ours, and whether each target is met."""
    own = next(iter(contestants))
    errors = _errors(case, contestants)
    times = rounds({name: contestant.call for name, contestant in contestants.items()}, seconds, 0)
    compared = [(own, other, case.targets.get(other)) for other in PEERS[own] if other in contestants]
    if "all" in contestants:
        compared.insert(1, ("all", "own gradient", case.targets["all"]))
    cells, met = [], []
    for name, other, target in compared:
        ratio = paired_ratio(times[name], times[other], 0)
        text = f"{name} / {PEERS[own][other]}: {ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
        if target is not None:
            met.append(ratio.meets(target))
            text += f" {'✓' if met[-1] else '✗'} {target:.2f}"
        cells.append(text)
    error = f"{max(errors):.0e}" if errors else "–"
    return [case.title, "<br>".join(cells), error, str(len(times[own]))], met


def _errors(case: Case, contestants: Mapping[str, Contestant]) -> list[float]:
    """How far the others are from ours, all entries together. Ends the run where one computes something else."""
    mine, *others = (
        (name, {k: np.array(a) for k, a in contestant.answer().items()})
        for name, contestant in contestants.items()
        if contestant.answer
    )
    errors = []
    for name, theirs in others:
        whole, other = (np.concatenate([a[key].ravel() for key in mine[1]]).astype(float) for a in (mine[1], theirs))
        errors.append(relative_error(whole, other))
        if errors[-1] > AGREEMENT:
            raise SystemExit(f"{case.name}: {name} disagrees, its error is {errors[-1]:.1e}")
    return errors


def _memory() -> tuple[str, bool]:
    """The bytes of the workspace of a product over those of a gradient."""
    parts, met = [], True
    for case in PRODUCTS:
        derivation = sb.derive(case.model)
        first, second = derivation.footprint(), derivation.products().footprint()
        ratio = second.workspace_bytes(second.numbers(case.sizes)) / first.workspace_bytes(first.numbers(case.sizes))
        parts.append(f"n = {case.sizes['n']}: {ratio:.2f}")
        met = met and ratio <= 2.5
    sign = "✓" if met else "✗"
    return f"Workspace of a module with products over that of a gradient's (target 2.50): {', '.join(parts)} {sign}", met


def _derivation() -> tuple[str, bool]:
    """Seconds to derive the product of a deep network, and its equations by depth."""
    start = time.perf_counter()
    model = sb.mlp([64] * (LAYERS + 1), activation="tanh")
    sb.derive(model).products()
    seconds = time.perf_counter() - start
    counts = [len(sb.derive(sb.mlp([8] * (k + 1), activation="tanh")).products().example.equations) for k in (10, 20, 30)]
    linear = counts[1] - counts[0] == counts[2] - counts[1]
    met = seconds <= SECONDS_TO_DERIVE and linear
    return (
        f"The product of {LAYERS} layers is derived in {seconds:.2f} s (target {SECONDS_TO_DERIVE:g} s); "
        f"10, 20 and 30 layers have {counts[0]}, {counts[1]} and {counts[2]} equations {'✓' if met else '✗'}"
    ), met


def measure(seconds: float) -> str:
    """Return the report."""
    rows, met = [], []
    for case, make in [*((case, products) for case in PRODUCTS), *((case, hessians) for case in HESSIANS)]:
        print(case.title, file=sys.stderr, flush=True)
        row, verdicts = _row(case, make(case), seconds)
        rows.append(row)
        met += verdicts
    notes = [_memory(), _derivation()]
    found, known = machine(), versions()
    lines = [
        "# Second derivatives", "",
        f"- {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, by `python -m benchmarks.second_order`, rounds of {seconds:g} s a case",
        f"- {found['processor']}, {found['cores']} cores, load {found['load']} at the start; {described()}",
        f"- {', '.join(f'{name} {version}' for name, version in known.items())}", "",
        _INTRODUCTION, "",
        "| case | ratios | error | rounds |", "| --- | --- | ---: | ---: |",
        *["| " + " | ".join(row) + " |" for row in rows], "",
        f"{met.count(True)} of {len(met)} targets are met.", "", *[f"- {text}" for text, _ in notes], "",
    ]  # fmt: skip
    return "\n".join(lines)
