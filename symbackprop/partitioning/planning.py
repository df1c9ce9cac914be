"""Ways to split a model over so many workers, and what each of them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.errors import UsageError
from symbackprop.footprint import memory_use as use
from symbackprop.partitioning.cost import Cost, Machine
from symbackprop.partitioning.parts import split_over

MOST_DIMENSIONS = 3
"""How many dimensions one way splits at most."""

ORDERS = ("time", "memory")


@dataclass(frozen=True)
class Way:
    """A way to split: the parts of each dimension, and what the worker that holds most takes of memory, arithmetic and time."""

    splits: Mapping[str, int]
    memory: int
    multiply_adds: int
    sent: int
    computing: float
    meeting: float

    @property
    def name(self) -> str:
        """``n=2, h=4``."""
        return ", ".join(f"{name}={parts}" for name, parts in self.splits.items()) or "none"

    @property
    def seconds(self) -> float:
        """Computing, then meeting: no overlap."""
        return self.computing + self.meeting


def ways(
    derived: DerivedGraph, workers: int, sizes: Mapping[str, int], dtype: str = "float32", optimizer: str = "sgd",
    machine: Machine | None = None, order: str = "time", progress: Callable[[int, int, str], None] | None = None,
) -> list[Way]:  # fmt: skip
    """Return the sensible ways to split a derivation over the batch: those in which a worker computes less than one alone would.

    They come in the order of their time or their memory. Raises UsageError where there are none, or for an unknown order.
    """
    if order not in ORDERS:
        raise UsageError(f"there is no order {order!r}; there are {', '.join(ORDERS)}")
    known = {**{name: size for name, size in derived.model.dimensions.items() if size is not None}, **sizes}
    alone = way_of(derived, {}, sizes, dtype, optimizer, machine)
    axes = {size.name for leaf in derived.graph.declarations for size in leaf.shape if size.is_Symbol}
    names = [name for name in derived.model.dimensions if name in axes and known.get(name, 1) > 1]
    candidates = list(_distributed(workers, [(name, known[name]) for name in names]))
    found = []
    for number, splits in enumerate(candidates):
        if progress:
            progress(number, len(candidates), ", ".join(f"{name}={parts}" for name, parts in splits.items()))
        way = way_of(derived, splits, sizes, dtype, optimizer, machine)
        if way.multiply_adds < alone.multiply_adds or way.memory < alone.memory:
            found.append(way)
    if not found:
        raise UsageError(f"no way was found to split {derived.model.name} over {workers} workers: its sizes are {known}")
    return sorted(found, key=lambda way: (way.seconds, way.memory) if order == "time" else (way.memory, way.seconds))


def way_of(
    derived: DerivedGraph, splits: Mapping[str, int], sizes: Mapping[str, int], dtype: str = "float32",
    optimizer: str = "sgd", machine: Machine | None = None,
) -> Way:  # fmt: skip
    """Return what one way costs."""
    cost = Cost(split_over(derived, splits, sizes))
    numbers = cost.numbers(sizes, dtype)
    computing, meeting = cost.seconds(numbers, machine or Machine())
    return Way(
        dict(splits), cost.memory(numbers, optimizer), use.value_at(cost.multiply_adds, numbers), cost.sent(numbers),
        computing, meeting,
    )  # fmt: skip


def _distributed(workers: int, sizes: list[tuple[str, int]], dimensions: int = MOST_DIMENSIONS) -> Iterator[dict[str, int]]:
    """Every way to write a number of workers as a product of parts of different dimensions, none larger than its size."""
    if workers == 1:
        yield {}
    elif sizes and dimensions:
        (name, size), *rest = sizes
        for parts in range(workers, 1, -1):
            if workers % parts == 0 and parts <= size:
                for others in _distributed(workers // parts, rest, dimensions - 1):
                    yield {name: parts, **others}
        yield from _distributed(workers, rest, dimensions)
