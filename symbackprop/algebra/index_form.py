"""Expressions written with indices: every node as its entry at the indices ``axis(0), axis(1), ...``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy
from sympy.matrices.expressions.matexpr import MatrixElement

from symbackprop.algebra.ranges import bounds, surely_nonnegative
from symbackprop.algebra.scalar_forms import in_sympy, one_where
from symbackprop.algebra.symbols import Cofactor, IndexMax, index_sum, tensor_entry
from symbackprop.graph.build import Factor, split_product
from symbackprop.graph.nodes import (
    Contraction,
    Coordinate,
    Indicator,
    Labels,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
    axis,
)
from symbackprop.graph.sizes import Size, same_size
from symbackprop.graph.walk import topological


class IndexForm:
    """Writes nodes with indices. ``matrix`` gives the matrix form of a square matrix, or None."""

    def __init__(self, matrix: Callable[[Node], Any]) -> None:
        self._matrix = matrix
        self._entries: dict[Node, Any] = {}
        self._count = 0

    def entry(self, root: Node) -> Any:
        """Return the entry of a node at ``axis(0), axis(1), ...``."""
        for node in topological([root]):
            if node not in self._entries:
                self._entries[node] = self._write(node)
        return self._entries[root]

    def index(self, size: Size) -> sympy.Idx:
        """Return a new index from 0 to size - 1; its name is given when the expression is finished."""
        self._count += 1
        return sympy.Idx(sympy.Symbol(f"_{self._count}", integer=True), size)

    def function_matrix(self, node: Node) -> Any:
        """Return a vector or matrix by the function of its indices."""
        shape = (*node.shape, sympy.S.One)[:2]
        return _matrix_of([self.index(size) for size in shape], shape, self.entry(node))

    def function(self, node: Node) -> Any:
        """Return a tensor as the function of its indices."""
        indices = [self.index(size) for size in node.shape]
        return sympy.Lambda(
            tuple(indices), self.entry(node).xreplace({axis(k): index for k, index in enumerate(indices)})
        )

    def _write(self, node: Node) -> Any:
        if isinstance(node, Leaf):
            return tensor_entry(node, [axis(k) for k in range(node.rank)])
        if isinstance(node, Coordinate):
            return axis(0)
        if isinstance(node, Contraction):
            return self._contraction(node)
        if isinstance(node, MatrixFunction):
            return self._matrix_function(node)
        axes = [axis(k) for k in range(node.rank)]
        if isinstance(node, Reduction):
            indices = [self.index(size) for size in node.summed]
            operand = self._at(node.operands[0], node.labels[0], [*axes, *indices])
            return _reduced(node.kind, operand, indices)
        known = {
            argument(k): self._at(operand, labels, axes)
            for k, (operand, labels) in enumerate(zip(node.operands, node.labels, strict=True))
        }
        if isinstance(node, Pointwise):
            return in_sympy(node.expression, known)
        assert isinstance(node, Indicator)
        left, right = _sides(node.condition, known)
        return sympy.KroneckerDelta(left, right) if node.relation == "==" else one_where(sympy.Ge(left, right))

    def _at(self, operand: Node, labels: Labels, indices: Sequence[Any]) -> Any:
        self.entry(operand)
        moved = {axis(k): indices[label] for k, label in enumerate(labels)}
        return self._entries[operand].xreplace({old: new for old, new in moved.items() if old != new})

    def _contraction(self, node: Contraction) -> Any:
        indices: list[Any] = [axis(k) for k in range(node.rank)] + [self.index(size) for size in node.summed]
        sizes = dict(zip(indices, node.label_sizes, strict=True))
        coefficient, factors = flat_factors(node)
        summed = list(range(node.rank, len(indices)))
        for factor in tuple(factors):
            found = self._solved(factor, summed, indices, sizes)
            if found is not None:
                label, solution = found
                factors.remove(factor)
                summed.remove(label)
                gone = indices[label]
                indices = [solution if index == gone else index.xreplace({gone: solution}) for index in indices]
        product = sympy.Mul(*[self._at(operand, labels, indices) for operand, labels in factors]) * coefficient
        return index_sum(product, *_limits([indices[label] for label in summed])) if summed else product

    def _solved(
        self, factor: tuple[Node, Labels], summed: list[int], indices: list[Any], sizes: dict[Any, Size]
    ) -> tuple[int, Any] | None:
        """Solve the equality of an indicator for a summed index that it then cannot leave the range of."""
        node, labels = factor
        if not isinstance(node, Indicator) or node.relation != "==":
            return None
        for place, label in enumerate(labels):
            coefficient = node.condition.coeff(axis(place))
            if label not in summed or labels.count(label) > 1 or coefficient not in (1, -1):
                continue
            rest = -coefficient * (node.condition - coefficient * axis(place))
            for k, (operand, own) in enumerate(zip(node.operands, node.labels, strict=True)):
                rest = rest.xreplace({argument(k): self._at(operand, own, [axis(p) for p in range(node.rank)])})
            solution = rest.xreplace({axis(p): indices[outer] for p, outer in enumerate(labels)})
            if solution.has(indices[label]):
                continue
            if node.operands:
                if self._is_class(node, rest, node.shape[place]):
                    return label, solution
                continue
            extent = bounds(solution, {index: size for index, size in sizes.items() if index in solution.free_symbols})
            if extent and surely_nonnegative(extent[0]) and surely_nonnegative(node.shape[place] - 1 - extent[1]):
                return label, solution
        return None

    def _is_class(self, node: Indicator, solution: Any, size: Size) -> bool:
        """Tell whether a solution is one entry of an integer tensor, whose values are those of the index."""
        (operand, labels) = node.operands[0], node.labels[0]
        if len(node.operands) > 1 or not isinstance(operand, Leaf) or operand.classes is None:
            return False
        value = self._at(operand, labels, [axis(p) for p in range(node.rank)])
        return bool(solution == value) and same_size(operand.classes, size)

    def _matrix_function(self, node: MatrixFunction) -> Any:
        (operand,) = node.operands
        batch = operand.rank - 2
        matrix = self._matrix(operand) if batch == 0 else None
        if matrix is None or matrix.shape[0] != matrix.shape[1]:
            size = operand.shape[-1]
            inner = [self.index(size), self.index(size)]
            body = self._at(operand, tuple(range(operand.rank)), [*[axis(k) for k in range(batch)], *inner])
            matrix = sympy.FunctionMatrix(size, size, sympy.Lambda(tuple(inner), body))
        whole = matrix_function_form(node.kind, matrix)
        return MatrixElement(whole, axis(batch), axis(batch + 1)) if node.kind in ("inverse", "cofactor") else whole


def flat_factors(node: Contraction) -> tuple[sympy.Expr, list[Factor]]:
    """Return the factors of a contraction, products of products taken apart, and the number before them."""
    coefficient: sympy.Expr = sympy.S.One
    factors: list[Factor] = []
    for operand, labels in zip(node.operands, node.labels, strict=True):
        if not isinstance(operand, Pointwise) or not operand.expression.is_Mul:
            factors.append((operand, labels))
            continue
        number, parts = split_product(operand)
        coefficient *= number
        factors += [(part, tuple(labels[k] for k in own)) for part, own in parts]
    return coefficient, factors


def matrix_function_form(kind: str, matrix: Any) -> Any:
    """Return a matrix function in SymPy; the logarithm of a determinant is that of its magnitude."""
    if kind == "logdet":
        return sympy.log(sympy.Abs(sympy.Determinant(matrix)))
    return {"inverse": sympy.Inverse, "cofactor": Cofactor, "det": sympy.Determinant}[kind](matrix)


def _matrix_of(indices: list[Any], shape: Sequence[Size], body: Any) -> Any:
    moved = body.xreplace({axis(k): index for k, index in enumerate(indices)})
    return sympy.FunctionMatrix(*shape, sympy.Lambda(tuple(indices), moved))


def _reduced(kind: str, operand: Any, indices: list[Any]) -> Any:
    if kind == "max":
        return IndexMax(operand, *_limits(indices))
    if kind == "logsumexp":
        return sympy.log(index_sum(sympy.exp(operand), *_limits(indices)))
    return sympy.sqrt(index_sum(operand**2, *_limits(indices)))


def _limits(indices: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
    return [(index, index.lower, index.upper) for index in indices]


def _sides(condition: sympy.Expr, known: dict[sympy.Symbol, Any]) -> tuple[Any, Any]:
    """The two sides of a comparison with 0: what is subtracted stands on the right."""
    terms = sympy.Add.make_args(condition)
    negative = [term for term in terms if term.could_extract_minus_sign()]
    left = sympy.Add(*[term for term in terms if term not in negative])
    return left.xreplace(known), (-sympy.Add(*negative)).xreplace(known)
