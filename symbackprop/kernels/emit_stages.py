"""The text of a module in rounds and stages: for each stage its arrays and, for each function, what it does of it."""

from __future__ import annotations

import textwrap
from typing import Any

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.kernels.emit import Emitter, Workers, words
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.rounds import Rounds, as_held
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


def stages_source(derived: DerivedGraph, workers: Workers, stages: Stages, rounds: Rounds | None) -> str:
    """Return the text of the module of a derivation over the batch in stages and rounds: byte-identical for the same ones."""
    return _StagesEmitter(derived, workers, stages, rounds).module("")


class _Stage(Emitter):
    """Writes what one stage does."""

    def __init__(self, derived: DerivedGraph, plan: Plan, workers: Workers, rounds: Rounds | None) -> None:
        super().__init__(derived, plan, workers, _TAKEN)
        self.rounds = rounds

    def function(self, targets: list[Operation], result: list[str]) -> dict[str, Any]:
        """The lines of one function, and whether a part of the batch is worked in it."""
        turns, end = self.plan.turns, len(self.plan.steps)
        ends = (end, end, end) if turns is None else (turns.first, turns.back, turns.end)
        before = self._steps(targets, slice(0, ends[0]))
        forward, back = self._steps(targets, slice(*ends[:2])), self._steps(targets, slice(*ends[1:]))
        after = self._steps(targets, slice(ends[2], end))
        given, read = [op for op in self.plan.operations if op.kind == "given"], words([*forward, *back])
        parts = [f"{x} = {self._part_of(op)}" for op in given if self._in_parts(op) and (x := self.variables.of(op)) in read]
        read = words([*before, *forward, *back, *after])
        whole = [
            f"{x} = arrays[{op.name!r}]" for op in given if not self._in_parts(op) and (x := self.variables.of(op)) in read
        ]
        sizes = self._sizes([*before, *forward, *back, *after, *result])
        return {
            "before": [*sizes, *whole, *before], "forward": [*parts, *forward], "back": back,
            "turns": bool(forward or back), "after": after, "result": result,
        }  # fmt: skip

    def _in_parts(self, given: Operation) -> bool:
        return self.rounds is not None and self.rounds.axis(given.name) is not None

    def _part_of(self, given: Operation) -> str:
        axis = self.rounds.axis(given.name) if self.rounds is not None else None
        assert axis is not None
        return f"arrays[{given.name!r}][{part_of_axis(axis)}]"

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

    def __init__(self, derived: DerivedGraph, workers: Workers, made: Stages, rounds: Rounds | None) -> None:
        super().__init__(as_held(derived, rounds), made.plans[0], workers, rounds)
        self.made = made
        self.stages = [_Stage(derived, plan, workers, rounds) for plan in made.plans]
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
        found = super()._workers()
        assert found is not None and self.workers is not None
        rounds = self.rounds
        held = {name: part for name, _, part, _ in self.workers.splits}
        return found | {
            "stages": len(self.stages),
            "given": [repr(tuple(leaf.name for leaf in stage.plan.derived.graph.declarations)) for stage in self.stages],
            "rounds": rounds and (rounds.number, repr(rounds.split), repr(held[rounds.split]), repr(str(rounds.own))),
            "arrays": [stage.arrays() for stage in self.stages],
        }
