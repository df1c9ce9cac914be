"""The graph with one vertex for each equation: values, and beside them their gradients and their tangents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.drawing.diagram import Diagram, Edge, Frame, Held, Label, Vertex
from symbackprop.drawing.repeats import Repeats
from symbackprop.drawing.workers import held, meeting
from symbackprop.graph.model import Equation
from symbackprop.graph.names import Adjoint, parse_name, with_tangents, without_tangents
from symbackprop.graph.nodes import Collective, Leaf, Node
from symbackprop.graph.sizes import Shape
from symbackprop.graph.walk import leaves, topological
from symbackprop.render.linebreaks import width
from symbackprop.render.writer import Writer

WIDEST = 34
"""The most characters, about, of an equation that stands in a vertex whole; of a wider one there is the name."""


class Naming:
    """The keys of vertices and the labels of a derivation; copies of repeated layers have one key."""

    def __init__(self, derived: DerivedGraph) -> None:
        self.derived, self.writer = derived, Writer(derived)
        self.repeats = Repeats(derived.forward, derived.graph, derived.model.dimensions)

    def key(self, name: str) -> str:
        """The key of the vertex of a declared tensor, a value, a gradient or a tangent."""
        inner, dots = without_tangents(name)
        meaning = parse_name(inner)
        first = self.repeats.first
        own = Adjoint(meaning.of, first(meaning.by)).name if isinstance(meaning, Adjoint) else first(inner)
        return with_tangents(own, dots)

    def base(self, name: str) -> str:
        """The value of the model that a name is of: z of ∂J/∂z and of its tangent."""
        inner, _ = without_tangents(name)
        meaning = parse_name(inner)
        return meaning.by if isinstance(meaning, Adjoint) else inner

    def apart(self, one: str, other: str) -> bool:
        """Tell whether two names belong to different copies of a repeated layer."""
        return self.repeats.apart(self.base(one), self.base(other))

    def label(self, name: str) -> Label:
        """A name as a label."""
        rank = self.derived.graph.reference(name).rank
        return Label(self.writer.latex.name(name, rank), self.writer.text.name(name, rank))

    def shape(self, shape: Shape) -> Label | None:
        """The label of an edge that passes on a tensor; a scalar has none."""
        if not shape:
            return None
        printed = [(size, self.writer.latex.number(size)[0]) for size in shape]
        sizes = [f"({text})" if size.is_Add and len(shape) > 1 else text for size, text in printed]
        return Label(r" \times ".join(sizes), self.writer.shape(shape))

    def equation(self, equation: Equation) -> Label:
        """An equation as a label."""
        line = self.writer.line(equation)
        return Label(
            self.writer.latex.equation(line.left, line.right), self.writer.text.equation(line.left, line.right)
        )

    def title(self, equation: Equation) -> str:
        """What is said of an equation's vertex: its number, its text, its shape, and how workers hold it."""
        number, shape = self.writer.number[equation.name], self.writer.shape(equation.node.shape)
        return f"({number}) {self.equation(equation).text} — {shape}{self._held_words(equation.name)}"

    def held(self, name: str) -> Held | None:
        """How workers hold a tensor or a value; None where there is one worker."""
        return held(self.writer, name)

    def _held_words(self, name: str) -> str:
        way = self.held(name)
        return f", {way.words.text}" if way else ""

    def meeting(self, node: Collective) -> Label:
        """What workers do where they meet."""
        return meeting(self.writer, node)

    def declared(self, leaf: Leaf) -> Vertex:
        """The vertex of a declared tensor."""
        key = self.key(leaf.name)
        kind = "direction" if leaf.kind == "tangent" else "input" if leaf.kind == "cotangent" else leaf.kind
        said = f"{self.writer.text.name(leaf.name, leaf.rank)} — {self.writer.shape(leaf.shape)}{self._held_words(leaf.name)}"
        row = self.key(self.base(leaf.name))
        return Vertex(key, kind, (self.label(leaf.name),), f"{kind} {said}", row=row, owner=row, held=self.held(leaf.name))

    def frames(self, vertices: Iterable[Vertex]) -> tuple[Frame, ...]:
        """A frame around the first copy of each repeated part: its values, parameters, gradients and tangents."""
        members: dict[int, list[str]] = {}
        for vertex in vertices:
            copy = self.repeats.copies.get(vertex.owner)
            if copy:
                members.setdefault(copy.run, []).append(vertex.key)
        return tuple(Frame(tuple(keys), self.repeats.runs[run].times) for run, keys in sorted(members.items()))


