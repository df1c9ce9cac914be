"""Kernels for several workers: the module of one of them, which is the same for all, and meets the others through MPI."""

from __future__ import annotations

from symbackprop.kernels import generate_source
from symbackprop.kernels.emit import Workers
from symbackprop.kernels.emit_stages import stages_source
from symbackprop.partitioning.parts import Partition


def mpi_source(partition: Partition) -> str:
    """Return the text of the module that each worker runs: byte-identical for the same partition."""
    derived, mesh = partition.derived, partition.mesh
    names = [*(leaf.name for leaf in derived.graph.declarations), *derived.model.outputs]
    workers = Workers(
        tuple((split.name, split.parts, split.held, split.first) for split in mesh.splits),
        {name: partition.layouts[name] for name in names},
    )
    if partition.stages == partition.rounds == 1:
        return generate_source(derived, workers=workers)
    return stages_source(derived, workers, partition.kernel, partition.in_rounds)
