"""From the parser's reductions to the syntax tree, and what a grammar cannot refuse."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lark import Token, Transformer

from symbackprop.language import syntax
from symbackprop.language.syntax import Position

PRIME_LIMIT = 8


class Refusal(Exception):  # noqa: N818  (not an error of ours: the parser makes one of it)
    """A reason, and its place in the text."""

    def __init__(self, position: Position, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.position, self.message, self.hint = position, message, hint


def _at(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1, max(1, (token.end_column or 0) - (token.column or 0)))


class _TreeBuilder(Transformer):  # type: ignore[type-arg]
    """Builds the tree while the parser reduces, so that no walk of its own is needed."""

    # statements

    def dimensions(self, children: list[Any]) -> syntax.Declaration:
        kind = "dim" if children[0].type == "KW_DIM" else "batch"
        names = tuple(child for child in children[1:] if isinstance(child, syntax.DeclaredName))
        if kind == "batch" and len(names) > 1:
            raise Refusal(names[1].position, "there is one batch dimension")
        return syntax.Declaration(_at(children[0]), kind, names)

    def sized(self, children: list[Any]) -> syntax.DeclaredName:
        name, _, default = children
        return syntax.DeclaredName(_at(name), str(name), default=default)

    def declaration(self, children: list[Any]) -> syntax.Declaration:
        kind = str(children[0])
        names = tuple(child for child in children[1:] if isinstance(child, syntax.DeclaredName))
        for name in names:
            if name.default is not None and kind != "hyper":
                raise Refusal(
                    name.default.position, f"only a hyper-parameter has a default, not the {kind} {name.name}"
                )
            if name.classes is not None and kind not in ("input", "target"):
                raise Refusal(
                    name.classes.position, f"only inputs and targets hold integers, not the {kind} {name.name}"
                )
        return syntax.Declaration(_at(children[0]), kind, names)

    def declared(self, children: list[Any]) -> syntax.DeclaredName:
        name, axes, _, classes, _, default = children
        return syntax.DeclaredName(_at(name), str(name), axes or (), classes, default)

    def axes(self, children: list[Any]) -> tuple[syntax.Expression, ...]:
        return tuple(child for child in children if isinstance(child, syntax.Expression))

    def function(self, children: list[Any]) -> syntax.FunctionDefinition:
        _, name, parameters, _, body = children
        if body is not None and parameters is None:
            raise Refusal(
                _at(name), f"{name} is given by a formula and needs its argument", f"function {name}(u) = ..."
            )
        for position, parameter in enumerate(parameters or ()):
            if str(parameter) in parameters[:position]:
                raise Refusal(_at(parameter), f"{name} has two parameters of one name")
        return syntax.FunctionDefinition(_at(name), str(name), tuple(map(str, parameters or ())), body)

    def parameters(self, children: list[Any]) -> tuple[Token, ...]:
        return tuple(child for child in children if child.type == "NAME")

    def equation(self, children: list[Any]) -> syntax.Assignment:
        name, opened, indices, _, _, right = children
        return syntax.Assignment(_at(name), str(name), (indices or ()) if opened is not None else None, right)

    def minimize(self, children: list[Any]) -> syntax.Minimize:
        return syntax.Minimize(_at(children[1]), str(children[1]))

    def output(self, children: list[Any]) -> syntax.Output:
        names = tuple(self.name([child]) for child in children[1:] if child.type == "NAME")
        return syntax.Output(_at(children[0]), names)

    def indices(self, children: list[Any]) -> tuple[syntax.Index, ...]:
        return tuple(child for child in children if isinstance(child, syntax.Index))

    def index(self, children: list[Any]) -> syntax.Index:
        return syntax.Index(_at(children[0]), str(children[0]), children[2])

    # expressions

    def comparison(self, children: list[Any]) -> syntax.Comparison:
        left, operator, right = children
        return syntax.Comparison(_at(operator), str(operator), left, right)

    def sum(self, children: list[Any]) -> syntax.Sum:
        return syntax.Sum(children[0].position, ((1, children[0]), *children[1:]))

    def signed(self, children: list[Any]) -> tuple[int, syntax.Expression]:
        return (1 if children[0].type == "PLUS" else -1, children[1])

    def elementwise(self, children: list[Any]) -> syntax.Elementwise:
        operators = tuple(".*" if child.type == "DOTSTAR" else "./" for child in children[1::2])
        return syntax.Elementwise(children[0].position, tuple(children[0::2]), operators)

    def product(self, children: list[Any]) -> syntax.Product:
        factors, operators = [children[0]], []
        for operator, factor in children[1:]:
            if operator == "" and isinstance(factor, syntax.Number) and isinstance(factors[-1], syntax.Number):
                raise Refusal(factor.position, "two numbers side by side", "write * between them")
            operators.append(operator or "*")
            factors.append(factor)
        return syntax.Product(children[0].position, tuple(factors), tuple(operators))

    def following(self, children: list[Any]) -> tuple[str, syntax.Expression]:
        if len(children) == 1:
            return "", children[0]
        return ("*" if children[0].type == "STAR" else "/"), children[1]

    def negation(self, children: list[Any]) -> syntax.Expression:
        sign, operand = children
        result: syntax.Expression = syntax.Negation(_at(sign), operand)
        return operand.operand if isinstance(operand, syntax.Negation) else result

    def positive(self, children: list[Any]) -> syntax.Expression:
        result: syntax.Expression = children[1]
        return result

    def powered(self, children: list[Any]) -> syntax.Expression:
        result, powers = children[0], 0
        for kind, position, exponent in children[1:]:
            powers = powers + 1 if kind in ("^", ".^") else 0
            if powers > 1:
                raise Refusal(position, "a^b^c can be read in two ways", "put one power in brackets")
            if kind == "T" and isinstance(result, syntax.Transpose):
                result = result.operand
            elif kind == "T":
                result = syntax.Transpose(result.position, result)
            else:
                result = syntax.Power(result.position, result, exponent, kind == ".^")
        return result

    def suffix(self, children: list[Any]) -> tuple[str, Position, syntax.Expression | None]:
        token = children[0]
        if token.type in ("TRANSPOSE", "PRIME"):
            return "T", _at(token), None
        if token.type == "SUPERSCRIPT":
            number: syntax.Expression = syntax.Number(_at(token), Fraction(abs(int(token))))
            return "^", _at(token), syntax.Negation(_at(token), number) if token.startswith("-") else number
        _, sign, exponent = children
        if sign is not None and sign.type == "MINUS":
            exponent = syntax.Negation(_at(sign), exponent)
        return ("^" if token.type == "POWER" else ".^"), _at(token), exponent

    def sign(self, children: list[Any]) -> Token:
        token: Token = children[0]
        return token

    def number(self, children: list[Any]) -> syntax.Number:
        return syntax.Number(_at(children[0]), Fraction(str(children[0])))

    def constant(self, children: list[Any]) -> syntax.Constant:
        return syntax.Constant(_at(children[0]), str(children[0]))

    def name(self, children: list[Any]) -> syntax.Name:
        return syntax.Name(_at(children[0]), str(children[0]))

    def subscript(self, children: list[Any]) -> syntax.Subscript:
        name, _, arguments, _ = children
        return syntax.Subscript(_at(name), syntax.Name(_at(name), str(name)), arguments or ())

    def call(self, children: list[Any]) -> syntax.Call:
        primes = sum(1 for child in children if isinstance(child, Token) and child.type == "PRIME")
        if primes > PRIME_LIMIT:
            raise Refusal(_at(children[0]), f"{children[0]} has more than {PRIME_LIMIT} primes")
        arguments = next((child for child in children if isinstance(child, tuple)), ())
        return syntax.Call(_at(children[0]), str(children[0]), arguments, primes)

    def arguments(self, children: list[Any]) -> tuple[syntax.Expression, ...]:
        return tuple(child for child in children if isinstance(child, syntax.Expression))

    def reduction(self, children: list[Any]) -> syntax.Reduction:
        word, _, indices, _, _, body, _ = children
        return syntax.Reduction(_at(word), str(word), indices, body)

    def root(self, children: list[Any]) -> syntax.Call:
        return syntax.Call(_at(children[0]), "sqrt", (children[1],))

    def bracket(self, children: list[Any]) -> syntax.Comparison:
        opening, left, equals, right, _ = children
        if equals is not None:
            return syntax.Comparison(_at(equals), "==", left, right)
        if not isinstance(left, syntax.Comparison):
            raise Refusal(
                _at(opening), "a bracket that is no subscript holds a comparison, such as [i >= j], and is 1 or 0",
                "subscripts stand directly behind a name, without a space: A[i, j]",
            )  # fmt: skip
        return left

    def parenthesised(self, children: list[Any]) -> syntax.Expression:
        result: syntax.Expression = children[1]
        return result

    def norm(self, children: list[Any]) -> syntax.Norm:
        return syntax.Norm(_at(children[0]), children[1], str(children[2]))


def tree_builder() -> Transformer:  # type: ignore[type-arg]
    """Return what makes the syntax tree of a statement while it is parsed, so that no walk of its own is needed."""
    return _TreeBuilder()
