"""What is in a graph: every equation, every reading, every way back; copies of a layer once."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.drawing import LEVELS, draw
from symbackprop.drawing.diagram import Diagram, Vertex
from symbackprop.drawing.looks import LOOKS
from symbackprop.drawing.repeats import FEWEST, Repeats
from symbackprop.graph.names import Adjoint
from symbackprop.graph.walk import leaves
from tests.drawing.cases import NAMES, derivation
from tests.render.models import MODELS


def by_equation(vertices: Iterable[Vertex]) -> dict[str, Vertex]:
    return {name: vertex for vertex in vertices for name in vertex.equations}


def reached(diagram: Diagram) -> set[tuple[str, str]]:
    """All pairs of vertices between which there is a way."""
    after: dict[str, set[str]] = {vertex.key: set() for vertex in diagram.vertices}
    for edge in diagram.edges:
        if edge.kind != "pair":
            after[edge.source].add(edge.target)
    found = set()
    for key in after:
        pending, seen = [key], {key}
        while pending:
            for other in after[pending.pop()] - seen:
                seen.add(other)
                pending.append(other)
        found |= {(key, other) for other in seen}
    return found


@pytest.mark.parametrize("name", [*NAMES, *MODELS])
@pytest.mark.parametrize("batch_form", [False, True])
def test_every_equation_has_one_vertex_with_its_number(name: str, batch_form: bool) -> None:
    derived = derivation(name).form(batch_form)
    diagram = draw(derived, backward=True, second=True).diagram
    assert sorted(n for vertex in diagram.vertices for n in vertex.equations) == sorted(e.name for e in derived.equations)
    number = {equation.name: k for k, equation in enumerate(derived.equations, start=1)}
    for vertex in diagram.vertices:
        assert set(vertex.numbers) <= {number[n] for n in vertex.equations}
        assert bool(vertex.numbers) == bool(vertex.equations)
        assert vertex.kind in LOOKS


@pytest.mark.parametrize("name", [*NAMES, *MODELS])
def test_every_reading_is_an_edge_with_its_shape(name: str) -> None:
    derived = derivation(name).example
    diagram = draw(derived).diagram
    repeats = Repeats(derived.forward, derived.graph, derived.model.dimensions)
    edges = {(edge.source, edge.target): edge for edge in diagram.edges}
    wanted = {}
    for equation in derived.forward:
        for leaf in leaves(equation.node):
            if leaf.kind != "hyper" and not repeats.apart(leaf.name, equation.name):
                wanted[repeats.first(leaf.name), repeats.first(equation.name)] = leaf
    assert edges.keys() == wanted.keys()
    for ends, leaf in wanted.items():
        label = edges[ends].label
        assert (label is None) == (leaf.rank == 0)
        if label and leaf.name == ends[0]:
            assert label.text.count("×") == leaf.rank - 1


@pytest.mark.parametrize("name", [*NAMES, *MODELS])
@pytest.mark.parametrize("level", ["equations", "layers"])
def test_each_gradient_is_reached_from_the_start(name: str, level: str) -> None:
    derived = derivation(name).example
    diagram = draw(derived, level, backward=True).diagram
    ways, vertex = reached(diagram), by_equation(diagram.vertices)
    start = vertex[Adjoint(derived.above, derived.target).name].key
    for equation in derived.backward:
        if derived.contributions[equation.name]:
            assert (start, vertex[equation.name].key) in ways


def test_what_is_sent_back_through_an_eliminated_statistic_is_drawn() -> None:
    model = sb.parse("dim d = 3\ninput h[d]\nparam W[d, d], c[d]\nx = W h\nmu = mean(x)\nr = c - mu\nL = ||r||^2\nminimize L")
    derivation = sb.derive(model)
    assert "∂L/∂mu" not in [equation.name for equation in derivation.example.backward]
    edges = {(edge.source, edge.target) for edge in draw(derivation.example, backward=True).diagram.edges}
    assert ("∂L/∂r", "∂L/∂x") in edges


@pytest.mark.parametrize("name", [*NAMES, *MODELS])
def test_operations_lead_from_what_is_read_to_the_value(name: str) -> None:
    derived = derivation(name).example
    diagram = draw(derived, "ops", backward=True).diagram
    ways = reached(diagram)
    repeats = Repeats(derived.forward, derived.graph, derived.model.dimensions)
    for equation in derived.forward:
        if repeats.copies.get(equation.name) and repeats.first(equation.name) != equation.name:
            continue
        for leaf in leaves(equation.node):
            if not repeats.apart(leaf.name, equation.name):
                assert (repeats.first(leaf.name), equation.name) in ways
    drawn = {vertex.key for vertex in diagram.vertices}
    assert all(edge.source in drawn and edge.target in drawn for edge in diagram.edges)
    operations = [vertex for vertex in diagram.vertices if vertex.kind.endswith("operation")]
    assert {vertex.key for vertex in operations} <= {edge.source for edge in diagram.edges}  # none is left hanging
    assert all(vertex.lines[0].text.strip() and vertex.lines[0].latex.strip() for vertex in operations)


def operations(text: str) -> set[tuple[str, str]]:
    """The operations of a model's forward pass, each with what reads it."""
    diagram = draw(sb.derive(sb.parse(text)).example, "ops").diagram
    label = {vertex.key: vertex.lines[0].text for vertex in diagram.vertices}
    return {(label[edge.source], label[edge.target]) for edge in diagram.edges}


