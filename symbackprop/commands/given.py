"""What a command is given: a model, names, and numbers with units."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbackprop.errors import UsageError
from symbackprop.flags import choices_of

if TYPE_CHECKING:
    from symbackprop.graph.model import Model


def text_of_model(options: argparse.Namespace) -> tuple[str | bytes, str, str]:
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


def model_of(options: argparse.Namespace) -> Model:
    """Return the model that was named; its warnings go to standard error."""
    from symbackprop.api import parse

    text, name, filename = text_of_model(options)
    model = parse(text, name=name, filename=filename)
    for warning in model.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return model


def names(flag: str, text: str | None) -> list[str] | None:
    """Return names from a list with commas, each once. Raises UsageError."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"{flag} {text[:80]!r}: names with commas between, such as x,W1")
    return list(dict.fromkeys(names))


def sizes_of(text: str, flag: str = "--sizes") -> dict[str, int]:
    """Return sizes by name from ``h=512,n=8``. Raises UsageError."""
    sizes: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        if not number.strip().isdecimal() or not number.strip().isascii() or not 1 <= int(number[:12]) < 2**31:
            raise UsageError(f"{flag} {part[:80]!r}: NAME=SIZE with a whole number from 1 to 2147483647 is needed")
        if name.strip() in sizes:
            raise UsageError(f"{flag} {part[:80]!r}: {name.strip()} is given twice")
        sizes[name.strip()] = int(number)
    return sizes


def bytes_of(text: str, flag: str = "--memory") -> int:
    """Return a number of bytes from ``24GiB``. Raises UsageError."""
    import re
    from fractions import Fraction

    units = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    units |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)", text, flags=re.ASCII)
    amount = 0 if found is None or found[2] not in units else int(Fraction(found[1]) * units[found[2]])
    if amount < 1:
        raise UsageError(f"{flag} {text[:40]!r}: an amount such as 24GiB, 800MB or 1000000 is needed")
    return amount


SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


def amount(flag: str, text: str, units: Mapping[str, float], example: str) -> float:
    """Return a number from digits and a unit. Raises UsageError."""
    import re

    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]*)", text, flags=re.ASCII)
    if found is None or found[2] not in units or float(found[1]) == 0:
        raise UsageError(f"{flag} {text[:40]!r}: an amount such as {example} is needed; units: {', '.join(filter(None, units))}")
    return float(found[1]) * units[found[2]]


def sharing_of(options: argparse.Namespace) -> dict[str, Any] | None:
    """What was said of the workers, as `Derivation.partition` takes it; None where nothing was."""
    rounds, local = rounds_of(options), options.statistics == "local"
    if options.partition is None and options.stages == 1 and rounds is None and not local:
        return None
    splits = sizes_of(options.partition or "", "--partition")
    return {"splits": splits, "stages": options.stages, "rounds": rounds or 1, "local": local}


def rounds_of(options: argparse.Namespace) -> int | None:
    """In how many rounds the batch is to be worked: microbatches of stages, parts of an accumulation, or parts in microbatches."""
    if options.microbatches is None and options.accumulate is None:
        return None
    return (options.microbatches or 1) * (options.accumulate or 1)
