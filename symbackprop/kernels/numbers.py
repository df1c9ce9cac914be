"""Sizes and numbers as Python."""

from __future__ import annotations

import sympy

from symbackprop.graph.sizes import Size
from symbackprop.kernels.identifiers import Identifiers


class Numbers:
    """Writes sizes (whole numbers) and numbers (floats), in the identifiers of a module."""

    def __init__(self, names: Identifiers) -> None:
        self.names = names

    def size(self, size: Size) -> str:
        """A size, a whole number, as Python."""
        if size.is_Integer:
            return str(size)
        if size.is_Symbol:
            return self.names.size(size.name)
        if isinstance(size, sympy.floor):
            above, below = sympy.fraction(sympy.together(size.args[0]))
            return f"({self.size(above)}) // ({self.size(below)})"
        if isinstance(size, sympy.Min | sympy.Max):
            inner = ", ".join(self.size(part) for part in sorted(size.args, key=str))
            return f"{'min' if isinstance(size, sympy.Min) else 'max'}({inner})"
        if size.is_Add:
            return " + ".join(
                self.size(part)
                for part in sorted(size.args, key=lambda p: (p.is_number, p.could_extract_minus_sign(), str(p)))
            ).replace("+ -", "- ")
        if size.is_Mul:
            above, below = sympy.fraction(size)
            if below != 1:
                return f"({self.size(above)}) // ({self.size(below)})"
            if size.could_extract_minus_sign():
                return f"-{self.size(-size)}" if not (-size).is_Add else f"-({self.size(-size)})"
            return " * ".join(f"({self.size(part)})" if part.is_Add else self.size(part) for part in size.args)
        if size.is_Pow:
            return f"({self.size(size.base)}) ** {self.size(size.exp)}"
        raise TypeError(f"no code for the size {size}")

    def number(self, value: sympy.Expr) -> str:
        """A number or an expression in sizes, as a Python float."""
        if value.is_Integer:
            return f"{value}.0" if abs(value) < 10**15 else repr(float(value))
        if value.is_Rational:
            return repr(float(value))
        if value is sympy.oo or value is sympy.S.NegativeInfinity:
            return "math.inf" if value is sympy.oo else "-math.inf"
        if value.is_number:
            return repr(float(value))
        if value.is_Symbol:
            return self.names.size(value.name)
        if value.is_Add:
            return "(" + " + ".join(self.number(part) for part in sorted(value.args, key=str)) + ")"
        if value.is_Mul:
            above, below = sympy.fraction(value)
            if below != 1:
                return f"({self.number(above)} / {self.number(below)})"
            return "(" + " * ".join(self.number(part) for part in sorted(value.args, key=str)) + ")"
        if value.is_Pow:
            if value.exp == sympy.Rational(1, 2):
                return f"math.sqrt({self.number(value.base)})"
            if value.exp.could_extract_minus_sign():
                return f"(1.0 / {self.number(1 / value)})"
            return f"({self.number(value.base)} ** {self.number(value.exp)})"
        if isinstance(value, sympy.floor | sympy.Min | sympy.Max):
            return self.size(value)
        return f"math.{value.func.__name__}({', '.join(self.number(part) for part in value.args)})"
