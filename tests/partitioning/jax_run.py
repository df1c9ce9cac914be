"""Run by `test_jax` in a process of its own: JAX modules beside NumPy kernels, alone and over devices; prints JSON.

The number of devices and the precision must be set before JAX is started, and hold for the process.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"  # compiled sooner
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np

import symbackprop as sb
from symbackprop.graph.sizes import size_value
from symbackprop.kernels import load_source
from symbackprop.models import builtin_names
from symbackprop.partitioning.jax_target import jax_source
from symbackprop.partitioning.parts import split_over

jax.config.update("jax_enable_x64", True)

SIZES = {"small_cnn": {"c": 2, "s": 6, "k": 3, "f": 4, "p": 2, "q": 4, "n": 4}}
HYBRIDS = {"mlp_classifier": {"n": 2, "h1": 2}, "d2l_mlp": {"n": 2, "h": 2}, "small_cnn": {"n": 2, "f": 2}}
HEAD = "dim d = 4, h = 4\nbatch n = 4\ninput x[d]\nparam W[h, d], b[h]\nz = W x + b\n"
MORE = {
    "ties": HEAD + "a = relu(z)\nm = max(a)\nr = sqrt(sum[i](a[i]^2))\nL = m^2 + r + ||z||_1\nminimize L",
    "large": HEAD + "target y in h\nu = sum[i](softplus(z[i]) + sigmoid(z[i]) + log(sigmoid(z[i])))\n"
    "L = cross_entropy(z, y) + u + logsumexp(z)\nminimize L",
    "functions": HEAD + "function f(u)\na[i] = f(z[i]) + gelu(z[i]) + max(z[i], b[i], 0)\n"
    "L = sum[i](a[i] + where(z[i] > 0, exp(z[i]), z[i]^3))\nminimize L",
    "names": "dim jnp = 4, np = 4\nbatch sizes = 4\ninput arrays[jnp]\nparam jax[np, jnp], lambda[np], dtype[]\n"
    "hyper functions = 2, mesh = 1\nfunction picked(jnp) = exp(jnp / 4) + functions jnp\n"
    "math[i] = picked(sum[j](jax[i, j] arrays[j]) + lambda[i])\nL = ||math|| + (dtype + mesh)^2\nminimize L",
    "matrices": "dim d = 4\nparam A[d, d]\nB = A A^T + I\nL = det(A) + logdet(B) + tr(B^-1)\nminimize L",
}
OPEN = {"f": (np.sin, jax.numpy.sin), "f'": (np.cos, jax.numpy.cos)}


def model_of(name: str) -> Any:
    return sb.parse(MORE[name], name=name) if name in MORE else sb.builtin(name)


def sizes_of(model: Any) -> dict[str, int]:
    return SIZES.get(model.name) or {name: 4 + 2 * (k % 3) for k, name in enumerate(model.dimensions)}


def point(name: str, derived: Any, kernel: Any, sizes: dict[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and inputs; whole numbers for the model with ties, and large ones where sums of exponentials overflow."""
    random, scale = np.random.default_rng(1), {"large": 400.0}.get(name, 1.0)
    params = {key: value + 0.3 * random.standard_normal(value.shape) for key, value in kernel.init(0, np.float64, sizes).items()}
    inputs = {}
    for leaf in derived.graph.declarations:
        shape = tuple(size_value(size, sizes) for size in leaf.shape)
        if leaf.kind in ("input", "target"):
            classes = None if leaf.classes is None else size_value(leaf.classes, sizes)
            inputs[leaf.name] = random.integers(0, classes, shape) if classes else scale * random.standard_normal(shape)
    if name == "ties":
        params = {key: np.round(value) for key, value in params.items()}
        inputs["x"] = np.round(inputs["x"])
    return params, inputs


