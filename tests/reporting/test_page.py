"""The page holds everything, fetches nothing, lets nothing in, and no text becomes markup."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.api import Derivation
from symbackprop.cli import run
from symbackprop.errors import UsageError
from symbackprop.kernels import equation_of_lines
from symbackprop.models import builtin_names
from symbackprop.reporting import PARTS, page
from symbackprop.reporting.html import sentence, text
from symbackprop.reporting.mathml import mathml
from symbackprop.writing import is_untouched
from tests.render.models import MODELS

VOID = {"meta", "input", "link", "br", "img", "hr"}
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xlink"}
HOSTILE = (
    "<script>alert(1)</script>", '"><svg onload=alert(1)>', "{{7*7}} <% 7 %> << x >>", "\\href{javascript:alert(1)}{x} $x$",
    "</title></style></script><img src=x onerror=alert(1)>", "&lt;b&gt; ' \" `", "--> ]]>",
)  # fmt: skip


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.words.append((self.open[-1] if self.open else "", data))


def read(document: str) -> Reader:
    reader = Reader()
    reader.feed(document)
    reader.close()
    assert reader.open == []
    return reader


@cache
def derivation(name: str) -> Derivation:
    return sb.derive(sb.parse(MODELS[name]) if name in MODELS else sb.builtin(name))


@cache
def document(name: str) -> str:
    return page(derivation(name))


BUILTIN = pytest.mark.parametrize("name", builtin_names())


@BUILTIN
def test_it_is_whole_small_and_alone(name: str) -> None:
    found = document(name)
    assert len(found.encode()) < 2_000_000
    reader = read(found)
    assert set(re.findall(r"https?://[^\s\"'<>)]+", found)) <= NAMESPACES
    for tag, attributes in reader.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "a") or tag == "a"
        assert not {"src", "srcset", "style", "xlink:href"} & set(attributes)
        assert not any(key.startswith("on") for key in attributes)
        assert str(attributes.get("href", "#")).startswith("#")
    assert len({tag for tag, _ in reader.elements if tag == "script"}) == 1
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {str(attributes["href"])[1:] for _, attributes in reader.elements if "href" in attributes}
    assert targets <= set(ids)


@BUILTIN
def test_the_policy_lets_in_the_script_and_the_style_and_nothing_else(name: str) -> None:
    found = document(name)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', found)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.keys() == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    assert {rules["default-src"], rules["base-uri"], rules["form-action"]} == {"'none'"}
    for kind in ("script", "style"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", found, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"


@BUILTIN
def test_every_equation_is_there_in_every_form_and_notation(name: str) -> None:
    found, derived = document(name), derivation(name)
    forms = {"example": derived.example, "batch": derived.batch} if derived.model.batch else {"batch": derived.batch}
    for form, graph in forms.items():
        for notation in ("partial", "delta", "nabla"):
            head = f'<div class="variant" data-form="{form}" data-notation="{notation}">'
            part = found.split(head, 1)[1].split("</ol>\n<h3>where", 1)[0].split('<div class="variant"', 1)[0]
            shown = re.findall(r'<li class="equation" data-equation="([^"]*)"', part)
            assert shown == [text(equation.name) for equation in (*graph.forward, *graph.backward)]
            assert part.count('<span class="formula"><math') == len(shown)


@BUILTIN
def test_equations_vertices_and_lines_have_the_same_names(name: str) -> None:
    found = document(name)
    listed = set(re.findall(r'<li class="equation" data-equation="([^"]*)"', found))
    drawn = {n for each in re.findall(r'<g class="node [^"]*" id="[^"]*" data-equation="([^"]*)"', found) for n in each.split("|")}
    coded = set(re.findall(r'<span class="line" data-equation="([^"]*)"', found))
    first_order = {text(e.name) for form in (derivation(name).example, derivation(name).batch) for e in form.equations}
    assert drawn - {""} == first_order <= listed
    assert coded <= first_order
    reader = read(found)
    parameters = {text(derivation(name).example.gradient_name(p)) for p in derivation(name).model.parameters}
    assert parameters <= coded
    assert all(attributes.get("tabindex") == "0" for tag, attributes in reader.elements if attributes.get("class") == "equation")


@BUILTIN
def test_each_line_of_the_kernel_belongs_to_its_equation(name: str) -> None:
    derived = derivation(name)
    source = derived.source()
    lines, names = source.splitlines(), equation_of_lines(source, derived.batch)
    assert len(lines) == len(names)
    inside = ""
    for line, own in zip(lines, names, strict=True):
        if line.startswith("def "):
            inside = line
        if own:
            assert re.match(r"def (predict|loss|loss_and_grad)\(", inside)
        if own and line.strip().startswith("#"):
            left = line.strip().removeprefix("# ").split(" = ")[0]
            assert left.count("∂") == own.count("∂")
    assert not any(own for line, own in zip(lines, names, strict=True) if line.strip().startswith(("return", "def ", "with ")))


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_stays_text(title: str) -> None:
    model = sb.parse(f"# {title}\ndim d\nbatch n\ninput x[d]\nparam class[d]\nL = sum(class ⊙ x)\nminimize L", name=title)
    reader = read(page(sb.derive(model), parts=("model", "equations", "graph", "kernel")))
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"img", "b", "iframe"} and sum(tag == "script" for tag, _ in reader.elements) == 1
    assert not any(key.startswith("on") for _, attributes in reader.elements for key in attributes)
    shown = "".join(words for tag, words in reader.words if tag in ("h1", "p", "pre", "title"))
    assert shown.count(title) >= 3


def test_mathematics_that_is_no_mathematics_stays_text() -> None:
    for latex in (r"\text{<script>alert(1)</script>}", r"\href{javascript:alert(1)}{x}", r"\text{a & b < c}", r"\class{x}{y}"):
        found = mathml(latex, "<plain>")
        reader = read(found)
        assert {tag for tag, _ in reader.elements} <= {"math", "mrow", "mi", "mo", "mn", "mtext", "code", "mspace"}
        assert "href" not in found and "<plain>" not in found
    assert mathml(r"\boldsymbol{\Sigma}", "Σ").count("𝜮") == 1
    assert "<b>" not in sentence("<b> $x$ <i>")


@pytest.mark.parametrize("name", MODELS)
def test_unusual_models_have_a_page(name: str) -> None:
    parts = ("model", "equations", "graph", "kernel")
    try:
        derivation(name).source()
    except UsageError:
        parts = ("model", "equations", "graph")  # no kernel, and the reason is not the page's
    read(page(derivation(name), parts=parts))


def test_a_model_that_minimizes_nothing_has_a_page_without_proof() -> None:
    found = page(sb.derive(sb.parse("dim d\ninput x[d]\nparam A[d, d]\ny = tanh(A x)")))
    reader = read(found)
    ids = {attributes.get("id") for _, attributes in reader.elements}
    assert {"equations", "graph", "kernel"} <= ids and not {"check", "second"} & ids


def test_parts_can_be_chosen_and_unknown_ones_are_refused() -> None:
    found = page(derivation("d2l_mlp"), parts=("equations",))
    assert 'id="equations"' in found and 'id="kernel"' not in found and len(found) < len(document("d2l_mlp"))
    with pytest.raises(UsageError, match="no part 'poem'; there are model, equations"):
        page(derivation("d2l_mlp"), parts=("poem",))


def test_progress_is_told_part_by_part() -> None:
    told: list[tuple[int, int, str]] = []
    page(derivation("d2l_mlp"), parts=("model", "equations"), progress=lambda *args: told.append(args))
    assert told == [(0, 2, "Model"), (1, 2, "Equations")]
    assert len(PARTS) == 7


def test_the_same_on_every_run() -> None:
    program = (
        "import hashlib, symbackprop as sb\nfrom symbackprop.reporting import page\n"
        "print(hashlib.sha256(page(sb.derive(sb.builtin('layer_norm'))).encode()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", "ridge_regression"]) == 0
    path = tmp_path / "ridge_regression.html"
    assert is_untouched(path.read_bytes()) and "written" in capsys.readouterr().err
    assert run(["report", "ridge_regression", "-o", str(path)]) == 0 and "up to date" in capsys.readouterr().err
    path.write_text(path.read_text(encoding="utf-8").replace("<h1>", "<h1>my "), encoding="utf-8")
    assert run(["report", "ridge_regression"]) == 2
    assert run(["report", "ridge_regression", "-o", "page.txt"]) == 2
    assert "an .html or a .pdf is needed" in capsys.readouterr().err
