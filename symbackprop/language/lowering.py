"""From the syntax tree to a model: names are resolved, shapes are checked, equations become nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sympy

from symbackprop.errors import EquationError, ShapeError, SizeError
from symbackprop.functions.registry import POINTWISE
from symbackprop.functions.scalar import ScalarFunction, absolute, define, maximum, minimum, where
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph import operations as ops
from symbackprop.graph.analysis import default_outputs, node_constraints
from symbackprop.graph.build import leaf, pointwise
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.nodes import Leaf, argument
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import Size, dimension, format_shape
from symbackprop.graph.verify import verify
from symbackprop.language import syntax
from symbackprop.language.formula import COMPARISONS, Function, nth_derivative
from symbackprop.language.indices import (
    Affine,
    Indexed,
    Scope,
    Use,
    choose,
    combine,
    compare,
    compare_indices,
    index_value,
    infer_ranges,
    leaves_axis,
    reduce_over,
    subscripted,
    total,
)
from symbackprop.language.parser import parse_text
from symbackprop.language.walk import walk


@dataclass(frozen=True, eq=False)
class ScaledIdentity:
    """``coefficient · I``, of the size that its neighbours need."""

    coefficient: Value


class Lowering:
    """One pass over the statements, in order."""

    def __init__(self, module: syntax.Module, name: str) -> None:
        self.module, self.name = module, name
        self.dimensions: dict[str, int | None] = {}
        self.batch: str | None = None
        self.values: dict[str, Value] = {}
        self.places: dict[str, syntax.Position] = {}
        self.functions: dict[str, tuple[Function, int, tuple[str, ...]]] = {}
        self.softmaxes: set[str] = set()
        self.declared_functions: list[type[ScalarFunction]] = []
        self.declarations: list[Leaf] = []
        self.hypers: dict[str, sympy.Expr | None] = {}
        self.equations: list[Equation] = []
        self.constraints: list[tuple[Size, Size]] = []
        self.objective: str | None = None
        self.outputs: tuple[str, ...] = ()

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
        except EquationError:
            raise
        except (ShapeError, SizeError) as problem:
            raise self.error(position, str(problem)) from None

    # ------------------------------------------------------------ statements

    def model(self) -> Model:
        """Return the model of the module."""
        for statement in self.module.statements:
            if isinstance(statement, syntax.Declaration):
                self.declare(statement)
            elif isinstance(statement, syntax.FunctionDefinition):
                self.define_function(statement)
            elif isinstance(statement, syntax.Assignment):
                self.equation(statement)
            elif isinstance(statement, syntax.Minimize):
                self.minimise(statement)
            elif isinstance(statement, syntax.Output):
                self.output(statement)
        if not self.equations:
            end = syntax.Position(max(1, len(self.module.lines)), 1)
            raise self.error(end, "the model has no equation", "write one, such as  z = W x + b")
        graph = verify(Graph(tuple(self.declarations), tuple(self.equations), tuple(self.constraints)))
        model = Model(
            self.name, graph, title=self.module.title, source="\n".join(self.module.lines), dimensions=dict(self.dimensions),
            batch=self.batch, hyper_defaults=dict(self.hypers), functions=tuple(self.declared_functions),
            objective=self.objective, outputs=self.outputs,
        )  # fmt: skip
        model = model if self.outputs else replace(model, outputs=default_outputs(model))
        return replace(model, warnings=self.warnings(model))

    def warnings(self, model: Model) -> tuple[str, ...]:
        """Return a line for each equation or declaration that nothing uses."""
        end = model.objective or model.graph.equations[-1].name
        needed = model.graph.needed_for(frozenset({end, *model.outputs}))
        lines = []
        for name in (*model.graph.by_name, *model.graph.declared):
            if name not in needed:
                position = self.places[name]
                lines.append(f"{self.module.filename}:{position.line}:{position.column}: {name} is never used")
        return tuple(lines)

    def claim(self, name: str, position: syntax.Position) -> None:
        """Note a new tensor name. Raises EquationError where it is taken."""
        if name in self.places:
            raise self.error(position, f"{name} is defined twice; it stands in line {self.places[name].line} already")
        self.places[name] = position

    def declare(self, statement: syntax.Declaration) -> None:
        """Lower a declaration."""
        kind = {"param": "parameter"}.get(statement.kind, statement.kind)
        for item in statement.names:
            if kind in ("dim", "batch"):
                self.declare_dimension(kind, item)
                continue
            self.claim(item.name, item.position)
            shape = tuple(self.extent(axis) for axis in item.axes)
            classes = None if item.classes is None else self.extent(item.classes)
            declared = leaf(kind, item.name, shape, classes)
            if kind == "hyper":
                self.hypers[item.name] = None if item.default is None else self.number(item.default)
                if shape:
                    raise self.error(item.position, f"{item.name}: a hyper-parameter is a scalar")
            self.declarations.append(declared)
            self.values[item.name] = Value(declared)

    def declare_dimension(self, kind: str, item: syntax.DeclaredName) -> None:
        """Lower ``d = 784``."""
        size: int | None = None
        if item.default is not None:
            number = self.number(item.default)
            if not number.is_Integer or not 1 <= int(number) < 2**31:
                raise self.error(
                    item.default.position, f"the size of {item.name} is {_short(number)}",
                    "a whole number from 1 to 2147483647",
                )  # fmt: skip
            size = int(number)
        if item.name in self.dimensions:
            raise self.error(item.position, f"the dimension {item.name} is declared twice")
        self.dimensions[item.name] = size
        if kind == "batch":
            if self.batch is not None:
                raise self.error(item.position, f"there is a batch dimension already: {self.batch}")
            self.batch = item.name

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
        number = self.number(tree)
        if not number.is_Integer or not 1 <= int(number) < 2**31:
            raise self.error(tree.position, f"an axis of size {_short(number)}", "a whole number from 1 to 2147483647")
        return number

    def number(self, tree: syntax.Expression) -> sympy.Expr:
        """Return the exact value of a number, with its sign."""
        if isinstance(tree, syntax.Negation):
            return -self.number(tree.operand)
        if isinstance(tree, syntax.Number):
            return sympy.Rational(tree.value.numerator, tree.value.denominator)
        if isinstance(tree, syntax.Product) and all(isinstance(factor, syntax.Number) for factor in tree.factors):
            result = self.number(tree.factors[0])
            for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
                value = self.number(factor)
                if operator == "/" and value == 0:
                    raise self.error(factor.position, "division by 0")
                result = result / value if operator == "/" else result * value
            return result
        raise self.error(tree.position, "a number is needed here")

    def minimise(self, statement: syntax.Minimize) -> None:
        """Lower ``minimize J``."""
        if self.objective is not None:
            raise self.error(statement.position, f"there is an objective already: {self.objective}")
        found = next((e for e in self.equations if e.name == statement.name), None)
        if found is None:
            raise self.error(statement.position, f"{statement.name} is no equation of this model")
        if found.node.rank:
            raise self.error(
                statement.position,
                f"the objective {statement.name} has the shape {format_shape(found.node.shape)}; a scalar is needed",
            )
        self.objective = statement.name

    def output(self, statement: syntax.Output) -> None:
        """Lower ``output p``."""
        for name in statement.names:
            if not any(e.name == name for e in self.equations):
                raise self.error(statement.position, f"{name} is no equation of this model")
        self.outputs += statement.names

    def define_function(self, statement: syntax.FunctionDefinition) -> None:
        """Lower ``function f(u) = ...`` or ``function phi``."""
        name = statement.name
        if name in self.functions or name in self.places:
            raise self.error(statement.position, f"{name} is defined twice")
        parameters = statement.parameters or ("u",)
        if len(set(parameters)) < len(parameters):
            raise self.error(statement.position, f"{name} has two parameters of one name")
        if statement.body is None:
            function = define(name, tuple(sympy.Symbol(p) for p in parameters), None)
            self.functions[name] = (function, len(parameters), ())
            self.declared_functions.append(function)
            return
        closure: dict[str, sympy.Symbol] = {}
        body = self.formula(statement.body, {p: sympy.Symbol(p) for p in parameters}, closure)
        symbols = tuple(sympy.Symbol(p) for p in parameters) + tuple(closure.values())
        function = define(name, symbols, tidy(body), visible=len(parameters))
        self.functions[name] = (function, len(parameters), tuple(closure))
        self.declared_functions.append(function)

    def equation(self, statement: syntax.Assignment) -> None:
        """Lower ``left = right``."""
        for part in walk(statement.right):
            if isinstance(part, syntax.Name) and part.name == statement.left and statement.left not in self.values:
                raise self.error(
                    part.position,
                    f"{statement.left} is defined by itself",
                    "a recurrence is written out, one name for each step",
                )
        self.claim(statement.left, statement.position)
        with self.at(statement.right.position):
            if statement.indices is None:
                lowered = self.matrix(statement.right)
                value = self.plain(lowered, statement.right)
                indices: tuple[str, ...] = ()
            else:
                value, indices = self.index_equation(statement)
        equation = Equation(statement.left, value.node, indices)
        if isinstance(statement.right, syntax.Call) and statement.right.function == "softmax":
            self.softmaxes.add(statement.left)
        self.note_constraints(equation, statement)
        self.equations.append(equation)
        self.values[statement.left] = Value(equation.reference, value.row)

    def note_constraints(self, equation: Equation, statement: syntax.Assignment) -> None:
        """Keep the sizes that must be equal and test them on the defaults."""
        for left, right in node_constraints(equation.node):
            sizes = {symbol: self.dimensions.get(symbol.name) for symbol in (left - right).free_symbols}
            defaults = {symbol: sympy.Integer(size) for symbol, size in sizes.items() if size is not None}
            known = sympy.expand((left - right).xreplace(defaults))
            if known.is_number and known != 0:
                raise self.error(
                    statement.right.position,
                    f"the sizes {left} ({left.xreplace(defaults)}) and {right} ({right.xreplace(defaults)}) must be equal here",
                )
            if (left, right) not in self.constraints and (right, left) not in self.constraints:
                self.constraints.append((left, right))

    # ------------------------------------------------------------ matrix form

    def plain(self, lowered: Value | ScaledIdentity, tree: syntax.Expression) -> Value:
        """Return a value; an identity whose size nothing gives is refused."""
        if isinstance(lowered, ScaledIdentity):
            raise self.error(
                tree.position, "nothing says how large this I is", "add it to a matrix, or multiply it with one"
            )
        return lowered

    def matrix(self, tree: syntax.Expression) -> Value | ScaledIdentity:
        """Lower an expression without bound indices."""
        with self.at(tree.position):
            return _MATRIX[type(tree)](self, tree)

    def value(self, tree: syntax.Expression) -> Value:
        """Lower an expression that is no bare identity."""
        return self.plain(self.matrix(tree), tree)

    def lookup(self, tree: syntax.Name) -> Value:
        """Return the value of a name: a tensor, else a dimension's size."""
        if tree.name in self.values:
            return self.values[tree.name]
        if tree.name in self.dimensions:
            return ops.value(dimension(tree.name))
        if tree.name in self.functions or tree.name in POINTWISE:
            raise self.error(
                tree.position, f"{tree.name} is a function", f"its argument in parentheses: {tree.name}(...)"
            )
        close = _closest(tree.name, [*self.values, *self.dimensions, *self.functions])
        raise self.error(tree.position, f"{tree.name} is not defined", f"define it above, or did you mean {close}?" if close else
                         "every name is declared or defined in a line above")  # fmt: skip

    def identity_sum(self, tree: syntax.Sum) -> Value | ScaledIdentity:
        """Lower a sum; an identity takes the size of the other terms."""
        terms = [(sign, self.matrix(term)) for sign, term in tree.terms]
        shaped = [term for _, term in terms if isinstance(term, Value) and term.node.rank]
        identities = [term for _, term in terms if isinstance(term, ScaledIdentity)]
        if identities and not shaped:
            if len(identities) == len(terms):
                coefficient = ops.total(
                    [(sign, term.coefficient) for sign, term in terms if isinstance(term, ScaledIdentity)]
                )
                return ScaledIdentity(coefficient)
            raise self.error(
                tree.position, "nothing says how large this I is", "add it to a matrix, or multiply it with one"
            )
        resolved = []
        for sign, term in terms:
            if isinstance(term, ScaledIdentity):
                if shaped[0].node.rank != 2:
                    raise self.error(
                        tree.position, f"I is added to {ops.describe(shaped[0])}; a square matrix is needed"
                    )
                term = ops.times(term.coefficient, ops.identity(shaped[0].shape[0]))
            resolved.append((sign, term))
        return ops.total(resolved)

    def product(self, tree: syntax.Product) -> Value | ScaledIdentity:
        """Lower a product from left to right."""
        self.refuse_unknown_call(tree)
        result = self.matrix(tree.factors[0])
        for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
            right = self.matrix(factor)
            with self.at(factor.position):
                if operator == "/":
                    if isinstance(right, ScaledIdentity):
                        raise ShapeError("division by a matrix; ^-1 inverts")
                    if isinstance(result, ScaledIdentity):
                        result = ScaledIdentity(ops.quotient(result.coefficient, right))
                    else:
                        result = ops.quotient(result, right)
                elif isinstance(result, ScaledIdentity) or isinstance(right, ScaledIdentity):
                    result = _identity_product(result, right)
                else:
                    result = ops.product(result, right)
        return result

    def refuse_unknown_call(self, tree: syntax.Product) -> None:
        """Raise for ``foo(x)`` where foo is nothing: it was meant as a function."""
        for name in tree.factors[:-1]:
            if isinstance(name, syntax.Name) and name.name not in self.values and name.name not in self.dimensions:
                line = self.module.lines[name.position.line - 1]
                if line[name.position.column - 1 + name.position.length :][:1] == "(":
                    close = _closest(name.name, [*self.functions, *POINTWISE, *_SPECIAL])
                    raise self.error(
                        name.position, f"there is no function {name.name}",
                        f"did you mean {close}?" if close else f"declare it: function {name.name}(u) = ...",
                    )  # fmt: skip

    def elementwise(self, tree: syntax.Elementwise) -> Value:
        """Lower ``a ⊙ b ./ c``."""
        result = self.value(tree.factors[0])
        for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
            right = self.value(factor)
            with self.at(factor.position):
                result = ops.times(result, right) if operator == ".*" else ops.over(result, right)
        return result

    def power(self, tree: syntax.Power) -> Value:
        """Lower ``base ^ exponent``."""
        base = self.value(tree.base)
        exponent = self.value(tree.exponent)
        if tree.elementwise:
            return ops.elementwise_power(base, exponent)
        if base.node.rank == 0:
            return ops.elementwise_power(base, exponent) if exponent.node.rank == 0 else ops.power(base, sympy.nan)
        payload = (
            exponent.node.payload[0] if not exponent.node.operands and exponent.node.family == "pointwise" else None
        )
        if payload is None:
            raise self.error(
                tree.exponent.position, "the power of a matrix is a whole number", ".^ works element by element"
            )
        return ops.power(base, payload)

    def call(self, tree: syntax.Call) -> Value | ScaledIdentity:
        """Lower a call of a built-in or declared function."""
        name = tree.function
        special = _SPECIAL.get(name)
        if special is not None and name not in self.functions and tree.order == 0:
            return special(self, tree)
        function, count, closure = self.function(tree)
        if len(tree.arguments) != count:
            raise self.error(
                tree.position, f"{name} takes {count} argument{'s' * (count != 1)}, not {len(tree.arguments)}"
            )
        arguments = [self.value(argument) for argument in tree.arguments]
        return ops.apply(function, *arguments, *[self.values[other] for other in closure])

    def function(self, tree: syntax.Call) -> tuple[Function, int, tuple[str, ...]]:
        """Return a scalar function, the number of its arguments, and the names its formula reads besides."""
        if tree.function in self.functions:
            function, count, closure = self.functions[tree.function]
        elif tree.function in POINTWISE:
            function, closure = POINTWISE[tree.function], ()
            count = getattr(function, "visible", 1)
        else:
            close = _closest(tree.function, [*self.functions, *POINTWISE, *_SPECIAL])
            raise self.error(
                tree.position, f"there is no function {tree.function}", f"did you mean {close}?" if close else ""
            )
        if tree.order and count != 1:
            raise self.error(tree.position, f"{tree.function}' : a prime needs a function of one argument")
        return nth_derivative(function, tree.order), count, closure

    # ------------------------------------------------------------ index form

    def index_equation(self, statement: syntax.Assignment) -> tuple[Value, tuple[str, ...]]:
        """Lower ``Y[i, j] = ...``."""
        assert statement.indices is not None
        scope, labels = self.bind(statement.indices, statement.right, Scope())
        body = self.indexed(statement.right, scope)
        place = {label: k for k, label in enumerate(labels)}
        shape = tuple(scope.sizes[label] for label in labels)
        node = pointwise(argument(0), [(body.node, tuple(place[label] for label in body.labels))], shape)
        return Value(node), tuple(index.name for index in statement.indices)

    def bind(
        self, indices: tuple[syntax.Index, ...], body: syntax.Expression, scope: Scope
    ) -> tuple[Scope, tuple[int, ...]]:
        """Return the scope inside brackets that bring new indices, whose ranges are stated or follow from the subscripts."""
        names = [index.name for index in indices]
        for k, index in enumerate(indices):
            if index.name in names[:k]:
                raise self.error(index.position, f"the index {index.name} stands here twice")
        sizes: dict[str, Size] = {}
        for index in indices:
            if index.extent is not None:
                sizes[index.name] = self.extent(index.extent)
        known = {name: scope.sizes[label] for name, label in scope.labels.items() if name not in names}
        wanted = [name for name in names if name not in sizes]
        self.refuse_unbound(body, {*scope.labels, *names})
        if wanted:
            inner = [index.name for part in walk(body) if isinstance(part, syntax.Reduction) for index in part.indices]
            stated = {
                index.name: self.extent(index.extent)
                for part in walk(body) if isinstance(part, syntax.Reduction)
                for index in part.indices if index.extent is not None and index.name not in names
            }  # fmt: skip
            uses = list(self.uses(body))
            free = [name for name in dict.fromkeys(inner) if name not in names and name not in stated]
            found = infer_ranges([*wanted, *free], uses, {**known, **sizes, **stated})
            for index in indices:
                if index.name in wanted and index.name not in found:
                    raise self.error(
                        index.position,
                        f"nothing says how far the index {index.name} runs",
                        f"state it: {index.name} in SIZE",
                    )
            sizes.update({name: found[name] for name in wanted})
        return scope.bound(names, sizes)

    def refuse_unbound(self, body: syntax.Expression, bound: set[str]) -> None:
        """Raise for a name in a subscript that nothing binds."""
        inner = {index.name for part in walk(body) if isinstance(part, syntax.Reduction) for index in part.indices}
        for part in walk(body):
            if isinstance(part, syntax.Subscript):
                for name in walk(part.subscripts):
                    if isinstance(name, syntax.Name) and name.name not in {
                        *bound,
                        *inner,
                        *self.values,
                        *self.dimensions,
                    }:
                        raise self.error(
                            name.position, f"the index {name.name} is bound nowhere",
                            "by a left side, or by sum[...]; nothing is summed implicitly",
                        )  # fmt: skip

    def uses(self, body: syntax.Expression) -> Iterator[Use]:
        """Yield every subscript of a tensor below an expression."""
        for part in walk(body):
            if not isinstance(part, syntax.Subscript) or not isinstance(part.base, syntax.Name):
                continue
            base = self.values.get(part.base.name)
            if base is None or base.node.rank != len(part.subscripts):
                continue
            for size, subscript in zip(base.shape, part.subscripts, strict=True):
                coefficients = self.coefficients(subscript)
                if coefficients is not None:
                    offset = coefficients.pop("", sympy.S.Zero)
                    yield Use(size, offset, coefficients)

    def coefficients(self, tree: syntax.Expression) -> dict[str, sympy.Expr] | None:
        """Return the coefficients of the index names of an affine expression ("" is the offset), or None."""
        if isinstance(tree, syntax.Number):
            return {"": self.number(tree)}
        if isinstance(tree, syntax.Name):
            if tree.name in self.values:
                return None
            return {tree.name: sympy.S.One} if tree.name not in self.dimensions else {tree.name: sympy.S.One}
        if isinstance(tree, syntax.Negation):
            inner = self.coefficients(tree.operand)
            return None if inner is None else {name: -c for name, c in inner.items()}
        if isinstance(tree, syntax.Sum):
            merged: dict[str, sympy.Expr] = {}
            for sign, term in tree.terms:
                inner = self.coefficients(term)
                if inner is None:
                    return None
                for name, c in inner.items():
                    merged[name] = merged.get(name, sympy.S.Zero) + sign * c
            return merged
        if isinstance(tree, syntax.Product) and set(tree.operators) <= {"*"}:
            parts = [self.coefficients(factor) for factor in tree.factors]
            if any(part is None for part in parts):
                return None
            constants = [part for part in parts if part is not None and set(part) == {""}]
            others = [part for part in parts if part is not None and set(part) != {""}]
            if len(others) > 1:
                return None
            number = sympy.Mul(*[part[""] for part in constants])
            return {name: c * number for name, c in others[0].items()} if others else {"": number}
        return None

    def affine(self, tree: syntax.Expression, scope: Scope) -> Affine | None:
        """Return an index expression: affine in bound indices, sizes and integer tensors; None where it is not."""
        if isinstance(tree, syntax.Number):
            number = self.number(tree)
            return Affine(number) if number.is_Integer else None
        if isinstance(tree, syntax.Name):
            if tree.name in scope.labels:
                return Affine(sympy.S.Zero, {scope.labels[tree.name]: sympy.S.One})
            found = self.values.get(tree.name)
            if found is not None:
                integer = isinstance(found.node, Leaf) and found.node.classes is not None and found.node.rank == 0
                return Affine(sympy.S.Zero, {}, ((sympy.S.One, Indexed(found.node)),)) if integer else None
            return Affine(dimension(tree.name)) if tree.name in self.dimensions else None
        if isinstance(tree, syntax.Negation):
            inner = self.affine(tree.operand, scope)
            return None if inner is None else inner.times(sympy.S.NegativeOne)
        if isinstance(tree, syntax.Sum):
            result = Affine(sympy.S.Zero)
            for sign, term in tree.terms:
                inner = self.affine(term, scope)
                if inner is None:
                    return None
                result = result.plus(inner, sign)
            return result
        if isinstance(tree, syntax.Product) and set(tree.operators) <= {"*"}:
            result = Affine(sympy.S.One)
            for factor in tree.factors:
                inner = self.affine(factor, scope)
                if inner is None or not (inner.is_constant or result.is_constant):
                    return None
                result = result.times(inner.offset) if inner.is_constant else inner.times(result.offset)
            return result
        if isinstance(tree, syntax.Subscript) and isinstance(tree.base, syntax.Name):
            found = self.values.get(tree.base.name)
            if found is not None and isinstance(found.node, Leaf) and found.node.classes is not None:
                return Affine(sympy.S.Zero, {}, ((sympy.S.One, self.subscript(tree, scope)),))
        return None

    def indexed(self, tree: syntax.Expression, scope: Scope) -> Indexed:
        """Lower an expression inside brackets or under a left side with indices."""
        if not any(isinstance(part, syntax.Name) and part.name in scope.labels for part in walk(tree)):
            value = self.value(tree)
            if value.node.rank:
                raise self.error(
                    tree.position, f"{ops.describe(value)} stands among indices without its own", "give it subscripts"
                )
            return Indexed(value.node)
        with self.at(tree.position):
            return _INDEXED[type(tree)](self, tree, scope)

    def subscript(self, tree: syntax.Subscript, scope: Scope) -> Indexed:
        """Lower ``A[i, 2 j + 1, tok[k]]``."""
        if not isinstance(tree.base, syntax.Name):
            raise self.error(
                tree.base.position, "only a name takes subscripts", "give the expression a name of its own"
            )
        base = self.lookup(tree.base)
        if base.node.rank != len(tree.subscripts):
            raise self.error(
                tree.position,
                f"{tree.base.name} has {base.node.rank} ax{'i' if base.node.rank == 1 else 'e'}s ({format_shape(base.shape)}), "
                f"and {len(tree.subscripts)} subscript{'s' * (len(tree.subscripts) != 1)} here",
            )
        subscripts = []
        defaults = {name: size for name, size in self.dimensions.items() if size is not None}
        for size, part in zip(base.shape, tree.subscripts, strict=True):
            found = self.affine(part, scope)
            if found is None:
                self.refuse_unbound(syntax.Subscript(part.position, tree.base, (part,)), set(scope.labels))
                raise self.error(
                    part.position,
                    "a subscript is a sum of indices, whole numbers and sizes",
                    "such as  2 i + a, 0, n - 1 - i or tok[t]",
                )
            if (
                found.plain is None
                and leaves_axis(found, size, scope, defaults)
                and not set(found.indices) & scope.guarded
            ):
                raise self.error(
                    part.position,
                    f"this subscript leaves its axis of size {size}",
                    "padding is written where(condition, value, 0)",
                )
            subscripts.append(found)
        return subscripted(base.node, subscripts, scope)

    def reduction(self, tree: syntax.Reduction, scope: Scope) -> Indexed:
        """Lower ``sum[i, j](body)``."""
        inner, bound = self.bind(tree.indices, tree.body, scope)
        return reduce_over(tree.kind, self.indexed(tree.body, inner), bound, inner)

    def condition(self, tree: syntax.Expression, scope: Scope) -> Indexed:
        """Lower a comparison to a 0/1 value."""
        if not isinstance(tree, syntax.Comparison):
            raise self.error(tree.position, "a comparison is needed here", "one of > < >= <= == !=")
        left, right = self.affine(tree.left, scope), self.affine(tree.right, scope)
        if left is not None and right is not None:
            return compare_indices(tree.operator, left, right, scope)
        return compare(tree.operator, self.indexed(tree.left, scope), self.indexed(tree.right, scope), scope)

    # ------------------------------------------------------------ formulas

    def formula(
        self, tree: syntax.Expression, parameters: Mapping[str, sympy.Symbol], closure: dict[str, sympy.Symbol]
    ) -> sympy.Expr:
        """Lower the body of a function; the hypers and parameters it reads are collected in ``closure``."""

        def inner(part: syntax.Expression) -> sympy.Expr:
            return self.formula(part, parameters, closure)

        if isinstance(tree, syntax.Number):
            return self.number(tree)
        if isinstance(tree, syntax.Constant) and tree.name != "I":
            return sympy.pi if tree.name == "pi" else sympy.oo
        if isinstance(tree, syntax.Name):
            return self.formula_name(tree, parameters, closure)
        if isinstance(tree, syntax.Sum):
            return sympy.Add(*[sign * inner(term) for sign, term in tree.terms])
        if isinstance(tree, syntax.Product | syntax.Elementwise):
            result = inner(tree.factors[0])
            for operator, factor in zip(tree.operators, tree.factors[1:], strict=True):
                right = inner(factor)
                if operator in ("/", "./") and right == 0:
                    raise self.error(factor.position, "division by 0")
                result = result / right if operator in ("/", "./") else result * right
            return result
        if isinstance(tree, syntax.Negation):
            return -inner(tree.operand)
        if isinstance(tree, syntax.Power):
            power = ops.elementwise_power(ops.value(inner(tree.base)), ops.value(inner(tree.exponent)))
            return power.node.payload[0]
        if isinstance(tree, syntax.Norm):
            return absolute(inner(tree.operand))
        if isinstance(tree, syntax.Comparison):
            return COMPARISONS[tree.operator](inner(tree.left), inner(tree.right))
        if isinstance(tree, syntax.Call):
            return self.formula_call(tree, inner, closure)
        raise self.error(
            tree.position, "a function's formula is made of scalars: no subscripts, sums over indices or transposes"
        )

    def formula_name(
        self, tree: syntax.Name, parameters: Mapping[str, sympy.Symbol], closure: dict[str, sympy.Symbol]
    ) -> sympy.Expr:
        """Return the symbol of a name in a formula."""
        if tree.name in parameters:
            return parameters[tree.name]
        found = self.values.get(tree.name)
        if found is not None and isinstance(found.node, Leaf) and found.node.kind in ("hyper", "parameter"):
            return closure.setdefault(tree.name, sympy.Symbol(tree.name))
        if found is not None:
            raise self.error(
                tree.position, f"a formula reads its arguments, hypers and parameters; {tree.name} is none of them"
            )
        if tree.name in self.dimensions:
            return dimension(tree.name)
        raise self.error(tree.position, f"{tree.name} is not defined", f"the arguments are {', '.join(parameters)}")

    def formula_call(
        self, tree: syntax.Call, inner: Callable[[syntax.Expression], sympy.Expr], closure: dict[str, sympy.Symbol]
    ) -> sympy.Expr:
        """Lower a call in a formula."""
        arguments = [inner(argument) for argument in tree.arguments]
        if tree.function in ("max", "min") and tree.order == 0 and len(arguments) > 1:
            return maximum(*arguments) if tree.function == "max" else minimum(*arguments)
        if tree.function == "where" and len(arguments) == 3:
            return where(*arguments)
        function, count, names = self.function(tree)
        if len(arguments) != count:
            raise self.error(
                tree.position, f"{tree.function} takes {count} argument{'s' * (count != 1)}, not {len(arguments)}"
            )
        return function(*arguments, *[closure.setdefault(name, sympy.Symbol(name)) for name in names])


