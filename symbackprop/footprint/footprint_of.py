"""The footprint of a model: by layer, as polynomials in its sizes, and in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy

from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.derivation.layers import homes, layers
from symbackprop.errors import SizeError, UsageError
from symbackprop.footprint import memory_use as use
from symbackprop.footprint.timeline import Timeline
from symbackprop.graph.model import Model
from symbackprop.graph.sizes import Shape, dimension
from symbackprop.kernels.arithmetic import entry_operations, multiply_adds
from symbackprop.kernels.plan import Plan, make_plan
from symbackprop.kernels.schedule import Loop

FLOATS = {"float32": 4, "float64": 8}
OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2}
"""Copies of the parameters that an optimizer keeps."""


PART = "part of "
"""Before the name of an equation: a result within its right-hand side, which has no name of its own."""


@dataclass(frozen=True)
class Layer:
    """One layer: its equations, the shape of what it gives, its parameters, and its multiply-adds as polynomials.

    saved holds the results that the backward pass reads, each with its bytes and the equations that read it.
    """

    equations: tuple[str, ...]
    shape: Shape
    parameters: sympy.Expr
    saved: tuple[tuple[str, sympy.Expr, tuple[str, ...]], ...]
    forward: sympy.Expr
    backward: sympy.Expr


class Footprint:
    """What a plan costs. Symbolic values are polynomials in the dimensions and `memory_use.FLOAT_BYTES`.

    without is the footprint of the plan without checkpoints, where this one has some.
    """

    def __init__(self, plan: Plan, without: Footprint | None = None) -> None:
        self.plan, self.without = plan, without
        self.model = plan.derived.model

    def __str__(self) -> str:
        from symbackprop.footprint.report import Report

        return Report(self, {}).text()

    def __repr__(self) -> str:
        return f"<Footprint of {self.model.name}: {len(self.layers)} layers, {self.parameters} parameters>"

    def _repr_markdown_(self) -> str:
        """The tables for a notebook, at the model's sizes."""
        from symbackprop.footprint.documents import markdown
        from symbackprop.footprint.report import Report

        return markdown(Report(self, {}))

    # ------------------------------------------------------------ polynomials

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers: a new one begins where a parameter enters."""
        derived, number, home = self.plan.derived, layers(self.plan.derived), homes(self.plan.derived)
        saved = use.saved(self.plan)
        parameters = {leaf.name: sympy.Mul(*leaf.shape) for leaf in derived.graph.declarations if leaf.kind == "parameter"}
        result = []
        for k in range(max(number.values(), default=0) + 1):
            equations = [equation for equation in derived.forward if number[equation.name] == k]
            own = [op for op in self.plan.operations if op.equation and home.get(op.equation, 0) == k]
            forward = [op for op in own if op.equation in number]
            result.append(
                Layer(
                    tuple(equation.name for equation in equations),
                    max((equation.node.shape for equation in reversed(equations)), key=len),
                    sympy.Add(*[count for name, count in parameters.items() if home.get(name) == k]),
                    tuple(
                        (op.name or PART + op.equation, use.entry_bytes(op.dtype) * sympy.Mul(*op.shape), saved[op])
                        for op in forward
                        if op in saved
                    ),
                    sympy.expand(sympy.Add(*[self.plan.times(op) * multiply_adds(op) for op in forward])),
                    sympy.expand(sympy.Add(*[self.plan.times(op) * multiply_adds(op) for op in own if op not in forward])),
                )
            )
        return tuple(result)

    @cached_property
    def parameters(self) -> sympy.Expr:
        """The number of parameters."""
        declared = self.plan.derived.graph.declarations
        return sympy.Add(*[sympy.Mul(*leaf.shape) for leaf in declared if leaf.kind == "parameter"])

    @cached_property
    def given_bytes(self) -> sympy.Expr:
        """The bytes of a batch of inputs and targets."""
        return self._bytes_of("input", "target")

    def _bytes_of(self, *kinds: str) -> sympy.Expr:
        given = [leaf for leaf in self.plan.derived.graph.declarations if leaf.kind in kinds]
        dtypes = ["float" if leaf.classes is None else "int" for leaf in given]
        parts = [use.entry_bytes(dtype) * sympy.Mul(*leaf.shape) for dtype, leaf in zip(dtypes, given, strict=True)]
        return sympy.expand(sympy.Add(*parts))

    @cached_property
    def array_bytes(self) -> sympy.Expr:
        """The bytes of the workspace's arrays, gradients included; its constants and the loops' scratch come on top."""
        return use.array_bytes(self.plan)

    @cached_property
    def gradient_bytes(self) -> sympy.Expr:
        """The bytes of the gradients, which are arrays of the workspace."""
        return use.gradient_bytes(self.plan)

    @cached_property
    def saved_bytes(self) -> sympy.Expr:
        """The bytes that the backward pass reads of the forward pass; values in one array are counted once."""
        arrays = {self.plan.array_of.get(op, op): op for op in use.saved(self.plan)}
        return sympy.expand(sympy.Add(*[use.entry_bytes(op.dtype) * sympy.Mul(*op.shape) for op in arrays.values()]))

    def multiply_adds(self, *, backward: bool) -> sympy.Expr:
        """The multiply-adds of one pass over a batch."""
        return sympy.expand(sympy.Add(*[layer.backward if backward else layer.forward for layer in self.layers]))

    def entry_operations(self, *, backward: bool) -> sympy.Expr:
        """The operations entry by entry (additions, exponentials, maxima) of one pass over a batch."""
        names = self.plan.derived.reversed
        chosen = [op for op in self.plan.operations if (op.equation in names) is backward]
        return sympy.expand(sympy.Add(*[self.plan.times(op) * entry_operations(op) for op in chosen]))

    @cached_property
    def workspace_size(self) -> sympy.Expr:
        """The bytes of a Workspace as a polynomial, with `memory_use.SCRATCH_BYTES` where it has loops with scratch.

        A row of zeros shorter than 32 is stored as a single zero; the polynomial counts it whole.
        """
        constants = [use.constant_size(op) for op in self.plan.operations if op.storage == "constant"]
        return sympy.expand(sympy.Add(self.array_bytes, *constants, self.scratch_size(self.plan.loops)))

    def scratch_size(self, loops: Iterable[Loop]) -> sympy.Expr:
        """The symbol of the scratch memory, where one of some loops uses it; else 0."""
        used = any(any(self.plan.scratch_width(loop).values()) for loop in loops)
        return use.SCRATCH_BYTES if used else sympy.S.Zero

    def training_size(self, optimizer: str = "sgd") -> sympy.Expr:
        """The bytes of training as a polynomial: see `training_bytes` and `workspace_size`; what NumPy allocates is left out."""
        copies = 1 + self.training_copies(optimizer)
        return sympy.expand(copies * self.parameters * use.FLOAT_BYTES + self.given_bytes + self.workspace_size)

    @cached_property
    def prediction_size(self) -> sympy.Expr:
        """The bytes of prediction as a polynomial: parameters, inputs, the arrays that `predict` fills, a copy of the outputs."""
        steps, needed = self.plan.needed(self.plan.outputs.values())
        arrays = dict.fromkeys(self.plan.array_of[op] for op in needed if op in self.plan.array_of)
        parts = [use.entry_bytes(array.dtype) * array.entries for array in arrays if array.loop is None]
        parts += [use.constant_size(op) for op in self.plan.operations if op in needed and op.storage == "constant"]
        parts.append(self.scratch_size(step for step in steps if isinstance(step, Loop)))
        parts += [use.FLOAT_BYTES * sympy.Mul(*op.shape) for op in self.plan.outputs.values()]
        return sympy.expand(sympy.Add(self.parameters * use.FLOAT_BYTES, self._bytes_of("input"), *parts))

    # ------------------------------------------------------------ numbers

    def numbers(self, sizes: Mapping[str, int], dtype: str = "float32") -> dict[sympy.Symbol, int]:
        """Return the number of every dimension and the bytes of a float.

        sizes come before the model's defaults. Raises SizeError naming the dimensions that have no number, UsageError for an
        unknown dimension or dtype.
        """
        if dtype not in FLOATS:
            raise UsageError(f"there is no dtype {dtype!r} here; there are {', '.join(FLOATS)}")
        unknown = sorted(set(sizes) - set(self.model.dimensions))
        if unknown:
            raise UsageError(f"the model has no dimension {', '.join(unknown)}")
        known = {**{name: size for name, size in self.model.dimensions.items() if size is not None}, **sizes}
        missing = [name for name in self.model.dimensions if name not in known]
        if missing:
            raise SizeError(f"no size is given for {', '.join(missing)}")
        return {**{dimension(name): size for name, size in known.items()}, use.FLOAT_BYTES: FLOATS[dtype]}

    def workspace_bytes(self, numbers: Mapping[sympy.Symbol, int]) -> int:
        """The bytes that a Workspace of these sizes allocates."""
        arrays = use.value_at(self.array_bytes, numbers)
        return arrays + use.constant_bytes(self.plan, numbers) + use.scratch_bytes(self.plan, numbers)

    def training_call(self, numbers: Mapping[sympy.Symbol, int]) -> Timeline:
        """The moments of a call of `loss_and_grad`."""
        ends = [*([self.plan.objective] if self.plan.objective else []), *self.plan.gradients.values()]
        return Timeline(self.plan, ends or self.plan.outputs.values(), numbers)

    def prediction_call(self, numbers: Mapping[sympy.Symbol, int]) -> Timeline:
        """The moments of a call of `predict`, which copies its outputs at the end."""
        outputs = self.plan.outputs.values()
        return Timeline(self.plan, outputs, numbers, outputs)

    def training_bytes(self, numbers: Mapping[sympy.Symbol, int], optimizer: str = "sgd") -> int:
        """The peak of training: parameters, the optimizer's copies of them, a batch, the workspace with the gradients.

        And what NumPy allocates beside the workspace.
        """
        parameters = use.value_at(self.parameters * use.FLOAT_BYTES, numbers) * (1 + self.training_copies(optimizer))
        given = use.value_at(self.given_bytes, numbers)
        return parameters + given + self.workspace_bytes(numbers) + self.training_call(numbers).allocated

    def accumulated_bytes(self, numbers: Mapping[sympy.Symbol, int], parts: int, optimizer: str = "sgd") -> int:
        """The peak of training with the batch in so many parts, one after the other, their gradients added up in a copy.

        Raises UsageError for a model without a batch dimension, and for more parts than examples.
        """
        batch = self._batch()
        if not 1 <= parts <= numbers[batch]:
            raise UsageError(f"a batch of {numbers[batch]} cannot be worked in {parts} parts")
        smaller = {**numbers, batch: -(-numbers[batch] // parts)}
        sums = use.value_at(self.gradient_bytes, numbers) if parts > 1 else 0
        return self.training_bytes(smaller, optimizer) + sums

    def _batch(self) -> sympy.Symbol:
        if self.model.batch is None:
            raise UsageError("the model has no batch dimension, so that there is no largest batch and no part of one")
        return dimension(self.model.batch)

    def training_copies(self, optimizer: str) -> int:
        """The copies of the parameters that an optimizer keeps. Raises UsageError for an unknown one."""
        if optimizer not in OPTIMIZERS:
            raise UsageError(f"there is no optimizer {optimizer!r}; there are {', '.join(OPTIMIZERS)}")
        return OPTIMIZERS[optimizer]

    def prediction_bytes(self, numbers: Mapping[sympy.Symbol, int]) -> int:
        """The peak of prediction: parameters, inputs, what `predict` fills of the workspace, and what NumPy allocates beside it."""
        steps, _ = self.plan.needed(self.plan.outputs.values())
        scratch = use.scratch_bytes(self.plan, numbers, [step for step in steps if isinstance(step, Loop)])
        outputs = sympy.Add(*[use.FLOAT_BYTES * sympy.Mul(*op.shape) for op in self.plan.outputs.values()])
        touched = use.value_at(self.prediction_size - outputs, {**numbers, use.SCRATCH_BYTES: scratch})
        return touched + self.prediction_call(numbers).allocated

    def largest_batch(self, memory: int, numbers: Mapping[sympy.Symbol, int], optimizer: str = "sgd") -> int:
        """Return the largest batch with which training fits into so many bytes; 0 where not even one example does.

        Raises UsageError for a model without a batch dimension.
        """
        batch = self._batch()

        def fits(count: int) -> bool:  # the bytes grow with the batch: it is an axis of rows, never of the width of a loop
            return self.training_bytes({**numbers, batch: count}, optimizer) <= memory

        low, high = 0, 1
        while high < 2**31 and fits(high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def footprint_of(model: Model, checkpoint: int | None = None) -> Footprint:
    """Return the footprint of a model's kernel; ``checkpoint`` is that of `make_plan`."""
    return footprint_of_derived(derive_graph(model, batched=True), checkpoint)


def footprint_of_derived(derived: DerivedGraph, checkpoint: int | None = None) -> Footprint:
    """Return the footprint of a kernel from its derivation over the batch."""
    without = Footprint(make_plan(derived))
    return without if checkpoint is None else Footprint(make_plan(derived, checkpoint), without)
