"""What is said and drawn of stages: which of them computes an equation, and which holds a tensor."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop import render
from symbackprop.cli import run
from symbackprop.derivation.layers import layers
from symbackprop.drawing.drawing import LEVELS, TEXTS
from symbackprop.drawing.looks import shade
from symbackprop.models import builtin_names
from symbackprop.partitioning.parts import Partition, transferred
from symbackprop.render.index_form import names_read
from symbackprop.render.typst_document import typst_part
from symbackprop.render.writer import Writer

NAMES = [name for name in builtin_names() if len({*layers(sb.derive(sb.builtin(name)).batch).values()}) > 1]


@cache
def in_stages(name: str, stages: int = 2) -> Partition:
    derivation = sb.derive(sb.builtin(name))
    return derivation.partition({derivation.model.batch or "n": 2}, stages=stages)


def said(found: Partition, stage: int) -> tuple[set[str], set[str]]:
    """The tensors that a stage holds and the equations that it computes, as the head of the text has them."""
    text = re.sub(r"\s+", " ", render.text(found.derived, width=10_000))
    match = re.search(rf"stage {stage + 1} holds ([^()]*) and computes \(([^)]*)\)", text)
    assert match is not None
    spans = [part.split("–") for part in match[2].split(", ")]
    numbers = {number for first, *last in spans for number in range(int(first), int((last or [first])[0]) + 1)}
    equations = {equation.name for k, equation in enumerate(found.derived.equations, start=1) if k in numbers}
    writer, declared = Writer(found.derived), found.derived.graph.declarations
    names = {writer.text.name(leaf.name, leaf.rank): leaf.name for leaf in declared}
    return {names[shown] for shown in re.split(", | and ", match[1])}, equations


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_has_what_it_needs(name: str) -> None:
    """What an equation reads is held, computed or sent there, itself or a part of it; every value is computed somewhere."""
    found = in_stages(name)
    graph, stages = found.derived.graph, [said(found, stage) for stage in range(2)]
    somewhere = set[str]().union(*[equations for _, equations in stages])
    numbers = {e.name for e in found.derived.equations} - somewhere
    assert numbers <= {e.name for e in found.derived.backward}
    for stage, (held, computed) in enumerate(stages):
        sent = {transfer.value for transfer, _ in transferred(found) if transfer.target == stage}
        parts = set[str]().union(*[names_read(graph.by_name[name].node) for name in sent if name in graph.by_name])
        there = held | computed | sent | parts | numbers | {leaf.name for leaf in graph.declarations if leaf.kind == "hyper"}
        for equation in (name for name in computed if all(name not in other for k, (_, other) in enumerate(stages) if k != stage)):
            assert names_read(graph.by_name[equation].node) - sizes(found) <= there, equation
    for parameter in found.derived.wrt:
        gradient = found.derived.gradient_name(parameter)
        assert [parameter in held for held, _ in stages] == [gradient in computed for _, computed in stages]


def sizes(found: Partition) -> set[str]:
    return {*found.derived.model.dimensions} | {name for split in found.mesh.splits for name in (split.part, split.first)}


def test_every_form_tells_the_stages() -> None:
    derived = in_stages("mlp_classifier", 3).derived
    for text in (render.text(derived), render.latex(derived), render.markdown(derived), typst_part(derived)):
        assert all(f"stage {stage} holds " in text for stage in (1, 2, 3)) and "stage 4" not in text
    workers = json.loads(render.json_form(derived))["workers"]
    assert workers["stages"] == 3 and workers["count"] == 6
    assert workers["stages_of"]["W2"] == [1] and workers["stages_of"]["∂J/∂a2"] == [2] and workers["stages_of"]["s"] == [0, 1, 2]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", LEVELS)
def test_colours_tell_the_stages(name: str, level: str) -> None:
    found = in_stages(name)
    diagram = found.drawing(level=level, backward=True).diagram
    colours: dict[str, set[str]] = {}
    for vertex in (vertex for vertex in diagram.vertices if vertex.held is not None):
        assert vertex.held is not None and vertex.held.tag is not None
        where = re.match(r"stages? ([\d and]+): ", vertex.held.words.text)
        assert where is not None
        colours.setdefault(where[1], set()).add(shade(vertex.held))
        for name_of in vertex.equations or (vertex.key.split(" reads ")[-1],):
            stages = found.shared.stages_of.get(name_of, (0, 1))
            assert level == "layers" or where[1] == " and ".join(str(stage + 1) for stage in stages)
        assert vertex.held.tag.text.split(":")[0] == where[1].replace(" and ", ",")
    assert {"1", "2"} <= {*colours} <= {"1", "2", "1 and 2"}
    assert len({colour for own in colours.values() for colour in own}) == len(colours)


@pytest.mark.parametrize("form", TEXTS)
def test_a_picture_in_stages(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"graph.{form}"
    words = ["draw", "mlp_classifier", "--partition", "n=2", "--stages", "3", "--backward", "--format", form]
    assert run([*words, "-o", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    for held in in_stages("mlp_classifier", 3).drawing(backward=True).diagram.held:
        assert shade(held) in text or shade(held).removeprefix("#").upper() in text
