"""Expressions of whole tensors: linear algebra as it is written, lowered to values with a shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy

from symbackprop.errors import EquationError, ShapeError, SymbackpropError
from symbackprop.graph import operations as ops
from symbackprop.graph.nodes import Pointwise
from symbackprop.graph.operations import Value
from symbackprop.language import syntax
from symbackprop.language.calls import special
from symbackprop.language.comparisons import COMPARISONS
from symbackprop.language.index_form import IndexForm
from symbackprop.language.indices import Scope
from symbackprop.language.names import Names
from symbackprop.language.numbers import bounded, bounded_node
from symbackprop.language.walk import children, walk


@dataclass(frozen=True, eq=False)
class ScaledIdentity:
    """``coefficient · I``, of the size that its neighbours need."""

    coefficient: Value


Lowered: TypeAlias = Value | ScaledIdentity


class MatrixForm:
    """Lowers expressions without bound indices."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.index_form = IndexForm(names, self.value)

    def lower(self, tree: syntax.Expression) -> Lowered:
        """Lower an expression; the identity matrix has no size yet."""
        with self.names.at(tree.position):
            result = _LOWER[type(tree)](self, tree)
            if isinstance(result, Value):
                bounded_node(result.node)
            return result

    def value(self, tree: syntax.Expression) -> Value:
        """Lower an expression. Raises EquationError for an identity whose size nothing gives."""
        lowered = self.lower(tree)
        if isinstance(lowered, ScaledIdentity):
            raise self._no_size(tree)
        return lowered

    def misfit(self, tree: syntax.Expression) -> EquationError | None:
        """Return the error for the smallest part of an expression whose sizes differ at the defaults, or None."""
        for part in reversed([part for part in walk(tree) if isinstance(part, syntax.Expression)]):
            try:
                conflict = self.names.conflict(self.value(part).node)
            except SymbackpropError:  # it has a meaning only within its whole, such as an entry or an I
                continue
            if conflict is not None:
                left, right = map(self.names.show_size, conflict)
                return self.names.error(part.position, f"{self._operands(part)}the sizes {left} and {right} must be equal here")
        return None

    def _operands(self, tree: syntax.Expression) -> str:
        described = []
        for part in children(tree):
            if isinstance(part, syntax.Expression):
                lowered = self.lower(part)
                if isinstance(lowered, Value) and lowered.node.rank:
                    described.append(ops.describe(lowered))
        return f"{' and '.join(described[:2])}: " if described else ""

    def _no_size(self, tree: syntax.Expression) -> EquationError:
        return self.names.error(
            tree.position, "nothing says how large this I is", "add it to a matrix, or multiply it with one"
        )

    # ------------------------------------------------------------ operators

    def _constant(self, tree: syntax.Constant) -> Lowered:
        if tree.name == "I":
            return ScaledIdentity(ops.value(1))
        return ops.value(sympy.pi if tree.name == "pi" else sympy.oo)

    def _sum(self, tree: syntax.Sum) -> Lowered:
        terms = [(sign, self.lower(term), term) for sign, term in tree.terms]
        shaped = [term for _, term, _ in terms if isinstance(term, Value) and term.node.rank]
        identities = [(sign, term.coefficient) for sign, term, _ in terms if isinstance(term, ScaledIdentity)]
        if len(identities) == len(terms):
            return ScaledIdentity(ops.total(identities))
        resolved = []
        for sign, term, part in terms:
            if isinstance(term, ScaledIdentity):
                if not shaped:
                    raise self._no_size(part)
                if shaped[0].node.rank != 2:
                    raise self.names.error(part.position, f"I and {ops.describe(shaped[0])}: a square matrix is needed")
                term = ops.times(term.coefficient, ops.identity(shaped[0].shape[0]))
            if term.node.rank and not ops.same_shape(shaped[0], term):
                raise self._unlike(shaped[0], term, sign, part)
            resolved.append((sign, term))
        return ops.total(resolved)

    def _unlike(self, first: Value, term: Value, sign: int, part: syntax.Expression) -> EquationError:
        message = f"{ops.describe(first)} {'+' if sign > 0 else '-'} {ops.describe(term)}: the shapes differ"
        matrix, vector = (first, term) if first.node.rank == 2 else (term, first)
        hint = ""
        if matrix.node.rank == 2 and vector.node.rank == 1:
            rows, columns = matrix.shape
            hint = f"a vector v is added to every row by ones({rows}) v^T, to every column by v ones({columns})^T"
        elif first.node.rank == term.node.rank == 1 and first.row != term.row:
            hint = "one is a column and the other a row: transpose one of them"
        return self.names.error(part.position, message, hint)

    def _product(self, tree: syntax.Product) -> Lowered:
        self._refuse_unknown_call(tree)
        result = self.lower(tree.factors[0])
        for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
            right = self.lower(factor)
            with self.names.at(factor.position):
                result = _quotient(result, right) if operator == "/" else _times(result, right)
                if isinstance(result, Value) and isinstance(result.node, Pointwise):
                    bounded(result.node.expression.as_coeff_Mul()[0])
        return result

    def _refuse_unknown_call(self, tree: syntax.Product) -> None:
        """Raise for ``foo(x)`` where foo is nothing: it was meant as a function."""
        for name in tree.factors[:-1]:
            if isinstance(name, syntax.Name) and name.name not in self.names.values and name.name not in self.names.dimensions:
                line = self.names.module.lines[name.position.line - 1]
                if line[name.position.column - 1 + name.position.length :][:1] == "(":
                    raise self.names.no_function(name.position, name.name)

    def _elementwise(self, tree: syntax.Elementwise) -> Value:
        result = self.value(tree.factors[0])
        for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
            right = self.value(factor)
            with self.names.at(factor.position):
                result = ops.times(result, right) if operator == ".*" else ops.over(result, right)
        return result

    def _negation(self, tree: syntax.Negation) -> Lowered:
        lowered = self.lower(tree.operand)
        if isinstance(lowered, ScaledIdentity):
            return ScaledIdentity(ops.negate(lowered.coefficient))
        return ops.negate(lowered)

    def _power(self, tree: syntax.Power) -> Value:
        base, exponent = self.value(tree.base), self.value(tree.exponent)
        if tree.elementwise or (base.node.rank == 0 and exponent.node.rank == 0):
            return ops.elementwise_power(base, exponent)
        number = ops.number_of(exponent)
        if number is None or base.node.rank == 0:
            raise self.names.error(
                tree.exponent.position, "the power of a matrix is a whole number", ".^ works element by element"
            )
        return ops.power(base, number)

    def _comparison(self, tree: syntax.Comparison) -> Value:
        return ops.apply(COMPARISONS[tree.operator], self.value(tree.left), self.value(tree.right))

    # ------------------------------------------------------------ calls and indices

    def _call(self, tree: syntax.Call) -> Value:
        of_tensors = special(tree, self.names)
        if of_tensors is not None:
            return of_tensors(self.names, tree, self.value)
        function = self.names.scalar_function(tree)
        arguments = [self.value(argument) for argument in tree.arguments]
        return ops.apply(function.apply, *arguments, *[self.names.values[name] for name in function.closure])

    def _subscript(self, tree: syntax.Subscript) -> Value:
        return Value(self.index_form.subscript(tree, Scope()).node)

    def _reduction(self, tree: syntax.Reduction) -> Value:
        return Value(self.index_form.reduction(tree, Scope()).node)


