"""The workers that share a derivation: which dimensions are split among them, and what each holds of every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from symbackprop.graph.sizes import Size, dimension

Layout = tuple[str | None, ...]
"""For each axis of a value the name of the split whose part of it a worker holds, or None where it holds the whole."""


@dataclass(frozen=True)
class Split:
    """A dimension in parts, and each of those in rounds: a sum over it is one over the workers and over their rounds.

    ``part`` and ``first`` name the sizes of a worker's own: how many positions it works at a time, and which is its first,
    counted from 1; ``held`` names how many it holds, which is the same where it works them in one round. ``index`` is the index
    that runs over the workers (and their rounds) along it.
    """

    name: str
    parts: int
    part: str
    first: str
    index: str
    rounds: int
    held: str

    @property
    def size(self) -> Size:
        """The size of the dimension."""
        return dimension(self.name)

    @property
    def own(self) -> Size:
        """The number of positions that a worker works at a time."""
        return dimension(self.part)

    @property
    def all_rounds(self) -> Size:
        """The number of positions that a worker holds, in all rounds together."""
        return dimension(self.held)

    @property
    def start(self) -> Size:
        """The first position that a worker holds, counted from 0."""
        return dimension(self.first) - 1


@dataclass(frozen=True)
class Workers:
    """Who computes the equations of a derivation: so many workers for each split, and the layouts of tensors and values by name.

    ``apart`` are values of which each worker has one of its own, such as means over its own examples. There are as many workers
    for each of the ``stages``; ``stages_of`` says in which of them (from 0) an equation is computed, or a tensor is held.
    """

    splits: tuple[Split, ...]
    layouts: Mapping[str, Layout]
    apart: tuple[str, ...] = ()
    stages: int = 1
    stages_of: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many workers there are."""
        return self.stages * prod(split.parts for split in self.splits)

    @property
    def indices(self) -> dict[str, str]:
        """The index that runs over the workers along a split, by its name."""
        return {split.name: split.index for split in self.splits}

    @property
    def in_rounds(self) -> Split | None:
        """The split whose positions a worker works in several rounds, if there is one."""
        return next((split for split in self.splits if split.rounds > 1), None)

    @property
    def rounds(self) -> int:
        """In how many rounds a worker works what it holds."""
        return 1 if self.in_rounds is None else self.in_rounds.rounds

    def axis(self, name: str, split: Split) -> int | None:
        """The axis along which a worker holds a part of a tensor by a split, if there is one."""
        layout = self.layouts.get(name, ())
        return layout.index(split.name) if split.name in layout else None

    def held_by(self, name: str) -> tuple[Split, ...]:
        """The splits of which a worker holds but a part of a value; none where it holds the whole."""
        return tuple(split for split in self.splits if split.name in self.layouts.get(name, ()))
