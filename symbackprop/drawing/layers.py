"""The graph with one vertex for each layer: that of the equations, with those of a layer put together."""

from __future__ import annotations

from collections.abc import Sequence

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.layers import layers
from symbackprop.drawing.diagram import Diagram, Label, Vertex, merged
from symbackprop.drawing.equations import Naming, by_equation


def by_layer(derived: DerivedGraph, *, backward: bool, second: bool) -> Diagram:
    """Return the graph of a derivation's layers, losses and penalties: the parameters of a layer are inside it."""
    diagram = by_equation(derived, backward=backward, second=second)
    place = _places(derived, Naming(derived))
    rows = {vertex.key: vertex.row for vertex in diagram.vertices}
    kinds = {vertex.key: vertex.kind for vertex in diagram.vertices}

    def placed(key: str) -> str:
        layer = place.get(rows[key])
        if layer is None:
            return key
        kind = "tangent" if kinds[key] == "direction" else kinds[key]
        return f"{kind} of {layer}" if "gradient" in kind or kind == "tangent" else layer

    return merged(diagram, placed, lambda key, members: _joined(key, members, place))


def _places(derived: DerivedGraph, naming: Naming) -> dict[str, str]:
    """The layer of each value that depends on inputs and on no target, and of the parameters that enter there."""
    graph, number = derived.graph, layers(derived)
    fed = graph.depends_on(frozenset(leaf.name for leaf in derived.model.leaves_of_kind("input")))
    judged = graph.depends_on(frozenset(leaf.name for leaf in derived.model.leaves_of_kind("target")))
    found: dict[str, str] = {}
    for equation in derived.forward:
        name = equation.name
        if name in fed - judged and name != derived.target and naming.repeats.first(name) == name:
            copy = naming.repeats.copies.get(name)
            found[name] = f"layer {number[name]}" + (f", run {copy.run}" if copy else "")
            for parameter in sorted(graph.influences[name] & set(derived.model.parameters)):
                found.setdefault(naming.key(parameter), found[name])
    return found


def _joined(key: str, members: Sequence[Vertex], place: dict[str, str]) -> Vertex:
    """One vertex of several: equations below each other, names of gradients side by side."""
    if len(members) == 1 and members[0].key == key:
        return members[0]
    shown = [vertex for vertex in members if vertex.equations] or list(members)
    lines = tuple(line for vertex in shown for line in vertex.lines)
    kind = shown[0].kind
    if kind != "value":
        lines = (Label(r", \; ".join(line.latex for line in lines), ", ".join(line.text for line in lines)),)
    layer = place[shown[0].row]
    return Vertex(
        key, kind, lines, "\n".join(vertex.title for vertex in shown),
        tuple(name for vertex in shown for name in vertex.equations),
        tuple(number for vertex in shown for number in vertex.numbers), layer, layer,
    )  # fmt: skip