def _short(number: sympy.Expr) -> str:
    text = str(number)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _closest(name: str, known: list[str]) -> str:
    import difflib

    found = difflib.get_close_matches(name, known, n=1)
    return found[0] if found else ""


def _identity_product(left: Value | ScaledIdentity, right: Value | ScaledIdentity) -> Value | ScaledIdentity:
    if isinstance(left, ScaledIdentity) and isinstance(right, ScaledIdentity):
        return ScaledIdentity(ops.times(left.coefficient, right.coefficient))
    identity, other = (left, right) if isinstance(left, ScaledIdentity) else (right, left)
    assert isinstance(identity, ScaledIdentity) and isinstance(other, Value)
    if other.node.rank == 0:
        return ScaledIdentity(ops.times(identity.coefficient, other))
    return ops.times(identity.coefficient, other)


# ---------------------------------------------------------------- tables


def _matrix_constant(lowering: Lowering, tree: Any) -> Value | ScaledIdentity:
    if tree.name == "I":
        return ScaledIdentity(ops.value(1))
    return ops.value(sympy.pi if tree.name == "pi" else sympy.oo)


def _matrix_comparison(lowering: Lowering, tree: Any) -> Value:
    left, right = lowering.value(tree.left), lowering.value(tree.right)
    return ops.apply(COMPARISONS[tree.operator], left, right)


