"""Train the generated 64-256-128-10 classifier on scikit-learn's handwritten digits with plain SGD.

    python examples/train_digits.py --seeds 5 --epochs 40

The kernel is generated/mlp_classifier.py as committed: a NumPy module that knows nothing of this package. The
data needs scikit-learn, the progress bar rich. Progress goes to stderr, the accuracies to stdout.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.datasets import load_digits

GENERATED = Path(__file__).resolve().parent.parent / "generated"

TEST_ROWS = 360
"""The last rows of one fixed shuffle of the 1797 digits (seed 0) are the test set: about a fifth."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """What to train and how: the kernel's name, its sizes, the shape of one example, and SGD's settings."""

    kernel: str
    sizes: Mapping[str, int]
    example_shape: tuple[int, ...]
    learning_rate: float
    epochs: int
    batch: int = 32
    hyper: Mapping[str, float] = field(default_factory=dict)


MLP = Task(
    kernel="mlp_classifier",
    sizes={"d": 64, "h1": 256, "h2": 128, "q": 10},
    example_shape=(64,),
    learning_rate=0.3,
    epochs=40,
    hyper={"lambda": 1e-4},
)


def load_kernel(name: str) -> ModuleType:
    """Import generated/NAME.py by its path. Raises FileNotFoundError where it has not been generated."""
    path = GENERATED / f"{name}.py"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; write it with: python -m symbackprop generate {name}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # true of every path that ends in .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digits(example_shape: tuple[int, ...]) -> tuple[Floats, NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Return training images and labels, then test images and labels; pixels in [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x = (images[order] / 16).astype(np.float32).reshape(-1, *example_shape)
    y = labels[order].astype(np.int64)
    return x[:-TEST_ROWS], y[:-TEST_ROWS], x[-TEST_ROWS:], y[-TEST_ROWS:]


def train(task: Task, seed: int, epochs: int, progress: Progress) -> tuple[list[float], float]:
    """Train from the seed's initial parameters with SGD at a constant rate.

    Returns the mean loss of each epoch, and the test accuracy at the end.
    """
    kernel = load_kernel(task.kernel)
    x, y, x_test, y_test = digits(task.example_shape)
    params = kernel.init(seed=seed, dtype=np.float32, sizes=task.sizes)
    workspace = kernel.Workspace(n=task.batch, dtype=np.float32, **task.sizes)
    shuffle = np.random.default_rng(seed)
    batches = len(y) // task.batch  # the rest of an epoch's shuffle waits for the next epoch
    bar = progress.add_task(f"seed {seed}", total=epochs * batches, loss=float("nan"))
    losses = np.zeros((epochs, batches))
    for epoch in range(epochs):
        order = shuffle.permutation(len(y))
        for step, rows in enumerate(order[: batches * task.batch].reshape(batches, task.batch)):
            loss, gradients = kernel.loss_and_grad(params, {"x": x[rows], "y": y[rows]}, workspace, task.hyper)
            for name, gradient in gradients.items():
                params[name] -= task.learning_rate * gradient
            losses[epoch, step] = loss
            progress.update(bar, advance=1, loss=loss)
    scores = kernel.predict(params, {"x": x_test})
    accuracy = float(np.mean(scores["o"].argmax(axis=1) == y_test))
    return losses.mean(axis=1).tolist(), accuracy


def run(task: Task, argv: Sequence[str] | None = None) -> float:
    """Train with as many seeds as the arguments say, print every test accuracy, and return the median."""
    parser = argparse.ArgumentParser(description=f"train the generated {task.kernel} on scikit-learn's digits")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N-1 (default: 5)")
    parser.add_argument("--epochs", type=int, default=task.epochs, metavar="N", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1 or arguments.epochs < 1:
        parser.error("--seeds and --epochs must be at least 1")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    columns = (*columns, TextColumn("loss {task.fields[loss]:.4f}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        results = [train(task, seed, arguments.epochs, progress) for seed in range(arguments.seeds)]
    for seed, (losses, accuracy) in enumerate(results):
        print(f"seed {seed}: loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last; test accuracy {accuracy:.2%}")
    median = statistics.median(accuracy for _, accuracy in results)
    print(f"median of {len(results)}: {median:.2%} on {TEST_ROWS} test digits")
    return median


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    run(MLP, argv)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
