"""Scalar rewriting: stable spellings, and derivatives written through a function's own value."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import sympy

from symbackprop.functions.scalar import ScalarFunction, absolute, sigmoid, sign, softplus, tanh

Expr: TypeAlias = sympy.Expr


@cache
def tidy(expression: Expr) -> Expr:
    """Return the expression in its stable, canonical spelling.

    1/(1 + e^-x) is sigmoid(x); log(1 + e^x) is softplus(x); log sigmoid(x) = -softplus(-x);
    log(1 - sigmoid(x)) = -softplus(x); log e^x = x; the root of a square is a magnitude. SymPy's Abs, sign and tanh become our own.
    """
    if not expression.args:
        return expression
    arguments = [tidy(part) for part in expression.args]
    if any(new != old for new, old in zip(arguments, expression.args, strict=True)):
        expression = expression.func(*arguments)
    if isinstance(expression, sympy.Pow):
        return _tidy_power(expression)
    if isinstance(expression, sympy.log):
        return _tidy_logarithm(expression)
    if isinstance(expression, sympy.Mul):
        return _tidy_product(expression)
    if isinstance(expression, sympy.Abs):
        return absolute(expression.args[0])
    if isinstance(expression, sympy.sign):
        return sign(expression.args[0])
    if isinstance(expression, sympy.tanh) and not expression.is_number:
        return tanh(expression.args[0])
    return expression


def _exponent_over_one(expression: Expr) -> Expr | None:
    """x where the expression is 1 + e^x."""
    if expression.is_Add and len(expression.args) == 2 and sympy.S.One in expression.args:
        other = expression.args[0] if expression.args[1] == 1 else expression.args[1]
        if isinstance(other, sympy.exp):
            return other.args[0]
        if isinstance(other, sympy.Pow) and isinstance(other.base, sympy.exp):
            return other.base.args[0] * other.exp
    return None


def _tidy_power(expression: sympy.Pow) -> Expr:
    base, exponent = expression.args
    if exponent.is_Integer and exponent.is_negative:
        inner = _exponent_over_one(base)
        if inner is not None:
            return sigmoid(-inner) ** -exponent
    if isinstance(base, sympy.Pow) and base.exp.is_Integer and base.exp.is_even and exponent.is_Rational:
        return tidy(absolute(base.base) ** (base.exp * exponent))
    if isinstance(base, absolute) and exponent.is_Integer and exponent.is_even:
        return base.args[0] ** exponent
    return expression


def _tidy_logarithm(expression: sympy.log) -> Expr:
    (inner,) = expression.args
    exponent = _exponent_over_one(inner)
    if exponent is not None:
        return softplus(exponent)
    if isinstance(inner, sympy.exp):
        return inner.args[0]
    if isinstance(inner, sigmoid):
        return -softplus(-inner.args[0])
    if inner.is_Pow and isinstance(inner.base, sigmoid):
        return -inner.exp * softplus(-inner.base.args[0])
    if inner.is_Add and len(inner.args) == 2 and sympy.S.One in inner.args:
        other = inner - 1
        if isinstance(-other, sigmoid):
            return -softplus((-other).args[0])
    if inner.is_Mul and any(isinstance(factor, sympy.exp | sigmoid) for factor in inner.args):
        exponential = [factor for factor in inner.args if isinstance(factor, sympy.exp | sigmoid)]
        rest = sympy.Mul(*[factor for factor in inner.args if factor not in exponential])
        return sympy.Add(sympy.log(rest), *[tidy(sympy.log(factor)) for factor in exponential])
    return expression


def _tidy_product(expression: sympy.Mul) -> Expr:
    """e^a e^b is e^(a+b); e^x sigmoid(-x)^k is sigmoid(x) sigmoid(-x)^(k-1): neither overflows where the product does not."""
    exponentials = [factor for factor in expression.args if isinstance(factor, sympy.exp)]
    if len(exponentials) > 1:
        rest = [factor for factor in expression.args if not isinstance(factor, sympy.exp)]
        return tidy(sympy.Mul(*rest, sympy.exp(sympy.Add(*[factor.args[0] for factor in exponentials]))))
    powers = expression.as_powers_dict()
    for base in list(powers):
        if isinstance(base, sigmoid) and powers[base].is_Integer and powers[base] >= 1:
            exponential = sympy.exp(-base.args[0])
            if exponential in expression.args:
                remaining = sympy.Mul(*[factor for factor in expression.args if factor != exponential])
                return tidy(remaining / base * sigmoid(-base.args[0]))
    return expression


@cache
def oriented(expression: Expr) -> Expr:
    """Return the expression with numbers and signs where they read best, the same for all its spellings.

    A number that all terms of a sum have stands before the sum: a/2 + b/2 is (a + b)/2. The sign of a product is inside its
    first difference: -(a - b) c is (b - a) c.
    """
    if not expression.args:
        return expression
    arguments = [oriented(part) for part in expression.args]
    if any(new != old for new, old in zip(arguments, expression.args, strict=True)):
        expression = expression.func(*arguments)
    if expression.is_Add:
        numbers = {abs(term.as_coeff_Mul()[0]) for term in expression.args}
        (number, *others) = numbers
        if others or number == 1 or not number.is_Rational:
            return expression
        return sympy.Mul(number, expression.func(*[term / number for term in expression.args]), evaluate=False)
    if not expression.is_Mul:
        return expression
    coefficient, rest = expression.as_coeff_Mul()
    factors = list(sympy.Mul.make_args(rest))
    differences = sorted((k for k, factor in enumerate(factors) if _is_difference(factor)), key=lambda k: _unsigned(factors[k]))
    turned = [k for k in differences[1:] if is_reversed(_base(factors[k]))]
    if differences and coefficient.is_negative is (len(turned) % 2 == 0):
        turned.append(differences[0])
    if not turned:
        return expression
    for k in turned:
        factors[k] = (-_base(factors[k])) ** (factors[k].exp if factors[k].is_Pow else 1)
    product = sympy.Mul(*factors)
    coefficient = abs(coefficient) if differences else coefficient
    return sympy.Mul(coefficient, product, evaluate=not product.is_Add or coefficient == 1)


def is_reversed(total: Expr) -> bool:
    """Tell whether a sum is the one of itself and its negative that is not taken: that of a negative number, if it has one."""
    number = total.as_coeff_Add()[0]
    return bool(number.is_negative if number else total.could_extract_minus_sign())


def _unsigned(factor: Expr) -> Any:
    """A key for the order of differences that is the same for a - b and b - a."""
    base = _base(factor)
    return sympy.default_sort_key(-base if is_reversed(base) else base)


def _base(factor: Expr) -> Expr:
    return factor.base if factor.is_Pow else factor


def _is_difference(factor: Expr) -> bool:
    """Tell whether a factor is a sum of terms of both signs, or an odd power of one."""
    base = _base(factor)
    if not base.is_Add or (factor.is_Pow and not (factor.exp.is_Integer and factor.exp.is_odd)):
        return False
    negative = sum(term.could_extract_minus_sign() for term in base.args)
    return 0 < negative < len(base.args)


def through_value(function: type[ScalarFunction], position: int, body: Expr) -> Expr | None:
    """Write a derivative through the function's own value f, if that is shorter: found by solving, not listed.

    Only for functions of one variable in which the formula is a Moebius function of one exponential (or tanh): then
    the exponential is solved for and put into the derivative, which is kept if it is a polynomial in f (no pole is added).
    """
    if function.visible != 1 or len(function.parameters) != 1 or function.body is None:
        return None
    symbol = function.parameters[position]
    call, value = function(symbol), sympy.Dummy("value")
    if body.has(call.func) and not body.xreplace({call: value}).has(symbol):
        return body
    formula = sympy.expand_power_exp(function.body).replace(sigmoid, lambda u: 1 / (1 + sympy.exp(-u)))
    derivative = sympy.expand_power_exp(body).replace(sigmoid, lambda u: 1 / (1 + sympy.exp(-u)))
    exponentials = sorted(formula.atoms(sympy.exp), key=sympy.default_sort_key)
    if not exponentials or sympy.count_ops(formula) > 12:
        return None
    generator = sympy.Dummy("generator")
    base = min(exponentials, key=sympy.count_ops)
    replace = {
        exponential: generator ** sympy.cancel(exponential.args[0] / base.args[0]) for exponential in exponentials
    }
    for exponential in sorted(derivative.atoms(sympy.exp), key=sympy.default_sort_key):
        replace[exponential] = generator ** sympy.cancel(exponential.args[0] / base.args[0])
    formula, derivative = formula.xreplace(replace), derivative.xreplace(replace)
    if formula.has(symbol) or derivative.has(symbol) or not formula.is_rational_function(generator):
        return None
    numerator, denominator = sympy.fraction(sympy.together(formula))
    equation = sympy.Poly(sympy.expand(numerator - value * denominator), generator)
    if equation.degree() != 1:
        return None
    solution = -equation.coeff_monomial(1) / equation.coeff_monomial(generator)
    result = sympy.factor(sympy.cancel(derivative.xreplace({generator: solution})))
    if not result.is_polynomial(value) or sympy.count_ops(result) >= sympy.count_ops(body) + 2:
        return None
    return result.xreplace({value: call})
