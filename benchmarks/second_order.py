"""``python -m benchmarks.second_order``: products and whole matrices of second derivatives against their peers, on one thread.

It prints Markdown; ``--write`` puts it into SECOND_ORDER.md. Each case first shows that all compute the same.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.settings import SETTINGS, described

RESULTS = Path(__file__).parent / "SECOND_ORDER.md"
CHILD = "SYMBACKPROP_SECOND_ORDER_CHILD"
LAYERS, SECONDS_TO_DERIVE = 100, 5.0

_INTRODUCTION = (
    "Ratios of times (ours over the peer's) in float32, medians of paired rounds with their 95 % intervals; ✓ and ✗ say whether "
    "the upper end is within the target. *product* is `hvp` alone, *all* is loss, gradient and product in one call, *hessian* the "
    "whole matrix. *Error* is the largest norm-relative difference from any peer's."
)

LOGISTIC = """\
dim d = 256
batch n = 2048
input x[d]
target y
param w[d]
z = w^T x
L = softplus(z) - y z
minimize L
"""
FACTORIZATION = """\
dim m = 40, k = 4, p = 30
param U[m, k], V[p, k]
target R[m, p]
L = 1/2 ||U V^T - R||^2
minimize L
"""
PERCEPTRON = """\
dim d = 8, h = 16, q = 4
batch n = 128
input x[d]
target y[q]
param W1[h, d], b1[h], W2[q, h], b2[q]
a = tanh(W1 x + b1)
o = W2 a + b2
L = 1/2 ||o - y||^2
minimize L
"""


@dataclass(frozen=True)
class Measured:
    """One contestant: what it is a ratio to, the ratio's target, its call, and the error it was found with."""

    name: str
    call: Callable[[], Any]
    target: float | None = None
    answer: Callable[[], Mapping[Any, Any]] | None = None


def _classifier(n: int) -> Any:
    import symbackprop as sb

    return sb.parse(sb.mlp([784, 256, 128, 10], activation="tanh", batch=n).source, name=f"classifier-{n}")


