"""Models written with Python operators: the same graph as the text gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sympy

from symbackprop.entries import HERE, Entry, Index, Operand, Tensor, extent, joined
from symbackprop.errors import EquationError, UsageError
from symbackprop.functions.scalar import ScalarFunction, define
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph import operations as ops
from symbackprop.graph.analysis import default_outputs, node_constraints, refuse_unused
from symbackprop.graph.build import leaf
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import Size, dimension
from symbackprop.graph.verify import verify
from symbackprop.language import syntax
from symbackprop.language.matrix_form import MatrixForm
from symbackprop.language.names import Function, Names
from symbackprop.language.vocabulary import FUNCTIONS, REDUCERS


class Builder:
    """Collects declarations and equations. Every function of the language is a method: ``b.relu(z)``, ``b.softmax(o)``.

    >>> b = Builder("line")
    >>> (d,) = b.dims(d=3)
    >>> x, y, w = b.input("x", d), b.target("y"), b.param("w", d)
    >>> L = b.let("L", (y - w.T @ x) ** 2)
    >>> b.minimize(L).objective
    'L'

    Index equations name the indices of their left side; the entries of tensors are written with brackets:

    >>> b = Builder("convolution")
    >>> n, m = b.dims(n=8, m=3)
    >>> X, K = b.input("X", n), b.param("K", m)
    >>> i, a = b.index("i"), b.index("a")
    >>> b.let("Y", b.sum(K[a] * X[i + a], a), i).shape
    (-m + n + 1,)
    """

    def __init__(self, name: str = "model", batch: str | None = None) -> None:
        self._name = name
        self._names = Names(syntax.Module(name, "", (), ()))
        self._names.batch = batch
        self._form = MatrixForm(self._names)
        self._declarations: list[Any] = []
        self._equations: list[Equation] = []
        self._hypers: dict[str, sympy.Expr | None] = {}
        self._functions: list[type[ScalarFunction]] = []
        self._outputs: tuple[str, ...] = ()

    # ------------------------------------------------------------ declarations

    def dims(self, *names: str, **sizes: int) -> tuple[Size, ...]:
        """Declare dimensions, with or without a default size, and return their symbols."""
        for name, size in {**dict.fromkeys(names), **sizes}.items():
            if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
                raise UsageError(f"the size of {name} is {size}; a whole number of 1 or more is needed")
            self._names.dimensions[name] = size
        return tuple(dimension(name) for name in (*names, *sizes))

    def input(self, name: str, *shape: Size | int, classes: Size | int | None = None) -> Tensor:
        """Declare an input; ``classes`` makes it an integer array with values 0 .. classes - 1."""
        return self._declare("input", name, shape, classes)

    def target(self, name: str, *shape: Size | int, classes: Size | int | None = None) -> Tensor:
        """Declare a target; ``classes`` as for an input."""
        return self._declare("target", name, shape, classes)

    def param(self, name: str, *shape: Size | int) -> Tensor:
        """Declare a parameter."""
        return self._declare("parameter", name, shape)

    def hyper(self, name: str, default: int | sympy.Expr | None = None) -> Tensor:
        """Declare a scalar hyper-parameter with an exact default."""
        self._hypers[name] = None if default is None else ops.value(default).node.payload[0]
        return self._declare("hyper", name, ())

    def index(self, name: str, size: Size | int | None = None) -> Index:
        """Return an index; its range follows from the subscripts it stands in, unless a size is given."""
        return Index(syntax.Name(HERE, name), {}, name, None if size is None else extent(size))

    def function(self, name: str, formula: Callable[..., sympy.Expr] | None = None, *reads: Tensor) -> Callable[..., Any]:
        """Declare a function by its formula, or leave it open.

        The formula takes SymPy symbols: the function's arguments, then one for each hyper-parameter or parameter it reads:
        ``b.function("swish", lambda u, beta: u / (1 + sympy.exp(-beta * u)), beta)``.
        """
        self._take(name)
        parameters = ["u"] if formula is None else list(inspect.signature(formula).parameters)
        closure = tuple(tensor.node.payload[1] for tensor in reads)
        visible = len(parameters) - len(closure)
        symbols = tuple(sympy.Symbol(symbol) for symbol in (*parameters[:visible], *closure))
        if formula is None:
            made = define(name, symbols, None)
        else:
            made = define(name, symbols, tidy(ops.value(formula(*symbols)).node.payload[0]), visible=visible)
        self._functions.append(made)
        self._names.functions[name] = Function(made, visible, closure)
        return lambda *operands: self._call(name, *operands)

    def _declare(self, kind: str, name: str, shape: tuple[Size | int, ...], classes: Size | int | None = None) -> Tensor:
        self._take(name)
        sizes = tuple(sympy.Integer(size) if isinstance(size, int) else size for size in shape)
        count = sympy.Integer(classes) if isinstance(classes, int) else classes
        declared = leaf(kind, name, sizes, count)
        for size in (*sizes, *(() if count is None else (count,))):
            for symbol in sorted(size.free_symbols, key=str):
                if symbol.name == self._names.batch:
                    raise UsageError(f"{name}: {symbol.name} is the batch dimension, and no axis; equations are per example")
                self._names.dimensions.setdefault(symbol.name, None)
        self._declarations.append(declared)
        return self._named(name, Value(declared))

    def _named(self, name: str, tensor: Value) -> Tensor:
        self._names.values[name] = tensor
        return Tensor(tensor.node, tensor.row)

    def _take(self, name: str) -> None:
        if not name.isidentifier() or name in FUNCTIONS:
            raise UsageError(f"{name!r} cannot be a name")
        if name in self._names.values or name in self._names.functions:
            raise UsageError(f"{name} is defined twice")

    # ------------------------------------------------------------ expressions

    def norm(self, operand: Value, kind: str = "") -> Value:
        """The norm of all entries: "" or "F" (Euclidean, Frobenius), "1" (sum of magnitudes), "inf" (largest magnitude)."""
        return ops.norm(operand, kind)

    def identity(self, size: Size) -> Value:
        """The identity matrix of a size."""
        return ops.identity(size)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function of the language. Reductions take the indices they go over: ``b.sum(A[i, j], j)``."""
        if name.startswith("_") or name not in FUNCTIONS:
            raise AttributeError(f"Builder has no {name!r}; the functions are {', '.join(sorted(FUNCTIONS))}")
        return lambda *operands: self._call(name, *operands)

    def _call(self, name: str, *operands: Any) -> Any:
        over = [operand for operand in operands[1:] if isinstance(operand, Index)]
        if name in REDUCERS and over and len(over) == len(operands) - 1:
            indices = tuple(index.declared for index in over)
            return joined(lambda body: syntax.Reduction(HERE, name, indices, body), operands[0])
        entry = joined(lambda *trees: syntax.Call(HERE, name, trees), *[_extent_or_value(name, o) for o in operands])
        if any(isinstance(operand, Entry) for operand in operands):
            return entry
        with self._among(entry.given):
            return self._form.value(entry.tree)

    @contextmanager
    def _among(self, given: Mapping[str, Value]) -> Iterator[None]:
        """Give the values that stand in an entry their names for a while, and an error of the language its words alone."""
        self._names.values.update(given)
        try:
            yield
        except EquationError as problem:
            raise UsageError("; ".join(filter(None, (problem.message, problem.hint)))) from None
        finally:
            for name in given:
                del self._names.values[name]

    # ------------------------------------------------------------ equations

    def let(self, name: str, right: Operand, *indices: Index) -> Tensor:
        """Add the equation ``name = right``, or ``name[indices] = right``, and return the named value."""
        self._take(name)
        if isinstance(right, Entry):
            with self._among(right.given):
                declared = tuple(index.declared for index in indices)
                found = Value(self._form.index_form.equation(declared, right.tree))
        elif indices:
            raise UsageError(f"{name}: its right side has no entries, and the left side names indices")
        else:
            found = ops.value(right)
        equation = Equation(name, found.node, tuple(index.name for index in indices))
        with self._among({}):
            for sizes in node_constraints(equation.node):
                self._names.require_equal(*sizes, HERE)
        self._equations.append(equation)
        self._names.definitions[name] = equation.node
        return self._named(name, Value(equation.reference, found.row))

    def output(self, *values: Value) -> None:
        """Name the values that `predict` returns."""
        self._outputs = tuple(str(v.node.payload[1]) for v in values)

    def minimize(self, objective: Value) -> Model:
        """Return the model that minimises a named scalar."""
        if objective.shape or objective.node.family != "leaf":
            raise UsageError("the objective is a named scalar: let it first")
        return self.model(str(objective.node.payload[1]))

    def model(self, objective: str | None = None) -> Model:
        """Return the model; without an objective its derivative is the vector-Jacobian product of the last value."""
        if not self._equations:
            raise UsageError("the model has no equation")
        if self._names.batch is not None:
            self._names.dimensions.setdefault(self._names.batch, None)
        model = Model(
            self._name,
            verify(Graph(tuple(self._declarations), tuple(self._equations), tuple(self._names.constraints))),
            dimensions=dict(self._names.dimensions),
            batch=self._names.batch,
            hyper_defaults=dict(self._hypers),
            functions=tuple(self._functions),
            objective=objective,
            outputs=self._outputs,
        )
        return refuse_unused(model if self._outputs else replace(model, outputs=default_outputs(model)))


def _extent_or_value(function: str, operand: Any) -> Any:
    """In ``ones(n)`` a dimension is a size, everywhere else its value."""
    is_size = function in ("ones", "zeros", "onehot", "size") and isinstance(operand, sympy.Symbol)
    return Entry(extent(operand)) if is_size else operand
