"""No box overlaps another, no edge runs through a box, and every edge meets its ends; on every built-in model, at every level."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symbackprop.drawing import LEVELS, draw
from symbackprop.drawing.layout import Box, Layout, layout
from tests.drawing.cases import NAMES, derivation
from tests.drawing.geometry import faults

SCOPES = {"forward": (False, False), "backward": (True, False), "second": (True, True)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_overlaps(name: str, level: str, scope: str, capfd: pytest.CaptureFixture[str]) -> None:
    backward, second = SCOPES[scope]
    for batch_form in (False, True) if scope == "backward" else (False,):
        drawing = draw(derivation(name).form(batch_form), level, backward=backward, second=second)
        assert faults(drawing.layout) == []
    assert capfd.readouterr().err == ""


def placed() -> Layout:
    return layout(draw(derivation("d2l_mlp").example, backward=True).diagram)


def test_a_box_that_is_moved_onto_another_is_found() -> None:
    found = placed()
    assert faults(found) == []
    home, moved = found.boxes["z"], found.boxes["a"]
    boxes = {**found.boxes, "a": replace(moved, x=home.x, y=home.y)}
    assert any("overlaps" in fault for fault in faults(replace(found, boxes=boxes)))


def test_an_edge_through_a_box_is_found() -> None:
    found = placed()
    path = next(path for path in found.paths if path.edge.source == "z" and path.edge.target == "a")
    middle = path.points[len(path.points) // 2]
    assert any("runs through" in fault for fault in faults(replace(found, boxes={**found.boxes, "new": Box(*middle, 20, 20)})))


def test_an_edge_that_ends_in_the_air_and_a_label_on_a_box_are_found() -> None:
    found = placed()
    boxes = {**found.boxes, "a": replace(found.boxes["a"], x=found.boxes["a"].x + 2000)}
    assert any("does not meet a" in fault for fault in faults(replace(found, boxes=boxes)))
    labelled = next(path for path in found.paths if path.label)
    lying = [replace(path, label=found.boxes["z"]) if path is labelled else path for path in found.paths]
    assert any("lies on" in fault for fault in faults(replace(found, paths=tuple(lying))))


def test_gradients_stand_beside_their_values() -> None:
    for path in placed().paths:
        if path.edge.kind == "pair":
            boxes = placed().boxes
            value, gradient = boxes[path.edge.source], boxes[path.edge.target]
            assert value.y == pytest.approx(gradient.y, abs=1)
            assert gradient.x > value.x


def test_frames_surround_their_members_and_nothing_else() -> None:
    drawing = draw(derivation(NAMES[-1]).example, backward=True)
    ((frame, box),) = drawing.layout.frames
    assert frame.times == 11
    for key, own in drawing.layout.boxes.items():
        within = abs(own.x - box.x) + own.width / 2 <= box.width / 2 and abs(own.y - box.y) + own.height / 2 <= box.height / 2
        assert within if key in frame.members else not own.overlaps(box)
