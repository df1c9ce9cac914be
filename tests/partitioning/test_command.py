"""The commands about workers: every format, and bad input in one clear line before anything is computed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from symbackprop.cli import run
from symbackprop.models import builtin_names

FORMATS = {"text": ".txt", "latex": ".tex", "markdown": ".md", "json": ".json", "pdf": ".pdf"}

HEADER = "dim d = 4, k = 3\nbatch n = 6\ninput x[d]\nparam w[d]\n"
NO_AXIS = HEADER + "L = k w^T x\nminimize L\n"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("more", [[], ["--stages", "2", "--microbatches", "4"], ["--accumulate", "2"]], ids=" ".join)
def test_every_format(form: str, more: list[str], tmp_path: Path) -> None:
    path = tmp_path / f"worker{FORMATS[form]}"
    flags = ["--format", form] if form == "text" else []
    assert run(["partition", "mlp_classifier", "--split", "n=2", *more, "--bandwidth", "6GB,n=9GB", "-o", str(path), *flags]) == 0
    if form == "pdf":
        assert path.read_bytes().startswith(b"%PDF")
        return
    text = path.read_text(encoding="utf-8")
    if form == "json":
        found = json.loads(text)["partition"]
        assert found["workers"] == 2 * found["stages"] and found["splits"] == {"n": 2}
        assert found["bubble"] == (0.2 if more[:1] == ["--stages"] else 0)
        assert all(stage["meetings"][0]["bytes"]["number"] > 0 for stage in found["by_stage"])
        assert [way["name"] for way in found["alternatives"]][1] == "one worker"
    else:
        assert "Where workers meet" in text and "Beside other ways" in text


@pytest.mark.parametrize("name", builtin_names())
def test_every_model_has_a_plan(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["partition", name, "--workers", "4", "--plan", "auto"]) == 0
    out = capsys.readouterr().out
    times = [float(line.split()[-1]) for line in out.split("Ways to split")[1].splitlines() if re.search(r"=\d.*\d$", line)]
    assert times == sorted(times) and len(times) > 1


def test_without_sizes_there_are_polynomials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.eq"
    path.write_text(HEADER.replace("d = 4, k = 3", "d, k").replace("n = 6", "n") + "L = k w^T x\nminimize L\n", encoding="utf-8")
    assert run(["partition", str(path), "--split", "d=2"]) == 0
    out = capsys.readouterr().out
    assert "float*d_p" in out and "no size is given for d, k, n: --sizes gives it; the answer is symbolic until then" in out
    assert run(["partition", str(path), "--split", "d=2", "--plot", str(tmp_path / "x.svg")]) == 2


def test_a_plot_and_a_picture(tmp_path: Path) -> None:
    plot, picture = tmp_path / "memory.svg", tmp_path / "graph.svg"
    assert run(["partition", "d2l_mlp", "--split", "n=2,h=2", "--plot", str(plot)]) == 0
    assert "batch in parts" in plot.read_text(encoding="utf-8")
    assert run(["draw", "d2l_mlp", "--partition", "n=2,h=2", "--backward", "-o", str(picture)]) == 0
    assert "split along" in picture.read_text(encoding="utf-8")


BAD = {
    ("partition", "d2l_mlp", "--split", "z=2"): "there is no dimension z to split; there are d, h, q, n",
    ("partition", "d2l_mlp", "--split", "q=11"): "q = 10 cannot be split into 11 parts: a worker would hold nothing of it",
    ("partition", "d2l_mlp", "--split", "h=4", "--sizes", "h=3"): "h = 3 cannot be split into 4 parts",
    ("partition", "d2l_mlp", "--workers", "300"): "n = 256 cannot be split into 300 parts",
    ("partition", "d2l_mlp", "--workers", "4", "--split", "n=2,h=3"): "--workers 4: --split n=2,h=3 makes 6",
    ("partition", "d2l_mlp", "--workers", "3", "--stages", "2"): "--workers 3 cannot be as many in each of 2 stages",
    ("partition", "d2l_mlp", "--stages", "9"): "9 stages: a stage is one or more layers, and the model has 2 of them",
    ("partition", "d2l_mlp", "--split", "n=2", "--accumulate", "3"): "128 positions of a worker cannot be worked in 3 equal rounds",
    ("partition", "batch_norm", "--split", "n=2", "--accumulate", "2"): "the model couples its examples",
    ("partition", "batch_norm", "--workers", "2"): "batch_norm has no batch dimension: --split says which of n, m, d to split",
    ("partition", "d2l_mlp"): "give --workers N, or --split",
    ("partition", "d2l_mlp", "--split", "n"): "--split 'n': NAME=SIZE with a whole number",
    ("partition", "d2l_mlp", "--split", "n=2,n=3"): "n is given twice",
    ("partition", "d2l_mlp", "--split", "n=2", "--latency", "5"): "--latency '5': an amount such as 5us is needed",
    ("partition", "d2l_mlp", "--split", "n=2", "--bandwidth", "fast"): "--bandwidth 'fast': an amount such as",
    ("partition", "d2l_mlp", "--split", "n=2", "--plan", "auto"): "--plan auto finds splits and stages",
    ("partition", "d2l_mlp", "--workers", "2", "--plan", "auto", "--memory", "1kB"): "no split fits 1,000 bytes",
    ("partition", "d2l_mlp", "--split", "h=2", "--statistics", "local"): "split the batch, or one dimension alone",
    ("generate", "d2l_mlp", "--partition", "z=2"): "there is no dimension z to split",
    ("generate", "d2l_mlp", "--partition", "n=2", "--order", "2"): "are for kernels of order 1",
    ("generate", "d2l_mlp", "--target", "jax", "--stages", "2"): "a JAX module works the whole batch at once",
    ("check", "d2l_mlp", "--partition", "z=2"): "there is no dimension z to split",
    ("draw", "d2l_mlp", "--partition", "n=2", "--second"): "--second is not split over workers",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_told_in_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = [] if words[0] == "check" else ["-o", str(tmp_path / "x")]
    assert run([*words, *output]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and len(captured.err.splitlines()) == 1
    assert BAD[words] in captured.err


def test_what_is_no_axis_cannot_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.eq"
    path.write_text(NO_AXIS, encoding="utf-8")
    assert run(["partition", str(path), "--split", "k=2"]) == 2
    assert "k cannot be split: it is the size of no axis of a tensor" in capsys.readouterr().err
