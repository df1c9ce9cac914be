"""The index form of a node: every entry by itself, with sums over indices. There is one for every node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import sympy

from symbackprop.derivation.workers import Split, Workers
from symbackprop.graph.nodes import (
    Collective,
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
from symbackprop.graph.sizes import Shape, Size, dimension, solved
from symbackprop.graph.walk import topological
from symbackprop.render.build import ONE, add, chain, flip, place_in_product
from symbackprop.render.forms import NoMatrixForm, over_workers
from symbackprop.render.formula import (
    Bracket,
    Call,
    Comparison,
    Entry,
    Formula,
    Index,
    Inverse,
    Number,
    Over,
    Power,
    Sum,
    Within,
    parts,
)
from symbackprop.render.matrix_form import MatrixForm
from symbackprop.render.scalar_form import ScalarForm

Subscript: TypeAlias = sympy.Expr
"""An index expression: affine in the symbols of `letter`, or the entry of an integer tensor."""

LETTERS = "ijklpqrstuvabcefgmn"


def letter(name: str) -> sympy.Symbol:
    """The symbol of an index."""
    return sympy.Symbol(name, integer=True, nonnegative=True)


class IndexForm:
    """Writes nodes in index form.

    ``taken`` holds the letters that are names of the model, ``defaults`` the sizes by which it is decided whether a subscript
    leaves its axis: the entry is 0 there. The language has no such entries: with ``inside`` the condition is written out.
    ``workers`` are as in `MatrixForm`.
    """

    def __init__(
        self,
        name: Callable[[Leaf], Formula],
        taken: frozenset[str] = frozenset(),
        defaults: Mapping[str, int] | None = None,
        inside: bool = False,
        workers: Workers | None = None,
    ) -> None:
        self.name = name
        self.matrix = MatrixForm(name, workers)
        self.taken, self.defaults, self.inside = taken, dict(defaults or {}), inside
        self.lookups: dict[sympy.Symbol, Formula] = {}
        self.sizes: dict[str, Size] = {}
        self.guarded: frozenset[str] = frozenset()
        self.leaves_axes = False

    def of(self, node: Node, indices: Sequence[str] = ()) -> tuple[tuple[str, ...], Formula]:
        """Return the letters of the axes and the formula of one entry.

        ``indices`` are the author's letters; one that the equation reads as a name is not used.
        """
        letters = self.letters(node.shape, indices, names_read(node))
        self.sizes.update(zip(letters, node.shape, strict=True))
        return letters, self.entry(node, [letter(x) for x in letters], set(letters))

    def letters(self, shape: Shape, indices: Sequence[str], used: set[str]) -> tuple[str, ...]:
        """Return distinct letters for the axes: the author's, where they fit and are not used, and a new one for the batch."""
        kept = [None if name in used else name for name in indices]
        kept = [None, *kept] if len(kept) == len(shape) - 1 and kept else kept
        kept = kept if len(kept) == len(shape) else [None] * len(shape)
        reserved = {name for name in kept if name is not None} | used
        return tuple(self._fresh(reserved) if name is None else name for name in kept)

    def _fresh(self, used: set[str]) -> str:
        for candidate in LETTERS:
            if candidate not in used and candidate not in self.taken:
                used.add(candidate)
                return candidate
        number = 1
        while f"i_{number}" in used or f"i_{number}" in self.taken:
            number += 1
        used.add(f"i_{number}")
        return f"i_{number}"

    def entry(self, node: Node, at: Sequence[Subscript], used: set[str]) -> Formula:
        """Return the formula of ``node[at]``."""
        if isinstance(node, Leaf):
            return self._leaf(node, at)
        if isinstance(node, Pointwise):
            return add([self._scalar(node.expression, node, at, used)])
        if isinstance(node, Contraction):
            return self._sum(node, at, used)
        if isinstance(node, Reduction):
            return self._reduction(node, at, used)
        if isinstance(node, Indicator):
            return Bracket(self._condition(node, at))
        if isinstance(node, Coordinate):
            return self.subscript(at[0])
        if isinstance(node, Collective):
            return self._collective(node, at, used)
        assert isinstance(node, MatrixFunction)
        return self._matrix_function(node, at)

    def _collective(self, node: Collective, at: Sequence[Subscript], used: set[str]) -> Formula:
        """What workers know together. A position that is this worker's own is said outside, where it means no other one's."""
        (operand,), workers = node.operands, self.matrix.workers
        firsts = {dimension(split.first) for split in self._splits()} | self.lookups.keys()
        own = [k for k, subscript in enumerate(at) if subscript.free_symbols & firsts]
        if own or node.kind == "gather":
            try:
                inner = self.name(operand) if isinstance(operand, Leaf) else self.matrix.of(operand)
                return Entry(over_workers(node, inner, workers), tuple(self.subscript(s) for s in at))
            except NoMatrixForm:
                pass
        inside, places, conditions = set(used), list(at), list[Formula]()
        for k in own:
            places[k] = letter(self._fresh(inside))
            self.sizes[places[k].name] = node.shape[k]
            conditions.append(Bracket(Comparison(Index(places[k].name), "==", self.subscript(at[k]))))
        body = over_workers(node, self.entry(operand, places, inside), workers)
        indices = tuple((places[k].name, node.shape[k]) for k in own)
        return Over("sum", indices, chain([*conditions, body])) if own else body

    def _matrix_function(self, node: MatrixFunction, at: Sequence[Subscript]) -> Formula:
        """A function of a matrix, or of each matrix of a stack: ``(A[i]⁻¹)[j, k]``."""
        (operand,) = node.operands
        stack = operand.rank - 2
        try:
            inner = self.matrix.of(operand)
        except NoMatrixForm:
            if isinstance(operand, Leaf):
                inner = Entry(self.name(operand), tuple(self.subscript(s) for s in at[:stack]), operand.shape[:stack])
            else:
                letters, body = self.of(operand)
                inner = Entry(body, tuple(Index(x) for x in letters))
        if node.kind in ("inverse", "cofactor"):
            whole: Formula = Inverse(inner) if node.kind == "inverse" else Call("cofactor", (inner,))
            return Entry(whole, tuple(self.subscript(s) for s in at[stack:]))
        return Call(node.kind, (inner,))

    def _leaf(self, node: Leaf, at: Sequence[Subscript]) -> Formula:
        base = self.name(node)
        return Entry(base, tuple(self.subscript(s) for s in at), node.shape) if node.rank else base

    def subscript(self, expression: Subscript) -> Formula:
        """Return an index expression."""
        if expression in self.lookups:
            return self.lookups[expression]
        if expression.is_Symbol and not expression.is_positive:
            return Index(expression.name)
        if expression.is_Add:
            terms = sorted(expression.args, key=lambda term: (term.is_number, -len(term.free_symbols), str(term)))
            signed = [flip(-1 if t.could_extract_minus_sign() else 1, self.subscript(abs_term(t))) for t in terms]
            before = add(signed[:-1])
            if terms[-1].is_number and isinstance(before, Sum):
                return Sum((*before.terms, signed[-1]))
            return add(signed)
        if expression.is_Mul and any(s in self.lookups or not s.is_positive for s in expression.free_symbols):
            coefficient, rest = expression.as_coeff_Mul()
            return chain([Number(coefficient), self.subscript(rest)]) if coefficient != 1 else Number(expression)
        return Number(expression)

    # ------------------------------------------------------------ sums

    def _bind(
        self, node: Contraction | Reduction, at: Sequence[Subscript], used: set[str]
    ) -> tuple[dict[int, Subscript], set[str]]:
        inner = set(used)
        place: dict[int, Subscript] = dict(enumerate(at))
        for label in range(node.rank, len(node.label_sizes)):
            place[label] = letter(self._fresh(inner))
            self.sizes[place[label].name] = node.label_sizes[label]
        return place, inner

    def _sum(self, node: Contraction, at: Sequence[Subscript], used: set[str]) -> Formula:
        place, inner = self._bind(node, at, used)
        factors = list(zip(node.operands, node.labels, strict=True))
        bound = list(range(node.rank, len(node.label_sizes)))
        axes = {label for operand, labels in factors if isinstance(operand, Leaf) for label in labels}
        computed = {label for operand, labels in factors if not isinstance(operand, Leaf | Indicator) for label in labels}
        conditions: list[Formula] = []
        for operand, labels in factors:
            if not isinstance(operand, Indicator):
                continue
            letters_before = dict(place)
            gone = self._eliminate(operand, labels, place, bound, axes) if operand.relation == "==" else None
            leaves = gone in axes and gone is not None and self._leaves(place[gone], node.label_sizes[gone])
            self.leaves_axes |= leaves
            if gone is not None and self.inside and (leaves or gone not in axes - computed):
                bound[:] = sorted([*bound, gone])
                place, gone = letters_before, None
            if gone is None:
                conditions.append(Bracket(self._condition(operand, [place[label] for label in labels])))
            elif gone not in axes and not self._is_own(place[gone], node.label_sizes[gone]):
                conditions.append(Within(self.subscript(place[gone]), node.label_sizes[gone]))
        tensors = [(operand, labels) for operand, labels in factors if not isinstance(operand, Indicator)]
        parts = [self.entry(operand, [place[label] for label in labels], inner) for operand, labels in tensors]
        parts.sort(key=place_in_product)
        body = chain([*conditions, *parts]) if parts or conditions else ONE
        if not bound:
            return body
        return Over("sum", tuple((place[label].name, node.label_sizes[label]) for label in bound), body)

    def _leaves(self, subscript: Subscript, size: Size) -> bool:
        """Tell whether a subscript leaves its axis, as the language judges it."""
        if any(subscript.coeff(dimension(split.first)) == -1 for split in self._splits()):
            return True  # not every position of the whole is a worker's own
        indices = [s for s in subscript.free_symbols if s.name in self.sizes and not s.is_positive]
        if self.lookups.keys() & subscript.free_symbols or (self.inside and self.guarded & {s.name for s in indices}):
            return False
        low, high = subscript, subscript
        for symbol in indices:
            first, last = sympy.S.Zero, self.sizes[symbol.name] - 1
            if not subscript.coeff(symbol).is_positive:
                first, last = last, first
            low, high = low.xreplace({symbol: first}), high.xreplace({symbol: last})
        return any(self._is_positive(excess) for excess in (-low, high - size + 1))

    def _splits(self) -> tuple[Split, ...]:
        return self.matrix.workers.splits if self.matrix.workers else ()

    def _is_own(self, subscript: Subscript, size: Size) -> bool:
        """Tell whether a subscript is a position of the worker's own within the whole: it does not leave its axis."""
        return any(
            size == split.size and self.sizes.get(str(sympy.expand(subscript - split.start))) == split.own
            for split in self._splits()
        )

    def _is_positive(self, number: sympy.Expr) -> bool:
        """Tell whether an expression in sizes is positive: at their defaults, or provably where one has none."""
        known = {s: sympy.Integer(self.defaults[s.name]) for s in number.free_symbols if s.name in self.defaults}
        return bool(sympy.expand(number.xreplace(known)).is_positive)

    def _eliminate(
        self, node: Indicator, labels: Labels, place: dict[int, Subscript], bound: list[int], axes: set[int]
    ) -> int | None:
        """Put ``p = 2 i + a`` in: solve the condition for a bound index that stands in it with coefficient 1 or -1.

        An index that is the axis of a tensor is preferred: an entry outside counts as 0. Returns the label, or None.
        """
        condition = self._substituted(node, [place[label] for label in labels])
        for label in sorted(
            {label for label in labels if label in bound}, key=lambda x: (x not in axes, x in labels[1:], x)
        ):
            symbol = place[label]
            solution = solved(condition, symbol) if symbol.is_Symbol else None
            if solution is not None and not solution.has(symbol):
                bound.remove(label)
                for other, value in place.items():
                    place[other] = value.xreplace({symbol: solution})
                return label
        return None

    def _substituted(self, node: Indicator, at: Sequence[Subscript]) -> sympy.Expr:
        values = {axis(k): at[k] for k in range(len(at))}
        for k, (operand, labels) in enumerate(zip(node.operands, node.labels, strict=True)):
            values[argument(k)] = self._lookup(operand, [at[label] for label in labels])
        return sympy.expand(node.condition.xreplace(values))

    def _lookup(self, operand: Node, at: Sequence[Subscript]) -> sympy.Symbol:
        formula = self.entry(operand, at, {s.name for a in at for s in a.free_symbols})
        symbol = sympy.Symbol(f"lookup {operand.key} {at}", integer=True, nonnegative=True)
        self.lookups[symbol] = formula
        return symbol

    def _condition(self, node: Indicator, at: Sequence[Subscript]) -> Comparison:
        starts = {dimension(split.first): split for split in self._splits()}
        condition = sympy.expand(self._substituted(node, at).xreplace({first: first + 1 for first in starts}))
        starting = {first: split.start for first, split in starts.items()}
        left, right = sympy.S.Zero, sympy.S.Zero
        for term in sympy.Add.make_args(condition):
            if term.could_extract_minus_sign():
                right -= term
            else:
                left += term
        relation = node.relation
        if node.relation == ">=" and right.is_Integer and right == 1 and left != 0:
            return Comparison(self.subscript(left.xreplace(starting)), ">", Number(sympy.S.Zero))
        if (
            node.relation == ">="
            and (right - 1).is_Add is False
            and right.is_Add
            and right.has(sympy.S.One)
            and right.args[0] == 1
        ):
            right, relation = right - 1, ">"
        return Comparison(self.subscript(left.xreplace(starting)), relation, self.subscript(right.xreplace(starting)))

    def _reduction(self, node: Reduction, at: Sequence[Subscript], used: set[str]) -> Formula:
        place, inner = self._bind(node, at, used)
        (operand,), (labels,) = node.operands, node.labels
        body = self.entry(operand, [place[label] for label in labels], inner)
        indices = tuple((place[k].name, node.label_sizes[k]) for k in range(node.rank, len(node.label_sizes)))
        if node.kind == "norm":
            return Call("sqrt", (Over("sum", indices, Power(body, Number(sympy.Integer(2)))),))
        return Over(node.kind, indices, body)

    # ------------------------------------------------------------ scalars

    def _scalar(
        self, expression: sympy.Expr, node: Pointwise, at: Sequence[Subscript], used: set[str]
    ) -> tuple[int, Formula]:
        def writer(k: int) -> Callable[[], Formula]:
            return lambda: self.entry(node.operands[k], [at[label] for label in node.labels[k]], used)

        form = ScalarForm({argument(k): writer(k) for k in range(len(node.operands))}, self._guarded_by)
        return form.write(expression)

    @contextmanager
    def _guarded_by(self, condition: Formula) -> Iterator[None]:
        """Within a choice: what its condition speaks of need not stay inside an axis for every position."""
        outer = self.guarded
        self.guarded = outer | {part.letter for part in parts(condition) if isinstance(part, Index)}
        yield
        self.guarded = outer


def abs_term(term: sympy.Expr) -> sympy.Expr:
    """A term without its minus sign."""
    return -term if term.could_extract_minus_sign() else term


def names_read(root: Node) -> set[str]:
    """The names an index must not have: of the tensors that an expression reads, and of the sizes in it."""
    names: set[str] = set()
    for node in topological([root]):
        if isinstance(node, Leaf):
            names.add(node.name)
        elif isinstance(node, Pointwise | Indicator):
            expression = node.expression if isinstance(node, Pointwise) else node.condition
            names |= {symbol.name for symbol in expression.free_symbols if symbol.is_positive}
    return names
