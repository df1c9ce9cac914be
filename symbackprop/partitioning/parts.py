"""A model's derivation in parts: the equations of one worker, and how its tensors are laid out over the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Layout, Split, Workers
from symbackprop.drawing import Drawing, draw
from symbackprop.errors import UsageError
from symbackprop.footprint.memory_use import entry_bytes
from symbackprop.graph.nodes import Collective
from symbackprop.graph.sizes import Size
from symbackprop.kernels import generate_source
from symbackprop.kernels.emit_stages import stages_source
from symbackprop.kernels.lowered import lowered_of
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.stages import Stages, Transfer, make_stages
from symbackprop.partitioning.mesh import Mesh, make_mesh
from symbackprop.partitioning.splitting import Splitter
from symbackprop.partitioning.statistics import own_values, with_own_statistics
from symbackprop.render.workers_note import collectives


@dataclass(frozen=True)
class Partition:
    """The equations of one worker, and ``whole``, those they come from. The worker of rank r is in stage r // mesh.workers."""

    whole: DerivedGraph
    mesh: Mesh
    derived: DerivedGraph
    made: Stages | None = None

    @property
    def shared(self) -> Workers:
        """Who computes the equations."""
        assert self.derived.workers is not None
        return self.derived.workers

    @property
    def layouts(self) -> Mapping[str, Layout]:
        """What a worker holds of tensors and values, by name."""
        return self.shared.layouts

    @property
    def stages(self) -> int:
        """How many times the workers of the mesh there are, each for some of the layers."""
        return self.shared.stages

    @property
    def rounds(self) -> int:
        """In how many parts, one after the other, each worker works what it holds of the batch."""
        return self.shared.rounds

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return self.shared.count

    @cached_property
    def kernel(self) -> Stages:
        """The plans of the stages and what they send one another."""
        return self.made or make_stages(lowered_of(self.derived), self.stages)

    def source(self) -> str:
        """The source of the module that each worker runs; the workers meet through MPI."""
        if self.stages == self.rounds == 1:
            return generate_source(self.derived)
        return stages_source(self.derived, self.kernel)

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
    derived: DerivedGraph, splits: Mapping[str, int], sizes: Mapping[str, int] = MappingProxyType({}), *,
    stages: int = 1, rounds: int = 1, local: bool = False,
) -> Partition:  # fmt: skip
    """Return a derivation over the batch in parts: dimensions over workers, layers over stages of workers, the batch over rounds.

    ``sizes`` come before the model's defaults. The batch is the model's, or without one the only dimension of ``splits``. With
    ``local``, means over the batch within the model are those of each worker's own examples (of those in a round). Raises
    UsageError where it cannot be divided so.
    """
    if derived.further:
        raise UsageError("products of second derivatives are not split")
    if rounds < 1:
        raise UsageError(f"{rounds} rounds: the batch is worked in 1 round or more")
    turns = {_batch(derived, splits): rounds} if rounds > 1 else {}
    mesh = make_mesh(derived.model, {**splits, **{name: splits.get(name, 1) for name in turns}}, sizes, turns)
    axes = {size for tensor in (*derived.graph.declarations, *(e.node for e in derived.graph.equations)) for size in tensor.shape}
    for split in mesh.splits:
        if split.size not in axes:
            raise UsageError(f"{split.name} cannot be split: it is the size of no axis of a tensor")
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
        dimensions[split.held] = None if size is None else -(-size // split.parts)
        dimensions[split.part] = None if size is None else -(-size // (split.parts * split.rounds))
    worker = replace(
        derived,
        model=replace(derived.model, dimensions=dimensions),
        graph=graph,
        forward=tuple(graph.by_name[equation.name] for equation in derived.forward),
        backward=tuple(graph.by_name[equation.name] for equation in derived.backward),
        workers=Workers(mesh.splits, layouts, apart),
    )
    if stages == rounds == 1:
        return Partition(derived, mesh, worker)
    made = make_stages(lowered_of(worker), stages)  # what cannot be divided so is refused here
    workers = Workers(mesh.splits, layouts, apart, stages, made.stages_of if stages > 1 else {})
    return Partition(derived, mesh, replace(worker, workers=workers), made)


def _own_statistics(derived: DerivedGraph, mesh: Mesh) -> Split:
    """The split of the examples: that of the batch, or the only one. Raises UsageError where it is not to be told."""
    found = [split for split in mesh.splits if derived.model.batch in (None, split.name)]
    if len(found) != 1:
        raise UsageError("local statistics are those of each worker's own examples: split the batch, or one dimension alone")
    return found[0]


def _batch(derived: DerivedGraph, splits: Mapping[str, int]) -> str:
    if derived.model.batch is not None:
        return derived.model.batch
    if len(splits) != 1:
        raise UsageError("the model has no batch dimension to be worked in rounds: split the one that is, if only in 1 part")
    return next(iter(splits))


def stage_plans(partition: Partition) -> tuple[Plan, ...]:
    """Return the plan of a worker of each stage."""
    return partition.kernel.plans


def transferred(partition: Partition) -> tuple[tuple[Transfer, Size], ...]:
    """Return what workers send to their likes in other stages in a call of all that the kernel can compute, and its bytes."""
    return tuple(
        (transfer, sympy.expand(transfer.times * entry_bytes(transfer.dtype) * sympy.Mul(*transfer.shape)))
        for transfer in partition.kernel.transfers
    )
