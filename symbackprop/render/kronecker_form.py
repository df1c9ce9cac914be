"""The matrix form of a derivative by a matrix, where there is one: Kronecker products.

The axes of a matrix stand in the order of vec, which stacks its columns, so that vec(A X B) = (Bᵀ ⊗ A) vec(X)
(Magnus and Neudecker 1988). A tensor over the axes (i, j) of a row and (k, l) of a column is then second ⊗ first for
every product of a factor along j and l and a factor along i and k.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from symbackprop.derivation.local import apart
from symbackprop.graph.build import contract, split_product, terms_of
from symbackprop.graph.nodes import Contraction, Labels, Node, Pointwise, argument
from symbackprop.graph.sizes import Shape
from symbackprop.render.build import add, multiply, transpose
from symbackprop.render.forms import NoMatrixForm
from symbackprop.render.formula import Formula, Identity, Kronecker, Ones
from symbackprop.render.matrix_form import MatrixForm

Factor = tuple[Node, Labels]


class KroneckerForm:
    """Writes tensors with the axes of a row and of a column, each of one or two axes."""

    def __init__(self, matrix: MatrixForm) -> None:
        self.matrix = matrix

    def of(self, node: Node, row: int, column: int) -> Formula:
        """Return the formula of a node whose first ``row`` axes are a row's, the others a column's. Raises NoMatrixForm."""
        if not 1 <= row <= 2 or not 1 <= column <= 2 or row + column != node.rank or node.rank < 3:
            raise NoMatrixForm
        first, second = (0, row), (*((1,) if row == 2 else ()), *((row + 1,) if column == 2 else ()))
        terms = terms_of(node) if isinstance(node, Pointwise) and node.expression.is_Add else [node]
        return add([self._term(term, first, second, row) for term in terms])

    def _term(self, node: Node, first: Labels, second: Labels, row: int) -> tuple[int, Formula]:
        coefficient, factors, sizes = _factors(node)
        groups: dict[Labels, list[Factor]] = {(): [], first: [], second: []}
        for labels, members in _connected(factors):
            outside = {label for label in labels if label < node.rank}
            home = next((group for group in groups if outside <= set(group)), None)
            if home is None:
                raise NoMatrixForm
            groups[home] += members
        left = self._matrix(groups[second], second, sizes, row > 1)
        right = self._matrix(groups[first], first, sizes, True)
        scalars, below = list[Formula](), list[Formula]()
        for part in (_product([factor], (), sizes) for factor in groups[()]):
            divisor = isinstance(part, Pointwise) and part.expression == 1 / argument(0)
            (below if divisor else scalars).append(self.matrix.of(part.operands[0] if divisor else part))
        identities = isinstance(left, Identity) and isinstance(right, Identity)
        whole = Identity(left.size * right.size) if identities else Kronecker((left, right))  # type: ignore[attr-defined]
        return multiply(coefficient, scalars, whole, below)

    def _matrix(self, factors: list[Factor], labels: Labels, sizes: Shape, tall: bool) -> Formula:
        """The factors along one pair of axes; a single axis is a column where it is the row's, else a row."""
        if not factors:
            if len(labels) == 2:
                raise NoMatrixForm  # a matrix of ones
            ones = Ones(sizes[labels[0]])
            return ones if tall else transpose(ones)
        inner = self.matrix.of(apart(_product(factors, labels, sizes)))
        return inner if len(labels) == 2 or tall else transpose(inner)


def _factors(node: Node) -> tuple[sympy.Expr, list[Factor], Shape]:
    """A product as its factors, each with its labels, and the sizes of all labels."""
    if isinstance(node, Contraction):
        found: list[Factor] = []
        coefficient: sympy.Expr = sympy.S.One
        for operand, labels in zip(node.operands, node.labels, strict=True):
            if isinstance(operand, Pointwise) and len(set(labels)) == len(labels):
                number, parts = split_product(operand)
                coefficient *= number
                found += [(part, tuple(labels[k] for k in own)) for part, own in parts]
            else:
                found.append((operand, labels))
        return coefficient, found, node.label_sizes
    if isinstance(node, Pointwise):
        coefficient, parts = split_product(node)
        sizes, found = list(node.shape), []
        for part, own in parts:
            if isinstance(part, Contraction):  # its summed labels are labels of the whole product too
                shift = len(sizes) - part.rank
                place = [*own, *(k + shift for k in range(part.rank, part.rank + len(part.summed)))]
                sizes += part.summed
                found += [
                    (o, tuple(place[label] for label in labels))
                    for o, labels in zip(part.operands, part.labels, strict=True)
                ]
            else:
                found.append((part, own))
        return coefficient, found, tuple(sizes)
    return sympy.S.One, [(node, tuple(range(node.rank)))], node.shape


def _connected(factors: list[Factor]) -> Iterable[tuple[set[int], list[Factor]]]:
    """The factors in groups that share no label."""
    groups: list[tuple[set[int], list[Factor]]] = []
    for node, labels in factors:
        touched = [group for group in groups if group[0] & set(labels)]
        merged = (set(labels).union(*[own for own, _ in touched]), [f for _, members in touched for f in members])
        merged[1].append((node, labels))
        groups = [*[group for group in groups if group not in touched], merged]
    return groups


def _product(factors: list[Factor], labels: Labels, sizes: Shape) -> Node:
    """The product of factors, summed over the labels that are not wanted."""
    place = {label: k for k, label in enumerate(labels)}
    for _, own in factors:
        for label in own:
            place.setdefault(label, len(place))
    renamed = [(node, tuple(place[label] for label in own)) for node, own in factors]
    return contract(renamed, tuple(range(len(labels))), [sizes[label] for label in place])
