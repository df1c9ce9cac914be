"""Formulas of scalars, the bodies of functions, lowered to SymPy expressions."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from symbackprop.functions.scalar import absolute
from symbackprop.graph import operations as ops
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.sizes import dimension
from symbackprop.language import syntax
from symbackprop.language.comparisons import COMPARISONS
from symbackprop.language.names import Names
from symbackprop.language.numbers import bounded
from symbackprop.language.parser import parse_formula
from symbackprop.language.walk import walk


class Formula:
    """Lowers the body of a function; the hypers and parameters it reads are collected in ``closure``."""

    def __init__(self, name: str, parameters: tuple[str, ...], names: Names) -> None:
        self.name, self.names = name, names
        self.parameters: Mapping[str, sympy.Symbol] = {p: sympy.Symbol(p) for p in parameters}
        self.closure: dict[str, sympy.Symbol] = {}

    def lower(self, tree: syntax.Expression) -> sympy.Expr:
        """Return the expression of a formula."""
        with self.names.at(tree.position):
            return bounded(self._lower(tree))

    def _lower(self, tree: syntax.Expression) -> sympy.Expr:
        if isinstance(tree, syntax.Number):
            return self.names.number(tree)
        if isinstance(tree, syntax.Constant) and tree.name != "I":
            return sympy.pi if tree.name == "pi" else sympy.oo
        if isinstance(tree, syntax.Name):
            return self._name(tree)
        if isinstance(tree, syntax.Sum):
            return sympy.Add(*[sign * self.lower(term) for sign, term in tree.terms])
        if isinstance(tree, syntax.Product | syntax.Elementwise):
            return self._product(tree)
        if isinstance(tree, syntax.Negation):
            return -self.lower(tree.operand)
        if isinstance(tree, syntax.Power):
            power = ops.elementwise_power(ops.value(self.lower(tree.base)), ops.value(self.lower(tree.exponent)))
            return power.node.payload[0]
        if isinstance(tree, syntax.Norm):
            return absolute(self.lower(tree.operand))
        if isinstance(tree, syntax.Comparison):
            return COMPARISONS[tree.operator](self.lower(tree.left), self.lower(tree.right))
        if isinstance(tree, syntax.Call):
            return self._call(tree)
        raise self.names.error(
            tree.position, "a function's formula is made of scalars: no subscripts, sums over indices, I or transposes"
        )

    def _product(self, tree: syntax.Product | syntax.Elementwise) -> sympy.Expr:
        result = self.lower(tree.factors[0])
        for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
            right = self.lower(factor)
            if operator in ("/", "./") and right == 0:
                raise self.names.error(factor.position, "division by 0")
            with self.names.at(factor.position):
                result = result / right if operator in ("/", "./") else result * right
                bounded(result.as_coeff_Mul()[0])
        return result

    def _name(self, tree: syntax.Name) -> sympy.Expr:
        if tree.name in self.parameters:
            return self.parameters[tree.name]
        found = self.names.values.get(tree.name)
        if found is not None and isinstance(found.node, Leaf) and found.node.kind in ("hyper", "parameter"):
            return self.closure.setdefault(tree.name, sympy.Symbol(tree.name))
        if found is not None:
            raise self.names.error(
                tree.position, f"a formula reads its arguments, hypers and parameters; {tree.name} is none of them"
            )
        if tree.name in self.names.dimensions:
            return dimension(tree.name)
        if tree.name == self.name:
            raise self.names.error(tree.position, f"{tree.name} is defined by itself")
        raise self.names.error(
            tree.position, f"{tree.name} is not defined",
            f"its arguments are {', '.join(self.parameters)}; hypers and parameters are declared above",
        )  # fmt: skip

    def _call(self, tree: syntax.Call) -> sympy.Expr:
        function = self.names.scalar_function(tree)
        arguments = [self.lower(argument) for argument in tree.arguments]
        return function.apply(*arguments, *[self.closure.setdefault(n, sympy.Symbol(n)) for n in function.closure])


def formula_names(text: str, parameters: tuple[str, ...], flag: str) -> list[str]:
    """Return the names a formula reads besides its parameters, in order. Raises EquationError where it is no formula."""
    names = [part.name for part in walk(parse_formula(text, flag)) if isinstance(part, syntax.Name)]
    return [name for name in dict.fromkeys(names) if name not in parameters]
