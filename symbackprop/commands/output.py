"""What a command gives: text on a terminal or in a file, whole and sealed, and how far it is."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from symbackprop.commands.status import DONE
from symbackprop.errors import UsageError

if TYPE_CHECKING:
    from symbackprop.derivation.derived import DerivedGraph
    from symbackprop.footprint.plot import Shape


SUFFIXES = {".tex": "latex", ".md": "markdown", ".json": "json", ".pdf": "pdf"}


COMMENTS = {
    "text": ("#", ""), "latex": ("%", ""), "markdown": ("<!--", " -->"), "svg": ("<!--", " -->"), "tikz": ("%", ""),
    "dot": ("//", ""), "mermaid": ("%%", ""), "html": ("<!--", " -->"),
}  # fmt: skip


def show(text: str) -> None:
    """Print a text with one line end after it."""
    print(text, end="" if text.endswith("\n") else "\n")


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on standard error while something long runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, of, label: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    what, label = (TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("what", "label"))
    with Progress(what, BarColumn(), TimeElapsedColumn(), label, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, what=description, label="")
        yield lambda done, of, label: bar.update(task, completed=done, total=of, label=label)


def form_of(options: argparse.Namespace) -> str:
    """The format of the output: as it was said, else by the suffix of the file."""
    form: str = options.format or SUFFIXES.get(Path(options.output or "").suffix, "text")
    if getattr(options, "standalone", False) and form != "latex":
        raise UsageError("--standalone belongs to --format latex")
    return form


def deliver(content: str | bytes, form: str, options: argparse.Namespace) -> int:
    """Print what was made, or write it to the file that was asked for."""
    if options.output not in (None, "-"):
        return write_sealed(Path(options.output), content, form, options.force)
    if isinstance(content, str):
        show(content)
    elif sys.stdout.isatty():
        raise UsageError("a terminal cannot show this format: give -o FILE")
    else:
        sys.stdout.buffer.write(content)
    return DONE


def write_sealed(path: Path, content: str | bytes, form: str, force: bool) -> int:
    """Write a file with its seal, and say so."""
    from symbackprop.writing import sealed, sealed_json, sealed_pdf, sealed_png, write

    if isinstance(content, bytes):
        whole: str | bytes = sealed_png(content) if form == "png" else sealed_pdf(content)
    else:
        whole = sealed_json(content) if form == "json" else sealed(content, *COMMENTS[form])
    report_written(path, write(path, whole, force=force))
    return DONE


def rendered(
    derived: DerivedGraph, form: str, options: argparse.Namespace, *, steps: bool = False, more: str = "", member: str = "growth"
) -> str | bytes:
    """The derivation in a format; ``more`` stands after it, in JSON as the member of that name."""
    from symbackprop import render

    common = {"notation": options.notation, "steps": steps}
    if form == "pdf":
        return render.pdf(derived, more=more, **common)
    if form == "latex":
        return render.latex(derived, standalone=options.standalone, more=more, **common)
    if form == "json":
        return with_member(render.json_form(derived, **common), member, more)
    if form == "markdown":
        text = render.markdown(derived, **common)
    elif options.output not in (None, "-") or not sys.stdout.isatty():
        text = render.text(derived, **common)
    else:
        import shutil

        width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 160))
        color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        text = render.text(derived, width=width, color=color, **common)
    return f"{text}\n{more}" if more else text


def with_member(text: str, member: str, more: str) -> str:
    """Return a JSON object with another one as a member."""
    import json

    whole = {**json.loads(text), member: json.loads(more)} if more else json.loads(text)
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def report_written(path: Path, written: bool) -> None:
    """Say whether a file was written, on standard error."""
    print(f"{path}: {'written' if written else 'up to date'}", file=sys.stderr)


def write_plot(shapes: Sequence[Shape], path: Path, force: bool) -> None:
    """Write a plot to a file, in the format of its suffix. Raises UsageError."""
    from symbackprop.footprint import plot
    from symbackprop.typesetting import picture

    svg, form = plot.svg(shapes), path.suffix[1:]
    if form not in ("svg", "png", "pdf"):
        raise UsageError(f"--plot {str(path)[:80]!r}: the name of an .svg, a .png or a .pdf is needed")
    write_sealed(path, svg if form == "svg" else picture(svg, "png" if form == "png" else "pdf"), form, force)


def module_name(name: str) -> str:
    """Return a file name (without suffix) that Python can import."""
    import keyword

    cleaned = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name) or "model"
    return f"m_{cleaned}" if cleaned[0].isdigit() or keyword.iskeyword(cleaned) else cleaned
