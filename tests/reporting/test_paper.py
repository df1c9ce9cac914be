"""The report of every built-in model, typeset and as a folder of LaTeX."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import unicodedata
from functools import cache
from pathlib import Path

import pypdf
import pytest

import symbackprop as sb
from symbackprop.cli import run
from symbackprop.models import builtin_names
from symbackprop.render.template import fill
from symbackprop.reporting.contents import Contents
from symbackprop.reporting.latex_folder import latex_folder
from symbackprop.reporting.paper import paper
from symbackprop.writing import is_untouched, sealed_pdf

Capture = pytest.CaptureFixture[str]
OPEN = "dim d, h = 2\nbatch n\ninput x[d]\nparam W[h, d]\nz = W x\n"
HOSTILE = "\"]); #panic() $ \\input{x} <b> `` ``` @a % & _^~ "
MINE = f"# see {HOSTILE}\ndim d = 3\nbatch n = 2\ninput x[d]\ntarget y[]\nparam class_1[d]\nL = (class_1^T x - y)^2\nminimize L\n"


@cache
def contents(name: str) -> Contents:
    models = {"open": OPEN, "mine": MINE}
    model = sb.parse(models[name], name=f"{name} $#_") if name in models else sb.builtin(name)
    return Contents(sb.derive(model))


def read(document: bytes) -> str:
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(document)).pages]
    return unicodedata.normalize("NFKC", "\n".join(pages))


@pytest.mark.parametrize("name", builtin_names())
def test_the_paper_of_a_built_in_model(name: str) -> None:
    text = read(paper(contents(name)))
    headings = [*contents(name).forms, "Graph", "Memory and arithmetic", "Check", "Second derivatives", "Kernel"]
    places = [text.index(f"\n{heading}\n") for heading in headings]
    assert places == sorted(places)
    squeezed = re.sub(r"\s+", "", text)
    written = contents(name).derivation.model.source
    assert re.sub(r"\s+", "", unicodedata.normalize("NFKC", written)) in squeezed
    assert "comparisonspass" in squeezed and "defloss_and_grad(" in squeezed
    assert f"({len(contents(name).second.equations)})" in text
    assert "workspace:" in text


def test_a_model_without_objective_and_sizes() -> None:
    text = read(paper(contents("open")))
    assert "no size is given for d, n" in text.replace("\n", " ") and "Kernel" in text
    assert "\nCheck\n" not in text and "Second derivatives" not in text
    assert not {"check.tex", "second.tex"} & set(latex_folder(contents("open")))


def test_hostile_names_stay_text() -> None:
    document = paper(contents("mine"))
    metadata = pypdf.PdfReader(io.BytesIO(document)).metadata
    assert metadata is not None and metadata.title == f"see {HOSTILE}".strip()
    assert read(document).count("#panic()") >= 3  # as the title, in the model and in the kernel
    assert not re.search(r"\\input\{x\}", "".join(latex_folder(contents("mine")).values()))


def test_the_folders_of_all_built_in_models_compile(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    sections = []
    for name in (*builtin_names(), "open", "mine"):
        (tmp_path / name).mkdir()
        files = latex_folder(contents(name))
        assert {"main.tex", "README.md", "graph.tex", "footprint.tex", "equations.tex"} <= set(files)
        for file, text in files.items():
            (tmp_path / name / file).write_text(text, encoding="utf-8")
            if file.endswith(".tex") and file != "main.tex":
                assert f"\\input{{{file}}}" in files["main.tex"] and f"\\input{{{file}}}" in files["README.md"]
                assert text.isascii()
                sections.append((name.replace("_", "-"), f"{name}/{file}"))
    (tmp_path / "main.tex").write_text(fill("latex/main.tex.j2", title="all", sections=sections), encoding="utf-8")
    for folder in (tmp_path, tmp_path / "d2l_mlp"):
        for _ in range(2):  # the second run knows the numbers that the first one found
            done = subprocess.run(
                ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
                cwd=folder, capture_output=True, text=True, errors="replace", timeout=200, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-2000:]
        log = (folder / "main.log").read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"undefined|multiply.defined|Missing character|Rerun", log)
        assert [float(excess) for excess in re.findall(r"Overfull .*? \(([\d.]+)pt too", log) if float(excess) > 3] == []


# ---------------------------------------------------------------- the command


def test_the_commands_write_what_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", "ridge_regression", "-o", "out.pdf"]) == 0
    assert capsys.readouterr() == ("", "out.pdf: written\n")
    assert run(["report", "ridge_regression", "-o", "out.pdf"]) == 0
    assert capsys.readouterr().err == "out.pdf: up to date\n"
    assert run(["report", "ridge_regression", "--latex", "folder"]) == 0
    written = capsys.readouterr().err.splitlines()
    assert written == [f"folder/{path.name}: written" for path in map(Path, (line.split(":")[0] for line in written))]
    assert sorted(path.name for path in Path("folder").iterdir()) == sorted(Path(line.split(":")[0]).name for line in written)
    assert all(is_untouched(path.read_bytes()) for path in Path("folder").iterdir())
    assert run(["report", "ridge_regression", "--latex", "folder"]) == 0
    assert all(line.endswith(": up to date") for line in capsys.readouterr().err.splitlines())


def test_a_folder_of_somebody_elses_is_left_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("folder/main.tex").write_text("mine", encoding="utf-8")
    assert run(["report", "ridge_regression", "--latex", "folder"]) == 2
    assert "folder/main.tex was edited by hand" in capsys.readouterr().err
    assert [path.name for path in Path("folder").iterdir()] == ["main.tex"] and Path("folder/main.tex").read_text() == "mine"
    assert run(["report", "ridge_regression", "--latex", "folder", "--force"]) == 0
    assert Path("folder/main.tex").read_text(encoding="utf-8").startswith("\\documentclass")


@pytest.mark.parametrize(
    ("words", "message"),
    [(["-o", "x.docx"], "an .html or a .pdf is needed"), (["-o", "x.pdf", "--latex", "folder"], "give one of them")],
)
def test_what_is_asked_for_must_be_one_of_the_kinds(words: list[str], message: str, capsys: Capture) -> None:
    assert run(["report", "ridge_regression", *words]) == 2
    assert message in capsys.readouterr().err


def test_any_edit_of_a_document_is_noticed() -> None:
    whole = sealed_pdf(sb.derive(sb.builtin("ridge_regression")).pdf())
    assert is_untouched(whole)
    body = whole.rindex(b"\n%")
    for place in range(8, body, 997):
        assert not is_untouched(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert not is_untouched(whole[:body]) and not is_untouched(whole + b"more\n")
    assert pypdf.PdfReader(io.BytesIO(whole), strict=True).pages[0].extract_text()
