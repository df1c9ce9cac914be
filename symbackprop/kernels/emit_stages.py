"""The text of a module in rounds and stages: for each stage its arrays and, for each function, what it does of it."""

from __future__ import annotations

import textwrap
from typing import Any

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.kernels.emit import Emitter, words
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.rounds import as_held
from symbackprop.kernels.stages import Stages
from symbackprop.kernels.statements import part_of_axis

_TAKEN = ("m", "part", "microbatch", "microbatches", "parts")

_FUNCTIONS = {
    "predict": (
        "Return the model's outputs as arrays by name, those that this worker's stage makes; targets are not needed.",
        "workspace=None, hyper={}", ("parameter", "input"),
    ),
    "loss": ("Return the objective, on every worker.", "hyper={}, workspace=None", ("parameter", "input", "target")),
    "loss_and_grad": (
        "Return the objective and the gradients of this worker's stage by name: arrays of the workspace, valid until its next use.",
        "workspace=None, hyper={}", ("parameter", "input", "target"),
    ),
}  # fmt: skip


def stages_source(derived: DerivedGraph, stages: Stages) -> str:
    """Return the text of the module of a derivation over the batch in stages and rounds: byte-identical for the same ones."""
    return _StagesEmitter(derived, stages).module("")


class _Stage(Emitter):
    """Writes what one stage does."""

    def __init__(self, derived: DerivedGraph, plan: Plan) -> None:
        super().__init__(derived, plan, _TAKEN)

    def function(self, targets: list[Operation], result: list[str]) -> dict[str, Any]:
        """The lines of one function, and whether a part of the batch is worked in it."""
        turns, end = self.plan.turns, len(self.plan.steps)
        ends = (end, end, end) if turns is None else (turns.first, turns.back, turns.end)
        before = self._steps(targets, slice(0, ends[0]))
        forward, back = self._steps(targets, slice(*ends[:2])), self._steps(targets, slice(*ends[1:]))
        after = self._steps(targets, slice(ends[2], end))
        given, read = [op for op in self.plan.operations if op.kind == "given"], words([*forward, *back])
        parts = self._given([op for op in given if self._axis(op) is not None], read)
        whole = self._given([op for op in given if self._axis(op) is None], words([*before, *forward, *back, *after]))
        sizes = self._sizes([*before, *forward, *back, *after, *result])
        return {
            "before": [*sizes, *whole, *before], "forward": [*parts, *forward], "back": back,
            "turns": bool(forward or back), "after": after, "result": result,
        }  # fmt: skip

    def _axis(self, given: Operation) -> int | None:
        """The axis along which a round works a part of a tensor."""
        workers = self.derived.workers
        return workers.axis(given.name, workers.in_rounds) if workers is not None and workers.in_rounds is not None else None

    def _given(self, given: list[Operation], read: frozenset[str]) -> list[str]:
        """The lines that give the tensors that are read their variables."""
        lines = []
        for operation in given:
            name, axis = self.variables.of(operation), self._axis(operation)
            part = "" if axis is None else f"[{part_of_axis(axis)}]"
            lines += [f"{name} = arrays[{operation.name!r}]{part}"] if name in read else []
        return lines

    def arrays(self) -> dict[str, Any]:
        """The lines that allocate a stage's arrays, and those of one part of the batch."""
        own = [line for array in self.plan.arrays if array in self.plan.of_a_turn for line in self._array(array, "w")]
        own += [self._blocks(loop, "w") for loop in self.plan.loops if self.plan.is_of_a_turn(loop)]
        return {
            "dimensions": [(self.names.size(name), repr(name)) for name in self.dimensions],
            "bytes": textwrap.wrap(self._bytes(self.plan.entries), 100, break_long_words=False),
            "buffers": self._workspace("w"),
            "own": own,
        }

    def results(self) -> dict[str, list[str]]:
        """The lines that return what each function gives."""
        plan, found = self.plan, dict[str, list[str]]()
        outputs = [f"{name!r}: {self._result(op)}" for name, op in plan.outputs.items()]
        gradients = [f"    {name!r}: {self._gradient(name, op)}," for name, op in plan.gradients.items()]
        found["predict"] = [f"return {{{', '.join(outputs)}}}"]
        if plan.objective is not None:
            objective = f"return float({self.statements.expression(plan.objective)})"
            found["loss"] = [objective]
            found["loss_and_grad"] = [f"{objective}, {{", *gradients, "}"]
        return found


class _StagesEmitter(_Stage):
    """Writes the module: what stands in it once, and what its stages write."""

    def __init__(self, derived: DerivedGraph, made: Stages) -> None:
        super().__init__(as_held(derived), made.plans[0])
        self.made = made
        self.stages = [_Stage(derived, plan) for plan in made.plans]
        self.dimensions = sorted({name for stage in self.stages for name in stage.dimensions})

    def _members(self, matrix: object) -> list[Emitter]:
        return [*self.stages]

    def _functions(self) -> list[dict[str, Any]]:
        """Every function calls that of the worker's stage; one stage needs what the others send it."""
        plans, targets = self.made.plans, dict[str, list[Operation]]()
        outputs = [op for plan in plans for op in plan.outputs.values()]
        objectives = [plan.objective for plan in plans if plan.objective is not None]
        if outputs:
            targets["predict"] = outputs
        if objectives:
            gradients = [op for plan in plans for op in plan.gradients.values()]
            targets |= {"loss": objectives, "loss_and_grad": [*objectives, *gradients]}
        return [
            {
                "template": "mpi/call.py.j2", "name": name, "predicts": name == "predict",
                **dict(zip(("title", "rest", "kinds"), _FUNCTIONS[name], strict=True)),
                "stages": [stage.function(wanted, stage.results()[name]) for stage in self.stages],
            }
            for name, wanted in targets.items()
        ]  # fmt: skip

    def _workers(self) -> dict[str, Any] | None:
        found, workers = super()._workers(), self.derived.workers
        assert found is not None and workers is not None
        split = workers.in_rounds
        return found | {
            "stages": len(self.stages),
            "given": [repr(tuple(leaf.name for leaf in stage.plan.derived.graph.declarations)) for stage in self.stages],
            "rounds": split and (split.rounds, repr(split.name), repr(split.held), repr(split.part)),
            "arrays": [stage.arrays() for stage in self.stages],
        }
