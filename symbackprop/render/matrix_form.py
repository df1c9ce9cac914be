"""The matrix form of a node, where there is one.

A value along at most two labels is written as a scalar, a column (one label) or a matrix (two). `MatrixForm.along`
gives the formula of a node for a wanted order of labels: the first is the row, the second the column.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy

from symbackprop.derivation.workers import Workers
from symbackprop.functions import scalar
from symbackprop.graph.build import transpose as transposed
from symbackprop.graph.equalities import is_identity
from symbackprop.graph.nodes import (
    Collective,
    Contraction,
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
from symbackprop.render.build import add, chain, flip, place_in_product, transpose
from symbackprop.render.chain_form import ChainForm
from symbackprop.render.forms import NoMatrixForm, Order, over_workers
from symbackprop.render.formula import Call, Formula, Identity, Inverse, Norm, Number, Ones, Power, Transpose, parts
from symbackprop.render.pointwise_form import PointwiseForm


class MatrixForm:
    """Writes nodes in matrix form; ``name`` gives the symbol of a leaf, ``workers`` are those whose collectives are met."""

    def __init__(self, name: Callable[[Leaf], Formula], workers: Workers | None = None) -> None:
        self.name, self.workers = name, workers

    def of(self, node: Node) -> Formula:
        """Return the formula of a node with its axes in order. Raises NoMatrixForm."""
        if node.rank > 2:
            raise NoMatrixForm
        return self.along(node, tuple(range(node.rank)), tuple(range(node.rank)))

    def along(self, node: Node, labels: Labels, order: Order) -> Formula:
        """Return the formula of a node whose axes run along ``labels``, oriented by ``order`` (its labels, each once)."""
        if len(set(labels)) < len(labels):
            if len(labels) == 2 and order == (labels[0],):
                return Call("diag", (self.along(node, (0, 1), (0, 1)),))
            raise NoMatrixForm
        if node.rank > 2 or set(labels) != set(order):
            raise NoMatrixForm
        if labels != order:
            return transpose(self.along(node, labels, labels))
        if isinstance(node, Leaf):
            return self.name(node)
        if isinstance(node, Pointwise):
            return self._oriented(node)
        if isinstance(node, Contraction):
            return self._contraction(node)
        if isinstance(node, Reduction):
            return self._reduction(node)
        if isinstance(node, MatrixFunction):
            inner = self.of(node.operands[0])
            return Inverse(inner) if node.kind == "inverse" else Call(node.kind, (inner,))
        if isinstance(node, Indicator):
            return self._indicator(node)
        if isinstance(node, Collective):
            return over_workers(node, self.of(node.operands[0]), self.workers)
        raise NoMatrixForm

    def _oriented(self, node: Pointwise) -> Formula:
        """A pointwise matrix, or the transpose of its transpose where that has fewer signs: Aᵀ ⊙ Bᵀ is (A ⊙ B)ᵀ."""
        formula = self._pointwise(node)
        if node.rank == 2 and (signs := _transposes(formula)) > 1:
            flipped = transposed(node, (1, 0))
            turned = self._pointwise(flipped) if isinstance(flipped, Pointwise) else formula
            if _transposes(turned) + 1 < signs:
                return transpose(turned)
        return formula

    def _indicator(self, node: Indicator) -> Formula:
        if is_identity(node):
            return Identity(node.shape[0])
        if node.relation == "==" and len(node.operands) == 1 and isinstance(node.operands[0], Leaf):
            last = axis(node.rank - 1)
            if node.condition in (last - argument(0), argument(0) - last) and node.labels[0] == tuple(
                range(node.rank - 1)
            ):
                chosen = node.operands[0]
                width = () if node.shape[-1] == chosen.classes else (Number(node.shape[-1]),)
                return Call("onehot", (self.name(chosen), *width))
        raise NoMatrixForm

    # ------------------------------------------------------------ pointwise

    def _pointwise(self, node: Pointwise) -> Formula:
        return PointwiseForm(self, node).formula()

    def operand(self, node: Node, labels: Labels) -> Formula:
        """Return the formula of a node with its labels in increasing order."""
        order = tuple(sorted(set(labels)))
        if isinstance(node, Indicator) and labels != order:
            moved = _swapped(node)
            if moved is not None:
                return self._indicator(moved)
        return self.along(node, labels, order)

    # ------------------------------------------------------------ contraction

    def _contraction(self, node: Contraction) -> Formula:
        factors = list(zip(node.operands, node.labels, strict=True))
        if len(factors) == 1:
            return self._single_sum(node)
        return ChainForm(self, factors, node.rank, node.label_sizes).formula()

    def _single_sum(self, node: Contraction) -> Formula:
        (operand,), (labels,) = node.operands, node.labels
        if operand.rank > 2:
            raise NoMatrixForm
        if node.rank == 0:
            return self._full_sum(operand, labels)
        if len(set(labels)) < 2:
            raise NoMatrixForm
        if isinstance(operand, Pointwise) and labels == (0, 1):
            turned = [own == (1, 0) for own in operand.labels if len(own) == 2]
            if turned and all(turned):
                swapped = tuple(tuple(1 - label for label in own) for own in operand.labels)
                operand = Pointwise(operand.payload, operand.operands, swapped, operand.shape[::-1])
                labels = (1, 0)
        if labels[0] >= node.rank:
            whole = self.along(operand, (0, 1), (0, 1))
            return chain([transpose(whole), Ones(operand.shape[0])])
        return Call("rowsum", (self.along(operand, (0, 1), (0, 1)),))

    def _full_sum(self, operand: Node, labels: Labels) -> Formula:
        if len(set(labels)) < len(labels):
            return Call("tr", (self.along(operand, (0, 1), (0, 1)),))
        if isinstance(operand, Pointwise):
            expression = operand.expression
            inner = list(zip(operand.operands, operand.labels, strict=True))
            if expression.is_Pow and expression.exp == 2:
                base = Pointwise((expression.base,), operand.operands, operand.labels, operand.shape)
                kind = "F" if operand.rank == 2 else ""
                return Power(Norm(self._positive(base), kind), Number(sympy.Integer(2)))
            if isinstance(expression, scalar.absolute):
                base = Pointwise((expression.args[0],), operand.operands, operand.labels, operand.shape)
                return Norm(self.of(base), "1")
            if expression == argument(0) * argument(1) and len(inner) == 2:
                (a, la), (b, lb) = inner
                if operand.rank == 1 and la == lb == (0,):
                    first, second = self.of(a), self.of(b)
                    if place_in_product(first) == 0:  # pᵀ g, with the gradient last
                        first, second = second, first
                    return chain([transpose(first), second])
                if operand.rank == 2 and {la, lb} == {(0, 1), (1, 0)}:
                    return Call("tr", (chain([self.of(a), self.of(b)]),))
        return Call("sum", (self.of(operand),))

    def _positive(self, node: Pointwise) -> Formula:
        """A difference whose sign does not matter, with the positive term first."""
        return add([flip(*PointwiseForm(self, node).write(node.expression, tuple(range(node.rank))))])

    def _reduction(self, node: Reduction) -> Formula:
        (operand,), (labels,) = node.operands, node.labels
        if operand.rank > 2:
            raise NoMatrixForm
        formula = self.along(operand, tuple(range(operand.rank)), tuple(range(operand.rank)))
        last = labels == tuple(range(operand.rank)) and node.rank == operand.rank - 1
        if node.kind == "norm" and node.rank == 0:
            return Norm(formula, "F" if operand.rank == 2 else "")
        if node.kind == "logsumexp" and last:
            return Call("logsumexp", (formula,))
        if node.kind == "max" and node.rank == 0:
            return Call("max", (formula,))
        raise NoMatrixForm


def _swapped(node: Indicator) -> Indicator | None:
    if node.rank != 2:
        return None
    condition = node.condition.xreplace({axis(0): axis(1), axis(1): axis(0)})
    labels = tuple(tuple(1 - label for label in own) for own in node.labels)
    return Indicator((node.relation, condition), node.operands, labels, node.shape[::-1])


def _transposes(formula: Formula) -> int:
    return sum(isinstance(part, Transpose) for part in parts(formula))
