"""Commands that show a model: its graph, a page of everything, a live one, and what is built in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from symbackprop.commands.given import model_of, names, sharing_of, text_of_model
from symbackprop.commands.output import deliver, module_name, progress_bar, report_written, show
from symbackprop.commands.status import DONE
from symbackprop.errors import UsageError

PICTURE_SUFFIXES = {
    ".svg": "svg", ".png": "png", ".pdf": "pdf", ".tikz": "tikz", ".tex": "tikz", ".dot": "dot", ".gv": "dot",
    ".mermaid": "mermaid", ".mmd": "mermaid",
}  # fmt: skip


def draw_command(options: argparse.Namespace) -> int:
    """Draw the computational graph."""
    form, wrt = picture_form(options), names("--wrt", options.wrt)
    from symbackprop.api import derive
    from symbackprop.drawing.drawing import TEXTS

    sharing = sharing_of(options)
    if sharing is not None and options.second:
        raise UsageError("--second is not split over workers: give it without --partition and --stages")
    model = model_of(options)
    with progress_bar(f"drawing {model.name}"):
        derivation = derive(model, wrt)
        if sharing is not None:
            drawing = derivation.partition(**sharing).drawing(level=options.level, backward=options.backward)
        else:
            drawing = derivation.drawing(
                level=options.level, backward=options.backward, second=options.second, batch_form=options.batch_form
            )
        content = drawing.text(form) if form in TEXTS else drawing.binary(form)
    options.output = f"{module_name(model.name)}.{form}" if options.output is None else options.output
    return deliver(content, form, options)


def picture_form(options: argparse.Namespace) -> str:
    """The format of a picture: as it was said, else by the suffix of the file."""
    suffix = Path(options.output or "").suffix
    if options.format is None and suffix and suffix not in PICTURE_SUFFIXES:
        raise UsageError(f"-o {options.output[:80]!r}: there is no picture {suffix}; there are {', '.join(PICTURE_SUFFIXES)}")
    form: str = options.format or PICTURE_SUFFIXES.get(suffix, "svg")
    return form


def report_command(options: argparse.Namespace) -> int:
    """Write a page or a document of everything."""
    wrt, output, suffix = names("--wrt", options.wrt), options.output, Path(options.output or "").suffix
    if output is not None and options.latex is not None:
        raise UsageError("-o writes a file and --latex a folder: give one of them")
    if output not in (None, "-") and suffix not in (".html", ".htm", ".pdf"):
        raise UsageError(f"-o {output[:80]!r}: the name of an .html or a .pdf is needed")
    from symbackprop.api import derive
    from symbackprop.reporting import Contents, page, paper, write_latex_folder

    model = model_of(options)
    with progress_bar(f"reporting {model.name}") as progress:
        contents = Contents(derive(model, wrt), options.notation, options.seed, options.samples, progress)
        if options.latex is not None:
            for path, written in write_latex_folder(contents, Path(options.latex), force=options.force).items():
                report_written(path, written)
            return DONE
        if suffix == ".pdf":
            return deliver(paper(contents), "pdf", options)
        text = page(contents.derivation, seed=options.seed, samples=options.samples, progress=progress)
    options.output = f"{module_name(model.name)}.html" if output is None else output
    return deliver(text, "html", options)


def serve_command(options: argparse.Namespace) -> int:
    """Serve the live page until it is ended."""
    import signal

    from symbackprop.serving import serve

    text = text_of_model(options)[0]
    start = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    server = serve(start, options.port)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    print(f"{server.address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return DONE
    finally:
        server.server_close()
    return DONE


def models_command(options: argparse.Namespace) -> int:
    """List the built-in models, or print one."""
    from symbackprop.models import builtin_names, builtin_text, builtin_title

    names = builtin_names() if options.name is None else (options.name,)
    if options.json:
        import json

        print(json.dumps([{"name": n, "title": builtin_title(n), "equations": builtin_text(n)} for n in names], indent=2))
    elif options.name is not None:
        show(builtin_text(options.name))
    else:
        width = max(map(len, names))
        for name in names:
            print(f"{name:<{width}}  {builtin_title(name)}")
    return DONE


def show_model(options: argparse.Namespace) -> int:
    """Print the model's equations."""
    show(model_of(options).source)
    return DONE