def _times(left: Lowered, right: Lowered) -> Lowered:
    if isinstance(left, Value) and isinstance(right, Value):
        return ops.product(left, right)
    coefficients = [side.coefficient if isinstance(side, ScaledIdentity) else side for side in (left, right)]
    product = ops.times(coefficients[0], coefficients[1])
    return product if any(side.node.rank for side in coefficients) else ScaledIdentity(product)


def _quotient(left: Lowered, right: Lowered) -> Lowered:
    if isinstance(right, ScaledIdentity):
        raise ShapeError("division by a matrix; ^-1 inverts")
    if isinstance(left, ScaledIdentity):
        return ScaledIdentity(ops.quotient(left.coefficient, right))
    return ops.quotient(left, right)


_LOWER: Mapping[type[Any], Callable[[MatrixForm, Any], Lowered]] = {
    syntax.Number: lambda form, tree: ops.value(form.names.number(tree)),
    syntax.Constant: MatrixForm._constant,
    syntax.Name: lambda form, tree: form.names.lookup(tree),
    syntax.Sum: MatrixForm._sum,
    syntax.Product: MatrixForm._product,
    syntax.Elementwise: MatrixForm._elementwise,
    syntax.Negation: MatrixForm._negation,
    syntax.Power: MatrixForm._power,
    syntax.Transpose: lambda form, tree: ops.transpose(form.value(tree.operand)),
    syntax.Norm: lambda form, tree: ops.norm(form.value(tree.operand), tree.kind),
    syntax.Call: MatrixForm._call,
    syntax.Subscript: MatrixForm._subscript,
    syntax.Reduction: MatrixForm._reduction,
    syntax.Comparison: MatrixForm._comparison,
}
