"""``python -m benchmarks.second_order``: products and whole matrices of second derivatives against their peers, on one thread.

It prints Markdown; ``--write`` puts it into SECOND_ORDER.md. Each case first shows that all compute the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.settings import SETTINGS

RESULTS = Path(__file__).parent / "SECOND_ORDER.md"
CHILD = "SYMBACKPROP_SECOND_ORDER_CHILD"


def main(arguments: list[str]) -> int:
    """Measure in a process of its own, pinned to one thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second_order", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="time for the rounds of a case (default %(default)g)")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/SECOND_ORDER.md")
    options = parser.parse_args(arguments)
    if CHILD not in os.environ:
        command = [sys.executable, "-m", "benchmarks.second_order", "--seconds", str(options.seconds)]
        environment = {**SETTINGS["one"].environment(os.environ), CHILD: "1"}
        text = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout.decode()
        print(text, end="")
        if options.write:
            RESULTS.write_text(text, encoding="utf-8")
        return 0
    SETTINGS["one"].pin()  # before an array library is imported
    from benchmarks.second_report import measure

    print(measure(options.seconds), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
