"""Proof by numbers: what all workers hold together is what one alone computes, equation by equation.

The workers are simulated in one process by the slow evaluator; the kernels of the same partition are compared with the kernel
of one worker where MPI is at hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from symbackprop.checking.dimensions import Dimensions, Sizes
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.errors import UsageError
from symbackprop.graph.evaluate import Array, evaluate
from symbackprop.graph.sizes import size_value
from symbackprop.partitioning.mesh import make_mesh
from symbackprop.partitioning.parts import split_over
from symbackprop.partitioning.simulate import assembled, simulate

TOLERANCE = 1e-13
"""The largest difference, relative to the largest entry of a value or to 1."""

CHEAP = 20_000
"""Products in one node below which sizes are as good as others."""

ATTEMPTS, ENOUGH = 4000, 24
"""Choices of sizes that are tried at most, and of which so many are enough to choose from."""


@dataclass(frozen=True)
class Proof:
    """How far the workers' values are from those of one alone, by the names of the equations, at some sizes."""

    splits: Mapping[str, int]
    rounds: int
    sizes: Sizes
    errors: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The largest error."""
        return max(self.errors.values())

    @property
    def ok(self) -> bool:
        """Whether all of them agree."""
        return self.worst <= TOLERANCE

    @property
    def summary(self) -> str:
        """One line for a person."""
        parts = [f"{name}={parts}" for name, parts in self.splits.items()]
        shown = ", ".join([*parts, *([f"{self.rounds} rounds"] if self.rounds > 1 else [])]) or "nothing"
        sizes = " ".join(f"{name}={size}" for name, size in self.sizes.items())
        verdict = "ok" if self.ok else "FAILED"
        return (
            f"split {shown}: {len(self.errors)} values of all workers together against one worker, worst difference "
            f"{self.worst:.1e} (at {sizes}): {verdict}"
        )


    def json(self) -> str:
        """The proof for programs."""
        found = {"splits": self.splits, "rounds": self.rounds, "sizes": self.sizes, "errors": self.errors, "ok": self.ok}
        return json.dumps(found, ensure_ascii=False)


def prove(derived: DerivedGraph, splits: Mapping[str, int], seed: int = 0, rounds: int = 1) -> Proof:
    """Compare a partition of a derivation over the batch with the whole at random sizes, uneven ones if they can be had.

    With ``rounds``, the batch is worked in so many parts by each worker; stages change no value.

    Raises UsageError where no sizes are found at which every worker holds something.
    """
    rng = np.random.default_rng(seed)
    make_mesh(derived.model, splits, splits)
    enough = {name: rounds * splits.get(name, 1) for name in {**splits, derived.model.batch or "": 1}}
    virtual = split_over(derived, splits, enough, rounds=rounds).mesh.in_space
    sizes = sizes_for(derived, {split.name: split.parts for split in virtual.splits}, rng)
    values: dict[str, Array] = {}
    for declaration in derived.graph.declarations:
        shape = tuple(size_value(size, sizes) for size in declaration.shape)
        if declaration.classes is not None:
            values[declaration.name] = rng.integers(0, size_value(declaration.classes, sizes), shape)
        else:
            signs = 1 if declaration.kind == "hyper" else rng.choice([-1, 1], shape)
            values[declaration.name] = signs * rng.uniform(0.25, 1, shape)
    whole = evaluate(derived.graph, values, sizes)
    partition = split_over(derived, splits, sizes, rounds=rounds)
    parts = simulate(partition, values, sizes)
    errors = {
        name: difference(assembled([part[name] for part in parts], partition.layouts[name], virtual), value)
        for name, value in whole.items()
    }
    return Proof(splits, rounds, sizes, errors)


def difference(found: Array, wanted: Array) -> float:
    """The largest difference of two arrays, relative to the largest entry or to 1; infinite where they differ in shape or kind."""
    if found.shape != wanted.shape:
        return np.inf
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return np.inf
    scale = max(1.0, float(np.max(np.abs(wanted[finite]), initial=0)))
    return float(np.max(np.abs(found[finite] - wanted[finite]), initial=0)) / scale


def sizes_for(derived: DerivedGraph, splits: Mapping[str, int], rng: np.random.Generator) -> Sizes:
    """Sizes that the equations allow, the split ones a little larger than their parts: of those found, uneven and cheap ones."""
    dimensions = Dimensions(derived.model, derived.graph)
    found: list[tuple[int, int, int, Sizes]] = []
    for attempt in range(ATTEMPTS):
        widest = 4 + attempt // 20
        sizes = {
            name: int(rng.integers(splits[name], splits[name] + 2 + attempt // 40) if name in splits else rng.integers(1, widest))
            for name in dimensions.names
        }
        if dimensions.allows(sizes):
            even = sum(sizes[name] % parts == 0 for name, parts in splits.items())
            ones = sum(size == 1 for size in sizes.values())  # they hide mistakes
            found.append((max(dimensions.cost(sizes), CHEAP), even, ones, sizes))
            if len(found) == ENOUGH:
                break
    if not found:
        shown = ", ".join(f"{name}={parts}" for name, parts in splits.items())
        raise UsageError(f"no sizes were found at which {shown} leaves every worker something")
    return min(found, key=lambda choice: choice[:3])[3]
