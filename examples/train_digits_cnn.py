"""Train the generated convolutional classifier on scikit-learn's 8x8 handwritten digits with plain SGD.

    python examples/train_digits_cnn.py --seeds 5 --epochs 40

It shares the data, the split and the loop of train_digits.py; only the kernel (generated/small_cnn.py) and
SGD's settings differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from train_digits import Task, run

CNN = Task(
    kernel="small_cnn",
    sizes={"c": 1, "s": 8, "k": 3, "f": 32, "p": 3, "q": 10},
    example_shape=(1, 8, 8),
    learning_rate=0.3,
    epochs=40,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    run(CNN, argv)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
