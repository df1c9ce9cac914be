"""Train the 64-256-128-10 classifier on scikit-learn's handwritten digits with several workers, and go on with other ones.

    pip install 'symbackprop[mpi]' scikit-learn
    python -m symbackprop generate mlp_classifier --partition n=4 -o four.py
    mpiexec -n 4 python examples/train_digits_mpi.py four.py --epochs 5 --checkpoint digits.npz
    python -m symbackprop generate mlp_classifier --partition h1=2 -o two.py
    mpiexec -n 2 python examples/train_digits_mpi.py two.py --epochs 10 --checkpoint digits.npz

Every worker runs this file. A checkpoint holds the whole parameters, so that any partition can read it; it is written under
a temporary name and renamed, so that there is a whole one at any time.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from sklearn.datasets import load_digits

SIZES = {"d": 64, "h1": 256, "h2": 128, "q": 10}
BATCH, RATE, TEST_ROWS = 64, 0.3, 360


def load_kernel(path: Path) -> ModuleType:
    """Import a generated module by its path."""
    spec = importlib.util.spec_from_file_location("kernel", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"{path} is no Python file: python -m symbackprop generate mlp_classifier --partition n=2 -o {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(path: Path, epoch: int, params: Mapping[str, NDArray[np.float32]]) -> None:
    """Write the parameters and the number of epochs done: the file is the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as stream:
        np.savez(stream, epoch=epoch, **params)  # type: ignore[arg-type]  # the names are those of the model
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; the first worker prints the loss of each epoch, and the accuracy at the end."""
    parser = argparse.ArgumentParser(description="train the digits classifier with several workers")
    parser.add_argument("kernel", type=Path, metavar="FILE", help="what generate --partition wrote")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="in all, those of the checkpoint included")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="read where it exists, written after every epoch")
    arguments = parser.parse_args(argv)
    kernel = load_kernel(arguments.kernel)
    workers = kernel.connect()
    first = workers.rank == 0

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    x, y, x_test, y_test = x[:-TEST_ROWS], y[:-TEST_ROWS], x[-TEST_ROWS:], y[-TEST_ROWS:]

    epoch, params = 0, kernel.init(seed=0, sizes=SIZES)
    if arguments.checkpoint is not None and arguments.checkpoint.exists():
        with np.load(arguments.checkpoint) as saved:
            epoch = int(saved["epoch"])
            params = kernel.shard({name: saved[name] for name in params})
        if first:
            print(f"going on after epoch {epoch}", flush=True)
    workspace = kernel.Workspace(n=BATCH, **SIZES)
    for number in range(epoch, arguments.epochs):
        rows = np.random.default_rng(number).permutation(len(y))[: len(y) // BATCH * BATCH].reshape(-1, BATCH)
        total = 0.0
        for chosen in rows:
            loss, gradients = kernel.loss_and_grad(params, kernel.shard({"x": x[chosen], "y": y[chosen]}), workspace)
            total += loss
            for name, gradient in gradients.items():
                params[name] -= RATE * gradient
        if first:
            print(f"epoch {number + 1}: loss {total / len(rows):.4f}", flush=True)
        if arguments.checkpoint is not None:
            whole = kernel.gather(params)
            if first:
                save(arguments.checkpoint, number + 1, whole)
            MPI.COMM_WORLD.Barrier()
    scores = kernel.gather(kernel.predict(params, kernel.shard({"x": x_test})))["o"]
    if first:
        print(f"test accuracy {np.mean(scores.argmax(axis=1) == y_test):.2%}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
