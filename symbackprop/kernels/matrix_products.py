"""Matrix products as NumPy: labels that a product merges become one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symbackprop.graph.sizes import Size
from symbackprop.kernels.operations import Operation

if TYPE_CHECKING:
    from symbackprop.kernels.statements import Statements


class MatrixProducts:
    """Writes the matrix products of a plan."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements

    def statement(self, operation: Operation, name: str) -> list[str]:
        """The lines of one matrix product, of stacks of matrices where there are batch labels."""
        d = operation.details
        batch, rows, contracted, columns, sizes = d["batch"], d["rows"], d["contracted"], d["columns"], d["sizes"]
        left = self._arranged(operation.operands[0], d["left"], (batch, rows, contracted), sizes)
        right = self._arranged(operation.operands[1], d["right"], (batch, contracted, columns), sizes)
        if operation.storage == "scalar":
            return [f"{name} = np.dot({left}, {right})"]
        out = self.statements.out(operation)
        if len(rows) > 1 or len(columns) > 1:
            groups = [*([label] for label in batch), *([rows] if rows else []), *([columns] if columns else [])]
            out = f"{out}.reshape({', '.join(self._count(group, sizes) for group in groups)})"
        if d["symmetric"]:
            code = f"_symmetric({left}, {right}, {out})"
        elif rows and columns:
            code = f"{'_stacked_matmul' if batch else '_matmul'}({left}, {right}, {out})"
        elif batch:
            if not rows:
                left, out = f"{left}[..., None, :]", f"{out}[..., None, :]" if columns else f"{out}[..., None]"
            if not columns:
                right, out = f"{right}[..., None]", f"{out}[..., None]"
            code = f"np.matmul({left}, {right}, out={out})"
        else:
            code = f"np.dot({left}, {right}, out={out})"
        return (
            [f"{name} = {code}"]
            if out == self.statements.out(operation)
            else [code, f"{name} = {self.statements.out(operation)}"]
        )

    def _count(self, labels: Sequence[int], sizes: Sequence[Size]) -> str:
        return " * ".join(
            f"({self.statements.numbers.size(sizes[label])})"
            if sizes[label].is_Add
            else self.statements.numbers.size(sizes[label])
            for label in labels
        )

    def _arranged(
        self, operation: Operation, labels: Sequence[int], groups: Sequence[Sequence[int]], sizes: Sequence[Size]
    ) -> str:
        wanted = [label for group in groups for label in group]
        order = [list(labels).index(label) for label in wanted]
        code = self.statements.expression(operation)
        if order != list(range(len(order))):
            code += ".T" if order == list(reversed(range(len(order)))) else f".transpose({', '.join(map(str, order))})"
        batch, *rest = groups
        if any(len(group) > 1 for group in rest):
            parts = [*([label] for label in batch), *(group for group in rest if group)]
            code += f".reshape({', '.join(self._count(group, sizes) for group in parts)})"
        return code
