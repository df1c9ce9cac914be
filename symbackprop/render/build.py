"""Arranging sums and products as a textbook does. One place decides the order of terms and factors."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from symbackprop.render.formula import (
    Bracket,
    Call,
    Entry,
    Formula,
    Hadamard,
    Kronecker,
    Number,
    Over,
    Power,
    Product,
    Quotient,
    Slope,
    Sum,
    Symbol,
    Transpose,
    Within,
)

ONE = Number(sympy.S.One)


def is_one(formula: Formula) -> bool:
    """Tell whether a formula is the number 1."""
    return isinstance(formula, Number) and formula.value == 1


def weight(formula: Formula) -> int:
    """How many tensors stand in a term: products of more come first."""
    if isinstance(formula, Product | Hadamard | Kronecker):
        return sum(weight(factor) for factor in formula.factors)
    if isinstance(formula, Quotient):
        return weight(formula.above)
    if isinstance(formula, Symbol):
        return 1 if formula.rank else 0
    if isinstance(formula, Transpose):
        return weight(formula.operand)
    if isinstance(formula, Over):
        return weight(formula.body)
    if isinstance(formula, Entry | Call | Power | Slope):
        return 1
    return 0


def add(terms: Sequence[tuple[int, Formula]]) -> Formula:
    """A signed sum: positive terms first, then products of more factors, gradients, and the rest in order of appearance."""
    flat: list[tuple[int, Formula]] = []
    for sign, term in terms:
        if isinstance(term, Sum):
            flat += [(sign * inner, part) for inner, part in term.terms]
        else:
            flat.append((sign, term))
    ordered = sorted(flat, key=_place_in_sum)
    if len(ordered) == 1 and ordered[0][0] > 0:
        return ordered[0][1]
    return Sum(tuple(ordered))


def _place_in_sum(item: tuple[int, Formula]) -> tuple[bool, bool, int, bool]:
    sign, term = item
    gradient = isinstance(term, Symbol) and term.name.startswith("∂")
    return (sign < 0, not isinstance(term, Number), -weight(term) if sign > 0 else weight(term), not gradient)


def place_in_product(factor: Formula) -> int:
    """Conditions first, then gradients, then names, then whatever is longer."""
    if isinstance(factor, Bracket | Within):
        return -1
    if isinstance(factor, Symbol):
        return 0 if factor.name.startswith("∂") or factor.kind == "cotangent" else 1 if factor.kind in ("parameter", "hyper") else 2
    if isinstance(factor, Transpose):
        return place_in_product(factor.operand)
    if isinstance(factor, Entry):
        return place_in_product(factor.base)
    if isinstance(factor, Slope):
        return 0
    return 4


def multiply(
    coefficient: sympy.Expr, scalars: Sequence[Formula], tensor: Formula | None, below: Sequence[Formula] = ()
) -> tuple[int, Formula]:
    """A signed product: number, scalars, then the tensor part; sizes and scalars below go under one fraction line."""
    scalars = list(scalars)
    if tensor is None:
        large = [k for k, part in enumerate(scalars) if not isinstance(part, Symbol | Number)]
        tensor = scalars.pop(large[-1]) if large else None
    sign = -1 if coefficient.could_extract_minus_sign() else 1
    coefficient *= sign
    if isinstance(tensor, Sum) and all(s < 0 for s, _ in tensor.terms):
        sign, tensor = -sign, add([(1, term) for _, term in tensor.terms])
    numerator, denominator = sympy.fraction(coefficient)
    lower = ([] if denominator == 1 else [Number(denominator)]) + list(below)
    upper = ([] if numerator == 1 else [Number(numerator)]) + list(scalars)
    small = all(isinstance(part, Number) for part in [*upper, *lower]) and tensor is not None and len(upper) <= 1
    if lower and small and denominator.is_Integer and numerator.is_Integer:
        upper = [Quotient(_product(upper) or ONE, _product(lower) or ONE)]
        lower = []
    if lower and tensor is not None and upper and denominator.is_number and not below:
        return sign, _product([Quotient(_product(upper) or ONE, _product(lower) or ONE), tensor]) or ONE
    if lower and tensor is not None and not (denominator.is_number and not below):
        return sign, Quotient(_product([*upper, tensor]) or ONE, _product(lower) or ONE)
    if lower and tensor is not None and upper:
        return sign, _product([Quotient(_product(upper) or ONE, _product(lower) or ONE), tensor]) or ONE
    if lower:
        return sign, Quotient(
            _product([*upper, *([tensor] if tensor is not None else [])]) or ONE, _product(lower) or ONE
        )
    whole = [*upper, *([tensor] if tensor is not None else [])]
    return sign, _product(whole) or ONE


def _product(factors: Sequence[Formula]) -> Formula | None:
    flat: list[Formula] = []
    for factor in factors:
        flat += factor.factors if isinstance(factor, Product) else [factor]
    if not flat:
        return None
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def chain(factors: Sequence[Formula]) -> Formula:
    """The linear-algebra product of factors in this order."""
    product = _product(factors)
    assert product is not None
    return product


def hadamard(factors: Sequence[Formula]) -> Formula:
    """The entry-by-entry product."""
    flat: list[Formula] = []
    for factor in factors:
        flat += factor.factors if isinstance(factor, Hadamard) else [factor]
    return flat[0] if len(flat) == 1 else Hadamard(tuple(sorted(flat, key=place_in_product)))


def transpose(formula: Formula) -> Formula:
    """The transpose; of a product it is written out where that removes one: (Aᵀ 1)ᵀ = 1ᵀ A."""
    if isinstance(formula, Transpose):
        return formula.operand
    if isinstance(formula, Product) and all(_is_scalar(factor) for factor in formula.factors[:-1]):
        return Product((*formula.factors[:-1], transpose(formula.factors[-1])))
    if isinstance(formula, Product) and any(isinstance(factor, Transpose) for factor in formula.factors):
        return Product(tuple(transpose(factor) for factor in reversed(formula.factors)))
    if isinstance(formula, Quotient) and not formula.elementwise:
        return Quotient(transpose(formula.above), formula.below)
    return Transpose(formula)


def _is_scalar(factor: Formula) -> bool:
    """Tell whether a factor is a number, a named scalar or a quotient of these."""
    if isinstance(factor, Quotient):
        return _is_scalar(factor.above) and _is_scalar(factor.below)
    return isinstance(factor, Number) or (isinstance(factor, Symbol) and factor.rank == 0)


def flip(sign: int, formula: Formula) -> tuple[int, Formula]:
    """Put a minus into a sum whose terms are mostly negative: -(y - o) is o - y."""
    if sign < 0 and isinstance(formula, Sum) and any(s < 0 for s, _ in formula.terms):
        return 1, add([(-s, term) for s, term in formula.terms])
    return sign, formula
