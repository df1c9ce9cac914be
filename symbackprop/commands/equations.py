"""Commands that print equations: first derivatives and second ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbackprop.commands.given import bytes_of, model_of, names, sizes_of
from symbackprop.commands.output import deliver, form_of, progress_bar, rendered, write_plot
from symbackprop.errors import UsageError
from symbackprop.flags import choices_of

if TYPE_CHECKING:
    from symbackprop.graph.model import Model


def derive_command(options: argparse.Namespace) -> int:
    """Print the forward and backward equations."""
    form, wrt, only = form_of(options), names("--wrt", options.wrt), names("--only", options.only)
    from symbackprop.api import derive

    derivation = derive(model_of(options), wrt, all_values=options.all)
    derived = derivation.form(options.batch_form) if only is None else derivation.only(only, options.batch_form)
    return deliver(rendered(derived, form, options, steps=options.steps), form, options)


def hessian_command(options: argparse.Namespace) -> int:
    """Print second derivatives and what they cost."""
    if options.block is not None and options.diagonal:
        raise UsageError("--block and --diagonal are two answers: give one of them")
    form, curvature, wrt = form_of(options), curvature_of(options), names("--wrt", options.wrt)
    block = None if options.block is None else [name.strip() for name in options.block.split(",")]
    if options.order > 2 and (block is not None or options.diagonal):
        raise UsageError("--order is that of products: a block or a diagonal is of order 2")
    if block is not None and len(block) != 2:
        raise UsageError(f"--block {options.block[:80]!r}: two names with a comma between, such as W1,W2")
    sizes, memory = sizes_of(options.sizes), None if options.memory is None else bytes_of(options.memory)
    from symbackprop.api import derive
    from symbackprop.footprint.growth import Growth
    from symbackprop.footprint.growth_report import GrowthReport

    model = model_of(options)
    with progress_bar(f"deriving {model.name}"):
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
            write_plot(report.picture(_family(options)), Path(options.plot), options.force)
        content = rendered(derived, form, options, more=more)
    return deliver(content, form, options)


def curvature_of(options: argparse.Namespace) -> str:
    """The matrix of second derivatives that the flags name."""
    if options.gauss_newton and options.fisher:
        raise UsageError("--gauss-newton and --fisher are two matrices: give one of them")
    if options.gauss_newton:
        return "gauss-newton"
    return {None: "hessian", "model": "fisher", "empirical": "empirical-fisher"}[options.fisher]


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
