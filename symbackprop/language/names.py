"""What the statements so far have declared, and the errors that point into their text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sympy

from symbackprop.errors import EquationError, ShapeError, SizeError
from symbackprop.functions.registry import POINTWISE
from symbackprop.functions.scalar import ScalarFunction, derivative, maximum, minimum, where
from symbackprop.graph import operations as ops
from symbackprop.graph.analysis import node_constraints
from symbackprop.graph.nodes import Leaf, Node, Reduction
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import Size, dimension
from symbackprop.language import syntax
from symbackprop.language.numbers import bounded
from symbackprop.language.vocabulary import FUNCTIONS

SIZE_LIMIT = 2**31


@dataclass(frozen=True)
class Function:
    """A scalar function: what it makes of SymPy expressions, how many arguments it has, and the tensors it reads besides."""

    apply: Callable[..., Any]
    count: int
    closure: tuple[str, ...] = ()


class Names:
    """The dimensions, tensors and functions that an expression may mention."""

    def __init__(self, module: syntax.Module) -> None:
        self.module = module
        self.dimensions: dict[str, int | None] = {}
        self.batch: str | None = None
        self.values: dict[str, Value] = {}
        self.definitions: dict[str, Node] = {}
        self.functions: dict[str, Function] = {}
        self.constraints: list[tuple[Size, Size]] = []

    # ------------------------------------------------------------ errors

    def error(self, position: syntax.Position, message: str, hint: str = "") -> EquationError:
        """Return the error for a place in the text."""
        source = self.module.lines[position.line - 1] if position.line <= len(self.module.lines) else ""
        return EquationError(
            message, file=self.module.filename, line=position.line, column=position.column,
            source_line=source, length=position.length, hint=hint,
        )  # fmt: skip

    @contextmanager
    def at(self, position: syntax.Position) -> Iterator[None]:
        """Give an error of the graph the place of the expression it came from."""
        try:
            yield
        except (ShapeError, SizeError) as problem:
            message, _, hint = str(problem).partition("; ")
            raise self.error(position, message, hint) from None

    def undefined(self, tree: syntax.Name) -> EquationError:
        """Return the error for a name that means nothing here."""
        if tree.name in self.functions or tree.name in FUNCTIONS:
            return self.error(tree.position, f"{tree.name} is a function", f"its argument in parentheses: {tree.name}(...)")
        close = closest(tree.name, [*self.values, *self.dimensions, *self.functions])
        hint = f"define it above, or did you mean {close}?" if close else "every name is declared or defined in a line above"
        return self.error(tree.position, f"{tree.name} is not defined", hint)

    def no_function(self, position: syntax.Position, name: str) -> EquationError:
        """Return the error for a function that does not exist."""
        close = closest(name, [*self.functions, *sorted(FUNCTIONS)])
        hint = f"did you mean {close}?" if close else f"declare it: function {name}(u) = ..."
        return self.error(position, f"there is no function {name}", hint)

    # ------------------------------------------------------------ sizes and numbers

    def extent(self, tree: syntax.Expression) -> Size:
        """Return the size of an axis: a dimension, or a whole number."""
        if isinstance(tree, syntax.Name):
            if tree.name not in self.dimensions:
                known = ", ".join(self.dimensions) or "none yet"
                raise self.error(
                    tree.position, f"there is no dimension {tree.name}", f"a whole number, or one of: {known}"
                )
            if tree.name == self.batch:
                raise self.error(
                    tree.position, f"{tree.name} is the batch dimension, and no axis",
                    "equations are per example; leave out `batch` to write the examples' axis yourself",
                )  # fmt: skip
            return dimension(tree.name)
        if not isinstance(tree, syntax.Number | syntax.Negation):
            raise self.error(
                tree.position, "a size is the name of a dimension or a whole number", "declare it: dim m = ..."
            )
        return self.whole(tree, "an axis of size {}")

    def length(self, tree: syntax.Expression) -> Size:
        """Return how far an index runs: a size, or arithmetic with sizes and ``floor`` that gives a whole number."""
        if isinstance(tree, syntax.Name | syntax.Number | syntax.Negation):
            return self.extent(tree)
        size = sympy.expand(self.size_arithmetic(tree))
        least = self.at_defaults(size)
        if not size.is_integer or (least.is_number and least < 1):
            raise self.error(tree.position, f"a size of {size}", "a whole number of 1 or more; floor(...) rounds down")
        return size

    def size_arithmetic(self, tree: syntax.Expression) -> sympy.Expr:
        """Return a sum, difference, product or quotient of sizes and numbers, rounded down where ``floor`` says so."""
        if isinstance(tree, syntax.Sum):
            return sympy.Add(*[sign * self.size_arithmetic(term) for sign, term in tree.terms])
        if isinstance(tree, syntax.Product):
            result = self.size_arithmetic(tree.factors[0])
            for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
                part = self.size_arithmetic(factor)
                if operator == "/" and part == 0:
                    raise self.error(factor.position, "division by 0")
                with self.at(factor.position):
                    result = bounded(result / part if operator == "/" else result * part)
            return result
        if isinstance(tree, syntax.Call) and tree.function == "size":
            return self.size_call(tree)
        if isinstance(tree, syntax.Call) and tree.function == "floor":
            self.count(tree, 1)
            return sympy.floor(sympy.expand(self.size_arithmetic(tree.arguments[0])))
        return self.extent(tree) if isinstance(tree, syntax.Name) else self.number(tree)

    def whole(self, tree: syntax.Expression, what: str) -> sympy.Integer:
        """Return the number of a size."""
        number = self.number(tree)
        if not number.is_Integer or not 1 <= int(number) < SIZE_LIMIT:
            text = str(number)
            shown = text if len(text) <= 40 else f"{text[:40]}..."
            raise self.error(tree.position, what.format(shown), f"a whole number from 1 to {SIZE_LIMIT - 1}")
        return number

    def number(self, tree: syntax.Expression) -> sympy.Expr:
        """Return the exact value of a number, with its sign."""
        if isinstance(tree, syntax.Negation):
            return -self.number(tree.operand)
        if isinstance(tree, syntax.Number):
            return sympy.Rational(tree.value.numerator, tree.value.denominator)
        if isinstance(tree, syntax.Product):
            result = self.number(tree.factors[0])
            for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
                value = self.number(factor)
                if operator == "/" and value == 0:
                    raise self.error(factor.position, "division by 0")
                with self.at(factor.position):
                    result = bounded(result / value if operator == "/" else result * value)
            return result
        raise self.error(tree.position, "a number is needed here")

    def size_call(self, tree: syntax.Call) -> Size:
        """Return the size that ``size(h)`` means."""
        self.count(tree, 1)
        (name,) = tree.arguments
        if not isinstance(name, syntax.Name) or name.name not in self.dimensions:
            raise self.error(name.position, "size takes the name of a dimension", "such as size(h)")
        return dimension(name.name)

    def differ(self, left: Size, right: Size) -> bool:
        """Tell whether two sizes differ at the default sizes."""
        return self._unequal((left, right))

    def require_equal(self, left: Size, right: Size, position: syntax.Position) -> None:
        """Note that two sizes must be equal. Raises EquationError where they differ at the default sizes."""
        if self.differ(left, right):
            sizes = f"{self.show_size(left)} and {self.show_size(right)}"
            raise self.error(position, f"the sizes {sizes} must be equal here")
        if (left, right) not in self.constraints and (right, left) not in self.constraints:
            self.constraints.append((left, right))

    def conflict(self, node: Node) -> tuple[Size, Size] | None:
        """Return two sizes that an expression takes to be equal and that differ at the default sizes."""
        return next((pair for pair in node_constraints(node) if self._unequal(pair)), None)

    def _unequal(self, pair: tuple[Size, Size]) -> bool:
        known = self.at_defaults(pair[0] - pair[1])
        return bool(known.is_number and known != 0)

    def at_defaults(self, size: sympy.Expr) -> sympy.Expr:
        """Return an expression in sizes with the default sizes put in."""
        sizes = {symbol: self.dimensions.get(symbol.name) for symbol in size.free_symbols}
        return sympy.expand(size.xreplace({s: sympy.Integer(n) for s, n in sizes.items() if n is not None}))

    def show_size(self, size: Size) -> str:
        """Return a size with its default, for messages: ``h (256)``."""
        number = self.at_defaults(size)
        return f"{size} ({number})" if number.is_number and number != size else f"{size}"

    # ------------------------------------------------------------ names and functions

    def lookup(self, tree: syntax.Name) -> Value:
        """Return the value of a name: a tensor, else a dimension's size."""
        if tree.name in self.values:
            return self.values[tree.name]
        if tree.name in self.dimensions:
            return ops.value(dimension(tree.name))
        raise self.undefined(tree)

    def is_softmax(self, node: Node) -> bool:
        """Tell whether a value is a softmax along its last axis, however it was written or named."""
        while isinstance(node, Leaf) and node.name in self.definitions:
            node = self.definitions[node.name]
        logsumexps = [part for part in node.operands if isinstance(part, Reduction) and part.kind == "logsumexp"]
        return any(ops.softmax(Value(part.operands[0])).node is node for part in logsumexps)

    def count(self, tree: syntax.Call, *counts: int) -> None:
        """Raise unless a call has one of these numbers of arguments."""
        if len(tree.arguments) not in counts:
            wanted = " or ".join(map(str, counts))
            plural = "s" * (counts != (1,))
            raise self.error(tree.position, f"{tree.function} takes {wanted} argument{plural}, not {len(tree.arguments)}")

    def scalar_function(self, tree: syntax.Call) -> Function:
        """Return the function of a call that works element by element. Raises where there is none, or it is called wrongly."""
        name, given = tree.function, len(tree.arguments)
        if name in self.functions:
            function = self.functions[name]
        elif name in ("max", "min") and given > 1:
            function = Function(maximum if name == "max" else minimum, given)
        elif name == "where":
            function = Function(where, 3)
        elif name in POINTWISE:
            function = Function(POINTWISE[name], getattr(POINTWISE[name], "visible", 1))
        elif name in FUNCTIONS:
            what = f"the derivative {name}{tree.order * chr(39)}" if tree.order else f"{name} of scalars"
            raise self.error(tree.position, f"{what} is not offered")
        else:
            raise self.no_function(tree.position, name)
        if tree.order and (function.count != 1 or name in ("max", "min", "where")):
            raise self.error(tree.position, f"{name}{tree.order * chr(39)}: a prime needs a function of one argument")
        self.count(tree, function.count)
        if name == "where" and not is_condition(tree.arguments[0]):
            raise self.no_condition(tree.arguments[0])
        return Function(_nth_derivative(function.apply, tree.order), function.count, function.closure)

    def no_condition(self, tree: syntax.Expression) -> EquationError:
        """Return the error for something that is compared with nothing."""
        return self.error(
            tree.position, "a comparison is needed here", "one of > < >= <= == !=, or several joined by ⊙"
        )


def is_condition(tree: syntax.Expression) -> bool:
    """Tell whether an expression is a comparison, or a product of comparisons (all of which hold)."""
    if isinstance(tree, syntax.Product | syntax.Elementwise):
        return all(is_condition(factor) for factor in tree.factors) and not set(tree.operators) & {"/", "./"}
    return isinstance(tree, syntax.Comparison)


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like a name, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return found[0] if found else ""


def _nth_derivative(function: Callable[..., Any], order: int) -> Callable[..., Any]:
    result: Any = function
    for _ in range(order):
        result = _derived(result)
    return result


def _derived(function: Any) -> Callable[..., Any]:
    named = isinstance(function, type) and issubclass(function, ScalarFunction)
    if named:
        return derivative(function, 0)
    variable = sympy.Dummy("u")
    slope = function(variable).diff(variable)
    return lambda argument, *rest: slope.xreplace({variable: argument})
