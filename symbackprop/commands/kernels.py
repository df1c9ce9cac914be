"""Commands that write kernels and check them."""

from __future__ import annotations

import argparse
from pathlib import Path

from symbackprop.commands.equations import curvature_of
from symbackprop.commands.given import model_of, rounds_of, sharing_of, sizes_of
from symbackprop.commands.output import module_name, progress_bar, report_written, show, with_member
from symbackprop.commands.status import CHECK_FAILED, DONE
from symbackprop.errors import UsageError


def generate_command(options: argparse.Namespace) -> int:
    """Write a module with the kernels."""
    from symbackprop.api import derive
    from symbackprop.writing import write

    model, curvature = model_of(options), curvature_of(options)
    if options.order == 1 and curvature != "hessian" and not options.hessian:
        raise UsageError("--gauss-newton and --fisher are products of second derivatives: --order 2")
    sharing = sharing_of(options)
    plain = options.order == 1 and not options.hessian and options.checkpoint is None
    if not plain and (sharing is not None or options.target == "jax"):
        raise UsageError("--partition and --target jax are for kernels of order 1 without checkpoints")
    with progress_bar(f"generating {model.name}"):
        derivation = derive(model)
        if options.order == 2 or options.hessian:
            derivation = derivation.products(curvature)
        if options.target == "jax":
            source = derivation.jax_source(**sharing or {})
        elif sharing is not None:
            source = derivation.partition(**sharing).source()
        else:
            source = derivation.source(checkpoint=options.checkpoint, hessian=options.hessian)
    if options.output == "-":
        show(source)
        return DONE
    path = Path("generated") / f"{module_name(model.name)}.py" if options.output is None else Path(options.output)
    report_written(path, write(path, source, force=options.force))
    return DONE


def check_command(options: argparse.Namespace) -> int:
    """Compare the kernel with independent routes."""
    from symbackprop.api import check

    model = model_of(options)
    kernel = None
    if options.kernel is not None:
        from symbackprop.kernels import load_source

        try:
            kernel = load_source(Path(options.kernel).read_text(encoding="utf-8"), model.name)
        except Exception as problem:  # whatever the module raises while it is imported
            raise UsageError(f"{options.kernel} cannot be imported: {type(problem).__name__}: {problem}") from None
    with progress_bar(f"checking {model.name}") as progress:
        report = check(model, seed=options.seed, samples=options.samples, order=options.order, kernel=kernel, progress=progress)
        proof = None
        rounds = rounds_of(options)
        if options.partition is not None or rounds is not None:
            from symbackprop.api import derive
            from symbackprop.partitioning.proof import prove

            splits = sizes_of(options.partition or "", "--partition")
            proof = prove(derive(model).batch, splits, options.seed, rounds or 1)
    if options.json:
        show(with_member(report.json(), "partition", proof.json() if proof else ""))
    else:
        show(report.table + (f"\n{proof.summary}" if proof else ""))
    return DONE if report.ok and (proof is None or proof.ok) else CHECK_FAILED
