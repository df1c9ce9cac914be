"""Writing files so that nothing is lost: whole or not at all, and never over what a person edited."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from symbackprop.errors import UsageError

_SEAL = re.compile(r"symbackprop-seal:([0-9a-f]{16})")
NAME_LIMIT = 200


def sealed(text: str, opening: str, closing: str = "") -> str:
    """Return the text with a last comment line that holds its digest, by which a later edit is noticed."""
    return f"{text.rstrip(chr(10))}\n{opening} symbackprop-seal:{_digest(text)}{closing}\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.rstrip("\n").encode()).hexdigest()[:16]


def is_untouched(text: str) -> bool:
    """Tell whether a sealed text is as it was written."""
    found = list(_SEAL.finditer(text))
    if not found:
        return False
    start = text.rfind("\n", 0, found[-1].start())
    rest = text[text.find("\n", found[-1].end()) + 1 :] if "\n" in text[found[-1].end() :] else ""
    return not rest.strip() and _digest(text[: max(start, 0)]) == found[-1].group(1)


def write_text(path: Path, text: str, *, force: bool = False) -> bool:
    """Write a file under a temporary name and rename it. Returns False where the file already says the same.

    Raises UsageError for a name that cannot be written, and where the existing file was not written by symbackprop or was
    edited since, unless ``force`` is given.
    """
    _check_name(path)
    try:
        old = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError):
        old = ""
    if old == text:
        return False
    if old is not None and not force and not is_untouched(old):
        raise UsageError(f"{path} was edited by hand or not written by symbackprop; --force replaces it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def _check_name(path: Path) -> None:
    if "\0" in str(path):
        raise UsageError("a file name cannot hold a NUL character")
    if ".." in path.parts:
        raise UsageError(f"{path}: an output name with '..' is refused; write the folder out")
    if len(path.name) > NAME_LIMIT:
        raise UsageError(f"the output name has {len(path.name)} characters; at most {NAME_LIMIT} are accepted")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
