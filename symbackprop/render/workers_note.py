"""What a reader must know of equations that several workers share: who holds what, and how they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Split, Workers
from symbackprop.graph.nodes import Collective, Node
from symbackprop.graph.sizes import dimension
from symbackprop.graph.walk import topological
from symbackprop.render.formula import Formula, Index, Number, Symbol
from symbackprop.render.index_form import names_read
from symbackprop.render.printing import spans

if TYPE_CHECKING:
    from symbackprop.render.writer import Writer

Sentence: TypeAlias = tuple[str | Formula, ...]
"""Words, and mathematics between them."""

_MEANINGS = {
    "sum": ("a sum over ", "adds up what each of them has"),
    "norm": ("a sum over ", "adds up what each of them has"),
    "max": ("a maximum over ", "is the largest of what each of them has"),
    "logsumexp": ("logsumexp over ", "is that of what each of them has"),
    "gather": ("gather over ", "puts their parts one behind the other"),
}


def workers_note(writer: Writer) -> list[Sentence]:
    """Return what must be known of the workers of a writer's derivation; nothing where there is one."""
    derived, workers = writer.derived, writer.derived.workers
    if workers is None:
        return []
    who = "one worker holds " if workers.count == 1 else f"each of {workers.count} workers holds "
    held = _listed([_held(derived, split) for split in workers.splits])
    rest = ", and the whole of everything else" if held else "everything"
    needed = " that its stage needs" if workers.stages > 1 else ""
    notes: list[Sentence] = [(who, *held, rest + needed), *_stages(writer, workers)]
    notes.append(("a name stands for what one worker holds, and a shape is that of its part",))
    if workers.apart:
        notes.append(("each worker has its own ", *_listed([(_symbol(derived, name),) for name in workers.apart])))
    notes += list(dict.fromkeys(_meaning(workers, node) for node in collectives(derived)))
    read = {name for equation in derived.equations for name in names_read(equation.node)}
    for split in workers.splits:
        if split.first in read:
            first = Number(dimension(split.first))
            notes.append((first, " is the first position of ", Number(split.size), " that a worker holds, counted from 1"))
    return notes


def collectives(derived: DerivedGraph) -> dict[Collective, str]:
    """Where workers meet, in order, each once, with the name of the equation in which it is."""
    found: dict[Collective, str] = {}
    seen: set[Node] = set()
    for equation in derived.equations:
        for node in topological([equation.node]):
            if isinstance(node, Collective) and node not in seen:
                found[node] = equation.name
            seen.add(node)
    return found


def said(note: Sentence, words: Callable[[str], str], mathematics: Callable[[Formula], str]) -> str:
    """A sentence as a document has it."""
    return "".join(words(part) if isinstance(part, str) else mathematics(part) for part in note)


def _stages(writer: Writer, workers: Workers) -> list[Sentence]:
    """What each stage holds and computes, where there are several."""
    notes: list[Sentence] = []
    for stage in range(workers.stages) if workers.stages > 1 else ():
        own = {name for name, stages in workers.stages_of.items() if stage in stages}
        given = [leaf for leaf in writer.derived.graph.declarations if leaf.name in own and leaf.kind != "hyper"]
        numbers = [writer.number[equation.name] for equation in writer.derived.equations if equation.name in own]
        tensors = _listed([(Symbol(leaf.name, leaf.rank),) for leaf in given])
        notes.append((f"stage {stage + 1} holds ", *tensors, f" and computes ({spans(numbers)})"))
    return notes


def _held(derived: DerivedGraph, split: Split) -> Sentence:
    size = derived.model.dimensions.get(split.name)
    parts = f"{split.parts} part{'s' if split.parts > 1 else ''}"
    parts += "" if size is None or size % split.parts == 0 else ", which differ by one"
    rounds = (", ", Number(split.own), f" at a time in {split.rounds} rounds") if split.rounds > 1 else ()
    return (Number(dimension(split.held)), " of ", Number(split.size), f" ({parts})", *rounds)


def _meaning(workers: Workers, node: Collective) -> Sentence:
    """What an index over workers says."""
    splits = [split for split in workers.splits if split.name in node.groups]
    indices = _listed([(Index(split.index),) for split in splits])
    sizes = _listed([(Number(split.size),) for split in splits])
    before, after = _MEANINGS[node.kind]
    rounds = " and their rounds" if any(split.rounds > 1 for split in splits) else ""
    return (before, *indices, ", the workers along ", *sizes, f"{rounds}, {after}; then all have the result")


def _symbol(derived: DerivedGraph, name: str) -> Formula:
    return Symbol(name, derived.graph.by_name[name].node.rank)


def _listed(items: Sequence[Sentence]) -> Sentence:
    """Items with commas, and "and" before the last."""
    found: list[str | Formula] = []
    for k, item in enumerate(items):
        found += [*([" and " if k == len(items) - 1 else ", "] if k else []), *item]
    return tuple(found)
