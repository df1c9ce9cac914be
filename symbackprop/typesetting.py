"""Typst, the typesetting system that comes as a library: documents as PDF, pictures as PDF and PNG (extra ``draw``)."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

from symbackprop.errors import UsageError

PIXELS_PER_INCH = 288
"""Of a PNG: three pixels for each unit of an SVG, of which there are 96 to the inch; with two, thin strokes of letters are lost."""

_PICTURE = """#set document(date: none)
#set page(width: auto, height: auto, margin: 0pt)
#image(bytes(sys.inputs.svg), format: "svg")
"""


def typeset(source: str, inputs: Mapping[str, str] | None = None, form: Literal["pdf", "png"] = "pdf") -> bytes:
    """Return a document in Typst's language as PDF, or its one page as PNG; byte-identical on every machine and day.

    ``inputs`` are texts that the source reads as ``sys.inputs``, so that they need no escaping. Fonts are those that come with
    Typst, and no file is read. Raises UsageError where Typst is not installed.
    """
    options: dict[str, Any] = {"ppi": PIXELS_PER_INCH} if form == "png" else {}
    found: bytes = _typst().compile(
        source.encode(), format=form, sys_inputs=dict(inputs or {}), ignore_system_fonts=True, timestamp=0, **options
    )
    return found


def picture(svg: str, form: Literal["pdf", "png"]) -> bytes:
    """Return an SVG as PDF or PNG. Raises UsageError where Typst is not installed."""
    return typeset(_PICTURE, {"svg": svg}, form)


def _typst() -> ModuleType:
    try:
        import typst
    except ImportError:
        raise UsageError("PDF and PNG need Typst: pip install 'symbackprop[draw]'") from None
    return typst
