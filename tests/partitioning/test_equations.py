"""The equations of one worker in every format: each meeting is printed, and what one must know of workers stands first."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop import render
from symbackprop.errors import UsageError
from symbackprop.graph.nodes import Collective
from symbackprop.graph.walk import topological
from symbackprop.models import builtin_names
from symbackprop.partitioning.parts import Partition, split_over
from symbackprop.render.typst_document import typst_part
from symbackprop.reporting.equations import variant
from tests.partitioning.cases import CASES, OTHER, hostile, partition, two_ways


def meetings(found: Partition) -> list[Collective]:
    """Where workers meet, as often as it is printed: once in each equation."""
    return [
        node for equation in found.derived.equations for node in topological([equation.node]) if isinstance(node, Collective)
    ]  # fmt: skip


def sign(found: Partition, node: Collective, signs: dict[str, str], form: str) -> str:
    indices = [found.mesh.split(name).index for name in node.groups]
    return form.format(signs.get("sum" if node.kind == "norm" else node.kind, node.kind), ", ".join(indices))


@pytest.mark.parametrize(("name", "along"), CASES)
def test_every_meeting_is_printed(name: str, along: str) -> None:
    found = partition(name, along)
    text = render.text(found.derived, width=10_000)
    index = found.mesh.splits[0].index
    latex, typst = render.latex(found.derived), typst_part(found.derived)
    for signs, shown, form in (
        ({"sum": "∑"}, text, "{}[{}]("),
        ({"sum": r"\sum", "max": r"\max", "logsumexp": r"\operatorname{logsumexp}", "gather": r"\operatorname{gather}"}, latex,
         "{}_{{" + re.sub(r"_(.+)", r"_{{\1}}", index) + "}}"),
    ):  # fmt: skip
        wanted = [sign(found, node, signs, form) for node in meetings(found)]
        for mark in set(wanted):
            assert shown.count(mark) >= wanted.count(mark), mark
    assert re.sub("_(.+)", r"_(\1)", index) in typst


@pytest.mark.parametrize(("name", "along"), CASES)
def test_every_symbol_of_the_workers_is_explained(name: str, along: str) -> None:
    found = partition(name, along)
    head, _, equations = render.text(found.derived, width=10_000).partition("\nForward\n")
    head = re.sub(r"\s+", " ", head)
    (split,) = found.mesh.splits
    assert f"each of 2 workers holds {split.part} of {split.name} (2 parts" in head
    for word in (split.index, split.first):
        assert (re.search(rf"\b{word}\b", equations) is not None) == (re.search(rf"\b{word}\b", head) is not None), word


@pytest.mark.parametrize(("name", "along"), CASES)
def test_no_name_of_one_worker_stands_in_a_sum_over_others(name: str, along: str) -> None:
    """Within ∑[p](...) the first position is that of the worker summed over: this worker's own must stand outside."""
    found = partition(name, along)
    first = found.mesh.splits[0].first
    for equation in found.derived.equations:
        text = render.equation_text(found.derived, equation)
        for body in bodies(text, f"∑[{found.mesh.splits[0].index}]("):
            for use in re.findall(rf"{first} \+ (\w+) −|\w+ = \w+ \+ {first}", body):
                assert re.search(rf"[∑\]]\[[^\]]*\b{use}\b", body), (text, use)


def bodies(text: str, opening: str) -> list[str]:
    """What stands in the brackets behind an opening."""
    found, start = [], text.find(opening)
    while start >= 0:
        place, depth = start + len(opening), 1
        while depth:
            depth += (text[place] == "(") - (text[place] == ")")
            place += 1
        found.append(text[start + len(opening) : place - 1])
        start = text.find(opening, start + 1)
    return found


@pytest.mark.parametrize(("name", "along"), CASES)
def test_latex_is_balanced_and_tells_of_the_workers(name: str, along: str) -> None:
    for standalone in (False, True):
        text = render.latex(partition(name, along).derived, standalone=standalone)
        assert text.count("{") == text.count("}")
        assert text.count("\\left") == text.count("\\right")
        assert text.index("each of 2 workers") < text.index("\\begin{align}")


