"""The command line: thin, and quick to answer: SymPy and rich are imported by the commands that need them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from symbackprop.errors import SymbackpropError, UsageError

if TYPE_CHECKING:
    from symbackprop.graph.model import Model

DONE, CHECK_FAILED, BAD_INPUT = 0, 1, 2
FORMATS = ("text", "latex", "markdown", "json")


def run(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit status: 0 done, 1 a check failed, 2 bad input (one message, no traceback)."""
    parser = _parser()
    try:
        options = parser.parse_args(_join_values(arguments))
    except SystemExit as exit_request:
        return int(exit_request.code or 0)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except SymbackpropError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _join_values(arguments: Sequence[str]) -> list[str]:
    """Let a formula that begins with a minus sign follow its flag: ``--loss "-y*log(o)"``."""
    joined: list[str] = []
    flags = {"--activation", "--loss", "--regularizer", "--output-activation"}
    pending = list(arguments)
    while pending:
        word = pending.pop(0)
        if word in flags and pending and pending[0].startswith("-") and not pending[0].startswith("--"):
            word = f"{word}={pending.pop(0)}"
        joined.append(word)
    return joined


# ---------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symbackprop",
        description="Equations in; backward equations, LaTeX and checked NumPy kernels out.",
        allow_abbrev=False,
    )
    from symbackprop import __version__

    parser.add_argument("--version", action="version", version=f"symbackprop {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _derive_arguments(_command(commands, "derive", _derive, "print the forward and backward equations", optional=True))
    generate = _command(commands, "generate", _generate, "write a NumPy module with the kernels")
    generate.add_argument(
        "-o", "--output", metavar="FILE", help="where to (default: ./generated/NAME.py; - for standard output)"
    )
    generate.add_argument("--force", action="store_true", help="replace a file that was edited by hand")
    check = _command(commands, "check", _check, "compare the kernel's gradients with independent routes")
    check.add_argument("--seed", type=int, default=0, help="of the random shapes and numbers (default 0)")
    check.add_argument("--samples", type=_positive, default=3, help="how many random shapes (default 3)")
    check.add_argument("--kernel", metavar="FILE", help="check this generated module, not a fresh one")
    check.add_argument("--json", action="store_true", help="the report as JSON")
    models = commands.add_parser("models", help="list the built-in models", allow_abbrev=False)
    models.add_argument("name", nargs="?", metavar="NAME", help="print the equations of this one")
    models.add_argument("--json", action="store_true", help="the list as JSON")
    models.set_defaults(run=_models)
    return parser


def _command(commands: object, name: str, action: object, text: str, optional: bool = False) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(  # type: ignore[attr-defined]
        name, help=text, description=text, allow_abbrev=False
    )
    default = " (default: d2l_mlp)" if optional else ""
    parser.add_argument(
        "model",
        nargs="?" if optional else None,
        metavar="MODEL",
        help=f"an .eq file, a built-in name, - for standard input, or mlp with the flags below{default}",
    )
    parser.add_argument("--show-model", action="store_true", help="print the model's equation text and stop")
    group = parser.add_argument_group("choices of mlp (a formula wherever a name is accepted)")
    group.add_argument("--layers", metavar="784,256,10", help="sizes of input, hidden layers and output")
    group.add_argument(
        "--activation", metavar="F[;F...]", help="a name or a formula in u, one for all or one for each layer"
    )
    group.add_argument("--output-activation", metavar="F", help="of the last layer (default identity)")
    group.add_argument("--loss", metavar="F", help="a name or a formula in o and y")
    group.add_argument(
        "--regularizer", action="append", metavar="R[;R...]",
        help="a name or a formula in w; one for all or one for each layer's weight; again for a further one",
    )  # fmt: skip
    group.add_argument("--regularize-bias", action="store_true", help="apply the regularizer to the biases too")
    group.add_argument("--bias", metavar="1,1,0", help="1 or 0 for each layer")
    group.add_argument("--no-bias", action="store_true", help="no layer has a bias")
    group.add_argument("--hyper", action="append", default=[], metavar="NAME=VALUE", help="value of a hyper-parameter")
    group.add_argument("--batch", type=_positive, metavar="N", help="default batch size")
    parser.set_defaults(run=action)
    return parser


def _derive_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the output (default text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("--wrt", metavar="x,W1", help="derive by these (inputs too), not by all parameters")
    parser.add_argument("--only", metavar="W1", help="show only these derivatives and what they are written with")
    parser.add_argument("--batch-form", action="store_true", help="examples stacked as rows, not one example")
    parser.add_argument("--notation", choices=("partial", "delta", "nabla"), default="partial", help="∂J/∂x, δ or ∇")
    parser.add_argument("--steps", action="store_true", help="show the chain rule before each result")
    parser.add_argument("--all", action="store_true", help="also the derivatives by statistics such as a named mean")
    parser.add_argument("--standalone", action="store_true", help="with --format latex: a document that compiles")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file (the format follows its suffix)")
    parser.add_argument("--force", action="store_true", help="replace a file that was edited by hand")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return number


# ---------------------------------------------------------------- the model


def _text_of_model(options: argparse.Namespace) -> tuple[str | bytes, str, str]:
    """Return the equation text, the model's name and the name for messages."""
    from symbackprop.models import builtin_names, builtin_text

    name = options.model or "d2l_mlp"
    if name != "mlp":
        _refuse_flags(options)
    if name == "-":
        return sys.stdin.buffer.read(5_000_001), "model", "<standard input>"
    if name == "mlp":
        return _perceptron_text(options), "mlp", "mlp.eq"
    if name in builtin_names():
        return builtin_text(name), name, f"{name}.eq"
    if not name.endswith(".eq") and not Path(name[:300].replace("\0", "")).is_file():
        known = ", ".join(builtin_names())
        raise UsageError(f"there is no model {name[:80]!r}: give an .eq file, mlp, - or one of {known}")
    from symbackprop.api import read_equations

    return read_equations(Path(name)), Path(name).stem, name


def _refuse_flags(options: argparse.Namespace) -> None:
    given = [
        flag
        for flag, value in (
            ("--layers", options.layers), ("--activation", options.activation), ("--loss", options.loss),
            ("--output-activation", options.output_activation), ("--regularizer", options.regularizer),
            ("--regularize-bias", options.regularize_bias), ("--bias", options.bias), ("--no-bias", options.no_bias),
            ("--hyper", options.hyper), ("--batch", options.batch),
        )
        if value
    ]  # fmt: skip
    if given:
        raise UsageError(f"{', '.join(given)}: only for the model mlp, not for {options.model or 'd2l_mlp'}")


def _perceptron_text(options: argparse.Namespace) -> str:
    from symbackprop.perceptron import Perceptron

    layers = options.layers or "784,256,128,10"
    try:
        sizes = [int(part) for part in layers.split(",")]
    except ValueError:
        raise UsageError(
            f"--layers {layers[:80]!r}: whole numbers with commas between are needed, such as 784,256,10"
        ) from None
    if options.no_bias and options.bias:
        raise UsageError("--bias and --no-bias exclude each other")
    flags = [part.strip() for part in (options.bias or "0" if options.no_bias else options.bias or "1").split(",")]
    if any(flag not in ("0", "1") for flag in flags):
        raise UsageError(f"--bias {options.bias!r}: 1 or 0 for each layer, such as 1,1,0")
    hypers = {}
    for item in options.hyper:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--hyper {item[:80]!r}: NAME=VALUE is needed")
        hypers[name.strip()] = value.strip()
    per_flag = [choice.split(";") for choice in options.regularizer or ["none"]]
    count = max(len(choice) for choice in per_flag)
    if any(len(choice) not in (1, count) for choice in per_flag):
        raise UsageError("--regularizer: every use of the flag gives one penalty, or one for each layer")
    penalties = [" ; ".join(choice[min(layer, len(choice) - 1)] for choice in per_flag) for layer in range(count)]
    return Perceptron(
        sizes=sizes,
        activations=(options.activation or "relu").split(";"),
        output_activation=options.output_activation or "identity",
        loss=options.loss or "cross_entropy",
        penalties=penalties,
        bias=[flag == "1" for flag in flags],
        penalise_bias=options.regularize_bias,
        hypers=hypers,
        batch=options.batch or 32,
    ).text()


def _model(options: argparse.Namespace) -> Model:
    from symbackprop.api import parse

    text, name, filename = _text_of_model(options)
    model = parse(text, name=name, filename=filename)
    for warning in model.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return model


def _show_model(options: argparse.Namespace) -> int:
    text, _, _ = _text_of_model(options)
    shown = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    print(shown, end="" if shown.endswith("\n") else "\n")
    return DONE


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


# ---------------------------------------------------------------- commands


def _derive(options: argparse.Namespace) -> int:
    if options.show_model:
        return _show_model(options)
    if options.output and options.format == "text":
        options.format = {".tex": "latex", ".md": "markdown", ".json": "json"}.get(Path(options.output).suffix, "text")
    if options.standalone and options.format != "latex":
        raise UsageError("--standalone belongs to --format latex")
    from symbackprop import render
    from symbackprop.api import derive

    derivation = derive(_model(options), _names(options.wrt), all_values=options.all)
    only = _names(options.only)
    derived = derivation.form(options.batch_form) if only is None else derivation.only(only, options.batch_form)
    common = {"notation": options.notation, "steps": options.steps}
    if options.format == "text":
        to_terminal = sys.stdout.isatty() and not options.output
        text = render.text(derived, width=_width(), color=to_terminal and "NO_COLOR" not in os.environ, **common)
    elif options.format == "latex":
        text = render.latex(derived, standalone=options.standalone, **common)
    elif options.format == "markdown":
        text = render.markdown(derived, **common)
    else:
        text = render.json_form(derived, **common)
    if options.output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return DONE
    from symbackprop.writing import sealed, write_text

    opening, closing = {"latex": ("%", ""), "markdown": ("<!--", " -->")}.get(options.format, ("#", ""))
    whole = text if options.format == "json" else sealed(text, opening, closing)
    write_text(Path(options.output), whole, force=options.force)
    return DONE


def _width() -> int:
    import shutil

    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 160))


