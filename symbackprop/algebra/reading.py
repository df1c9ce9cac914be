"""Models written with SymPy's matrix symbols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy
from sympy.matrices.expressions.matexpr import MatrixElement

from symbackprop.algebra.lowering import Lowering
from symbackprop.errors import ShapeError, UsageError
from symbackprop.graph.analysis import collect_constraints, default_outputs, refuse_unused
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.sizes import Size, differ, exact, format_shape
from symbackprop.graph.verify import verify

Equations = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


def from_sympy(
    equations: Equations,
    *,
    objective: Any,
    parameters: Sequence[Any],
    inputs: Sequence[Any] = (),
    targets: Sequence[Any] = (),
    hypers: Sequence[Any] | Mapping[Any, Any] = (),
    batch: Any = None,
    name: str = "model",
) -> Model:
    """Return a model written with SymPy's MatrixSymbol, Symbol and IndexedBase.

    equations: pairs of a left side and its expression, in order; an equation reads what stands before it.
    A left side is a symbol, or ``Y[i, j]`` of an IndexedBase, whose right side is then the entry there.
    objective: the left symbol that is minimised, or None for the vector-Jacobian product of the last one.
    parameters, inputs, targets: the declared symbols. An n×1 MatrixSymbol is a vector, a 1×1 one a scalar, an
    IndexedBase needs its shape. Instead of an input or target a pair (symbol, classes) declares integers
    0 .. classes - 1.
    hypers: scalar symbols, or a mapping of them to exact defaults (None for no default).
    batch: the symbol of the dimension that the equations are lifted over.

    Sizes are SymPy symbols (dimensions of their names) and integers. Numbers are exact: a Float is refused.
    Nothing is ever read from a string. Raises UsageError for what is not understood, ShapeError for shapes
    that do not fit.
    """
    lowering = Lowering()
    pairs = _pairs(equations)
    declarations: list[Leaf] = []
    for kind, symbols in (
        ("input", inputs),
        ("target", targets),
        ("parameter", parameters),
        ("hyper", hypers),
    ):
        for symbol in symbols:
            symbol, classes = symbol if isinstance(symbol, tuple) else (symbol, None)
            if classes is not None and kind not in ("input", "target"):
                raise UsageError(f"{symbol} is a {kind}: only inputs and targets may hold integers")
            declarations.append(lowering.declare(kind, symbol, classes))
            if kind == "hyper" and declarations[-1].rank:
                raise UsageError(f"{symbol} is a hyper-parameter: it must be a scalar")
    lowered = [_equation(lowering, left, right) for left, right in pairs]
    graph = Graph(tuple(declarations), tuple(lowered))
    graph = verify(Graph(graph.declarations, graph.equations, collect_constraints(graph)))
    if batch is not None:
        lowering.size(batch)
    model = Model(
        name,
        graph,
        dimensions=dict.fromkeys(lowering.dimensions),
        batch=None if batch is None else str(batch.name),
        hyper_defaults=_defaults(hypers),
        objective=_objective(lowering, objective, graph),
    )
    return refuse_unused(replace(model, outputs=default_outputs(model)))


def _pairs(equations: Any) -> list[tuple[Any, Any]]:
    pairs = list(equations.items()) if isinstance(equations, Mapping) else list(equations)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError("the equations are pairs of a left symbol and a right expression")
    return pairs


def _defaults(hypers: Any) -> dict[str, sympy.Expr | None]:
    defaults: dict[str, sympy.Expr | None] = {}
    for symbol, value in hypers.items() if isinstance(hypers, Mapping) else ((symbol, None) for symbol in hypers):
        if isinstance(value, bool) or not (value is None or isinstance(value, int | sympy.Rational)):
            raise UsageError(f"the default of {symbol} is {value}: numbers are exact, write it as a Rational")
        defaults[str(symbol.name)] = None if value is None else exact(value)
    return defaults


def _objective(lowering: Lowering, objective: Any, graph: Graph) -> str | None:
    if objective is None:
        return None
    if isinstance(objective, str) or objective not in lowering.tensors:
        raise UsageError(f"the objective {objective} is none of the left symbols")
    leaf = lowering.tensors[objective]
    if leaf.rank or leaf.name not in graph.by_name:
        raise UsageError(f"the objective {leaf.name} must be a scalar with an equation")
    return leaf.name


def _equation(lowering: Lowering, left: Any, right: Any) -> Equation:
    if isinstance(right, int) and not isinstance(right, bool):
        right = sympy.Integer(right)
    if not isinstance(right, sympy.Basic):
        raise UsageError(f"the right side of {left} is a {type(right).__name__}, not a SymPy expression")
    indices: tuple[Any, ...] = ()
    if isinstance(left, sympy.Indexed):
        left, indices = left.base, left.indices
    elif isinstance(left, MatrixElement):
        left, indices = left.parent, left.indices if left.parent.shape[1] != 1 else left.indices[:1]
    elif isinstance(right, sympy.Lambda):
        indices, right = right.variables, right.expr
    if len(set(indices)) < len(indices) or any(not index.is_symbol or index in lowering.tensors for index in indices):
        raise UsageError(f"{left}: each index on a left side is a symbol of its own")
    name, shape = lowering.name_and_shape(left, indices)
    try:
        node, row = lowering.entries(indices, shape, right) if indices else lowering.whole(right)
    except (UsageError, ShapeError) as problem:
        raise type(problem)(f"in the equation of {name}: {problem}") from None
    _check_shape(name, left, node, row, shape)
    equation = Equation(name, node, tuple(str(index.name) for index in indices))
    lowering.define(left, equation.reference, row)
    return equation


def _check_shape(name: str, left: Any, node: Node, row: bool, shape: tuple[Size, ...]) -> None:
    wanted_row = isinstance(left, sympy.MatrixSymbol) and len(shape) == 1 and left.shape[1] != 1
    fits = len(shape) == node.rank and not any(differ(a, b) for a, b in zip(shape, node.shape, strict=True))
    if not fits or (node.rank == 1 and row != wanted_row):
        found = f"1 × {node.shape[0]}" if row else format_shape(node.shape)
        wanted = f"1 × {shape[0]}" if wanted_row else format_shape(shape)
        raise ShapeError(f"in the equation of {name}: the right side is {found}, and {name} is {wanted}")
