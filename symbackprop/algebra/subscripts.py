"""Indices, labels and subscripts: an affine subscript is a sum over an indicator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy.matrices.expressions.matexpr import MatrixElement

from symbackprop.algebra.declared import Declared
from symbackprop.algebra.ranges import bounds, surely_nonnegative
from symbackprop.errors import ShapeError, UsageError
from symbackprop.graph.build import Factor, contract, indicator, pointwise
from symbackprop.graph.nodes import Labels, Leaf, Node, argument, axis
from symbackprop.graph.sizes import Size, same_size


@dataclass(frozen=True)
class Environment:
    """What is bound where an expression stands: indices to labels, a Lambda's variable to a value.

    ``guarded`` says that a Piecewise chooses, so that a subscript may leave its axis in a branch not taken.
    """

    indices: Mapping[Any, int] = field(default_factory=dict)
    values: Mapping[Any, Factor] = field(default_factory=dict)
    guarded: bool = False


class Subscripts(Declared, ABC):
    """Labels with their sizes, and tensors at subscripts."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[Size] = []

    @abstractmethod
    def scalar(self, expression: Any, env: Environment) -> Factor:
        """Return a scalar expression as a value and the labels it depends on, in order."""

    def new_label(self, size: Size) -> int:
        """Return a label for an axis of that size."""
        self.sizes.append(size)
        return len(self.sizes) - 1

    def aligned(self, factor: Factor, labels: Labels) -> Node:
        """Return the value with its axes along these labels, repeated along those that it lacks."""
        node, own = factor
        place = {label: position for position, label in enumerate(labels)}
        return pointwise(
            argument(0),
            [(node, tuple(place[label] for label in own))],
            tuple(self.sizes[label] for label in labels),
        )

    def subscripted(self, node: Node, subscripts: Sequence[Any], env: Environment) -> Factor:
        """Return a tensor at subscripts, each an index or affine in them (a sum over an indicator)."""
        if len(subscripts) != node.rank:
            raise ShapeError(f"{len(subscripts)} subscripts for {node.rank} axes")
        labels: list[int] = []
        windows: list[Factor] = []
        for size, subscript in zip(node.shape, subscripts, strict=True):
            label = env.indices.get(subscript)
            if label is not None and same_size(self.sizes[label], size):
                labels.append(label)
                continue
            labels.append(self.new_label(size))
            windows.append(
                self.condition("==", axis(0) - self._affine(subscript, env, size), [labels[-1]], env, subscript)
            )
        if not windows:
            return node, tuple(labels)
        every = sorted({label for _, own in windows for label in own} | set(labels))
        output = tuple(label for label in every if label in env.indices.values() or label not in labels)
        sizes = {label: self.sizes[label] for label in every}
        return contract([(node, tuple(labels)), *windows], output, sizes), output

    def _affine(self, subscript: Any, env: Environment, size: Size) -> Any:
        """Return the subscript in the axes of an indicator, after a test that it does not leave its axis."""
        extents = {index: self.sizes[label] for index, label in env.indices.items() if subscript.has(index)}
        extent = bounds(subscript, extents)
        if extent is not None and not env.guarded:
            low, high = (self._in_dimensions(value) for value in extent)
            if surely_nonnegative(-low - 1) or surely_nonnegative(high - size):
                raise ShapeError(f"the subscript {subscript} leaves its axis of size {size}")
        return subscript

    def _in_dimensions(self, value: Any) -> Any:
        known = {symbol: self.size(symbol) for symbol in value.free_symbols if symbol in self.dimensions.values()}
        return value.xreplace(known)

    def condition(self, relation: str, affine: Any, own: list[int], env: Environment, shown: Any) -> Factor:
        """Return the indicator of a condition, affine in indices and in ``axis(0)`` for the label ``own``."""
        labels = list(own)
        known: dict[Any, Any] = {}
        operands: list[Factor] = []
        for index, label in sorted(env.indices.items(), key=lambda item: item[1]):
            if affine.has(index):
                if label not in labels:
                    labels.append(label)
                known[index] = axis(labels.index(label))
        for part in _tensors_of(affine):
            if self._is_integer_tensor(part):
                factor = self.scalar(part, env)
                labels += [label for label in factor[1] if label not in labels]
                known[part] = argument(len(operands))
                operands.append((factor[0], tuple(labels.index(label) for label in factor[1])))
        condition = self._in_dimensions(affine.xreplace(known))
        allowed = {axis(k) for k in range(len(labels))} | {argument(k) for k in range(len(operands))}
        if not _is_affine(condition, allowed) or not all(
            symbol.is_positive for symbol in condition.free_symbols - allowed
        ):
            raise UsageError(f"{shown}: a subscript is a sum of whole multiples of indices, integers and sizes")
        shape = tuple(self.sizes[label] for label in labels)
        return indicator(relation, condition, shape, operands), tuple(labels)

    def _is_integer_tensor(self, part: Any) -> bool:
        if isinstance(part, sympy.Indexed):
            part = part.base
        elif isinstance(part, MatrixElement):
            part = part.parent
        found = self.tensors.get(part)
        return isinstance(found, Leaf) and found.classes is not None

    def is_of_integers(self, expression: Any) -> bool:
        """Tell whether an expression reads an integer tensor."""
        return any(self._is_integer_tensor(part) for part in _tensors_of(expression))


def _tensors_of(expression: Any) -> list[Any]:
    """The scalar symbols and the entries that an expression reads, in a fixed order."""
    return sorted(expression.atoms(sympy.Symbol, sympy.Indexed, MatrixElement), key=sympy.default_sort_key)


def _is_affine(condition: Any, symbols: Iterable[Any]) -> bool:
    condition = sympy.expand(condition)
    rest = condition
    for symbol in symbols:
        coefficient = condition.coeff(symbol)
        if not coefficient.is_Integer:
            return False
        rest -= coefficient * symbol
    return not sympy.expand(rest).free_symbols & set(symbols)
