"""From bytes to lines: decoding, and the characters that are refused."""

from __future__ import annotations

import unicodedata

from symbackprop.errors import EquationError
from symbackprop.language.vocabulary import ACCENTS, is_letter

FILE_LIMIT = 5_000_000
"""Bytes of a file."""

_LOOK_ALIKE = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))
"""Greek letters that cannot be told from Latin ones."""

_SIGNS = "𝟏"
"""Letters and digits by their category that are signs of the language."""


def decode(content: str | bytes, filename: str) -> str:
    """Return the text in NFC with newlines as ``\\n``. Raises EquationError for what is no readable text."""
    size = len(content) if isinstance(content, bytes) else len(content.encode("utf-8", errors="surrogatepass"))
    if size > FILE_LIMIT:
        raise EquationError(f"the text has more than {FILE_LIMIT} bytes", file=filename, line=1, column=1)
    if isinstance(content, bytes):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            before = content[: problem.start]
            line = before.count(b"\n") + 1
            column = len(before.rsplit(b"\n", 1)[-1].decode("utf-8", errors="replace")) + 1
            raise EquationError(
                f"the byte 0x{content[problem.start]:02x} is not UTF-8", file=filename, line=line, column=column,
                source_line=content.splitlines()[line - 1].decode("utf-8", errors="replace"),
                hint="save the file as UTF-8",
            ) from None  # fmt: skip
    else:
        text = content.removeprefix("\ufeff")
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    _refuse_characters(text, filename)
    return text


def _refuse_characters(text: str, filename: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.isascii() and (line.isprintable() or all(c.isprintable() or c == "\t" for c in line)):
            continue
        comment = line.find("#")
        for column, character in enumerate(line, start=1):
            problem = _problem(character, in_comment=0 <= comment < column)
            if problem:
                raise EquationError(
                    problem[0], file=filename, line=number, column=column, source_line=line, hint=problem[1]
                )


def _problem(character: str, in_comment: bool) -> tuple[str, str] | None:
    """Return what is wrong with a character and the hint, or None."""
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    category = unicodedata.category(character)
    if character == "\t":
        return None
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"the invisible character {code} ({name or 'a control character'})", "delete it"
    if in_comment:
        return None
    if character in _LOOK_ALIKE:
        return (
            f"the Greek letter {code} looks like the Latin {_LOOK_ALIKE[character]}",
            f"write {_LOOK_ALIKE[character]} in Latin",
        )
    if category in ("Lu", "Ll", "Lt", "Lo") and not is_letter(character) and character not in _SIGNS:
        if name.startswith(("LATIN", "GREEK")):
            return f"the letter {code} ({name}) is easily taken for another", "write plain Latin or Greek letters"
        return f"the letter {code} ({name or 'unnamed'}) is neither Latin nor Greek", "write it in Latin or Greek letters"
    if category == "Nd" and not character.isascii() and character not in _SIGNS:
        return f"the digit {code} ({name}) is none of 0 to 9", "write it with the digits 0 to 9"
    if category in ("Mn", "Mc", "Me") and character not in ACCENTS:
        return f"the combining mark {code} ({name})", "write x_hat, x_bar, x_dot, x_tilde for accents"
    return None
