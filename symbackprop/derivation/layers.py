"""The layers of a model, as its parameters enter."""

from __future__ import annotations

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.names import Adjoint, parse_name


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


def homes(derived: DerivedGraph) -> dict[str, int]:
    """The layer of every equation, and of every declared tensor that of the first forward equation that reads it.

    A derivative belongs to the layer of what it is by.
    """
    found = layers(derived)
    for equation in derived.forward:
        for name in derived.graph.influences[equation.name]:
            found.setdefault(name, found[equation.name])
    for equation in derived.equations[len(derived.forward) :]:
        meaning = parse_name(equation.name)
        found[equation.name] = found.get(meaning.by, 0) if isinstance(meaning, Adjoint) else 0
    return found
