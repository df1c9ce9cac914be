"""All workers in one process, in lockstep: each computes its part of a node, then they meet. Slow, obvious, and an oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symbackprop.derivation.workers import Layout
from symbackprop.graph.evaluate import Array, value_of
from symbackprop.graph.nodes import Collective, Leaf, Node
from symbackprop.graph.walk import topological
from symbackprop.partitioning.mesh import Mesh, block
from symbackprop.partitioning.parts import Partition


def simulate(
    partition: Partition, values: Mapping[str, Any], sizes: Mapping[str, int], dtype: Any = np.float64
) -> list[dict[str, Array]]:
    """Return what each worker has of every equation, by name, for the values of the declared tensors as wholes.

    Rounds are worked by workers of their own: see `Mesh.in_space`. Stages change no value.
    """
    mesh, graph = partition.mesh.in_space, partition.derived.graph
    mesh.refuse_empty(sizes)
    known: list[dict[str, Array]] = []
    for rank in range(mesh.workers):
        own = {}
        for declaration in graph.declarations:
            kind = np.int64 if declaration.classes is not None else dtype
            whole = np.asarray(values[declaration.name], kind)
            own[declaration.name] = shard(whole, partition.layouts[declaration.name], mesh, rank)
        known.append(own)
    local = [mesh.sizes(rank, sizes) for rank in range(mesh.workers)]
    computed: list[dict[Node, Array]] = [{} for _ in range(mesh.workers)]
    with np.errstate(all="ignore"):
        for equation in graph.equations:
            for node in topological([equation.node]):
                if node in computed[0]:
                    continue
                if isinstance(node, Collective):
                    operands = [done[node.operands[0]] for done in computed]
                    met = [_met(node, operands, mesh.peers(rank, node.groups)) for rank in range(mesh.workers)]
                    for done, value in zip(computed, met, strict=True):
                        done[node] = value
                    continue
                for rank, done in enumerate(computed):
                    done[node] = (
                        known[rank][node.name]
                        if isinstance(node, Leaf)
                        else value_of(node, [done[operand] for operand in node.operands], local[rank], dtype)
                    )
            for rank, done in enumerate(computed):
                known[rank][equation.name] = done[equation.node]
    return [{equation.name: own[equation.name] for equation in graph.equations} for own in known]


def _met(node: Collective, operands: list[Array], peers: list[int]) -> Array:
    parts = [operands[peer] for peer in peers]
    if node.kind == "gather":
        return np.concatenate(parts, axis=node.position)
    return np.asarray(_along_workers[node.kind](np.stack(parts)))


def _norm(parts: Array) -> Array:
    largest = np.where(parts.max(axis=0) > 0, parts.max(axis=0), 1)
    return np.asarray(largest * np.sqrt(((parts / largest) ** 2).sum(axis=0)))


_along_workers: dict[str, Callable[[Array], Any]] = {
    "sum": lambda parts: parts.sum(axis=0),
    "max": lambda parts: parts.max(axis=0),
    "logsumexp": lambda parts: np.logaddexp.reduce(parts, axis=0),
    "norm": _norm,
}


def shard(whole: Array, layout: Layout, mesh: Mesh, rank: int) -> Array:
    """Return what a worker holds of a tensor."""
    place = mesh.place(rank)
    index = []
    for size, name in zip(whole.shape, layout, strict=True):
        start, count = (0, size) if name is None else block(size, mesh.split(name).parts, place[name])
        index.append(slice(start, start + count))
    return whole[tuple(index)]


def assembled(parts: list[Array], layout: Layout, mesh: Mesh) -> Array:
    """Return the whole of a tensor from what the workers hold of it."""
    split = [(axis, name) for axis, name in enumerate(layout) if name is not None]
    if not split:
        return parts[0]
    whole_shape = list(parts[0].shape)
    for k, other in split:
        whole_shape[k] = sum(parts[rank].shape[k] for rank in mesh.peers(0, (other,)))
    whole = np.empty(whole_shape, parts[0].dtype)
    for rank, part in enumerate(parts):
        place, index = mesh.place(rank), [slice(None)] * whole.ndim
        for k, other in split:
            start, count = block(whole_shape[k], mesh.split(other).parts, place[other])
            index[k] = slice(start, start + count)
        whole[tuple(index)] = part
    return whole
