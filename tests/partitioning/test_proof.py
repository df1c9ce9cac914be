"""The workers together compute what one alone does: every built-in model, every dimension, 2, 3 and 4 workers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from symbackprop import builtin, derive
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.errors import UsageError
from symbackprop.graph.build import collective
from symbackprop.graph.nodes import Collective, Node
from symbackprop.models import builtin_names
from symbackprop.partitioning import splitting
from symbackprop.partitioning.proof import TOLERANCE, prove, sizes_for

DERIVED = {name: derive(builtin(name)).batch for name in builtin_names()}
CASES = [
    (name, dimension, parts)
    for name, derived in DERIVED.items()
    for dimension in derived.model.dimensions
    for parts in (2, 3, 4)
]


@pytest.mark.parametrize(("name", "dimension", "parts"), CASES)
def test_a_split_dimension_gives_the_same_values(name: str, dimension: str, parts: int) -> None:
    proof = prove(DERIVED[name], {dimension: parts}, seed=parts)
    assert proof.sizes[dimension] >= parts
    assert proof.worst <= TOLERANCE, proof.summary


@pytest.mark.parametrize("name", DERIVED)
def test_two_dimensions_split_at_once(name: str) -> None:
    for first, second in combinations(DERIVED[name].model.dimensions, 2):
        proof = prove(DERIVED[name], {first: 2, second: 2})
        assert proof.worst <= TOLERANCE, proof.summary


def test_inputs_get_gradients_too() -> None:
    derived = derive(builtin("mlp_classifier"), ["x", "W1", "W2"]).batch
    for dimension in derived.model.dimensions:
        assert prove(derived, {dimension: 3}).worst <= TOLERANCE


def test_a_sum_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten(kind: str, groups: list[str], operand: Node) -> Node:
        return operand if operand.rank == 2 and kind == "sum" else collective(kind, groups, operand)

    monkeypatch.setattr(splitting, "collective", forgotten)
    proof = prove(DERIVED["d2l_mlp"], {"h": 2})
    assert not proof.ok and proof.errors["o"] > 1e-3 and "FAILED" in proof.summary


def test_a_part_that_is_taken_from_the_wrong_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    own = splitting.own_part
    monkeypatch.setattr(
        splitting, "own_part", lambda node, k, split: own(node, k, split) if not isinstance(node, Collective) else node
    )
    with pytest.raises(Exception):  # noqa: B017  (the graph's own verification, before any number)
        prove(DERIVED["gaussian_likelihood"], {"d": 2})


def test_what_cannot_be_split_is_said(derived: DerivedGraph = DERIVED["d2l_mlp"]) -> None:
    with pytest.raises(UsageError, match="there is no dimension v to split; there are d, h, q, n"):
        prove(derived, {"v": 2})


def test_most_of_these_splits_are_uneven() -> None:
    uneven = [
        sizes_for(DERIVED[name], {dimension: parts}, np.random.default_rng(parts))[dimension] % parts != 0
        for name, dimension, parts in CASES
    ]
    assert sum(uneven) >= 0.9 * len(CASES)
