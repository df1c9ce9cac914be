"""A model's derivation in parts: the equations of one worker, and how its tensors are laid out over the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Layout, Workers
from symbackprop.drawing import Drawing, draw
from symbackprop.errors import UsageError
from symbackprop.graph.nodes import Collective
from symbackprop.partitioning.mesh import Mesh, make_mesh
from symbackprop.partitioning.splitting import Splitter
from symbackprop.render.workers_note import collectives


@dataclass(frozen=True)
class Partition:
    """The equations of one worker. ``whole`` are those they come from; layouts are those of tensors and values by name."""

    whole: DerivedGraph
    mesh: Mesh
    derived: DerivedGraph
    layouts: Mapping[str, Layout]

    @property
    def collectives(self) -> dict[Collective, str]:
        """Where workers meet, in order, each once, with the name of the equation in which it is."""
        return collectives(self.derived)

    def drawing(self, *, level: str = "equations", backward: bool = False) -> Drawing:
        """The graph of one worker as a picture: where workers meet is a vertex, and colours tell what each of them holds.

        Raises UsageError for an unknown level, and where the libraries of the extra ``draw`` are missing.
        """
        return draw(self.derived, level, backward=backward)


def split_over(derived: DerivedGraph, splits: Mapping[str, int]) -> Partition:
    """Return a derivation over the batch in parts. Raises UsageError where a dimension cannot be split so."""
    if derived.further:
        raise UsageError("products of second derivatives are not split")
    mesh = make_mesh(derived.model, splits)
    known = {name: size for name, size in derived.model.dimensions.items() if size is not None}
    splitter = Splitter(derived.graph, mesh, known)
    graph = splitter.split_graph()
    dimensions = dict(derived.model.dimensions)
    for split in mesh.splits:
        size = dimensions[split.name]
        dimensions[split.part] = None if size is None else -(-size // split.parts)
    local = replace(
        derived,
        model=replace(derived.model, dimensions=dimensions),
        graph=graph,
        forward=tuple(graph.by_name[equation.name] for equation in derived.forward),
        backward=tuple(graph.by_name[equation.name] for equation in derived.backward),
        workers=Workers(mesh.splits, splitter.layouts),
    )
    return Partition(derived, mesh, local, splitter.layouts)