def _matrix_subscript(lowering: Lowering, tree: Any) -> Value:
    found = lowering.subscript(tree, Scope())
    return Value(found.node)


_MATRIX: dict[type[Any], Callable[[Lowering, Any], Value | ScaledIdentity]] = {
    syntax.Number: lambda lowering, tree: ops.value(lowering.number(tree)),
    syntax.Constant: _matrix_constant,
    syntax.Name: Lowering.lookup,
    syntax.Sum: Lowering.identity_sum,
    syntax.Product: Lowering.product,
    syntax.Elementwise: Lowering.elementwise,
    syntax.Negation: lambda lowering, tree: lowering.identity_sum(syntax.Sum(tree.position, ((-1, tree.operand),))),
    syntax.Power: Lowering.power,
    syntax.Transpose: lambda lowering, tree: ops.transpose(lowering.value(tree.operand)),
    syntax.Norm: lambda lowering, tree: ops.norm(lowering.value(tree.operand), tree.kind),
    syntax.Call: Lowering.call,
    syntax.Subscript: _matrix_subscript,
    syntax.Reduction: lambda lowering, tree: Value(lowering.reduction(tree, Scope()).node),
    syntax.Comparison: _matrix_comparison,
}


def _one(function: Callable[[Value], Value]) -> Callable[[Lowering, syntax.Call], Value]:
    def lower_call(lowering: Lowering, tree: syntax.Call) -> Value:
        _count(lowering, tree, 1)
        return function(lowering.value(tree.arguments[0]))

    return lower_call


