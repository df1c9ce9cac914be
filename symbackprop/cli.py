"""The command line: thin, and quick to answer: SymPy and rich are imported by the commands that need them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbackprop.errors import SymbackpropError, UsageError
from symbackprop.flags import choices_of, parse_arguments

if TYPE_CHECKING:
    from symbackprop.derivation.derived import DerivedGraph
    from symbackprop.footprint.plot import Shape
    from symbackprop.graph.model import Model

DONE, CHECK_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_SUFFIXES = {".tex": "latex", ".md": "markdown", ".json": "json", ".pdf": "pdf"}
_PICTURE_SUFFIXES = {
    ".svg": "svg", ".png": "png", ".pdf": "pdf", ".tikz": "tikz", ".tex": "tikz", ".dot": "dot", ".gv": "dot",
    ".mermaid": "mermaid", ".mmd": "mermaid",
}  # fmt: skip
_COMMENTS = {
    "text": ("#", ""), "latex": ("%", ""), "markdown": ("<!--", " -->"), "svg": ("<!--", " -->"), "tikz": ("%", ""),
    "dot": ("//", ""), "mermaid": ("%%", ""), "html": ("<!--", " -->"),
}  # fmt: skip


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit status: 0 done, 1 a check failed, 2 bad input (one message, no traceback)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no λ gets a ?, not a traceback
    try:
        options = parse_arguments(arguments)
        command = _show_model if getattr(options, "show_model", False) else _COMMANDS[options.command]
        status: int = command(options)
        sys.stdout.flush()
        return status
    except SystemExit as request:  # --help and --version
        return int(request.code or 0)
    except SymbackpropError as problem:
        return _refuse(str(problem))
    except BrokenPipeError:  # whoever read the output has seen enough; nothing may be flushed to it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as problem:
        return _refuse(str(problem))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return BAD_INPUT


# ---------------------------------------------------------------- the model


def _text_of_model(options: argparse.Namespace) -> tuple[str | bytes, str, str]:
    """Return the equation text, the model's name and the name for messages."""
    from symbackprop.models import builtin_names, builtin_text

    name = "d2l_mlp" if options.model is None else options.model
    choices = choices_of(options)
    if name == "mlp":
        from symbackprop.perceptron import Perceptron

        return Perceptron(**choices).text(), "mlp", "mlp.eq"
    if choices:
        flags = ", ".join(f"--{choice.replace('_', '-')}" for choice in choices)
        raise UsageError(f"{flags}: only for the model mlp, not for {name}")
    if name == "-":
        return sys.stdin.buffer.read(5_000_001), "model", "<standard input>"
    if name in builtin_names():
        return builtin_text(name), name, f"{name}.eq"
    if not name.endswith(".eq") and not _is_file(name):
        raise UsageError(f"there is no model {name[:80]!r}: give an .eq file, mlp, - or one of {', '.join(builtin_names())}")
    from symbackprop.api import read_equations

    return read_equations(Path(name)), Path(name).stem, name


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _model(options: argparse.Namespace) -> Model:
    from symbackprop.api import parse

    text, name, filename = _text_of_model(options)
    model = parse(text, name=name, filename=filename)
    for warning in model.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return model


def _show_model(options: argparse.Namespace) -> int:
    _print(_model(options).source)
    return DONE


def _print(text: str) -> None:
    print(text, end="" if text.endswith("\n") else "\n")


def _names(flag: str, text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"{flag} {text[:80]!r}: names with commas between, such as x,W1")
    return list(dict.fromkeys(names))


@contextmanager
def _progress(description: str) -> Iterator[Callable[[int, int, str], None]]:
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


# ---------------------------------------------------------------- commands


def _derive(options: argparse.Namespace) -> int:
    form, wrt, only = _form(options), _names("--wrt", options.wrt), _names("--only", options.only)
    from symbackprop.api import derive

    derivation = derive(_model(options), wrt, all_values=options.all)
    derived = derivation.form(options.batch_form) if only is None else derivation.only(only, options.batch_form)
    return _deliver(_rendered(derived, form, options, steps=options.steps), form, options)


