"""The operations a kernel is made of: one NumPy statement each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy

from symbackprop.graph.sizes import Shape


@dataclass(eq=False)
class Operation:
    """One step. ``kind`` names the statement (see `statements`), ``details`` what it needs beside its operands.

    shape is symbolic; storage says what holds the result: ``given`` (a parameter or input), ``scalar`` (a Python or NumPy
    scalar), ``view`` (shares its operand's memory), ``buffer`` (an array of the workspace) or ``constant`` (an array that
    depends on sizes alone, made with the workspace).
    """

    kind: str
    operands: tuple[Operation, ...]
    shape: Shape
    storage: str
    details: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    equation: str = ""
    dtype: str = "float"

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)


@dataclass(frozen=True)
class Scalar:
    """A scalar expression in sizes and numbers, known before any array is."""

    value: sympy.Expr