def _two(function: Callable[[Value, Value], Value]) -> Callable[[Lowering, syntax.Call], Value]:
    def lower_call(lowering: Lowering, tree: syntax.Call) -> Value:
        _count(lowering, tree, 2)
        return function(lowering.value(tree.arguments[0]), lowering.value(tree.arguments[1]))

    return lower_call


def _count(lowering: Lowering, tree: syntax.Call, count: int) -> None:
    if len(tree.arguments) != count:
        raise lowering.error(
            tree.position, f"{tree.function} takes {count} argument{'s' * (count != 1)}, not {len(tree.arguments)}"
        )


def _extreme(kind: str) -> Callable[[Lowering, syntax.Call], Value]:
    def lower_call(lowering: Lowering, tree: syntax.Call) -> Value:
        values = [lowering.value(argument) for argument in tree.arguments]
        if len(values) > 1:
            return ops.apply(maximum if kind == "max" else minimum, *values)
        if kind == "max":
            return ops.reduce_all("max", values[0])
        return ops.negate(ops.reduce_all("max", ops.negate(values[0])))

    return lower_call


def _filled(number: int) -> Callable[[Lowering, syntax.Call], Value]:
    def lower_call(lowering: Lowering, tree: syntax.Call) -> Value:
        return ops.filled(number, *[lowering.extent(argument) for argument in tree.arguments])

    return lower_call


