"""Known results come out: where workers meet in the usual schemes, and what each of them holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import sympy

from symbackprop import builtin, derive, parse
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.errors import UsageError
from symbackprop.footprint import memory_use as use
from symbackprop.graph.sizes import dimension
from symbackprop.models import builtin_names
from symbackprop.partitioning import Cost, Costs, Machine, best, split_over, ways
from symbackprop.partitioning.proof import TOLERANCE, difference, prove
from symbackprop.partitioning.simulate import simulate

ATTENTION = """
dim s = 8, m = 16, a = 4, k = 4
batch n = 2
input X[s, m]
target Y[s, m]
param Wq[a, m, k], Wk[a, m, k], Wv[a, m, k], Wo[a, k, m]
Q[h, i, j] = sum[e](X[i, e] Wq[h, e, j])
K[h, i, j] = sum[e](X[i, e] Wk[h, e, j])
V[h, i, j] = sum[e](X[i, e] Wv[h, e, j])
S[h, i, j] = where(i >= j, sum[e](Q[h, i, e] K[h, j, e]) / sqrt(k), -inf)
P = softmax(S)
A[h, i, j] = sum[t](P[h, i, t] V[h, t, j])
O[i, e] = sum[h, j](A[h, i, j] Wo[h, j, e])
L = 1/2 ||Y - O||^2
minimize L
"""
"""The heads a of causal self-attention, before the residual connection."""

MLP = """
dim m = 16, f = 64
batch n = 8
input X[m]
target Y[m]
param W1[f, m], b1[f], W2[m, f], b2[m]
Z = W1 X + b1
A = gelu(Z)
O = W2 A + b2
L = 1/2 ||Y - O||^2
minimize L
"""

SAME_WIDTH = """
dim m = 6
batch n = 5
input X[m]
target Y[m]
param W1[m, m], W2[m, m], W3[m, m], W4[m, m]
A = tanh(W1 X)
B = tanh(W2 A)
C = tanh(W3 B)
O = W4 C
L = 1/2 ||Y - O||^2
minimize L
"""

FLOAT = use.FLOAT_BYTES
f, m, n, s, a, k = (dimension(name) for name in "f m n s a k".split())


def derived(text: str, *inputs: str) -> DerivedGraph:
    model = parse(text)
    return derive(model, [*inputs, *model.parameters]).batch


def tensors_met(text: str, splits: Mapping[str, int], *inputs: str) -> list[tuple[str, tuple[str, ...], sympy.Expr]]:
    """The collectives that are about more than a number."""
    meetings = Cost(split_over(derived(text, *inputs), splits)).meetings
    return [(meeting.kind, meeting.equations, meeting.payload) for meeting in meetings if not meeting.scalar]


@pytest.mark.parametrize(("text", "split", "entries"), [(MLP, "f", n * m), (ATTENTION, "a", n * s * m)], ids=["mlp", "attention"])
def test_a_block_of_a_transformer_is_summed_once_forward_and_once_backward(text: str, split: str, entries: sympy.Expr) -> None:
    """Shoeybi et al. 2019, Megatron-LM: one all-reduce in each pass, of the size of the block's input."""
    assert tensors_met(text, {split: 4}) == [("all-reduce", ("O",), sympy.expand(FLOAT * entries))]
    assert tensors_met(text, {split: 4}, "X") == [
        ("all-reduce", ("O",), sympy.expand(FLOAT * entries)),
        ("all-reduce", ("∂L/∂X",), sympy.expand(FLOAT * entries)),
    ]


def test_a_worker_holds_its_part_of_a_block() -> None:
    """Shoeybi et al. 2019, section 3: columns of the first matrix, rows of the second; heads of the attention."""
    f_p, a_p = dimension("f_p"), dimension("a_p")
    mlp, attention = (Cost(split_over(derived(text), {split: 4})).footprint for text, split in ((MLP, "f"), (ATTENTION, "a")))
    assert sympy.expand(mlp.parameters - (2 * f_p * m + f_p + m)) == 0
    assert sympy.expand(attention.parameters - 4 * a_p * m * k) == 0
    assert attention.saved_bytes.coeff(s, 2) == FLOAT * a_p * n  # the scores, of the own heads only
    assert mlp.saved_bytes.coeff(m) == FLOAT * n  # what the loss reads is there as a whole, what the activation reads in parts
    assert all(term.has(f_p) for term in sympy.Add.make_args(mlp.saved_bytes) if not term.has(m))


