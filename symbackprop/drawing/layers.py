"""The graph with one vertex for each layer: that of the equations, with those of a layer put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.layers import layers
from symbackprop.drawing.diagram import Diagram, Label, Vertex, merged
from symbackprop.drawing.equations import Naming, by_equation


def by_layer(derived: DerivedGraph, *, backward: bool, second: bool) -> Diagram:
    """Return the graph of a derivation's layers, losses and penalties: the parameters of a layer are inside it."""
    diagram = by_equation(derived, backward=backward, second=second)
    place = _places(derived, Naming(derived))
    vertices = {vertex.key: vertex for vertex in diagram.vertices}
    values = frozenset(equation.name for equation in derived.forward)

    def placed(key: str) -> str:
        vertex = vertices[key]
        layer = place.get(vertex.row or vertex.owner)
        if layer is None:
            return key
        kind = "tangent" if vertex.kind == "direction" else vertex.kind
        if kind.endswith("meeting"):
            return f"{kind} of {layer}: {vertex.lines[0].text}"
        way = f", held {vertex.held.shade}" if vertex.held else ""
        return f"{kind} of {layer}{way}" if "gradient" in kind or kind == "tangent" else layer

    return _without_returns(merged(diagram, placed, lambda key, members: _joined(key, members, place, values)))


def _without_returns(diagram: Diagram) -> Diagram:
    """A layer whose workers meet for it stands behind their meeting, or before it, if nothing else stands there: not both."""
    meetings = {vertex.key for vertex in diagram.vertices if vertex.kind.endswith("meeting")}
    ends = {(edge.source, edge.target) for edge in diagram.edges}
    twice = {(a, b) for a, b in ends if b in meetings and (b, a) in ends}
    gone = set()
    for layer, meeting in twice:
        others = any(b == meeting and (a, b) not in twice for a, b in ends)
        gone.add((layer, meeting) if others else (meeting, layer))
    return replace(diagram, edges=tuple(edge for edge in diagram.edges if (edge.source, edge.target) not in gone))


def _places(derived: DerivedGraph, naming: Naming) -> dict[str, str]:
    """The layer of each value that depends on inputs and on no target, and of the parameters that enter there.

    Of what workers hold in one way and in another there are several parts.
    """
    graph, number, part, held = derived.graph, layers(derived), 0, None
    fed = graph.depends_on(frozenset(leaf.name for leaf in derived.model.leaves_of_kind("input")))
    judged = graph.depends_on(frozenset(leaf.name for leaf in derived.model.leaves_of_kind("target")))
    found: dict[str, str] = {}
    for equation in derived.forward:
        name = equation.name
        if name in fed - judged and name != derived.target and naming.repeats.first(name) == name:
            copy = naming.repeats.copies.get(name)
            part += naming.held(name) != held
            held = naming.held(name)
            found[name] = f"layer {number[name]}" + (f", run {copy.run}" if copy else "") + (f", part {part}" if held else "")
            for parameter in sorted(graph.influences[name] & set(derived.model.parameters)):
                found.setdefault(naming.key(parameter), found[name])
    return found


def _joined(key: str, members: Sequence[Vertex], place: dict[str, str], values: frozenset[str]) -> Vertex:
    """One vertex of several: equations below each other, names of gradients side by side; those of ``values`` stand beside them."""
    if len(members) == 1 and members[0].key == key:
        return members[0]
    shown = [vertex for vertex in members if vertex.equations] or list(members)
    if shown[0].kind.endswith("meeting"):
        title, layer = "\n".join(vertex.title for vertex in shown), place[shown[0].owner]
        return replace(shown[0], key=key, title=title, owner=layer)
    lines = tuple(line for vertex in shown for line in vertex.lines)
    kind = shown[0].kind
    if kind != "value":
        lines = (Label(r", \; ".join(line.latex for line in lines), ", ".join(line.text for line in lines)),)
    layer = place[shown[0].row]
    row = layer if shown[0].held is None or any(vertex.row in values for vertex in shown) else ""
    return Vertex(
        key, kind, lines, "\n".join(vertex.title for vertex in shown),
        tuple(name for vertex in shown for name in vertex.equations),
        tuple(number for vertex in shown for number in vertex.numbers), row, layer, held=shown[0].held,
    )  # fmt: skip