def _onehot(lowering: Lowering, tree: syntax.Call) -> Value:
    if not 1 <= len(tree.arguments) <= 2:
        _count(lowering, tree, 1)
    classes = lowering.value(tree.arguments[0])
    if not isinstance(classes.node, Leaf) or classes.node.classes is None:
        raise lowering.error(
            tree.position, f"onehot needs an integer tensor, not {ops.describe(classes)}", "declare it: target y in q"
        )
    size = lowering.extent(tree.arguments[1]) if len(tree.arguments) == 2 else classes.node.classes
    return ops.onehot(classes, size)


def _cross_entropy(lowering: Lowering, tree: syntax.Call) -> Value:
    _count(lowering, tree, 2)
    logits = tree.arguments[0]
    if _is_softmax(lowering, logits):
        raise lowering.error(
            logits.position,
            "cross_entropy takes logits, and this is a softmax already",
            "cross_entropy(o, y) with the o inside the softmax",
        )
    return ops.cross_entropy(lowering.value(logits), lowering.value(tree.arguments[1]))


def _is_softmax(lowering: Lowering, tree: syntax.Expression) -> bool:
    if isinstance(tree, syntax.Call):
        return tree.function == "softmax"
    if isinstance(tree, syntax.Name):
        return tree.name in lowering.softmaxes
    return False


