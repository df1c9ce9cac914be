"""What a picture says of the workers that share a graph: how they hold a value, and what they do where they meet."""

from __future__ import annotations

from symbackprop.derivation.workers import Workers
from symbackprop.drawing.diagram import Held, Label
from symbackprop.graph.nodes import Collective
from symbackprop.render.formula import Index
from symbackprop.render.writer import Writer

_SIGNS = {"sum": Label(r"\sum", "∑"), "gather": Label(r"\text{gather}", "gather"), "norm": Label(r"\Vert \cdot \Vert", "‖·‖")}
_OWN = Label(r"\text{one of its own on every worker}", "one of its own on every worker"), Label(r"\text{own}", "own")
_WHOLE = Label(r"\text{whole on every worker}", "whole on every worker")


def held(writer: Writer, name: str) -> Held | None:
    """How workers hold a tensor or a value; None where there is one worker. Colours tell stages, where there are several."""
    workers = writer.derived.workers
    if workers is None:
        return None
    found = _within_stage(writer, workers, name)
    if workers.stages == 1:
        return found
    numbers = [str(stage + 1) for stage in workers.stages_of.get(name, range(workers.stages))]
    where = f"stage{'s' if len(numbers) > 1 else ''} {' and '.join(numbers)}: "
    words = Label(rf"\text{{{where}}}{found.words.latex}", where + found.words.text)
    tag = ",".join(numbers)
    if found.tag is None:
        return Held(int(tag) if len(numbers) == 1 else 0, words, Label(tag, tag))
    return Held(int(tag) if len(numbers) == 1 else 0, words, Label(f"{tag} : {found.tag.latex}", f"{tag}: {found.tag.text}"))


def _within_stage(writer: Writer, workers: Workers, name: str) -> Held:
    splits = workers.held_by(name)
    if name in workers.apart:
        return Held(1 << len(workers.splits), *_OWN)
    if not splits:
        return Held(0, _WHOLE)
    latex = [writer.latex.size(split.name)[0] for split in splits]
    text = [writer.text.dimension(split.name) for split in splits]
    words = Label(r"\text{split along }" + r"\text{ and }".join(latex), f"split along {' and '.join(text)}")
    number = sum(1 << k for k, split in enumerate(workers.splits) if split in splits)
    return Held(number, words, Label(", ".join(latex), ", ".join(text)))


def meeting(writer: Writer, node: Collective) -> Label:
    """What workers do where they meet: its sign, and over the workers along which splits."""
    sign = _SIGNS.get(node.kind, Label(rf"\operatorname{{{node.kind}}}", node.kind))
    workers = writer.derived.workers
    assert workers is not None
    over = [Index(workers.indices[group]) for group in node.groups]
    return Label(
        rf"{sign.latex} \text{{ over }} " + ", ".join(writer.latex.show(index) for index in over),
        f"{sign.text} over {', '.join(writer.text.show(index) for index in over)}",
    )