def _form(options: argparse.Namespace) -> str:
    """The format of the output: as it was said, else by the suffix of the file."""
    form: str = options.format or _SUFFIXES.get(Path(options.output or "").suffix, "text")
    if getattr(options, "standalone", False) and form != "latex":
        raise UsageError("--standalone belongs to --format latex")
    return form


def _deliver(content: str | bytes, form: str, options: argparse.Namespace) -> int:
    """Print what was made, or write it to the file that was asked for."""
    if options.output not in (None, "-"):
        return _write(Path(options.output), content, form, options.force)
    if isinstance(content, str):
        _print(content)
    elif sys.stdout.isatty():
        raise UsageError("a terminal cannot show this format: give -o FILE")
    else:
        sys.stdout.buffer.write(content)
    return DONE


def _write(path: Path, content: str | bytes, form: str, force: bool) -> int:
    """Write a file with its seal, and say so."""
    from symbackprop.writing import sealed, sealed_json, sealed_pdf, sealed_png, write

    if isinstance(content, bytes):
        whole: str | bytes = sealed_png(content) if form == "png" else sealed_pdf(content)
    else:
        whole = sealed_json(content) if form == "json" else sealed(content, *_COMMENTS[form])
    _report(path, write(path, whole, force=force))
    return DONE


def _rendered(
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
        return _with_member(render.json_form(derived, **common), member, more)
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


def _with_member(text: str, member: str, more: str) -> str:
    import json

    whole = {**json.loads(text), member: json.loads(more)} if more else json.loads(text)
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _report(path: Path, written: bool) -> None:
    print(f"{path}: {'written' if written else 'up to date'}", file=sys.stderr)


def _generate(options: argparse.Namespace) -> int:
    from symbackprop.api import derive
    from symbackprop.writing import write

    model, curvature = _model(options), _curvature(options)
    if options.order == 1 and curvature != "hessian" and not options.hessian:
        raise UsageError("--gauss-newton and --fisher are products of second derivatives: --order 2")
    splits = None if options.partition is None else _sizes(options.partition, "--partition")
    plain = options.order == 1 and not options.hessian and options.checkpoint is None
    if not plain and (splits is not None or options.target == "jax"):
        raise UsageError("--partition and --target jax are for kernels of order 1 without checkpoints")
    with _progress(f"generating {model.name}"):
        derivation = derive(model)
        if options.order == 2 or options.hessian:
            derivation = derivation.products(curvature)
        if options.target == "jax":
            source = derivation.jax_source(splits or {})
        elif splits is not None:
            source = derivation.partition(splits).source()
        else:
            source = derivation.source(checkpoint=options.checkpoint, hessian=options.hessian)
    if options.output == "-":
        _print(source)
        return DONE
    path = Path("generated") / f"{_module_name(model.name)}.py" if options.output is None else Path(options.output)
    _report(path, write(path, source, force=options.force))
    return DONE


def _hessian(options: argparse.Namespace) -> int:
    if options.block is not None and options.diagonal:
        raise UsageError("--block and --diagonal are two answers: give one of them")
    form, curvature, wrt = _form(options), _curvature(options), _names("--wrt", options.wrt)
    block = None if options.block is None else [name.strip() for name in options.block.split(",")]
    if options.order > 2 and (block is not None or options.diagonal):
        raise UsageError("--order is that of products: a block or a diagonal is of order 2")
    if block is not None and len(block) != 2:
        raise UsageError(f"--block {options.block[:80]!r}: two names with a comma between, such as W1,W2")
    sizes, memory = _sizes(options.sizes), None if options.memory is None else _bytes(options.memory)
    from symbackprop.api import derive
    from symbackprop.footprint.growth import Growth
    from symbackprop.footprint.growth_report import GrowthReport

    model = _model(options)
    with _progress(f"deriving {model.name}"):
        shown = products = derive(model, wrt).products(curvature)
        if block is not None:
            shown = products.block(*block)
        elif options.diagonal:
            shown = products.diagonal()
        for _ in range(options.order - 2):
            shown = shown.next_order()
        derived = shown.form(options.batch_form).without_unread()
        report = GrowthReport(Growth(products.batch), sizes, options.dtype, memory)
        more = report.written(form) if shown is products else report.beside(derived, form)
        if options.plot is not None:
            _picture(report.picture(_family(options)), Path(options.plot), options.force)
        content = _rendered(derived, form, options, more=more)
    return _deliver(content, form, options)


def _draw(options: argparse.Namespace) -> int:
    form, wrt = _picture_form(options), _names("--wrt", options.wrt)
    from symbackprop.api import derive
    from symbackprop.drawing.drawing import TEXTS

    splits = None if options.partition is None else _sizes(options.partition, "--partition")
    if splits is not None and options.second:
        raise UsageError("--second is not split over workers: give it without --partition")
    model = _model(options)
    with _progress(f"drawing {model.name}"):
        derivation = derive(model, wrt)
        if splits is not None:
            drawing = derivation.partition(splits).drawing(level=options.level, backward=options.backward)
        else:
            drawing = derivation.drawing(
                level=options.level, backward=options.backward, second=options.second, batch_form=options.batch_form
            )
        content = drawing.text(form) if form in TEXTS else drawing.binary(form)
    options.output = f"{_module_name(model.name)}.{form}" if options.output is None else options.output
    return _deliver(content, form, options)


def _picture_form(options: argparse.Namespace) -> str:
    """The format of a picture: as it was said, else by the suffix of the file."""
    suffix = Path(options.output or "").suffix
    if options.format is None and suffix and suffix not in _PICTURE_SUFFIXES:
        raise UsageError(f"-o {options.output[:80]!r}: there is no picture {suffix}; there are {', '.join(_PICTURE_SUFFIXES)}")
    form: str = options.format or _PICTURE_SUFFIXES.get(suffix, "svg")
    return form


def _curvature(options: argparse.Namespace) -> str:
    """The matrix of second derivatives that the flags name."""
    if options.gauss_newton and options.fisher:
        raise UsageError("--gauss-newton and --fisher are two matrices: give one of them")
    if options.gauss_newton:
        return "gauss-newton"
    return {None: "hessian", "model": "fisher", "empirical": "empirical-fisher"}[options.fisher]


def _footprint(options: argparse.Namespace) -> int:
    from symbackprop.footprint import documents, footprint_of
    from symbackprop.footprint.report import Report

    form, sizes, batch = _form(options), _sizes(options.sizes), options.batch
    if options.model != "mlp":
        options.batch = None  # there it is the batch of the numbers, here that of the flags of mlp
    model = _model(options)
    if batch is not None and options.model != "mlp":
        if model.batch is None:
            raise UsageError(f"--batch: {model.name} has no batch dimension; --sizes gives any other")
        sizes.setdefault(model.batch, batch)
    memory = None if options.memory is None else _bytes(options.memory)
    with _progress(f"planning {model.name}"):
        report = Report(
            footprint_of(model, options.checkpoint), sizes, options.dtype, options.optimizer, memory, options.accumulate
        )
        content = documents.written(report, form)
        if options.plot is not None:
            _picture(report.plot(), Path(options.plot), options.force)
    return _deliver(content, form, options)


def _partition(options: argparse.Namespace) -> int:
    form, wrt, splits = _form(options), _names("--wrt", options.wrt), _sizes(options.split, "--split")
    sizes, memory = _sizes(options.sizes), None if options.memory is None else _bytes(options.memory)
    from symbackprop.api import derive
    from symbackprop.partitioning import Cost, PartitionReport, best, split_over, ways, ways_sheet

    machine = _machine(options)
    model = _model(options)
    more = ""
    with _progress(f"splitting {model.name}") as progress:
        derived = derive(model, wrt).batch
        if options.plan is not None:
            if splits or options.workers is None:
                raise UsageError("--plan auto finds the split: give --workers N, and no --split")
            from symbackprop.partitioning import Machine

            found = ways(derived, options.workers, sizes, options.dtype, options.optimizer, machine, options.sort, progress)
            splits = dict(best(found, memory).splits)
            listed = ways_sheet(found, options.workers, machine or Machine(), memory)
            more = "" if form == "json" else listed.written(form)
        else:
            splits = _splits(model, splits, options.workers)
        partition = split_over(derived, splits, sizes, local=options.statistics == "local")
        report = PartitionReport(Cost(partition), sizes, options.dtype, options.optimizer, machine, memory)
        more = report.written(form) + (f"\n{more}" if more else "")
        if options.plot is not None:
            _picture(report.plot(), Path(options.plot), options.force)
        content = _rendered(partition.derived, form, options, more=more, member="partition")
    return _deliver(content, form, options)


def _splits(model: Model, splits: dict[str, int], workers: int | None) -> dict[str, int]:
    """The parts of each dimension: those that were asked for, or the batch in as many parts as there are workers."""
    import math

    if not splits and workers is None:
        raise UsageError("give --workers N, or --split NAME=PARTS such as --split n=2,h=4")
    if not splits:
        if model.batch is None:
            raise UsageError(f"{model.name} has no batch dimension: --split says which of {', '.join(model.dimensions)} to split")
        return {model.batch: workers or 1}
    if workers not in (None, math.prod(splits.values())):
        shown = ",".join(f"{name}={parts}" for name, parts in splits.items())
        raise UsageError(f"--workers {workers}: --split {shown} makes {math.prod(splits.values())}")
    return splits


def _machine(options: argparse.Namespace) -> Any:
    """The workers, where something was said of them; else None."""
    from symbackprop.partitioning import Machine

    given = (options.bandwidth, options.latency, options.flops)
    if given == (None, None, None):
        return None
    standard = Machine()
    bandwidth, links = standard.bandwidth, {}
    for part in (options.bandwidth or "").split(",") if options.bandwidth is not None else ():
        name, equals, speed = part.partition("=")
        if equals:
            links[name.strip()] = float(_bytes(speed.strip(), "--bandwidth"))
        else:
            bandwidth = float(_bytes(part.strip(), "--bandwidth"))
    latency = standard.latency if options.latency is None else _amount("--latency", options.latency, _SECONDS, "5us")
    flops = standard.flops if options.flops is None else _amount("--flops", options.flops, _COUNTS, "312T")
    return Machine(bandwidth, latency, flops, links)


_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


def _amount(flag: str, text: str, units: Mapping[str, float], example: str) -> float:
    import re

    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]*)", text, flags=re.ASCII)
    if found is None or found[2] not in units or float(found[1]) == 0:
        raise UsageError(f"{flag} {text[:40]!r}: an amount such as {example} is needed; units: {', '.join(filter(None, units))}")
    return float(found[1]) * units[found[2]]


