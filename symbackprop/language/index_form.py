"""Expressions among bound indices: subscripts, reductions over indices and conditions, lowered entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from symbackprop.functions.scalar import absolute
from symbackprop.graph import operations as ops
from symbackprop.graph.build import pointwise
from symbackprop.graph.nodes import Node, Pointwise, argument
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import format_shape
from symbackprop.language import syntax
from symbackprop.language.affine import Affine, Fact, compare_indices, facts_of, read_affine, subscripted
from symbackprop.language.calls import special
from symbackprop.language.comparisons import COMPARISONS, OPPOSITE
from symbackprop.language.indices import Indexed, Scope, choose, combine, index_value, reduce_over, total
from symbackprop.language.names import Names, is_condition
from symbackprop.language.numbers import bounded_exponent, bounded_node
from symbackprop.language.ranges import Ranges, leaves_axis, refuse_unbound
from symbackprop.language.walk import walk


class IndexForm:
    """Lowers expressions among indices; ``whole`` lowers a part that mentions none of them."""

    def __init__(self, names: Names, whole: Callable[[syntax.Expression], Value]) -> None:
        self.names, self.whole = names, whole

    def equation(self, indices: tuple[syntax.Index, ...], right: syntax.Expression) -> Node:
        """Lower the right side of ``Y[i, j] = ...``."""
        scope, labels = self._bind(indices, right, Scope())
        body = self.lower(right, scope)
        place = {label: k for k, label in enumerate(labels)}
        shape = tuple(scope.sizes[label] for label in labels)
        return pointwise(argument(0), [(body.node, tuple(place[label] for label in body.labels))], shape)

    def lower(self, tree: syntax.Expression, scope: Scope) -> Indexed:
        """Lower an expression inside brackets or under a left side with indices."""
        if not any(isinstance(part, syntax.Name) and part.name in scope.labels for part in walk(tree)):
            value = self.whole(tree)
            if value.node.rank:
                raise self.names.error(
                    tree.position, f"{ops.describe(value)} stands among indices without its own", "give it subscripts"
                )
            return Indexed(value.node)
        with self.names.at(tree.position):
            result = _LOWER[type(tree)](self, tree, scope)
            bounded_node(result.node)
            return result

    def _bind(
        self, indices: tuple[syntax.Index, ...], body: syntax.Expression, scope: Scope
    ) -> tuple[Scope, tuple[int, ...]]:
        for position, index in enumerate(indices):
            if index.name in [other.name for other in indices[:position]]:
                raise self.names.error(index.position, f"the index {index.name} stands here twice")
            if index.name == self.names.batch:
                raise self.names.error(
                    index.position, f"{index.name} is the batch dimension, and no index",
                    "equations are per example; leave out `batch` to write the examples' axis yourself",
                )  # fmt: skip
        return scope.bound([index.name for index in indices], Ranges(self.names, scope).of(indices, body))

    def subscript(self, tree: syntax.Subscript, scope: Scope) -> Indexed:
        """Lower ``A[i, 2 j + 1, tok[k]]``."""
        assert isinstance(tree.base, syntax.Name)  # the grammar gives subscripts to nothing else
        base = self.names.lookup(tree.base)
        if base.node.rank != len(tree.subscripts):
            raise self.names.error(
                tree.position,
                f"{tree.base.name} has {base.node.rank} ax{'i' if base.node.rank == 1 else 'e'}s ({format_shape(base.shape)}), "
                f"and {len(tree.subscripts)} subscript{'s' * (len(tree.subscripts) != 1)} here",
            )
        subscripts = []
        for size, part in zip(base.shape, tree.subscripts, strict=True):
            refuse_unbound(part, scope.labels, self.names)
            found = self._affine(part, scope)
            if found is None:
                raise self.names.error(
                    part.position, "a subscript is a sum of indices, whole numbers and sizes",
                    "such as  2 i + a, 0, n - 1 - i or tok[t]",
                )  # fmt: skip
            self._refuse_outside(found, size, tree.base.name, part, scope)
            subscripts.append(found)
        return subscripted(base.node, subscripts, scope)

    def _affine(self, tree: syntax.Expression, scope: Scope) -> Affine | None:
        return read_affine(tree, scope.labels, self.names, lambda part: self.subscript(part, scope))

    def _refuse_outside(self, found: Affine, size: Any, base: str, part: syntax.Expression, scope: Scope) -> None:
        if found.plain is not None:
            runs = scope.sizes[found.plain]
            if self.names.differ(runs, size):
                shown = self.names.show_size
                raise self.names.error(
                    part.position, f"this index runs over {shown(runs)}, and the axis of {base} here has the size {shown(size)}"
                )
        elif leaves_axis(found, size, scope, self.names):
            raise self.names.error(
                part.position, f"this subscript leaves its axis of size {self.names.show_size(size)}",
                self._inside(part, found),
            )  # fmt: skip

    def _inside(self, part: syntax.Expression, found: Affine) -> str:
        if found.lookups:
            return f"the integers run from 0 to {self.names.show_size(found.lookups[0].classes)} - 1"
        if isinstance(part, syntax.Name):
            return f"{part.name} is the size of a dimension here; an index is bound by a left side or by sum[...]"
        return "padding is written where(condition, value, 0), with a condition that keeps it inside"

    def reduction(self, tree: syntax.Reduction, scope: Scope) -> Indexed:
        """Lower ``sum[i, j](body)``."""
        inner, bound = self._bind(tree.indices, tree.body, scope)
        return reduce_over(tree.kind, self.lower(tree.body, inner), bound, inner)

    # ------------------------------------------------------------ conditions

    def _comparison(self, tree: syntax.Comparison, scope: Scope) -> Indexed:
        left, right = self._affine(tree.left, scope), self._affine(tree.right, scope)
        if left is not None and right is not None:
            return compare_indices(tree.operator, left, right, scope)
        expression = COMPARISONS[tree.operator](argument(0), argument(1))
        return combine(expression, [self.lower(tree.left, scope), self.lower(tree.right, scope)], scope)

    def _where(self, tree: syntax.Call, scope: Scope) -> Indexed:
        self.names.count(tree, 3)
        condition, yes, no = tree.arguments
        if not is_condition(condition):
            raise self.names.no_condition(condition)
        chosen = self.lower(condition, scope)
        inside = replace(scope, facts=(*scope.facts, *self._facts(condition, scope, True)))
        outside = replace(scope, facts=(*scope.facts, *self._facts(condition, scope, False)))
        return choose(chosen, self.lower(yes, inside), self.lower(no, outside), scope)

    def _facts(self, tree: syntax.Expression, scope: Scope, holds: bool) -> tuple[Fact, ...]:
        """Return what is known of indices where a condition holds, or where it does not."""
        if isinstance(tree, syntax.Product | syntax.Elementwise):
            return tuple(fact for part in tree.factors for fact in self._facts(part, scope, True)) if holds else ()
        assert isinstance(tree, syntax.Comparison)
        left, right = self._affine(tree.left, scope), self._affine(tree.right, scope)
        if left is None or right is None:
            return ()
        return facts_of(tree.operator if holds else OPPOSITE[tree.operator], left, right)

    # ------------------------------------------------------------ the rest, entry by entry

    def _product(self, tree: syntax.Product | syntax.Elementwise, scope: Scope) -> Indexed:
        result = self.lower(tree.factors[0], scope)
        for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
            right = self.lower(factor, scope)
            with self.names.at(factor.position):
                if operator in ("/", "./"):
                    ops.over(ops.value(1), Value(right.node))  # refuses the number 0
                    result = combine(argument(0) / argument(1), [result, right], scope)
                else:
                    result = combine(argument(0) * argument(1), [result, right], scope)
        return result

    def _power(self, tree: syntax.Power, scope: Scope) -> Indexed:
        base, exponent = self.lower(tree.base, scope), self.lower(tree.exponent, scope)
        if isinstance(exponent.node, Pointwise):
            bounded_exponent(exponent.node.expression)
        return combine(argument(0) ** argument(1), [base, exponent], scope)

    def _call(self, tree: syntax.Call, scope: Scope) -> Indexed:
        if tree.function == "where":
            return self._where(tree, scope)
        if special(tree, self.names) is not None:
            raise self.names.error(
                tree.position, f"{tree.function} of indexed entries",
                "bracket the indices it goes over, as in sum[i](...), or name the tensor first",
            )  # fmt: skip
        function = self.names.scalar_function(tree)
        parts = [self.lower(part, scope) for part in tree.arguments]
        for name in function.closure:
            value = self.names.values[name]
            if value.node.rank:
                raise self.names.error(
                    tree.position, f"{tree.function} reads {ops.describe(value)}, which has no subscripts here",
                    "call it on whole tensors, or give it the entry as a further argument",
                )  # fmt: skip
            parts.append(Indexed(value.node))
        return combine(function.apply(*[argument(k) for k in range(len(parts))]), parts, scope)

    def _transpose(self, tree: syntax.Transpose, scope: Scope) -> Indexed:
        raise self.names.error(tree.position, "a single entry has no transpose", "swap the subscripts")


_LOWER: Mapping[type[Any], Callable[[IndexForm, Any, Scope], Indexed]] = {
    syntax.Name: lambda form, tree, scope: index_value(tree.name, scope),
    syntax.Subscript: IndexForm.subscript,
    syntax.Sum: lambda form, tree, scope: total([(sign, form.lower(t, scope)) for sign, t in tree.terms], scope),
    syntax.Product: IndexForm._product,
    syntax.Elementwise: IndexForm._product,
    syntax.Negation: lambda form, tree, scope: combine(-argument(0), [form.lower(tree.operand, scope)], scope),
    syntax.Power: IndexForm._power,
    syntax.Norm: lambda form, tree, scope: combine(absolute(argument(0)), [form.lower(tree.operand, scope)], scope),
    syntax.Transpose: IndexForm._transpose,
    syntax.Call: IndexForm._call,
    syntax.Reduction: IndexForm.reduction,
    syntax.Comparison: IndexForm._comparison,
}
