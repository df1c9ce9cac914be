"""Writing files so that nothing is lost: whole or not at all, and never over what a person edited."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from symbackprop.errors import UsageError

_SEAL = re.compile(rb"symbackprop-seal:([0-9a-f]{16})")
_CHUNK = 12
"""The bytes of an empty chunk of a PNG, such as its last one: length, type and checksum."""

NAME_LIMIT = 200


def sealed(text: str, opening: str, closing: str = "") -> str:
    """Return the text with a last comment line that holds its digest, by which a later edit is noticed."""
    body = text.rstrip("\n")
    return f"{body}\n{opening} {_seal(body)}{closing}\n"


def sealed_json(text: str) -> str:
    """Return the text of a JSON object with a last member that holds its digest."""
    body = f"{text.rstrip().removesuffix('}').rstrip()},"
    return f'{body}\n  "seal": "{_seal(body)}"\n}}\n'


def _seal(body: str | bytes) -> str:
    content = body.encode() if isinstance(body, str) else body
    return f"symbackprop-seal:{_digest(content)}"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def sealed_png(content: bytes) -> bytes:
    """Return a PNG with a last comment chunk that holds the digest of all before it."""
    body, end = content[:-_CHUNK], content[-_CHUNK:]
    comment = _comment(body)
    typed = b"tEXt" + comment
    return body + struct.pack(">I", len(comment)) + typed + struct.pack(">I", zlib.crc32(typed)) + end


def _comment(body: bytes) -> bytes:
    return b"Comment\0" + _seal(body).encode()


def sealed_pdf(content: bytes) -> bytes:
    """Return a PDF with a last comment, behind its end, that holds the digest of all before it."""
    body = content.rstrip(b"\n")
    return body + f"\n% {_seal(body)}\n".encode()


def is_untouched(content: bytes) -> bool:
    """Tell whether a sealed file is as it was written."""
    if content.startswith(b"\x89PNG"):
        sealed_length = _CHUNK + len(_comment(b""))
        return content == sealed_png(content[: -sealed_length - _CHUNK] + content[-_CHUNK:])
    found = list(_SEAL.finditer(content))
    if not found:
        return False
    body, _, _ = content[: found[-1].start()].rpartition(b"\n")
    _, _, rest = content[found[-1].end() :].partition(b"\n")
    return rest.strip() in (b"", b"}") and _digest(body) == found[-1].group(1).decode()


def write(path: Path, content: str | bytes, *, force: bool = False) -> bool:
    """Write a file under a temporary name and rename it; a text in UTF-8. Returns False where the file already says the same.

    Raises UsageError for a name that cannot be written, and where the existing file was not written by symbackprop or was
    edited since, unless ``force`` is given. Whatever happens, the file is the old one or the new one, whole.
    """
    return write_all({path: content}, force=force)[path]


def write_all(files: Mapping[Path, str | bytes], *, force: bool = False) -> dict[Path, bool]:
    """Write several files as `write` does one; where one of them is refused, none is written."""
    stale = {path: _is_stale(path, content, force) for path, content in files.items()}
    for path, content in files.items():
        if not stale[path]:
            continue
        try:
            target = path.resolve()  # a link stays a link: what it leads to is replaced
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, _encoded(content))
        except OSError as problem:
            raise UsageError(f"{path} cannot be written: {problem.strerror}") from None
    return stale


def _encoded(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content


def _is_stale(path: Path, content: str | bytes, force: bool) -> bool:
    """Tell whether a file is missing or says something else. Raises UsageError where it may not be written."""
    try:
        _check_name(path)
        target = path.resolve()
        old = target.read_bytes() if target.exists() else None
    except (OSError, RuntimeError) as problem:  # RuntimeError: a link that leads to itself
        raise UsageError(f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if old is not None and isinstance(content, str):  # line ends that a checkout changed are no edit
        old = old.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if old == _encoded(content):
        return False
    if old is not None and not force and not is_untouched(old):
        raise UsageError(f"{path} was edited by hand or not written by symbackprop; --force replaces it")
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
