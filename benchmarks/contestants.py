"""Who takes part: each is built from a problem, and then called with arrays of its own kind.

A peer whose package is missing, or that does not work here, raises UnavailableError with the reason.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.case import Arrays, Problem
from benchmarks.floor import multiply, products

Answer = tuple[float, Mapping[str, Any]]


class UnavailableError(Exception):
    """The contestant cannot take part; the text is the reason."""


@dataclass(frozen=True)
class Contestant:
    """``call()`` computes what is compared; ``answer()`` calls it and returns that as NumPy's, if it has any.

    Of first order that is an Answer, the loss and all gradients; of second order the arrays by name.
    """

    call: Callable[[], Any]
    answer: Callable[[], Any] | None = None


def ours(problem: Problem) -> Contestant:
    """The generated kernel, with a workspace."""
    kernel, dtype = problem.kernel, next(iter(problem.params.values())).dtype
    workspace = kernel.Workspace(dtype=dtype, **problem.sizes)
    call = partial(kernel.loss_and_grad, problem.params, problem.inputs, workspace, problem.hyper)
    return Contestant(call, call)


def floor(problem: Problem) -> Contestant:
    """The matrix products of the hand-written NumPy alone."""
    compute = partial(problem.loss.textbook, hyper=problem.hyper)
    found = products(compute, problem.params, problem.inputs)
    if not found:
        raise UnavailableError("it has no matrix products")
    return Contestant(partial(multiply, found))


def textbook(problem: Problem) -> Contestant:
    """NumPy as a good student writes it: forward and backward by hand, no workspace."""
    call = partial(problem.loss.textbook, problem.params, problem.inputs, problem.hyper)
    return Contestant(call, call)


def autograd(problem: Problem) -> Contestant:
    """HIPS autograd: value_and_grad."""
    library = package("autograd")
    package("autograd.numpy")
    package("autograd.scipy.special")
    call = partial(
        library.value_and_grad(partial(problem.loss.with_autograd, library)),
        problem.params, problem.inputs, problem.hyper,
    )  # fmt: skip
    return Contestant(call, call)


def torch_eager(problem: Problem) -> Contestant:
    """torch as it is, and its gradients by torch.autograd.grad."""
    return _torch(problem, package("torch"))


def torch_compiled(problem: Problem) -> Contestant:
    """torch.compile of the whole loss; its backward pass is compiled with it. It needs a C++ compiler."""
    torch = package("torch")
    failures = (package("torch._dynamo.exc").TorchDynamoException, package("torch._inductor.exc").InductorError)
    torch._dynamo.reset()  # what other cases compiled of the same function is forgotten
    contestant = _torch(problem, torch, partial(torch.compile, fullgraph=True, dynamic=False))
    try:
        contestant.call()
    except failures as failure:
        raise UnavailableError(f"it does not compile here: {_first_line(failure)}") from None
    return contestant


def jax(problem: Problem) -> Contestant:
    """JAX: jit of value_and_grad, and wait for the result."""
    library = package("jax")
    loss, params, inputs = jax_loss(problem, library)
    compiled = library.jit(library.value_and_grad(loss))

    def call() -> Any:
        return library.block_until_ready(compiled(params, inputs))

    return Contestant(call, call)


PEERS: Mapping[str, Callable[[Problem], Contestant]] = {
    "floor": floor,
    "textbook": textbook,
    "autograd": autograd,
    "torch": torch_eager,
    "torch.compile": torch_compiled,
    "jax": jax,
}


def package(name: str) -> ModuleType:
    """Import a package. Raises UnavailableError."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as failure:
        raise UnavailableError(f"{name} cannot be imported: {_first_line(failure)}") from None


def jax_loss(problem: Problem, library: ModuleType) -> tuple[Callable[[Any, Any], Any], Arrays, Arrays]:
    """Return the loss as a function of parameters and inputs, and those as JAX's."""
    params, inputs = ({k: library.numpy.asarray(v) for k, v in d.items()} for d in (problem.params, problem.inputs))
    return partial(problem.loss.with_jax, library, hyper=problem.hyper), params, inputs


def torch_loss(
    problem: Problem, torch: ModuleType, transform: Callable[[Any], Any] = lambda loss: loss
) -> tuple[Callable[[], Any], Arrays, Arrays]:
    """Return a function that computes the loss with torch, and torch's parameters and inputs by name."""
    params = {name: torch.tensor(value, requires_grad=True) for name, value in problem.params.items()}
    inputs = {name: torch.tensor(value) for name, value in problem.inputs.items()}

    def loss(params: Any, inputs: Any) -> Any:
        return problem.loss.with_torch(torch, params, inputs, problem.hyper)

    return partial(transform(loss), params, inputs), params, inputs


def _torch(problem: Problem, torch: ModuleType, *transform: Callable[[Any], Any]) -> Contestant:
    loss, params, _ = torch_loss(problem, torch, *transform)
    names, tensors = tuple(params), tuple(params.values())

    def call() -> Any:
        value = loss()
        return value, torch.autograd.grad(value, tensors)

    def answer() -> Answer:
        value, gradients = call()
        return float(value.detach()), {name: g.numpy() for name, g in zip(names, gradients, strict=True)}

    return Contestant(call, answer)


def _first_line(failure: BaseException) -> str:
    return (str(failure).strip() or type(failure).__name__).splitlines()[0][:120]


def disagreement(answer: Answer, other: Answer) -> float:
    """Return the largest norm-relative error of the loss and of each gradient; infinite where they cannot be compared."""
    value, gradients = answer
    other_value, other_gradients = other
    if set(gradients) != set(other_gradients):
        return float("inf")
    pairs = [(value, other_value), *((gradients[name], other_gradients[name]) for name in gradients)]
    return max(relative_error(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in pairs)


def relative_error(a: Any, b: Any) -> float:
    """Return the norm of the difference over that of b."""
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    norm = float(np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / (norm or 1.0)
