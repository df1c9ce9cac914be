"""What a result depends on: the machine, the versions, the kernels of the linear algebra library."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import symbackprop
from benchmarks.settings import cores

PACKAGES = ("numpy", "autograd", "torch", "jax", "jaxlib")


def machine() -> dict[str, Any]:
    """Return the processor, its caches, the system and how busy it is."""
    return {
        "processor": _processor(),
        "cores": len(cores()),
        "caches": _caches(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package, and of the peers that are installed."""
    found = {"Python": platform.python_version(), "symbackprop": symbackprop.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def linear_algebra() -> list[str]:
    """Return what threadpoolctl says of the libraries that are loaded."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["unknown: threadpoolctl is not installed"]
    return sorted(map(_library, threadpool_info()))


def _library(found: Mapping[str, Any]) -> str:
    name = " ".join(filter(None, (found["internal_api"], found["version"], found.get("architecture"))))
    count = found["num_threads"]
    return f"{name}, {count} thread{'s' * (count != 1)} ({Path(found['filepath']).name})"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _caches() -> str:
    """As Linux tells them for the first core; empty elsewhere."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text(encoding="utf-8").strip() for name in ("level", "type", "size"))
        found.append(f"L{level}{'' if kind == 'Unified' else kind[0].lower()} {size}")
    return ", ".join(found)
