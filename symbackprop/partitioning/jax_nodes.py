"""Nodes as statements of jax.numpy, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_letters
from typing import NamedTuple

import sympy

from symbackprop.graph.build import Factor
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
from symbackprop.graph.sizes import Shape, Size
from symbackprop.kernels.contraction import factors_of
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.numbers import Numbers
from symbackprop.partitioning.jax_scalars import NamedFunctions, ScalarCode

_REDUCTIONS = {"max": "jnp.max({}, axis={})", "logsumexp": "jax.nn.logsumexp({}, axis={})", "norm": "_norm({}, {})"}
_MATRICES = {
    "inverse": "jnp.linalg.inv({})", "det": "jnp.linalg.det({})", "logdet": "jnp.linalg.slogdet({})[1]",
    "cofactor": "_cofactor({})",
}  # fmt: skip
_COLLECTIVES = {
    "sum": "jax.lax.psum({}, {})", "max": "jax.lax.pmax({}, {})", "logsumexp": "_logsumexp_over({}, {})",
    "norm": "_norm_over({}, {})",
}  # fmt: skip


class Term(NamedTuple):
    """A factor in progress: the code of an array, and the labels that its axes run along."""

    code: str
    labels: Labels


class Map(NamedTuple):
    """An index condition read as a map: the axis ``label`` is at ``places``, an array of whole numbers along ``labels``."""

    label: int
    places: str
    labels: Labels


class Statements:
    """Writes the equations of one function. ``lines`` are its statements so far; what a node is called is known from then on."""

    def __init__(self, names: Identifiers, functions: NamedFunctions) -> None:
        self.names, self.functions, self.numbers = names, functions, Numbers(names)
        self.lines: list[str] = []
        self.given: dict[str, None] = {}
        self._code: dict[Node, str] = {}
        self._equation = ""

    def equation(self, name: str, node: Node) -> None:
        """Write one equation."""
        self._equation = name
        code = self.code(node) if isinstance(node, Leaf) or node in self._code else self._value(node)
        result = self.names.of(name)
        self.lines.append(f"{result} = {self._as_number(node, code)}")
        if not isinstance(node, Indicator):
            self._code.setdefault(node, result)

    def code(self, node: Node) -> str:
        """The variable of a node's value, which is written here if it is not there yet."""
        if isinstance(node, Leaf):
            if node.kind != "value":
                self.given.setdefault(node.name)
            return self.names.of(node.name)
        if node not in self._code:
            self._code[node] = self._variable(self._value(node))
        return self._code[node]

    def _variable(self, code: str) -> str:
        """A variable that holds what some code gives: itself, if it is one."""
        if code.isidentifier():
            return code
        variable = self.names.fresh(f"{self.names.of(self._equation)}_part")
        self.lines.append(f"{variable} = {code}")
        return variable

    def _value(self, node: Node) -> str:
        """The code of a node; an index condition is an array of truth values."""
        if isinstance(node, Pointwise):
            return self._pointwise(node)
        if isinstance(node, Contraction):
            return self._contraction(node)
        if isinstance(node, Reduction):
            return self._reduction(node)
        if isinstance(node, Indicator):
            return self._indicator(node)
        if isinstance(node, Coordinate):
            return f"jnp.arange({self.numbers.size(node.shape[0])}, dtype=dtype)"
        operand = self._number(node.operands[0])
        if isinstance(node, MatrixFunction):
            return _MATRICES[node.kind].format(operand)
        assert isinstance(node, Collective)
        if node.kind == "gather":
            return f"jax.lax.all_gather({operand}, {node.groups[0]!r}, axis={node.position}, tiled=True)"
        return _COLLECTIVES[node.kind].format(operand, repr(node.groups))

    def _number(self, node: Node) -> str:
        """A value as numbers of the module's dtype, where it may hold truth values or classes."""
        return self._as_number(node, self.code(node))

    def _as_number(self, node: Node, code: str) -> str:
        whole = isinstance(node, Indicator) or (isinstance(node, Leaf) and node.classes is not None)
        return f"{code if code.isidentifier() else f'({code})'}.astype(dtype)" if whole else code

    def _shape(self, shape: Shape) -> str:
        return f"({', '.join(map(self.numbers.size, shape))}{',' if len(shape) == 1 else ''})"

    # ------------------------------------------------------------ entry by entry

    def _pointwise(self, node: Pointwise) -> str:
        if not node.operands:
            return f"jnp.full({self._shape(node.shape)}, {self.numbers.number(node.expression)}, dtype)"
        values, masks, reached = dict[sympy.Symbol, str](), dict[sympy.Symbol, str](), set[int]()
        for k, (operand, labels) in enumerate(zip(node.operands, node.labels, strict=True)):
            values[argument(k)] = aligned(self._number(operand), labels, node.rank)
            if isinstance(operand, Indicator):
                masks[argument(k)] = aligned(self._code[operand], labels, node.rank)
            reached.update(labels if argument(k) in node.expression.free_symbols else ())
        code = ScalarCode(values, self.numbers, self.functions, masks).of(node.expression)
        return code if len(reached) == node.rank else f"jnp.broadcast_to({code}, {self._shape(node.shape)})"

    def _indicator(self, node: Indicator) -> str:
        own = tuple(range(node.rank))
        places = self._places(node, node.condition, own, node.rank)
        left, right = (" + ".join(terms) or "0" for terms in self._sides(node.condition, places))
        code = f"{left} {node.relation} {right}"
        reached = {k for k in own if node.condition.has(axis(k))}
        reached.update(label for labels in node.labels for label in labels)
        return code if len(reached) == node.rank else f"jnp.broadcast_to({code}, {self._shape(node.shape)})"

    def _places(self, node: Indicator, part: sympy.Expr, place: Sequence[int], rank: int) -> dict[sympy.Symbol, str]:
        """The axes and lookups in part of a condition as whole numbers; its axis k is put to ``place[k]`` of ``rank`` axes."""
        values = {
            axis(k): aligned(f"jnp.arange({self.numbers.size(size)})", (place[k],), rank)
            for k, size in enumerate(node.shape)
            if part.has(axis(k))
        }
        for k, (operand, labels) in enumerate(zip(node.operands, node.labels, strict=True)):
            if part.has(argument(k)):
                values[argument(k)] = aligned(self.code(operand), tuple(place[label] for label in labels), rank)
        return values

    def _sides(self, expression: sympy.Expr, values: Mapping[sympy.Symbol, str]) -> tuple[list[str], list[str]]:
        """The terms of a sum of multiples of whole numbers: those with a plus, and those with a minus."""
        expression = sympy.expand(expression)
        sides: tuple[list[str], list[str]] = [], []
        for symbol, code in values.items():
            minus, factor = _signed(expression.coeff(symbol))
            sides[minus].append(code if factor == 1 else f"{self._size(factor)} * {code}")
        minus, rest = _signed(expression.xreplace(dict.fromkeys(values, sympy.S.Zero)))
        if rest != 0:
            sides[minus].append(self._size(rest))
        return sides

    def _size(self, size: Size) -> str:
        """A size as a factor."""
        code = self.numbers.size(size)
        return code if code.isidentifier() or code.isdigit() else f"({code})"

    # ------------------------------------------------------------ sums

    def _reduction(self, node: Reduction) -> str:
        labels, code = node.labels[0], self._number(node.operands[0])
        missing = [size for label, size in enumerate(node.label_sizes) if label >= node.rank and label not in labels]
        if missing or len(set(labels)) < len(labels):
            full = tuple(range(len(node.label_sizes)))
            code, labels = f"jnp.broadcast_to({aligned(code, labels, len(full))}, {self._shape(node.label_sizes)})", full
        axes = tuple(k for k, label in enumerate(labels) if label >= node.rank)
        kept = tuple(label for label in labels if label < node.rank)
        return self._spread(Term(_REDUCTIONS[node.kind].format(code, axes), kept), node.shape)

    def _spread(self, term: Term, shape: Shape) -> str:
        """A term with the axes of a result in order, repeated along those that it lacks."""
        code = aligned(term.code, term.labels, len(shape))
        return code if len(term.labels) == len(shape) else f"jnp.broadcast_to({code}, {self._shape(shape)})"

    def _contraction(self, node: Contraction) -> str:
        """A sum of products: index conditions are read as maps where they are some, and multiplied as 0 and 1 elsewhere."""
        output, terms, conditions = tuple(range(node.rank)), list[Term](), list[Factor]()
        for operand, labels in factors_of(node):
            if isinstance(operand, Indicator):
                conditions.append((operand, labels))
            else:
                terms.append(Term(self._number(operand), labels))
        written = self._with_maps(conditions, terms, output)
        terms += [Term(self._number(indicator), labels) for indicator, labels in conditions]
        goal = [label for label in output if all(label != target.label for target in written)]
        kept = tuple(dict.fromkeys([label for target in written for label in target.labels] + goal))
        found = self._product(terms, tuple(label for label in kept if any(label in term.labels for term in terms)))
        for target in written:
            others = tuple(label for label in found.labels if label not in target.labels)
            order = target.labels + others
            rows = aligned(self._variable(found.code), tuple(order.index(label) for label in found.labels), len(order))
            size = self.numbers.size(node.label_sizes[target.label])
            found = Term(f"_added_up({rows}, {target.places}, {size})", (target.label, *others))
        return self._spread(found, node.shape)

    def _product(self, terms: Sequence[Term], output: Labels) -> Term:
        if len(terms) == 1 and len(set(terms[0].labels)) == len(terms[0].labels):
            ((code, labels),) = terms
            axes = tuple(k for k, label in enumerate(labels) if label not in output)
            return Term(f"jnp.sum({code}, axis={axes})" if axes else code, tuple(x for x in labels if x in output))
        letters = ["".join(ascii_letters[label] for label in labels) for labels in (*[t.labels for t in terms], output)]
        pattern = f"{','.join(letters[:-1])}->{letters[-1]}"
        return Term(f"_einsum({pattern!r}, {', '.join(term.code for term in terms)})", output)

    # ------------------------------------------------------------ index maps

    def _with_maps(self, conditions: list[Factor], terms: list[Term], output: Labels) -> list[Map]:
        """Take out the conditions that say where an axis of a term is read, and return those that say where it is added to."""
        written: list[Map] = []
        while found := next((item for item in conditions if self._is_map(item, conditions, terms, output, written)), None):
            conditions.remove(found)
        return written

    def _is_map(
        self, item: Factor, conditions: Sequence[Factor], terms: list[Term], output: Labels, written: list[Map]
    ) -> bool:
        """Tell whether a condition is a map, in which case it has been read, or put to those that are written by."""
        others = {label for other in conditions if other is not item for label in other[1]}
        others |= {label for target in written for label in target.labels}
        maps = [found for found in self._maps(*item) if found.label not in others]
        if self._read(maps, terms, output):
            return True
        known = {label for term in terms for label in term.labels}
        targets = [
            found for found in maps
            if found.label in output and found.label not in known
            and found.labels and known - {*output} >= {*found.labels}
        ]  # fmt: skip
        written += targets[:1]
        return bool(targets)

    def _maps(self, indicator: Node, labels: Labels) -> list[Map]:
        """The axes of a condition that it gives by the others."""
        assert isinstance(indicator, Indicator)
        found = []
        for k, label in enumerate(labels):
            rest = indicator.place(k)
            if rest is None:
                continue
            own = {labels[j] for j in range(len(labels)) if rest.has(axis(j))}
            own |= {labels[j] for position, places in enumerate(indicator.labels) if rest.has(argument(position)) for j in places}
            if labels.count(label) > 1 or label in own:
                continue
            ordered = tuple(sorted(own))
            place = [ordered.index(other) if other in own else 0 for other in labels]
            plus, minus = self._sides(rest, self._places(indicator, rest, place, len(ordered)))
            found.append(Map(label, " - ".join([" + ".join(plus) or "0", *minus]), ordered))
        return found

    def _read(self, maps: Sequence[Map], terms: list[Term], output: Labels) -> bool:
        """Replace a summed axis of a term by what it is read at. True where that was done."""
        for found in maps:
            holders = [term for term in terms if found.label in term.labels]
            if found.label in output or len(holders) != 1 or holders[0].labels.count(found.label) > 1:
                continue
            (holder,) = holders
            place = holder.labels.index(found.label)
            before, after = holder.labels[:place], holder.labels[place + 1 :]
            if not {*found.labels} & {*before, *after}:
                made = f"_taken({holder.code}, {found.places}, {place})", before + found.labels + after
            elif {*found.labels} <= {*before, *after}:
                axes = tuple(holder.labels.index(label) for label in found.labels)
                index = aligned(self._variable(found.places), axes, len(holder.labels), explicit=True)
                made = f"_picked({holder.code}, {index}, {place})", before + after
            else:
                continue
            terms[terms.index(holder)] = Term(self._variable(made[0]), made[1])
            return True
        return False


def _signed(size: Size) -> tuple[bool, Size]:
    """Whether a size has a minus, and the size without it."""
    minus = size.could_extract_minus_sign()
    return minus, -size if minus else size


def aligned(code: str, labels: Labels, rank: int, *, explicit: bool = False) -> str:
    """Return the code of an array with its axes where their labels say, of length 1 where it lacks one.

    Those it lacks before its first one are left to broadcasting, if they need not be ``explicit``.
    """
    distinct = sorted(set(labels))
    if len(distinct) < len(labels):
        letters, kept = ("".join(ascii_letters[label] for label in own) for own in (labels, distinct))
        code = f"jnp.einsum('{letters}->{kept}', {code})"
    elif list(labels) != distinct:
        order = tuple(labels.index(label) for label in distinct)
        code = f"{code}.T" if order == (1, 0) else f"jnp.transpose({code}, {order})"
    places = [":" if label in distinct else "None" for label in range(rank)]
    first = 0 if explicit or not distinct else distinct[0]
    return f"{code}[{', '.join(places[first:])}]" if "None" in places[first:] and distinct else code