def _picture(shapes: Sequence[Shape], path: Path, force: bool) -> None:
    from symbackprop.footprint import plot
    from symbackprop.typesetting import picture

    svg, form = plot.svg(shapes), path.suffix[1:]
    if form not in ("svg", "png", "pdf"):
        raise UsageError(f"--plot {str(path)[:80]!r}: the name of an .svg, a .png or a .pdf is needed")
    _write(path, svg if form == "svg" else picture(svg, "png" if form == "png" else "pdf"), form, force)


def _family(options: argparse.Namespace) -> Callable[[int], Model]:
    """Perceptrons of any number of hidden layers: with the choices of mlp, where they were made."""
    from symbackprop.api import parse
    from symbackprop.perceptron import Perceptron

    choices: dict[str, Any] = choices_of(options) if options.model == "mlp" else {"layers": [784, 64, 10], "activation": "tanh"}
    first, *hidden, last = choices.pop("layers")
    width = hidden[0] if hidden else last

    def model(depth: int) -> Model:
        return parse(Perceptron([first, *[width] * depth, last], **choices).text(), name="mlp")

    return model


def _sizes(text: str, flag: str = "--sizes") -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        if not number.strip().isdecimal() or not number.strip().isascii() or not 1 <= int(number[:12]) < 2**31:
            raise UsageError(f"{flag} {part[:80]!r}: NAME=SIZE with a whole number from 1 to 2147483647 is needed")
        if name.strip() in sizes:
            raise UsageError(f"{flag} {part[:80]!r}: {name.strip()} is given twice")
        sizes[name.strip()] = int(number)
    return sizes


