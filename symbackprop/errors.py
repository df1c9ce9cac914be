"""Errors for people: what is wrong, where, and what would be right."""

from __future__ import annotations


class SymbackpropError(Exception):
    """Anything the user can put right; its text is the whole message."""


class UsageError(SymbackpropError):
    """A command, an option or a name that does not fit."""


class ShapeError(SymbackpropError):
    """Operands whose shapes do not fit together; the message names both with their shapes."""


class SizeError(SymbackpropError):
    """A size that is missing, or is no positive whole number."""


class EquationError(SymbackpropError):
    """Something wrong in an equation text, with its place.

    line and column count from 1. ``str()`` gives the place, the message, the line with a caret, and the hint.
    """

    def __init__(
        self, message: str, *, file: str, line: int, column: int, source_line: str = "", length: int = 1, hint: str = ""
    ) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        self.source_line, self.length, self.hint = source_line, length, hint
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [f"{_visible(self.file)}:{self.line}:{self.column}: {_visible(self.message)}"]
        if self.source_line.strip():
            shown, caret = _window(self.source_line, self.column, self.length)
            lines += [f"    {_visible(shown)}", f"    {caret}"]
        if self.hint:
            lines.append(f"    {_visible(self.hint)}")
        return "\n".join(lines)


WINDOW = 100


def _window(line: str, column: int, length: int) -> tuple[str, str]:
    """Cut a long line to the part around the column, and put the caret under it."""
    start = max(0, column - 1 - WINDOW // 2) if len(line) > WINDOW else 0
    shown = line[start : start + WINDOW].replace("\t", " ")
    before = "..." if start else ""
    after = "..." if start + WINDOW < len(line) else ""
    place = column - 1 - start + len(before)
    width = max(1, min(length, len(before) + len(shown) - place))
    return before + shown + after, " " * place + "^" * width


def _visible(text: str) -> str:
    """Show control and direction-changing characters as escapes, so that a message cannot deceive."""
    return "".join(c if c == "\n" or (c.isprintable()) else f"\\u{ord(c):04x}" for c in text)
