"""The built-in models, as equation files."""

from __future__ import annotations

from importlib.resources import files

from symbackprop.errors import UsageError


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in models, sorted."""
    return tuple(sorted(entry.name[:-3] for entry in files(__package__).iterdir() if entry.name.endswith(".eq")))


def builtin_text(name: str) -> str:
    """Return the equations of a built-in model. Raises UsageError for an unknown name."""
    if name not in builtin_names():
        raise UsageError(f"there is no built-in model {name!r}; there are {', '.join(builtin_names())}")
    return files(__package__).joinpath(f"{name}.eq").read_text(encoding="utf-8")


def builtin_title(name: str) -> str:
    """Return the first comment of a built-in model."""
    return builtin_text(name).splitlines()[0].lstrip("# ")
