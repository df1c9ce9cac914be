"""Contractions as matrix products, sums, gathers and windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sympy

from symbackprop.graph.build import Factor, pointwise, split_product
from symbackprop.graph.nodes import Contraction, Indicator, Labels, Leaf, Pointwise, argument, axis
from symbackprop.graph.sizes import Size, is_dimension
from symbackprop.kernels.layout import as_it_lies
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.products import ProductLowering, Term

if TYPE_CHECKING:
    from symbackprop.kernels.lowering import Lowering


class ContractionLowering:
    """Lowers one contraction at a time."""

    def __init__(self, lowering: Lowering, default_sizes: dict[str, int]) -> None:
        self.lowering = lowering
        self.products = ProductLowering(lowering, default_sizes)

    # ------------------------------------------------------------ indicators

    def one_hot(self, node: Indicator) -> Size | None:
        """Return the first class of an indicator [last axis = classes along the other axes], and None for any other."""
        if len(node.operands) != 1 or node.labels[0] != tuple(range(node.rank - 1)):
            return None
        first = self._first_class(node, node.rank - 1)
        return None if first != 0 and node.rank == 1 else first

    def _first_class(self, node: Indicator, position: int) -> Size | None:
        """The class that lies first along an axis which holds the classes of the operand; None where it holds no such."""
        place = node.place(position)
        if place is None:
            return None
        first = sympy.expand(argument(0) - place)
        return first if all(is_dimension(symbol) for symbol in first.free_symbols) else None

    def own_classes(self, classes: Operation, first: Size, count: Size) -> tuple[Operation, Operation | None]:
        """Places along an axis that holds ``count`` classes from ``first`` on, and which classes are among them (None: all)."""
        if first == 0:
            return classes, None
        add = self.lowering.add
        shifted = add("shifted", (classes,), classes.shape, "buffer", "int", shift=first)
        own = add("is_own", (shifted,), classes.shape, "buffer", "bool", count=count)
        return add("clipped", (shifted,), classes.shape, "buffer", "int", count=count), own

    def _without_others(self, value: Operation, own: Operation | None, labels: Labels) -> Operation:
        """A value with 0 where a class is not among the own ones, whose axes are those of the value with these numbers."""
        if own is None:
            return value
        others = self.lowering.ufunc("logical_not", (own,), own.shape, "bool")
        where = self.lowering.view(others, labels, value.rank)
        return self.lowering.add("replace", (value, self.lowering.number(sympy.S.Zero), where), value.shape, "buffer")

    def indicator(self, node: Indicator) -> Operation:
        """Return an indicator as an array: of sizes alone where it looks nothing up."""
        operands = [
            self.lowering.view(self.lowering.of(o), ls, node.rank)
            for o, ls in zip(node.operands, node.labels, strict=True)
        ]
        storage = "fresh" if operands else "constant"
        return self.lowering.add(
            "indicator", operands, node.shape, storage, "bool", relation=node.relation, condition=node.condition
        )

    # ------------------------------------------------------------ the contraction

    def lower(self, node: Contraction) -> Operation:
        """Return the operation of a contraction, its axes in order."""
        sizes = node.label_sizes
        direct = self._square_sum(node)
        if direct is not None:
            return direct
        terms: list[Term] = []
        indicators: list[tuple[Indicator, Labels]] = []
        for operand, labels in factors_of(node):
            if isinstance(operand, Indicator):
                indicators.append((operand, labels))
            else:
                terms.append(Term(*as_it_lies(self.lowering.of(operand), labels)))
        output = tuple(range(node.rank))
        scatters: list[tuple[Indicator, Labels, int]] = []
        progress = True
        while progress:
            progress = False
            for item in indicators:
                if self._read(item, terms, output, indicators, scatters):
                    indicators.remove(item)
                    progress = True
                    break
                target = self._written(item, terms, output, indicators)
                if target is not None:
                    indicators.remove(item)
                    scatters.append((*item, target))
                    progress = True
                    break
        for indicator, labels in indicators:
            terms.append(Term(self.indicator(indicator), labels))
        goal = tuple(label for label in output if label not in {target for *_, target in scatters})
        kept = goal + tuple(
            dict.fromkeys(
                label for _, labels, target in scatters for label in labels if label != target and label not in goal
            )
        )
        term = self.products.reduce(terms, kept, sizes)
        for scatter in scatters:
            if scatter[0].operands:
                term = self._scatter_classes(term, *scatter, sizes)
        windows = [scatter for scatter in scatters if not scatter[0].operands]
        if windows:
            term = self._scatter_windows(term, windows, output, sizes)
        return self._ordered(term, output, sizes)

    def _square_sum(self, node: Contraction) -> Operation | None:
        """The sum of a b over all entries is one dot product; over the last axes, one einsum without a temporary."""
        if len(node.operands) != 1 or not isinstance(node.operands[0], Pointwise):
            return None
        (inner,), (labels,) = node.operands, node.labels
        assert isinstance(inner, Pointwise)
        expression = inner.expression
        if len(set(labels)) < len(labels):
            return None
        lowering = self.lowering
        if expression.is_Pow and expression.exp == 2:
            operation, own = lowering.pointwise.part(inner, self._computed_first(inner, expression.base))
            pair = [(operation, own), (operation, own)]
        elif expression.is_Mul and len(expression.args) == 2 and all(a.is_Symbol for a in expression.args):
            if any(isinstance(operand, Indicator) for operand in inner.operands):
                return None
            pair = [lowering.pointwise.part(inner, factor) for factor in expression.args]
        else:
            return None
        if any(operation.rank < inner.rank for operation, _ in pair):
            return None
        if node.rank == 0 and pair[0][1] == pair[1][1] and all(o.storage in ("given", "buffer") for o, _ in pair):
            return lowering.add("dot", [o for o, _ in pair], (), "scalar")
        outer = [tuple(labels[label] for label in own) for _, own in pair]
        if outer[0] == outer[1] == (*range(node.rank), node.rank):
            return lowering.add("vecdot", [o for o, _ in pair], node.shape, "buffer")
        return lowering.add(
            "einsum", [o for o, _ in pair], node.shape, "buffer", inputs=tuple(outer), output=tuple(range(node.rank))
        )

    def _computed_first(self, node: Pointwise, base: sympy.Expr) -> sympy.Expr:
        """A difference whose sign does not matter, what is computed before what is given: so the derivative will want it."""
        if base.is_Add and len(base.args) == 2:
            plus = [term for term in base.args if not term.could_extract_minus_sign()]
            if (
                len(plus) == 1
                and plus[0].is_Symbol
                and self.lowering.pointwise.part(node, plus[0])[0].storage == "given"
            ):
                return -base
        return base

    # ------------------------------------------------------------ index maps, read

    def _read(
        self, item: tuple[Indicator, Labels], terms: list[Term], output: Labels,
        indicators: list[tuple[Indicator, Labels]], scatters: list[tuple[Indicator, Labels, int]],
    ) -> bool:  # fmt: skip
        """Replace a summed axis by what the condition says it is: a window, or a gather. True where that was done."""
        indicator, labels = item
        for position, label in enumerate(labels):
            if label in output or labels.count(label) > 1:
                continue
            if any(label in other for node, other in indicators if (node, other) != item) or any(
                label in ls for _, ls, _ in scatters
            ):
                continue
            holders = [term for term in terms if label in term.labels]
            if len(holders) != 1 or indicator.place(position) is None or holders[0].labels.count(label) > 1:
                continue
            (holder,) = holders
            read = self._gather if indicator.operands else self._window
            made = read(holder, position, indicator, labels)
            if made is not None:
                terms[terms.index(holder)] = made
                return True
        return False

    def _window(self, holder: Term, position: int, indicator: Indicator, labels: Labels) -> Term | None:
        rest = indicator.place(position)
        assert rest is not None
        parts = [(labels[k], rest.coeff(axis(k)), indicator.shape[k]) for k in range(len(labels)) if rest.has(axis(k))]
        if any(other in holder.labels for other, _, _ in parts) or len({other for other, *_ in parts}) < len(parts):
            return None
        offset = rest.xreplace({axis(k): sympy.S.Zero for k in range(len(labels))})
        place = holder.labels.index(labels[position])
        shape = holder.operation.shape
        new_shape = shape[:place] + tuple(size for _, _, size in parts) + shape[place + 1 :]
        new_labels = holder.labels[:place] + tuple(other for other, _, _ in parts) + holder.labels[place + 1 :]
        steps = tuple((size, coefficient) for _, coefficient, size in parts)
        base, windows = holder.operation, cast(tuple[Any, ...], (None,) * holder.operation.rank)
        if base.kind == "window" and (inner := _base_axis(base, place)) is not None:
            base, windows, place = base.operands[0], base.details["windows"], inner
        windows = (*windows[:place], (steps, offset), *windows[place + 1 :])
        return Term(self.lowering.add("window", (base,), new_shape, "view", windows=windows), new_labels)

    def _gather(self, holder: Term, position: int, indicator: Indicator, labels: Labels) -> Term | None:
        first = self._first_class(indicator, position)
        if first is None or len(indicator.operands) != 1 or not isinstance(indicator.operands[0], Leaf):
            return None
        own = tuple(labels[k] for k in indicator.labels[0])
        if first != 0 and not own:
            return None
        place = holder.labels.index(labels[position])
        shape = holder.operation.shape
        index, among = self.own_classes(self.lowering.of(indicator.operands[0]), first, shape[place])

        def term(made: Operation, made_labels: Labels) -> Term:
            return Term(self._without_others(made, among, tuple(made_labels.index(x) for x in own)), made_labels)

        others = holder.labels[:place] + holder.labels[place + 1 :]
        if all(other in others for other in own):
            picked = shape[:place] + shape[place + 1 :]
            if own == others and place == len(shape) - 1 and own and holder.operation.storage in ("buffer", "given"):
                places = self.lowering.flat_index(index, shape[place])
                return term(self.lowering.add("take_flat", (holder.operation, places), picked, "buffer"), others)
            axes = tuple(holder.labels.index(other) for other in own)
            made = self.lowering.add("pick", (holder.operation, index), picked, "fresh", axis=place, labels=axes)
            return term(made, others)
        if any(other in others for other in own):
            return None
        made = self.lowering.add(
            "take", (holder.operation, index), shape[:place] + index.shape + shape[place + 1 :], "buffer", axis=place
        )
        return term(made, holder.labels[:place] + own + holder.labels[place + 1 :])

    # ------------------------------------------------------------ index maps, written

    def _written(
        self,
        item: tuple[Indicator, Labels],
        terms: list[Term],
        output: Labels,
        indicators: list[tuple[Indicator, Labels]],
    ) -> int | None:
        """Return the output label that only the condition gives: the axis to scatter to."""
        indicator, labels = item
        for position, label in enumerate(labels):
            if label not in output or labels.count(label) > 1 or any(label in term.labels for term in terms):
                continue
            if any(label in other for node, other in indicators if (node, other) != item):
                continue
            if indicator.place(position) is None:
                continue
            if indicator.operands:
                first = self._first_class(indicator, position)
                own = {labels[k] for k in indicator.labels[0]}
                if first is None or (first != 0 and not own) or len(indicator.operands) != 1 or own & set(output):
                    continue
            others = [other for other in labels if other != label]
            if any(other in output for other in others) and not indicator.operands:
                continue
            if all(any(other in term.labels for term in terms) for other in others):
                return label
        return None

    def _scatter_classes(
        self, term: Term, indicator: Indicator, labels: Labels, target: int, sizes: tuple[Size, ...]
    ) -> Term:
        """Add rows up by the class that an integer tensor gives each of them."""
        own = tuple(labels[k] for k in indicator.labels[0])
        others = tuple(label for label in term.labels if label not in own)
        ordered = self.products.arranged(term, own + others)
        first = self._first_class(indicator, labels.index(target))
        assert first is not None
        index, among = self.own_classes(self.lowering.of(indicator.operands[0]), first, sizes[target])
        ordered = self._without_others(ordered, among, tuple(range(len(own))))
        shape = (sizes[target], *[sizes[label] for label in others])
        made = self.lowering.add("scatter_classes", (ordered, index), shape, "buffer")
        return Term(made, (target, *others))

    def _scatter_windows(
        self, term: Term, windows: list[tuple[Indicator, Labels, int]], output: Labels, sizes: tuple[Size, ...]
    ) -> Term:
        """Add entries up at the places that affine conditions give: out[offset + sum of step * i] += source[i]."""
        steps: list[tuple[tuple[Size, ...], Size]] = []
        groups: list[list[int]] = []
        for indicator, labels, target in windows:
            rest = indicator.place(labels.index(target))
            assert rest is not None
            own = [label for label in term.labels if label in labels]
            offset = rest.xreplace({axis(k): sympy.S.Zero for k in range(len(labels))})
            steps.append((tuple(rest.coeff(axis(labels.index(label))) for label in own), offset))
            groups.append(own)
        sources = [label for own in groups for label in own]
        targets = [target for _, _, target in windows]
        others = [label for label in term.labels if label not in sources]
        reached = {source: target for target, own in zip(targets, groups, strict=True) for source in own}
        made_labels = tuple(dict.fromkeys(reached.get(label, label) for label in term.labels))
        ordered = self.products.arranged(term, tuple(others + sources))
        places = self.lowering.add(
            "places", (), (sympy.Integer(len(windows)),), "constant", "places",
            steps=tuple(steps), source=tuple(sizes[label] for label in sources), target=tuple(sizes[t] for t in targets),
        )  # fmt: skip
        order = tuple(made_labels.index(label) for label in (*others, *targets))
        shape = tuple(sizes[label] for label in made_labels)
        return Term(self.lowering.add("scatter_windows", (ordered, places), shape, "buffer", order=order), made_labels)

    def _ordered(self, term: Term, output: Labels, sizes: tuple[Size, ...]) -> Operation:
        if term.labels == output:
            return term.operation
        missing = [label for label in output if label not in term.labels]
        viewed = self.lowering.view(term.operation, tuple(output.index(label) for label in term.labels), len(output))
        if not missing:
            return viewed
        return self.lowering.add("copy", (viewed,), tuple(sizes[label] for label in output), "buffer")


def factors_of(node: Contraction) -> list[Factor]:
    """Return the operands, with the index conditions taken out of pointwise products."""
    factors: list[Factor] = []
    for operand, labels in zip(node.operands, node.labels, strict=True):
        if isinstance(operand, Pointwise) and any(isinstance(o, Indicator) for o in operand.operands):
            number, parts = split_product(operand)
            conditions = [part for part in parts if isinstance(part[0], Indicator)]
            others = [part for part in parts if part not in conditions]
            if conditions and others and number == 1:
                product = sympy.Mul(*[argument(k) for k in range(len(others))])
                used = sorted({label for _, own in others for label in own})
                place = {label: k for k, label in enumerate(used)}
                rest = pointwise(
                    product,
                    [(o, tuple(place[label] for label in own)) for o, own in others],
                    tuple(operand.shape[label] for label in used),
                )
                factors.append((rest, tuple(labels[label] for label in used)))
                factors += [(o, tuple(labels[label] for label in own)) for o, own in conditions]
                continue
        factors.append((operand, labels))
    return factors


def _base_axis(window: Operation, place: int) -> int | None:
    """Return the axis of a window's operand that an axis of its value is, if it is a whole one."""
    position = 0
    for axis_, entry in enumerate(window.details["windows"]):
        if position == place:
            return axis_ if entry is None else None
        position += 1 if entry is None else len(entry[0])
    return None