def test_layers_of_the_same_width_alternate_between_columns_and_rows() -> None:
    partition = split_over(derived(SAME_WIDTH), {"m": 2})
    split = [partition.layouts[f"W{number}"].index("m") for number in (1, 2, 3, 4)]
    assert split in ([0, 1, 0, 1], [1, 0, 1, 0])
    forward = [c for c, where in partition.collectives.items() if where in ("A", "B", "C", "O") and c.rank]
    assert len(forward) == 2 and {c.kind for c in forward} == {"sum"}
    assert prove(derived(SAME_WIDTH), {"m": 2}).worst <= TOLERANCE


@pytest.mark.parametrize("name", [name for name in builtin_names() if builtin(name).batch])
def test_data_parallel_training_sums_the_gradients_once_in_a_bucket(name: str) -> None:
    whole = derive(builtin(name)).batch
    assert whole.model.batch is not None
    cost = Cost(split_over(whole, {whole.model.batch: 2}))
    shared = {whole.gradient_name("Sigma")}  # a value of parameters alone, whose gradient is read by another one
    buckets = [m for m in cost.meetings if not {*m.equations} <= shared and (len(m.equations) > 1 or not m.scalar)]
    assert len(buckets) == 1 and buckets[0].groups == (whole.model.batch,)
    gradients = [equation for equation in buckets[0].equations if equation in map(whole.gradient_name, whole.wrt)]
    assert buckets[0].payload == cost.footprint.gradient_bytes or set(gradients) < set(map(whole.gradient_name, whole.wrt))


def test_a_bucket_is_closed_when_it_is_full() -> None:
    text = "\n".join(
        ["dim m = 2000", "batch n = 4", "input x[m]", "target y[m]", "param " + ", ".join(f"W{i}[m, m]" for i in range(6))]
        + ["z0 = x"] + [f"z{i + 1} = tanh(W{i} z{i})" for i in range(6)] + ["L = 1/2 ||y - z6||^2", "minimize L"]
    )  # fmt: skip
    meetings = [m for m in Cost(split_over(derived(text), {"n": 2})).meetings if not m.scalar]
    assert [len(meeting.equations) for meeting in meetings] == [2, 2, 2]  # 16 MB each, and 25 MiB in a bucket


def test_softmax_over_a_split_axis_takes_a_maximum_and_a_sum() -> None:
    partition = split_over(derive(builtin("softmax_regression")).batch, {"q": 2})
    assert [c.kind for c in partition.collectives if c.rank] == ["logsumexp"]
    of_rows = [m for m in Cost(partition).meetings if m.payload == FLOAT * n]
    assert [m.kind for m in of_rows] == ["all-reduce", "all-reduce"]


@pytest.mark.parametrize("p", [2, 3, 8, 512])
def test_a_ring_sends_what_it_is_known_to(p: int) -> None:
    """Patarasuk and Yuan 2009: each worker sends 2 (p - 1)/p of the buffer."""
    cost = Cost(split_over(derived(MLP), {"f": p}, {"f": 1024}))
    (meeting,) = [meeting for meeting in cost.meetings if not meeting.scalar]
    assert meeting.sent == meeting.payload * 2 * (p - 1) / p
    numbers = cost.numbers({"f": 1024, "n": 10**6})
    seconds = meeting.seconds(numbers, Machine(bandwidth=1e9, latency=0))
    assert seconds == pytest.approx(2 * (p - 1) / p * 4 * 16 * 10**6 / 1e9)


def test_statistics_of_a_batch_are_those_of_all_workers_or_of_each() -> None:
    """Local ones: the mean of what the model gives on the parts, each counted by its examples."""
    whole = derive(builtin("batch_norm"))
    rng, sizes = np.random.default_rng(0), {"n": 7, "m": 4, "d": 3}
    params = {"W": rng.normal(size=(3, 4)), "gamma": rng.normal(size=3), "beta": rng.normal(size=3)}
    inputs = {"H": rng.normal(size=(7, 4)), "Y": rng.normal(size=(7, 3))}
    kernel = whole.kernel()
    values = {**params, **inputs, "epsilon": np.array(1e-5)}
    local = split_over(whole.batch, {"n": 2}, local=True)
    found = simulate(local, values, sizes)[0]
    parts = [slice(0, 4), slice(4, 7)]
    apart = [kernel.loss_and_grad(params, {name: x[rows] for name, x in inputs.items()}) for rows in parts]
    weights = np.array([4 / 7, 3 / 7])
    assert difference(found["L"], np.asarray(weights @ [loss for loss, _ in apart])) <= TOLERANCE
    for name in params:
        mean = sum(weight * gradients[name] for weight, (_, gradients) in zip(weights, apart, strict=True))
        assert difference(found[f"∂L/∂{name}"], mean) <= TOLERANCE
    together = simulate(split_over(whole.batch, {"n": 2}), values, sizes)[0]
    loss, gradients = kernel.loss_and_grad(params, inputs)
    assert difference(together["L"], np.asarray(loss)) <= TOLERANCE
    assert abs(float(found["L"]) - loss) > 1e-6
    assert not any(c.shape for c, where in local.collectives.items() if where in ("mu", "sigma"))


