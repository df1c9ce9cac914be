"""Models written with Python operators: the same graph as the text gives."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from symbackprop.errors import UsageError
from symbackprop.graph.build import leaf
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.operations import Operand, Value, value
from symbackprop.graph.sizes import Size, dimension
from symbackprop.graph.verify import verify


class Builder:
    """Collects declarations and equations.

    >>> b = Builder("line")
    >>> (d,) = b.dims(d=3)
    >>> x, y, w = b.input("x", d), b.target("y"), b.param("w", d)
    >>> L = b.let("L", (y - w.T @ x) ** 2)
    >>> b.minimize(L).objective
    'L'
    """

    def __init__(self, name: str = "model", batch: str | None = None) -> None:
        self._name, self._batch = name, batch
        self._dimensions: dict[str, int | None] = {}
        self._declarations: list[object] = []
        self._equations: list[Equation] = []
        self._hypers: dict[str, sympy.Expr | None] = {}
        self._outputs: tuple[str, ...] = ()
        self._taken: set[str] = set()

    def dims(self, *names: str, **sizes: int) -> tuple[Size, ...]:
        """Declare dimensions, with or without a default size, and return their symbols."""
        for name, size in {**dict.fromkeys(names), **sizes}.items():
            if size is not None and (not isinstance(size, int) or size < 1):
                raise UsageError(f"the size of {name} is {size}; a whole number of 1 or more is needed")
            self._dimensions[name] = size
        return tuple(dimension(name) for name in (*names, *sizes))

    def _declare(self, kind: str, name: str, shape: tuple[Size, ...], classes: Size | None = None) -> Value:
        self._take(name)
        declared = leaf(kind, name, shape, classes)
        self._declarations.append(declared)
        return Value(declared)

    def _take(self, name: str) -> None:
        if not name.isidentifier():
            raise UsageError(f"{name!r} is no name")
        if name in self._taken:
            raise UsageError(f"{name} is defined twice")
        self._taken.add(name)

    def input(self, name: str, *shape: Size, classes: Size | None = None) -> Value:
        """Declare an input; ``classes`` makes it an integer array with values 0 .. classes - 1."""
        return self._declare("input", name, shape, classes)

    def target(self, name: str, *shape: Size, classes: Size | None = None) -> Value:
        """Declare a target; ``classes`` as for an input."""
        return self._declare("target", name, shape, classes)

    def param(self, name: str, *shape: Size) -> Value:
        """Declare a parameter."""
        return self._declare("parameter", name, shape)

    def hyper(self, name: str, default: int | sympy.Expr | None = None) -> Value:
        """Declare a scalar hyper-parameter with an exact default."""
        self._hypers[name] = None if default is None else value(default).node.payload[0]
        return self._declare("hyper", name, ())

    def let(self, name: str, right: Operand) -> Value:
        """Add the equation ``name = right`` and return the named value."""
        self._take(name)
        operand = value(right)
        equation = Equation(name, operand.node)
        self._equations.append(equation)
        return Value(equation.reference, operand.row)

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
        from symbackprop.graph.analysis import collect_constraints, default_outputs

        graph = Graph(tuple(self._declarations), tuple(self._equations))  # type: ignore[arg-type]
        graph = verify(Graph(graph.declarations, graph.equations, collect_constraints(graph)))
        hypers: Mapping[str, sympy.Expr | None] = dict(self._hypers)
        if self._batch is not None and self._batch not in self._dimensions:
            self._dimensions[self._batch] = None
        model = Model(
            self._name,
            graph,
            dimensions=dict(self._dimensions),
            batch=self._batch,
            hyper_defaults=hypers,
            objective=objective,
        )
        return Model(**{**model.__dict__, "outputs": self._outputs or default_outputs(model)})