def _bytes(text: str, flag: str = "--memory") -> int:
    import re
    from fractions import Fraction

    units = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    units |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)", text, flags=re.ASCII)
    amount = 0 if found is None or found[2] not in units else int(Fraction(found[1]) * units[found[2]])
    if amount < 1:
        raise UsageError(f"{flag} {text[:40]!r}: an amount such as 24GiB, 800MB or 1000000 is needed")
    return amount


def _module_name(name: str) -> str:
    """Return a file name (without suffix) that Python can import."""
    import keyword

    cleaned = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name) or "model"
    return f"m_{cleaned}" if cleaned[0].isdigit() or keyword.iskeyword(cleaned) else cleaned


def _check(options: argparse.Namespace) -> int:
    from symbackprop.api import check

    model = _model(options)
    kernel = None
    if options.kernel is not None:
        from symbackprop.kernels import load_source

        try:
            kernel = load_source(Path(options.kernel).read_text(encoding="utf-8"), model.name)
        except Exception as problem:  # whatever the module raises while it is imported
            raise UsageError(f"{options.kernel} cannot be imported: {type(problem).__name__}: {problem}") from None
    with _progress(f"checking {model.name}") as progress:
        report = check(model, seed=options.seed, samples=options.samples, order=options.order, kernel=kernel, progress=progress)
        proof = None
        if options.partition is not None:
            from symbackprop.api import derive
            from symbackprop.partitioning.proof import prove

            proof = prove(derive(model).batch, _sizes(options.partition, "--partition"), options.seed)
    if options.json:
        _print(_with_member(report.json(), "partition", proof.json() if proof else ""))
    else:
        _print(report.table + (f"\n{proof.summary}" if proof else ""))
    return DONE if report.ok and (proof is None or proof.ok) else CHECK_FAILED


