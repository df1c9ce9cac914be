"""The value of a displayed formula in index form, as a reader would compute it: an entry outside its tensor is 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy

from symbackprop.render import formula as f

Scope = Mapping[str, int]


class Reader:
    """Computes formulas from the arrays of the tensors and the sizes of the dimensions."""

    def __init__(self, arrays: Mapping[str, Any], sizes: Mapping[str, int], functions: Mapping[str, Callable[..., float]]):
        self.arrays, self.sizes, self.functions = arrays, sizes, functions

    def value(self, x: f.Formula, at: Scope) -> float:
        return getattr(self, f"_{type(x).__name__.lower()}")(x, at)  # type: ignore[no-any-return]

    def size(self, value: sympy.Expr) -> Any:
        return value.xreplace({s: sympy.Integer(self.sizes[s.name]) for s in value.free_symbols})

    def _number(self, x: f.Number, at: Scope) -> float:
        return float(self.size(x.value))

    def _index(self, x: f.Index, at: Scope) -> float:
        return at[x.letter]

    def _symbol(self, x: f.Symbol, at: Scope) -> float:
        return float(self.arrays[x.name])

    def _entry(self, x: f.Entry, at: Scope) -> float:
        assert isinstance(x.base, f.Symbol)
        array = np.asarray(self.arrays[x.base.name])
        place = tuple(int(self.value(s, at)) for s in x.subscripts)
        inside = all(0 <= k < size for k, size in zip(place, array.shape, strict=True))
        return float(array[place]) if inside else 0.0

    def _sum(self, x: f.Sum, at: Scope) -> float:
        return sum(sign * self.value(term, at) for sign, term in x.terms)

    def _product(self, x: f.Product, at: Scope) -> float:
        result = 1.0
        for factor in x.factors:
            if result:  # what a condition excludes is not computed
                result *= self.value(factor, at)
        return result

    def _quotient(self, x: f.Quotient, at: Scope) -> float:
        return self.value(x.above, at) / self.value(x.below, at)

    def _power(self, x: f.Power, at: Scope) -> float:
        return self.value(x.base, at) ** self.value(x.exponent, at)

    def _magnitude(self, x: f.Magnitude, at: Scope) -> float:
        return abs(self.value(x.operand, at))

    def _call(self, x: f.Call, at: Scope) -> float:
        return self.functions[x.function](*[self.value(argument, at) for argument in x.arguments])

    def _over(self, x: f.Over, at: Scope) -> float:
        names = [name for name, _ in x.indices]
        shape = [int(self.size(size)) for _, size in x.indices]
        values = [self.value(x.body, {**at, **dict(zip(names, place, strict=True))}) for place in np.ndindex(*shape)]
        if x.kind == "sum":
            return sum(values)
        return max(values) if x.kind == "max" else math.log(sum(math.exp(v) for v in values))

    def _comparison(self, x: f.Comparison, at: Scope) -> float:
        left, right = self.value(x.left, at), self.value(x.right, at)
        return float({
            ">": left > right, ">=": left >= right, "==": left == right, "!=": left != right,
        }[x.relation])  # fmt: skip

    def _bracket(self, x: f.Bracket, at: Scope) -> float:
        return self.value(x.condition, at)

    def _within(self, x: f.Within, at: Scope) -> float:
        return float(0 <= self.value(x.operand, at) < int(self.size(x.size)))

    def _cases(self, x: f.Cases, at: Scope) -> float:
        return self.value(x.yes if self.value(x.condition, at) else x.no, at)


def near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9)


FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "erf": math.erf, "max": max,
    "sign": lambda u: float(np.sign(u)), "sigmoid": lambda u: 1 / (1 + math.exp(-u)),
    "softplus": lambda u: math.log1p(math.exp(-abs(u))) + max(u, 0), "relu": lambda u: max(u, 0.0),
    "relu′": lambda u: float(u > 0),
}  # fmt: skip
