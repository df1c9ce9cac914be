"""Mathematics as outlines: what a label measures, and the glyphs it is made of (ziamath, which needs no TeX)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from symbackprop.errors import UsageError

SIZE, SMALL = 14, 10.5
"""The heights of letters in vertices and at edges, in pixels."""

_SPACE = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Glyph:
    """A letter: its outline, put at a place in a scale."""

    outline: str
    x: float
    y: float
    scale: float


@dataclass(frozen=True)
class Bar:
    """A filled rectangle, such as a fraction's line."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Stroke:
    """An outline of its own, such as a tall root sign."""

    outline: str


@dataclass(frozen=True)
class Setting:
    """A formula as it is set, in pixels: left is 0 and top is 0."""

    width: float
    height: float
    parts: tuple[Glyph | Bar | Stroke, ...]
    left: float = 0.0
    top: float = 0.0


@lru_cache(maxsize=4096)
def setting(latex: str, size: float) -> Setting:
    """Return LaTeX mathematics as it is set. Raises UsageError where ziamath is not installed."""
    tree = _ziamath().Latex(latex, size=size, margin=0).svgxml()
    left, top, width, height = (float(x) for x in tree.get("viewBox").split())
    outlines = {}
    for symbol in tree.iter():
        if _tag(symbol) == "symbol":
            box = [float(x) for x in symbol.get("viewBox").split()]
            paths = [path.get("d") for path in symbol.iter() if _tag(path) == "path"]  # none in a space, several in a tall bar
            outlines[symbol.get("id")] = (box, " ".join(path.strip() for path in paths if path))
    inside = {id(part) for symbol in tree.iter() if _tag(symbol) == "symbol" for part in symbol.iter()}
    parts = [_part(part, outlines) for part in tree.iter() if id(part) not in inside and _tag(part) not in ("svg", "g")]
    return Setting(width, height, tuple(part for part in parts if part is not None), left, top)


def _part(part: Any, outlines: dict[str, Any]) -> Glyph | Bar | Stroke | None:
    """What is drawn for a part of the tree; a space is nothing."""
    get = part.get
    if _tag(part) == "use":
        name = (get("href") or get("{http://www.w3.org/1999/xlink}href")).removeprefix("#")
        box, outline = outlines[name]
        if not outline:
            return None
        scale = float(get("width")) / box[2]
        x, y = (float(get(side)) - start * scale for side, start in zip("xy", box, strict=False))
        return Glyph(outline, round(x, 3), round(y, 3), round(scale, 4))
    if _tag(part) == "rect":
        return Bar(*(float(get(side)) for side in ("x", "y", "width", "height")))
    if _tag(part) == "path" and re.fullmatch(r"[-+0-9.eE ,A-Za-z]*", get("d")):
        return Stroke(get("d"))
    raise UsageError(f"the formula cannot be drawn: it has a part of the kind {_tag(part)}")


def _tag(part: Any) -> str:
    return str(part.tag).removeprefix(_SPACE)


def _ziamath() -> ModuleType:
    try:
        import ziamath
    except ImportError:
        raise UsageError("pictures need ziamath and pygraphviz: pip install 'symbackprop[draw]'") from None
    return ziamath
