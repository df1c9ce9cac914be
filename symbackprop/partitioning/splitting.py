"""From the equations of a whole to those of one worker: which axes its values are parts of, and where workers must meet.

One rule does it. Every label of a node runs over the whole of its axis or over a worker's part of it. Operands that run along a
split label are split alike (a part of a whole is read without asking anybody, a whole is gathered from its parts); a sum over a
split label is a partial one, of which the workers' sum is taken as late as the equation allows: at its end, or before the first
operation that is not linear in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy

from symbackprop.derivation.workers import Layout, Split
from symbackprop.graph.build import (
    Factor,
    collective,
    contract,
    gathered,
    indicator,
    leaf,
    matrix_function,
    pointwise,
    reduction,
)
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.names import Adjoint, parse_name
from symbackprop.graph.nodes import (
    Contraction,
    Coordinate,
    Indicator,
    Labels,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
    axis,
)
from symbackprop.graph.sizes import Shape, Size, usual_value
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import topological
from symbackprop.partitioning.mesh import Mesh


@dataclass(frozen=True)
class Part:
    """What a worker computes of a node. ``partial`` are the splits over whose workers it must still be summed."""

    node: Node
    layout: Layout
    partial: frozenset[str] = frozenset()


class Splitter:
    """Splits the equations of one graph, in order. ``layouts`` holds those of its declared tensors and its values by name."""

    def __init__(self, graph: Graph, mesh: Mesh, sizes: dict[str, int]) -> None:
        """``sizes`` are those of dimensions, by which the cheaper of two ways is chosen where both are right."""
        self.graph, self.mesh, self.sizes = graph, mesh, sizes
        self.layouts: dict[str, Layout] = {}
        self.parts: dict[Node, Part] = {}

    def split_graph(self) -> Graph:
        """Return the equations of one worker. A gradient is split as what it is by."""
        declared = frozenset(self.graph.declared)
        equations: list[Equation] = []
        for equation in self.graph.equations:
            part = self._summed(self._part_of(equation.node))
            meaning = parse_name(equation.name)
            by = meaning.by if isinstance(meaning, Adjoint) else ""
            if by in declared:
                part = self._laid(part, self._layout_of(by))
            elif by in self.layouts:
                wanted = self.layouts[by]
                part = self._laid(part, tuple(have or want for have, want in zip(part.layout, wanted, strict=True)))
            self.layouts[equation.name] = part.layout
            new = Equation(equation.name, part.node, equation.indices)
            self.parts[equation.reference] = Part(new.reference, part.layout)
            equations.append(new)
        declarations = tuple(self._leaf(declaration).node for declaration in self.graph.declarations)
        leaves = tuple(node for node in declarations if isinstance(node, Leaf))
        return verify(replace(self.graph, declarations=leaves, equations=tuple(equations)))

    # ------------------------------------------------------------ nodes

    def _part_of(self, root: Node) -> Part:
        for node in topological([root]):
            if node not in self.parts and not isinstance(node, Leaf):
                self.parts[node] = self._split(node)
        return self._leaf(root) if isinstance(root, Leaf) else self.parts[root]

    def _split(self, node: Node) -> Part:
        if isinstance(node, Pointwise):
            return self._pointwise(node)
        if isinstance(node, Contraction):
            return self._contraction(node)
        if isinstance(node, Reduction):
            return self._reduction(node)
        if isinstance(node, Indicator):
            return self._indicator(node)
        if isinstance(node, Coordinate):
            return Part(node, (None,))
        assert isinstance(node, MatrixFunction)
        whole = self._whole(self._operands(node)[0], (-2, -1))
        return Part(matrix_function(node.kind, whole.node), whole.layout[: node.rank])

    def _operands(self, node: Node) -> list[Part]:
        """The parts of the operands. Where a given tensor may be split along one axis or another, the others' axes decide."""
        open_leaves = [o for o in node.operands if isinstance(o, Leaf) and o not in self.parts]
        known = [
            (self.parts[o], labels) for o, labels in zip(node.operands, node.labels, strict=True) if o not in open_leaves
        ]
        split = {(name, label) for part, labels in known for name, label in zip(part.layout, labels, strict=True) if name}
        for operand, labels in zip(node.operands, node.labels, strict=True):
            if operand in open_leaves and operand not in self.parts:
                assert isinstance(operand, Leaf)
                part = self._leaf(operand, [
                    [name for name, other in split if other == label] for label in labels
                ])  # fmt: skip
                split |= {(name, label) for name, label in zip(part.layout, labels, strict=True) if name}
        return [self.parts[operand] for operand in node.operands]

    def _leaf(self, declaration: Leaf, wanted: Sequence[Sequence[str]] = ()) -> Part:
        """A given tensor, each dimension split along one axis: the one along which it meets something split, or the first."""
        if declaration not in self.parts:
            layout: list[str | None] = [None] * declaration.rank
            for split in self.mesh.splits:
                axes = [k for k, size in enumerate(declaration.shape) if size == split.size and layout[k] is None]
                met = [k for k in axes if wanted and split.name in wanted[k]]
                if axes:
                    layout[(met or axes)[0]] = split.name
            self.layouts[declaration.name] = tuple(layout)
            shape = self._local(declaration.shape, tuple(layout))
            self.parts[declaration] = Part(leaf(declaration.kind, declaration.name, shape, declaration.classes), tuple(layout))
        return self.parts[declaration]

    def _layout_of(self, name: str) -> Layout:
        return self._leaf(self.graph.declared[name]).layout

    def _local(self, shape: Shape, layout: Layout) -> Shape:
        return tuple(size if name is None else self.mesh.split(name).own for size, name in zip(shape, layout, strict=True))

    def _labels(self, factors: Sequence[tuple[Part, Labels]]) -> dict[int, str]:
        """Say which labels are split: those along which an operand is, each split along one of them, with the least to gather."""
        claims: dict[str, dict[int, None]] = {}
        taken: dict[int, str] = {}
        for part, labels in factors:
            for name, label in zip(part.layout, labels, strict=True):
                if name is not None and taken.setdefault(label, name) == name:
                    claims.setdefault(name, {})[label] = None
        chosen = {}
        for name, claimed in claims.items():
            cost = {label: self._gathered_entries(factors, name, label) for label in claimed}
            chosen[min(cost, key=cost.__getitem__)] = name
        return chosen

    def _gathered_entries(self, factors: Sequence[tuple[Part, Labels]], name: str, kept: int) -> int:
        return sum(
            self._entries(part.node.shape) * self.mesh.split(name).parts
            for part, labels in factors
            if any(own == name and label != kept for own, label in zip(part.layout, labels, strict=True))
        )

    def _entries(self, shape: Shape) -> int:
        own = {s.part: usual_value(s.size / (s.parts * s.rounds), self.sizes) for s in self.mesh.splits}
        return usual_value(sympy.Mul(*shape), {**self.sizes, **own})

    def _sizes(self, sizes: Shape, split: dict[int, str]) -> Shape:
        return tuple(self.mesh.split(split[label]).own if label in split else size for label, size in enumerate(sizes))

    def _aligned(self, factors: Sequence[tuple[Part, Labels]], split: dict[int, str]) -> list[Factor]:
        return [(self._laid(part, tuple(split.get(label) for label in labels)).node, labels) for part, labels in factors]

    def _contraction(self, node: Contraction) -> Part:
        factors = [(self._summed(part), labels) for part, labels in zip(self._operands(node), node.labels, strict=True)]
        split = self._labels(factors)
        made = contract(self._aligned(factors, split), tuple(range(node.rank)), self._sizes(node.label_sizes, split))
        partial = frozenset(name for label, name in split.items() if label >= node.rank)
        return Part(made, tuple(split.get(label) for label in range(node.rank)), partial)

    def _reduction(self, node: Reduction) -> Part:
        factors = [(self._summed(part), labels) for part, labels in zip(self._operands(node), node.labels, strict=True)]
        split = self._labels(factors)
        ((operand, labels),) = self._aligned(factors, split)
        made = reduction(node.kind, operand, labels, node.rank, self._sizes(node.label_sizes, split))
        groups = [name for label, name in split.items() if label >= node.rank]
        made = collective(node.kind, self._in_order(groups), made) if groups else made
        return Part(made, tuple(split.get(label) for label in range(node.rank)))

    def _indicator(self, node: Indicator) -> Part:
        factors = list(zip(self._operands(node), node.labels, strict=True))
        split = self._labels(factors)
        made: Node = node
        if split:
            moved = node.condition.xreplace({axis(k): axis(k) + self.mesh.split(name).start for k, name in split.items()})
            made = indicator(node.relation, moved, self._sizes(node.shape, split), self._aligned(factors, split))
        return Part(made, tuple(split.get(label) for label in range(node.rank)))

    # ------------------------------------------------------------ pointwise

    def _pointwise(self, node: Pointwise) -> Part:
        factors = list(zip(self._operands(node), node.labels, strict=True))
        split = self._labels(factors)
        waiting = frozenset().union(*[part.partial for part, _ in factors])
        terms = sympy.Add.make_args(sympy.expand_mul(node.expression) if waiting else node.expression)
        if waiting & {*split.values()} or not all(self._linear(term, factors) for term in terms):
            factors = [(self._summed(part), labels) for part, labels in factors]
        factors = [(part if part.node.rank == node.rank else self._summed(part), labels) for part, labels in factors]
        shape, layout = self._sizes(node.shape, split), tuple(split.get(label) for label in range(node.rank))
        aligned = self._aligned([(replace(part, partial=frozenset()), labels) for part, labels in factors], split)
        groups: dict[frozenset[str], list[sympy.Expr]] = {}
        for term in terms:
            groups.setdefault(self._partial_in(term, factors), []).append(term)
        if len(groups) == 1:
            return Part(pointwise(node.expression, aligned, shape), layout, *groups)
        rest = sympy.Add(*groups.pop(frozenset(), []))
        for partial, own in groups.items():
            made = pointwise(sympy.factor_terms(sympy.Add(*own)), aligned, shape)
            aligned.append((collective("sum", self._in_order(partial), made), tuple(range(node.rank))))
            rest += argument(len(aligned) - 1)
        return Part(pointwise(rest, aligned, shape), layout)

    def _partial_in(self, term: sympy.Expr, factors: Sequence[tuple[Part, Labels]]) -> frozenset[str]:
        found = [part.partial for k, (part, _) in enumerate(factors) if part.partial and term.has(argument(k))]
        return found[0] if found else frozenset()

    def _linear(self, term: sympy.Expr, factors: Sequence[tuple[Part, Labels]]) -> bool:
        """Tell whether a term is a multiple of one value that must still be summed, or has none."""
        partial = [argument(k) for k, (part, _) in enumerate(factors) if part.partial and term.has(argument(k))]
        return not partial or (len(partial) == 1 and not sympy.cancel(term / partial[0]).has(partial[0]))

    # ------------------------------------------------------------ changes of layout

    def _in_order(self, names: Sequence[str] | frozenset[str]) -> list[str]:
        return [split.name for split in self.mesh.splits if split.name in names]

    def _summed(self, part: Part) -> Part:
        """What has been summed over the workers it must be summed over."""
        if not part.partial:
            return part
        return Part(collective("sum", self._in_order(part.partial), part.node), part.layout)

    def _whole(self, part: Part, axes: Sequence[int]) -> Part:
        layout = list(part.layout)
        for k in axes:
            layout[k] = None
        return self._laid(part, tuple(layout))

    def _laid(self, part: Part, layout: Layout) -> Part:
        """A value in another layout: its parts are gathered, and a part of a whole is taken."""
        node = part.node
        for k, (have, want) in enumerate(zip(part.layout, layout, strict=True)):
            if have is not None and have != want:
                node = gathered(have, node, k, self.mesh.split(have).size)
        for k, (have, want) in enumerate(zip(part.layout, layout, strict=True)):
            if want is not None and have != want:
                node = own_part(node, k, self.mesh.split(want))
        return Part(node, layout, part.partial)


def own_part(node: Node, position: int, split: Split) -> Node:
    """Return what a worker's part of an axis holds of a value that is there as a whole."""
    shape = (*node.shape[:position], split.own, *node.shape[position + 1 :])
    if isinstance(node, Pointwise | Indicator):
        factors = []
        for operand, labels in zip(node.operands, node.labels, strict=True):
            for k, label in enumerate(labels):
                operand = own_part(operand, k, split) if label == position else operand
            factors.append((operand, labels))
        if isinstance(node, Pointwise):
            return pointwise(node.expression, factors, shape)
        return indicator(node.relation, node.condition.xreplace({axis(position): axis(position) + split.start}), shape, factors)
    sizes: list[Size] = [*shape, node.shape[position]]
    where = indicator("==", axis(1) - axis(0) - split.start, (split.own, node.shape[position]))
    labels = tuple(len(shape) if k == position else k for k in range(len(shape)))
    return contract([(node, labels), (where, (position, len(shape)))], tuple(range(len(shape))), sizes)
