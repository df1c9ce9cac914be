"""Random convolutions: strides, dilations, padding, channels, the batch or none, axes in any order, and masks after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop.derivation.derived import derive_graph
from symbackprop.graph.evaluate import evaluate
from symbackprop.kernels import load_source
from tests.kernels.test_plan import agree
from tests.strategies import values_for

SIZE, TAPS = 6, 3


@dataclass(frozen=True)
class Spatial:
    """One axis: the subscript is stride * place + dilation * tap - pad, and guards say that it may leave the array."""

    stride: int = 1
    dilation: int = 1
    pad: int = 0

    @property
    def places(self) -> int:
        return (SIZE + 2 * self.pad - self.dilation * (TAPS - 1) - 1) // self.stride + 1


@dataclass(frozen=True)
class Convolution:
    """A convolution as an index equation; ``order`` permutes the axes of its result, ``mask`` is a condition on two of them."""

    spatial: tuple[Spatial, ...]
    channels: bool
    batch: bool
    order: tuple[int, ...]
    mask: str
    within: bool

    def text(self) -> str:
        taps, places = "ab"[: len(self.spatial)], "ij"[: len(self.spatial)]
        image = ["c" if self.channels else "", *[
            f"{s.stride} {p} + {s.dilation} {t} - {s.pad}" for s, p, t in zip(self.spatial, places, taps, strict=True)
        ]]  # fmt: skip
        kernel = (["o", "c"] if self.channels else []) + list(taps)
        product = f"K[{', '.join(kernel)}] X[{', '.join(filter(None, image))}]"
        guards = []
        for s, subscript in zip(self.spatial, image[1:], strict=True):
            if s.pad:
                guards += [f"{subscript} >= 0", f"{subscript} < {SIZE}"]
        for guard in guards:
            product = f"where({guard}, {product}, 0)"
        axes = (["o"] if self.channels else []) + [
            f"{p} in {s.places}" for s, p in zip(self.spatial, places, strict=True)
        ]
        axes = [axes[k] for k in sorted(range(len(axes)), key=lambda k: self.order[k])]
        names = [axis.split()[0] for axis in axes]
        ranges = [*(["c"] if self.channels else []), *[f"{t} in {TAPS}" for t in taps]]
        entry = f"Y[{', '.join(names)}]"
        masked = f"where({names[0]} {self.mask} {names[-1]}, {entry}, {'-1' if self.within else 'tanh(' + entry + ')'})"
        extent = f"{', '.join([str(SIZE)] * len(self.spatial))}"
        return "\n".join([
            *(["batch n = 3"] if self.batch else []),
            f"input X[{'2, ' if self.channels else ''}{extent}]",
            f"param K[{'2, 2, ' if self.channels else ''}{', '.join([str(TAPS)] * len(self.spatial))}]",
            f"Y[{', '.join(axes)}] = sum[{', '.join(ranges)}]({product})",
            f"Z[{', '.join(axes)}] = {masked}",
            "L = ||Z||^2",
            "minimize L",
        ])  # fmt: skip


SPATIAL = st.builds(Spatial, st.integers(1, 2), st.integers(1, 2), st.integers(0, 2))
CONVOLUTIONS = st.builds(
    Convolution, st.lists(SPATIAL, min_size=1, max_size=2).map(tuple), st.booleans(), st.booleans(),
    st.permutations(range(3)).map(tuple), st.sampled_from([">=", "<", "==", "!="]), st.booleans(),
)  # fmt: skip


@given(convolution=CONVOLUTIONS)
@example(convolution=Convolution((Spatial(pad=1),), False, True, (0, 1, 2), ">=", True))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_kernel_computes_what_the_graph_says(convolution: Convolution) -> None:
    model = sb.parse(convolution.text())
    for wrt in (None, ["X"]):
        derivation = sb.derive(model, wrt=wrt)
        derived = derive_graph(model, tuple(wrt) if wrt else None, batched=True)
        kernel = load_source(derivation.source(), "random")
        values = values_for(derived.graph, {"n": 3} if convolution.batch else {})
        workspace = kernel.Workspace(dtype=np.float64)
        expected = evaluate(derived.graph, values, {"n": 3} if convolution.batch else {})
        for _ in range(2):
            _, gradients = kernel.loss_and_grad({"K": values["K"]}, {"X": values["X"]}, workspace)
            agree(gradients, {name: expected[derived.gradient_name(name)] for name in derived.wrt})


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("axes", [1, 2])
def test_a_padded_convolution_passes_every_check(axes: int, channels: bool) -> None:
    spatial = (Spatial(pad=1), Spatial(stride=2, pad=2))[:axes]
    report = sb.check(sb.parse(Convolution(spatial, channels, True, (0, 1, 2), ">=", True).text()), samples=1)
    assert report.ok, report.table
