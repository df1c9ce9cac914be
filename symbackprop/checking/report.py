"""What a check found: one row for each parameter, route and sample, and the table a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from html import escape
from json import dumps
from math import isfinite


class Verdict(Enum):
    """What a comparison says. Only `FAIL` is against the kernel, and only `PASS` is for it."""

    PASS = "pass"
    FAIL = "FAIL"
    KINK = "kink"
    NOT_AVAILABLE = "not available"
    TOO_LARGE = "too large"


@dataclass(frozen=True)
class Row:
    """One comparison: the norm-relative error of one parameter's gradient, by one route, at one sample.

    error is None where there was no comparison; note says why, or what was seen.
    """

    parameter: str
    route: str
    sample: str
    error: float | None
    tolerance: float
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True)
class Line:
    """The rows of one parameter and route, summed up: the worst error, and how many samples say what."""

    parameter: str
    route: str
    rows: tuple[Row, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL if any row fails, pass if any passes, otherwise why there is no answer."""
        found = [row.verdict for row in self.rows]
        return next((v for v in (Verdict.FAIL, Verdict.PASS) if v in found), found[0])

    @property
    def error(self) -> float | None:
        """The worst error; that of the failing rows, if any fail."""
        failing = [row for row in self.rows if row.verdict is Verdict.FAIL] or self.rows
        return max((row.error for row in failing if row.error is not None), default=None)

    @property
    def note(self) -> str:
        """What the reader must know: the failing sample, or what was not compared."""
        failing = [row for row in self.rows if row.verdict is Verdict.FAIL]
        if failing:
            worst = max(failing, key=lambda row: -1.0 if row.error is None else row.error)
            return "; ".join(part for part in (worst.note, f"at {worst.sample}") if part)
        other = [row for row in self.rows if row.verdict is not Verdict.PASS]
        if not other:
            return ""
        if self.verdict is Verdict.PASS:
            return f"{len(other)} of {len(self.rows)} {other[0].verdict.value}: {other[0].note}"
        return other[0].note

    def cells(self) -> tuple[str, ...]:
        """The line as texts: parameter, route, samples, worst error, tolerance, verdict, note."""
        error = "–" if self.error is None else f"{self.error:.1e}" if self.error else "0"
        tolerance = f"{self.rows[0].tolerance:.0e}" if self.rows[0].tolerance else "0"
        return (
            self.parameter,
            self.route,
            str(len(self.rows)),
            error,
            tolerance,
            self.verdict.value,
            self.note,
        )


HEADINGS = ("parameter", "route", "samples", "worst error", "tolerance", "verdict", "note")

_RIGHT = (2, 3, 4)


@dataclass(frozen=True)
class CheckReport:
    """The result of a check: its rows, in the order of the parameters and routes."""

    model: str
    rows: tuple[Row, ...]
    parameters: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and every parameter's gradient passed by at least one route."""
        return not any(row.verdict is Verdict.FAIL for row in self.rows) and not self.unchecked

    @cached_property
    def unchecked(self) -> tuple[str, ...]:
        """The parameters whose gradient nothing is known about (float32 alone is too coarse to count)."""
        known = {row.parameter for row in self.rows if row.verdict is Verdict.PASS and row.route != "float32"}
        known |= {row.parameter for row in self.failures}
        return tuple(name for name in self.parameters if name not in known)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The rows summed up by parameter and route, in order."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row.parameter, row.route), []).append(row)
        return tuple(Line(parameter, route, tuple(rows)) for (parameter, route), rows in groups.items())

    @property
    def worst(self) -> dict[tuple[str, str], float]:
        """The worst norm-relative error by parameter and route, where there was a comparison."""
        return {(line.parameter, line.route): line.error for line in self.lines if line.error is not None}

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows that fail."""
        return tuple(row for row in self.rows if row.verdict is Verdict.FAIL)

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.failures:
            names = ", ".join(dict.fromkeys(row.parameter for row in self.failures))
            return f"{self.model}: FAIL for {names} ({len(self.failures)} of {len(self.rows)} comparisons)"
        if self.unchecked:
            return f"{self.model}: no route could check {', '.join(self.unchecked)}"
        compared = sum(row.verdict is Verdict.PASS for row in self.rows)
        return f"{self.model}: all {compared} comparisons pass"

    @property
    def table(self) -> str:
        """The lines as aligned plain text, with a summary below."""
        cells = [HEADINGS, *(line.cells() for line in self.lines)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
        texts = []
        for row in cells:
            padded = [
                text.rjust(width) if column in _RIGHT else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            texts.append("  ".join(padded).rstrip())
        texts.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*texts, "", self.summary])

    def json(self) -> str:
        """The report as JSON: ok, summary and every row. An infinite error is the text "inf"."""
        rows = [
            {
                "parameter": row.parameter,
                "route": row.route,
                "sample": row.sample,
                "error": row.error if row.error is None or isfinite(row.error) else "inf",
                "tolerance": row.tolerance,
                "verdict": row.verdict.value,
                "note": row.note,
            }
            for row in self.rows
        ]
        return dumps({"model": self.model, "ok": self.ok, "summary": self.summary, "rows": rows}, indent=2)

    def __str__(self) -> str:
        return self.table

    def _repr_html_(self) -> str:
        """The table for a notebook, every text escaped."""
        head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line.cells()) + "</tr>" for line in self.lines
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{escape(self.summary)}</p>"
