"""A right-hand side as a SymPy expression."""

from __future__ import annotations

from itertools import count
from typing import Any

import sympy
from sympy.matrices.exceptions import ShapeError as SympyShapeError

from symbackprop.algebra.index_form import IndexForm, flat_factors, matrix_function_form
from symbackprop.algebra.matrix_forms import NoMatrixFormError, apply, filled, product, total, transposed
from symbackprop.algebra.network import Network
from symbackprop.algebra.pointwise_form import pointwise_form
from symbackprop.algebra.symbols import tensor_symbol
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import (
    Contraction,
    Indicator,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    axis,
)
from symbackprop.graph.walk import topological


def to_sympy(node: Node, graph: Graph) -> Any:
    """Return an expression of the graph in SymPy, with the value that the kernel computes.

    A scalar is a SymPy scalar, a vector an n×1 and a matrix an m×n matrix expression: MatrixSymbol, MatMul,
    Transpose, HadamardProduct, applyfunc and so on, and a FunctionMatrix of Sum, Piecewise and KroneckerDelta
    where matrix algebra has no words. A tensor of three and more axes is a Lambda of its indices, each an Idx
    that carries its range. The names in the expression are those of the graph, sizes are its dimensions
    (positive integer symbols); `Cofactor`, `IndexMax` and `IndexSum` are of `symbackprop.algebra`.
    """
    taken = {*graph.declared, *graph.by_name}
    for reference in [*graph.declarations, *[equation.reference for equation in graph.equations], node]:
        for size in reference.shape:
            taken |= {symbol.name for symbol in size.free_symbols}
    return _with_names(_Exporter(_fresh("u", taken)).write(node), taken)


class _Exporter:
    def __init__(self, variable: str) -> None:
        self._variable = sympy.Symbol(variable)
        self._matrices: dict[Node, Any] = {}
        self._indexed = IndexForm(self._matrix)

    def write(self, node: Node) -> Any:
        return self._matrix(node) if node.rank <= 2 else self._indexed.function(node)

    def _matrix(self, root: Node) -> Any:
        """Return the matrix form of a node, or None where it has more than two axes."""
        for node in topological([root]):
            if node not in self._matrices:
                self._matrices[node] = self._form(node) if node.rank <= 2 else None
        return self._matrices[root]

    def _form(self, node: Node) -> Any:
        try:
            return self._rule(node)
        except (NoMatrixFormError, SympyShapeError):  # SymPy takes sizes of different names to be different
            return self._indexed.function_matrix(node) if node.rank else self._indexed.entry(node)

    def _rule(self, node: Node) -> Any:
        if isinstance(node, Leaf):
            return tensor_symbol(node)
        if isinstance(node, Indicator):
            if node.condition == axis(0) - axis(1) and node.shape[0] == node.shape[-1]:
                return sympy.Identity(node.shape[0])
            raise NoMatrixFormError
        if any(self._matrices[operand] is None for operand in node.operands):
            raise NoMatrixFormError
        operands = [
            (self._matrices[operand], labels) for operand, labels in zip(node.operands, node.labels, strict=True)
        ]
        if isinstance(node, Pointwise):
            return pointwise_form(node, operands, self._variable)
        if isinstance(node, Contraction):
            if any(isinstance(factor, Indicator) for factor, _ in flat_factors(node)[1]):
                raise NoMatrixFormError  # a lookup or a window reads better with indices
            network = Network(operands, dict(enumerate(node.label_sizes)))
            network.eliminate(range(node.rank, len(node.label_sizes)))
            return network.result(node.rank)
        if isinstance(node, Reduction):
            return self._reduction(node, *operands[0])
        if isinstance(node, MatrixFunction):
            return matrix_function_form(node.kind, operands[0][0])
        raise NoMatrixFormError

    def _reduction(self, node: Reduction, operand: Any, labels: tuple[int, ...]) -> Any:
        """log of the sum of exponentials, root of the sum of squares."""
        if node.kind == "max" or len(set(labels)) < len(labels):
            raise NoMatrixFormError
        u = self._variable
        if node.kind == "logsumexp":
            parts, outer = apply(u, sympy.exp(u), operand), sympy.log
        else:
            parts, outer = sympy.HadamardPower(operand, 2), sympy.sqrt
        if node.rank == 0:
            return outer(total(parts))
        if node.rank != 1 or len(labels) != 2:
            raise NoMatrixFormError
        rows = parts if labels[0] == 0 else transposed(parts)
        sums = product([rows, filled(1, node.summed[0], 1)])
        return apply(u, outer(u), sums)


def _fresh(name: str, taken: set[str]) -> str:
    return next(name + "_" * k for k in count() if name + "_" * k not in taken)


def _with_names(expression: Any, taken: set[str]) -> Any:
    """Name the indices i, j, k, ... in their order of appearance."""
    found: list[Any] = []
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, sympy.Idx) and part not in found:
            found.append(part)
    letters = (letter + str(number or "") for number in count() for letter in "ijklmnrst")
    names = (name for name in letters if name not in taken)
    return expression.xreplace(
        {index: sympy.Idx(sympy.Symbol(next(names), integer=True), (index.lower, index.upper)) for index in found}
    )
