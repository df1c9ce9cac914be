"""The built-in functions that are not applied element by element, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from symbackprop.graph import operations as ops
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.operations import Value
from symbackprop.language import syntax
from symbackprop.language.names import Names

Lower: TypeAlias = Callable[[syntax.Expression], Value]
Special: TypeAlias = Callable[[Names, syntax.Call, Lower], Value]


def _one(function: Callable[[Value], Value]) -> Special:
    def call(names: Names, tree: syntax.Call, lower: Lower) -> Value:
        names.count(tree, 1)
        return function(lower(tree.arguments[0]))

    return call


def _least(operand: Value) -> Value:
    return ops.negate(ops.reduce_all("max", ops.negate(operand)))


def _filled(number: int) -> Special:
    def call(names: Names, tree: syntax.Call, lower: Lower) -> Value:
        if not tree.arguments:
            raise names.error(tree.position, f"{tree.function} needs a size", f"such as {tree.function}(n)")
        return ops.filled(number, *[names.length(argument) for argument in tree.arguments])

    return call


def _onehot(names: Names, tree: syntax.Call, lower: Lower) -> Value:
    names.count(tree, 1, 2)
    classes = lower(tree.arguments[0])
    if not isinstance(classes.node, Leaf) or classes.node.classes is None:
        raise names.error(
            tree.arguments[0].position, f"onehot needs an integer tensor, not {ops.describe(classes)}",
            "declare it: target y in q",
        )  # fmt: skip
    size = names.extent(tree.arguments[1]) if len(tree.arguments) == 2 else classes.node.classes
    if names.at_defaults(size - classes.node.classes).is_negative:
        raise names.error(
            tree.arguments[1].position,
            f"{classes.node.name} has {names.show_size(classes.node.classes)} classes, more than {names.show_size(size)}",
        )
    return ops.onehot(classes, size)


def _cross_entropy(names: Names, tree: syntax.Call, lower: Lower) -> Value:
    names.count(tree, 2)
    logits, target = (lower(argument) for argument in tree.arguments)
    if names.is_softmax(logits.node):
        raise names.error(
            tree.arguments[0].position, "cross_entropy takes logits, and this is a softmax already",
            "cross_entropy(o, y) with the o inside the softmax",
        )  # fmt: skip
    if not logits.node.rank:
        raise names.error(tree.arguments[0].position, "cross_entropy of a scalar", "one logit for each class is needed")
    if isinstance(target.node, Leaf) and target.node.classes is not None:
        count, classes = logits.shape[-1], target.node.classes
        if names.differ(count, classes):
            raise names.error(
                tree.arguments[1].position,
                f"{ops.describe(logits)} has {names.show_size(count)} logits, "
                f"and {target.node.name} has {names.show_size(classes)} classes",
            )
    return ops.cross_entropy(logits, target)


def _size(names: Names, tree: syntax.Call, lower: Lower) -> Value:
    return ops.value(names.size_call(tree))


def _floor(names: Names, tree: syntax.Call, lower: Lower) -> Value:
    return ops.value(names.length(tree))


SPECIAL: Mapping[str, Special] = {
    "sum": _one(ops.sum_all),
    "mean": _one(ops.mean_all),
    "max": _one(lambda operand: ops.reduce_all("max", operand)),
    "min": _one(_least),
    "logsumexp": _one(ops.logsumexp),
    "softmax": _one(ops.softmax),
    "log_softmax": _one(ops.log_softmax),
    "cross_entropy": _cross_entropy,
    "tr": _one(ops.trace),
    "det": _one(lambda operand: ops.scalar_of_matrix("det", operand)),
    "logdet": _one(lambda operand: ops.scalar_of_matrix("logdet", operand)),
    "cofactor": _one(lambda operand: ops.scalar_of_matrix("cofactor", operand)),
    "inv": _one(ops.inverse),
    "diag": _one(ops.diagonal),
    "norm": _one(ops.norm),
    "ones": _filled(1),
    "zeros": _filled(0),
    "onehot": _onehot,
    "rowsum": _one(ops.row_sum),
    "colsum": _one(ops.column_sum),
    "size": _size,
    "floor": _floor,
}
"""The functions of whole tensors; ``max`` and ``min`` of several arguments, and ``where``, are scalar functions."""


def special(tree: syntax.Call, names: Names) -> Special | None:
    """Return what a call means, where it is not applied element by element."""
    pointwise = tree.function in ("max", "min") and len(tree.arguments) > 1
    return None if pointwise or tree.order or tree.function in names.functions else SPECIAL.get(tree.function)
