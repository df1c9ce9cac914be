"""Walks over the syntax tree, iterative."""

from __future__ import annotations

from collections.abc import Iterator

from symbackprop.language import syntax


def children(part: object) -> Iterator[object]:
    """Yield the syntax nodes directly below one."""
    for name in getattr(part, "__dataclass_fields__", ()):
        pending = [getattr(part, name)]
        while pending:
            value = pending.pop()
            if isinstance(value, tuple):
                pending.extend(reversed(value))
            elif hasattr(value, "__dataclass_fields__") and not isinstance(value, syntax.Position):
                yield value


def walk(tree: object) -> Iterator[object]:
    """Yield every syntax node below one, itself first."""
    pending = [tree]
    while pending:
        part = pending.pop()
        yield part
        pending.extend(reversed(list(children(part))))


def deeper_than(limit: int, tree: object) -> syntax.Position | None:
    """Return the place of a part that lies more than ``limit`` expressions deep, or None."""
    pending: list[tuple[object, int]] = [(tree, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > limit and isinstance(part, syntax.Expression):
            return part.position
        pending.extend((inner, depth + 1) for inner in children(part))
    return None
