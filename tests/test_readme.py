"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from symbackprop.cli import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def model_text() -> str:
    found = re.search(r"```text\n( *# logistic regression.*?)```", section("Five things to try"), flags=re.DOTALL)
    assert found is not None
    return found.group(1)


COMMANDS = re.findall(r"`symbackprop ([^`]+)`", section("Five things to try"))
EXAMPLES = re.findall(r"`python (examples/[^`]+)`", section("Five things to try"))
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_output_shown_is_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive"]) == 0
    shown = re.search(r"```text\n(.*?)```", section("What comes out"), flags=re.DOTALL)
    assert shown is not None
    assert shown.group(1) == capsys.readouterr().out


def test_the_quick_start_is_two_commands() -> None:
    fences = re.findall(r"```sh\n(.*?)```", section("Quick start"), flags=re.DOTALL)
    assert len(fences) == 2 == section("Quick start").count("```") / 2
    assert all(len(fence.strip().splitlines()) == 1 for fence in fences)
    assert "symbackprop derive" in fences[0] and "pytest" in fences[1]


def test_there_are_five_things_to_try() -> None:
    assert len(re.findall(r"^\d\. ", section("Five things to try"), flags=re.MULTILINE)) == 5
    assert [command.split()[0] for command in COMMANDS] == ["derive", "derive", "generate", "footprint", "check", "draw", "report"]
    assert len(EXAMPLES) == 2
    assert all((ROOT / example).is_file() for example in EXAMPLES)  # tests/test_examples.py runs them


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_does_what_is_said(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.eq").write_text(model_text(), encoding="utf-8")
    words = shlex.split(command)
    assert run(words + ["--samples", "1"] * (words[0] == "check")) == 0
    shown = capsys.readouterr().out
    if words[0] in ("draw", "report"):
        start = {"draw": "<svg", "report": "<!DOCTYPE html>"}[words[0]]
        assert Path(words[-1]).read_text(encoding="utf-8").startswith(start)
    elif "-o" in words:
        assert r"\documentclass" in Path("mine.tex").read_text(encoding="utf-8")
    elif words[0] == "generate":
        imported = re.findall(r"^(?:import|from) (\w+)", Path("generated/mine.py").read_text("utf-8"), flags=re.MULTILINE)
        assert set(imported) - sys.stdlib_module_names == {"numpy"}
    elif words[0] == "footprint":
        assert "the largest batch that fits 8,589,934,592 bytes" in shown
    elif words[0] == "check":
        assert "comparisons pass" in shown
    else:
        assert "∂J/∂W2" in shown and "b1" in shown and "b2" not in shown


def test_the_model_shown_derives_to_the_textbooks_gradient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.eq").write_text(model_text(), encoding="utf-8")
    assert run(["derive", str(tmp_path / "mine.eq")]) == 0
    assert "∂L/∂o = σ(o) − y" in capsys.readouterr().out


@pytest.mark.parametrize("program", PYTHON, ids=["derive", "operators"])
def test_each_program_runs_and_prints_what_its_comments_say(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for printed in re.findall(r"^print\(.*#  ?(.*)$", program, flags=re.MULTILINE):
        assert f"{printed}\n" in done.stdout


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()]
    assert missing == []
