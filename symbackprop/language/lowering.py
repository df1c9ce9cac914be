"""From the syntax tree to a model: one pass over the statements, in order."""

from __future__ import annotations

from dataclasses import replace

import sympy

from symbackprop.functions.scalar import ScalarFunction, define
from symbackprop.functions.scalar_rules import tidy
from symbackprop.graph.analysis import default_outputs, node_constraints, refuse_unused
from symbackprop.graph.build import leaf
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.operations import Value
from symbackprop.graph.sizes import format_shape
from symbackprop.graph.verify import verify
from symbackprop.language import syntax
from symbackprop.language.formula import Formula
from symbackprop.language.matrix_form import MatrixForm
from symbackprop.language.names import Function, Names
from symbackprop.language.parser import parse_text
from symbackprop.language.walk import walk

RECURRENCE = "a recurrence is written out, one name for each step"


class Lowering:
    """Collects what the statements declare and define."""

    def __init__(self, module: syntax.Module, name: str) -> None:
        self.module, self.name = module, name
        self.names = Names(module)
        self.matrix_form = MatrixForm(self.names)
        self.places: dict[str, syntax.Position] = {}
        self.dimension_places: dict[str, syntax.Position] = {}
        self.declared_functions: list[type[ScalarFunction]] = []
        self.declarations: list[Leaf] = []
        self.hypers: dict[str, sympy.Expr | None] = {}
        self.equations: list[Equation] = []
        self.objective: str | None = None
        self.outputs: tuple[str, ...] = ()

    def model(self) -> Model:
        """Return the model of the module."""
        for statement in self.module.statements:
            if isinstance(statement, syntax.Declaration):
                self._declare(statement)
            elif isinstance(statement, syntax.FunctionDefinition):
                self._function(statement)
            elif isinstance(statement, syntax.Assignment):
                self._equation(statement)
            elif isinstance(statement, syntax.Minimize):
                self._minimise(statement)
            elif isinstance(statement, syntax.Output):
                self._output(statement)
        if not self.equations:
            end = syntax.Position(max(1, len(self.module.lines)), 1)
            raise self.names.error(end, "the model has no equation", "write one, such as  z = W x + b")
        graph = verify(Graph(tuple(self.declarations), tuple(self.equations), tuple(self.names.constraints)))
        model = Model(
            self.name, graph, title=self.module.title, source="\n".join(self.module.lines),
            dimensions=dict(self.names.dimensions), batch=self.names.batch, hyper_defaults=dict(self.hypers),
            functions=tuple(self.declared_functions), objective=self.objective, outputs=self.outputs,
        )  # fmt: skip
        model = model if self.outputs else replace(model, outputs=default_outputs(model))
        return replace(model, warnings=self._warnings(model))

    def _warnings(self, model: Model) -> tuple[str, ...]:
        """Return a message for each equation that nothing uses."""
        end = model.objective or model.graph.equations[-1].name
        needed = model.graph.needed_for(frozenset({end, *model.outputs}))
        places = [(self.places[name], name) for name in model.graph.by_name if name not in needed]
        return tuple(f"{self.module.filename}:{place.line}:{place.column}: {name} is never used" for place, name in places)

    # ------------------------------------------------------------ declarations

    def _claim(self, name: str, position: syntax.Position, hint: str = "") -> None:
        if name in self.places:
            line = self.places[name].line
            raise self.names.error(position, f"{name} is defined twice; it stands in line {line} already", hint)
        self.places[name] = position

    def _declare(self, statement: syntax.Declaration) -> None:
        kind = {"param": "parameter"}.get(statement.kind, statement.kind)
        for item in statement.names:
            if kind in ("dim", "batch"):
                self._dimension(kind, item)
                continue
            self._claim(item.name, item.position)
            shape = tuple(self.names.extent(axis) for axis in item.axes)
            classes = None if item.classes is None else self.names.extent(item.classes)
            declared = leaf(kind, item.name, shape, classes)
            if kind == "hyper":
                if shape:
                    raise self.names.error(item.position, f"{item.name}: a hyper-parameter is a scalar")
                self.hypers[item.name] = None if item.default is None else self.names.number(item.default)
            self.declarations.append(declared)
            self.names.values[item.name] = Value(declared)

    def _dimension(self, kind: str, item: syntax.DeclaredName) -> None:
        size = None if item.default is None else int(self.names.whole(item.default, f"the size of {item.name} is {{}}"))
        if item.name in self.names.dimensions:
            line = self.dimension_places[item.name].line
            raise self.names.error(item.position, f"the dimension {item.name} is declared twice; it stands in line {line} already")
        self.dimension_places[item.name] = item.position
        if kind == "batch":
            if self.names.batch is not None:
                raise self.names.error(item.position, f"there is a batch dimension already: {self.names.batch}")
            self.names.batch = item.name
        self.names.dimensions[item.name] = size

    def _function(self, statement: syntax.FunctionDefinition) -> None:
        name = statement.name
        if name in self.names.dimensions:
            raise self.names.error(statement.position, f"{name} is a dimension, and cannot be a function too")
        self._claim(name, statement.position)
        parameters = statement.parameters or ("u",)
        symbols = tuple(sympy.Symbol(parameter) for parameter in parameters)
        if statement.body is None:
            function = define(name, symbols, None)
            self.names.functions[name] = Function(function, len(parameters))
        else:
            formula = Formula(name, parameters, self.names)
            body = tidy(formula.lower(statement.body))
            function = define(name, (*symbols, *formula.closure.values()), body, visible=len(parameters))
            self.names.functions[name] = Function(function, len(parameters), tuple(formula.closure))
        self.declared_functions.append(function)

    # ------------------------------------------------------------ equations

    def _equation(self, statement: syntax.Assignment) -> None:
        left, right = statement.left, statement.right
        if left not in self.places:
            self._refuse_own_name(left, right)
        self._claim(left, statement.position, RECURRENCE)
        with self.names.at(right.position):
            if statement.indices is None:
                value = self.matrix_form.value(right)
            else:
                value = Value(self.matrix_form.index_form.equation(statement.indices, right))
        equation = Equation(left, value.node, tuple(index.name for index in statement.indices or ()))
        if self.names.conflict(equation.node) is not None:
            misfit = self.matrix_form.misfit(right)
            if misfit is not None:
                raise misfit
        for sizes in node_constraints(equation.node):
            self.names.require_equal(*sizes, right.position)
        self.equations.append(equation)
        self.names.definitions[left] = equation.node
        self.names.values[left] = Value(equation.reference, value.row)

    def _refuse_own_name(self, left: str, right: syntax.Expression) -> None:
        bound = {index.name for part in walk(right) if isinstance(part, syntax.Reduction) for index in part.indices}
        for part in walk(right):
            if isinstance(part, syntax.Name) and part.name == left and left not in bound:
                if left not in self.names.dimensions:
                    raise self.names.error(part.position, f"{left} is defined by itself", RECURRENCE)

    def _minimise(self, statement: syntax.Minimize) -> None:
        if self.objective is not None:
            raise self.names.error(statement.position, f"there is an objective already: {self.objective}")
        found = self.names.definitions.get(statement.name)
        if found is None:
            raise self.names.error(statement.position, f"{statement.name} is no equation of this model")
        if found.rank:
            raise self.names.error(
                statement.position,
                f"the objective {statement.name} has the shape {format_shape(found.shape)}; a scalar is needed",
            )
        self.objective = statement.name

    def _output(self, statement: syntax.Output) -> None:
        for name in statement.names:
            if name.name not in self.names.definitions:
                raise self.names.error(name.position, f"{name.name} is no equation of this model")
            if name.name in self.outputs:
                raise self.names.error(name.position, f"{name.name} is an output already")
            self.outputs = (*self.outputs, name.name)


def lower(text: str | bytes, *, name: str = "model", filename: str = "<text>") -> Model:
    """Return the model of an equation text. Raises EquationError with the position of what is wrong."""
    lowering = Lowering(parse_text(text, filename), name)
    return refuse_unused(lowering.model(), lambda unused, *words: lowering.names.error(lowering.places[unused], *words))
