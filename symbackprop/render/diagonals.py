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
    rows, columns, others = list[Formula](), list[Formula](), list[Formula]()
    for factor in formula.factors:
        first, second = factor.factors if isinstance(factor, Product) and len(factor.factors) == 2 else (factor, None)
        if isinstance(second, Transpose) and isinstance(second.operand, Ones):  # v 1ᵀ
            rows.append(first)
        elif isinstance(first, Ones) and isinstance(second, Transpose):  # 1 vᵀ
            columns.append(second.operand)
        else:
            others.append(factor)
    if not others or not rows and not columns:
        return formula
    left = [Call("diag", (hadamard(rows),))] if rows else []
    right = [Call("diag", (hadamard(columns),))] if columns else []
    return chain([*left, hadamard(others), *right])