@pytest.mark.parametrize(("name", "along"), CASES)
def test_json_has_the_workers(name: str, along: str) -> None:
    found = partition(name, along)
    document = json.loads(render.json_form(found.derived))
    workers = document["workers"]
    assert workers["count"] == 2
    assert [(split["name"], split["parts"]) for split in workers["splits"]] == [(s.name, 2) for s in found.mesh.splits]
    assert {tensor: tuple(layout) for tensor, layout in workers["layouts"].items()} == dict(found.layouts)
    assert [(entry["kind"], entry["equation"]) for entry in workers["collectives"]] == [
        (node.kind, equation) for node, equation in found.collectives.items()
    ]
    shapes = {entry["name"]: entry["shape"] for entry in document["equations"]}
    for tensor, layout in found.layouts.items():
        own = {found.mesh.split(split).part for split in layout if split}
        assert own <= set(shapes.get(tensor, own))


def test_json_of_one_worker_has_none() -> None:
    assert "workers" not in json.loads(render.json_form(two_ways().whole))


@pytest.mark.parametrize(("name", "along"), CASES)
def test_markdown_html_and_notations(name: str, along: str) -> None:
    found = partition(name, along)
    for notation in ("partial", "delta", "nabla"):
        text = render.markdown(found.derived, notation=notation)
        assert text.count("$") % 2 == 0 and "- each of 2 workers" in text
        page = ET.fromstring(variant("batch", notation, found.derived))
        assert "each of 2 workers" in "".join(page.itertext())
        assert not list(page.iter("code"))  # what is no mathematics


@pytest.mark.parametrize("name", builtin_names())
def test_pdf(name: str) -> None:
    assert render.pdf(partition(name, OTHER).derived).startswith(b"%PDF")


def test_latex_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    parts = [render.latex(partition(name, along).derived) for name, along in CASES]
    parts += [render.latex(two_ways().derived), render.latex(hostile().derived)]
    whole = render.latex(partition(*CASES[0]).derived, standalone=True)
    head, tail = whole.split("\\begin{itemize}", 1)[0], "\\end{document}\n"
    (tmp_path / "all.tex").write_text(head + "\n".join(parts) + tail, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"Missing character", log)


def test_no_size_or_index_of_workers_has_a_name_of_the_model() -> None:
    found = hostile()
    names = {*found.whole.model.dimensions, *(leaf.name for leaf in found.whole.graph.declarations)}
    own = [name for split in found.mesh.splits for name in (split.part, split.first, split.index)]
    assert len(set(own)) == len(own) and not names & {*own}
    text = render.text(found.derived)
    assert "p_classp" in text and "p_λ" in text
    assert "<script" not in variant("batch", "partial", found.derived)
    assert "\\input" not in render.latex(found.derived, standalone=True)
    assert render.pdf(found.derived).startswith(b"%PDF")


def test_parts_that_do_not_come_out_even_are_said_to_differ() -> None:
    assert "n_p of n (3 parts, which differ by one)" in render.text(split_over(two_ways().whole, {"n": 3}).derived)


def test_steps_are_those_of_the_whole() -> None:
    with pytest.raises(UsageError, match="steps are those of the whole derivation"):
        render.text(two_ways().derived, steps=True)


def test_as_it_was_read(golden: Callable[[str, str], None]) -> None:
    d2l = split_over(sb.derive(sb.builtin("d2l_mlp")).batch, {"n": 2}).derived
    golden("partitioning/d2l_mlp.n.txt", render.text(d2l))
    golden("partitioning/d2l_mlp.n.tex", render.latex(d2l))
    golden("partitioning/mlp_classifier.n.h1.txt", render.text(two_ways().derived))
    golden("partitioning/mlp_classifier.n.h1.md", render.markdown(two_ways().derived))
    golden("partitioning/mlp_classifier.n.h1.typ", typst_part(two_ways().derived))
    golden("partitioning/gaussian_likelihood.d.txt", render.text(partition("gaussian_likelihood", OTHER).derived))