@pytest.mark.parametrize(
    ("equation", "wanted"),
    [
        ("L = sum(tanh(A x))", {("A", "×"), ("x", "×"), ("×", "tanh"), ("tanh", "Σ"), ("Σ", "L")}),
        ("L = x^T A x", {("x", "i,j,ij →"), ("A", "i,j,ij →")}),
        ("L = sum(exp(x) ⊙ tanh(A x))", {("exp", "⊙"), ("tanh", "⊙"), ("⊙", "Σ")}),
        ("L = sum(x - A x)", {("x", "−"), ("×", "−")}),
        ("L = sum(exp(x) ./ (1 + x)) + sum(A)", {("x", "exp"), ("exp", "⊘"), ("+ 1", "⊘"), ("Σ", "+")}),
        ("L = tr(A) + sum(x)", {("A", "trace")}),
        ("L = logdet(A) + ||x||", {("A", "logdet"), ("x", "‖·‖")}),
        ("L = sum(x x^T ⊙ A)", {("x", "i,j,ij →")}),
    ],
)
def test_an_operation_has_its_usual_sign(equation: str, wanted: set[tuple[str, str]]) -> None:
    assert wanted <= operations(f"dim d = 3\nparam A[d, d], x[d]\n{equation}\nminimize L")


def test_each_kind_is_told_by_its_outline_as_well_as_by_its_colour() -> None:
    outlines = [(look.outline, look.dash, look.double, look.thickness) for look in LOOKS.values()]
    assert len(set(outlines)) == len(outlines)
    assert len({(look.fill, look.stroke, look.dash) for look in LOOKS.values()}) >= len(outlines) - 1


def test_the_levels_are_ever_coarser() -> None:
    for name in NAMES:
        counts = [len(draw(derivation(name).example, level, backward=True).diagram.vertices) for level in LEVELS]
        assert counts == sorted(counts, reverse=True)


# ---------------------------------------------------------------- repeated layers


@given(st.integers(0, 14), st.sampled_from(["relu", "tanh"]), st.sampled_from(["none", "l2"]), st.booleans())
def test_equal_layers_are_drawn_once(hidden: int, activation: str, penalty: str, bias: bool) -> None:
    model = sb.mlp([7, *[5] * (hidden + 1), 3], activation=activation, regularizer=penalty, bias=bias)
    diagram = draw(sb.derive(model).example, backward=True).diagram
    drawn_as_one = hidden >= FEWEST
    assert [frame.times for frame in diagram.frames] == ([hidden] if drawn_as_one else [])
    assert len([vertex for vertex in diagram.vertices if vertex.kind == "parameter"]) == (1 + bias) * (
        2 + (1 if drawn_as_one else hidden)
    )
    layers = draw(sb.derive(model).example, "layers").diagram
    assert [vertex.times for vertex in layers.vertices if vertex.times > 1] == ([hidden] if drawn_as_one else [])


def test_layers_of_different_sizes_or_functions_are_not_equal() -> None:
    assert draw(sb.derive(sb.mlp([7, 6, 5, 4, 3, 2])).example).diagram.frames == ()
    alternating = sb.mlp([5] * 8 + [3], activation=["relu", "tanh", "relu", "tanh", "relu", "tanh", "relu"])
    (frame,) = draw(sb.derive(alternating).example).diagram.frames
    assert frame.times == 3 and len([key for key in frame.members if key.startswith("W")]) == 2


def test_a_layer_that_is_read_from_afar_is_not_hidden() -> None:
    lines = [f"h{k} = tanh(W{k} h{k - 1})" for k in range(2, 7)]
    head = "dim d = 3\ninput x[d]\n" + "\n".join(f"param W{k}[d, d]" for k in range(1, 7)) + "\nh1 = W1 x\n"
    chain = sb.parse(head + "\n".join(lines) + "\nL = sum(h6)\nminimize L")
    skipping = sb.parse(head + "\n".join(lines) + "\nL = sum(h6 ⊙ h3)\nminimize L")
    assert [frame.times for frame in draw(sb.derive(chain).example).diagram.frames] == [5]
    assert all(frame.times < 5 for frame in draw(sb.derive(skipping).example).diagram.frames)


def test_a_shared_weight_stands_beside_the_frame() -> None:
    steps = "\n".join(f"h{k} = tanh(W h{k - 1} + b)" for k in range(1, 6))
    model = sb.parse(f"dim d = 3\ninput h0[d]\nparam W[d, d], b[d]\n{steps}\nL = sum(h5)\nminimize L")
    (frame,) = draw(sb.derive(model).example, backward=True).diagram.frames
    assert frame.times == 4 and set(frame.members) == {"h2", "∂L/∂h2"}


def test_two_hundred_layers_are_drawn_as_few() -> None:
    diagram = draw(sb.derive(sb.mlp([5] * 201 + [3])).example, backward=True).diagram
    assert len(diagram.vertices) < 40
    assert sum(len(vertex.equations) for vertex in diagram.vertices) > 1000
