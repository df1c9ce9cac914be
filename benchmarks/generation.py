"""How long writing the kernel of a very deep network takes, in a process that has done nothing else."""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise

import symbackprop as sb

LAYERS = 200
TARGET = 5.0
"""Seconds."""


def stages(layers: int = LAYERS) -> dict[str, float]:
    """Return the seconds of each stage."""
    times = [time.perf_counter()]
    model = sb.mlp([64] * (layers + 1))
    times.append(time.perf_counter())
    derivation = sb.derive(model)
    times.append(time.perf_counter())
    derivation.source()
    times.append(time.perf_counter())
    return dict(zip(("parse", "derive", "emit"), (b - a for a, b in pairwise(times)), strict=True))


if __name__ == "__main__":
    json.dump(stages(), sys.stdout)
