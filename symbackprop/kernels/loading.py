"""Importing a generated module from its text, without a file."""

from __future__ import annotations

import importlib.util
import linecache
import sys
from importlib.abc import InspectLoader
from types import ModuleType


class _SourceLoader(InspectLoader):
    """Loads the project's own generated source; tracebacks show its lines."""

    def __init__(self, source: str, filename: str) -> None:
        self._source, self._filename = source, filename

    def get_source(self, fullname: str) -> str:
        """The text of the module."""
        return self._source

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with a file name under which its lines are found."""
        lines = self._source.splitlines(keepends=True)
        linecache.cache[self._filename] = (len(self._source), None, lines, self._filename)
        module.__file__ = self._filename
        super().exec_module(module)


def load_source(source: str, name: str) -> ModuleType:
    """Return the module of a generated source. Raises SyntaxError where the text is no Python."""
    cleaned = "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
    loader = _SourceLoader(source, f"<generated {cleaned}>")
    spec = importlib.util.spec_from_loader(f"symbackprop_generated_{cleaned}", loader)
    if spec is None:
        raise ImportError(f"{name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules.pop(spec.name, None)
    loader.exec_module(module)
    return module
