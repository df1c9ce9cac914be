"""The layers of a model, as its parameters enter."""

from __future__ import annotations

from symbackprop.derivation.derived import DerivedGraph


def layers(derived: DerivedGraph) -> dict[str, int]:
    """The layer of each forward equation: a new one begins where a parameter enters that no equation before it reads."""
    parameters, seen, number = set(derived.model.parameters), set[str](), 0
    found: dict[str, int] = {}
    for equation in derived.forward:
        entering = (derived.graph.influences[equation.name] & parameters) - seen
        if entering and seen:
            number += 1
        seen |= entering
        found[equation.name] = number
    return found
