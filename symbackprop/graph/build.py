"""The constructors of nodes. They check shapes and keep one normal form, so that equal mathematics is one node.

The normal form: neighbouring pointwise nodes are one; whatever does not depend on a summed label stands outside the
sum; factors that run along the same labels are one pointwise operand; an operand that is itself a contraction is
merged; a sum of exponentials is the exponential of a logsumexp; the square of a norm is a sum of squares, and
the root of a sum of squares is a norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations

import sympy

from symbackprop.errors import ShapeError
from symbackprop.functions.scalar_rules import is_reversed, tidy
from symbackprop.graph.equalities import axis_order, components, exchangeable, separate_repeated, without_equalities
from symbackprop.graph.fusion import arranged, fused
from symbackprop.graph.nodes import (
    Collective,
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
from symbackprop.graph.ordering import Factor, numbered, order_key, reading
from symbackprop.graph.sizes import Shape, Size, differ, exact, format_shape

__all__ = [
    "Factor", "add", "collective", "constant", "contract", "coordinate", "gathered", "indicator", "is_constant", "leaf",
    "matrix_function", "pointwise", "reduction", "scale", "split_product", "terms_of", "transpose", "with_operands",
]  # fmt: skip


def leaf(kind: str, name: str, shape: Iterable[Size] = (), classes: Size | None = None) -> Leaf:
    """Return the tensor of that name; see `Leaf` for the kinds."""
    return Leaf((kind, name, classes), (), (), tuple(exact(size) for size in shape))


def constant(value: sympy.Expr | int, shape: Shape = ()) -> Node:
    """Return the tensor of that shape whose entries are all ``value`` (a number or an expression in sizes)."""
    return Pointwise((exact(value),), (), (), shape)


def is_constant(node: Node) -> bool:
    """Tell whether a node is a constant tensor."""
    return isinstance(node, Pointwise) and not node.operands


def coordinate(size: Size) -> Node:
    """Return the vector 0, 1, ..., size - 1."""
    return Coordinate((), (), (), (size,))


def indicator(relation: str, condition: sympy.Expr, shape: Shape, operands: Sequence[Factor] = ()) -> Node:
    """Return the 0/1 tensor of a condition, affine in ``axis(k)`` and ``argument(k)`` (integer operands)."""
    condition = sympy.expand(condition)
    if not condition.free_symbols & {axis(position) for position in range(len(shape))} and not operands:
        if condition.is_number:
            holds = condition == 0 if relation == "==" else condition >= 0
            return constant(1 if holds else 0, shape)
    if relation == "==" and condition.could_extract_minus_sign():
        condition = -condition
    return Indicator(
        (relation, condition), tuple(node for node, _ in operands), tuple(labels for _, labels in operands), shape
    )


def matrix_function(kind: str, operand: Node) -> Node:
    """Return ``inverse``, ``cofactor``, ``logdet`` or ``det`` of the last two axes, which must be equal."""
    if operand.rank < 2 or differ(operand.shape[-1], operand.shape[-2]):
        raise ShapeError(f"{kind} needs a square matrix, not {format_shape(operand.shape)}")
    swapped = (*range(operand.rank - 2), operand.rank - 1, operand.rank - 2)
    is_matrix = kind in ("inverse", "cofactor")
    turned = transpose(operand, swapped)
    if not isinstance(operand, Leaf) and reading(turned) < reading(
        operand
    ):  # of a matrix and its transpose, one is taken
        other = matrix_function(kind, turned)
        return transpose(other, swapped) if is_matrix else other
    if isinstance(operand, MatrixFunction) and operand.kind == "inverse" and kind != "cofactor":
        inner = operand.operands[0]
        if kind == "inverse":
            return inner
        return scale(sympy.S.NegativeOne, matrix_function(kind, inner)) if kind == "logdet" else _reciprocal(inner)
    shape = operand.shape if is_matrix else operand.shape[:-2]
    return MatrixFunction((kind,), (operand,), (tuple(range(operand.rank)),), shape)


def _reciprocal(operand: Node) -> Node:
    determinant = matrix_function("det", operand)
    return pointwise(1 / argument(0), [(determinant, tuple(range(determinant.rank)))], determinant.shape)


# ---------------------------------------------------------------- pointwise


def pointwise(expression: sympy.Expr, operands: Sequence[Factor], shape: Shape) -> Node:
    """Return ``expression`` of the aligned operands; ``argument(k)`` stands for the k-th.

    Raises ShapeError where an operand's axis and the result's label have provably different sizes.
    """
    for node, labels in operands:
        for size, label in zip(node.shape, labels, strict=True):
            if differ(size, shape[label]):
                raise ShapeError(
                    f"an operand of shape {format_shape(node.shape)} does not fit {format_shape(shape)} along axis {label}"
                )
    expression, flat = fused(expression, list(operands))
    once = [_read_once(node, labels) for node, labels in flat]
    if once != flat:
        expression, flat = fused(expression, once)
    return _pointwise(tidy(expression), flat, shape)


def _pointwise(expression: sympy.Expr, operands: list[Factor], shape: Shape) -> Node:
    """Build a pointwise node of a tidy expression over operands that are not pointwise."""
    expression, operands = arranged(expression, [_ascending(node, labels) for node, labels in operands])
    changed = _norms(expression, operands)
    if changed is not None:
        expression, operands = arranged(*changed)
    for position, (node, labels) in enumerate(operands):
        if expression == argument(position) and labels == tuple(range(len(shape))) and node.shape == shape:
            return node
    return Pointwise((expression,), tuple(node for node, _ in operands), tuple(labels for _, labels in operands), shape)


def _ascending(node: Node, labels: Labels) -> Factor:
    """A computed operand stands in the order of the axes it runs along; only given tensors are read transposed."""
    if not isinstance(node, Contraction | Reduction | Indicator) or len(set(labels)) < len(labels):
        return node, labels
    order = sorted(range(len(labels)), key=labels.__getitem__)
    return transpose(node, order), tuple(labels[position] for position in order)


def _norms(expression: sympy.Expr, operands: list[Factor]) -> tuple[sympy.Expr, list[Factor]] | None:
    """||v||^2k is (sum v^2)^k, and the root of a sum of squares is ||v||."""
    if not any(isinstance(node, Reduction | Contraction) for node, _ in operands):
        return None
    before = expression
    powers: dict[sympy.Expr, set[sympy.Pow]] = {}
    for power in expression.atoms(sympy.Pow):
        powers.setdefault(power.base, set()).add(power)
    for position, (node, labels) in enumerate(operands):
        symbol = argument(position)
        if isinstance(node, Reduction) and node.kind == "norm":
            even = {p for p in powers.get(symbol, ()) if p.exp.is_integer and p.exp.is_even}
            if even:
                square = _sum_of_squares(node)
                operands = [*operands, (square, labels)]
                new = argument(len(operands) - 1)
                expression = expression.xreplace({p: new ** (p.exp / 2) for p in even})
        elif isinstance(node, Contraction) and _is_sum_of_squares(node):
            odd = {p for p in powers.get(symbol, ()) if (2 * p.exp).is_odd}
            if odd:
                (inner,) = node.operands
                root = inner.expression.base  # type: ignore[attr-defined]  # not sqrt(u^2), which is |u|
                base = pointwise(root, list(zip(inner.operands, inner.labels, strict=True)), inner.shape)
                norm = reduction("norm", base, node.labels[0], node.rank, node.label_sizes)
                operands = [*operands, (norm, labels)]
                new = argument(len(operands) - 1)
                expression = expression.xreplace({p: new ** (2 * p.exp) for p in odd})
    return None if expression is before else (expression, operands)


def _is_sum_of_squares(node: Contraction) -> bool:
    if len(node.operands) != 1 or not isinstance(node.operands[0], Pointwise):
        return False
    expression = node.operands[0].expression
    return bool(expression.is_Pow and expression.exp == 2)


def terms_of(node: Pointwise) -> list[Node]:
    """Return the terms of a pointwise sum, each over all the axes of the sum, in time linear in the terms."""
    position = {argument(k): k for k in range(len(node.operands))}
    terms = []
    for term in sympy.Add.make_args(node.expression):
        used = sorted(position[symbol] for symbol in term.free_symbols if symbol in position)
        renamed = term.xreplace({argument(k): argument(new) for new, k in enumerate(used)})
        terms.append(pointwise(renamed, [(node.operands[k], node.labels[k]) for k in used], node.shape))
    return terms


def _sum_of_squares(node: Reduction) -> Node:
    (operand,), (labels,) = node.operands, node.labels
    square = pointwise(argument(0) ** 2, [(operand, tuple(range(operand.rank)))], operand.shape)
    return contract([(square, labels)], tuple(range(node.rank)), node.label_sizes)


# ---------------------------------------------------------------- reductions


def reduction(kind: str, operand: Node, labels: Labels, rank: int, sizes: Sequence[Size]) -> Node:
    """Return ``max``, ``logsumexp`` or ``norm`` of the operand over its labels from ``rank`` on.

    ``sizes`` holds the size of every label, the result's ``rank`` first.
    """
    for size, label in zip(operand.shape, labels, strict=True):
        if differ(size, sizes[label]):
            raise ShapeError(f"{kind}: an axis of size {size} cannot run along one of size {sizes[label]}")
    operand, labels = _arranged_axes(operand, labels, {label: label for label in range(rank)})
    order = {label: rank + place for place, label in enumerate(dict.fromkeys(x for x in labels if x >= rank))}
    renamed = tuple(order.get(label, label) for label in labels)
    summed = tuple(sizes[label] for label in order)
    return Reduction((kind, summed), (operand,), (renamed,), tuple(sizes[:rank]))


def collective(kind: str, groups: Sequence[str], operand: Node) -> Node:
    """Return the ``sum``, ``max``, ``logsumexp`` or ``norm`` of a value over the workers of these splits, entry by entry."""
    return Collective((kind, tuple(groups), None), (operand,), (tuple(range(operand.rank)),), operand.shape)


def gathered(group: str, operand: Node, position: int, size: Size) -> Node:
    """Return the whole of a value of which the workers of a split hold parts of one axis, whose ``size`` together is given."""
    shape = (*operand.shape[:position], size, *operand.shape[position + 1 :])
    return Collective(("gather", (group,), position), (operand,), (tuple(range(operand.rank)),), shape)


# ---------------------------------------------------------------- contractions


def contract(factors: Sequence[Factor], output: Labels, sizes: Mapping[int, Size] | Sequence[Size]) -> Node:
    """Return the sum over every label that is not in ``output`` of the product of the factors.

    ``sizes`` gives the size of each label; a label of the output that no factor has broadcasts, a label repeated in the
    output embeds a diagonal, and a summed label that no factor has multiplies by its size.
    Raises ShapeError where an axis and its label have provably different sizes.
    """
    size_of = dict(sizes) if isinstance(sizes, Mapping) else dict(enumerate(sizes))
    for node, labels in factors:
        for size, label in zip(node.shape, labels, strict=True):
            if differ(size, size_of[label]):
                raise ShapeError(f"an axis of size {size} cannot be contracted with one of size {size_of[label]}")
    shape = tuple(size_of[label] for label in output)
    output, equal = separate_repeated(output, size_of)
    diagonals = [(indicator("==", axis(0) - axis(1), (size_of[old],) * 2), (old, new)) for old, new in equal]
    coefficient, flat = _flatten([*factors, *diagonals], size_of)
    summed = set(size_of) - set(output)
    flat, gone = without_equalities(flat, summed, size_of)
    summed -= gone
    for label in sorted(summed - {label for _, labels in flat for label in labels}):
        coefficient *= size_of[label]
        summed.remove(label)
    outside = [factor for factor in flat if not summed & set(factor[1])]
    groups = components([factor for factor in flat if summed & set(factor[1])], summed)
    place = {label: position for position, label in enumerate(output)}
    operands: list[Factor] = []
    product = coefficient
    for factor in outside:
        product *= argument(len(operands))
        operands.append((factor[0], tuple(place[label] for label in factor[1])))
    for group in groups:
        node, kept = _sum_product(group, [label for label in output if any(label in ls for _, ls in group)], size_of)
        product *= argument(len(operands))
        operands.append((node, tuple(place[label] for label in kept)))
    return pointwise(product, operands, shape)


def _flatten(factors: list[Factor], sizes: dict[int, Size]) -> tuple[sympy.Expr, list[Factor]]:
    """Split products into their factors, merge inner contractions, and gather numbers into a coefficient."""
    coefficient: sympy.Expr = sympy.S.One
    pending: list[Factor] = list(reversed(factors))
    flat: list[Factor] = []
    while pending:
        node, labels = pending.pop()
        if isinstance(node, Pointwise):
            number, parts = split_product(node)
            coefficient *= number
            if len(parts) == 1 and parts[0] == (node, tuple(range(node.rank))):
                flat.append((node, labels))
            else:
                pending.extend((part, tuple(labels[label] for label in inner)) for part, inner in reversed(parts))
        elif isinstance(node, Contraction) and sum(other is node for other, _ in pending + flat) == 0:
            inner_labels = dict(enumerate(labels))
            for position, size in enumerate(node.summed, start=node.rank):
                inner_labels[position] = max(sizes, default=-1) + 1
                sizes[inner_labels[position]] = size
            pending.extend(
                (operand, tuple(inner_labels[label] for label in operand_labels))
                for operand, operand_labels in zip(node.operands, node.labels, strict=True)
            )
        elif isinstance(node, Indicator) and len(set(labels)) < len(labels):
            pending.append(_read_once(node, labels))
        else:
            flat.append((node, labels))
    return coefficient, flat


def _read_once(node: Node, labels: Labels) -> Factor:
    """An index condition read along a repeated label is a condition on that label: [i = j] on its diagonal is 1."""
    if not isinstance(node, Indicator) or len(set(labels)) == len(labels):
        return node, labels
    once = tuple(dict.fromkeys(labels))
    place = [once.index(label) for label in labels]
    condition = node.condition.xreplace({axis(k): axis(position) for k, position in enumerate(place)})
    operands = [(o, tuple(place[k] for k in own)) for o, own in zip(node.operands, node.labels, strict=True)]
    return indicator(node.relation, condition, tuple(node.shape[labels.index(label)] for label in once), operands), once


def split_product(node: Pointwise) -> tuple[sympy.Expr, list[Factor]]:
    """Return the coefficient of a pointwise product and its factors, each over the axes it depends on."""
    coefficient: sympy.Expr = sympy.S.One
    parts: list[Factor] = []
    expression = node.expression
    if expression.is_Add:
        content, expression = expression.primitive()
        coefficient *= content
        if is_reversed(expression):
            coefficient, expression = -coefficient, -expression
    for multiplicand in sympy.Mul.make_args(expression):
        used = [p for p in range(len(node.operands)) if argument(p) in multiplicand.free_symbols]
        if not used:
            coefficient *= multiplicand
            continue
        if len(used) == 1 and multiplicand.is_Symbol:
            parts.append((node.operands[used[0]], node.labels[used[0]]))
            continue
        labels = tuple(sorted({label for p in used for label in node.labels[p]}))
        place = {label: position for position, label in enumerate(labels)}
        operands = [(node.operands[p], tuple(place[label] for label in node.labels[p])) for p in used]
        renumbered = multiplicand.xreplace({argument(p): argument(k) for k, p in enumerate(used)})
        part = _pointwise(renumbered, operands, tuple(node.shape[label] for label in labels))
        parts.append((part, labels))
    return coefficient, parts


def _sum_product(factors: list[Factor], kept: list[int], sizes: Mapping[int, Size]) -> Factor:
    """Build one connected contraction in normal form; return it with the outer labels of its axes."""
    merged: dict[frozenset[int], list[Factor]] = {}
    for factor in factors:
        merged.setdefault(frozenset(factor[1]), []).append(factor)
    operands: list[Factor] = []
    for group in merged.values():
        if len(group) == 1:
            operands.append(group[0])
            continue
        labels = tuple(sorted(set(group[0][1])))
        place = {label: position for position, label in enumerate(labels)}
        product = sympy.Mul(*[argument(p) for p in range(len(group))])
        inner = [(node, tuple(place[label] for label in ls)) for node, ls in group]
        operands.append((pointwise(product, inner, tuple(sizes[label] for label in labels)), labels))
    if len(operands) == 1:
        node, labels = operands[0]
        if isinstance(node, Pointwise) and isinstance(node.expression, sympy.exp):
            exponent = pointwise(
                node.expression.args[0], list(zip(node.operands, node.labels, strict=True)), node.shape
            )
            total = _reduce_over(exponent, labels, kept, sizes)
            return pointwise(sympy.exp(argument(0)), [(total, tuple(range(total.rank)))], total.shape), tuple(kept)
    return _normal_contraction(operands, kept, sizes), tuple(kept)


def _reduce_over(operand: Node, labels: Labels, kept: list[int], sizes: Mapping[int, Size]) -> Node:
    order = kept + sorted(set(labels) - set(kept))
    place = {label: position for position, label in enumerate(order)}
    return reduction(
        "logsumexp", operand, tuple(place[label] for label in labels), len(kept), [sizes[label] for label in order]
    )


def _normal_contraction(operands: list[Factor], kept: list[int], sizes: Mapping[int, Size]) -> Node:
    place = {label: position for position, label in enumerate(kept)}
    ordered, labels, summed = numbered([_arranged_axes(node, own, place) for node, own in operands], place, _symmetries)
    return Contraction(
        (tuple(sizes[label] for label in summed),),
        tuple(node for node, _ in ordered),
        labels,
        tuple(sizes[label] for label in kept),
    )


def _symmetries(node: Node) -> list[tuple[int, ...]]:
    if isinstance(node, MatrixFunction) and node.kind in ("inverse", "cofactor"):
        (operand,) = node.operands
        last = (node.rank - 2, node.rank - 1)
        symmetric = (
            not isinstance(operand, Leaf) and transpose(operand, (*range(node.rank - 2), *last[::-1])) is operand
        )
        return [last] if symmetric else []
    return exchangeable(node)


def _arranged_axes(node: Node, labels: Labels, place: Mapping[int, int]) -> Factor:
    """A computed operand has no order of axes of its own: kept labels come first, in order, the others as it reads best."""
    if isinstance(node, Pointwise) and node.expression == argument(0) and set(node.labels[0]) == set(range(node.rank)):
        node, labels = node.operands[0], tuple(labels[label] for label in node.labels[0])
    if len(set(labels)) < len(labels):
        return node, labels
    if isinstance(node, Indicator):
        order = tuple(p for _, p in axis_order(node.relation, node.condition, node.shape, node.labels))
        return transpose(node, order), tuple(labels[p] for p in order)
    if not isinstance(node, Pointwise | Contraction | Reduction):
        return node, labels
    positions = range(len(labels))
    kept = sorted((p for p in positions if labels[p] in place), key=lambda p: place[labels[p]])
    free = [p for p in positions if labels[p] not in place]
    if isinstance(node, Pointwise) and (len(free) > 4 or all(isinstance(o, Leaf) for o in node.operands)):
        named = sorted(zip(node.operands, node.labels, strict=True), key=lambda factor: order_key((factor[0], ())))
        seen = [label for _, own in named for label in own] + list(positions)
        orders = [(*kept, *sorted(free, key=seen.index))]
    else:
        orders = [(*kept, *rest) for rest in (permutations(free) if len(free) <= 4 else [free])]
    found, order = min(((transpose(node, o), o) for o in orders), key=lambda choice: (reading(choice[0]), choice[1]))
    return found, tuple(labels[p] for p in order)


# ---------------------------------------------------------------- common compositions


def add(terms: Sequence[Node], shape: Shape | None = None) -> Node:
    """Return the sum of tensors of one shape (scalars broadcast)."""
    if not terms:
        return constant(0, shape or ())
    result_shape = shape if shape is not None else max((term.shape for term in terms), key=len)
    operands = [(term, tuple(range(term.rank)) if term.rank else ()) for term in terms]
    return pointwise(sympy.Add(*[argument(p) for p in range(len(terms))]), operands, result_shape)


def scale(coefficient: sympy.Expr, node: Node) -> Node:
    """Return a number (or an expression in sizes) times a tensor."""
    return pointwise(coefficient * argument(0), [(node, tuple(range(node.rank)))], node.shape)


def transpose(node: Node, order: Sequence[int]) -> Node:
    """Return the tensor with its axes in another order: the k-th axis of the result is axis ``order[k]``."""
    if tuple(order) == tuple(range(node.rank)):
        return node
    place = {old: new for new, old in enumerate(order)}
    shape = tuple(node.shape[position] for position in order)
    factors = [
        (o, tuple(place.get(label, label) for label in ls)) for o, ls in zip(node.operands, node.labels, strict=True)
    ]
    if isinstance(node, Pointwise):
        return _pointwise(node.expression, factors, shape)
    if isinstance(node, Contraction):
        return contract(factors, tuple(range(node.rank)), shape + node.summed)
    if isinstance(node, Reduction):
        return reduction(node.kind, *factors[0], node.rank, shape + node.summed)
    if isinstance(node, Indicator):
        return indicator(
            node.relation, node.condition.xreplace({axis(p): axis(place[p]) for p in place}), shape, factors
        )
    labels = tuple(place[position] for position in range(node.rank))
    return Pointwise((argument(0),), (node,), (labels,), shape)


def with_operands(node: Node, operands: Sequence[Node]) -> Node:
    """Return the same operation on other operands of the same shapes, in normal form."""
    if all(new is old for new, old in zip(operands, node.operands, strict=True)):
        return node
    factors = list(zip(operands, node.labels, strict=True))
    if isinstance(node, Pointwise):
        return pointwise(node.expression, factors, node.shape)
    if isinstance(node, Contraction):
        return contract(factors, tuple(range(node.rank)), node.label_sizes)
    if isinstance(node, Reduction):
        return reduction(node.kind, operands[0], node.labels[0], node.rank, node.label_sizes)
    if isinstance(node, MatrixFunction):
        return matrix_function(node.kind, operands[0])
    if isinstance(node, Indicator):
        return indicator(node.relation, node.condition, node.shape, factors)
    if isinstance(node, Collective):
        return Collective(node.payload, tuple(operands), node.labels, node.shape)
    return node
