"""The syntax tree: what was written, with positions, and nothing about what it means."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text: line and column count from 1, length in characters."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Expression:
    """Anything that has a value."""

    position: Position


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """An exact number."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """``pi``, ``inf`` or ``I`` (the identity matrix)."""

    name: str


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A tensor, an index or a dimension."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """``function(arguments)``; ``order`` counts the primes of ``phi'(u)``."""

    function: str
    arguments: tuple[Expression, ...]
    order: int = 0


@dataclass(frozen=True, slots=True)
class Subscript(Expression):
    """``base[subscripts]``."""

    base: Expression
    subscripts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """A new index, with the dimension or number it runs over where that is stated."""

    position: Position
    name: str
    extent: Expression | None = None


@dataclass(frozen=True, slots=True)
class Reduction(Expression):
    """``sum[i, j](body)``; kind is sum, mean, max or logsumexp."""

    kind: str
    indices: tuple[Index, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Sum(Expression):
    """Terms with their signs, +1 or -1: flat, however many there are."""

    terms: tuple[tuple[int, Expression], ...]


@dataclass(frozen=True, slots=True)
class Product(Expression):
    """Factors from left to right; operators[k] stands before factors[k + 1]: ``*`` (the linear-algebra product) or ``/``."""

    factors: tuple[Expression, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Elementwise(Expression):
    """Factors from left to right, multiplied (``.*``) or divided (``./``) element by element."""

    factors: tuple[Expression, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Negation(Expression):
    """Minus the operand."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Power(Expression):
    """``base ^ exponent``, or ``base .^ exponent`` element by element."""

    base: Expression
    exponent: Expression
    elementwise: bool = False


@dataclass(frozen=True, slots=True)
class Transpose(Expression):
    """The transpose."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Norm(Expression):
    """``||operand||`` with the suffix of its closing bar: "", "1", "2", "F" or "inf"."""

    operand: Expression
    kind: str


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    """``left operator right`` with one of > < >= <= == !=."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement."""

    position: Position


@dataclass(frozen=True, slots=True)
class DeclaredName:
    """A name with its axes (names of dimensions or whole numbers; None: none stated), classes and default."""

    position: Position
    name: str
    axes: tuple[Expression, ...] = ()
    classes: Expression | None = None
    default: Expression | None = None


@dataclass(frozen=True, slots=True)
class Declaration(Statement):
    """``dim``, ``batch``, ``input``, ``target``, ``param`` or ``hyper`` with the names it declares."""

    kind: str
    names: tuple[DeclaredName, ...]


@dataclass(frozen=True, slots=True)
class FunctionDefinition(Statement):
    """``function name(parameters) = body``; an open function has no body."""

    name: str
    parameters: tuple[str, ...]
    body: Expression | None


@dataclass(frozen=True, slots=True)
class Assignment(Statement):
    """``left[indices] = right``; indices is None for an equation without subscripts."""

    left: str
    indices: tuple[Index, ...] | None
    right: Expression


@dataclass(frozen=True, slots=True)
class Minimize(Statement):
    """``minimize name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Output(Statement):
    """``output names``."""

    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """A whole text: its title (the first comment), its statements, and its lines for messages."""

    filename: str
    title: str
    statements: tuple[Statement, ...]
    lines: tuple[str, ...]