def _where(lowering: Lowering, tree: syntax.Call) -> Value:
    _count(lowering, tree, 3)
    return ops.apply(where, *[lowering.value(argument) for argument in tree.arguments])


def _size(lowering: Lowering, tree: syntax.Call) -> Value:
    _count(lowering, tree, 1)
    (name,) = tree.arguments
    if not isinstance(name, syntax.Name) or name.name not in lowering.dimensions:
        raise lowering.error(tree.position, "size takes the name of a dimension")
    return ops.value(dimension(name.name))


_SPECIAL: dict[str, Callable[[Lowering, Any], Value | ScaledIdentity]] = {
    "sum": _one(ops.sum_all),
    "mean": _one(ops.mean_all),
    "max": _extreme("max"),
    "min": _extreme("min"),
    "logsumexp": _one(ops.logsumexp),
    "softmax": _one(ops.softmax),
    "log_softmax": _one(ops.log_softmax),
    "cross_entropy": _cross_entropy,
    "tr": _one(ops.trace),
    "det": _one(lambda value: ops.scalar_of_matrix("det", value)),
    "logdet": _one(lambda value: ops.scalar_of_matrix("logdet", value)),
    "inv": _one(ops.inverse),
    "diag": _one(ops.diagonal),
    "norm": _one(ops.norm),
    "ones": _filled(1),
    "zeros": _filled(0),
    "onehot": _onehot,
    "rowsum": _one(ops.row_sum),
    "colsum": _one(ops.column_sum),
    "size": _size,
    "where": _where,
}
"""The functions that are not applied element by element."""


