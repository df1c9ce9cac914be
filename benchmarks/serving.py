"""``python -m benchmarks.serving``: how fast the live page answers, and whether it goes on answering.

It prints Markdown; ``--write`` puts it into SERVING.md. An edit is a change of the 784-256-128-10 classifier's text; the answer
holds the derivation in all notations and forms, both graphs and the kernel.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.fuzz import texts
from benchmarks.machine import machine
from symbackprop.models import builtin_text

RESULTS = Path(__file__).parent / "SERVING.md"
EDITS, AT_ONCE, FUZZED, WITHIN = 40, 50, 1000, 1.0


def ask(address: str, text: str) -> str:
    """Return what an edit is answered with: ``page``, ``error``, or the status of a refusal."""
    body = text.encode("utf-8", "surrogatepass")
    request = urllib.request.Request(f"{address}/page", body, {"Content-Type": "text/plain"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return "page" if "content" in json.loads(answer.read()) else "error"
    except urllib.error.HTTPError as refusal:
        return str(refusal.code)


def edits(count: int) -> list[str]:
    """Return so many versions of the classifier, no two alike."""
    text = builtin_text("mlp_classifier")
    return [text.replace("256", str(257 + k)).replace("a2", f"h{k}") for k in range(count)]


def measure() -> str:
    """Start a server, and return the report."""
    command = [sys.executable, "-m", "symbackprop", "serve", "mlp_classifier", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = server.stderr.readline().split()[0]
        try:
            ask(address, edits(1)[0])  # the workers are up
            times = []
            for text in edits(EDITS):
                start = time.perf_counter()
                assert ask(address, text) == "page"
                times.append(time.perf_counter() - start)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                together = list(pool.map(lambda text: ask(address, text), edits(AT_ONCE)))
            fuzzed = [ask(address, text) for text in texts(FUZZED, seed=1)]
            after = ask(address, edits(1)[0])
        finally:
            server.terminate()
    about, median = machine(), statistics.median(times)
    counts = {kind: fuzzed.count(kind) for kind in ("error", "page")}
    others = FUZZED - sum(counts.values())
    found = f"{counts['error']} errors with their place, {counts['page']} pages, {others} others; then an edit: {after}"
    speed = f"{median:.2f} s (worst {max(times):.2f} s of {EDITS})"
    rows = [
        ("an edit of the classifier, median", speed, f"{WITHIN:.0f} s", median <= WITHIN),
        (f"{AT_ONCE} edits at once", f"{together.count('page')} answered", "no failure", together == ["page"] * AT_ONCE),
        (f"{FUZZED:,} fuzzed texts", found, "still answers", after == "page"),
    ]
    lines = [
        "# The live page", "", f"{datetime.date.today().isoformat()}, {about['processor']}, {about['cores']} cores, 2 workers", "",
        "| what | measured | target | met |", "| --- | --- | --- | --- |",
        *[f"| {what} | {found} | {target} | {'✓' if met else '✗'} |" for what, found, target, met in rows],
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Measure, print, and write where that is asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/SERVING.md")
    options = parser.parse_args(arguments)
    text = measure()
    print(text, end="")
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