def _generate(options: argparse.Namespace) -> int:
    if options.show_model:
        return _show_model(options)
    from symbackprop.api import derive
    from symbackprop.writing import write_text

    model = _model(options)
    source = derive(model).source()
    if options.output == "-":
        print(source, end="")
        return DONE
    path = Path(options.output) if options.output else Path("generated") / f"{module_name(model.name)}.py"
    written = write_text(path, source, force=options.force)
    print(f"{path}: {'written' if written else 'up to date'}", file=sys.stderr)
    return DONE


def module_name(name: str) -> str:
    """Return a file name (without suffix) that Python can import."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name) or "model"
    return f"m{cleaned}" if cleaned[0].isdigit() else cleaned


def _check(options: argparse.Namespace) -> int:
    if options.show_model:
        return _show_model(options)
    from symbackprop.api import check, derive

    derivation = derive(_model(options))
    kernel = None
    if options.kernel:
        from symbackprop.kernels import load_source

        try:
            kernel = load_source(Path(options.kernel).read_text(encoding="utf-8"), derivation.model.name)
        except (OSError, UnicodeDecodeError, ValueError, SyntaxError) as problem:
            raise UsageError(f"{options.kernel} is no module that can be read: {problem}") from None
    report = check(derivation, seed=options.seed, samples=options.samples, kernel=kernel)
    print(report.json() if options.json else report.table)
    return DONE if report.ok else CHECK_FAILED


def _models(options: argparse.Namespace) -> int:
    from symbackprop.models import builtin_names, builtin_text, builtin_title

    if options.name:
        print(builtin_text(options.name), end="")
        return DONE
    if options.json:
        import json

        print(json.dumps([{"name": name, "title": builtin_title(name)} for name in builtin_names()], indent=2))
        return DONE
    width = max(len(name) for name in builtin_names())
    for name in builtin_names():
        print(f"{name:<{width}}  {builtin_title(name)}")
    return DONE
