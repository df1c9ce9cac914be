"""Equations, graphs of equations, and models: a graph with what its author declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape

import sympy

from symbackprop.functions.scalar import ScalarFunction
from symbackprop.graph.build import leaf
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.sizes import Size, format_shape
from symbackprop.graph.walk import leaves


@dataclass(frozen=True)
class Equation:
    """``name = node``. ``indices`` are the names the author gave to its axes, where it was written in index form."""

    name: str
    node: Node
    indices: tuple[str, ...] = ()

    @property
    def reference(self) -> Leaf:
        """The leaf by which other equations refer to this one."""
        return leaf("value", self.name, self.node.shape)


@dataclass(frozen=True)
class Graph:
    """Declared tensors and equations in order; an equation refers to declarations and to equations before it."""

    declarations: tuple[Leaf, ...]
    equations: tuple[Equation, ...]
    constraints: tuple[tuple[Size, Size], ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Equation]:
        """The equations by name."""
        return {equation.name: equation for equation in self.equations}

    @cached_property
    def declared(self) -> dict[str, Leaf]:
        """The declared tensors by name."""
        return {declaration.name: declaration for declaration in self.declarations}

    def reference(self, name: str) -> Leaf:
        """Return the leaf that stands for a declared tensor or an equation."""
        return self.declared[name] if name in self.declared else self.by_name[name].reference

    @cached_property
    def influences(self) -> dict[str, frozenset[str]]:
        """For each equation, the names of the leaves in it (its direct predecessors)."""
        return {equation.name: frozenset(node.name for node in leaves(equation.node)) for equation in self.equations}

    def depends_on(self, sources: frozenset[str]) -> frozenset[str]:
        """Return the names of the equations that depend on any of the named tensors, and those tensors."""
        found = set(sources)
        for equation in self.equations:
            if self.influences[equation.name] & found:
                found.add(equation.name)
        return frozenset(found)

    def needed_for(self, targets: frozenset[str]) -> frozenset[str]:
        """Return the names that the named values depend on, themselves included."""
        found = set(targets)
        for equation in reversed(self.equations):
            if equation.name in found:
                found |= self.influences[equation.name]
        return frozenset(found)

    def restricted_to(self, targets: frozenset[str]) -> Graph:
        """Return the graph with only the equations that the named values need."""
        needed = self.needed_for(targets)
        return replace(self, equations=tuple(e for e in self.equations if e.name in needed))


@dataclass(frozen=True, repr=False)
class Model:
    """A graph and what its author declared about it.

    graph holds the equations as written: per example where there is a `batch` dimension. objective is the name of the
    minimised scalar, or None. outputs are the names `predict` returns. functions are those declared by the author.
    """

    name: str
    graph: Graph
    title: str = ""
    source: str = ""
    dimensions: Mapping[str, int | None] = field(default_factory=dict)
    batch: str | None = None
    hyper_defaults: Mapping[str, sympy.Expr | None] = field(default_factory=dict)
    functions: tuple[type[ScalarFunction], ...] = ()
    objective: str | None = None
    outputs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Model {self.name}: {len(self.graph.equations)} equations, parameters {', '.join(self.parameters) or 'none'}>"

    def _repr_html_(self) -> str:
        """The model for a notebook, every text escaped: as it was written, or its values with their shapes."""
        tensors = [*self.graph.declarations, *[equation.reference for equation in self.graph.equations]]
        shown = self.source or "\n".join(f"{leaf.name} ({format_shape(leaf.shape)})" for leaf in tensors)
        return f"<p><b>{escape(self.name)}</b> {escape(self.title)}</p><pre>{escape(shown)}</pre>"

    def leaves_of_kind(self, *kinds: str) -> tuple[Leaf, ...]:
        """Return the declared tensors of these kinds, in order of declaration."""
        return tuple(declaration for declaration in self.graph.declarations if declaration.kind in kinds)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in order of declaration."""
        return tuple(declaration.name for declaration in self.leaves_of_kind("parameter"))

    @property
    def minimizes(self) -> bool:
        """Whether there is an objective and something to minimize it by: a gradient to check, and second derivatives."""
        return self.objective is not None and bool(self.parameters)
