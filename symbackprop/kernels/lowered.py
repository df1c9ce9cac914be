"""The operations of a kernel and which of them are its results, before it is said when and where they are worked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.kernels.lowering import Lowering
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.recompute import recompute_layers
from symbackprop.kernels.schedule import in_order


@dataclass(frozen=True)
class Lowered:
    """Operations in order; objective, outputs, gradients and products are those whose results are returned."""

    derived: DerivedGraph
    operations: list[Operation]
    objective: Operation | None
    outputs: Mapping[str, Operation]
    gradients: Mapping[str, Operation]
    products: Mapping[str, Operation]

    @property
    def sizes(self) -> dict[str, int]:
        """The model's sizes that are known."""
        return {name: size for name, size in self.derived.model.dimensions.items() if size is not None}

    @property
    def ends(self) -> list[Operation]:
        """All results that are returned."""
        found = [*self.outputs.values(), *self.gradients.values(), *self.products.values()]
        return [*found, *([self.objective] if self.objective else [])]


def lowered_of(derived: DerivedGraph, checkpoint: int | None = None) -> Lowered:
    """Lower a derivation over the batch; ``checkpoint`` is that of `symbackprop.kernels.plan.make_plan`."""
    lowering = Lowering({name: size for name, size in derived.model.dimensions.items() if size is not None})
    for declaration in derived.graph.declarations:
        lowering.given(declaration.name, declaration.shape, "int" if declaration.classes is not None else "float")
    wanted = {derived.gradient_name(name) for name in derived.wrt} if derived.model.objective else set()
    live = derived.graph.needed_for(
        frozenset({*wanted, *derived.products.values(), *derived.model.outputs, derived.target})
    )
    for equation in in_order(derived, live):
        lowering.define(equation.name, equation.node)
    outputs = {name: lowering.named[name] for name in derived.model.outputs}
    gradients: dict[str, Operation] = {}
    for name in derived.wrt if derived.model.objective else ():
        lowering.equation = derived.gradient_name(name)
        gradients[name] = lowering.own_array(lowering.named[lowering.equation], name, gradients.values())
    products: dict[str, Operation] = {}
    for name, product in derived.products.items():
        lowering.equation = product
        taken = [*gradients.values(), *products.values()]
        products[name] = lowering.own_array(lowering.named[product], product, taken)
    objective = lowering.named.get(derived.target) if derived.model.objective else None
    lowered = Lowered(derived, lowering.operations, objective, outputs, gradients, products)
    lowered.operations[:] = _alive(lowered.operations, lowered.ends)
    if checkpoint is not None:
        lowered.operations[:] = recompute_layers(lowered.operations, derived, checkpoint)
    return lowered


def _alive(operations: list[Operation], ends: list[Operation]) -> list[Operation]:
    wanted = set(ends)
    for operation in reversed(operations):
        if operation in wanted:
            wanted.update(operation.operands)
    return [operation for operation in operations if operation in wanted or operation.kind == "given"]
