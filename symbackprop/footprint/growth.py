"""What differentiating again does to the graph and to the work: forward, gradient and second order side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.footprint.footprint_of import Footprint
from symbackprop.footprint.memory_use import FLOAT_BYTES
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import Leaf, Node
from symbackprop.graph.walk import topological
from symbackprop.kernels.arithmetic import entry_operations, multiply_adds
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan, make_plan


@dataclass(frozen=True)
class Stage:
    """One computation: its equations, the nodes of their graph and the edges between them, the longest path, and its work.

    multiply_adds and entry_operations are of one call over a batch; saved are the bytes that what runs back reads of what
    ran forward: polynomials in the sizes.
    """

    name: str
    equations: int
    nodes: int
    edges: int
    depth: int
    multiply_adds: sympy.Expr
    entry_operations: sympy.Expr
    saved: sympy.Expr


class Growth:
    """The stages of a derivation over the batch that has products."""

    def __init__(self, derived: DerivedGraph) -> None:
        self.derived = derived
        self.first = Footprint(make_plan(derived.first_order))
        self.second = Footprint(make_plan(derived))

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Forward, gradient, product, and all of them in one call."""
        d, first, second = self.derived, self.first, self.second
        objective = [first.plan.objective] if first.plan.objective else []
        gradients = [d.gradient_name(name) for name in d.wrt]
        products = list(d.products.values())
        both = [second.plan.objective] if second.plan.objective else []
        none = sympy.S.Zero
        return (
            _stage("forward", d.graph, [d.target], first.plan, objective, none),
            _stage("gradient", d.graph, [d.target, *gradients], first.plan, [*objective, *first.plan.gradients.values()],
                   first.saved_bytes),
            _stage("product", d.graph, products, second.plan, list(second.plan.products.values()), second.saved_bytes),
            _stage(
                "gradient and product", d.graph, [d.target, *gradients, *products], second.plan,
                [*both, *second.plan.gradients.values(), *second.plan.products.values()], second.saved_bytes,
            ),
        )  # fmt: skip

    @property
    def parameters(self) -> sympy.Expr:
        """The number of rows and of columns of the matrix of second derivatives."""
        return sympy.Add(*[sympy.Mul(*direction.shape) for direction in self.derived.directions.values()])

    @property
    def matrix_bytes(self) -> sympy.Expr:
        """The bytes of the matrix as a whole."""
        return FLOAT_BYTES * self.parameters**2

    @property
    def matrix_multiply_adds(self) -> sympy.Expr:
        """The multiply-adds of the matrix, a product for each column."""
        return self.parameters * self.stages[2].multiply_adds


def _stage(
    name: str, graph: Graph, results: Iterable[str], plan: Plan, targets: Iterable[Operation], saved: sympy.Expr
) -> Stage:
    needed = graph.needed_for(frozenset(results))
    equations = [equation for equation in graph.equations if equation.name in needed]
    nodes, edges, depth = graph_size(graph, [equation.name for equation in equations])
    _, operations = plan.needed(targets)
    chosen = [operation for operation in plan.operations if operation in operations]
    return Stage(
        name, len(equations), nodes, edges, depth,
        sympy.expand(sympy.Add(*map(multiply_adds, chosen))), sympy.expand(sympy.Add(*map(entry_operations, chosen))), saved,
    )  # fmt: skip


def graph_size(graph: Graph, names: Iterable[str]) -> tuple[int, int, int]:
    """The nodes of some equations (declared tensors too), the edges to their operands, and the longest path.

    A name that refers to an equation is the node on its right side.
    """
    depth: dict[Node, int] = {}
    edges = 0
    for name in names:
        equation = graph.by_name[name]
        for node in topological([equation.node]):
            if node in depth:
                continue
            if isinstance(node, Leaf) and node.kind == "value":
                depth[node] = depth[graph.by_name[node.name].node]
                continue
            depth[node] = 1 + max((depth[operand] for operand in node.operands), default=-1)
            edges += len(node.operands)
        depth[equation.reference] = depth[equation.node]
    counted = [node for node in depth if not (isinstance(node, Leaf) and node.kind == "value")]
    return len(counted), edges, max(depth.values(), default=0)
