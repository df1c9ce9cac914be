"""What the command prints and draws, and every example of the documentation."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from pypdf import PdfReader

import symbackprop as sb
from symbackprop.cli import run
from symbackprop.footprint import documents, footprint_of, plot
from symbackprop.footprint.report import Report
from symbackprop.models import builtin_names
from symbackprop.writing import is_untouched

NAMES = builtin_names()
DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "footprint.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m symbackprop (.*)$", DOCUMENTATION, flags=re.MULTILINE)
MARKUP = "# <script>&\ndim d_\u03b1 = 3\nbatch n = 2\ninput x[d_\u03b1]\nparam W[d_\u03b1]\nz = W^T x\nL = z^2\nminimize L\n"


@pytest.mark.parametrize("form", ["txt", "tex", "md", "json"])
def test_the_classifier(form: str, golden: object) -> None:
    report = Report(footprint_of(sb.builtin("mlp_classifier")), {}, "float32", "adam", 24 * 2**30, 4)
    shown = {"txt": report.text, "json": report.json}.get(form) or (
        lambda: {"tex": documents.latex, "md": documents.markdown}[form](report)
    )
    golden(f"footprint/mlp_classifier.{form}", shown())  # type: ignore[operator]


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_every_model(name: str) -> None:
    report = Report(footprint_of(sb.builtin(name)), {})
    assert "training" in report.text() and json.loads(report.json())["peak"]["training"]["alive"] > 0
    assert "tabular" in documents.latex(report) and "| total |" in documents.markdown(report)
    assert ElementTree.fromstring(plot.svg(report.plot())).tag.endswith("svg")


@pytest.mark.parametrize("document", ["latex", "markdown"])
def test_a_missing_size_is_named_in_documents(document: str) -> None:
    model = sb.parse("dim d, h = 3\nbatch n\ninput x[d]\nparam W[h, d]\nz = W x\nL = ||z||^2\nminimize L")
    report = Report(footprint_of(model), {})
    assert "no size is given for d, n" in getattr(documents, document)(report)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["causal_attention", "mlp_classifier", "small_cnn", "markup"])
def test_the_latex_compiles(name: str, tmp_path: Path) -> None:
    model = sb.parse(MARKUP, name="a_b%") if name == "markup" else sb.builtin(name)
    text = documents.latex(Report(footprint_of(model), {}, accumulate=2))
    preamble = "\\documentclass{article}\\usepackage{amsmath}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{preamble}{text}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]


def test_no_text_of_a_model_becomes_markup() -> None:
    report = Report(footprint_of(sb.parse(MARKUP, name="<b>&")), {})
    picture = plot.svg(report.plot())
    assert "<b>" not in picture and "<script>" not in picture and "&lt;b&gt;&amp;" in picture
    assert "<script>" not in documents.markdown(report)


def test_the_picture_has_a_bar_for_each_step_and_the_workspace() -> None:
    footprint = footprint_of(sb.builtin("mlp_classifier"))
    report = Report(footprint, {})
    call = footprint.training_call(footprint.numbers({}))
    shapes = report.plot()
    bars = [shape for shape in shapes if isinstance(shape, plot.Bar)][: len(call.moments)]
    used = [moment.alive + moment.allocated for moment in call.moments]
    scale = bars[0].height / used[0]
    assert [bar.height / scale for bar in bars] == pytest.approx(used, rel=0.01)
    assert [bar.color == plot.BACKWARD for bar in bars] == [moment.backward for moment in call.moments]
    assert sum(bar.width for bar in bars) == pytest.approx(plot.RIGHT - plot.LEFT, abs=0.1)
    line = next(s for s in shapes if isinstance(s, plot.Stroke) and s.color == plot.LINE)
    assert (plot.BOTTOM - line.y1) / scale == pytest.approx(footprint.workspace_bytes(footprint.numbers({})), rel=0.01)


def test_pictures_are_written_whole_and_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("memory.svg", "memory.png", "memory.pdf"):
        path = tmp_path / name
        command = ["footprint", "d2l_mlp", "--plot", str(path)]
        assert run(command) == 0 and "written" in capsys.readouterr().err
        assert run(command) == 0 and "up to date" in capsys.readouterr().err
        assert run(["footprint", "layer_norm", "--plot", str(path)]) == 0 and "written" in capsys.readouterr().err
        path.write_bytes(b"mine")
        assert run(command) == 2 and "--force replaces it" in capsys.readouterr().err and path.read_bytes() == b"mine"
        assert run([*command, "--force"]) == 0 and path.read_bytes() != b"mine"
    png = (tmp_path / "memory.png").read_bytes()
    for place in range(8, len(png), 97):  # any edit is noticed
        assert not is_untouched(png[:place] + bytes([png[place] ^ 1]) + png[place + 1 :])
    assert is_untouched(png) and not is_untouched(png + b"\n") and not is_untouched(png[:-1])
    with Image.open(tmp_path / "memory.png") as opened:
        opened.verify()  # the checksums of the chunks, that of the seal among them
    with Image.open(tmp_path / "memory.png") as opened:
        assert opened.width * plot.HEIGHT == opened.height * plot.WIDTH and len(opened.getcolors(10**6)) > 3


def test_a_picture_has_the_letters_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "memory.pdf"
    assert run(["footprint", "d2l_mlp", "--plot", str(path)]) == 0
    text = PdfReader(path).pages[0].extract_text()
    assert "∂J/∂W1" in text and "workspace" in text


@pytest.mark.parametrize("name", [*NAMES, "markup"])
def test_the_document_says_what_the_text_says(name: str) -> None:
    model = sb.parse(MARKUP, name="a_b#$[") if name == "markup" else sb.builtin(name)
    report = Report(footprint_of(model), {})
    content = documents.written(report, "pdf")
    assert isinstance(content, bytes)
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    text = "".join(unicodedata.normalize("NFKC", "".join(pages)).split())
    numbers = set(re.findall(r"\d{1,3}(?:,\d{3})+", report.text()))
    assert {number for number in numbers if number not in text} == set()
    assert "".join(unicodedata.normalize("NFKC", report.title()).split()) in text and "aspolynomials" in text


@pytest.mark.parametrize("flags", [["--plot", "memory.png"], ["--plot", "memory.pdf"], ["--format", "pdf"]], ids=" ".join)
def test_without_typst_there_is_one_line(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "typst", None)
    assert run(["footprint", "d2l_mlp", *flags]) == 2
    captured = capsys.readouterr()
    assert "pip install 'symbackprop[draw]'" in captured.err and len(captured.err.splitlines()) == 1 and not captured.out


def test_the_output_can_be_a_file(tmp_path: Path) -> None:
    for suffix, start in (("pdf", b"%PDF"), ("json", b"{"), ("tex", b"%"), ("md", b"# "), ("txt", b"d2l_mlp")):
        path = tmp_path / f"cost.{suffix}"
        assert run(["footprint", "d2l_mlp", "-o", str(path)]) == 0
        content = path.read_bytes()
        assert content.startswith(start) and is_untouched(content)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--plot", "memory.gif"], ".svg, a .png or a .pdf"), (["--accumulate", "0"], "--accumulate"),
        (["--accumulate", "257"], "in 257 parts"), (["--format", "html"], "--format"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["footprint", "d2l_mlp", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and len(captured.err.strip().splitlines()) == 1


def test_a_plot_needs_every_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "open.eq").write_text("dim d\nbatch n = 2\ninput x[d]\nparam W[d]\nz = W^T x\nL = z^2\nminimize L\n", "utf-8")
    assert run(["footprint", str(tmp_path / "open.eq"), "--plot", str(tmp_path / "memory.svg")]) == 2
    assert "no size is given for d: a plot needs numbers" in capsys.readouterr().err


def test_sizes_beyond_any_machine_are_only_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["footprint", "d2l_mlp", "--sizes", "h=2000000000,d=2000000000", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bytes"]["parameters"]["number"] == 4 * (2 * 10**9 * (2 * 10**9 + 1 + 10) + 10)


# ---------------------------------------------------------------- the documentation


def test_the_documentation_has_examples() -> None:
    assert len(COMMANDS) == 10 and "```python" in DOCUMENTATION


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_documentation_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(command)) == 0
    assert re.search(r"200(,|\{,\}|)960", capsys.readouterr().out) or "h1=512" in command


def test_the_program_of_the_documentation_prints_what_it_says() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENTATION, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == re.findall(r"^print\(.*#  ?(.*)$", program, flags=re.MULTILINE)
