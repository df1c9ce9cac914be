"""The commands of the document on second derivatives run, and its program prints what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from symbackprop.cli import run

SECOND = (Path(__file__).parent.parent / "docs" / "second.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m symbackprop (.*)$", SECOND, flags=re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 11


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(command)) == 0


def test_what_is_said_of_the_output_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hessian", "mlp_classifier"]) == 0
    out = capsys.readouterr().out
    assert "ż1 = Ẇ1 x + ḃ1" in out and " 1.67\n" in out


def test_the_program_prints_what_it_says() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", SECOND, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == re.findall(r"^print\(.*#  ?(.*)$", program, flags=re.MULTILINE)
