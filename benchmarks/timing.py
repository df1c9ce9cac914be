"""Fair timing: rounds in which everyone runs in a new order, ratios paired round by round, and how sure their median is."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE = 0.3e-3
"""A sample lasts at least this many seconds, or the clock and the call's own overhead would count."""
ROUNDS = (15, 400)
"""At least and at most so many rounds."""
_RESAMPLES = 2000

Clock = Callable[[], float]


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and the 95 % bootstrap interval of that median."""

    median: float
    low: float
    high: float

    def meets(self, target: float) -> bool:
        """Whether even the upper end of the interval is within the target."""
        return self.high <= target


def rounds(
    calls: Mapping[str, Callable[[], Any]], seconds: float, seed: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Return the seconds of one call by name: as many as there were rounds, one from each."""
    random = np.random.default_rng(seed)
    names = sorted(calls)
    repetitions = {name: _repetitions(calls[name], clock) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    end = clock() + seconds
    least, most = ROUNDS
    for done in range(most):
        if done >= least and clock() >= end:
            break
        for place in random.permutation(len(names)):
            name = names[place]
            calls[name]()  # what the one before left in caches and thread pools is not charged to this one
            times[name].append(_sample(calls[name], repetitions[name], clock) / repetitions[name])
    return times


def paired_ratio(ours: Sequence[float], peer: Sequence[float], seed: int) -> Ratio:
    """Return the ratio ours/peer from times of the same rounds."""
    ratios = np.divide(ours, peer)
    random = np.random.default_rng(seed)
    medians = np.median(ratios[random.integers(0, len(ratios), (_RESAMPLES, len(ratios)))], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return Ratio(float(np.median(ratios)), float(low), float(high))


def _repetitions(call: Callable[[], Any], clock: Clock) -> int:
    """Return how many calls make a sample: doubled until even the fastest of three lasts long enough."""
    call()
    count = 1
    while min(_sample(call, count, clock) for _ in range(3)) < SAMPLE:
        count *= 2
    return count


def _sample(call: Callable[[], Any], repetitions: int, clock: Clock) -> float:
    """Return the seconds that so many calls take, with the garbage collector off."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = clock()
        for _ in range(repetitions):
            call()
        return clock() - start
    finally:
        if collecting:
            gc.enable()
