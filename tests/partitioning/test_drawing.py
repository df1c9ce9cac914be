"""The picture of a graph that workers share: where they meet, and what each of them holds, in colour and in grey."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pygraphviz
import pytest

from symbackprop import builtin, derive
from symbackprop.drawing import LEVELS
from symbackprop.drawing.diagram import Diagram
from symbackprop.drawing.drawing import TEXTS
from symbackprop.drawing.looks import LOOKS, SHADES, look, shade
from symbackprop.drawing.repeats import Repeats
from symbackprop.graph.nodes import Collective
from symbackprop.partitioning.parts import Partition
from tests.drawing.geometry import faults
from tests.partitioning.cases import CASES, hostile, partition, two_ways

SPACE = "{http://www.w3.org/2000/svg}"


def meetings(diagram: Diagram) -> list[str]:
    return [vertex.lines[0].text for vertex in diagram.vertices if vertex.kind.endswith("meeting")]


def words(found: Partition, node: Collective) -> str:
    """What stands in the vertex of a meeting."""
    sign = {"sum": "∑", "norm": "‖·‖"}.get(node.kind, node.kind)
    return f"{sign} over {', '.join(found.mesh.split(name).index for name in node.groups)}"


@pytest.mark.parametrize(("name", "along"), CASES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("backward", [False, True])
def test_nothing_overlaps(name: str, along: str, level: str, backward: bool, capfd: pytest.CaptureFixture[str]) -> None:
    drawing = partition(name, along).drawing(level=level, backward=backward)
    assert faults(drawing.layout) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_overlaps_on_a_grid_of_workers(level: str) -> None:
    assert faults(two_ways().drawing(level=level, backward=True).layout) == []


@pytest.mark.parametrize(("name", "along"), CASES)
def test_every_meeting_is_a_vertex_between_what_it_reads_and_what_reads_it(name: str, along: str) -> None:
    found = partition(name, along)
    assert not Repeats(found.derived.forward, found.derived.graph, found.derived.model.dimensions).runs
    diagram = found.drawing(backward=True).diagram
    assert sorted(meetings(diagram)) == sorted(words(found, node) for node in found.collectives)
    for vertex in diagram.vertices:
        if vertex.kind.endswith("meeting"):
            assert any(edge.target == vertex.key for edge in diagram.edges), vertex
            assert any(edge.source == vertex.key for edge in diagram.edges), vertex


@pytest.mark.parametrize(("name", "along"), CASES)
@pytest.mark.parametrize("level", ["ops", "layers"])
def test_every_kind_of_meeting_is_seen_at_other_levels(name: str, along: str, level: str) -> None:
    found = partition(name, along)
    diagram = found.drawing(level=level, backward=True).diagram
    assert set(meetings(diagram)) == {words(found, node) for node in found.collectives}
    ends = {key for edge in diagram.edges for key in (edge.source, edge.target)}
    assert all(vertex.key in ends for vertex in diagram.vertices if vertex.kind.endswith("meeting"))


@pytest.mark.parametrize(("name", "along"), CASES)
@pytest.mark.parametrize("level", LEVELS)
def test_every_vertex_tells_what_a_worker_holds(name: str, along: str, level: str) -> None:
    found = partition(name, along)
    diagram = found.drawing(level=level, backward=True).diagram
    for vertex in diagram.vertices:
        if vertex.kind.endswith(("meeting", "operation")):
            assert vertex.held is None
            continue
        assert vertex.held is not None
        named = vertex.equations or ((vertex.key,) if vertex.key in found.layouts else ())
        for name_of in named:
            splits = [split.name for split in found.mesh.splits if split.name in found.layouts[name_of]]
            assert vertex.held.words.text == (f"split along {' and '.join(splits)}" if splits else "whole on every worker")
            assert (vertex.held.tag is None) == (not splits)


@pytest.mark.parametrize("form", TEXTS)
def test_the_legend_names_every_way_to_hold_a_value(form: str) -> None:
    drawing = two_ways().drawing(backward=True)
    assert [held.words.text for held in drawing.diagram.held] == [
        "whole on every worker", "split along n", "split along h1", "split along n and h1",
    ]  # fmt: skip
    text = drawing.text(form)
    for held in drawing.diagram.held:
        assert shade(held) in text or shade(held).removeprefix("#").upper() in text
        if form != "svg":  # where words are outlines
            assert (held.words.latex if form == "tikz" else held.words.text) in text
    if form == "svg":
        legend = [part for part in ET.fromstring(text).iter(f"{SPACE}g") if part.get("class") == "legend"]
        assert len(legend) == len({vertex.kind for vertex in drawing.diagram.vertices}) + len(drawing.diagram.held)


def grey(color: str) -> float:
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_ways_differ_in_grey_and_by_what_is_written() -> None:
    greys = sorted(map(grey, SHADES))
    assert all(b - a >= 10 for a, b in zip(greys, greys[1:], strict=False))
    assert greys[0] > 120  # black letters on it are read
    ways = two_ways().drawing(backward=True).diagram.held
    assert len({shade(held) for held in ways}) == len(ways)
    assert len({held.tag.text if held.tag else "" for held in ways}) == len(ways)


def test_the_outline_still_tells_the_kind() -> None:
    for vertex in two_ways().drawing(level="ops", backward=True).diagram.vertices:
        own, kind = look(vertex), LOOKS[vertex.kind]
        assert (own.outline, own.stroke, own.dash, own.double) == (kind.outline, kind.stroke, kind.dash, kind.double)


def test_one_worker_has_neither_colours_nor_meetings() -> None:
    from symbackprop.drawing import draw

    diagram = draw(two_ways().whole, backward=True).diagram
    assert diagram.held == () and meetings(diagram) == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", TEXTS)
def test_hostile_names_stay_text(form: str, level: str) -> None:
    found = hostile()
    drawing = found.drawing(level=level, backward=True)
    text = drawing.text(form)
    if form != "dot":  # where everything in quotes is text
        assert "<script" not in text and "onload=alert(1)>" not in text
    if form == "svg":
        assert ET.fromstring(text).find(f"{SPACE}title").text == found.derived.model.title  # type: ignore[union-attr]
    if form == "dot":
        graph = pygraphviz.AGraph(string=text)
        assert len(graph.nodes()) == len(drawing.diagram.vertices) + len(drawing.diagram.held)
    if form == "tikz":
        assert "\\input" not in text and text.count("{") == text.count("}")
    if form == "mermaid":
        assert json.loads(text.splitlines()[1].removeprefix("title: ")) == found.derived.model.title


@pytest.mark.parametrize("form", ["dot", "mermaid"])
def test_tags_and_meetings_are_in_the_text(form: str) -> None:
    text = two_ways().drawing(backward=True).text(form)
    bar = "|" if form == "dot" else "#124;"
    assert re.search(rf"n, h1 {re.escape(bar)} Z1", text) and "∑ over p" in text


def test_binary_forms() -> None:
    drawing = two_ways().drawing(level="layers")
    assert drawing.png().startswith(b"\x89PNG") and drawing.pdf().startswith(b"%PDF")


def test_what_each_worker_has_of_its_own_is_told() -> None:
    found = derive(builtin("batch_norm")).partition({"n": 2}, local=True)
    svg = found.drawing(backward=True).text("svg")
    assert "one of its own on every worker" in svg
    assert found.derived.workers is not None and found.derived.workers.apart == ("mu", "sigma")