def test_local_statistics_change_nothing_where_there_are_none() -> None:
    whole = derive(builtin("mlp_classifier")).batch
    proof = prove(whole, {"n": 3})
    assert proof.ok
    rng = np.random.default_rng(0)
    sizes = {"d": 4, "h1": 4, "h2": 3, "q": 3, "n": 5}
    shapes = {leaf.name: tuple(int(size.xreplace({dimension(x): y for x, y in sizes.items()})) for size in leaf.shape)
              for leaf in whole.graph.declarations}  # fmt: skip
    values = {name: rng.normal(size=shape) for name, shape in shapes.items()} | {"y": rng.integers(0, 3, 5)}
    for splits in ({"n": 2}, {"n": 2, "h1": 2}):
        one, other = (simulate(split_over(whole, splits, sizes, local=local), values, sizes)[0] for local in (True, False))
        assert difference(one["J"], other["J"]) <= TOLERANCE
        assert difference(one["∂J/∂W1"], other["∂J/∂W1"]) <= TOLERANCE


# ---------------------------------------------------------------- stages and rounds


@pytest.mark.parametrize(("stages", "rounds"), [(1, 1), (2, 1), (2, 4), (3, 8), (3, 32)])
def test_the_bubble_of_a_pipeline_is_the_known_one(stages: int, rounds: int) -> None:
    """Huang et al. 2019, GPipe: (p - 1)/(m + p - 1) of a step; so m rounds of equal length take as long as m + p - 1."""
    costs = Costs(split_over(derived(SAME_WIDTH), {}, {"n": 64}, stages=stages, rounds=rounds))
    assert costs.bubble == sympy.Rational(stages - 1, rounds + stages - 1)
    numbers, machine = costs.numbers({"n": 64}), Machine(bandwidth=1e30, latency=0)
    computing, _ = costs.seconds(numbers, machine)
    slowest = 2 * costs.multiply_adds(numbers) / machine.flops
    assert computing == pytest.approx(slowest / rounds * (rounds + stages - 1))


@pytest.mark.parametrize("rounds", [2, 3, 4])
@pytest.mark.parametrize("name", [name for name in builtin_names() if builtin(name).batch])
def test_gradient_accumulation_gives_those_of_the_whole_batch(name: str, rounds: int) -> None:
    proof = prove(derive(builtin(name)).batch, {}, rounds=rounds)
    assert proof.worst <= TOLERANCE and proof.sizes[builtin(name).batch or ""] >= rounds, proof.summary


def test_accumulation_lowers_memory_and_changes_no_arithmetic() -> None:
    whole = derive(builtin("mlp_classifier")).batch
    one, eight = (Costs(split_over(whole, {}, {"n": 4096}, rounds=rounds)) for rounds in (1, 8))
    numbers = [costs.numbers({"n": 4096}) for costs in (one, eight)]
    assert eight.memory(numbers[1]) < 0.7 * one.memory(numbers[0])
    assert eight.multiply_adds(numbers[1]) == pytest.approx(one.multiply_adds(numbers[0]), rel=0.01)


# ---------------------------------------------------------------- plans


def test_every_way_is_proved_and_sorted() -> None:
    whole = derive(builtin("d2l_mlp")).batch
    for order in ("time", "memory"):
        found = ways(whole, 4, {}, order=order)
        key = [(way.seconds if order == "time" else way.memory) for way in found]
        assert key == sorted(key) and len({way.name for way in found}) == len(found) > 8
    for way in found:
        assert np.prod(list(way.splits.values())) * way.stages == 4
        assert prove(whole, way.splits, rounds=way.rounds).worst <= TOLERANCE


def test_the_first_way_that_fits_is_taken_and_none_is_said() -> None:
    found = ways(derive(builtin("d2l_mlp")).batch, 4, {})
    least = min(way.memory for way in found)
    assert best(found, least).memory == least and best(found, None) is found[0]
    with pytest.raises(UsageError, match=f"takes least, {least:,}; use more workers"):
        best(found, least - 1)
