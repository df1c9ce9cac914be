"""Write the outputs and the picture of docs/tutorial.md: each command of the page is run, and what it prints is put below it.

    python docs/tutorial.py

Needs the libraries of the extra ``draw``. ``outputs`` is what the test compares.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import tempfile
from pathlib import Path

from symbackprop.cli import run

PAGE = Path(__file__).with_name("tutorial.md")
MODEL = re.compile(r"`(\w+\.eq)`:\n\n```text\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"```sh\npython -m symbackprop (.*?)\n```\n(\n```text\n(.*?)```\n)?", re.DOTALL)


def outputs(text: str) -> tuple[str, dict[str, bytes]]:
    """Return the page with the output of each command below it, and the pictures that they write."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, content in MODEL.findall(text):
                Path(name).write_text(content, encoding="utf-8")
            written = COMMAND.sub(_answered, text)
            return written, {path.name: path.read_bytes() for path in sorted(Path().glob("*.svg"))}
        finally:
            os.chdir(home)


def _answered(found: re.Match[str]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        status = run(shlex.split(found[1]))
    if status:
        raise SystemExit(f"python -m symbackprop {found[1]}: exit status {status}")
    below = f"\n```text\n{printed.getvalue()}```\n" if found[2] else ""
    return f"```sh\npython -m symbackprop {found[1]}\n```\n{below}"


def main() -> None:
    """Write the page and its pictures."""
    text, pictures = outputs(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
    for name, content in pictures.items():
        PAGE.with_name(name).write_bytes(content)


if __name__ == "__main__":
    main()
