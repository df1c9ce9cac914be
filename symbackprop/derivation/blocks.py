"""Blocks of a matrix of second derivatives, from the equations of its products with a direction.

A product is linear in the direction, so that the identity in the direction's place gives the block: every tangent then
has the axes of the column's tensor too. Where that tensor enters one value only, and that has fewer axes (a weight and its
pre-activation), the identity is put in the place of that value's tangent, and the chain rule does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import sympy

from symbackprop.derivation.derived import DerivedGraph, Section
from symbackprop.derivation.local import apart, over_columns, unit
from symbackprop.derivation.products import CURVATURES
from symbackprop.errors import UsageError
from symbackprop.graph.build import add, constant, contract, is_constant, pointwise, transpose
from symbackprop.graph.lift import over_batch
from symbackprop.graph.model import Equation
from symbackprop.graph.names import Adjoint, Diagonal, Tangent, parse_name
from symbackprop.graph.nodes import Contraction, Indicator, Leaf, Node, Pointwise, Reduction, argument
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import leaves, rewrite, substitute, topological
from symbackprop.simplify.cost import cost, total_cost
from symbackprop.simplify.engine import Simplifier

READABLE = 10
"""The most indices of one sum of products into which the names of derivatives are put."""


def with_block(derived: DerivedGraph, row: str, column: str) -> DerivedGraph:
    """Return a derivation that has products with a block of their matrix in their place; `block_name` is its name.

    The block has the axes of the row's tensor, then those of the column's. Raises UsageError where there is no such tensor.
    """
    for name in (row, column):
        if name not in derived.products:
            raise UsageError(f"there is no block of {name}: the derivatives are by {', '.join(derived.products)}")
    equations = _Block(derived, row, column).equations(block_name(derived, row, column))
    return _in_place_of_products(derived, "block", "Block", equations)


def batch_block(derived: DerivedGraph, row: str, column: str) -> DerivedGraph:
    """Return the equations of a block over the batch, for a derivation per example that has products: the mean of the blocks.

    It is a derivation of a model whose only output is the block. Per example no tangent has the axes of other examples.
    """
    return _mean_over_examples(with_block(derived, row, column), block_name(derived, row, column))


def batch_diagonal(derived: DerivedGraph, name: str) -> DerivedGraph | None:
    """Return the same of a diagonal; None where that is no short equation."""
    diagonal, result = with_diagonals(derived, [name]), Diagonal(block_name(derived, name, name)).name
    return _mean_over_examples(diagonal, result) if result in diagonal.graph.by_name else None


def _mean_over_examples(derived: DerivedGraph, name: str) -> DerivedGraph:
    graph = derived.graph.restricted_to(frozenset({name}))
    if derived.model.batch is not None:
        graph = over_batch(graph, derived.model.batch, name)
    model = replace(derived.model, objective=None, outputs=(name,))
    return DerivedGraph(model, True, (), name, name, graph, graph.equations, (), {})


def with_diagonals(derived: DerivedGraph, names: Sequence[str] | None = None) -> DerivedGraph:
    """Return a derivation that has products with the diagonals of their matrix, where those need no derivative of a value.

    So it is for what enters last. `Diagonal` is the name of each; names are the tensors (all, if None). Raises UsageError
    for one that there is not.
    """
    equations: dict[str, Equation] = {}
    for name in derived.products if names is None else names:
        block = with_block(derived, name, name)
        *before, whole = block.further[-1].equations
        if any(not isinstance(parse_name(equation.name), str) for equation in before):
            continue
        rank = len(derived.directions[name].shape)
        axes = tuple(range(rank))
        node = contract([(whole.node, (*axes, *axes))], axes, whole.node.shape[:rank])
        known = replace(block.graph, equations=tuple(e for e in block.graph.equations if e is not whole))
        diagonal = Simplifier(known).simplify(node)
        equations |= {equation.name: equation for equation in before}
        equations[Diagonal(whole.name).name] = Equation(Diagonal(whole.name).name, diagonal)
    return _in_place_of_products(derived, "diagonal", "Diagonal", tuple(equations.values()))


def _in_place_of_products(derived: DerivedGraph, kind: str, title: str, equations: tuple[Equation, ...]) -> DerivedGraph:
    *before, section = derived.further
    gone = {equation.name for equation in section.equations}
    rest = tuple(equation for equation in derived.graph.equations if equation.name not in gone)
    declared = tuple(leaf for leaf in derived.graph.declarations if leaf.kind != "tangent")
    graph = verify(replace(derived.graph, declarations=declared, equations=(*rest, *equations)))
    new = Section(kind, f"{title} of the {CURVATURES[section.kind].matrix}", equations)
    return replace(derived, graph=graph, further=(*before, new), products={})


def block_name(derived: DerivedGraph, row: str, column: str) -> str:
    """The name of a block: ∂²J/∂row∂column, or that of Q by the directions."""
    return _jacobian_name(derived.products[row], Tangent(column).name)


def _jacobian_name(name: str, by: str) -> str:
    """The name of the derivative of a linear equation's value by a tangent; D[z] by D[W] is ∂z/∂W."""
    moved, along = parse_name(name), parse_name(by)
    if isinstance(moved, Tangent) and isinstance(along, Tangent):
        return Adjoint(moved.of, along.of).name
    return Adjoint(name, by).name