def error(found: Any, wanted: Any) -> float:
    """The largest difference of two arrays, as a part of the largest entry; infinite where their form differs."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape or found.dtype != wanted.dtype or not np.all(np.isfinite(wanted)):
        return math.inf
    return float(np.max(np.abs(found - wanted)) / (np.max(np.abs(wanted)) or 1.0))


def worst(found: Any, wanted: Any) -> float:
    (loss, gradients, outputs), (loss_, gradients_, outputs_) = found, wanted
    if {*gradients} != {*gradients_} or {*outputs} != {*outputs_}:
        return math.inf
    pairs = [(loss, loss_), *((gradients[k], gradients_[k]) for k in gradients), *((outputs[k], outputs_[k]) for k in outputs)]
    return max(error(*pair) for pair in pairs)


def results(module: Any, functions: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """A function of parameters and inputs that gives all that a module does."""

    def run(params: Any, inputs: Any) -> Any:
        loss, gradients = module.loss_and_grad(params, inputs, functions=functions)
        outputs = module.predict(params, inputs, functions=functions) if hasattr(module, "predict") else {}
        return loss, gradients, outputs

    return run


def compare(name: str) -> None:
    model = model_of(name)
    derivation, sizes = sb.derive(model), sizes_of(model)
    derived, kernel = derivation.batch, derivation.kernel()
    params, inputs = point(name, derived, kernel, sizes)
    opens = [{key: pair[k] for key, pair in OPEN.items()} if name == "functions" else {} for k in range(2)]
    wanted = results(kernel, opens[0])(params, inputs)
    wanted = (np.float64(wanted[0]), *wanted[1:])
    source = jax_source(derived)
    alone = load_source(source, "alone")
    run = jax.jit(results(alone, opens[1]))
    report("alone", name, {}, worst(run(params, inputs), wanted), hashlib.sha256(source.encode()).hexdigest())
    single = [{k: np.asarray(v, np.float32) if v.dtype.kind == "f" else v for k, v in part.items()} for part in (params, inputs)]
    if name != "large":
        wanted_single = tuple(jax.tree.map(lambda array: np.asarray(array, np.float32), part) for part in wanted)
        report("single", name, {}, worst(run(*single), wanted_single))
    splits = [{key: 2} for key, default in model.dimensions.items() if default != 1 and sizes[key] % 2 == 0]
    splits += [HYBRIDS[name]] if name in HYBRIDS else []
    for split in splits:
        module = load_source(jax_source(derived, split_over(derived, split)), "split")
        found = jax.jit(results(module, opens[1]))(params, inputs)
        places = module.shardings()
        lie = [gradient.sharding.is_equivalent_to(places[key], gradient.ndim) for key, gradient in found[1].items()]
        report("split", name, split, worst(found, wanted), all(lie))


def report(kind: str, name: str, split: dict[str, int], value: Any, holds: Any = True) -> None:
    print(json.dumps([kind, name, split, value, holds]), flush=True)


def refusals() -> None:
    """What is said of arrays that do not fit, of sizes that come out uneven, and of too few devices."""
    derivation = sb.derive(sb.builtin("softmax_regression"))
    derived, sizes = derivation.batch, {"n": 4, "d": 4, "q": 3}
    params, inputs = point("", derived, derivation.kernel(), sizes)
    module = load_source(jax_source(derived), "alone")
    split = load_source(jax_source(derived, split_over(derived, {"q": 2})), "split")
    cases: dict[str, Callable[[], Any]] = {
        "uneven": lambda: jax.jit(split.loss_and_grad)(params, inputs),
        "devices": lambda: split.mesh(jax.devices()[:1]),
        "shape": lambda: module.loss(params, inputs | {"x": np.ones((4, 5))}),
        "missing": lambda: module.loss(params, {"x": inputs["x"]}),
        "unknown": lambda: module.loss(params, inputs | {"z": inputs["x"]}),
        "class": lambda: module.loss(params, inputs | {"y": inputs["y"] + 3}),
        "hyper": lambda: module.loss(params, inputs, {"mu": 1.0}),
        "kind": lambda: module.loss(params, inputs | {"y": inputs["x"][:, 0]}),
    }
    for case, call in cases.items():
        try:
            call()
            report("refusal", case, {}, "nothing")
        except ValueError as problem:
            report("refusal", case, {}, str(problem))


def bites() -> None:
    """The comparison, with the sums over the devices left out."""
    derivation = sb.derive(sb.builtin("mlp_classifier"))
    derived, kernel, sizes = derivation.batch, derivation.kernel(), sizes_of(derivation.model)
    params, inputs = point("", derived, kernel, sizes)
    source = jax_source(derived, split_over(derived, {"n": 2})).replace("jax.lax.psum(", "_kept(")
    module = load_source(f"{source}\n\ndef _kept(x, names):\n    return x\n", "unsummed")
    wanted = results(kernel, {})(params, inputs)
    found = jax.jit(results(module, {}))(params, inputs)
    report("bite", "mlp_classifier", {"n": 2}, worst(found, (np.float64(wanted[0]), *wanted[1:])))


def traced_hyper() -> None:
    """A hyper-parameter that jax.jit traces, by which the loss is differentiated."""
    derivation = sb.derive(sb.builtin("ridge_regression"))
    module = load_source(jax_source(derivation.batch), "hyper")
    params, inputs = point("", derivation.batch, derivation.kernel(), {"n": 4, "d": 6})
    slope = jax.jit(jax.grad(lambda value: module.loss(params, inputs, {"lambda": value})))(0.1)
    report("hyper", "ridge_regression", {}, error(slope, np.float64(0.5 * np.sum(params["w"] ** 2))))


if __name__ == "__main__":
    for name in sys.argv[1:] or [*builtin_names(), *MORE]:
        compare(name)
    refusals()
    bites()
    traced_hyper()
