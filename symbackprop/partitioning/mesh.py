"""The workers: which axes are split, into how many parts, and what each worker holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from types import MappingProxyType

from symbackprop.derivation.workers import Split
from symbackprop.errors import UsageError
from symbackprop.graph.model import Model


@dataclass(frozen=True)
class Mesh:
    """Workers in a grid, an axis of it for each split; the workers are numbered with the last axis running fastest."""

    splits: tuple[Split, ...]

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return prod(split.parts for split in self.splits)

    def split(self, name: str) -> Split:
        """The split of a dimension."""
        return next(split for split in self.splits if split.name == name)

    def place(self, rank: int) -> dict[str, int]:
        """Where a worker stands in the grid, by the names of the splits."""
        places = list(product(*[range(split.parts) for split in self.splits]))
        return dict(zip([split.name for split in self.splits], places[rank], strict=True))

    def peers(self, rank: int, groups: Sequence[str]) -> list[int]:
        """The workers that stand where this one does but for the named splits, itself among them, in order."""
        own = self.place(rank)
        return [
            other for other in range(self.workers)
            if all(place == own[name] or name in groups for name, place in self.place(other).items())
        ]  # fmt: skip

    def sizes(self, rank: int, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes that hold for a worker: all of the model's, and what it holds of those that are split."""
        found = dict(sizes)
        for split in self.splits:
            start, count = block(sizes[split.name], split.parts, self.place(rank)[split.name])
            if count % split.rounds:
                raise UsageError(f"{split.name}: {count} positions of a worker cannot be worked in {split.rounds} equal rounds")
            found |= {split.held: count, split.part: count // split.rounds, split.first: start + 1}
        return found

    @property
    def in_space(self) -> Mesh:
        """The same with a worker for each round: what rounds compute, all at once."""
        return Mesh(tuple(replace(s, parts=s.parts * s.rounds, rounds=1, held=s.part) for s in self.splits))

    def refuse_empty(self, sizes: Mapping[str, int]) -> None:
        """Raise UsageError where a worker would hold nothing of a dimension."""
        for split in self.splits:
            parts = split.parts * split.rounds
            if split.name in sizes and parts > sizes[split.name]:
                shown = f"{split.name} = {sizes[split.name]} cannot be split into {parts} parts"
                raise UsageError(f"{shown}: a worker would hold nothing of it")


def block(size: int, parts: int, number: int) -> tuple[int, int]:
    """The first position and the number of positions of a part; the first parts have one more where it does not come out even."""
    count, rest = divmod(size, parts)
    return number * count + min(number, rest), count + (number < rest)


def make_mesh(
    model: Model, splits: Mapping[str, int], sizes: Mapping[str, int], rounds: Mapping[str, int] = MappingProxyType({})
) -> Mesh:
    """Return the mesh that splits these dimensions of a model, whose sizes are its defaults but for those given.

    ``rounds`` says of some of them in how many rounds they are worked.

    Raises UsageError for a dimension that the model does not have, and where a worker would hold nothing of one.
    """
    taken, made = _names(model), []
    for name, parts in splits.items():
        if name not in model.dimensions:
            raise UsageError(f"there is no dimension {name[:80]} to split; there are {', '.join(model.dimensions)}")
        if parts < 1:
            raise UsageError(f"{name}={parts}: a dimension is split into 1 part or more")
        names, turns = [], rounds.get(name, 1)
        for wish in (f"{name}_p", f"{name}_first", f"p_{name}", *([f"{name}_r"] if turns > 1 else [])):
            while wish in taken:
                wish += "p"
            taken.add(wish)
            names.append(wish)
        if parts * turns > 1:
            held, first, index = names[:3]
            made.append(Split(name, parts, names[3] if turns > 1 else held, first, index, turns, held))
    mesh = Mesh(tuple(made))
    mesh.refuse_empty({**{name: size for name, size in model.dimensions.items() if size is not None}, **sizes})
    return mesh


def _names(model: Model) -> set[str]:
    """What a model already calls by a name: a size or an index of ours is none of these."""
    tensors = {leaf.name for leaf in model.graph.declarations} | {equation.name for equation in model.graph.equations}
    return {*model.dimensions, *tensors, *(function.title for function in model.functions)}
