"""LaTeX compiles, whatever a model is called, and stays on the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.models import builtin_names
from symbackprop.render.linebreaks import LIMIT, width
from symbackprop.render.template import fill
from tests.render.models import MODELS

NOTATIONS = ("partial", "delta", "nabla")
OVERFULL = re.compile(r"Overfull \\hbox \(([\d.]+)pt too wide\)")
HOSTILE = (
    "\\input{/etc/passwd}", "\\write18{ls}", "100% \\def\\x{y} #1 & co_", "$x$ ~ ^ {", "} \\end{document}", "<b>\"q\"</b> | ü ∂ λ",
    "\\catcode`\\%=12",
)  # fmt: skip


def compiled(document: str, folder: Path) -> str:
    """Compile a document and return the log."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    (folder / "document.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    return (folder / "document.log").read_text(encoding="utf-8", errors="replace")


def standalone(fragments: list[str]) -> str:
    return fill("latex/document.tex.j2", title="all", body="\n\\clearpage\n".join(fragments))


def test_every_built_in_model_compiles_and_stays_on_the_page(tmp_path: Path) -> None:
    fragments = []
    for name in builtin_names():
        derivation = sb.derive(sb.builtin(name))
        for batch_form in (False, True):
            fragments += [
                f"\\typeout{{{name}}}\n" + derivation.latex(batch_form=batch_form, notation=notation, steps=notation != "nabla")
                for notation in NOTATIONS
            ]
    log = compiled(standalone(fragments), tmp_path)
    assert [float(excess) for excess in OVERFULL.findall(log) if float(excess) > 3] == []


def test_unusual_models_and_hostile_names_compile(tmp_path: Path) -> None:
    fragments = []
    for text in MODELS.values():
        derivation = sb.derive(sb.parse(text))
        fragments += [derivation.latex(batch_form=batch, steps=True) for batch in (False, True)]
    compiled(standalone(fragments), tmp_path)


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_is_printed_as_it_stands(title: str, tmp_path: Path) -> None:
    text = "dim d\nparam x_1_2[d], class[d], Ω_hat[d], é_q[d]\nL = sum(x_1_2 ⊙ class ⊙ Ω_hat ⊙ é_q)\nminimize L"
    model = sb.parse(f"# {title}\n{text}", name=title)
    document = sb.derive(model).latex(standalone=True, steps=True)
    assert not re.search(r"\\(input|write|def|catcode)\b", document)
    compiled(document, tmp_path)


def test_a_long_equation_is_broken_at_its_signs() -> None:
    terms = " + ".join(f"sum(w{k} ⊙ w{k} ⊙ relu(w{k}))" for k in range(12))
    names = ", ".join(f"w{k}[d]" for k in range(12))
    latex = sb.derive(sb.parse(f"dim d\nparam {names}\nL = {terms}\nminimize L")).latex()
    rows = latex.split("\\end{align}")[0].split("\\\\\n")
    assert len(rows) > 3
    assert all(width(row) <= LIMIT + 6 for row in rows)
    assert sum(row.count("operatorname{relu}") for row in rows) == 12
