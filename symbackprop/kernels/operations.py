"""The operations a kernel is made of: one NumPy statement each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sympy

from symbackprop.graph.sizes import Shape, Size


@dataclass(eq=False, repr=False)
class Operation:
    """One step. ``kind`` names the statement (see `statements`), ``details`` what it needs beside its operands.

    shape is symbolic; storage says what holds the result: ``given`` (a parameter or input), ``scalar`` (a Python or NumPy
    scalar), ``view`` (shares its operand's memory), ``buffer`` (an array of the workspace), ``constant`` (an array that
    depends on sizes alone, made with the workspace) or ``fresh`` (an array that NumPy allocates at each call: inverses,
    factorisations). dtype is ``float`` (that of the workspace), ``bool`` or ``int`` (classes and positions).
    """

    kind: str
    operands: tuple[Operation, ...]
    shape: Shape
    storage: str
    details: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    equation: str = ""
    dtype: str = "float"

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name or self.equation} {self.shape} {self.storage}>"

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def base(self) -> Operation:
        """The operation whose memory this one's value lies in: itself, or what it is a view of."""
        operation = self
        while operation.storage == "view":
            operation = operation.operands[0]
        return operation


def expressions_of(operation: Operation) -> Iterator[Size]:
    """The expressions in an operation's shape and details."""
    yield from operation.shape
    yield from _within(operation.details.values())


def _within(values: Iterable[Any]) -> Iterator[Size]:
    for value in values:
        if isinstance(value, sympy.Expr):
            yield value
        elif isinstance(value, tuple):
            yield from _within(value)
