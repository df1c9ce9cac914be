"""The formula of a scalar expression: of one entry of a pointwise node, or of a function's definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import sympy

from symbackprop.functions import scalar
from symbackprop.render.build import ONE, add, chain, flip, multiply, place_in_product
from symbackprop.render.forms import title
from symbackprop.render.formula import Bracket, Call, Cases, Comparison, Formula, Magnitude, Number, Power, Quotient

_RELATIONS = {scalar.positive: ">", scalar.nonnegative: ">=", scalar.equals: "=="}


class ScalarForm:
    """Writes scalar expressions, of which ``known`` writes the symbols.

    ``guarded`` surrounds the writing of the two branches of a choice, and is told the condition.
    """

    def __init__(
        self,
        known: Mapping[sympy.Symbol, Callable[[], Formula]],
        guarded: Callable[[Formula], AbstractContextManager[None]] = lambda condition: nullcontext(),
    ) -> None:
        self.known, self.guarded = known, guarded
        self.position = {symbol: k for k, symbol in enumerate(known)}

    def write(self, part: sympy.Expr) -> tuple[int, Formula]:
        """Return sign and formula of an expression."""
        if part in self.position:
            return 1, self.known[part]()
        if not self._reads(part):
            return (-1, Number(-part)) if part.could_extract_minus_sign() else (1, Number(part))
        if isinstance(part, scalar.guarded):
            return self.write(part.args[0])
        if part.is_Add:
            return 1, add([self.write(term) for term in sorted(part.args, key=self._appearance)])
        if part.is_Mul:
            return self._product(part)
        if part.is_Pow:
            return 1, self._power(part)
        return 1, self._call(part)

    def plain(self, part: sympy.Expr) -> Formula:
        """Return the formula of an expression with its sign."""
        return add([self.write(part)])

    def _reads(self, part: sympy.Expr) -> bool:
        return any(symbol in self.position for symbol in part.free_symbols)

    def _appearance(self, part: sympy.Expr) -> tuple[int, str]:
        return (min((self.position[s] for s in part.free_symbols if s in self.position), default=-1), str(part))

    def _power(self, part: sympy.Pow) -> Formula:
        base, exponent = part.args
        if exponent.is_number and exponent.is_negative:
            return Quotient(ONE, self.plain(1 / part))
        if exponent == sympy.Rational(1, 2):
            return Call("sqrt", (self.plain(base),))
        return Power(self.plain(base), self.plain(exponent))

    def _product(self, part: sympy.Mul) -> tuple[int, Formula]:
        sign, coefficient = 1, sympy.S.One
        above: list[Formula] = []
        below: list[Formula] = []
        for factor in sorted(part.args, key=self._appearance):
            if not self._reads(factor):
                coefficient *= factor
                continue
            inverted = factor.is_Pow and factor.exp.is_number and factor.exp.is_negative
            inner_sign, formula = self.write(1 / factor if inverted else factor)
            sign *= inner_sign
            (below if inverted else above).append(formula)
        above.sort(key=place_in_product)
        if coefficient.could_extract_minus_sign():
            for k, formula in enumerate(above):
                new_sign, flipped = flip(-1, formula)
                if new_sign > 0:
                    above[k], coefficient = flipped, -coefficient
                    break
        inner_sign, whole = multiply(coefficient, [], chain(above) if above else None, below)
        return sign * inner_sign, whole

    def _call(self, part: sympy.Expr) -> Formula:
        if isinstance(part, scalar.absolute):
            return Magnitude(self.plain(part.args[0]))
        if isinstance(part, scalar.where):
            condition, yes, no = part.args
            decided = self._decided(condition)
            with self.guarded(decided):
                return Cases(decided, self.plain(yes), self.plain(no))
        if type(part) in _RELATIONS:
            return Bracket(self._comparison(part))
        visible = part.func.visible if isinstance(part, scalar.ScalarFunction) else len(part.args)
        return Call(title(part.func), tuple(self.plain(inner) for inner in part.args[:visible]))

    def _decided(self, part: sympy.Expr) -> Formula:
        """Return the condition of a choice, without the brackets that make it a number; 1 - [a = b] is a ≠ b."""
        if type(part) in _RELATIONS:
            return self._comparison(part)
        different = self.plain(1 - part) if part.is_Add else None
        if isinstance(different, Bracket) and different.condition.relation == "==":
            return Comparison(different.condition.left, "!=", different.condition.right)
        formula = self.plain(part)
        return formula.condition if isinstance(formula, Bracket) else formula

    def _comparison(self, part: sympy.Expr) -> Comparison:
        left, right = sympy.S.Zero, sympy.S.Zero
        for term in sympy.Add.make_args(part.args[0]):
            if term.could_extract_minus_sign():
                right -= term
            else:
                left += term
        return Comparison(self.plain(left), _RELATIONS[type(part)], self.plain(right))
