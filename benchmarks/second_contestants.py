"""Who takes part in second derivatives: ours and the peers' products and Hessians of a case, one process for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

import symbackprop as sb
from benchmarks.case import Case
from benchmarks.contestants import Contestant, UnavailableError, jax_loss, package, torch_loss


def products(case: Case) -> dict[str, Contestant]:
    """The product alone, in one call with loss and gradient, our gradient, and the peers' products."""
    problem = case.problem()
    random = np.random.default_rng(1)
    direction = {n: random.standard_normal(a.shape).astype(a.dtype) for n, a in problem.params.items()}
    kernel = sb.derive(case.model).kernel(2)
    one, two = (k.Workspace(dtype=np.float32, **problem.sizes) for k in (problem.kernel, kernel))
    product = partial(kernel.hvp, problem.params, direction, problem.inputs, two)
    found = {
        "product": Contestant(product, product),
        "all": Contestant(partial(kernel.loss_grad_and_hvp, problem.params, direction, problem.inputs, two)),
        "own gradient": Contestant(partial(problem.kernel.loss_and_grad, problem.params, problem.inputs, one)),
    }
    with _left_out("JAX"):
        jax = package("jax")
        loss, params, inputs = jax_loss(problem, jax)
        along = {name: jax.numpy.asarray(array) for name, array in direction.items()}
        compiled = jax.jit(lambda p, i, v: jax.jvp(lambda q: jax.grad(loss)(q, i), (p,), (v,))[1])

        def forward_over_reverse() -> Mapping[str, Any]:
            found: Mapping[str, Any] = jax.block_until_ready(compiled(params, inputs, along))
            return found

        found["jax"] = Contestant(forward_over_reverse, forward_over_reverse)
    with _left_out("torch"):
        torch = package("torch")
        value, leaves, _ = torch_loss(problem, torch)
        given = {name: torch.tensor(array) for name, array in direction.items()}

        def double_backward() -> Mapping[str, Any]:
            gradients = torch.autograd.grad(value(), tuple(leaves.values()), create_graph=True)
            along = sum((g * given[name]).sum() for name, g in zip(leaves, gradients, strict=True))
            return dict(zip(leaves, torch.autograd.grad(along, tuple(leaves.values())), strict=True))

        found["torch"] = Contestant(double_backward, lambda: {n: a.numpy() for n, a in double_backward().items()})
    return found


def hessians(case: Case) -> dict[str, Contestant]:
    """The whole matrix: ours, the closed form by hand where the case has one, and the peers'."""
    problem = case.problem()
    own = partial(sb.derive(case.model).kernel(hessian=True).hessian, problem.params, problem.inputs)
    found = {"hessian": Contestant(own, own)}
    by_hand = getattr(case.loss, "hessian", None)
    if by_hand:
        (name,) = problem.params
        call = partial(by_hand, problem.params, problem.inputs)
        found["closed form by hand"] = Contestant(call, lambda: {(name, name): call()})
    with _left_out("JAX"):
        jax = package("jax")
        loss, params, inputs = jax_loss(problem, jax)
        compiled = jax.jit(jax.hessian(loss))
        found["jax"] = Contestant(
            lambda: jax.block_until_ready(compiled(params, inputs)), lambda: _pairs(compiled(params, inputs))
        )
    with _left_out("torch"):
        torch = package("torch")
        _, leaves, given = torch_loss(problem, torch)
        weights = {name: leaf.detach() for name, leaf in leaves.items()}
        hessian = package("torch.func").hessian(lambda p: problem.loss.with_torch(torch, p, given, problem.hyper))
        found["torch"] = Contestant(lambda: hessian(weights), lambda: _pairs(hessian(weights)))
    return found


@contextmanager
def _left_out(name: str) -> Iterator[None]:
    try:
        yield
    except UnavailableError as reason:
        print(f"{name} is left out: {reason}", file=sys.stderr)


def _pairs(found: Any) -> Mapping[Any, Any]:
    return {(r, c): np.asarray(block) for r, row in found.items() for c, block in row.items()}
