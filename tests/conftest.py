"""Rules for the whole suite: deterministic hypothesis, golden files, no skips where none are allowed.

SYMBACKPROP_NO_SKIP=1 makes every skipped test a failure: a machine that claims to run everything has to.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

GOLDEN = Path(__file__).parent / "golden"
NO_SKIP = os.environ.get("SYMBACKPROP_NO_SKIP", "") not in ("", "0")

hypothesis.settings.register_profile(
    "deterministic",
    derandomize=True,  # the same examples on every run and machine
    database=None,
    deadline=None,  # a slow machine is not a wrong result; pytest-timeout guards against hanging
    print_blob=True,
)
hypothesis.settings.load_profile("deterministic")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the files in tests/golden instead of comparing"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    return _refuse_skip((yield), item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    return _refuse_skip((yield), collector.nodeid)


def _refuse_skip(report: Any, nodeid: str) -> Any:
    """Turn a skip into a failure where SYMBACKPROP_NO_SKIP is set; an expected failure (xfail) is no skip."""
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{nodeid}: {reason} (SYMBACKPROP_NO_SKIP is set, and nothing may be skipped)"
    return report


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten (``--update-golden``)."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> Callable[[str, str], None]:
    """A function of (name, text): the text is that of tests/golden/NAME, or becomes it (--update-golden)."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
            return
        if not path.exists():
            pytest.fail(f"there is no golden file {name}; write it with --update-golden and read it", pytrace=False)
        wanted = path.read_bytes().decode("utf-8")
        if text != wanted:
            diff = difflib.unified_diff(
                wanted.splitlines(), text.splitlines(), f"golden/{name}", "this run", lineterm=""
            )
            pytest.fail("\n".join([*diff, "(--update-golden accepts this)"]), pytrace=False)

    return compare
