"""A file is the old one or the new one, whole; and what a person edited is never lost."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from symbackprop.errors import UsageError
from symbackprop.writing import is_untouched, sealed, sealed_json, write

OLD, NEW = sealed("old = 1\n", "#"), sealed("new = 2\n" * 1000, "#")


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("text", [sealed("a\nb\n", "#"), sealed("a", "<!--", " -->"), sealed_json('{\n  "a": 1\n}\n')])
def test_any_edit_of_a_sealed_text_is_noticed(text: str) -> None:
    assert is_untouched(text.encode())
    for edited in (text.replace("a", "b", 1), "\n" + text, text + "more\n", text.replace("seal:", "seal:0", 1)):
        assert not is_untouched(edited.encode())
    lines = text.splitlines(keepends=True)
    assert not is_untouched("".join([*lines[:1], "inserted\n", *lines[1:]]).encode())


def test_a_text_without_a_seal_is_somebodys() -> None:
    assert not is_untouched(b"x = 1\n")
    assert not is_untouched(b"")


def test_line_ends_that_a_checkout_changed_are_no_edit(tmp_path: Path) -> None:
    path = tmp_path / "out.py"
    path.write_bytes(OLD.replace("\n", "\r\n").encode())
    assert not write(path, OLD)
    assert write(path, NEW)


def test_sealed_json_is_json() -> None:
    import json

    assert set(json.loads(sealed_json('{\n  "a": 1\n}\n'))) == {"a", "seal"}


def test_a_new_file_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "out.py"
    assert write(path, NEW)
    assert path.read_text(encoding="utf-8") == NEW
    assert leftovers(path.parent) == []


def test_what_is_up_to_date_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "out.py"
    write(path, NEW)
    os.utime(path, ns=(1, 1))
    assert not write(path, NEW)
    assert not write(path, NEW, force=True)
    assert path.stat().st_mtime_ns == 1


@pytest.mark.parametrize("content", [OLD.replace("old", "mine"), "", "anything", "\udcff"], ids=repr)
def test_a_file_of_somebody_elses_is_replaced_only_by_force(tmp_path: Path, content: str) -> None:
    path = tmp_path / "out.py"
    path.write_bytes(content.encode("utf-8", errors="surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="--force replaces it"):
        write(path, NEW)
    assert path.read_bytes() == before
    assert write(path, NEW, force=True)
    assert path.read_text(encoding="utf-8") == NEW


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    path = tmp_path / "out.py"
    write(path, OLD)

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(UsageError, match="cannot be written: No space left"):
        write(path, NEW)
    assert path.read_text(encoding="utf-8") == OLD
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path: Path, function: str) -> None:
    path = tmp_path / "out.py"
    write(path, OLD)
    program = (
        "import os, signal, sys; from pathlib import Path; from symbackprop.writing import sealed, write\n"
        f"os.{function} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write(Path(sys.argv[1]), sealed('new = 2', '#'))\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_text(encoding="utf-8") == OLD
    assert write(path, NEW)


def test_many_writers_at_once_leave_one_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "out.py"
    texts = [sealed(f"x = {k}\n" * 5000, "#") for k in range(4)]
    write(path, texts[0])
    problems: list[object] = []

    def work(text: str) -> None:
        try:
            for _ in range(15):
                write(path, text)
                if path.read_text(encoding="utf-8") not in texts:
                    problems.append("torn")
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert leftovers(tmp_path) == []


def test_a_link_stays_a_link_and_a_mode_stays_the_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "real.py", tmp_path / "link.py"
    write(path, OLD)
    path.chmod(0o640)
    link.symlink_to(path)
    assert write(link, NEW)
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\0b.py", "NUL"),
        ("../out.py", "'..' is refused"),
        ("a/../../out.py", "'..' is refused"),
        ("x" * 300, "more than 200 bytes"),
        ("λ" * 150, "more than 200 bytes"),
        ("x" * 300 + "/out.py", "File name too long"),
        (".", "is a folder"),
        ("loop", "cannot be read"),
        ("pipe", "is no regular file"),
        ("file/out.py", "cannot be written"),
    ],
    ids=lambda value: value[:30].replace("\0", "NUL"),
)
def test_names_that_cannot_be_written_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("file").touch()
    Path("loop").symlink_to("loop")
    before = sorted(os.listdir())
    with pytest.raises(UsageError, match=message):
        write(Path(name), NEW)
    assert sorted(os.listdir()) == before
