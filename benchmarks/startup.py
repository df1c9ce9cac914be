"""How long the program takes to answer, against what its libraries take to import.

    python benchmarks/startup.py --pairs 21

Each pair runs both commands one after the other, in processes of their own, on one processor and with warm byte code; the
ratio is the median over the pairs, so that a machine that grows slow in the middle does not decide. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

REFERENCE = ["-c", "import sympy, numpy, jinja2"]
COMMANDS = {
    "symbackprop --help": ["-m", "symbackprop", "--help"],
    "symbackprop derive": ["-m", "symbackprop", "derive"],
    "symbackprop derive mlp": ["-m", "symbackprop", "derive", "mlp"],
    "symbackprop derive causal_attention": ["-m", "symbackprop", "derive", "causal_attention"],
}


def seconds(arguments: list[str]) -> float:
    """Run Python once and return the wall-clock time."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def compare(arguments: list[str], pairs: int) -> tuple[float, float, float]:
    """Return the median times of the command and of the imports, and the median of the paired ratios."""
    seconds(arguments), seconds(REFERENCE)  # writes the byte code
    times = [(seconds(arguments), seconds(REFERENCE)) for _ in range(pairs)]
    ours, reference = (statistics.median(column) for column in zip(*times, strict=True))
    return ours, reference, statistics.median(a / b for a, b in times)


def main() -> int:
    """Measure and print; the exit status is 0."""
    parser = argparse.ArgumentParser(description="measure how fast the program answers")
    parser.add_argument("--pairs", type=int, default=21, metavar="N", help="runs of each command (default %(default)s)")
    pairs = parser.parse_args().pairs
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"Python {platform.python_version()} on {platform.machine()}, {pairs} pairs of runs\n")
    print("| command | seconds | imports alone | ratio |\n|---|---|---|---|")
    for name, arguments in COMMANDS.items():
        ours, reference, ratio = compare(arguments, pairs)
        print(f"| `{name}` | {ours:.3f} | {reference:.3f} | {ratio:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
