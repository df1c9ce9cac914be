"""Commands that say what a model costs, alone and over several workers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbackprop.commands.given import COUNTS, SECONDS, amount, bytes_of, model_of, names, rounds_of, sizes_of
from symbackprop.commands.output import deliver, form_of, progress_bar, rendered, write_plot
from symbackprop.errors import UsageError

if TYPE_CHECKING:
    from symbackprop.graph.model import Model


def footprint_command(options: argparse.Namespace) -> int:
    """Say what training and prediction cost."""
    from symbackprop.footprint import documents, footprint_of
    from symbackprop.footprint.report import Report

    form, sizes, batch = form_of(options), sizes_of(options.sizes), options.batch
    if options.model != "mlp":
        options.batch = None  # there it is the batch of the numbers, here that of the flags of mlp
    model = model_of(options)
    if batch is not None and options.model != "mlp":
        if model.batch is None:
            raise UsageError(f"--batch: {model.name} has no batch dimension; --sizes gives any other")
        sizes.setdefault(model.batch, batch)
    memory = None if options.memory is None else bytes_of(options.memory)
    with progress_bar(f"planning {model.name}"):
        report = Report(
            footprint_of(model, options.checkpoint), sizes, options.dtype, options.optimizer, memory, options.accumulate
        )
        content = documents.written(report, form)
        if options.plot is not None:
            write_plot(report.plot(), Path(options.plot), options.force)
    return deliver(content, form, options)


def partition_command(options: argparse.Namespace) -> int:
    """Print the equations of a worker and what it costs."""
    form, wrt, splits = form_of(options), names("--wrt", options.wrt), sizes_of(options.split, "--split")
    sizes, memory = sizes_of(options.sizes), None if options.memory is None else bytes_of(options.memory)
    from symbackprop.api import derive
    from symbackprop.partitioning import Costs, PartitionReport, best, split_over, ways, ways_sheet

    machine, stages, rounds = machine_of(options), options.stages, rounds_of(options)
    model = model_of(options)
    more = ""
    with progress_bar(f"splitting {model.name}") as progress:
        derived = derive(model, wrt).batch
        if options.plan is not None:
            if splits or options.workers is None or stages > 1:
                raise UsageError("--plan auto finds splits and stages: give --workers N, and neither --split nor --stages")
            from symbackprop.partitioning import Machine

            found = ways(
                derived, options.workers, sizes, options.dtype, options.optimizer, machine, options.sort, rounds, progress
            )
            way = best(found, memory)
            splits, stages, rounds = dict(way.splits), way.stages, way.rounds
            listed = ways_sheet(found, options.workers, machine or Machine(), memory)
            more = "" if form == "json" else listed.written(form)
        else:
            splits = splits_of(model, splits, options.workers, stages)
        local = options.statistics == "local"
        partition = split_over(derived, splits, sizes, stages=stages, rounds=rounds or 1, local=local)
        report = PartitionReport(Costs(partition), sizes, options.dtype, options.optimizer, machine, memory)
        more = report.written(form) + (f"\n{more}" if more else "")
        if options.plot is not None:
            write_plot(report.plot(), Path(options.plot), options.force)
        content = rendered(partition.derived, form, options, more=more, member="partition")
    return deliver(content, form, options)


def splits_of(model: Model, splits: dict[str, int], workers: int | None, stages: int) -> dict[str, int]:
    """The parts of each dimension: those that were asked for, or the batch in as many parts as a stage has workers."""
    import math

    if not splits and workers is None and stages == 1:
        raise UsageError("give --workers N, or --split NAME=PARTS such as --split n=2,h=4")
    in_stages = "" if stages == 1 else f" in {stages} stages"
    if not splits and workers is not None:
        if workers % stages:
            raise UsageError(f"--workers {workers} cannot be as many in each of {stages} stages")
        if model.batch is None:
            raise UsageError(f"{model.name} has no batch dimension: --split says which of {', '.join(model.dimensions)} to split")
        return {model.batch: workers // stages}
    made = math.prod(splits.values()) * stages
    if workers not in (None, made):
        shown = ",".join(f"{name}={parts}" for name, parts in splits.items())
        raise UsageError(f"--workers {workers}: --split {shown}{in_stages} makes {made}")
    return splits


def machine_of(options: argparse.Namespace) -> Any:
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
            links[name.strip()] = float(bytes_of(speed.strip(), "--bandwidth"))
        else:
            bandwidth = float(bytes_of(part.strip(), "--bandwidth"))
    latency = standard.latency if options.latency is None else amount("--latency", options.latency, SECONDS, "5us")
    flops = standard.flops if options.flops is None else amount("--flops", options.flops, COUNTS, "312T")
    return Machine(bandwidth, latency, flops, links)
