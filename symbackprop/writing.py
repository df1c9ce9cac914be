"""Writing files so that nothing is lost: whole or not at all, and never over what a person edited."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from symbackprop.errors import UsageError

_SEAL = re.compile(r"symbackprop-seal:([0-9a-f]{16})")
NAME_LIMIT = 200


def sealed(text: str, opening: str, closing: str = "") -> str:
    """Return the text with a last comment line that holds its digest, by which a later edit is noticed."""
    body = text.rstrip("\n")
    return f"{body}\n{opening} {_seal(body)}{closing}\n"


def sealed_json(text: str) -> str:
    """Return the text of a JSON object with a last member that holds its digest."""
    body = f"{text.rstrip().removesuffix('}').rstrip()},"
    return f'{body}\n  "seal": "{_seal(body)}"\n}}\n'


def _seal(body: str) -> str:
    return f"symbackprop-seal:{_digest(body)}"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def is_untouched(text: str) -> bool:
    """Tell whether a sealed text is as it was written."""
    found = list(_SEAL.finditer(text))
    if not found:
        return False
    body, _, _ = text[: found[-1].start()].rpartition("\n")
    _, _, rest = text[found[-1].end() :].partition("\n")
    return rest.strip() in ("", "}") and _digest(body) == found[-1].group(1)


def write_text(path: Path, text: str, *, force: bool = False) -> bool:
    """Write a file under a temporary name and rename it. Returns False where the file already says the same.

    Raises UsageError for a name that cannot be written, and where the existing file was not written by symbackprop or was
    edited since, unless ``force`` is given. Whatever happens, the file is the old one or the new one, whole.
    """
    try:
        _check_name(path)
        target = path.resolve()  # a link stays a link: what it leads to is replaced
        old = target.read_text(encoding="utf-8") if target.exists() else None
    except UnicodeDecodeError:
        old = ""
    except (OSError, RuntimeError) as problem:  # RuntimeError: a link that leads to itself
        raise UsageError(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if old == text:
        return False
    if old is not None and not force and not is_untouched(old):
        raise UsageError(f"{path} was edited by hand or not written by symbackprop; --force replaces it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text.encode("utf-8"))
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror}") from None
    return True


def write_bytes(path: Path, content: bytes, mark: bytes, *, force: bool = False) -> bool:
    """Write a file that is no text, as `write_text` does. An existing one is ours if it holds ``mark``."""
    try:
        _check_name(path)
        target = path.resolve()
        old = target.read_bytes() if target.exists() else None
    except (OSError, RuntimeError) as problem:
        raise UsageError(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if old == content:
        return False
    if old is not None and not force and mark not in old:
        raise UsageError(f"{path} was not written by symbackprop; --force replaces it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror}") from None
    return True


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check_name(path: Path) -> None:
    if "\0" in str(path):
        raise UsageError("a file name cannot hold a NUL character")
    if ".." in path.parts:
        raise UsageError(f"{path}: an output name with '..' is refused; write the folder out")
    if len(path.name.encode("utf-8", errors="surrogateescape")) > NAME_LIMIT:
        raise UsageError(f"the output name has more than {NAME_LIMIT} bytes")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file")
