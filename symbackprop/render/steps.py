"""The chain rule with its local derivatives: how each backward equation is arrived at."""

from __future__ import annotations

from dataclasses import dataclass

from symbackprop.derivation.local import local_derivatives
from symbackprop.derivation.reverse import Contribution
from symbackprop.errors import UsageError
from symbackprop.graph.model import Equation, Graph
from symbackprop.graph.names import Adjoint, Cotangent
from symbackprop.graph.nodes import Node
from symbackprop.render.build import add, chain, hadamard, transpose
from symbackprop.render.forms import NoMatrixForm
from symbackprop.render.formula import Call, Entry, Formula, Index, Over, Slope, Symbol
from symbackprop.render.index_form import names_read
from symbackprop.render.writer import Writer, entry
from symbackprop.simplify.engine import Simplifier


@dataclass(frozen=True)
class Local:
    """One local derivative: of the value of equation ``number``."""

    number: int
    left: Formula
    right: Formula


@dataclass(frozen=True)
class Step:
    """How one derivative is found: its local derivatives, and the chain rule that puts them together."""

    locals: tuple[Local, ...]
    left: Formula
    right: Formula


class Steps:
    """The steps of a derivation's backward equations. Raises UsageError for one that workers share: it was derived as a whole."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.derived = writer, writer.derived
        if self.derived.workers:
            raise UsageError("steps are those of the whole derivation: of equations that workers share there are none")
        graph = self.derived.graph
        self._forward = {equation.name: equation for equation in self.derived.forward}
        self._active = graph.depends_on(frozenset(self.derived.wrt))
        self._simplifier = Simplifier(Graph(graph.declarations, self.derived.forward, graph.constraints))
        self._found: dict[str, dict[str, Node]] = {}
        self._shown: set[str] = set()

    def of(self, name: str) -> list[Step]:
        """Return the steps to the derivative by a value: those of derivatives that have no equation of their own first.

        A value that nothing but the objective reads has none: its derivative is the local one.
        """
        steps: list[Step] = []
        consumers = [term.consumer for term in self._contributions(name)]
        for consumer in consumers:
            if self.adjoint(consumer).name not in self.derived.graph.by_name and consumer not in self._shown:
                self._shown.add(consumer)
                steps += self.of(consumer)
        if any(not self._is_objective(consumer) for consumer in consumers):
            steps.append(self._step(name, consumers))
        return steps

    def adjoint(self, name: str) -> Symbol:
        """The symbol of the derivative by a value; that of a target without an objective is given."""
        rank = self.derived.graph.reference(name).rank
        if name == self.derived.target and self.derived.model.objective is None:
            return Symbol(Cotangent(name).name, rank, "cotangent")
        return Symbol(Adjoint(self.derived.above, name).name, rank)

    def _is_objective(self, name: str) -> bool:
        return name == self.derived.target == self.derived.model.objective

    def _contributions(self, name: str) -> list[Contribution]:
        found = self.derived.contributions.get(Adjoint(self.derived.above, name).name, ())
        return sorted(found, key=lambda term: self.writer.number[term.consumer])

    def _local(self, consumer: str, name: str) -> Node:
        if consumer not in self._found:
            self._found[consumer] = local_derivatives(self._forward[consumer], self._active, self._simplifier)
        return self._found[consumer][name]

    def _step(self, name: str, consumers: list[str]) -> Step:
        try:
            return self._in_matrices(name, consumers)
        except NoMatrixForm:
            return self._in_indices(name, consumers)

    def _in_matrices(self, name: str, consumers: list[str]) -> Step:
        by = self._value(name)
        found, terms = [], []
        for consumer in consumers:
            of, local = self._value(consumer), self._local(consumer, name)
            if of.rank + by.rank > 2:
                raise NoMatrixForm
            right = self.writer.matrix.of(local)
            if self._is_objective(consumer):
                terms.append(right)
                continue
            slope, cotangent = Slope(of, by), self.adjoint(consumer)
            found.append(Local(self.writer.number[consumer], slope, right))
            if of.rank == 0:
                terms.append(chain([cotangent, slope]))
            elif of.rank == 1:
                terms.append(chain([transpose(slope), cotangent]))
            else:
                terms.append(Call("sum", (hadamard([cotangent, slope]),)))
        return Step(tuple(found), self.adjoint(name), add([(1, term) for term in terms]))

    def _in_indices(self, name: str, consumers: list[str]) -> Step:
        index, by = self.writer.index, self._value(name)
        shape = self.derived.graph.reference(name).shape
        adjoint = self.derived.graph.by_name.get(self.adjoint(name).name)
        read = {x for consumer in consumers for x in names_read(self._local(consumer, name))}
        letters = self._letters_of_result(adjoint, read)
        used = {*read, *letters}
        own = {c: index.letters(self._forward[c].node.shape, self._forward[c].indices, set(used)) for c in consumers}
        if not letters:
            letters = index.letters(shape, (), {*used, *(x for others in own.values() for x in others)})
        found, terms = [], []
        for consumer in consumers:
            _, right = index.of(self._local(consumer, name), (*own[consumer], *letters))
            if self._is_objective(consumer):
                terms.append(right)
                continue
            axes = self._forward[consumer].node.shape
            slope = Slope(entry(self._value(consumer), own[consumer], axes), entry(by, letters, shape))
            found.append(Local(self.writer.number[consumer], slope, right))
            product = chain([slope, entry(self.adjoint(consumer), own[consumer], axes)])
            ranges = tuple(zip(own[consumer], axes, strict=True))
            terms.append(Over("sum", ranges, product) if ranges else product)
        return Step(tuple(found), entry(self.adjoint(name), letters, shape), add([(1, term) for term in terms]))

    def _letters_of_result(self, adjoint: Equation | None, read: set[str]) -> tuple[str, ...]:
        """The letters with which the result is written, where it is written in index form and they are free."""
        left = self.writer.line(adjoint).left if adjoint else None
        found = tuple(x.letter for x in left.subscripts if isinstance(x, Index)) if isinstance(left, Entry) else ()
        return () if read & set(found) else found

    def _value(self, name: str) -> Symbol:
        leaf = self.derived.graph.reference(name)
        return Symbol(name, leaf.rank, leaf.kind)
