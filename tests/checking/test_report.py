"""The report: rows into lines, lines into a table."""

from __future__ import annotations

import json

from symbackprop.checking.report import CheckReport, Row, Verdict


def row(parameter: str, route: str, error: float | None, verdict: Verdict, note: str = "", sample: str = "n=2") -> Row:
    return Row(parameter, route, sample, error, 1e-8, verdict, note)


def test_a_table_is_aligned_and_says_the_worst() -> None:
    report = CheckReport(
        "m",
        (
            row("W1", "differences", 1e-13, Verdict.PASS),
            row("W1", "differences", 3e-12, Verdict.PASS),
            row("W1", "differences", None, Verdict.KINK, "relu in a"),
            row("b", "differences", 0.0, Verdict.PASS),
        ),
        ("W1", "b"),
    )
    assert report.table.splitlines() == [
        "parameter  route        samples  worst error  tolerance  verdict  note",
        "---------  -----------  -------  -----------  ---------  -------  ----------------------",
        "W1         differences        3      3.0e-12      1e-08  pass     1 of 3 kink: relu in a",
        "b          differences        1            0      1e-08  pass",
        "",
        "m: all 3 comparisons pass",
    ]
    assert report.ok
    assert report.worst == {("W1", "differences"): 3e-12, ("b", "differences"): 0.0}
    assert str(report) == report.table


def test_one_failure_is_enough_and_the_worst_is_shown() -> None:
    report = CheckReport(
        "m",
        (
            row("W", "differences", 1e-13, Verdict.PASS),
            row("W", "differences", 2e-6, Verdict.FAIL, sample="n=3"),
            row("W", "differences", 1e-6, Verdict.FAIL, sample="n=4"),
        ),
        ("W",),
    )
    assert not report.ok
    (line,) = report.lines
    assert (line.verdict, line.error, line.note) == (Verdict.FAIL, 2e-6, "at n=3")
    assert report.summary == "m: FAIL for W (2 of 3 comparisons)"


def test_a_parameter_that_nothing_checked_is_not_ok() -> None:
    report = CheckReport("m", (row("W", "differences", None, Verdict.KINK, "relu in a"),), ("W",))
    assert not report.ok and not report.failures
    assert report.unchecked == ("W",)
    assert report.summary == "m: no route could check W"


def test_float32_alone_is_too_coarse_to_count() -> None:
    assert not CheckReport("m", (row("W", "float32", 1e-7, Verdict.PASS),), ("W",)).ok


def test_html_is_escaped() -> None:
    name = '<script>"&'
    report = CheckReport(name, (row(name, "differences", None, Verdict.FAIL, name),), (name,))
    html = report._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;&quot;&amp;" in html
    assert html.startswith("<table>")


def test_json_holds_every_row() -> None:
    rows = (row("W", "exact", 0.0, Verdict.PASS), row("W", "differences", float("inf"), Verdict.FAIL, "why"))
    found = json.loads(CheckReport("m", rows, ("W",)).json())
    assert found["ok"] is False and found["model"] == "m"
    assert [entry["error"] for entry in found["rows"]] == [0.0, "inf"]
    assert found["rows"][1]["verdict"] == "FAIL" and found["rows"][1]["note"] == "why"
