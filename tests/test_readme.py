"""The README says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbackprop.cli import run

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_output_shown_is_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive"]) == 0
    shown = re.search(r"## What comes out\n.*?```text\n(.*?)```", README, flags=re.DOTALL)
    assert shown is not None
    assert shown.group(1).split() == capsys.readouterr().out.split()


def test_the_quick_start_is_two_commands() -> None:
    quick = README.split("## Quick start")[1].split("\n## ")[0]
    fences = re.findall(r"```sh\n(.*?)```", quick, flags=re.DOTALL)
    assert len(fences) == 2
    assert all(len(fence.strip().splitlines()) == 1 for fence in fences)
    assert "symbackprop derive" in fences[0] and "pytest" in fences[1]


def test_the_model_of_the_readme_derives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = re.search(r"```text\n( *# logistic regression.*?)```", README, flags=re.DOTALL)
    assert model is not None
    (tmp_path / "mine.eq").write_text(model.group(1), encoding="utf-8")
    assert run(["derive", str(tmp_path / "mine.eq")]) == 0
    assert "∂L/∂o = σ(o) − y" in capsys.readouterr().out


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    import symbackprop as sb

    derivation = sb.derive(sb.builtin("d2l_mlp"))
    assert "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1" in derivation.text()
    assert derivation.gradient("W1").text() == "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1"
    assert derivation.kernel().init(seed=0)["W1"].shape == (256, 784)
