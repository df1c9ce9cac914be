"""The plan of a kernel: the order of its operations, which of them each function needs, and where results are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.kernels.lowering import Lowering
from symbackprop.kernels.operations import Operation

IN_PLACE = frozenset(
    "add subtract multiply divide negative square sqrt exp log sin cos tan sinh cosh tanh arctan abs sign sigmoid softplus relu "
    "maximum power add_at_class".split()
)
"""Operations that may write over one of their operands."""


@dataclass
class Plan:
    """operations in order; for each function of the module, those it runs; outputs and gradients by name.

    buffers maps each operation that fills an array to the operation whose array that is (itself, or one it writes over).
    """

    derived: DerivedGraph
    operations: list[Operation]
    objective: Operation | None
    outputs: dict[str, Operation]
    gradients: dict[str, Operation]
    given: dict[str, Operation]
    buffers: dict[Operation, Operation]

    def needed(self, targets: Iterable[Operation]) -> list[Operation]:
        """Return the operations that compute the targets, in order."""
        wanted = set(targets)
        for operation in reversed(self.operations):
            if operation in wanted:
                wanted.update(operation.operands)
        return [operation for operation in self.operations if operation in wanted]

    @property
    def arrays(self) -> list[Operation]:
        """The operations whose result has an array of its own in the workspace, in order."""
        return [op for op in self.operations if op.storage == "constant" or self.buffers.get(op) is op]


def make_plan(derived: DerivedGraph) -> Plan:
    """Return the plan of a model's kernel, from its derivation over the batch."""
    sizes = {name: size for name, size in derived.model.dimensions.items() if size is not None}
    lowering = Lowering(sizes)
    given: dict[str, Operation] = {}
    for declaration in derived.graph.declarations:
        kind = "class" if declaration.classes is not None else "float"
        operation = lowering.add("given", (), declaration.shape, "given", kind)
        operation.name = declaration.name
        given[declaration.name] = lowering.named[declaration.name] = operation
    wanted = {derived.gradient_name(name) for name in derived.wrt} if derived.model.objective else set()
    live = derived.graph.needed_for(frozenset({*wanted, *derived.model.outputs, derived.target}))
    for equation in (*derived.forward, *derived.backward):
        if equation.name in live:
            lowering.define(equation.name, equation.node)
    outputs = {name: lowering.named[name] for name in derived.model.outputs}
    gradients: dict[str, Operation] = {}
    for name in derived.wrt:
        gradient = derived.gradient_name(name)
        if gradient in lowering.named:
            lowering.equation = gradient
            gradients[name] = _own_array(lowering, lowering.named[gradient], list(gradients.values()))
    objective = lowering.named.get(derived.target) if derived.model.objective else None
    ends = [*outputs.values(), *gradients.values(), *([objective] if objective else [])]
    operations = _alive(lowering.operations, ends)
    buffers = _assign(operations, {*outputs.values(), *gradients.values()})
    return Plan(derived, operations, objective, outputs, gradients, given, buffers)


def _own_array(lowering: Lowering, operation: Operation, others: list[Operation]) -> Operation:
    """A gradient is an array of its own: neither a view, nor a constant, nor another gradient."""
    if operation.storage == "scalar" or (operation.storage == "buffer" and operation not in others):
        return operation
    return lowering.add("copy", (operation,), operation.shape, "buffer")


def _alive(operations: list[Operation], ends: list[Operation]) -> list[Operation]:
    wanted = set(ends)
    for operation in reversed(operations):
        if operation in wanted:
            wanted.update(operation.operands)
    return [operation for operation in operations if operation in wanted or operation.kind == "given"]


def _base(operation: Operation) -> Operation:
    while operation.storage == "view":
        operation = operation.operands[0]
    return operation


def _assign(operations: list[Operation], pinned: set[Operation]) -> dict[Operation, Operation]:
    """Give each result an array: that of an operand which nothing reads any more, or one of its own."""
    last: dict[Operation, int] = {}
    for position, operation in enumerate(operations):
        for operand in operation.operands:
            last[_base(operand)] = position
    keep = {_base(operation) for operation in pinned}
    buffers: dict[Operation, Operation] = {}
    for position, operation in enumerate(operations):
        if operation.storage != "buffer":
            continue
        buffers[operation] = operation
        if operation.kind not in IN_PLACE:
            continue
        bases = [_base(operand) for operand in operation.operands]
        candidates = operation.operands[:1] if operation.kind == "add_at_class" else operation.operands
        for operand in candidates:
            fits = operand.storage == "buffer" and operand.shape == operation.shape and operand.dtype == operation.dtype
            if fits and last[operand] == position and operand not in keep and bases.count(operand) == 1:
                buffers[operation] = buffers[operand]
                break
    return buffers
