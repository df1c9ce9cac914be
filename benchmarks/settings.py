"""How many threads: what a process must be told before it imports an array library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_COUNTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_XLA = "XLA_FLAGS"
FORCED_KERNEL = "OPENBLAS_CORETYPE"
"""A core type that is forced on OpenBLAS slows NumPy and none of its peers: processes are started without it."""


@dataclass(frozen=True)
class Threads:
    """A setting by name; ``pinned`` to one core and one thread, or free to use all."""

    name: str
    title: str
    pinned: bool

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process that is measured."""
        environment = {name: value for name, value in given.items() if name not in (*_COUNTS, FORCED_KERNEL, _XLA)}
        environment.update(dict.fromkeys(_COUNTS, "1" if self.pinned else str(len(cores()))))
        if self.pinned:
            environment[_XLA] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["JAX_PLATFORMS"] = "cpu"
        environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no idle compilers beside what is measured
        return environment

    def pin(self) -> None:
        """Bind this process to one core, if the setting says so and the system can."""
        if self.pinned and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(cores())})


SETTINGS: Mapping[str, Threads] = {
    "one": Threads("one", "One pinned thread", True),
    "all": Threads("all", "All cores", False),
}


def cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def described() -> str:
    """Return in words what holds of this process."""
    values = ", ".join(f"{name}={os.environ[name]}" for name in (*_COUNTS, _XLA) if name in os.environ)
    return f"a process of its own on {_place()}; {values}"


def _place() -> str:
    if not hasattr(os, "sched_getaffinity"):
        return "any core, as this system cannot bind it"
    found = cores()
    return f"core {found[0]}" if len(found) == 1 else f"{len(found)} cores"
