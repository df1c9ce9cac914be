"""The words of the command line: what each command accepts, and the choices of mlp among them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from symbackprop import __version__
from symbackprop.errors import UsageError

PICTURES = ("svg", "png", "pdf", "tikz", "dot", "mermaid")
FORMATS = ("text", "latex", "markdown", "json", "pdf")
NOTATIONS = ("partial", "delta", "nabla")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise the message as one of ours, in one line."""
        raise UsageError(f"{message}; see {self.prog} --help")


_MLP_FLAGS = ("--layers", "--activation", "--output-activation", "--loss", "--regularizer", "--bias", "--hyper")


def _join_values(arguments: Sequence[str]) -> list[str]:
    """Let a formula that begins with a minus sign follow its flag: ``--loss "-y*log(o)"``."""
    joined: list[str] = []
    pending = list(reversed(arguments))
    while pending:
        word = pending.pop()
        if word in _MLP_FLAGS and pending and re.match(r"-[^-]", pending[-1]):
            word = f"{word}={pending.pop()}"
        joined.append(word)
    return joined


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options, and the name of the command as ``command``. Raises UsageError, or SystemExit after a help text."""
    return _parser().parse_args(_join_values(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="symbackprop",
        description="Equations in; backward equations, LaTeX and checked NumPy kernels out.",
        epilog="To begin: symbackprop derive, then symbackprop models. What a command takes: symbackprop COMMAND --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"symbackprop {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, operand: str, text: str, more: str = "") -> _Parser:
        made: _Parser = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}. {more}".strip(),
            usage=f"%(prog)s {operand} [options]", allow_abbrev=False,
        )  # fmt: skip
        made.set_defaults(command=name)
        return made

    derive = command("derive", "[MODEL]", "print the forward and backward equations")
    _derive_arguments(derive)
    _model_arguments(derive, optional=True)
    generate = command(
        "generate", "MODEL", "write a NumPy module with the kernels",
        "An existing file is replaced by a whole new one, or not at all.",
    )  # fmt: skip
    generate.add_argument(
        "-o", "--output", metavar="FILE", help="where to write (default ./generated/NAME.py; - prints the module)"
    )
    generate.add_argument("--force", action="store_true", help="replace a file even if somebody edited it")
    generate.add_argument(
        "--checkpoint", type=_positive, metavar="K",
        help="keep only what every K layers give; compute the rest again in the backward pass",
    )  # fmt: skip
    generate.add_argument(
        "--order", type=_order("1", "2"), metavar="N", default=1,
        help="2 adds products of second derivatives with a direction (default 1)",
    )  # fmt: skip
    generate.add_argument("--hessian", action="store_true", help="add the whole matrix of second derivatives too; means --order 2")
    generate.add_argument(
        "--target", choices=("numpy", "jax"), default="numpy", help="what the module computes with: numpy (the default) or jax"
    )
    generate.add_argument(
        "--partition", metavar="n=2,h=4", help="for workers, through MPI or (jax) on devices: the parts of each dimension"
    )
    _sharing_arguments(generate)
    _curvature_arguments(generate)
    _model_arguments(generate)
    check = command(
        "check", "MODEL", "compare the kernel's gradients with independent routes",
        "The exit status is 1 where any comparison fails.",
    )  # fmt: skip
    check.add_argument("--seed", type=int, metavar="N", default=0, help="of the random shapes and numbers (default 0)")
    check.add_argument("--samples", type=_positive, metavar="N", default=3, help="how many random shapes to try (default 3)")
    check.add_argument(
        "--order", type=_order("1", "2"), metavar="N", default=1, help="2 checks Hessian-vector products too (default 1)"
    )
    check.add_argument("--partition", metavar="n=2,h=4", help="also compare the workers of this partition with one alone")
    _round_arguments(check)
    check.add_argument("--kernel", metavar="FILE", help="check this generated module instead of a fresh one")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    _model_arguments(check)
    draw = command(
        "draw", "MODEL", "draw the computational graph",
        "The format is that of the file's suffix: .svg, .png, .pdf, .tikz (or .tex), .dot (or .gv), .mermaid (or .mmd).",
    )  # fmt: skip
    _draw_arguments(draw)
    _model_arguments(draw)
    footprint = command(
        "footprint", "MODEL", "say what training and prediction cost in memory and arithmetic",
        "What is printed is read from the plan that the kernel follows.",
    )  # fmt: skip
    footprint.add_argument("--sizes", metavar="h=512,...", default="", help="sizes of dimensions (default: those of the model)")
    footprint.add_argument("--dtype", metavar="TYPE", default="float32", help="float32 or float64 (default float32)")
    footprint.add_argument("--optimizer", metavar="NAME", default="sgd", help="sgd, momentum or adam (default sgd)")
    footprint.add_argument("--memory", metavar="24GiB", help="say which batch fits so much memory")
    footprint.add_argument(
        "--checkpoint", type=_positive, metavar="K", help="of the kernel that `generate --checkpoint K` writes"
    )
    footprint.add_argument(
        "--accumulate", type=_positive, metavar="K", help="what a batch in K parts, gradients added up, would bring it down to"
    )
    footprint.add_argument("--format", choices=FORMATS, help="of the output (default: by the suffix of -o, else text)")
    footprint.add_argument("-o", "--output", metavar="FILE", help="write to a file")
    footprint.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    footprint.add_argument("--plot", metavar="FILE", help="draw the memory in use step by step, to an .svg, .png or .pdf")
    footprint.add_argument("--force", action="store_true", help="replace a file even if somebody edited it")
    _model_arguments(footprint)
    hessian = command(
        "hessian", "MODEL", "print second derivatives: products with a direction, blocks and diagonals, and what they cost",
    )  # fmt: skip
    hessian.add_argument("--block", metavar="W1,W2", help="the block of these two as an equation, in place of the products")
    hessian.add_argument("--diagonal", action="store_true", help="the diagonal, where it is a short equation")
    hessian.add_argument(
        "--order", type=_order("2", "3", "4"), metavar="N", default=2,
        help="3 differentiates the products once more, and so on",
    )  # fmt: skip
    _curvature_arguments(hessian)
    hessian.add_argument("--sizes", metavar="h=512,...", default="", help="sizes for the costs (default: those of the model)")
    hessian.add_argument("--dtype", metavar="TYPE", default="float32", help="float32 or float64, for the costs (default float32)")
    hessian.add_argument("--memory", metavar="24GiB", help="say whether the whole matrix fits so much memory")
    hessian.add_argument("--plot", metavar="FILE", help="draw how the graph grows with depth and order, to an .svg, .png or .pdf")
    _writing_arguments(hessian)
    _model_arguments(hessian)
    partition = command(
        "partition", "MODEL", "split the computation over workers: the equations of one, where they meet, and what it costs",
        "Any dimension can be split by its name; without --split it is the batch.",
    )  # fmt: skip
    _partition_arguments(partition)
    _model_arguments(partition)
    report = command(
        "report", "MODEL", "write everything: equations, graph, kernel, costs and proof",
        "An .html is a page that needs no other file and no network, a .pdf is typeset.",
    )  # fmt: skip
    report.add_argument("-o", "--output", metavar="FILE", help="where to write (default ./NAME.html; - prints the page)")
    report.add_argument("--latex", metavar="FOLDER", help="write a folder of LaTeX, to compile or to paste into a paper")
    report.add_argument("--wrt", metavar="x,W1", help="derive by these, inputs too (default: all parameters)")
    report.add_argument("--notation", choices=NOTATIONS, default="partial", help="∂J/∂x, δ or ∇; on a page all can be chosen")
    report.add_argument("--seed", type=int, metavar="N", default=0, help="of the check's random shapes and numbers (default 0)")
    report.add_argument("--samples", type=_positive, metavar="N", default=1, help="how many random shapes to check (default 1)")
    report.add_argument("--force", action="store_true", help="replace files even if somebody edited them")
    _model_arguments(report)
    serve = command(
        "serve", "[MODEL]", "edit equations on a local page, and see everything that comes of them",
        "Only this machine can reach the page. Ctrl-C ends it.",
    )  # fmt: skip
    serve.add_argument("--port", type=_port, metavar="N", default=8765, help="where to listen (default 8765; 0: any free port)")
    _model_arguments(serve, optional=True)
    models = command("models", "[NAME]", "list the built-in models, or print one")
    models.add_argument("name", nargs="?", metavar="NAME", help="print the equations of this model")
    models.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _curvature_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gauss-newton", action="store_true", help="the Gauss-Newton matrix in place of the Hessian")
    parser.add_argument(
        "--fisher", nargs="?", const="model", choices=("model", "empirical"), metavar="model|empirical",
        help="the Fisher matrix in place of the Hessian: of the model (the default), or of the targets as given",
    )  # fmt: skip


def _order(*orders: str) -> Callable[[str], int]:
    def order(text: str) -> int:
        if text not in orders:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not {', '.join(orders[:-1])} or {orders[-1]}")
        return int(text)

    return order


def _model_arguments(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    parser.add_argument(
        "model",
        nargs="?" if optional else None,
        metavar="MODEL",
        help="an .eq file, the name of a built-in model, - for standard input, or mlp with the choices below"
        + (" (default d2l_mlp)" if optional else ""),
    )
    parser.add_argument("--show-model", action="store_true", help="print the model's equations and stop")
    group = parser.add_argument_group(
        "the choices of mlp, a multilayer perceptron",
        "Wherever a name is accepted, a formula is too; names of your own in it become hyper-parameters. A list with "
        "commas gives one choice for each layer.",
    )
    group.add_argument("--layers", metavar="SIZES", help="input, hidden layers, output (default 784,256,128,10)")
    group.add_argument("--activation", metavar="F", help='a name, or a formula in u such as "u*sigmoid(1.7*u)" (default relu)')
    group.add_argument("--output-activation", metavar="F", help="of the last layer (default identity)")
    group.add_argument("--loss", metavar="F", help="a name, or a formula in o and y (default cross_entropy)")
    group.add_argument(
        "--regularizer", action="append", metavar="F",
        help='a name, or a formula in w such as "alpha*abs(w)" (default none); given again, a further one is added',
    )  # fmt: skip
    group.add_argument("--regularize-bias", action="store_true", help="apply the regularizers to the biases too")
    bias = group.add_mutually_exclusive_group()
    bias.add_argument("--bias", metavar="1,1,0", help="which layers have a bias (default: all)")
    bias.add_argument("--no-bias", action="store_true", help="no layer has one")
    group.add_argument("--hyper", action="append", metavar="NAME=VALUE", help="the value of a hyper-parameter")
    group.add_argument("--batch", type=_positive, metavar="N", help="the default batch size (default 32)")


def _derive_arguments(parser: argparse.ArgumentParser) -> None:
    _writing_arguments(parser)
    parser.add_argument("--only", metavar="W1", help="show only these derivatives, and what they are written with")
    parser.add_argument("--steps", action="store_true", help="show the chain rule before each result")
    parser.add_argument("--all", action="store_true", help="show the derivatives by statistics too, such as a named mean")


def _draw_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default ./NAME.svg; - prints)")
    parser.add_argument("--format", choices=PICTURES, help="of the picture (default: by the suffix of -o, else svg)")
    parser.add_argument(
        "--level", choices=("ops", "equations", "layers"), default="equations",
        help="what a vertex stands for: an operation, an equation, or a layer (default equations)",
    )  # fmt: skip
    parser.add_argument("--backward", action="store_true", help="draw the gradients beside the values")
    parser.add_argument("--second", action="store_true", help="draw the products of second derivatives too")
    parser.add_argument("--partition", metavar="n=2,h=4", help="the graph of workers: where they meet, and what each holds")
    _sharing_arguments(parser)
    parser.add_argument("--wrt", metavar="x,W1", help="gradients by these, inputs too (default: all parameters)")
    parser.add_argument("--batch-form", action="store_true", help="with the examples stacked as rows, not one example")
    parser.add_argument("--force", action="store_true", help="replace a file even if somebody edited it")


def _sharing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stages", type=_positive, metavar="P", default=1, help="cut the layers into so many stages (default 1)")
    _round_arguments(parser)
    parser.add_argument("--statistics", choices=("synchronized", "local"), default="synchronized",
                        help="of means over the batch within the model: over all workers, or each over its own examples")


def _round_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--microbatches", type=_positive, metavar="M", help="in how many rounds the batch goes through the stages (default 1)"
    )
    parser.add_argument(
        "--accumulate", type=_positive, metavar="K", help="in how many parts the batch is worked, gradients added up (default 1)"
    )


def _partition_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=_positive, metavar="N", help="how many there are (default: those of --split)")
    parser.add_argument("--split", metavar="n=2,h=4", default="", help="the parts of each dimension (default: of the batch, N)")
    _sharing_arguments(parser)
    parser.add_argument(
        "--plan", choices=("auto",), help="list all sensible ways to split over the workers, and take the first that fits --memory"
    )
    parser.add_argument("--sort", choices=("time", "memory"), default="time", help="the order of that list (default time)")
    parser.add_argument("--sizes", metavar="h=512,...", default="", help="sizes of dimensions (default: those of the model)")
    parser.add_argument("--dtype", metavar="TYPE", default="float32", help="float32 or float64 (default float32)")
    parser.add_argument("--optimizer", metavar="NAME", default="sgd", help="sgd, momentum or adam (default sgd)")
    parser.add_argument("--memory", metavar="24GiB", help="of a worker: say what fits it")
    parser.add_argument("--bandwidth", metavar="10GB", help="bytes sent in a second, 10GB,h=300GB where more along h: gives times")
    parser.add_argument("--latency", metavar="10us", help="until a message is there (default 10us): gives times")
    parser.add_argument("--flops", metavar="10T", help="operations of a worker in a second (default 10T): gives times")
    parser.add_argument("--plot", metavar="FILE", help="draw the memory of a worker by their number, to an .svg, .png or .pdf")
    _writing_arguments(parser)


def _writing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, help="of the output (default: by the suffix of -o, else text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("--wrt", metavar="x,W1", help="derive by these, inputs too (default: all parameters)")
    parser.add_argument("--batch-form", action="store_true", help="stack the examples as rows, not one example")
    parser.add_argument("--notation", choices=NOTATIONS, default="partial", help="∂J/∂x, δ or ∇")
    parser.add_argument("--standalone", action="store_true", help="with LaTeX: a whole document, not a fragment")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file")
    parser.add_argument("--force", action="store_true", help="replace a file even if somebody edited it")


def _port(text: str) -> int:
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else 65536
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no port: a whole number from 0 to 65535 is needed")
    return number


def _positive(text: str) -> int:
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else 0
    if not 1 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number of 1 or more")
    return number


# ---------------------------------------------------------------- the choices of mlp


def choices_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the choices of mlp that were made."""
    made: dict[str, Any] = {
        "output_activation": options.output_activation, "loss": options.loss,
        "regularize_bias": options.regularize_bias or None, "bias": False if options.no_bias else None,
        "batch": options.batch,
    }  # fmt: skip
    if options.activation is not None:
        made["activation"] = _parts(options.activation)
    if options.bias is not None:
        flags = _parts(options.bias)
        if any(flag not in ("0", "1") for flag in flags):
            raise UsageError(f"--bias {options.bias[:80]!r}: 1 or 0 for each layer, such as 1,1,0")
        made["bias"] = [flag == "1" for flag in flags]
    if options.regularizer is not None:
        made["regularizer"] = _by_layer([_parts(text) for text in options.regularizer])
    if options.hyper is not None:
        pairs = [text.partition("=") for text in options.hyper]
        if any(not equals for _, equals, _ in pairs) or len({name for name, *_ in pairs}) < len(pairs):
            raise UsageError("--hyper takes NAME=VALUE, once for each name")
        made["hyper"] = {name: value for name, _, value in pairs}
    if options.layers is not None or (options.model == "mlp"):
        sizes = _parts("784,256,128,10" if options.layers is None else options.layers)
        if not all(re.fullmatch("[0-9]{1,10}", size) for size in sizes):
            raise UsageError(f"--layers {options.layers[:80]!r}: whole numbers with commas between, such as 784,256,10")
        made["layers"] = [int(size) for size in sizes]
    return {name: choice for name, choice in made.items() if choice is not None}


def _parts(text: str) -> list[str]:
    """Split at the commas that are in no brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _by_layer(uses: list[list[str]]) -> list[list[str]]:
    """Return for each layer the penalties that the uses of --regularizer give it."""
    count = max(map(len, uses))
    if any(len(use) not in (1, count) for use in uses):
        raise UsageError("--regularizer gives one penalty for all layers, or one for each layer, each time it is used")
    return [[use[layer if len(use) > 1 else 0] for use in uses] for layer in range(count)]
