"""The neutral form between nodes and print: what is written, not how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import sympy


@dataclass(frozen=True)
class Formula:
    """Anything that can be printed."""


@dataclass(frozen=True)
class Symbol(Formula):
    """A named value; ``rank`` decides between italic and bold, ``kind`` (that of the leaf) its place in a product."""

    name: str
    rank: int
    kind: str = "value"


@dataclass(frozen=True)
class Number(Formula):
    """A number, or an expression in sizes."""

    value: sympy.Expr


@dataclass(frozen=True)
class Sum(Formula):
    """Terms with their signs."""

    terms: tuple[tuple[int, Formula], ...]


@dataclass(frozen=True)
class Product(Formula):
    """Factors side by side: the linear-algebra product."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True)
class Hadamard(Formula):
    """Factors multiplied element by element."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True)
class Kronecker(Formula):
    """The Kronecker product of two matrices (or columns, or rows)."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True)
class Quotient(Formula):
    """A fraction with a scalar below, or (elementwise) a quotient entry by entry."""

    above: Formula
    below: Formula
    elementwise: bool = False


@dataclass(frozen=True)
class Power(Formula):
    """A power; elementwise of a tensor."""

    base: Formula
    exponent: Formula
    elementwise: bool = False


@dataclass(frozen=True)
class Transpose(Formula):
    """A transpose."""

    operand: Formula


@dataclass(frozen=True)
class Inverse(Formula):
    """A matrix inverse."""

    operand: Formula


@dataclass(frozen=True)
class Call(Formula):
    """A function applied: its printed name and arguments."""

    function: str
    arguments: tuple[Formula, ...]


@dataclass(frozen=True)
class Norm(Formula):
    """A norm: kind is "" (Euclidean), "F" or "1"."""

    operand: Formula
    kind: str = ""


@dataclass(frozen=True)
class Magnitude(Formula):
    """The absolute value."""

    operand: Formula


@dataclass(frozen=True)
class Ones(Formula):
    """The vector of ones of that size."""

    size: sympy.Expr


@dataclass(frozen=True)
class Zeros(Formula):
    """The tensor of zeros of that shape."""

    shape: tuple[sympy.Expr, ...]


@dataclass(frozen=True)
class Identity(Formula):
    """The identity matrix."""

    size: sympy.Expr


@dataclass(frozen=True)
class Entry(Formula):
    """An entry of a tensor: subscripts are index expressions, ``sizes`` are those of the tensor's axes."""

    base: Formula
    subscripts: tuple[Formula, ...]
    sizes: tuple[sympy.Expr, ...] = ()


@dataclass(frozen=True)
class Slope(Formula):
    """The local derivative of one named value by another, or of one's entry by the other's."""

    of: Formula
    by: Formula


@dataclass(frozen=True)
class Index(Formula):
    """An index."""

    letter: str


@dataclass(frozen=True)
class Over(Formula):
    """``sum``, ``max``, ``logsumexp`` or ``norm`` over indices; each index with the size it runs over."""

    kind: str
    indices: tuple[tuple[str, sympy.Expr], ...]
    body: Formula


@dataclass(frozen=True)
class Comparison(Formula):
    """left relation right; as a factor it is the 0/1 bracket."""

    left: Formula
    relation: str
    right: Formula


@dataclass(frozen=True)
class Bracket(Formula):
    """1 where the comparison holds, else 0."""

    condition: Comparison


@dataclass(frozen=True)
class Cases(Formula):
    """yes where the condition holds, else no."""

    condition: Formula
    yes: Formula
    no: Formula


@dataclass(frozen=True)
class Within(Formula):
    """1 where 0 <= operand < size, else 0."""

    operand: Formula
    size: sympy.Expr


def parts(formula: Formula) -> Iterator[Formula]:
    """Yield every formula below one, itself first."""
    pending: list[object] = [formula]
    while pending:
        part = pending.pop()
        if isinstance(part, Formula):
            yield part
            pending.extend(getattr(part, field.name) for field in reversed(fields(part)))
        elif isinstance(part, tuple):
            pending.extend(reversed(part))
