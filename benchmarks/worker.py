"""One process under one setting of threads: ``python -m benchmarks.worker REQUEST ANSWER``, two JSON files.

The environment is set by whoever starts it; the process pins itself before an array library is imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.settings import SETTINGS, described

if TYPE_CHECKING:
    from benchmarks.case import Case, Problem

AGREEMENT = 1e-4
"""The largest norm-relative error of a loss or a gradient in float32."""


def main(request_file: str, answer_file: str) -> None:
    """Measure what the request asks for."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    SETTINGS[request["threads"]].pin()
    from benchmarks.cases import CASES
    from benchmarks.machine import linear_algebra

    cases = [case for case in CASES if case.name in request["cases"]]
    results = []
    for number, case in enumerate(cases, start=1):
        print(f"[{request['threads']}] {number}/{len(cases)} {case.name}", file=sys.stderr, flush=True)
        results.append(measure(case, request["peers"], request["seconds"]))
    answer = {"threads": request["threads"], "process": [described(), *linear_algebra()], "cases": results}
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")


def measure(case: Case, peers: list[str], seconds: float) -> dict[str, Any]:
    """Return what is known of a case: of each peer the error, then the ratio, or why there is none."""
    import numpy as np

    from benchmarks.contestants import PEERS, UnavailableError, disagreement, ours
    from benchmarks.timing import paired_ratio, rounds

    problem = case.problem()
    own = ours(problem)
    calls: dict[str, Callable[[], Any]] = {"ours": own.call}
    found: dict[str, dict[str, Any]] = {}
    for name in peers:
        found[name] = {"target": case.targets[name]} if name in case.targets else {}
        try:
            contestant = PEERS[name](problem)
        except UnavailableError as reason:
            found[name]["skipped"] = str(reason)
            continue
        error = disagreement(own.call(), contestant.answer()) if contestant.answer else None
        found[name]["error"] = error
        if error is None or error <= AGREEMENT:
            calls[name] = contestant.call
    times = rounds(calls, seconds, case.seed)
    for name in calls.keys() & found.keys():
        ratio = paired_ratio(times["ours"], times[name], case.seed)
        found[name] |= {"seconds": float(np.median(times[name])), **vars(ratio)}
        if name in case.targets:
            found[name]["met"] = ratio.meets(case.targets[name])
    return {
        "name": case.name,
        "title": case.title,
        "rounds": len(times["ours"]),
        "seconds": float(np.median(times["ours"])),
        "peers": found,
        "saved": saved(problem),
    }


def saved(problem: Problem) -> dict[str, Any]:
    """Return the bytes kept for the backward pass, by who tells."""
    from benchmarks.contestants import UnavailableError
    from benchmarks.saved_bytes import COUNTS

    def count(counter: Callable[[Problem], int]) -> int | str:
        try:
            return counter(problem)
        except UnavailableError as reason:
            return str(reason)

    return {name: count(counter) for name, counter in COUNTS.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
