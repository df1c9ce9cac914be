"""The picture in each of its formats: well-formed, complete, the same every time, and no text becomes markup."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pygraphviz
import pytest
from PIL import Image
from pypdf import PdfReader

from symbackprop.cli import run
from symbackprop.drawing import LEVELS, Drawing, draw
from symbackprop.drawing.drawing import FORMS, TEXTS
from symbackprop.drawing.glyphs import SIZE, SMALL, setting
from symbackprop.drawing.layout import number_label
from symbackprop.drawing.svg import MARGIN
from symbackprop.errors import UsageError
from symbackprop.writing import is_untouched
from tests.drawing.cases import DEEP, NAMES, derivation, hostile
from tests.render.models import MODELS

SPACE = "{http://www.w3.org/2000/svg}"
HREF = "href"


def drawing(name: str, level: str = "equations") -> Drawing:
    return draw(derivation(name).example, level, backward=True)


# ---------------------------------------------------------------- SVG


@pytest.mark.parametrize("name", [*NAMES, *MODELS])
def test_svg_is_whole(name: str) -> None:
    found = drawing(name)
    tree = ET.fromstring(found.svg("p-"))
    ids = [part.get("id") for part in tree.iter() if part.get("id")]
    assert len(ids) == len(set(ids)) and all(own.startswith("p-") for own in ids)
    used = {part.get(HREF) for part in tree.iter() if part.get(HREF)}
    assert used <= {f"#{own}" for own in ids}
    nodes = [part for part in tree.iter(f"{SPACE}g") if part.get("class", "").startswith("node")]
    assert [part.get("data-equation") for part in nodes] == ["|".join(v.equations) for v in found.diagram.vertices]
    assert all(part.find(f"{SPACE}title") is not None for part in nodes)
    edges = [part for part in tree.iter(f"{SPACE}g") if part.get("class", "").startswith("edge")]
    assert len(edges) == len(found.diagram.edges)
    assert not any(part.get("style") for part in tree.iter()) and "<style" not in found.svg()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_in_a_box_lies_within_it(name: str) -> None:
    found = drawing(name, "layers")
    tree = ET.fromstring(found.svg())
    groups = [part for part in tree.iter(f"{SPACE}g") if part.get("class", "").startswith("node")]
    for group, vertex in zip(groups, found.diagram.vertices, strict=True):
        box = found.layout.boxes[vertex.key]
        left, top = box.left + MARGIN, box.top + MARGIN
        widths = [setting(line.latex, SIZE).width for line in vertex.lines]
        heights = [setting(line.latex, SIZE).height for line in vertex.lines]
        places = [re.findall(r"-?[\d.]+", use.get("transform", "")) for use in group.iter(f"{SPACE}use")]
        assert len(places) == len(widths) + bool(vertex.number) + (vertex.times > 1)
        for (x, y), latex in zip(places, [line.latex for line in vertex.lines], strict=False):
            own = setting(latex, SIZE)
            assert left < float(x) + own.left and float(x) + own.left + own.width < left + box.width
            assert top < float(y) + own.top and float(y) + own.top + own.height < top + box.height
        if vertex.number:
            x, own = places[-1][0], setting(number_label(vertex), SMALL)
            assert float(x) + own.left + own.width < left + box.width
        assert max(widths) < box.width and sum(heights) < box.height


def test_svg_sets_equal_labels_once() -> None:
    svg = drawing(DEEP).svg()
    labels = re.findall(r'<g id="(label-\d+)">\n(.*?)</g>', svg, flags=re.DOTALL)
    assert len({content for _, content in labels}) == len(labels)
    outlines = re.findall(r'<path id="glyph-\d+" d="([^"]*)"', svg)
    assert len(set(outlines)) == len(outlines) > 20


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_drawn_lies_within_the_picture(level: str) -> None:
    for name in NAMES:
        tree = ET.fromstring(drawing(name, level).svg())
        width, height = float(tree.get("width", 0)), float(tree.get("height", 0))
        for part in tree.iter(f"{SPACE}rect"):
            if part.get("class"):
                assert float(part.get("x", 0)) + float(part.get("width", 0)) <= width
                assert float(part.get("y", 0)) + float(part.get("height", 0)) <= height


# ---------------------------------------------------------------- the other formats


def test_png_and_pdf_are_what_they_are_called() -> None:
    found = drawing("d2l_mlp")
    image = Image.open(io.BytesIO(found.png()))
    tree = ET.fromstring(found.svg())
    assert image.width / image.height == pytest.approx(float(tree.get("width", 0)) / float(tree.get("height", 0)), abs=0.01)
    assert len(image.convert("RGB").getcolors(10**6) or ()) > 50
    (page,) = PdfReader(io.BytesIO(found.pdf())).pages
    assert float(page.mediabox.width) == pytest.approx(float(tree.get("width", 0)) * 0.75, abs=1)


@pytest.mark.parametrize("name", NAMES)
def test_dot_is_read_back_as_the_same_graph(name: str) -> None:
    found = drawing(name)
    graph = pygraphviz.AGraph(string=found.dot())
    assert len(graph.nodes()) == len(found.diagram.vertices)
    assert len(graph.edges()) == len(found.diagram.edges)
    words = [str(graph.get_node(f"v{k}").attr["label"]).split("\\n") for k in range(len(graph.nodes()))]
    assert [w[0].split("  (")[0] for w in words] == [vertex.lines[0].text for vertex in found.diagram.vertices]


@pytest.mark.parametrize("name", NAMES)
def test_dot_as_it_was_read(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"drawing/{name.replace(' ', '_')}.dot", drawing(name).dot())


@pytest.mark.parametrize("name", NAMES)
def test_mermaid_is_of_its_grammar(name: str) -> None:
    found = drawing(name)
    lines = found.mermaid().splitlines()
    assert lines[0] == "---" and lines[2] == "---" and lines[3] == "flowchart TD"
    text = r'"[^"<>]*(<br>[^"<>]*)*"'
    node = rf"  +v\d+(\(\[{text}\]\)|\{{\{{{text}\}}\}}|\(\({text}\)\)|\[{text}\]):::[a-z-]+"
    edge = rf"  v\d+ (-->|-\.->|-\.-)(\|{text}\|)? v\d+"
    style = r"  classDef [a-z-]+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#000"
    frame = r'  subgraph frame\d+\["× \d+"\]|  end'
    assert all(re.fullmatch(f"{node}|{edge}|{style}|{frame}", line) for line in lines[4:])
    assert sum(bool(re.fullmatch(node, line)) for line in lines) == len(found.diagram.vertices)
    assert sum(bool(re.fullmatch(edge, line)) for line in lines) == len(found.diagram.edges)


HEAD = "\\documentclass{article}\\usepackage[margin=15mm]{geometry}\\usepackage{amsmath,amssymb,tikz}"
LIBRARIES = "\\usetikzlibrary{arrows.meta,shapes.misc}\\pagestyle{empty}\\parindent0pt\\begin{document}\n"


def test_tikz_compiles_and_fits_the_page(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    pictures = [drawing(name, level).tikz() for name in NAMES for level in LEVELS]
    pictures += [draw(derivation("d2l_mlp").batch, backward=True, second=True).tikz()]
    pictures += [draw(hostile().example, backward=True).tikz()]
    pictures += [drawing(name).tikz() for name in MODELS]
    (tmp_path / "all.tex").write_text(HEAD + LIBRARIES + "\n\\clearpage\n".join(pictures) + "\\end{document}", encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert len(PdfReader(tmp_path / "all.pdf").pages) == len(pictures)
    assert not re.search(r"Overfull|Missing character", (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace"))


# ---------------------------------------------------------------- hostile and stable


@pytest.mark.parametrize("form", TEXTS)
def test_a_hostile_title_stays_text(form: str) -> None:
    text = draw(hostile().example, backward=True).text(form)
    if form != "dot":  # where everything in quotes is text
        assert "<script" not in text and "onload=alert(1)>" not in text
    if form == "svg":
        assert ET.fromstring(text).find(f"{SPACE}title").text == hostile().model.title  # type: ignore[union-attr]
    if form == "dot":
        graph = pygraphviz.AGraph(string=text)
        label = graph.graph_attr["label"]  # Graphviz reads \\ as a backslash when it draws
        assert label == hostile().model.title.replace("\\", "\\\\")
    if form == "tikz":
        assert "\\input" not in text
    if form == "mermaid":
        assert json.loads(text.splitlines()[1].removeprefix("title: ")) == hostile().model.title


def test_the_same_on_every_run() -> None:
    program = (
        "import hashlib, symbackprop as sb\n"
        "for name in ('d2l_mlp', 'causal_attention', 'layer_norm'):\n"
        "    for level in ('ops', 'equations', 'layers'):\n"
        "        d = sb.derive(sb.builtin(name)).drawing(level=level, backward=True, second=True)\n"
        "        parts = [*(d.text(form).encode() for form in ('svg', 'tikz', 'dot', 'mermaid')), d.png(), d.pdf()]\n"
        "        print(name, level, *(hashlib.sha256(part).hexdigest() for part in parts))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] and len(runs[0].splitlines()) == 9


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "tikz", "tex", "dot", "gv", "mermaid", "mmd"])
def test_the_suffix_is_the_format(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"graph.{suffix}"
    arguments = ["draw", "d2l_mlp", "--backward", "-o", str(path)]
    assert run(arguments) == 0 and is_untouched(path.read_bytes())
    assert run(arguments) == 0 and "up to date" in capsys.readouterr().err
    path.write_bytes(path.read_bytes() + b"\nmine\n")
    assert run(arguments) == 2 and path.read_bytes().endswith(b"mine\n")
    assert run([*arguments, "--force"]) == 0 and is_untouched(path.read_bytes())


def test_an_svg_beside_the_reader_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["draw", "d2l_mlp"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["d2l_mlp.svg"]


def test_it_is_printed_where_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["draw", "d2l_mlp", "--format", "dot", "-o", "-", "--level", "layers"]) == 0
    assert capsys.readouterr().out == draw(derivation("d2l_mlp").example, "layers").dot()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-o", "graph.jpg"], "there is no picture .jpg"),
        (["--second", "gone.eq"], "gone.eq' cannot be read"),
        (["--wrt", "nobody"], "no input or parameter nobody"),
        (["--level", "atoms"], "invalid choice: 'atoms'"),
    ],
)
def test_bad_input_is_refused(
    flags: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["draw", *flags] if "gone.eq" in flags else ["draw", "d2l_mlp", *flags]
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["pygraphviz", "ziamath", "typst"])
def test_a_missing_library_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from symbackprop.drawing import glyphs

    glyphs.setting.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"pip install 'symbackprop\[draw\]'"):
        drawing("d2l_mlp").png()
    assert drawing("d2l_mlp").dot().startswith("digraph")


def test_an_unknown_level_or_format_is_refused() -> None:
    with pytest.raises(UsageError, match="there are ops, equations, layers"):
        draw(derivation("d2l_mlp").example, "atoms")
    found = drawing("d2l_mlp")
    with pytest.raises(UsageError, match="there are svg, tikz, dot, mermaid"):
        found.text("png")
    with pytest.raises(UsageError, match="there are png, pdf"):
        found.binary("svg")
    assert set(FORMS) == {*TEXTS, "png", "pdf"}
