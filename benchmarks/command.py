"""The command: a process for each setting of threads, what they found as Markdown or JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.contestants import PEERS
from benchmarks.machine import machine, versions
from benchmarks.report import failures, markdown
from benchmarks.settings import FORCED_KERNEL, SETTINGS, Threads

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
GENERATION_RUNS = 3
DONE, DISAGREEMENT, BAD_INPUT = 0, 1, 2


def run(arguments: Sequence[str]) -> int:
    """Measure and print. Returns 0; 1 where a peer computes something else; 2 for bad options."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as request:
        return int(request.code or 0)
    threads = tuple(SETTINGS) if options.threads == "both" else (options.threads,)
    try:
        results = measure(options.cases, options.peers, threads, options.seconds)
    except subprocess.CalledProcessError as problem:
        print(f"error: {' '.join(problem.cmd[1:3])} ended with status {problem.returncode}", file=sys.stderr)
        return DISAGREEMENT
    text = markdown(results)
    print(json.dumps(results, indent=2) if options.json else text, end="\n" if options.json else "")
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")
        print(f"{RESULTS.relative_to(ROOT)}: written", file=sys.stderr)
    for failure in failures(results):
        print(f"error: {failure}", file=sys.stderr)
    return DISAGREEMENT if failures(results) else DONE


def measure(cases: Sequence[str], peers: Sequence[str], threads: Sequence[str], seconds: float) -> dict[str, Any]:
    """Return everything that is found out."""
    results: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(),
        "dropped": f"{FORCED_KERNEL}={os.environ[FORCED_KERNEL]}" if FORCED_KERNEL in os.environ else "",
        "seconds": seconds,
    }
    request = {"cases": cases, "peers": peers, "seconds": seconds}
    results["settings"] = [_measured({**request, "threads": name}, SETTINGS[name]) for name in threads]
    print(f"[one] generating {GENERATION_RUNS} times", file=sys.stderr, flush=True)
    results["generation"] = [json.loads(_child(SETTINGS["one"], "benchmarks.generation")) for _ in range(GENERATION_RUNS)]
    return results


def _measured(request: dict[str, Any], threads: Threads) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        _child(threads, "benchmarks.worker", str(asked), str(answered))
        return json.loads(answered.read_text(encoding="utf-8"))


def _child(threads: Threads, module: str, *arguments: str) -> bytes:
    """Run a module in a process under a setting; return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    environment = threads.environment(os.environ)
    return subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time the generated kernels against their peers; print a Markdown table of ratios."
    )
    everything = tuple(case.name for case in CASES)
    parser.add_argument(
        "--cases", metavar="NAME,...", type=_names(everything), default=everything, help=f"of: {', '.join(everything)}"
    )
    parser.add_argument(
        "--peers", metavar="NAME,...", type=_names(PEERS), default=tuple(PEERS), help=f"of: {', '.join(PEERS)}"
    )
    parser.add_argument(
        "--threads",
        choices=(*SETTINGS, "both"),
        default="both",
        help="one pinned thread, all cores, or one after the other (default), each in a process of its own",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=_seconds, default=10.0, help="time for the rounds of a case (default %(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULTS.relative_to(ROOT)}")
    return parser


def _names(known: Iterable[str]) -> Any:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name[:40]!r}; there are {', '.join(known)}")
        return tuple(dict.fromkeys(names))

    return read


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number of seconds between 0 and 3600")
    return seconds