def _indexed_product(lowering: Lowering, tree: Any, scope: Scope) -> Indexed:
    parts = [lowering.indexed(factor, scope) for factor in tree.factors]
    expression = argument(0)
    for k, operator in enumerate(tree.operators, start=1):
        expression = expression / argument(k) if operator in ("/", "./") else expression * argument(k)
    return combine(expression, parts, scope)


def _indexed_call(lowering: Lowering, tree: Any, scope: Scope) -> Indexed:
    name = tree.function
    if name == "where" and name not in lowering.functions:
        _count(lowering, tree, 3)
        condition = lowering.condition(tree.arguments[0], scope)
        guarded = replace(scope, guarded=scope.guarded | frozenset(condition.labels))
        return choose(
            condition, lowering.indexed(tree.arguments[1], guarded), lowering.indexed(tree.arguments[2], guarded), scope
        )
    if name in ("max", "min") and name not in lowering.functions and len(tree.arguments) > 1:
        parts = [lowering.indexed(argument, scope) for argument in tree.arguments]
        symbols = [argument(k) for k in range(len(parts))]
        return combine(maximum(*symbols) if name == "max" else minimum(*symbols), parts, scope)
    if name in _SPECIAL and name not in lowering.functions:
        raise lowering.error(
            tree.position,
            f"{name} of indexed entries",
            "bracket the indices it goes over, as in sum[i](...), or name the tensor first",
        )
    function, count, closure = lowering.function(tree)
    _count(lowering, tree, count)
    parts = [lowering.indexed(part, scope) for part in tree.arguments]
    parts += [Indexed(lowering.values[other].node) for other in closure]
    return combine(function(*[argument(k) for k in range(len(parts))]), parts, scope)


