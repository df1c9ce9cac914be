"""What is kept from the forward pass for the backward pass, in bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.case import Problem
from benchmarks.contestants import package, torch_loss
from symbackprop.footprint import footprint_of
from symbackprop.footprint.memory_use import value_at


def torch_saves(problem: Problem) -> int:
    """Return the bytes that torch saves: storages of their own, without those of parameters and inputs."""
    torch = package("torch")
    loss, params, inputs = torch_loss(problem, torch)
    given = {_storage(tensor) for tensor in (*params.values(), *inputs.values())}
    saved: dict[int, tuple[Any, int]] = {}

    def pack(tensor: Any) -> Any:
        storage = _storage(tensor)
        if storage not in given:
            saved[storage] = tensor, tensor.untyped_storage().nbytes()  # kept, so that no other takes its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss()
    return sum(size for _, size in saved.values())


def _storage(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())


def kernel_saves(problem: Problem) -> int:
    """Return the bytes that the generated kernel keeps, read from its plan."""
    footprint = footprint_of(problem.model)
    return value_at(footprint.saved_bytes, footprint.numbers(problem.sizes))


COUNTS: Mapping[str, Callable[[Problem], int]] = {"kernel": kernel_saves, "torch eager": torch_saves}
"""Who can tell, by name: a column each."""
