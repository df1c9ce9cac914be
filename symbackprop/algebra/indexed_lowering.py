"""SymPy's scalar expressions, with or without indices, as nodes whose axes run along labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue
from sympy.matrices.expressions.matexpr import MatrixElement

from symbackprop.algebra.subscripts import Environment, Subscripts
from symbackprop.algebra.symbols import IndexMax
from symbackprop.errors import ShapeError, UsageError
from symbackprop.functions import scalar
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph import operations as op
from symbackprop.graph.build import Factor, contract, coordinate, pointwise, reduction
from symbackprop.graph.nodes import Labels, Node, argument
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import Shape


class IndexLowering(Subscripts):
    """Lowers scalar expressions."""

    @abstractmethod
    def matrix(self, expression: Any) -> Value:
        """Return the value of a matrix expression."""

    def scalar(self, expression: Any, env: Environment) -> Factor:
        """Return a scalar expression as a value and the labels it depends on, in order."""
        factors: list[Factor] = []
        translated = tidy(self.translate(expression, env, factors))
        labels = tuple(sorted({label for _, own in factors for label in own}))
        place = {label: position for position, label in enumerate(labels)}
        aligned = [(node, tuple(place[label] for label in own)) for node, own in factors]
        return pointwise(translated, aligned, tuple(self.sizes[label] for label in labels)), labels

    def tensor_of(self, indices: Sequence[Any], shape: Shape, body: Any, env: Environment) -> Node:
        """Return the tensor whose entry at the indices is ``body``."""
        labels = tuple(self.new_label(size) for size in shape)
        if len(indices) != len(shape):
            raise ShapeError(f"{len(indices)} indices for {len(shape)} axes")
        inner = replace(env, indices={**env.indices, **dict(zip(indices, labels, strict=True))})
        return self.aligned(self.scalar(body, inner), labels)

    def translate(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        """Return a scalar expression in the symbols of ``factors``, to which the tensors in it are added."""
        if expression in env.values:
            return self._operand(env.values[expression], factors)
        if expression in env.indices:
            label = env.indices[expression]
            return self._operand((coordinate(self.sizes[label]), (label,)), factors)
        if isinstance(expression, sympy.Symbol):
            if expression in self.tensors:
                return self._operand((self.tensors[expression], ()), factors)
            if self.dimensions.get(expression.name) == expression:
                return self.size(expression)
            self.tensor(expression)
        rule = next((_RULES[kind] for kind in type(expression).__mro__ if kind in _RULES), None)
        if rule is not None:
            return rule(self, expression, env, factors)
        if expression.func in _FUNCTIONS:
            return _FUNCTIONS[expression.func](*[self.translate(part, env, factors) for part in expression.args])
        raise UsageError(f"{type(expression).__name__} is not understood: {expression}")

    @staticmethod
    def _operand(factor: Factor, factors: list[Factor]) -> Any:
        factors.append(factor)
        return argument(len(factors) - 1)

    # ------------------------------------------------------------ the kinds of expressions

    def _number(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        if expression.is_Float:
            raise UsageError(f"{expression} is a Float: numbers in equations are exact, write a Rational")
        if expression in (sympy.nan, sympy.zoo):
            raise UsageError(f"{expression} is no number")
        return expression

    def _sum(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        body, labels, output = self._ranged(expression, env)
        sizes = {label: self.sizes[label] for label in {*labels, *output, *body[1]}}
        return self._operand((contract([body], output, sizes), output), factors)

    def _maximum(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        body, labels, output = self._ranged(expression, env)
        order = [*output, *labels]
        node = self.aligned(body, tuple(order))
        reduced = reduction("max", node, tuple(range(node.rank)), len(output), [self.sizes[label] for label in order])
        return self._operand((reduced, output), factors)

    def _ranged(self, expression: Any, env: Environment) -> tuple[Factor, tuple[int, ...], Labels]:
        """Lower what stands under a Sum or an IndexMax: the value, the labels ranged over, and the others."""
        indices, body, labels = dict(env.indices), expression.function, []
        for limit in reversed(expression.limits):
            if len(limit) != 3:
                raise UsageError(f"{expression}: a range (index, first, last) is needed")
            index, low, high = limit
            if (low.free_symbols | high.free_symbols) & {*indices, *expression.variables}:
                raise UsageError(f"{expression}: the range of an index depends on another")
            indices[index] = self.new_label(self.size(high - low + 1))
            labels.append(indices[index])
            if low != 0:
                body = body.xreplace({index: index + low})
        factor = self.scalar(body, replace(env, indices=indices))
        return factor, tuple(labels), tuple(label for label in factor[1] if label not in labels)

    def _trace(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        squared = _square_root_of(expression.arg)
        if squared is not None:
            squares = op.elementwise_power(self._closed(squared, env), op.value(2))
            return self._operand((op.sum_all(squares).node, ()), factors)
        inner = self._closed(expression.arg, env)
        return self._operand(((op.trace(inner) if inner.node.rank else inner).node, ()), factors)

    def _determinant(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        inner = self._closed(expression.arg, env)
        return self._operand(((op.scalar_of_matrix("det", inner) if inner.node.rank else inner).node, ()), factors)

    def _logarithm(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        (inner,) = expression.args
        inner = inner.args[0] if isinstance(inner, sympy.Abs) else inner
        if isinstance(inner, sympy.Determinant):
            matrix = self._closed(inner.arg, env)
            if matrix.node.rank:
                return self._operand((op.scalar_of_matrix("logdet", matrix).node, ()), factors)
        return sympy.log(self.translate(expression.args[0], env, factors))

    def _closed(self, matrix: Any, env: Environment) -> Value:
        free = {*env.indices, *env.values} & matrix.free_symbols
        if free:
            names = ", ".join(sorted(str(symbol) for symbol in free))
            raise UsageError(f"{matrix} depends on {names}: a matrix inside an indexed expression cannot")
        return self.matrix(matrix)

    def _indexed(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        return self._operand(self.subscripted(self.tensor(expression.base), expression.indices, env), factors)

    def _element(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        matrix = self._closed(expression.parent, env)
        sizes, subscripts = expression.parent.shape, expression.indices
        kept = [subscript for size, subscript in zip(sizes, subscripts, strict=True) if size != 1]
        if any(size == 1 and subscript != 0 for size, subscript in zip(sizes, subscripts, strict=True)):
            raise ShapeError(f"{expression}: the subscript of an axis of size 1 is 0")
        return self._operand(self.subscripted(matrix.node, kept, env), factors)

    # ------------------------------------------------------------ conditions

    def _piecewise(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        inner = replace(env, guarded=True)
        (result, last), *pieces = reversed(expression.args)
        if last is not sympy.true:
            raise UsageError(f"{expression}: a last piece (value, True) is needed")
        result = self.translate(result, inner, factors)
        for piece, condition in pieces:
            holds = self._logical(condition, inner, factors)
            result = scalar.where(holds, self.translate(piece, inner, factors), result)
        return result

    def _logical(self, condition: Any, env: Environment, factors: list[Factor]) -> Any:
        """Return a condition as an expression that is 1 where it holds, else 0."""
        if isinstance(condition, BooleanTrue | BooleanFalse):
            return sympy.S.One if condition else sympy.S.Zero
        if isinstance(condition, sympy.And | sympy.Or | sympy.Not):
            parts = [self._logical(part, env, factors) for part in condition.args]
            if isinstance(condition, sympy.And):
                return sympy.Mul(*parts)
            return 1 - sympy.Mul(*[1 - part for part in parts]) if isinstance(condition, sympy.Or) else 1 - parts[0]
        if not isinstance(condition, sympy.core.relational.Relational):
            raise UsageError(f"{type(condition).__name__} is not understood as a condition: {condition}")
        difference = condition.lhs - condition.rhs
        if isinstance(condition, sympy.Lt | sympy.Le):
            difference = -difference
        if isinstance(condition, sympy.Eq | sympy.Ne):
            holds = self._compared("==", difference, difference, env, factors, scalar.equals)
            return holds if isinstance(condition, sympy.Eq) else 1 - holds
        if isinstance(condition, sympy.Gt | sympy.Lt):
            return self._compared(">=", difference - 1, difference, env, factors, scalar.positive)
        return self._compared(">=", difference, difference, env, factors, scalar.nonnegative)

    def _compared(
        self,
        relation: str,
        affine: Any,
        difference: Any,
        env: Environment,
        factors: list[Factor],
        function: Any,
    ) -> Any:
        """A condition on indices and integers is an indicator; one on values is a 0/1-valued function."""
        if any(index in affine.free_symbols for index in env.indices) or self.is_of_integers(affine):
            try:
                return self._operand(self.condition(relation, affine, [], env, affine), factors)
            except UsageError:
                pass  # it compares an index with a real value
        return function(self.translate(difference, env, factors))

    def _delta(self, expression: Any, env: Environment, factors: list[Factor]) -> Any:
        left, right = expression.args
        return self._compared("==", left - right, left - right, env, factors, scalar.equals)


def _square_root_of(matrix: Any) -> Any:
    """Return A where the matrix is A^T A or A A^T, whose trace is the sum of the squares of A."""
    if isinstance(matrix, sympy.MatMul) and len(matrix.args) == 2:
        left, right = matrix.args
        if left == sympy.Transpose(right):
            return right
        if right == sympy.Transpose(left):
            return left
    return None


def _rebuilt(kind: Any) -> Callable[[IndexLowering, Any, Environment, list[Factor]], Any]:
    return lambda w, e, env, factors: kind(*[w.translate(part, env, factors) for part in e.args])


Rule = Callable[[IndexLowering, Any, Environment, list[Factor]], Any]

_RULES: dict[Any, Rule] = {
    sympy.Number: IndexLowering._number,
    sympy.NumberSymbol: IndexLowering._number,
    sympy.Add: _rebuilt(sympy.Add),
    sympy.Mul: _rebuilt(sympy.Mul),
    sympy.Pow: _rebuilt(sympy.Pow),
    sympy.log: IndexLowering._logarithm,
    sympy.Sum: IndexLowering._sum,
    IndexMax: IndexLowering._maximum,
    sympy.Trace: IndexLowering._trace,
    sympy.Determinant: IndexLowering._determinant,
    sympy.Indexed: IndexLowering._indexed,
    MatrixElement: IndexLowering._element,
    sympy.Piecewise: IndexLowering._piecewise,
    sympy.KroneckerDelta: IndexLowering._delta,
}

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{kind: kind for kind in (sympy.exp, sympy.sin, sympy.cos, sympy.tan, sympy.atan, sympy.erf)},
    **{kind: kind for kind in (sympy.sinh, sympy.cosh)},
    sympy.tanh: scalar.tanh,
    sympy.Max: scalar.maximum,
    sympy.Min: scalar.minimum,
    sympy.Abs: scalar.absolute,
    sympy.sign: scalar.sign,
}