def _indexed_power(lowering: Lowering, tree: Any, scope: Scope) -> Indexed:
    parts = [lowering.indexed(tree.base, scope), lowering.indexed(tree.exponent, scope)]
    return combine(argument(0) ** argument(1), parts, scope)


def _refuse(message: str) -> Callable[[Lowering, Any, Scope], Indexed]:
    def lower_tree(lowering: Lowering, tree: Any, scope: Scope) -> Indexed:
        raise lowering.error(tree.position, message)

    return lower_tree


_INDEXED: dict[type[Any], Callable[[Lowering, Any, Scope], Indexed]] = {
    syntax.Name: lambda lowering, tree, scope: index_value(tree.name, scope),
    syntax.Subscript: Lowering.subscript,
    syntax.Sum: lambda lowering, tree, scope: total([(s, lowering.indexed(t, scope)) for s, t in tree.terms], scope),
    syntax.Product: _indexed_product,
    syntax.Elementwise: _indexed_product,
    syntax.Negation: lambda lowering, tree, scope: combine(
        -argument(0), [lowering.indexed(tree.operand, scope)], scope
    ),
    syntax.Power: _indexed_power,
    syntax.Norm: lambda lowering, tree, scope: combine(
        absolute(argument(0)), [lowering.indexed(tree.operand, scope)], scope
    ),
    syntax.Transpose: _refuse("a single entry has no transpose: swap the subscripts"),
    syntax.Call: _indexed_call,
    syntax.Reduction: Lowering.reduction,
    syntax.Comparison: Lowering.condition,
}


def lower(text: str | bytes, *, name: str = "model", filename: str = "<text>") -> Model:
    """Return the model of an equation text. Raises EquationError with the position of what is wrong."""
    return Lowering(parse_text(text, filename), name).model()