def _arrays(model: Any, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Parameters, inputs and a direction, in float32."""
    import numpy as np

    random, sizes = np.random.default_rng(seed), model.dimensions
    shape = {leaf.name: tuple(sizes[str(s)] if s.is_Symbol else int(s) for s in leaf.shape) for leaf in model.graph.declarations}
    params = {n: (random.standard_normal(shape[n]) / max(1, shape[n][-1]) ** 0.5).astype(np.float32) for n in model.parameters}
    batch = (sizes[model.batch],) if model.batch else ()
    inputs = {}
    for leaf in model.leaves_of_kind("input", "target"):
        if leaf.classes is None:
            inputs[leaf.name] = random.standard_normal((*batch, *shape[leaf.name])).astype(np.float32)
        else:
            inputs[leaf.name] = random.integers(0, 10, (*batch, *shape[leaf.name]))
    if "y" in inputs and not shape["y"] and inputs["y"].dtype == np.float32:
        inputs["y"] = (inputs["y"] > 0).astype(np.float32)
    return params, inputs, {n: random.standard_normal(a.shape).astype(np.float32) for n, a in params.items()}


def _loss_of(name: str, library: Any, params: Any, inputs: Any) -> Any:
    """The objectives for JAX and torch, whose functions of these names are alike."""
    if name == "logistic":
        z = inputs["x"] @ params["w"]
        softplus = library.nn.softplus(z) if library.__name__ == "jax" else library.nn.functional.softplus(z)
        return (softplus - inputs["y"] * z).mean()
    if name == "factorization":
        rest = params["U"] @ params["V"].T - inputs["R"]
        return 0.5 * (rest * rest).sum()
    tanh = library.numpy.tanh if library.__name__ == "jax" else library.tanh
    if name == "perceptron":
        a = tanh(inputs["x"] @ params["W1"].T + params["b1"])
        rest = a @ params["W2"].T + params["b2"] - inputs["y"]
        return 0.5 * (rest * rest).sum() / len(rest)
    a = inputs["x"]
    for k in (1, 2):
        a = tanh(a @ params[f"W{k}"].T + params[f"b{k}"])
    o = a @ params["W3"].T + params["b3"]
    if not library.__name__ == "jax":
        return library.nn.functional.cross_entropy(o, inputs["y"])
    chosen = library.numpy.take_along_axis(o, inputs["y"][:, None], axis=1)[:, 0]
    return (library.nn.logsumexp(o, axis=1) - chosen).mean()


def products(n: int) -> Iterator[Measured]:
    """The classifier with tanh: the product alone, in one call with loss and gradient, and the peers'."""
    import symbackprop as sb
    from benchmarks.contestants import UnavailableError, package

    model = _classifier(n)
    params, inputs, direction = _arrays(model)
    first, second = sb.derive(model).kernel(), sb.derive(model).kernel(2)
    one, two = first.Workspace(n=n), second.Workspace(n=n)

    def product() -> Any:
        return second.hvp(params, direction, inputs, two)

    yield Measured("product", product, None, product)
    yield Measured("all", lambda: second.loss_grad_and_hvp(params, direction, inputs, two))
    yield Measured("own gradient", lambda: first.loss_and_grad(params, inputs, one), 2.0)
    try:
        jax = package("jax")
        p, i, v = ({k: jax.numpy.asarray(a) for k, a in d.items()} for d in (params, inputs, direction))
        gradient = jax.grad(lambda q: _loss_of("", jax, q, i))
        compiled = jax.jit(lambda q, w: jax.jvp(gradient, (q,), (w,))[1])
        yield Measured("JAX jvp of grad, jit", lambda: jax.block_until_ready(compiled(p, v)), 0.95, lambda: compiled(p, v))
    except UnavailableError as reason:
        print(f"JAX is left out: {reason}", file=sys.stderr)
    try:
        torch = package("torch")
        q = {k: torch.tensor(a, requires_grad=True) for k, a in params.items()}
        t, w = ({k: torch.tensor(a) for k, a in d.items()} for d in (inputs, direction))

        def twice() -> Mapping[str, Any]:
            loss = _loss_of("", torch, q, t)
            gradients = torch.autograd.grad(loss, tuple(q.values()), create_graph=True)
            along = sum((g * w[k]).sum() for k, g in zip(q, gradients, strict=True))
            return dict(zip(q, torch.autograd.grad(along, tuple(q.values())), strict=True))

        yield Measured("torch double backward", twice, 0.50, lambda: {k: g.numpy() for k, g in twice().items()})
    except UnavailableError as reason:
        print(f"torch is left out: {reason}", file=sys.stderr)


def matrices(name: str, text: str, targets: Mapping[str, float]) -> Iterator[Measured]:
    """A whole Hessian, ours and the peers'."""
    import numpy as np

    import symbackprop as sb
    from benchmarks.contestants import UnavailableError, package

    model = sb.parse(text, name=name)
    params, inputs, _ = _arrays(model)
    kernel = sb.derive(model).kernel(2, hessian=True)
    yield Measured("hessian", lambda: kernel.hessian(params, inputs), answer=lambda: kernel.hessian(params, inputs))
    if name == "logistic":

        def by_hand() -> Any:
            x = inputs["x"]
            p = 1 / (1 + np.exp(-(x @ params["w"])))
            return {("w", "w"): (x * (p * (1 - p))[:, None]).T @ x / np.float32(len(x))}

        yield Measured("closed form by hand", by_hand, None, by_hand)

    def by_pairs(found: Any) -> Mapping[Any, Any]:
        return {(r, c): np.asarray(block) for r, row in found.items() for c, block in row.items()}

    try:
        jax = package("jax")
        p, i = ({k: jax.numpy.asarray(a) for k, a in d.items()} for d in (params, inputs))
        compiled = jax.jit(jax.hessian(lambda q: _loss_of(name, jax, q, i)))
        yield Measured(
            "jax.hessian, jit", lambda: jax.block_until_ready(compiled(p)), targets.get("jax"), lambda: by_pairs(compiled(p))
        )
    except UnavailableError as reason:
        print(f"JAX is left out: {reason}", file=sys.stderr)
    try:
        torch = package("torch")
        t, q = ({k: torch.tensor(a) for k, a in d.items()} for d in (inputs, params))
        hessian = package("torch.func").hessian(lambda z: _loss_of(name, torch, z, t))
        yield Measured("torch.func.hessian", lambda: hessian(q), targets.get("torch"), lambda: by_pairs(hessian(q)))
    except UnavailableError as reason:
        print(f"torch is left out: {reason}", file=sys.stderr)


def _row(title: str, contestants: list[Measured], seconds: float) -> tuple[list[str], list[bool]]:
    """A line of the table for what is ours, and whether each target is met."""
    import numpy as np

    from benchmarks.timing import paired_ratio, rounds

    own, others = contestants[0], contestants[1:]
    errors = []
    mine = {k: np.array(a) for k, a in own.answer().items()} if own.answer else {}
    for other in others:
        if other.answer:
            theirs = other.answer()
            norm = np.sqrt(sum(np.sum(a.astype(float) ** 2) for a in mine.values()))
            gap = np.sqrt(sum(np.sum((mine[k].astype(float) - np.asarray(theirs[k], float)) ** 2) for k in mine))
            errors.append(float(gap / norm))
            if errors[-1] > 1e-3:
                raise SystemExit(f"{title}: {other.name} disagrees, its error is {errors[-1]:.1e}")
    times = rounds({c.name: c.call for c in contestants}, seconds, 0)
    cells, met = [], []
    for other in others:
        bound = {"own gradient": 2.0}.get(other.name, other.target)
        pairs = [(own.name, bound)] + ([("all", 2.5)] if other.name == "own gradient" else [])
        for name, target in pairs:
            if other.name == "all":
                continue
            ratio = paired_ratio(times[name], times[other.name], 0)
            text = f"{name} / {other.name}: {ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
            if target is not None:
                met.append(ratio.meets(target))
                text += f" {'✓' if met[-1] else '✗'} {target:.2f}"
            cells.append(text)
    return [title, "<br>".join(cells), f"{max(errors):.0e}" if errors else "–", str(len(times[own.name]))], met


def _memory() -> tuple[str, bool]:
    """The bytes of the workspace of a product over those of a gradient."""
    import symbackprop as sb

    parts, met = [], True
    for n in (32, 256, 1024):
        derivation = sb.derive(_classifier(n))
        first, second = derivation.footprint(), derivation.products().footprint()
        ratio = second.workspace_bytes(second.numbers({"n": n})) / first.workspace_bytes(first.numbers({"n": n}))
        parts.append(f"n = {n}: {ratio:.2f}")
        met = met and ratio <= 2.5
    sign = "✓" if met else "✗"
    return f"Workspace of a module with products over that of a gradient's (target 2.50): {', '.join(parts)} {sign}", met


def _derivation() -> tuple[str, bool]:
    """Seconds to derive the product of a deep network, and its equations by depth."""
    import symbackprop as sb

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
    from benchmarks.machine import machine, versions

    rows, met = [], []
    cases: list[tuple[str, list[Measured]]] = [
        (f"784-256-128-10 classifier with tanh, n = {n}", list(products(n))) for n in (32, 256, 1024)
    ]
    cases += [
        ("logistic regression, 2048 x 256", list(matrices("logistic", LOGISTIC, {"jax": 0.5, "torch": 0.02}))),
        ("matrix factorization, 40 x 30, rank 4", list(matrices("factorization", FACTORIZATION, {"jax": 1.0}))),
        ("8-16-4 perceptron, n = 128", list(matrices("perceptron", PERCEPTRON, {"jax": 1.0}))),
    ]
    for title, contestants in cases:
        print(title, file=sys.stderr, flush=True)
        row, verdicts = _row(title, contestants, seconds)
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


def main(arguments: list[str]) -> int:
    """Measure in a process of its own, pinned to one thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second_order", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="time for the rounds of a case (default %(default)g)")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/SECOND_ORDER.md")
    options = parser.parse_args(arguments)
    if CHILD not in os.environ:
        command = [sys.executable, "-m", "benchmarks.second_order", "--seconds", str(options.seconds)]
        environment = {**SETTINGS["one"].environment(os.environ), CHILD: "1"}
        text = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout.decode()
        print(text, end="")
        if options.write:
            RESULTS.write_text(text, encoding="utf-8")
        return 0
    SETTINGS["one"].pin()
    print(measure(options.seconds), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
