"""From text to the syntax tree: one LALR grammar, one statement at a time, nothing that grows with the depth of the input."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

from symbackprop.errors import EquationError
from symbackprop.language import syntax
from symbackprop.language.source import decode
from symbackprop.language.syntax import Position
from symbackprop.language.tokens import Lines, Tokenizer, split_lines
from symbackprop.language.vocabulary import RESERVED, STATEMENTS


class _GivenTokens(Lexer):
    """The parser is handed tokens, not text."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, data: Any) -> Iterator[Token]:  # type: ignore[override]
        return iter(data)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=_GivenTokens, transformer=_Builder(), maybe_placeholders=True)


def parse_text(text: str | bytes, filename: str = "<text>") -> syntax.Module:
    """Return the syntax tree of a model. Raises EquationError with the place of what is wrong."""
    source = split_lines(decode(text, filename), filename)
    tokenizer = Tokenizer(source)
    statements = []
    for tokens in tokenizer.statements():
        statement = _parse_statement(tokens, source)
        if isinstance(statement, syntax.FunctionDefinition):
            tokenizer.functions.add(statement.name)
        statements.append(statement)
    return syntax.Module(filename, tokenizer.title, tuple(statements), source.lines)


def parse_formula(text: str, filename: str = "<formula>") -> syntax.Expression:
    """Return the tree of one expression, such as the formula of an activation. Raises EquationError."""
    module = parse_text(f"formula_ = ({text}\n)", filename)
    if len(module.statements) != 1:
        raise EquationError("one expression is needed", file=filename, line=1, column=1, source_line=text)
    (statement,) = module.statements
    assert isinstance(statement, syntax.Assignment)
    return statement.right


def _parse_statement(tokens: list[Token], source: Lines) -> syntax.Statement:
    try:
        statement: Any = _parser().parse(tokens)
        return statement
    except UnexpectedInput as problem:
        raise _explained(problem, tokens, source) from None
    except _Refusal as refusal:
        place = refusal.position
        raise source.error(place.line, place.column, refusal.message, refusal.hint, place.length) from None


# ---------------------------------------------------------------- messages

_WORDS = {
    "NAME": "a name", "NUMBER": "a number", "COMMA": ",", "EQUALS": "=", "RPAR": ")", "RBRACKET": "]", "RSUB": "]",
    "LPAR": "(", "LBRACKET": "[", "LSUB": "[", "IN": "in", "NORM_CLOSE": "||", "$END": "the end of the line",
}  # fmt: skip


def _explained(problem: UnexpectedInput, tokens: list[Token], source: Lines) -> EquationError:
    token = getattr(problem, "token", None)
    if not isinstance(problem, UnexpectedToken) or token is None:
        return source.error(tokens[0].line or 1, tokens[0].column or 1, "this cannot be read")
    accepted = problem.accepts or problem.expected
    expected = _expected(accepted)
    if token.type == "$END":
        last = tokens[-1]
        column = (last.end_column or last.column or 1) if last.column else 1
        return source.error(last.line or 1, column, "the statement ends too early", f"expected {expected}")
    line, column, length = token.line or 1, token.column or 1, max(1, (token.end_column or 0) - (token.column or 0))
    position = tokens.index(token)
    if token.type == "NAME" and position == 0 or token is tokens[0]:
        return source.error(
            line,
            column,
            f"{token} cannot begin a statement",
            f"{', '.join(STATEMENTS)}, or an equation: z = ...",
            length,
        )
    if str(token) in RESERVED and "NAME" in accepted and not {"FUNCTION", "REDUCER"} & set(accepted):
        return source.error(
            line, column, f"{token} is a word of the language and cannot be a name", "choose another name", length
        )
    before = tokens[position - 1]
    if before.type in ("FUNCTION", "REDUCER") and token.type not in ("LPAR", "LBRACKET", "PRIME"):
        return source.error(
            before.line or 1, before.column or 1, f"{before} is a function, and a function is followed by its argument",
            f"{before}(...)", len(before),
        )  # fmt: skip
    if token.type == "EQUALS" and any(other.type == "EQUALS" for other in tokens[:position]):
        return source.error(line, column, "a second = in one equation", "one equation a line; compare with ==", length)
    if token.type == "COMPARE" and "COMPARE" not in accepted:
        return source.error(line, column, "comparisons do not chain", "nest where(a > b, where(...), ...)", length)
    return source.error(line, column, f"{token} does not fit here", f"expected {expected}", length)


