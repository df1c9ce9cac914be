"""How far an index runs, and whether a subscript stays inside its axis."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy

from symbackprop.graph.sizes import Size
from symbackprop.language import syntax
from symbackprop.language.affine import Affine, read_affine
from symbackprop.language.indices import Scope
from symbackprop.language.inequalities import ONE, Row, impossible
from symbackprop.language.names import Names
from symbackprop.language.walk import children


@dataclass(frozen=True)
class Use:
    """A subscript: the size of the axis it stands on, and what it says."""

    size: Size
    affine: Affine


class Ranges:
    """Finds the sizes of new indices from the expression they stand in front of."""

    def __init__(self, names: Names, scope: Scope) -> None:
        self.names, self.scope = names, scope
        self.sizes: dict[int, Size] = dict(scope.sizes)
        self.label = scope.next_label

    def of(self, indices: Sequence[syntax.Index], body: syntax.Expression) -> list[Size]:
        """Return the sizes. Raises EquationError for an index whose range nothing says, and for a name that nothing binds."""
        bound = self._bind(indices, self.scope.labels)
        uses = list(self._uses(body, bound))
        wanted = [label for label in range(self.scope.next_label, self.label) if label not in self.sizes]
        self.sizes.update(infer_sizes(wanted, uses, self.sizes))
        sizes = []
        for index in indices:
            size = self.sizes.get(bound[index.name])
            if size is None:
                raise self.names.error(
                    index.position, f"nothing says how far the index {index.name} runs", f"state it: {index.name} in SIZE"
                )
            number = self.names.at_defaults(size)
            if number.is_number and not number > 0:
                raise self.names.error(
                    index.position, f"the index {index.name} runs over nothing: {size} is {number}",
                    "a subscript behind it leaves no place for it",
                )  # fmt: skip
            sizes.append(size)
        return sizes

    def _bind(self, indices: Sequence[syntax.Index], labels: Mapping[str, int]) -> dict[str, int]:
        """Give new indices labels of their own, whichever names they have, and note the stated ranges."""
        bound = dict(labels)
        for index in indices:
            bound[index.name] = self.label
            if index.extent is not None:
                self.sizes[self.label] = self.names.length(index.extent)
            self.label += 1
        return bound

    def _uses(self, body: syntax.Expression, labels: dict[str, int]) -> Iterator[Use]:
        """Yield every affine subscript below an expression; each name means the innermost index of that name."""
        pending: list[tuple[object, dict[str, int]]] = [(body, labels)]
        while pending:
            part, known = pending.pop()
            if isinstance(part, syntax.Reduction):
                pending.append((part.body, self._bind(part.indices, known)))
                continue
            if isinstance(part, syntax.Subscript):
                yield from self._subscript(part, known)
            pending.extend((inner, known) for inner in reversed(list(children(part))))

    def _subscript(self, tree: syntax.Subscript, labels: Mapping[str, int]) -> Iterator[Use]:
        for part in tree.subscripts:
            refuse_unbound(part, labels, self.names)
        base = self.names.values.get(tree.base.name) if isinstance(tree.base, syntax.Name) else None
        if base is None or base.node.rank != len(tree.subscripts):
            return  # said when the subscript is lowered
        for size, part in zip(base.shape, tree.subscripts, strict=True):
            affine = read_affine(part, labels, self.names, lambda _: None)
            if affine is not None:
                yield Use(size, affine)


def refuse_unbound(tree: syntax.Expression, labels: Mapping[str, int], names: Names) -> None:
    """Raise for a name of a subscript that means nothing."""
    pending: list[object] = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, syntax.Name):
            if part.name not in labels and part.name not in names.values and part.name not in names.dimensions:
                raise names.error(
                    part.position, f"the index {part.name} is bound nowhere",
                    "by a left side, or by sum[...]; nothing is summed implicitly",
                )  # fmt: skip
            if part.name == names.batch and part.name not in labels:
                raise names.error(part.position, f"{part.name} is the batch dimension, and no index")
        elif not isinstance(part, syntax.Reduction):
            pending.extend(reversed(list(children(part))))


def infer_sizes(wanted: Sequence[int], uses: Sequence[Use], known: Mapping[int, Size]) -> dict[int, Size]:
    """Return the sizes of indices: of the axis an index subscripts alone, else the longest that keeps every subscript inside.

    Indices for which nothing says a range are missing from the answer.
    """
    sizes = dict(known)
    for label in wanted:
        alone = [use.size for use in uses if use.affine.plain == label]
        if alone:
            sizes[label] = alone[0]
    progress = True
    while progress:
        progress = False
        for label in wanted:
            if label in sizes:
                continue
            limits = [_limit(label, use, sizes) for use in uses if label in use.affine.indices]
            found = [limit for limit in limits if limit is not None]
            if found and len(found) == len(limits):
                distinct = list(dict.fromkeys(found))
                sizes[label] = distinct[0] if len(distinct) == 1 else sympy.Min(*distinct)
                progress = True
    return {label: sizes[label] for label in wanted if label in sizes}


def _limit(label: int, use: Use, sizes: Mapping[int, Size]) -> Size | None:
    """Return how far an index may run for a subscript to stay inside, or None where that is not known yet."""
    coefficient = use.affine.indices[label]
    rest = {other: c for other, c in use.affine.indices.items() if other != label}
    if any(other not in sizes for other in rest) or not (coefficient.is_positive or coefficient.is_negative):
        return None
    reaches = [
        c * (sizes[other] - 1) for other, c in rest.items() if bool(c.is_positive) == bool(coefficient.is_positive)
    ]
    if coefficient.is_positive:
        room = use.size - 1 - use.affine.offset - sympy.Add(*reaches)
    else:
        room = use.affine.offset + sympy.Add(*reaches)
    return sympy.expand(sympy.floor(sympy.expand(room) / abs(coefficient)) + 1)


# ---------------------------------------------------------------- staying inside


def leaves_axis(affine: Affine, size: Size, scope: Scope, names: Names) -> bool:
    """Tell whether a subscript leaves its axis and no `where` around it excludes that: at the default sizes.

    Where a default is missing: whether it leaves the axis whatever the sizes are, and no `where` provably excludes that.
    """
    last = Affine(sympy.expand(size - 1))
    for beyond in (affine.times(sympy.S.NegativeOne), affine.plus(last, -1)):  # >= 1 before the first or behind the last entry
        if _proved_impossible(beyond, scope, names):
            continue
        offset = names.at_defaults(beyond.offset)
        sizes = [names.at_defaults(scope.sizes[label]) for label in beyond.indices]
        if all(part.is_number for part in (offset, *sizes, *map(names.at_defaults, beyond.indices.values()))):
            return True
        reaches = [(c, scope.sizes[label]) for label, c in beyond.indices.items()]
        reaches += [(part.coefficient, part.classes) for part in beyond.lookups]
        greatest = beyond.offset + sympy.Add(*[c * (size - 1) for c, size in reaches if not c.is_negative])
        if sympy.expand(greatest).is_positive:
            return True
    return False


def _proved_impossible(beyond: Affine, scope: Scope, names: Names) -> bool:
    system = _System(scope, names)
    rows = [system.row(beyond.plus(Affine(sympy.S.One), -1))]
    rows += [system.row(fact.affine) for fact in scope.facts if fact.relation == ">="]
    unequal = [system.row(fact.affine) for fact in scope.facts if fact.relation == "!="]
    if rows[0] is None:
        return False
    return impossible([row for row in [*rows, *system.limits] if row], [row for row in unequal if row])


class _System:
    """Turns index expressions into rows of inequalities, and says what is known of their unknowns."""

    def __init__(self, scope: Scope, names: Names) -> None:
        self.scope, self.names = scope, names
        self.limits: list[Row] = []
        self.seen: set[Hashable] = set()

    def row(self, affine: Affine) -> Row | None:
        """Return the row of an expression, or None where a coefficient is a size that has no default."""
        row = self._size(affine.offset)
        for label, coefficient in affine.indices.items():
            if not self._add(row, ("index", label), coefficient, self.scope.sizes[label]):
                return None
        for part in affine.lookups:
            if not self._add(row, part.value, part.coefficient, part.classes):
                return None
        return row

    def _add(self, row: dict[Hashable, Fraction], key: Hashable, coefficient: sympy.Expr, size: Size) -> bool:
        number = self.names.at_defaults(coefficient)
        if not number.is_Rational:
            return False
        row[key] = row.get(key, Fraction(0)) + _fraction(number)
        if key not in self.seen:
            self.seen.add(key)
            last = self._size(size - 1)
            self.limits += [{key: Fraction(1)}, {**last, key: Fraction(-1)}]
        return True

    def _size(self, size: sympy.Expr) -> dict[Hashable, Fraction]:
        row: dict[Hashable, Fraction] = {ONE: Fraction(0)}
        for term, number in self.names.at_defaults(size).as_coefficients_dict().items():
            key: Hashable = ONE if term == 1 else term
            row[key] = row.get(key, Fraction(0)) + _fraction(number)
            if term.is_Symbol and key not in self.seen:
                self.seen.add(key)
                self.limits.append({key: Fraction(1), ONE: Fraction(-1)})
        return row


def _fraction(number: sympy.Rational) -> Fraction:
    return Fraction(int(number.p), int(number.q))
