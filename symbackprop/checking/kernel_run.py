"""Running a kernel at a sample: its loss and gradients, or why it gave none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from symbackprop.checking.sampling import Sample

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class KernelRun:
    """What a kernel gave: ``failure`` is the text of its exception, empty if there was none."""

    loss: float = float("nan")
    loss_with_gradients: float = float("nan")
    gradients: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def run_kernel(kernel: Any, sample: Sample, dtype: Any) -> KernelRun:
    """Run a kernel at a sample. The arrays given are read-only, so that a kernel that writes into them is
    noticed.
    """
    params = {name: frozen(array, dtype) for name, array in sample.params.items()}
    inputs = {name: frozen(array, dtype) for name, array in sample.inputs.items()}
    hyper = hyper_arguments(sample)

    def run() -> KernelRun:
        loss = float(kernel.loss(params, inputs, hyper=hyper))
        both, gradients = kernel.loss_and_grad(params, inputs, hyper=hyper)
        return KernelRun(loss, float(both), {name: np.array(array) for name, array in gradients.items()})

    done, failure = attempt(run)
    return done or KernelRun(failure=failure)


def attempt(call: Callable[[], Result]) -> tuple[Result | None, str]:
    """Return what a call of a kernel gives, or None and the text of its exception."""
    try:
        return call(), ""
    except Exception as error:  # a kernel may raise anything; whatever it is, it is the finding
        return None, f"{type(error).__name__}: {error}"


def hyper_arguments(sample: Sample) -> dict[str, Any]:
    """Return the hyper-parameters as a kernel takes them: floats, or arrays where they have axes."""
    return {name: value if value.ndim else float(value) for name, value in sample.hyper.items()}


def frozen(array: Array, dtype: Any) -> Array:
    """Return a read-only copy; integers stay integers."""
    copy = np.array(array, dtype=None if array.dtype.kind in "iu" else dtype)
    copy.flags.writeable = False
    return copy


def fault_in(found: Mapping[str, Any], sample: Sample, name: str, dtype: Any, what: str = "gradient") -> str:
    """Return what is wrong with the form of a gradient (its presence, shape or type), or an empty text."""
    array = found.get(name)
    if array is None:
        return f"the kernel returned no {what}"
    wanted = sample.params[name].shape
    if array.shape != wanted:
        return f"the {what} has shape {array.shape} instead of {wanted}"
    return f"the {what} is {array.dtype}, not {np.dtype(dtype)}" if array.dtype != np.dtype(dtype) else ""