def _expected(accepted: Any) -> str:
    names = set(accepted)
    words = []
    if names & {"NUMBER", "LPAR"} and "NAME" in names and "FUNCTION" in names:
        words.append("an operand (a name, a number or a bracket)")
        names -= {"NUMBER", "NAME", "FUNCTION", "REDUCER", "CONSTANT", "LPAR", "NORM_OPEN"}
    if names & {"STAR", "PLUS"}:
        words.append("an operator")
        names -= {
            "STAR",
            "SLASH",
            "PLUS",
            "MINUS",
            "DOTSTAR",
            "DOTSLASH",
            "POWER",
            "DOTPOWER",
            "SUPERSCRIPT",
            "TRANSPOSE",
            "PRIME",
            "COMPARE",
        }
    words += sorted({_WORDS[name] for name in names if name in _WORDS})
    return " or ".join(words) or "something else"


# ---------------------------------------------------------------- the tree


class _Refusal(Exception):  # noqa: N818  (not an error of ours: it becomes one)
    def __init__(self, position: Position, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.position, self.message, self.hint = position, message, hint


def _at(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1, max(1, (token.end_column or 0) - (token.column or 0)))


class _Builder(Transformer):  # type: ignore[type-arg]
    """Builds the tree while the parser reduces, so that no walk of its own is needed."""

    # statements

    def dimensions(self, children: list[Any]) -> syntax.Declaration:
        kind = "dim" if children[0].type == "KW_DIM" else "batch"
        names = tuple(child for child in children[1:] if isinstance(child, syntax.DeclaredName))
        if kind == "batch" and len(names) > 1:
            raise _Refusal(names[1].position, "there is one batch dimension")
        return syntax.Declaration(_at(children[0]), kind, names)

    def sized(self, children: list[Any]) -> syntax.DeclaredName:
        return syntax.DeclaredName(
            _at(children[0]), str(children[0]), default=children[2] if len(children) > 1 else None
        )

    def declaration(self, children: list[Any]) -> syntax.Declaration:
        kind = str(children[0])
        names = tuple(child for child in children[1:] if isinstance(child, syntax.DeclaredName))
        for name in names:
            if name.default is not None and kind != "hyper":
                raise _Refusal(
                    name.default.position, f"only a hyper-parameter has a default, not the {kind} {name.name}"
                )
            if name.classes is not None and kind not in ("input", "target"):
                raise _Refusal(
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
            raise _Refusal(
                _at(name), f"{name} is given by a formula and needs its argument", f"function {name}(u) = ..."
            )
        return syntax.FunctionDefinition(_at(name), str(name), tuple(parameters or ()), body)

    def parameters(self, children: list[Any]) -> tuple[str, ...]:
        return tuple(str(child) for child in children if child.type == "NAME")

    def equation(self, children: list[Any]) -> syntax.Assignment:
        name, opened, indices, _, _, right = children
        return syntax.Assignment(_at(name), str(name), (indices or ()) if opened is not None else None, right)

    def minimize(self, children: list[Any]) -> syntax.Minimize:
        return syntax.Minimize(_at(children[1]), str(children[1]))

    def output(self, children: list[Any]) -> syntax.Output:
        return syntax.Output(_at(children[1]), tuple(str(child) for child in children[1:] if child.type == "NAME"))

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
            operators.append(operator)
            factors.append(factor)
        return syntax.Product(children[0].position, tuple(factors), tuple(operators))

    def following(self, children: list[Any]) -> tuple[str, syntax.Expression]:
        if len(children) == 1:
            return "*", children[0]
        return ("*" if children[0].type == "STAR" else "/"), children[1]

    def negation(self, children: list[Any]) -> syntax.Negation:
        return syntax.Negation(_at(children[0]), children[1])

    def positive(self, children: list[Any]) -> syntax.Expression:
        result: syntax.Expression = children[1]
        return result

    def powered(self, children: list[Any]) -> syntax.Expression:
        result, powers = children[0], 0
        for kind, position, exponent in children[1:]:
            powers = powers + 1 if kind in ("^", ".^") else 0
            if powers > 1:
                raise _Refusal(position, "a^b^c can be read in two ways", "put one power in brackets")
            if kind == "T":
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
        arguments = next((child for child in children if isinstance(child, tuple)), ())
        return syntax.Call(_at(children[0]), str(children[0]), arguments, primes)

    def arguments(self, children: list[Any]) -> tuple[syntax.Expression, ...]:
        return tuple(child for child in children if isinstance(child, syntax.Expression))

    def reduction(self, children: list[Any]) -> syntax.Reduction:
        word, _, indices, _, _, body, _ = children
        return syntax.Reduction(_at(word), str(word), indices, body)

    def parenthesised(self, children: list[Any]) -> syntax.Expression:
        result: syntax.Expression = children[1]
        return result

    def norm(self, children: list[Any]) -> syntax.Norm:
        return syntax.Norm(_at(children[0]), children[1], str(children[2]))
