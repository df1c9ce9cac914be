"""SymPy's matrix expressions as nodes of the graph, through the operators that the language uses too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.dotproduct import DotProduct
from sympy.matrices.expressions.matexpr import MatrixExpr

from symbackprop.algebra.indexed_lowering import IndexLowering
from symbackprop.algebra.subscripts import Environment
from symbackprop.algebra.symbols import Cofactor
from symbackprop.errors import UsageError
from symbackprop.graph import operations as op
from symbackprop.graph.build import Factor, matrix_function
from symbackprop.graph.nodes import Node
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import Shape, Size


class Lowering(IndexLowering):
    """Lowers expressions over declared symbols; matrices here, scalars and indices in the base class."""

    def value(self, expression: Any) -> Value:
        """Return a matrix or scalar expression as a value: a column, a row, a matrix or a scalar."""
        if not isinstance(expression, MatrixExpr):
            node, _ = self.scalar(expression, Environment())
            return Value(node)
        rule = next((_RULES[kind] for kind in type(expression).__mro__ if kind in _RULES), None)
        if rule is None:
            raise UsageError(f"{type(expression).__name__} is not understood: {expression}")
        return rule(self, expression)

    def whole(self, expression: Any) -> tuple[Node, bool]:
        """Return a right side of matrix algebra, and whether it is a row."""
        if not isinstance(expression, sympy.Expr):
            raise UsageError(f"{type(expression).__name__} is not understood: {expression}")
        lowered = self.value(expression)
        return lowered.node, lowered.row

    def entries(self, indices: Sequence[Any], shape: Shape, expression: Any) -> tuple[Node, bool]:
        """Return the tensor whose entry at the indices is an expression."""
        return self.tensor_of(indices, shape, expression, Environment()), False

    def matrix(self, expression: Any) -> Value:
        """Return the value of a matrix under a trace, a determinant or a subscript."""
        return self.value(expression)

    def symbol(self, symbol: Any) -> Value:
        """Return a declared or defined matrix."""
        leaf = self.tensor(symbol)
        return Value(leaf, symbol in self.rows)

    def shape(self, matrix: Any) -> tuple[Shape, bool]:
        """Return the shape as a tensor, and whether it is a row."""
        rows, columns = (self.size(size) for size in matrix.shape)
        if columns == 1:
            return ((rows,) if rows != 1 else ()), False
        return ((rows, columns), False) if rows != 1 else ((columns,), True)

    def filled(self, number: int, matrix: Any) -> Value:
        """Return a matrix of zeros or ones."""
        shape, row = self.shape(matrix)
        return Value(op.filled(number, *shape).node, row)

    def identity(self, matrix: Any) -> Value:
        """Return an identity matrix."""
        size: Size = self.size(matrix.rows)
        return op.value(1) if size == 1 else op.identity(size)

    def power(self, expression: Any) -> Value:
        """Return a whole power of a square matrix."""
        base, exponent = self.value(expression.base), expression.exp
        if not exponent.is_Integer or exponent == 0:
            raise UsageError(f"{expression}: the power of a matrix is a whole number other than 0")
        return op.power(op.inverse(base) if exponent < 0 else base, abs(exponent))

    def applied(self, expression: Any) -> Value:
        """Return a scalar function of every entry."""
        (variable,) = expression.function.variables
        operand = self.value(expression.expr)
        labels = tuple(self.new_label(size) for size in operand.shape)
        factor: Factor = (operand.node, labels)
        lowered = self.scalar(expression.function.expr, Environment(values={variable: factor}))
        return Value(self.aligned(lowered, labels), operand.row)

    def by_indices(self, expression: Any) -> Value:
        """Return a matrix by the function of its indices."""
        rows, columns = expression.shape
        shape, row = self.shape(expression)
        first, second = expression.lamda.variables
        body = expression.lamda.expr
        if columns == 1:
            body, indices = body.xreplace({second: sympy.S.Zero}), [first]
        elif rows == 1:
            body, indices = body.xreplace({first: sympy.S.Zero}), [second]
        else:
            indices = [first, second]
        if not shape:
            return self.value(body.xreplace({first: sympy.S.Zero}))
        return Value(self.tensor_of(indices, shape, body, Environment()), row)

    def folded(self, operation: Callable[[Value, Value], Value], parts: Sequence[Any]) -> Value:
        """Return an operation on several operands, from the left."""
        result = self.value(parts[0])
        for part in parts[1:]:
            result = operation(result, self.value(part))
        return result


def _column(lowered: Value) -> Value:
    return Value(lowered.node) if lowered.row else lowered


_RULES: dict[Any, Callable[[Lowering, Any], Value]] = {
    sympy.MatrixSymbol: Lowering.symbol,
    sympy.MatMul: lambda w, e: w.folded(op.product, e.args),
    sympy.MatAdd: lambda w, e: op.total([(1, w.value(part)) for part in e.args]),
    sympy.Inverse: lambda w, e: op.inverse(w.value(e.arg)),
    sympy.MatPow: Lowering.power,
    sympy.Transpose: lambda w, e: op.transpose(w.value(e.arg)),
    sympy.HadamardProduct: lambda w, e: w.folded(op.times, e.args),
    sympy.HadamardPower: lambda w, e: w.folded(op.elementwise_power, e.args),
    ElementwiseApplyFunction: Lowering.applied,
    sympy.FunctionMatrix: Lowering.by_indices,
    sympy.OneMatrix: lambda w, e: w.filled(1, e),
    sympy.ZeroMatrix: lambda w, e: w.filled(0, e),
    sympy.Identity: Lowering.identity,
    sympy.DiagMatrix: lambda w, e: op.diagonal(_column(w.value(e.args[0]))),
    DiagonalOf: lambda w, e: op.diagonal(w.value(e.arg)),
    DiagonalMatrix: lambda w, e: op.times(w.value(e.arg), op.identity(w.size(e.rows))),
    DotProduct: lambda w, e: op.product(op.transpose(_column(w.value(e.args[0]))), _column(w.value(e.args[1]))),
    Cofactor: lambda w, e: Value(matrix_function("cofactor", w.value(e.args[0]).node)),
}
