"""Train a classifier of scikit-learn's handwritten digits by truncated Newton, on generated Hessian-vector products.

    python examples/truncated_newton_digits.py --iterations 40 --plot newton.svg

SciPy's trust-ncg asks for the loss, its gradient and products of the Hessian with directions that conjugate gradients choose:
what a kernel of order 2 has. Beside it, plain SGD. The work is counted in gradients over the whole training set; a
product counts as its multiply-adds do beside a gradient's. Losses go to stdout, and to a picture with --plot.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.optimize import minimize
from train_digits import digits

import symbackprop as sb
from symbackprop.footprint import plot
from symbackprop.footprint.growth import Growth
from symbackprop.footprint.memory_use import value_at

LAYERS = [64, 32, 10]
Curve = list[tuple[float, float]]


def kernel_and_price() -> tuple[ModuleType, float]:
    """Return the kernel of order 2, and what a product costs beside a gradient."""
    derivation = sb.derive(sb.mlp(LAYERS, activation="tanh", regularizer="l2", hyper={"lambda": 1e-4}))
    growth = Growth(derivation.products().batch)
    numbers = growth.second.numbers({})
    _, gradient, product, _ = (value_at(stage.multiply_adds, numbers) for stage in growth.stages)
    return derivation.kernel(order=2), product / gradient


def newton(kernel: ModuleType, price: float, iterations: int) -> Curve:
    """Return the loss against the gradients' worth of work, by trust-region Newton with conjugate gradients."""
    x, y, _, _ = digits((64,))
    inputs = {"x": x.astype(np.float64), "y": y}
    start = kernel.init(seed=0, dtype=np.float64)
    shapes = {name: array.shape for name, array in start.items()}
    workspace = kernel.Workspace(dtype=np.float64, n=len(y))
    spent, curve = 0.0, Curve()

    def apart(vector: Any) -> dict[str, Any]:
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
        return {n: part.reshape(shapes[n]) for n, part in zip(shapes, np.split(vector, ends), strict=True)}

    def together(arrays: dict[str, Any]) -> Any:
        return np.concatenate([np.ravel(arrays[name]) for name in shapes])

    def loss_and_gradient(vector: Any) -> tuple[float, Any]:
        nonlocal spent
        spent += 1
        loss, gradients = kernel.loss_and_grad(apart(vector), inputs, workspace)
        curve.append((spent, min([loss, *[value for _, value in curve[-1:]]])))
        return loss, together(gradients)

    def product(vector: Any, direction: Any) -> Any:
        nonlocal spent
        spent += price
        return together(kernel.hvp(apart(vector), apart(direction), inputs, workspace))

    options = {"maxiter": iterations}
    minimize(loss_and_gradient, together(start), jac=True, hessp=product, method="trust-ncg", options=options)
    return curve


def gradient_descent(kernel: ModuleType, budget: float, rate: float = 0.3, batch: int = 32) -> Curve:
    """Return the loss against the gradients' worth of work, by SGD with as much of it."""
    x, y, _, _ = digits((64,))
    inputs = {"x": x.astype(np.float64), "y": y}
    params = kernel.init(seed=0, dtype=np.float64)
    workspace = kernel.Workspace(dtype=np.float64, n=batch)
    shuffle, curve, spent = np.random.default_rng(0), Curve(), 0.0
    while spent < budget:
        for rows in shuffle.permutation(len(y))[: len(y) // batch * batch].reshape(-1, batch):
            _, gradients = kernel.loss_and_grad(params, {"x": inputs["x"][rows], "y": y[rows]}, workspace)
            for name, gradient in gradients.items():
                params[name] -= rate * gradient
            spent += batch / len(y)
        curve.append((spent, kernel.loss(params, inputs)))
    return curve


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    parser = argparse.ArgumentParser(description="train on scikit-learn's digits by truncated Newton, and by SGD beside it")
    parser.add_argument("--iterations", type=int, default=40, metavar="N", help="of Newton's method (default: %(default)s)")
    parser.add_argument("--plot", metavar="FILE.svg", help="write a picture of both")
    arguments = parser.parse_args(argv)
    if arguments.iterations < 1:
        parser.error("--iterations must be at least 1")
    kernel, price = kernel_and_price()
    second = newton(kernel, price, arguments.iterations)
    first = gradient_descent(kernel, second[-1][0])
    print(f"a product costs {price:.2f} gradients")
    for name, curve in (("truncated Newton", second), ("SGD", first)):
        print(f"{name}: loss {curve[0][1]:.3f} at first, {curve[-1][1]:.4f} after the work of {curve[-1][0]:.0f} gradients")
    if arguments.plot:
        logarithms = {
            name: [(work, float(np.log10(loss))) for work, loss in curve] for name, curve in (("Newton", second), ("SGD", first))
        }
        shapes = plot.curves(logarithms, "logarithm (to base 10) of the training loss", "work, in gradients over the training set")
        Path(arguments.plot).write_text(plot.svg(shapes), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