class _Block:
    """The equations of one block."""

    def __init__(self, derived: DerivedGraph, row: str, column: str) -> None:
        self.derived = derived
        self.turned = self._enters(row) < self._enters(column)
        if self.turned:  # the derivatives along what enters first have the shorter equations
            row, column = column, row
        self.direction = derived.directions[column]
        others: dict[Node, Node] = {leaf: constant(0, leaf.shape) for name, leaf in derived.directions.items() if name != column}
        name = derived.products[row]
        needed = derived.graph.needed_for(frozenset({name}))
        linear = [equation for equation in derived.further[-1].equations if equation.name in needed]
        self.tangents = [e.reference for e in linear]
        softmaxes = _Softmaxes(derived)
        self.linear = [replace(e, node=softmaxes.named(substitute(e.node, others))) for e in linear if e.name != name]
        self.product = softmaxes.named(substitute(derived.graph.by_name[name].node, others))
        self.named = softmaxes.equations
        self.first = replace(derived.graph, equations=(*derived.forward, *derived.backward, *self.named))
        self.simplifier = Simplifier(self.first)
        self.found: list[Equation] = []

    def _enters(self, name: str) -> int:
        graph = self.derived.graph
        return next((k for k, e in enumerate(self.derived.forward) if name in graph.influences[e.name]), -1)

    def equations(self, name: str) -> tuple[Equation, ...]:
        """The equations of the block, the block itself last."""
        columns, entry = self.direction.shape, self._entry()
        if entry is None:
            node = self._over(self.product, self._columns(self.direction), columns)
        else:
            inner = self._over(entry.node, {self.direction: unit(columns)}, columns)
            outer = self._over(self.product, self._columns(entry.reference), entry.node.shape)
            past = self._over(self.product, {self.direction: unit(columns)}, columns)
            node = add([_chained(inner, outer, len(columns), entry.node.rank), past])
        shape = node.shape
        if not self.turned:
            node = transpose(node, (*range(len(columns), len(shape)), *range(len(columns))))
        return self._folded(Equation(name, apart(self.simplifier.simplify(node))))

    def _entry(self) -> Equation | None:
        """The tangent through which alone the direction enters, if it is that of a value with fewer axes."""
        readers = [equation for equation in self.linear if self.direction in leaves(equation.node)]
        if len(readers) != 1 or readers[0].node.rank >= self.direction.rank:
            return None
        meaning = parse_name(readers[0].name)
        forward = isinstance(meaning, Tangent) and not isinstance(parse_name(meaning.of), Adjoint)
        return readers[0] if forward else None

    def _columns(self, start: Leaf) -> dict[Leaf, Node]:
        """The derivatives of the linear equations' values by a tangent, whose axes come first; those that are 0 are left out."""
        columns = start.shape
        known: dict[Leaf, Node] = {start: unit(columns)}
        for equation in self.linear:
            if equation.reference is start:
                continue
            node = self._over(equation.node, known, columns)
            rank = equation.node.rank
            turned = transpose(node, (*range(len(columns), len(columns) + rank), *range(len(columns))))
            made = self.simplifier(Equation(_jacobian_name(equation.name, start.name), turned))
            if is_constant(made.node) and made.node == constant(0, made.node.shape):
                continue
            self.found.append(replace(made, node=apart(made.node)))
            known[equation.reference] = transpose(
                made.reference, (*range(rank, rank + len(columns)), *range(rank))
            )
        return known

    def _over(self, node: Node, known: dict[Leaf, Node], columns: tuple[object, ...]) -> Node:
        """An expression with derivatives in the place of the tangents in it; one that has none is 0."""
        inside = [leaf for leaf in leaves(node) if leaf in self.tangents or leaf is self.direction]
        zeros: dict[Node, Node] = {leaf: constant(0, leaf.shape) for leaf in inside if leaf not in known}
        here = {leaf: known[leaf] for leaf in inside if leaf in known}
        return over_columns(substitute(node, zeros), here, columns)

    def _folded(self, result: Equation) -> tuple[Equation, ...]:
        """Put derivatives into the equations that read them: diagonal ones, and where that makes those shorter together."""
        equations = {equation.name: equation for equation in (*self.found, result)}
        simplifier = Simplifier(self.first)  # which knows no name that is about to go
        for equation in self.found:
            inner, reference = equations[equation.name], equation.reference
            readers = [e for e in equations.values() if reference in leaves(e.node)]
            after = [apart(simplifier.simplify(substitute(e.node, {reference: inner.node}))) for e in readers]
            shorter = total_cost(after) < total_cost(e.node for e in readers) + cost(inner.node)
            if (shorter or _is_diagonal(inner.node)) and all(_indices(node) <= READABLE for node in after):
                equations.update({e.name: replace(e, node=node) for e, node in zip(readers, after, strict=True)})
                del equations[equation.name]
        used = replace(self.first, equations=(*self.named, *equations.values())).needed_for(frozenset({result.name}))
        return (*[equation for equation in self.named if equation.name in used], *equations.values())


