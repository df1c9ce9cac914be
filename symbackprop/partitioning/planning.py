"""Ways to split a model over so many workers, and what each of them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.layers import layers
from symbackprop.errors import UsageError
from symbackprop.partitioning.cost import Costs, Machine
from symbackprop.partitioning.parts import split_over

MOST_DIMENSIONS = 3
"""How many dimensions one way splits at most."""

ROUNDS_A_STAGE = 4
"""The rounds for each stage that keep a pipeline busy (Huang et al. 2019 find it hardly waits from there on)."""

ORDERS = ("time", "memory")


@dataclass(frozen=True)
class Way:
    """A way to split: the parts of each dimension, stages and rounds, and what the worker that has most takes, and a step."""

    splits: Mapping[str, int]
    stages: int
    rounds: int
    memory: int
    multiply_adds: int
    sent: int
    computing: float
    meeting: float

    @property
    def name(self) -> str:
        """``n=2, h=4, 2 stages, 8 rounds``."""
        return way_name(self.splits, self.stages, self.rounds)

    @property
    def seconds(self) -> float:
        """Computing, then meeting: no overlap."""
        return self.computing + self.meeting


def way_name(splits: Mapping[str, int], stages: int, rounds: int) -> str:
    """What a way to split is called."""
    parts = [f"{name}={count}" for name, count in splits.items()]
    parts += [f"{count} {what}" for count, what in ((stages, "stages"), (rounds, "rounds")) if count > 1]
    return ", ".join(parts) or "none"


def ways(
    derived: DerivedGraph, workers: int, sizes: Mapping[str, int], dtype: str = "float32", optimizer: str = "sgd",
    machine: Machine | None = None, order: str = "time", rounds: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Way]:  # fmt: skip
    """Return the sensible ways to split a derivation over the batch: those in which a worker computes less than one alone would.

    ``rounds`` are those of all ways; without them, ways with several stages have `ROUNDS_A_STAGE` rounds for each, where the batch
    allows it, and the others one. They come in the order of their time or their memory. Raises UsageError where there are none, or
    for an unknown order.
    """
    if order not in ORDERS:
        raise UsageError(f"there is no order {order!r}; there are {', '.join(ORDERS)}")
    known = {**{name: size for name, size in derived.model.dimensions.items() if size is not None}, **sizes}
    alone = way_of(derived, {}, sizes, dtype, optimizer, machine)
    candidates = list(_candidates(derived, workers, known, rounds))
    found = []
    for number, (splits, stages, turns) in enumerate(candidates):
        if progress:
            progress(number, len(candidates), way_name(splits, stages, turns))
        try:
            way = way_of(derived, splits, sizes, dtype, optimizer, machine, stages, turns)
        except UsageError:  # the layers or the batch of this model cannot be divided so
            continue
        if way.multiply_adds < alone.multiply_adds or way.memory < alone.memory:
            found.append(way)
    if not found:
        raise UsageError(f"no way was found to split {derived.model.name} over {workers} workers: its sizes are {known}")
    return sorted(found, key=lambda way: (way.seconds, way.memory) if order == "time" else (way.memory, way.seconds))


def way_of(
    derived: DerivedGraph, splits: Mapping[str, int], sizes: Mapping[str, int], dtype: str = "float32",
    optimizer: str = "sgd", machine: Machine | None = None, stages: int = 1, rounds: int = 1,
) -> Way:  # fmt: skip
    """Return what one way costs."""
    costs = Costs(split_over(derived, splits, sizes, stages=stages, rounds=rounds))
    numbers = costs.numbers(sizes, dtype)
    computing, meeting = costs.seconds(numbers, machine or Machine())
    return Way(
        dict(splits), stages, rounds, costs.memory(numbers, optimizer), costs.multiply_adds(numbers), costs.sent(numbers),
        computing, meeting,
    )  # fmt: skip


def _candidates(
    derived: DerivedGraph, workers: int, known: Mapping[str, int], rounds: int | None
) -> Iterator[tuple[dict[str, int], int, int]]:
    """Splits, stages and rounds for so many workers."""
    axes = {size.name for leaf in derived.graph.declarations for size in leaf.shape if size.is_Symbol}
    names = [name for name in derived.model.dimensions if name in axes and known.get(name, 1) > 1]
    most = 1 + max(layers(derived).values(), default=0)
    for stages in (count for count in range(1, min(workers, most) + 1) if workers % count == 0):
        for splits in _distributed(workers // stages, [(name, known[name]) for name in names]):
            batch = derived.model.batch
            own = 1 if batch is None else known.get(batch, 1) // splits.get(batch, 1)
            wanted = ROUNDS_A_STAGE * stages if rounds is None and stages > 1 else rounds or 1
            turns = wanted if rounds is not None else max(k for k in range(1, wanted + 1) if own % k == 0)
            yield splits, stages, turns


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
