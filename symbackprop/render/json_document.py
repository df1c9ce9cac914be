"""A whole derivation as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from symbackprop import __version__
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Workers
from symbackprop.graph.model import Equation
from symbackprop.render.formula import Formula
from symbackprop.render.steps import Steps
from symbackprop.render.workers_note import collectives, said, workers_note
from symbackprop.render.writer import Writer


def json_form(derived: DerivedGraph, *, notation: str = "partial", steps: bool = False) -> str:
    """The derivation as JSON.

    Keys: symbackprop (version), model (name, title, batch, sizes, declarations), form, target, equations (each with number,
    name, kind (forward, backward, or that of second derivatives), shape, text, latex, why), and definitions. With ``steps``
    each backward equation also has steps: the local derivatives (through which equation, text, latex) and the chain rule
    (text, latex).

    Where workers share the work there is a key workers: count, splits (each with the dimension, how many parts, the names of its
    part, its first position and the index over workers), layouts (by name, for each axis the dimension or null), collectives
    (each with kind, the dimensions over whose workers it goes, and the equation), and notes. Shapes are those of one worker.
    """
    writer = Writer(derived, notation)
    worked = Steps(writer) if steps else None
    model = derived.model
    document: dict[str, Any] = {
        "symbackprop": __version__,
        "model": {
            "name": model.name,
            "title": model.title,
            "batch": model.batch,
            "sizes": dict(model.dimensions),
            "declarations": [
                {"name": d.name, "kind": d.kind, "shape": [str(size) for size in d.shape]}
                for d in derived.graph.declarations
            ],
        },
        "form": "batch" if derived.batched else "example",
        "target": derived.target,
        "equations": [
            *[_equation(writer, None, equation, "forward") for equation in derived.forward],
            *[_equation(writer, worked, equation, "backward") for equation in derived.backward],
            *[_equation(writer, None, e, section.kind) for section in derived.further for e in section.equations],
        ],
        "definitions": [_both(writer, left, right) for left, right in _definitions(writer)],
    }
    if derived.workers:
        document["workers"] = _workers(writer, derived.workers)
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _equation(writer: Writer, steps: Steps | None, equation: Equation, kind: str) -> dict[str, Any]:
    line = writer.line(equation)
    entry: dict[str, Any] = {
        "number": line.number,
        "name": equation.name,
        "kind": kind,
        "shape": [str(size) for size in equation.node.shape],
        **_both(writer, line.left, line.right),
        "why": line.why,
    }
    if steps:
        entry["steps"] = [
            {
                "local": [{"through": x.number, **_both(writer, x.left, x.right)} for x in step.locals],
                "chain": _both(writer, step.left, step.right),
            }
            for step in steps.of(line.by)
        ]
    return entry


def _workers(writer: Writer, workers: Workers) -> dict[str, Any]:
    return {
        "count": workers.count,
        "splits": [asdict(split) for split in workers.splits],
        "stages": workers.stages,
        "stages_of": {name: list(stages) for name, stages in workers.stages_of.items()},
        "layouts": {name: list(layout) for name, layout in workers.layouts.items()},
        "collectives": [
            {"kind": node.kind, "over": list(node.groups), "equation": name} for node, name in collectives(writer.derived).items()
        ],
        "notes": [said(note, str, writer.text.show) for note in workers_note(writer)],
    }


def _definitions(writer: Writer) -> list[tuple[Formula, Formula]]:
    delta = writer.delta()
    return [*([delta[:2]] if delta else []), *writer.definitions()]


def _both(writer: Writer, left: Formula, right: Formula) -> dict[str, str]:
    return {"text": writer.text.equation(left, right), "latex": writer.latex.equation(left, right)}