class _Softmaxes:
    """Names for softmaxes that have none: in a block their exponentials would flow together, exp(a) exp(b) = exp(a + b)."""

    def __init__(self, derived: DerivedGraph) -> None:
        graph = derived.graph
        taken = {*graph.declared, *graph.by_name, *(function.title for function in derived.model.functions)}
        self._free = (name for k in count(1) if (name := "p" if k == 1 else f"p_{k}") not in taken)
        self._name_of: dict[Node, Leaf] = {}
        self.equations: list[Equation] = []

    def named(self, root: Node) -> Node:
        """Return an expression with names for the softmaxes in it."""
        return rewrite(root, self._with_names)

    def _with_names(self, node: Node) -> Node | None:
        if not isinstance(node, Pointwise):
            return None
        factors = list(zip(node.operands, node.labels, strict=True))
        changes: dict[sympy.Expr, sympy.Expr] = {}
        for total, reduced in enumerate(node.operands):
            if not isinstance(reduced, Reduction) or reduced.kind != "logsumexp":
                continue
            for value, (operand, labels) in enumerate(zip(node.operands, node.labels, strict=True)):
                exponential = sympy.exp(argument(value) - argument(total))
                if reduced.operands == (operand,) and node.expression.has(exponential):
                    changes[exponential] = argument(len(factors))
                    factors.append((self._leaf(operand, reduced), labels))
        return pointwise(node.expression.xreplace(changes), factors, node.shape) if changes else None

    def _leaf(self, operand: Node, reduced: Node) -> Leaf:
        if reduced not in self._name_of:
            every = tuple(range(operand.rank))
            softmax = pointwise(
                sympy.exp(argument(0) - argument(1)), [(operand, every), (reduced, every[: reduced.rank])], operand.shape
            )
            self.equations.append(Equation(next(self._free), softmax))
            self._name_of[reduced] = self.equations[-1].reference
        return self._name_of[reduced]


def _is_diagonal(node: Node) -> bool:
    """Tell whether a node is a product with an index condition [i = j]."""
    if isinstance(node, Pointwise) and node.expression.is_Mul:
        return any(argument(k) in node.expression.args and _is_diagonal(o) for k, o in enumerate(node.operands))
    return isinstance(node, Indicator) and node.relation == "=="


def _indices(root: Node) -> int:
    """The most indices that one sum of products in an expression has."""
    return max((len(n.label_sizes) for n in topological([root]) if isinstance(n, Contraction)), default=root.rank)


def _chained(inner: Node, outer: Node, columns: int, rank: int) -> Node:
    """The derivative by the columns through a value: inner has the columns and then its axes, outer its axes and then others."""
    rest = outer.rank - rank
    first, last = tuple(range(columns)), tuple(range(columns, columns + rest))
    middle = tuple(range(columns + rest, columns + rest + rank))
    sizes = (*inner.shape[:columns], *outer.shape[rank:], *outer.shape[:rank])
    return contract([(inner, (*first, *middle)), (outer, (*middle, *last))], (*first, *last), sizes)
