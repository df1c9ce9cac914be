"""Names of derived values. A user's name never contains these characters, so no derived name can capture one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Adjoint:
    """The name of a gradient: of a scalar ``of`` by ``by``."""

    of: str
    by: str


@dataclass(frozen=True)
class Tangent:
    """The name of a directional derivative of ``of``."""

    of: str


@dataclass(frozen=True)
class Cotangent:
    """The name of a given cotangent of ``of``."""

    of: str


@dataclass(frozen=True)
class Pairing:
    """The name of the scalar <G, y> of a value ``of`` with its given cotangent: what a vector-Jacobian product differentiates."""

    of: str


@dataclass(frozen=True)
class Quadratic:
    """The name of half the second derivative, along the direction, of a model of the objective ``of`` (Gauss-Newton, Fisher)."""

    of: str


@dataclass(frozen=True)
class DataTerm:
    """The name of the part of the objective ``of`` that depends on the data, where its author gave it none."""

    of: str


@dataclass(frozen=True)
class Diagonal:
    """The name of the diagonal of a block ``of`` second derivatives."""

    of: str


Meaning: TypeAlias = str | Adjoint | Tangent | Cotangent | Pairing | Quadratic | DataTerm | Diagonal


def adjoint_name(of: str, by: str) -> str:
    """``∂J/∂z``; derived names inside it stand in parentheses."""
    return f"∂{_atom(of)}/∂{_atom(by)}"


def tangent_name(of: str) -> str:
    """``D[z]``, printed as a z with a dot."""
    return f"D[{of}]"


def cotangent_name(of: str) -> str:
    """``G[y]``: the open cotangent of a model without an objective."""
    return f"G[{of}]"


def pairing_name(of: str) -> str:
    """``⟨G, y⟩``: the inner product of a value with its open cotangent, whose gradients a vector-Jacobian product gives."""
    return f"⟨G, {of}⟩"


def quadratic_name(of: str) -> str:
    """``Q[J]``: what a Gauss-Newton or Fisher product is the gradient of, by the direction."""
    return f"Q[{of}]"


def data_term_name(of: str) -> str:
    """``ℓ[J]``: the part of the objective that depends on the data."""
    return f"ℓ[{of}]"


def diagonal_name(of: str) -> str:
    """``diag[∂(∂J/∂W)/∂W]``: the diagonal of a block, in the shape of its tensor."""
    return f"diag[{of}]"


def without_tangents(name: str) -> tuple[str, int]:
    """Return the name that a tangent is of, at the bottom, and how many tangents were taken."""
    count = 0
    while isinstance(meaning := parse_name(name), Tangent):
        name, count = meaning.of, count + 1
    return name, count


def with_tangents(name: str, count: int) -> str:
    """Return the name of the tangent's tangent, and so on, ``count`` times."""
    for _ in range(count):
        name = tangent_name(name)
    return name


def _atom(name: str) -> str:
    return f"({name})" if "/" in name else name


def parse_name(name: str) -> Meaning:
    """Return the structure of a derived name, or the name itself."""
    if name.startswith("D[") and name.endswith("]"):
        return Tangent(name[2:-1])
    if name.startswith("G[") and name.endswith("]"):
        return Cotangent(name[2:-1])
    if name.startswith("Q[") and name.endswith("]"):
        return Quadratic(name[2:-1])
    if name.startswith("diag[") and name.endswith("]"):
        return Diagonal(name[5:-1])
    if name.startswith("ℓ[") and name.endswith("]"):
        return DataTerm(name[2:-1])
    if name.startswith("⟨G, ") and name.endswith("⟩"):
        return Pairing(name[4:-1])
    if name.startswith("∂"):
        depth = 0
        for position, character in enumerate(name):
            depth += character in "(["
            depth -= character in ")]"
            if character == "/" and depth == 0:
                return Adjoint(_bare(name[1:position]), _bare(name[position + 2 :]))
    return name


def as_printed(name: str) -> Meaning:
    """Return the structure of a name as it is printed: the tangent of ∂J/∂z is ∂J̇/∂z, the derivative of J̇ by z.

    (The derivative of the directional derivative is the directional derivative of the derivative.)
    """
    inner, count = without_tangents(name)
    meaning = parse_name(inner)
    if count and isinstance(meaning, Adjoint):
        return Adjoint(with_tangents(meaning.of, count), meaning.by)
    return parse_name(name)


def _bare(name: str) -> str:
    return name[1:-1] if name.startswith("(") else name
