"""Scalar expressions as Python for jax.numpy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import sympy

from symbackprop.functions import scalar
from symbackprop.functions.scalar import ScalarFunction
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.numbers import Numbers

_CALLS = {
    sympy.exp: "jnp.exp", sympy.log: "jnp.log", sympy.sin: "jnp.sin", sympy.cos: "jnp.cos", sympy.tan: "jnp.tan",
    sympy.sinh: "jnp.sinh", sympy.cosh: "jnp.cosh", scalar.tanh: "jnp.tanh", sympy.atan: "jnp.arctan",
    sympy.erf: "jax.scipy.special.erf", scalar.sign: "jnp.sign", scalar.absolute: "jnp.abs", scalar.relu: "jax.nn.relu",
    scalar.sigmoid: "jax.nn.sigmoid", scalar.softplus: "jax.nn.softplus",
}  # fmt: skip
_COMPARISONS = {scalar.positive: ">", scalar.nonnegative: ">=", scalar.equals: "=="}
_PRIMES = {"′": "_prime", "∂": "d"}


class NamedFunctions:
    """The functions that a module's statements call: one with a formula is a function of the module, ``opens`` are given to it."""

    def __init__(self, taken: Iterable[str]) -> None:
        """``taken`` are the names that the module has, those of its private functions without their underscore."""
        self._taken = tuple(taken)
        self._names = Identifiers(self._taken)
        self._of: dict[type[ScalarFunction], str] = {}
        self.definitions: list[tuple[str, str, str]] = []
        self.opens: set[str] = set()

    def of(self, function: type[ScalarFunction]) -> str:
        """The name of a function in the module; its definition (name, parameters, value) comes after those it calls."""
        if function not in self._of:
            assert function.body is not None
            names = Identifiers(self._taken)
            parameters = {symbol: names.of(symbol.name) for symbol in function.parameters}
            value = ScalarCode(parameters, Numbers(names), self).of(function.body)
            title = "".join(_PRIMES.get(character, character) for character in function.title)
            self._of[function] = f"_{self._names.fresh(Identifiers().of(title))}"
            self.definitions.append((self._of[function], ", ".join(parameters.values()), value))
        return self._of[function]


class ScalarCode:
    """Writes a scalar expression whose symbols have their code in ``values``; ``masks`` are those that hold truth values."""

    def __init__(
        self, values: Mapping[sympy.Symbol, str], numbers: Numbers, functions: NamedFunctions,
        masks: Mapping[sympy.Symbol, str] | None = None,
    ) -> None:  # fmt: skip
        self.values, self.numbers, self.functions, self.masks = values, numbers, functions, masks or {}

    def of(self, expression: sympy.Expr) -> str:
        """The code of an expression."""
        if expression in self.values:
            return self.values[expression]
        if not expression.free_symbols & {*self.values} and not expression.has(ScalarFunction, scalar.Primitive):
            code = self.numbers.number(expression)  # JAX takes no whole number beyond 32 bits, such as a product of sizes
            return f"float({code})" if expression.free_symbols and expression.is_integer else code
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._power(*expression.args)
        return self._function(expression)

    def _sum(self, expression: sympy.Expr) -> str:
        terms = sorted(expression.args, key=lambda term: (term.could_extract_minus_sign(), str(term)))
        first, *others = terms
        code = self.of(first)
        for term in others:
            minus = term.could_extract_minus_sign()
            inner = self.of(-term if minus else term)
            code += f" - {f'({inner})' if (-term).is_Add else inner}" if minus else f" + {inner}"
        return code

    def _product(self, expression: sympy.Expr) -> str:
        known = {*self.values}
        number = sympy.Mul(*[part for part in expression.args if not part.free_symbols & known])
        factors = sorted((part for part in expression.args if part.free_symbols & known), key=str)
        below = [part for part in factors if part.is_Pow and part.exp.is_number and part.exp.is_negative]
        above = [self._factor(part) for part in factors if part not in below]
        sign = ""
        if number.could_extract_minus_sign():
            sign, number = "-", -number
        if number != 1 or not above:
            above.insert(0, self._factor(number))
        return sign + " * ".join(above) + "".join(f" / {self._factor(1 / part)}" for part in below)

    def _factor(self, expression: sympy.Expr) -> str:
        """The code of an expression as a factor, in parentheses where it needs them."""
        code = self.of(expression)
        plain = expression in self.values or expression.is_Function or re.fullmatch(r"[\w.]+|(float)?\([^()]*\)", code)
        return code if plain else f"({code})"

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> str:
        if exponent.is_number and exponent.is_negative:
            return f"1.0 / {self._factor(base**-exponent)}"
        if exponent == sympy.Rational(1, 2):
            return f"jnp.sqrt({self.of(base)})"
        power = str(exponent) if exponent.is_Integer else self._factor(exponent)
        return f"{self._factor(base)} ** {power}"

    def _function(self, expression: sympy.Expr) -> str:
        function = expression.func
        if function in _CALLS:
            return f"{_CALLS[function]}({self.of(expression.args[0])})"
        if function in _COMPARISONS:
            return f"jnp.where({self._condition(expression)}, 1.0, 0.0)"
        if isinstance(expression, scalar.where):
            condition, yes, no = expression.args
            return f"jnp.where({self._condition(condition)}, {self.of(yes)}, {self.of(no)})"
        if isinstance(expression, scalar.guarded):
            inner = self.of(expression.args[0])
            return f"jnp.where({inner} == 0, 1.0, {inner})"
        arguments = [self.of(part) for part in expression.args]
        if isinstance(expression, scalar.maximum):
            code = arguments[0]
            for other in arguments[1:]:
                code = f"jnp.maximum({code}, {other})"
            return code
        assert isinstance(expression, ScalarFunction), function
        if function.body is None:
            title = function.title.replace("′", "'")
            self.functions.opens.add(title)
            return f"functions[{title!r}]({', '.join(arguments)})"
        return f"{self.functions.of(function)}({', '.join(arguments)})"

    def _condition(self, condition: sympy.Expr) -> str:
        """A 0/1-valued expression as a truth value: the terms of a comparison with a minus stand on its other side."""
        if condition in self.masks:
            return self.masks[condition]
        if condition.func not in _COMPARISONS:
            return f"{self._factor(condition)} > 0.5"
        terms = sympy.Add.make_args(condition.args[0])
        minus = [term for term in terms if term.could_extract_minus_sign()]
        left = sympy.Add(*[term for term in terms if term not in minus])
        right = sympy.Add(*[-term for term in minus])
        sides = [self.of(side) if side != 0 else "0" for side in (left, right)]
        return f" {_COMPARISONS[condition.func]} ".join(sides)