def _report_command(options: argparse.Namespace) -> int:
    wrt, output, suffix = _names("--wrt", options.wrt), options.output, Path(options.output or "").suffix
    if output is not None and options.latex is not None:
        raise UsageError("-o writes a file and --latex a folder: give one of them")
    if output not in (None, "-") and suffix not in (".html", ".htm", ".pdf"):
        raise UsageError(f"-o {output[:80]!r}: the name of an .html or a .pdf is needed")
    from symbackprop.api import derive
    from symbackprop.reporting import Contents, page, paper, write_latex_folder

    model = _model(options)
    with _progress(f"reporting {model.name}") as progress:
        contents = Contents(derive(model, wrt), options.notation, options.seed, options.samples, progress)
        if options.latex is not None:
            for path, written in write_latex_folder(contents, Path(options.latex), force=options.force).items():
                _report(path, written)
            return DONE
        if suffix == ".pdf":
            return _deliver(paper(contents), "pdf", options)
        text = page(contents.derivation, seed=options.seed, samples=options.samples, progress=progress)
    options.output = f"{_module_name(model.name)}.html" if output is None else output
    return _deliver(text, "html", options)


def _serve(options: argparse.Namespace) -> int:
    import signal

    from symbackprop.serving import serve

    text = _text_of_model(options)[0]
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


def _models(options: argparse.Namespace) -> int:
    from symbackprop.models import builtin_names, builtin_text, builtin_title

    names = builtin_names() if options.name is None else (options.name,)
    if options.json:
        import json

        print(json.dumps([{"name": n, "title": builtin_title(n), "equations": builtin_text(n)} for n in names], indent=2))
    elif options.name is not None:
        _print(builtin_text(options.name))
    else:
        width = max(map(len, names))
        for name in names:
            print(f"{name:<{width}}  {builtin_title(name)}")
    return DONE


_COMMANDS = {
    "derive": _derive, "generate": _generate, "check": _check, "draw": _draw, "footprint": _footprint, "hessian": _hessian,
    "models": _models, "partition": _partition, "report": _report_command, "serve": _serve,
}  # fmt: skip
