"""A walk over the syntax tree, iterative."""

from __future__ import annotations

from collections.abc import Iterator

from symbackprop.language import syntax


def walk(tree: object) -> Iterator[object]:
    """Yield every syntax node below one, itself first."""
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, tuple):
            pending.extend(reversed(part))
        elif hasattr(part, "__dataclass_fields__") and not isinstance(part, syntax.Position):
            yield part
            pending.extend(getattr(part, name) for name in reversed(list(part.__dataclass_fields__)))
