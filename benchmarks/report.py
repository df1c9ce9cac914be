"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.generation import LAYERS, TARGET
from benchmarks.settings import SETTINGS

_PEERS = {
    "floor": "products alone",
    "textbook": "textbook NumPy",
    "autograd": "HIPS autograd",
    "torch": "torch eager",
    "torch.compile": "torch.compile",
    "jax": "JAX jit",
}
_INTRODUCTION = """\
The time of the generated kernel over the time of each peer, for the loss and all gradients in float32: below 1, the kernel is
faster. Median of the ratios paired round by round, with its 95 % interval in brackets. ✓ and ✗ say whether the upper end of the
interval is within the target, which was set for one pinned thread. *Products alone* are the case's matrix products and nothing
else. *Error* is the largest norm-relative difference of a loss or gradient from any peer's."""


def markdown(results: Mapping[str, Any]) -> str:
    """Return the whole report."""
    parts = ["# Benchmarks", _heading(results), _INTRODUCTION]
    for setting in results["settings"]:
        parts += _setting(setting)
    if results["settings"]:
        parts += _saved(results["settings"][0]["cases"])
    parts += _generation(results["generation"])
    return "\n\n".join(parts) + "\n"


def failures(results: Mapping[str, Any]) -> list[str]:
    """Return what makes the comparison worthless: peers that compute something else."""
    return [
        f"{case['name']}: {name} disagrees, its error is {peer['error']:.1e}"
        for setting in results["settings"]
        for case in setting["cases"]
        for name, peer in case["peers"].items()
        if peer.get("error") is not None and "median" not in peer
    ]


def _heading(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    lines = [
        f"{results['date']}, by `python -m benchmarks`, rounds of {results['seconds']:g} s for each case",
        f"{machine['processor']}, {machine['cores']} cores ({machine['caches'] or 'caches unknown'}), {machine['system']}; "
        f"load {machine['load']} at the start",
        ", ".join(f"{name} {version}" for name, version in results["versions"].items()),
    ]
    if results["dropped"]:
        lines.append(f"{results['dropped']} was set, and taken away for the measurement")
    return _list(lines)


def _setting(setting: Mapping[str, Any]) -> Iterable[str]:
    threads = SETTINGS[setting["threads"]]
    cases = setting["cases"]
    peers = [name for name in _PEERS if any(name in case["peers"] for case in cases)]
    rows = [
        [case["title"], _time(case["seconds"])]
        + [_cell(case["peers"].get(name, {}), threads.pinned) for name in peers]
        + [_error(case), str(case["rounds"])]
        for case in cases
    ]
    yield f"## {threads.title}"
    yield _list(setting["process"])
    yield _table(["case", "kernel", *(_PEERS[name] for name in peers), "error", "rounds"], rows)
    left_out: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for name in peers:
            if "skipped" in case["peers"].get(name, {}):
                left_out.setdefault((_PEERS[name], case["peers"][name]["skipped"]), []).append(case["title"])
    if left_out:
        yield "Left out (–):"
        yield _list(
            f"{peer}, {'everywhere' if len(titles) == len(cases) else '; '.join(titles)}: {reason}"
            for (peer, reason), titles in left_out.items()
        )
    aims = [peer for case in cases for peer in case["peers"].values() if "target" in peer]
    if threads.pinned and aims:
        verdicts = [aim.get("met") for aim in aims]
        unknown = f", {verdicts.count(None)} not judged" if None in verdicts else ""
        yield f"{verdicts.count(True)} of {len(verdicts)} targets are met{unknown}."


def _cell(peer: Mapping[str, Any], judged: bool) -> str:
    if "median" not in peer:
        return "disagrees" if "error" in peer else "–"
    text = f"{peer['median']:.2f} [{peer['low']:.2f}, {peer['high']:.2f}]"
    return f"{text} {'✓' if peer['met'] else '✗'} {peer['target']:.2f}" if judged and "met" in peer else text


def _error(case: Mapping[str, Any]) -> str:
    errors = [peer["error"] for peer in case["peers"].values() if peer.get("error") is not None]
    return f"{max(errors):.0e}" if errors else "–"


def _saved(cases: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    names = list(cases[0]["saved"])
    rows = [
        [case["title"], *(f"{count:,}" if isinstance(count, int) else f"– ({count})" for count in case["saved"].values())]
        for case in cases
    ]
    yield "## Kept for the backward pass"
    yield "In bytes, without the parameters and inputs, which are there anyway."
    yield _table(["case", *names], rows)


def _generation(runs: Sequence[Mapping[str, float]]) -> Iterable[str]:
    worst = max(runs, key=lambda stages: sum(stages.values()))
    total = sum(worst.values())
    stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in worst.items())
    yield "## Generating a kernel"
    yield (
        f"A network of {LAYERS} layers: {total:.2f} s {'✓' if total <= TARGET else '✗'} {TARGET:g} s ({stages}), "
        f"the slowest of {len(runs)} processes, on one pinned thread."
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.3f} ms"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
