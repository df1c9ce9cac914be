"""Arrays that depend on sizes alone, and index conditions, as Python."""

from __future__ import annotations

from collections.abc import Callable

import sympy

from symbackprop.graph.nodes import argument, axis
from symbackprop.kernels.numbers import Numbers
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.variables import Variables


class Constants:
    """Writes what a workspace holds beside its buffers. ``expression`` writes an operand of a condition."""

    def __init__(self, numbers: Numbers, variables: Variables, expression: Callable[[Operation], str]) -> None:
        self.numbers, self.variables, self.expression = numbers, variables, expression

    def indicator(self, operation: Operation) -> str:
        """The condition as an array of 0 and 1."""
        rank = operation.rank
        values: dict[sympy.Symbol, str] = {}
        for k, size in enumerate(operation.shape):
            places = ", ".join(":" if j == k else "None" for j in range(rank))
            values[axis(k)] = f"np.arange({self.numbers.size(size)})" + (f"[{places}]" if rank > 1 else "")
        for k, operand in enumerate(operation.operands):
            values[argument(k)] = self.expression(operand)
        code = self._affine(operation.details["condition"], values)
        shape = ", ".join(self.numbers.size(size) for size in operation.shape)
        return f"np.broadcast_to({code} {operation.details['relation']} 0, ({shape},))"

    def _affine(self, expression: sympy.Expr, values: dict[sympy.Symbol, str]) -> str:
        terms = []
        for term in sorted(sympy.Add.make_args(expression), key=str):
            found = [symbol for symbol in sorted(term.free_symbols, key=str) if symbol in values]
            if not found:
                terms.append(f"({self.numbers.size(term)})")
                continue
            coefficient = term.coeff(found[0])
            terms.append(
                values[found[0]] if coefficient == 1 else f"({self.numbers.size(coefficient)}) * {values[found[0]]}"
            )
        return "(" + " + ".join(terms) + ")"

    def constant(self, operation: Operation, owner: str) -> str:
        """An array that depends on sizes alone, for the workspace that the code calls ``owner``."""
        shape = ", ".join(self.numbers.size(size) for size in operation.shape)
        if operation.kind == "fill":
            return f"np.full(({shape},), {self.numbers.number(operation.details['value'])}, dtype)"
        if operation.kind == "zero_row":
            return f"np.zeros({shape} if {shape} >= 32 else (), dtype)"
        if operation.kind == "row_starts":
            count = self.numbers.size(operation.details["count"])
            rows = [self.numbers.size(size) for size in operation.shape]
            return f"({count}) * np.arange({' * '.join(f'({size})' for size in rows)}).reshape({', '.join(rows)})"
        if operation.kind == "places":
            return self._places(operation)
        if operation.kind == "limit":
            number = "np.inf" if operation.details["number"] is sympy.oo else "-np.inf"
            choices = (number, "np.nan") if operation.details["where"] else ("np.nan", number)
            return f"np.where({owner}.{self.variables.of(operation.operands[0])}, {', '.join(choices)}).astype(dtype)"
        if operation.kind == "logical_not":
            return f"~{owner}.{self.variables.of(operation.operands[0].base)}"
        if operation.kind == "coordinate":
            return f"np.arange({shape}).astype(dtype)"
        return self.indicator(operation)

    def _places(self, operation: Operation) -> str:
        steps = ", ".join(
            f"(({', '.join(map(self.numbers.size, coefficients))},), {self.numbers.size(offset)})"
            for coefficients, offset in operation.details["steps"]
        )
        source, target = (", ".join(map(self.numbers.size, operation.details[key])) for key in ("source", "target"))
        return f"_places(({steps},), ({source},), ({target},))"
