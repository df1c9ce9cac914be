"""The plan of a kernel: its steps in order, which of them each function needs, and where results are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.sizes import Shape, Size
from symbackprop.kernels.buckets import Bucket, with_buckets
from symbackprop.kernels.lowering import Lowering
from symbackprop.kernels.memory import Array, assign
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.recompute import recompute_cheap, recompute_layers
from symbackprop.kernels.schedule import Loop, Step, in_order, operations_of, reads_rows, with_loops


@dataclass(frozen=True)
class LoopRows:
    """What a loop works on, row by row: arrays of the workspace and of its scratch, each in a shape, given tensors, constants.

    The scratch of all loops lies in the same memory, in each the entries of most bytes first.
    """

    whole: tuple[tuple[Array, Shape], ...]
    scratch: tuple[tuple[Array, Shape], ...]
    sliced: tuple[Operation, ...]
    constants: tuple[Operation, ...]


@dataclass(frozen=True)
class Plan:
    """What a kernel does, before any of it is written down; footprint and arithmetic are read from it too.

    steps are in order; objective, outputs, gradients and products are the operations whose results are returned; array_of
    says which array of the workspace holds a result. buckets are the sums over workers that are taken together, each on arrays
    that lie behind one another.
    """

    derived: DerivedGraph
    steps: tuple[Step, ...]
    objective: Operation | None
    outputs: Mapping[str, Operation]
    gradients: Mapping[str, Operation]
    products: Mapping[str, Operation]
    array_of: Mapping[Operation, Array]
    buckets: tuple[Bucket, ...] = ()

    @property
    def operations(self) -> list[Operation]:
        """All operations, in order."""
        return [operation for step in self.steps for operation in operations_of(step)]

    @property
    def loops(self) -> list[Loop]:
        """The loops, in order."""
        return [step for step in self.steps if isinstance(step, Loop)]

    @property
    def arrays(self) -> list[Array]:
        """The arrays of the workspace and of the loops' scratch, in order of first use."""
        return list(dict.fromkeys(self.array_of.values()))

    @property
    def entries(self) -> dict[str, Size]:
        """How many entries of each dtype the arrays of the workspace have; its constants and the loops' scratch come on top."""
        return _by_dtype((array.dtype, array.entries) for array in self.arrays if array.loop is None)

    def rows_in(self, loop: Loop) -> LoopRows:
        """Return what a loop works on, row by row."""
        whole: dict[tuple[Array, Shape], None] = {}
        scratch: dict[tuple[Array, Shape], None] = {}
        sliced: dict[Operation, None] = {}
        constants: dict[Operation, None] = {}
        for operation in loop.operations:
            values = [operand for operand in operation.operands if reads_rows(operation, operand, loop.length)]
            if operation not in loop.accumulated:
                values.append(operation)
            for value in (value.base for value in values):
                if value.storage == "buffer":
                    array = self.array_of[value]
                    (scratch if array.loop is loop else whole).setdefault((array, value.shape))
                elif value.storage == "constant":
                    constants.setdefault(value)
                else:
                    sliced.setdefault(value)
        aligned = sorted(scratch, key=lambda part: ("int", "float", "bool").index(part[0].dtype))
        return LoopRows(tuple(whole), tuple(aligned), tuple(sliced), tuple(constants))

    def row_width(self, loop: Loop) -> dict[str, Size]:
        """Return how many entries of each dtype one row of a loop's arrays has, which decides how many rows a turn works."""
        rows = self.rows_in(loop)
        arrays = [(array.dtype, shape) for array, shape in (*rows.whole, *rows.scratch)]
        return _by_dtype(_row(dtype, shape) for dtype, shape in [*arrays, *((v.dtype, v.shape) for v in rows.sliced)])

    def scratch_width(self, loop: Loop) -> dict[str, Size]:
        """Return how many entries of each dtype one row of a loop's scratch arrays has."""
        return _by_dtype(_row(array.dtype, shape) for array, shape in self.rows_in(loop).scratch)

    def needed(self, targets: Iterable[Operation]) -> tuple[list[Step], frozenset[Operation]]:
        """Return the steps that compute the targets, in order, and the operations that are needed of them."""
        wanted: set[Operation] = set()
        pending = list(targets)
        while pending:
            operation = pending.pop()
            if operation not in wanted:
                wanted.add(operation)
                pending += operation.operands
        steps = [step for step in self.steps if any(operation in wanted for operation in operations_of(step))]
        return steps, frozenset(wanted)


def _row(dtype: str, shape: Shape) -> tuple[str, Size]:
    return dtype, sympy.Mul(*shape[1:])


def _by_dtype(parts: Iterable[tuple[str, Size]]) -> dict[str, Size]:
    """Add up numbers of entries, for each dtype."""
    found: dict[str, list[Size]] = {dtype: [] for dtype in ("float", "int", "bool")}
    for dtype, entries in parts:
        found[dtype].append(entries)
    return {dtype: sympy.expand(sympy.Add(*entries)) for dtype, entries in found.items()}


def make_plan(derived: DerivedGraph, checkpoint: int | None = None) -> Plan:
    """Return the plan of a model's kernel, from its derivation over the batch.

    ``checkpoint`` keeps only what every so many layers give, and computes the rest again in the backward pass.
    """
    sizes = {name: size for name, size in derived.model.dimensions.items() if size is not None}
    lowering = Lowering(sizes)
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
    results = [*gradients.values(), *products.values()]
    ends = [*outputs.values(), *results, *([objective] if objective else [])]
    operations = _alive(lowering.operations, ends)
    if checkpoint is not None:
        operations = recompute_layers(operations, derived, checkpoint)
    operations, buckets = with_buckets(recompute_cheap(operations, derived.reversed), derived, sizes)
    steps = tuple(with_loops(operations, sizes))
    plan = Plan(derived, steps, objective, outputs, gradients, products, {})
    _, forward = plan.needed(outputs.values())
    end = max((k for k, step in enumerate(steps) if any(op in forward for op in operations_of(step))), default=0)
    together = frozenset(member for bucket in buckets for member in bucket.members)
    arrays = assign(steps, frozenset(results), dict.fromkeys(outputs.values(), end), together)
    return replace(plan, array_of=arrays, buckets=tuple(buckets))


def _alive(operations: list[Operation], ends: list[Operation]) -> list[Operation]:
    wanted = set(ends)
    for operation in reversed(operations):
        if operation in wanted:
            wanted.update(operation.operands)
    return [operation for operation in operations if operation in wanted or operation.kind == "given"]
