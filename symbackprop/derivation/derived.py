"""From a model to its derivation: the forward equations, the backward equations, and why each of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from symbackprop.derivation.reverse import Contribution, Gradients, reverse
from symbackprop.derivation.workers import Workers
from symbackprop.errors import UsageError
from symbackprop.graph.build import leaf
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.names import (
    Adjoint,
    Cotangent,
    Diagonal,
    Pairing,
    as_printed,
    without_tangents,
)
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.verify import verify
from symbackprop.simplify.eliminate import eliminate_statistics
from symbackprop.simplify.engine import Simplifier
from symbackprop.simplify.stabilise import stabilise


@dataclass(frozen=True)
class Section:
    """Equations beyond the forward and the backward ones: kind is a word for programs, title what stands above them."""

    kind: str
    title: str
    equations: tuple[Equation, ...]


@dataclass(frozen=True)
class DerivedGraph:
    """A model's equations and their derivatives, in one of the two forms.

    batched tells the form: per example, or with the examples stacked as rows. graph holds all equations, forward then
    backward; target is what is differentiated, and above the name above the line: the objective, or without one the inner
    product of the target with an open cotangent. further are sections of equations beyond the first derivatives; products
    are their results by the names of the tensors, (see `derivation.products`). workers are those who share the work, each with
    these equations; None where one does it all.
    """

    model: Model
    batched: bool
    wrt: tuple[str, ...]
    target: str
    above: str
    graph: Graph
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    contributions: Mapping[str, tuple[Contribution, ...]]
    further: tuple[Section, ...] = ()
    products: Mapping[str, str] = field(default_factory=dict)
    workers: Workers | None = None

    @property
    def equations(self) -> tuple[Equation, ...]:
        """All equations, section by section."""
        more = [equation for section in self.further for equation in section.equations]
        return (*self.forward, *self.backward, *more)

    @property
    def first_order(self) -> DerivedGraph:
        """The same with first derivatives only."""
        declared = tuple(leaf for leaf in self.graph.declarations if leaf.kind != "tangent")
        graph = replace(self.graph, declarations=declared, equations=(*self.forward, *self.backward))
        return replace(self, graph=graph, further=(), products={})

    def without_unread(self) -> DerivedGraph:
        """The same without the backward equations that no further one reads or is the tangent of."""
        if not self.further:
            return self
        names = frozenset(equation.name for section in self.further for equation in section.equations)
        read = self.graph.needed_for(names) | {without_tangents(name)[0] for name in names}
        return replace(self, backward=tuple(e for e in self.backward if e.name in read))

    @cached_property
    def reversed(self) -> frozenset[str]:
        """The names of the equations that run from the objective back, and of their tangents."""
        return frozenset(e.name for e in self.equations if isinstance(as_printed(e.name), Adjoint | Diagonal))

    @property
    def directions(self) -> dict[str, Leaf]:
        """The tangents along which products are taken, by the names of the tensors they are tangents of."""
        tangents = [leaf for leaf in self.graph.declarations if leaf.kind == "tangent"]
        return {without_tangents(leaf.name)[0]: leaf for leaf in tangents}

    def gradient_name(self, name: str) -> str:
        """The name of the derivative by a value of the model."""
        return Adjoint(self.above, name).name

    def gradient(self, name: str) -> Equation:
        """Return the equation of the derivative by a value. Raises UsageError where there is none."""
        found = self.graph.by_name.get(self.gradient_name(name))
        if found is None:
            raise UsageError(
                f"there is no derivative by {name}: {self.target} does not depend on it, or it was not asked for"
            )
        return found


def derive_graph(
    model: Model, wrt: tuple[str, ...] | None = None, *, batched: bool = False, all_values: bool = False
) -> DerivedGraph:
    """Derive a model by the named tensors (the parameters, if none are named), per example or over the batch.

    ``all_values`` keeps the cotangents of statistics, which are otherwise put in where that makes the answer shorter.

    Without an objective the result is the vector-Jacobian product of the last value with an open cotangent.
    Raises UsageError where a name is not a real-valued input, target, parameter or hyper-parameter.
    """
    model = replace(model, graph=stabilise(model.graph))
    graph = batch_graph(model) if batched else model.graph
    names = model.parameters if wrt is None else wrt
    for name in names:
        if name not in graph.declared:
            known = ", ".join(d.name for d in graph.declarations if d.classes is None)
            raise UsageError(f"there is no input or parameter {name}; there are {known}")
        if graph.declared[name].classes is not None:
            raise UsageError(f"{name} holds integers: there is no derivative by it")
    if not graph.equations:
        raise UsageError("the model has no equation")
    target = model.objective or graph.equations[-1].name
    above = target if model.objective else Pairing(target).name
    seed = None
    if model.objective is None:
        seed = leaf("cotangent", Cotangent(target).name, graph.reference(target).shape)
        graph = Graph((*graph.declarations, seed), graph.equations, graph.constraints)
    simplifier = Simplifier(graph)
    gradients = reverse(graph, target, tuple(names), seed, simplifier, above)
    derived, backward = gradients.graph, gradients.backward
    if not all_values:
        derived, backward = _without_statistics(derived, gradients, simplifier)
    return DerivedGraph(
        model,
        batched,
        tuple(names),
        target,
        above,
        derived,
        graph.equations,
        tuple(derived.by_name[name] for name in backward),
        gradients.contributions,
    )


def _without_statistics(derived: Graph, gradients: Gradients, simplifier: Simplifier) -> tuple[Graph, tuple[str, ...]]:
    changed, gone = eliminate_statistics(derived, gradients.value_of, simplifier)
    equations = tuple(
        replace(equation, node=changed.get(equation.name, equation.node))
        for equation in derived.equations
        if equation.name not in gone
    )
    kept = tuple(name for name in gradients.backward if name not in gone)
    return verify(replace(derived, equations=equations)), kept
