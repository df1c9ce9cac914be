"""The numbers of an exported expression: a slow, obvious walker over SymPy's matrix and index expressions.

It shares nothing with the evaluator of the graph: an index is a number, a sum is a loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagonalOf
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr

from symbackprop.algebra.symbols import Cofactor, IndexMax
from symbackprop.errors import SizeError, UsageError
from symbackprop.graph.sizes import is_dimension

Array = np.ndarray[Any, Any]
Environment = dict[Any, Any]


def evaluate_sympy(expression: Any, values: Mapping[str, Any], sizes: Mapping[str, int]) -> Array:
    """Return the value of an expression made by `to_sympy`, in double precision, in the tensor's own shape.

    ``values`` holds the tensors by name (vectors with one axis, integer tensors as integers), and NumPy
    functions for open functions; ``sizes`` holds the dimensions. Raises UsageError for an unknown name or
    kind of expression.
    """
    walker = _Walker(values, sizes)
    with np.errstate(all="ignore"):
        if isinstance(expression, sympy.Lambda):
            indices = expression.variables
            ranges = [walker.range_of(index.lower, index.upper, {}) for index in indices]
            entries = [
                walker.value(expression.expr, dict(zip(indices, place, strict=True))) for place in product(*ranges)
            ]
            return np.array(entries, dtype=np.float64).reshape([len(numbers) for numbers in ranges])
        result = np.array(walker.value(expression, {}), dtype=np.float64)
        return result[:, 0] if isinstance(expression, MatrixExpr) and expression.shape[1] == 1 else result


class _Walker:
    def __init__(self, values: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        self._values, self._sizes = values, sizes
        self._constant: dict[Any, Any] = {}

    def value(self, expression: Any, env: Environment) -> Any:
        """Return a number, or an array of two axes for a matrix; ``env`` holds what is bound."""
        if expression in env:
            return env[expression]
        if not env and expression in self._constant:
            return self._constant[expression]
        rule = next((_RULES[kind] for kind in type(expression).__mro__ if kind in _RULES), None)
        if rule is None:
            raise UsageError(f"{type(expression).__name__} has no value here")
        result = rule(self, expression, env)
        if not env:
            self._constant[expression] = result
        return result

    def integer(self, expression: Any, env: Environment) -> int:
        """The value of an index or a size."""
        return round(float(self.value(expression, env)))

    def range_of(self, low: Any, high: Any, env: Environment) -> range:
        """The numbers an index takes."""
        return range(self.integer(low, env), self.integer(high, env) + 1)

    def symbol(self, symbol: Any, env: Environment) -> Any:
        if is_dimension(symbol):
            if symbol.name not in self._sizes:
                raise SizeError(f"no size is given for {symbol.name}")
            return np.float64(self._sizes[symbol.name])
        return np.float64(self.tensor(symbol.name))

    def tensor(self, name: str) -> Any:
        if name not in self._values:
            raise UsageError(f"no value is given for {name}")
        return self._values[name]

    def matrix_symbol(self, symbol: Any, env: Environment) -> Array:
        array = np.asarray(self.tensor(symbol.name), dtype=np.float64)
        return array.reshape(-1, 1) if array.ndim == 1 else array

    def indexed(self, entry: Any, env: Environment) -> Any:
        array = np.asarray(self.tensor(str(entry.base.label.name)), dtype=np.float64)
        return array[tuple(self.integer(index, env) for index in entry.indices)]

    def element(self, entry: Any, env: Environment) -> Any:
        return self.value(entry.parent, env)[self.integer(entry.i, env), self.integer(entry.j, env)]

    def looped(self, expression: Any, env: Environment) -> Iterator[Any]:
        """The values of what stands under a Sum or an IndexMax."""
        indices = [limit[0] for limit in expression.limits]
        ranges = [self.range_of(low, high, env) for _, low, high in expression.limits]
        for place in product(*ranges):
            yield self.value(expression.function, {**env, **dict(zip(indices, place, strict=True))})

    def applied(self, expression: Any, env: Environment) -> Any:
        (variable,) = expression.function.variables
        matrix = self.value(expression.expr, env)
        return np.broadcast_to(self.value(expression.function.expr, {**env, variable: matrix}), matrix.shape)

    def by_indices(self, expression: Any, env: Environment) -> Array:
        indices = expression.lamda.variables
        rows, columns = (self.integer(size, env) for size in expression.shape)
        return np.array(
            [
                [self.value(expression.lamda.expr, {**env, indices[0]: i, indices[1]: j}) for j in range(columns)]
                for i in range(rows)
            ]
        )

    def piecewise(self, expression: Any, env: Environment) -> Any:
        result: Any = np.nan
        for piece, condition in reversed(expression.args):
            result = np.where(self.value(condition, env), self.value(piece, env), result)
        return result

    def filled(self, number: float) -> Callable[[Any, Environment], Array]:
        return lambda matrix, env: np.full([self.integer(size, env) for size in matrix.shape], number)

    def called(self, expression: Any, env: Environment) -> Any:
        arguments = [self.value(part, env) for part in expression.args]
        if expression.func in _FUNCTIONS:
            return _FUNCTIONS[expression.func](*arguments)
        function = self.tensor(str(expression.func.__name__))
        return function(*arguments)

    def parts(self, expression: Any, env: Environment) -> list[Any]:
        return [self.value(part, env) for part in expression.args]


def _multiplied(factors: list[Any]) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = result @ factor if np.ndim(result) == np.ndim(factor) == 2 else result * factor
    return result


def _times(factors: list[Any]) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _cofactor(matrix: Array) -> Array:
    result = np.empty_like(matrix)
    for i, j in np.ndindex(*matrix.shape):
        result[i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(matrix, i, 0), j, 1))
    return result


def _number(expression: Any) -> Any:
    if expression.is_infinite:
        return np.inf if expression.is_positive else -np.inf
    if expression.is_Rational:
        return np.float64(int(expression.p) / int(expression.q))
    return np.float64(expression.evalf(20))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    sympy.exp: np.exp,
    sympy.log: np.log,
    sympy.sin: np.sin,
    sympy.cos: np.cos,
    sympy.tan: np.tan,
    sympy.sinh: np.sinh,
    sympy.cosh: np.cosh,
    sympy.tanh: np.tanh,
    sympy.atan: np.arctan,
    sympy.erf: np.vectorize(math.erf, otypes=[np.float64]),
    sympy.Abs: np.abs,
    sympy.sign: np.sign,
    sympy.Max: lambda *values: np.max(np.broadcast_arrays(*values), axis=0),
    sympy.Min: lambda *values: np.min(np.broadcast_arrays(*values), axis=0),
    sympy.KroneckerDelta: lambda i, j: np.equal(i, j) * 1.0,
}

_RULES: dict[Any, Callable[[_Walker, Any, Environment], Any]] = {
    sympy.Number: lambda w, e, env: _number(e),
    sympy.NumberSymbol: lambda w, e, env: _number(e),
    sympy.Symbol: _Walker.symbol,
    sympy.MatrixSymbol: _Walker.matrix_symbol,
    sympy.Indexed: _Walker.indexed,
    MatrixElement: _Walker.element,
    sympy.Add: lambda w, e, env: sum(w.parts(e, env)),
    sympy.Mul: lambda w, e, env: _times(w.parts(e, env)),
    sympy.Pow: lambda w, e, env: np.power(np.float64(w.value(e.base, env)), w.value(e.exp, env)),
    sympy.Function: _Walker.called,
    sympy.Max: _Walker.called,
    sympy.Min: _Walker.called,
    sympy.Piecewise: _Walker.piecewise,
    sympy.Eq: lambda w, e, env: np.equal(*w.parts(e, env)),
    sympy.Ne: lambda w, e, env: np.not_equal(*w.parts(e, env)),
    sympy.Gt: lambda w, e, env: np.greater(*w.parts(e, env)),
    sympy.Ge: lambda w, e, env: np.greater_equal(*w.parts(e, env)),
    sympy.Lt: lambda w, e, env: np.less(*w.parts(e, env)),
    sympy.Le: lambda w, e, env: np.less_equal(*w.parts(e, env)),
    sympy.And: lambda w, e, env: np.logical_and.reduce(w.parts(e, env)),
    sympy.Or: lambda w, e, env: np.logical_or.reduce(w.parts(e, env)),
    sympy.Not: lambda w, e, env: np.logical_not(*w.parts(e, env)),
    BooleanTrue: lambda w, e, env: True,
    BooleanFalse: lambda w, e, env: False,
    sympy.Sum: lambda w, e, env: sum(w.looped(e, env)),
    IndexMax: lambda w, e, env: max(w.looped(e, env)),
    sympy.Trace: lambda w, e, env: np.trace(w.value(e.arg, env)),
    sympy.Determinant: lambda w, e, env: np.linalg.det(w.value(e.arg, env)),
    Cofactor: lambda w, e, env: _cofactor(w.value(e.args[0], env)),
    sympy.Inverse: lambda w, e, env: np.linalg.inv(w.value(e.arg, env)),
    sympy.MatPow: lambda w, e, env: np.linalg.matrix_power(w.value(e.base, env), w.integer(e.exp, env)),
    sympy.Transpose: lambda w, e, env: w.value(e.arg, env).T,
    sympy.MatMul: lambda w, e, env: _multiplied(w.parts(e, env)),
    sympy.MatAdd: lambda w, e, env: sum(w.parts(e, env)),
    sympy.HadamardProduct: lambda w, e, env: _times(w.parts(e, env)),
    sympy.HadamardPower: lambda w, e, env: np.power(*w.parts(e, env)),
    ElementwiseApplyFunction: _Walker.applied,
    sympy.FunctionMatrix: _Walker.by_indices,
    sympy.OneMatrix: lambda w, e, env: w.filled(1.0)(e, env),
    sympy.ZeroMatrix: lambda w, e, env: w.filled(0.0)(e, env),
    sympy.Identity: lambda w, e, env: np.eye(w.integer(e.rows, env)),
    sympy.DiagMatrix: lambda w, e, env: np.diag(w.value(e.args[0], env)[:, 0]),
    DiagonalOf: lambda w, e, env: np.diagonal(w.value(e.arg, env))[:, None],
}
