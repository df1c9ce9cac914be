"""Jacobians as textbooks write them: rows and columns are scaled by diagonal matrices, diag(s) W and not s 1ᵀ ⊙ W."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from symbackprop.render.build import chain, hadamard
from symbackprop.render.formula import Call, Formula, Hadamard, Ones, Product, Transpose


def with_diagonals(formula: Formula) -> Formula:
    """Return a formula with the scalings of rows and of columns in it written as products with diagonal matrices."""
    changed: dict[str, Any] = {field.name: _inside(getattr(formula, field.name)) for field in fields(formula)}
    formula = replace(formula, **changed)
    return _scaled(formula) if isinstance(formula, Hadamard) else formula


def _inside(part: Any) -> Any:
    if isinstance(part, Formula):
        return with_diagonals(part)
    return tuple(_inside(each) for each in part) if isinstance(part, tuple) else part


def _scaled(formula: Hadamard) -> Formula:
    rows = [factor.factors[0] for factor in formula.factors if _is_column_beside_ones(factor)]
    columns = [factor.factors[1].operand for factor in formula.factors if _is_ones_beside_row(factor)]
    others = [f for f in formula.factors if not _is_column_beside_ones(f) and not _is_ones_beside_row(f)]
    if not others or not rows and not columns:
        return formula
    left = [Call("diag", (hadamard(rows),))] if rows else []
    right = [Call("diag", (hadamard(columns),))] if columns else []
    return chain([*left, hadamard(others), *right])


def _is_column_beside_ones(factor: Any) -> bool:
    """Tell whether a factor is v 1ᵀ."""
    two = isinstance(factor, Product) and len(factor.factors) == 2
    return two and isinstance(factor.factors[1], Transpose) and isinstance(factor.factors[1].operand, Ones)


def _is_ones_beside_row(factor: Any) -> bool:
    """Tell whether a factor is 1 vᵀ."""
    two = isinstance(factor, Product) and len(factor.factors) == 2
    return two and isinstance(factor.factors[0], Ones) and isinstance(factor.factors[1], Transpose)
