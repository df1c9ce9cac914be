"""How long parsing, deriving and rendering take as a multilayer perceptron gets deeper.

    python benchmarks/depth.py

prints a Markdown table, the best of three runs each in a process of its own, and the exponent p of time ~ depth^p fitted to
it (1 is linear).
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Sequence

DEPTHS = (100, 200, 300, 400, 600, 800, 1000)
STAGES = ("parse", "derive", "render")


def measure(depth: int) -> list[float]:
    """Return the seconds that each stage takes, in a process that has imported everything."""
    import symbackprop as sb
    from symbackprop.perceptron import Perceptron

    sb.derive(sb.builtin("d2l_mlp")).text()
    text = Perceptron(layers=[784, *[256] * (depth - 1), 10], regularizer="l2").text()
    marks = [time.perf_counter()]
    model = sb.parse(text)
    marks.append(time.perf_counter())
    derivation = sb.derive(model)
    marks.append(time.perf_counter())
    derivation.text()
    marks.append(time.perf_counter())
    return [later - earlier for earlier, later in zip(marks, marks[1:], strict=False)]


def best_of(runs: int, depth: int) -> list[float]:
    """Return the least seconds of each stage over several fresh processes."""
    command = [sys.executable, __file__, "--depth", str(depth)]
    found = [
        [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
        for _ in range(runs)
    ]
    return [min(stage) for stage in zip(*found, strict=True)]


def exponent(depths: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of log time over log depth, by least squares."""
    x, y = [math.log(depth) for depth in depths], [math.log(second) for second in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, help="measure one depth in this process and print the seconds")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.depth is not None:
        print(*measure(options.depth))
        return
    rows = [best_of(options.runs, depth) for depth in DEPTHS]
    print(f"| layers | {' | '.join(STAGES)} | all |\n|---:|---:|---:|---:|---:|")
    for depth, row in zip(DEPTHS, rows, strict=True):
        print(f"| {depth} | {' | '.join(f'{second:.2f} s' for second in row)} | {sum(row):.2f} s |")
    fitted = [exponent(DEPTHS, [row[k] for row in rows]) for k in range(len(STAGES))]
    whole = exponent(DEPTHS, [sum(row) for row in rows])
    print(f"| exponent | {' | '.join(f'{value:.2f}' for value in fitted)} | {whole:.2f} |")


if __name__ == "__main__":
    main()
