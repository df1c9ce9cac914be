"""The commands of the documents run, and they and their programs print what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs.tutorial import COMMAND, PAGE, outputs
from symbackprop.cli import run

DOCS = Path(__file__).parent.parent / "docs"
DOCUMENTS = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("second.md", "paper.md", "partition.md")}
COMMANDS = {name: re.findall(r"^python -m symbackprop (.*)$", text, flags=re.MULTILINE) for name, text in DOCUMENTS.items()}


def test_there_are_commands() -> None:
    assert {name: len(commands) for name, commands in COMMANDS.items()} == {"second.md": 11, "paper.md": 7, "partition.md": 17}


@pytest.mark.parametrize("command", [command for commands in COMMANDS.values() for command in commands])
def test_each_command_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert run(words) == 0
    for flag in ("-o", "--plot", "--latex"):
        assert flag not in words or Path(words[words.index(flag) + 1]).exists()


def test_what_is_said_of_the_output_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hessian", "mlp_classifier"]) == 0
    out = capsys.readouterr().out
    assert "ż1 = Ẇ1 x + ḃ1" in out and " 1.67\n" in out


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_program_prints_what_it_says(name: str) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENTS[name], flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == re.findall(r"^print\(.*#  ?(.*)$", program, flags=re.MULTILINE)


def test_the_tutorial_shows_what_its_commands_print() -> None:
    written, pictures = outputs(PAGE.read_text(encoding="utf-8"))
    assert written == PAGE.read_text(encoding="utf-8")
    assert len(COMMAND.findall(written)) == 7 and pictures.keys() == {"d2l_graph.svg"}
    for name, content in pictures.items():
        assert PAGE.with_name(name).read_bytes() == content


def test_the_tutorial_goes_through_all_five_exercises() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [line[3] for line in text.splitlines() if line.startswith("## ")] == list("12345")
    said = re.findall(r"`(\w+\.svg|[a-z]+\.md|examples/\w+\.py)`|\]\(([a-z0-9_]+\.(?:md|svg))\)", text)
    for inside, linked in said:
        path = PAGE.parent.parent / inside if inside else PAGE.parent / linked
        assert path.exists(), path
