"""Entries of tensors among indices, written with Python operators: ``Q[i, k] * K[j, k]``, ``X[2 * i + a]``, ``i >= j``.

An entry is the tree that the language would read, so that index equations have one meaning: that of the language. Whole
values that stand in it are carried along under names that no text can have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import sympy

from symbackprop.errors import UsageError
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.operations import Value, value
from symbackprop.graph.sizes import Size
from symbackprop.language import syntax

HERE = syntax.Position(1, 1)

Operand: TypeAlias = "Entry | Value | Node | int | float | sympy.Expr"


@dataclass(frozen=True, eq=False)
class Entry:
    """An expression among indices. ``given`` holds the values that stand in it, by the names they have there."""

    tree: syntax.Expression
    given: Mapping[str, Value] = field(default_factory=dict)

    def __add__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Sum(HERE, ((1, a), (1, b))), self, other)

    def __radd__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Sum(HERE, ((1, a), (1, b))), other, self)

    def __sub__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Sum(HERE, ((1, a), (-1, b))), self, other)

    def __rsub__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Sum(HERE, ((1, a), (-1, b))), other, self)

    def __neg__(self) -> Entry:
        return joined(lambda a: syntax.Negation(HERE, a), self)

    def __mul__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Product(HERE, (a, b), ("*",)), self, other)

    def __rmul__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Product(HERE, (a, b), ("*",)), other, self)

    def __truediv__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Product(HERE, (a, b), ("/",)), self, other)

    def __rtruediv__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Product(HERE, (a, b), ("/",)), other, self)

    def __pow__(self, exponent: Operand) -> Entry:
        return joined(lambda a, b: syntax.Power(HERE, a, b, False), self, exponent)

    def __gt__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Comparison(HERE, ">", a, b), self, other)

    def __ge__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Comparison(HERE, ">=", a, b), self, other)

    def __lt__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Comparison(HERE, "<", a, b), self, other)

    def __le__(self, other: Operand) -> Entry:
        return joined(lambda a, b: syntax.Comparison(HERE, "<=", a, b), self, other)

    def __eq__(self, other: Operand) -> Entry:  # type: ignore[override]
        return joined(lambda a, b: syntax.Comparison(HERE, "==", a, b), self, other)

    def __ne__(self, other: Operand) -> Entry:  # type: ignore[override]
        return joined(lambda a, b: syntax.Comparison(HERE, "!=", a, b), self, other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise UsageError("an entry has no truth value: where(condition, yes, no) chooses")


@dataclass(frozen=True, eq=False)
class Index(Entry):
    """An index, with its range where that is stated."""

    name: str = ""
    extent: syntax.Expression | None = None

    @property
    def declared(self) -> syntax.Index:
        """The index where it is bound: on a left side, or in the brackets of a sum."""
        return syntax.Index(HERE, self.name, self.extent)


class Tensor(Value):
    """A declared or defined tensor: a value that takes subscripts."""

    def __getitem__(self, subscripts: Operand | tuple[Operand, ...]) -> Entry:
        assert isinstance(self.node, Leaf)
        parts = subscripts if isinstance(subscripts, tuple) else (subscripts,)
        name = syntax.Name(HERE, self.node.name)
        return joined(lambda *trees: syntax.Subscript(HERE, name, trees), *parts)


def joined(build: Callable[..., syntax.Expression], *operands: Operand) -> Entry:
    """Return the entry of a tree built over the operands' trees."""
    entries = [as_entry(operand) for operand in operands]
    given = {name: value for entry in entries for name, value in entry.given.items()}
    return Entry(build(*[entry.tree for entry in entries]), given)


def as_entry(operand: Operand) -> Entry:
    """Return an operand as an entry: numbers as numbers, sizes as sizes, and whole values under a name of their own."""
    if isinstance(operand, Entry):
        return operand
    if isinstance(operand, float) and math.isinf(operand):
        return as_entry(sympy.oo if operand > 0 else -sympy.oo)
    if isinstance(operand, sympy.Symbol) and operand.is_integer:
        return Entry(syntax.Call(HERE, "size", (syntax.Name(HERE, operand.name),)))
    if isinstance(operand, int | sympy.Integer):
        number: syntax.Expression = syntax.Number(HERE, Fraction(abs(int(operand))))
        return Entry(number if operand >= 0 else syntax.Negation(HERE, number))
    if isinstance(operand, sympy.Add | sympy.Mul) and any(part.is_Symbol and part.is_integer for part in operand.args):
        result = as_entry(operand.args[0])
        for part in operand.args[1:]:
            result = result + part if operand.is_Add else result * part
        return result
    if not isinstance(operand, Value | Node | sympy.Expr):
        raise UsageError(f"{operand!r} cannot stand among entries; numbers are exact: integers, or sympy.Rational")
    whole = value(operand)
    name = f"value {whole.node.key}"
    return Entry(syntax.Name(HERE, name), {name: whole})


def extent(size: Size | int) -> syntax.Expression:
    """Return a size as the language would write it."""
    return syntax.Name(HERE, size.name) if isinstance(size, sympy.Symbol) else as_entry(size).tree
