"""Names of derived values. A user's name never contains these characters, so no derived name can capture one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class Adjoint:
    """The gradient of a scalar ``of`` by ``by``; derived names inside its name stand in parentheses."""

    of: str
    by: str

    @property
    def name(self) -> str:
        """``∂J/∂z``."""
        return f"∂{_atom(self.of)}/∂{_atom(self.by)}"


@dataclass(frozen=True)
class OfOne:
    """What is derived of one value ``of``, whose name stands between a prefix and a suffix."""

    of: str
    prefix: ClassVar[str]
    suffix: ClassVar[str] = "]"

    @property
    def name(self) -> str:
        """The name of the derived value."""
        return f"{self.prefix}{self.of}{self.suffix}"


class Tangent(OfOne):
    """The directional derivative, printed as a z with a dot."""

    prefix = "D["


class Cotangent(OfOne):
    """The open cotangent of a value of a model without an objective."""

    prefix = "G["


class Pairing(OfOne):
    """The scalar <G, y> of a value with its open cotangent: what a vector-Jacobian product differentiates."""

    prefix, suffix = "⟨G, ", "⟩"


class Quadratic(OfOne):
    """Half the second derivative of a model of the objective along the direction (Gauss-Newton, Fisher)."""

    prefix = "Q["


class DataTerm(OfOne):
    """The part of the objective that depends on the data, where its author gave it no name."""

    prefix = "ℓ["


class Diagonal(OfOne):
    """The diagonal of a block of second derivatives, in the shape of its tensor."""

    prefix = "diag["


Meaning: TypeAlias = str | Adjoint | OfOne


def without_tangents(name: str) -> tuple[str, int]:
    """Return the name that a tangent is of, at the bottom, and how many tangents were taken."""
    count = 0
    while isinstance(meaning := parse_name(name), Tangent):
        name, count = meaning.of, count + 1
    return name, count


def with_tangents(name: str, count: int) -> str:
    """Return the name of the tangent's tangent, and so on, ``count`` times."""
    for _ in range(count):
        name = Tangent(name).name
    return name


def _atom(name: str) -> str:
    return f"({name})" if "/" in name else name


def parse_name(name: str) -> Meaning:
    """Return the structure of a derived name, or the name itself."""
    for kind in OfOne.__subclasses__():
        if name.startswith(kind.prefix) and name.endswith(kind.suffix):
            return kind(name[len(kind.prefix) : -len(kind.suffix)])
    if name.startswith("∂"):
        depth = 0
        for position, character in enumerate(name):
            depth += character in "(["
            depth -= character in ")]"
            if character == "/" and depth == 0:
                return Adjoint(_bare(name[1:position]), _bare(name[position + 2 :]))
    return name


def mentions(name: str, kind: type[OfOne]) -> bool:
    """Tell whether a derived name is one of a kind, or is made of one."""
    meaning = parse_name(name)
    if isinstance(meaning, str):
        return False
    inner = (meaning.of, meaning.by) if isinstance(meaning, Adjoint) else (meaning.of,)
    return isinstance(meaning, kind) or any(mentions(part, kind) for part in inner)


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