def by_equation(derived: DerivedGraph, *, backward: bool, second: bool) -> Diagram:
    """Return the graph of a derivation's equations; ``backward`` with the gradients, ``second`` with those and the tangents."""
    builder = _Builder(Naming(derived))
    builder.forward()
    if backward or second:
        builder.backward()
    if second:
        builder.second()
    return builder.diagram()


class _Builder:
    def __init__(self, naming: Naming) -> None:
        self.naming, self.derived = naming, naming.derived
        self.vertices: dict[str, Vertex] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}
        self.met: dict[Node, str] = {}

    def diagram(self) -> Diagram:
        model = self.derived.model
        vertices = tuple(self.vertices.values())
        return Diagram(model.title or model.name, vertices, tuple(self.edges.values()), self.naming.frames(vertices))

    def forward(self) -> None:
        shown = self.derived.forward
        self._declare({"input", "target", "parameter"}, shown)
        for equation in shown:
            kind = "objective" if equation.name == self.derived.model.objective else "value"
            whole = self.naming.equation(equation)
            short = width(whole.latex) <= WIDEST
            self._add(equation, kind, whole if short else self.naming.label(equation.name))
            self._read([equation.node], self.naming.key(equation.name), equation)

    def _read(self, roots: Sequence[Node], target: str, equation: Equation) -> None:
        """Draw what some nodes of an equation read, and before it where workers meet."""
        for node in _read_directly(roots):
            if isinstance(node, Collective):
                self._link(self._meeting(node, equation), target, node.shape)
                self._read(node.operands, self.met[node], equation)
            elif not self.naming.apart(node.name, equation.name):
                self._link(self.naming.key(node.name), target, node.shape)

    def _meeting(self, node: Collective, equation: Equation) -> str:
        """The vertex of a meeting. Where two equations need the same of the workers, these meet once."""
        if node not in self.met:
            naming = self.naming
            key, owner = naming.key(equation.name), naming.key(naming.base(equation.name))
            found = [other for other in topological([equation.node]) if isinstance(other, Collective)]
            kind = "gradient meeting" if equation.name in self.derived.contributions else "meeting"
            self.met[node] = f"{key} meets {found.index(node)}"
            title = f"in ({naming.writer.number[equation.name]}): {naming.meeting(node).text}, then each worker knows it"
            self.vertices.setdefault(
                self.met[node], Vertex(self.met[node], kind, (naming.meeting(node),), title, owner=owner)
            )
        return self.met[node]

    def backward(self) -> None:
        shown = {equation.name for equation in self.derived.backward}
        self._declare({"cotangent"}, self.derived.backward)
        for equation in self.derived.backward:
            self._add(equation, "gradient", self.naming.label(equation.name))
            by = self.naming.base(equation.name)
            self._edge(by, equation.name, (), "pair")
            self._send(equation, list(self._senders(equation.name, shown)))
            for node in leaves(equation.node):
                if node.kind == "cotangent":
                    self._edge(node.name, equation.name, node.shape)

    def _send(self, equation: Equation, senders: Sequence[str]) -> None:
        """Draw what is sent back to a gradient: past where workers meet, if it is they that read it."""
        own = self.naming.key(equation.name)
        senders = [sender for sender in senders if not self.naming.apart(sender, equation.name)]
        places: list[tuple[str, list[Leaf | Collective]]] = [(own, _read_directly([equation.node]))]
        for target, nodes in places:
            for node in nodes:
                if isinstance(node, Collective):
                    met = self._meeting(node, equation)
                    aside = not self.vertices[met].returns  # of the forward pass: there is no good place for a label
                    self._link(met, target, () if aside else node.shape)
                    places.append((met, _read_directly(node.operands)))
        readers = {
            sender: [key for key, nodes in places if any(isinstance(n, Leaf) and n.name == sender for n in nodes)]
            for sender in senders
        }
        fed = {key for found in readers.values() for key in found}
        back = {node for node, key in self.met.items() if self.vertices[key].returns}
        unfed = [key for key, nodes in places[1:] if self.vertices[key].returns and key not in fed and not back & {*nodes}]
        for sender in senders:  # one that nobody reads was put in where it is
            for key in readers[sender] or unfed or [own]:
                self._link(self.naming.key(sender), key, self.derived.graph.reference(self.naming.base(sender)).shape)

    def _senders(self, name: str, shown: set[str]) -> Iterator[str]:
        """The gradients that are sent back to one: where one has no equation, those that would be sent to it."""
        for contribution in self.derived.contributions.get(name, ()):
            sender = Adjoint(self.derived.above, contribution.consumer).name
            if sender in shown:
                yield sender
            else:
                yield from self._senders(sender, shown)

    def second(self) -> None:
        further = [equation for section in self.derived.further for equation in section.equations]
        self._declare({"tangent"}, further)
        for equation in further:
            inner, dots = without_tangents(equation.name)
            kind = "gradient tangent" if isinstance(parse_name(inner), Adjoint) else "tangent"
            self._add(equation, kind, self.naming.label(equation.name))
            self._edge(with_tangents(inner, dots - 1), equation.name, (), "pair")
        for equation in further:
            for node in leaves(equation.node):
                if self.naming.key(node.name) in self.vertices and "tangent" in self._kind(node.name):
                    self._edge(node.name, equation.name, node.shape)
        for leaf in self.derived.directions.values():
            self._edge(self.naming.base(leaf.name), leaf.name, (), "pair")

    def _kind(self, name: str) -> str:
        kind = self.vertices[self.naming.key(name)].kind
        return "tangent" if kind == "direction" else kind

    def _declare(self, kinds: set[str], readers: Iterable[Equation]) -> None:
        read = {node.name for equation in readers for node in leaves(equation.node)}
        for leaf in self.derived.graph.declarations:
            if leaf.kind in kinds and leaf.name in read:
                vertex = self.naming.declared(leaf)
                self.vertices.setdefault(vertex.key, vertex)

    def _add(self, equation: Equation, kind: str, label: Label) -> None:
        naming = self.naming
        key, row = naming.key(equation.name), naming.key(naming.base(equation.name))
        number, title = naming.writer.number[equation.name], naming.title(equation)
        vertex = Vertex(key, kind, (label,), title, (equation.name,), (number,), row, row, held=naming.held(equation.name))
        found = self.vertices.get(key)
        if found is not None:  # of copies, the first is the one whose name and number are shown
            shown = vertex if naming.base(equation.name) == row else found
            vertex = replace(
                shown, equations=(*found.equations, equation.name), title=f"{found.title}\n{title}"
            )
        self.vertices[key] = vertex

    def _edge(self, source: str, target: str, shape: Shape, kind: str = "flow") -> None:
        if not self.naming.apart(source, target):
            self._link(self.naming.key(source), self.naming.key(target), shape, kind)

    def _link(self, first: str, second: str, shape: Shape, kind: str = "flow") -> None:
        if first in self.vertices and second in self.vertices and first != second:
            label = self.naming.shape(shape)
            self.edges.setdefault((first, second, kind), Edge(first, second, label, kind))


def _read_directly(roots: Sequence[Node]) -> list[Leaf | Collective]:
    """The leaves and the meetings of workers below some nodes; what a meeting reads is its own."""
    found: dict[Leaf | Collective, None] = {}
    pending, seen = list(reversed(roots)), set[Node]()
    while pending:
        node = pending.pop()
        if isinstance(node, Leaf | Collective):
            found[node] = None
        elif node not in seen:
            seen.add(node)
            pending.extend(reversed(node.operands))
    return list(found)

