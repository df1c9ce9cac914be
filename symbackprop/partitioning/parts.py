"""A model's derivation in parts: the equations of one worker, and how its tensors are laid out over the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Layout, Split, Workers
from symbackprop.drawing import Drawing, draw
from symbackprop.errors import UsageError
from symbackprop.graph.nodes import Collective
from symbackprop.partitioning.mesh import Mesh, make_mesh
from symbackprop.partitioning.splitting import Splitter
from symbackprop.partitioning.statistics import own_values, with_own_statistics
from symbackprop.render.workers_note import collectives


@dataclass(frozen=True)
class Partition:
    """The equations of one worker. ``whole`` are those they come from; layouts are those of tensors and values by name."""

    whole: DerivedGraph
    mesh: Mesh
    derived: DerivedGraph
    layouts: Mapping[str, Layout]

    def source(self) -> str:
        """The source of the module that each worker runs; the workers meet through MPI."""
        from symbackprop.partitioning.mpi import mpi_source

        return mpi_source(self)

    @property
    def collectives(self) -> dict[Collective, str]:
        """Where workers meet, in order, each once, with the name of the equation in which it is."""
        return collectives(self.derived)

    def drawing(self, *, level: str = "equations", backward: bool = False) -> Drawing:
        """The graph of one worker as a picture: where workers meet is a vertex, and colours tell what each of them holds.

        Raises UsageError for an unknown level, and where the libraries of the extra ``draw`` are missing.
        """
        return draw(self.derived, level, backward=backward)


def split_over(
    derived: DerivedGraph, splits: Mapping[str, int], sizes: Mapping[str, int] = MappingProxyType({}), *, local: bool = False
) -> Partition:
    """Return a derivation over the batch in parts. ``sizes`` come before the model's defaults.

    With ``local``, means over the batch within the model are those of each worker's own examples. Raises UsageError where a
    dimension cannot be split so.
    """
    if derived.further:
        raise UsageError("products of second derivatives are not split")
    mesh = make_mesh(derived.model, splits, sizes)
    known = {**{name: size for name, size in derived.model.dimensions.items() if size is not None}, **sizes}
    own = _own_statistics(derived, mesh) if local else None
    splitter = Splitter(derived.graph, Mesh(tuple(split for split in mesh.splits if split is not own)), known)
    graph, layouts, apart = splitter.split_graph(), splitter.layouts, tuple[str, ...]()
    if own is not None:
        graph, layouts = with_own_statistics(graph, own, layouts, derived.model.objective)
        apart = own_values(graph, own, layouts, derived.model.objective)
    dimensions = dict(derived.model.dimensions)
    for split in mesh.splits:
        size = known.get(split.name)
        dimensions[split.part] = None if size is None else -(-size // split.parts)
    worker = replace(
        derived,
        model=replace(derived.model, dimensions=dimensions),
        graph=graph,
        forward=tuple(graph.by_name[equation.name] for equation in derived.forward),
        backward=tuple(graph.by_name[equation.name] for equation in derived.backward),
        workers=Workers(mesh.splits, layouts, apart),
    )
    return Partition(derived, mesh, worker, layouts)


def _own_statistics(derived: DerivedGraph, mesh: Mesh) -> Split:
    """The split of the examples: that of the batch, or the only one. Raises UsageError where it is not to be told."""
    found = [split for split in mesh.splits if derived.model.batch in (None, split.name)]
    if len(found) != 1:
        raise UsageError("local statistics are those of each worker's own examples: split the batch, or one dimension alone")
    return found[0]


