"""LaTeX as MathML. What comes back is read as XML and only known elements and attributes are kept: no name becomes markup."""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET
from functools import lru_cache
from html import escape
from types import ModuleType

from symbackprop.errors import UsageError

_SPACE = "http://www.w3.org/1998/Math/MathML"
_ELEMENTS = frozenset(
    "mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mstyle mpadded".split()
)
_ATTRIBUTES = frozenset(
    "displaystyle scriptlevel movablelimits stretchy fence form accent accentunder width columnalign mathvariant".split()
)
_VARIANTS = {"bold": "BOLD", "bold-italic": "BOLD ITALIC"}


@lru_cache(maxsize=8192)
def mathml(latex: str, text: str) -> str:
    """Return LaTeX mathematics as MathML; ``text`` is what a reader without it is given. Raises UsageError without latex2mathml."""
    try:
        tree = ET.fromstring(_latex2mathml().convert(latex))
        body = "".join(map(_element, tree))
    except ET.ParseError:
        return f"<code>{escape(text)}</code>"
    return f'<math displaystyle="true" alttext="{escape(text)}">{body}</math>'


def _element(part: ET.Element) -> str:
    name = part.tag.removeprefix(f"{{{_SPACE}}}")
    inner = escape(part.text or "") + "".join(_element(child) + escape(child.tail or "") for child in part)
    if name not in _ELEMENTS:
        return inner
    attributes = {key: value for key, value in part.attrib.items() if key in _ATTRIBUTES}
    if name == "mo" and (inner == "⊤" or (len(inner) > 1 and inner.isalpha())):  # a name or a mark, with no space around it
        name = "mi"
    elif inner == "′":  # which a browser raises by itself
        name = "mo"
    elif inner in ("‖", "|"):  # the right one, which has a superscript, would not grow with the left one
        attributes["stretchy"] = "false"
    variant = _VARIANTS.get(attributes.get("mathvariant", ""))
    if variant:  # browsers know none but "normal": the letters themselves are bold
        del attributes["mathvariant"]
        inner = "".join(_bold(c, variant) for c in inner) if not len(part) else inner
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{inner}</{name}>"


def _bold(character: str, variant: str) -> str:
    """The letter of Unicode's mathematical alphabets."""
    name = unicodedata.name(character, "").replace("GREEK ", "").replace("LATIN ", "").replace(" LETTER", "")
    try:
        return unicodedata.lookup(f"MATHEMATICAL {variant} {name}")
    except KeyError:
        return character


def _latex2mathml() -> ModuleType:
    try:
        import latex2mathml.converter
    except ImportError:
        raise UsageError("the page needs latex2mathml: pip install 'symbackprop[report]'") from None
    converter: ModuleType = latex2mathml.converter
    return converter
