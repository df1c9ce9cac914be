from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from sympy import (
    Determinant,
    Float,
    HadamardProduct,
    Idx,
    IndexedBase,
    Inverse,
    KroneckerDelta,
    Lambda,
    MatrixSymbol,
    OneMatrix,
    Piecewise,
    Rational,
    Sum,
    Symbol,
    Trace,
    symbols,
)

from symbackprop.algebra import from_sympy, tensor_symbol, to_sympy
from symbackprop.derivation.derived import derive_graph
from symbackprop.errors import ShapeError, SymbackpropError, UsageError
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.model import Graph, Model
from symbackprop.graph.sizes import dimension

from .models import MODELS, SIZES, mlp
from .test_export import sample

d, h, q, n, k = symbols("d h q n k", integer=True, positive=True)
u = Symbol("u")


def two_layers() -> Model:
    x, y = MatrixSymbol("x", d, 1), MatrixSymbol("y", q, 1)
    W1, b1 = MatrixSymbol("W1", h, d), MatrixSymbol("b1", h, 1)
    W2, b2 = MatrixSymbol("W2", q, h), MatrixSymbol("b2", q, 1)
    z, a, o = MatrixSymbol("z", h, 1), MatrixSymbol("a", h, 1), MatrixSymbol("o", q, 1)
    L, s, J, decay = Symbol("L"), Symbol("s"), Symbol("J"), Symbol("lambda")
    return from_sympy(
        [
            (z, W1 * x + b1),
            (a, z.applyfunc(sympy.tanh)),
            (o, W2 * a + b2),
            (L, Trace((y - o).T * (y - o)) / 2),
            (s, decay / 2 * (Trace(W1.T * W1) + Trace(W2 * W2.T))),
            (J, L + s),
        ],
        objective=J,
        inputs=[x],
        targets=[y],
        parameters=[W1, b1, W2, b2],
        hypers={decay: Rational(1, 1000)},
        batch=Symbol("n"),
        name="mlp",
    )


def test_two_layers_are_the_nodes_that_the_operators_give() -> None:
    found, wanted = two_layers(), mlp()
    assert set(found.graph.declarations) == set(wanted.graph.declarations)
    for equation in wanted.graph.equations:
        assert found.graph.by_name[equation.name].node is equation.node
    assert found.parameters == ("W1", "b1", "W2", "b2")
    assert found.outputs == ("o",)
    assert found.hyper_defaults == {"lambda": Rational(1, 1000)}
    assert list(found.dimensions) == ["d", "q", "h", "n"]


def complex_step_agrees(model: Model, values: dict[str, Any]) -> None:
    derived = derive_graph(model)
    gradients = evaluate(derived.graph, values, SIZES)
    for name in model.parameters:
        found = gradients[derived.gradient_name(name)]
        for place in np.ndindex(*np.shape(values[name])):
            moved = {key: np.array(value, dtype=np.complex128) for key, value in values.items()}
            moved[name][place] += 1e-30j
            step = evaluate(model.graph, moved, SIZES, np.complex128)[model.objective or ""]
            assert abs(step.imag / 1e-30 - found[place]) <= 1e-12 * max(1, abs(found[place]))


def test_the_gradients_of_two_layers_agree_with_a_complex_step() -> None:
    model = two_layers()
    complex_step_agrees(model, sample(model.graph, 3))


def again(model: Model) -> Graph:
    """The model's forward equations, exported and read back."""
    graph = model.graph
    kinds: dict[str, list[Any]] = {"input": [], "target": [], "parameter": [], "hyper": []}
    for leaf in graph.declarations:
        symbol = tensor_symbol(leaf)
        kinds[leaf.kind].append(symbol if leaf.classes is None else (symbol, leaf.classes))
    pairs = [(tensor_symbol(equation.reference), to_sympy(equation.node, graph)) for equation in graph.equations]
    objective = None if model.objective is None else Symbol(model.objective)
    return from_sympy(
        pairs,
        objective=objective,
        inputs=kinds["input"],
        targets=kinds["target"],
        parameters=kinds["parameter"],
        hypers=kinds["hyper"],
    ).graph


NO_WORDS = {
    "functions": "the functions with names become their formulas",
    "strided convolution": "a delta does not say in which order its indices stand",
    "positions": "a diagonal matrix does not say along which axis its vector runs",
}


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NO_WORDS])
def test_what_is_exported_reads_back_as_the_same_nodes(name: str) -> None:
    model = MODELS[name]()
    for old, new in zip(model.graph.equations, again(model).equations, strict=True):
        assert new.node is old.node, old.name


@pytest.mark.parametrize("name", MODELS)
def test_what_is_exported_reads_back_with_the_same_values(name: str) -> None:
    model = MODELS[name]()
    values = sample(model.graph, 2)
    old, new = evaluate(model.graph, values, SIZES), evaluate(again(model), values, SIZES)
    for key in old:
        np.testing.assert_allclose(new[key], old[key], rtol=1e-13, atol=1e-13)


def value_of(right: Any, *, parameters: Any, values: dict[str, Any], left: Any = None, **more: Any) -> Any:
    left = Symbol("J") if left is None else left
    graph = from_sympy({left: right}, objective=None, parameters=parameters, **more).graph
    return evaluate(graph, values, SIZES)[graph.equations[0].name]


random = np.random.default_rng(5)
A_, x_ = random.normal(size=(3, 3)), random.normal(size=3)
A, x, Y, row = (
    MatrixSymbol("A", d, d),
    MatrixSymbol("x", d, 1),
    MatrixSymbol("Y", d, d),
    MatrixSymbol("r", 1, d),
)
i, j = Idx("i", d), Idx("j", d)
X3, m = IndexedBase("T", shape=(d, d, d)), Symbol("m", integer=True)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (Symbol("J"), sympy.log(Determinant(A * A.T)), np.log(np.linalg.det(A_ @ A_.T))),
        (Symbol("J"), Trace(x.T * A * x), x_ @ A_ @ x_),
        (Symbol("J"), A[1, 2] * x[0, 0] - A[0, 0] ** 2, A_[1, 2] * x_[0] - A_[0, 0] ** 2),
        (Symbol("J"), Sum(A[i, j] * x[j, 0], (i, 0, d - 1), (j, 0, d - 1)), (A_ @ x_).sum()),
        (Symbol("J"), Sum(x[m, 0] * x[m - 1, 0], (m, 1, d - 1)), (x_[1:] * x_[:-1]).sum()),
        (Symbol("J"), sympy.sqrt(Trace(A * A.T)), np.linalg.norm(A_)),
        (Symbol("J"), sympy.Max(A[0, 0], A[1, 1], 0), max(A_[0, 0], A_[1, 1], 0)),
        (Y, A**3, A_ @ A_ @ A_),
        (Y, A**-2, np.linalg.inv(A_ @ A_)),
        (Y, Inverse(A).T * 2 - x * OneMatrix(1, d), 2 * np.linalg.inv(A_).T - x_[:, None]),
        (Y, sympy.DiagMatrix(x) * A + sympy.Identity(d), np.diag(x_) @ A_ + np.eye(3)),
        (Y, sympy.diagonalize_vector(x) + sympy.ZeroMatrix(d, d), np.diag(x_)),
        (Y, HadamardProduct(A, A.T), A_ * A_.T),
        (Y, sympy.HadamardPower(A, 3), A_**3),
        (
            Y,
            A.applyfunc(Lambda(u, Piecewise((u**2, u > 0), (sympy.sin(u), True)))),
            np.where(A_ > 0, A_**2, np.sin(A_)),
        ),
        (Y[i, j], Piecewise((A[i, j] * x[i, 0], i >= j), (0, True)), np.tril(A_ * x_[:, None])),
        (Y[i, j], Piecewise((A[i + 1, j], i < d - 1), (i, True)), np.vstack([A_[1:], np.full((1, 3), 2)])),
        (Y[i, j], KroneckerDelta(i, j) * x[j, 0], np.diag(x_)),
        (Y[i, j], Piecewise((1, (i > j) & (A[i, j] > 0)), (2, sympy.Eq(i, j)), (3, True)), None),
        (row, x.T * A, x_ @ A_),
        (MatrixSymbol("v", d, 1), (x.T * A).T, A_.T @ x_),
        (X3[i, j, Idx("k", d)], A[i, j] * x[Idx("k", d), 0], A_[:, :, None] * x_),
    ],
)
def test_expressions_have_the_values_of_numpy(left: Any, right: Any, expected: Any) -> None:
    if expected is None:
        expected = np.where(np.tril(A_ > 0, -1), 1, np.where(np.eye(3) == 1, 2, 3))
    read = [symbol for symbol in (A, x) if symbol in sympy.sympify(right).atoms(MatrixSymbol)]
    found = value_of(right, left=left, parameters=read, values={"A": A_, "x": x_})
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_convolution_in_index_form() -> None:
    X, K, Z = IndexedBase("X", shape=(q, d)), IndexedBase("K", shape=(h, q, k)), IndexedBase("Z")
    o, p, c, a = Idx("o", h), Idx("p", d - k + 1), Idx("c", q), Idx("a", k)
    model = from_sympy([(Z[o, p], Sum(K[o, c, a] * X[c, p + a], c, a))], objective=None, parameters=[K], inputs=[X])
    sizes = {"q": 2, "d": 5, "h": 3, "k": 2}
    X_, K_ = random.normal(size=(2, 5)), random.normal(size=(3, 2, 2))
    found = evaluate(model.graph, {"X": X_, "K": K_}, sizes)["Z"]
    windows = np.lib.stride_tricks.sliding_window_view(X_, 2, axis=1)
    np.testing.assert_allclose(found, np.einsum("oca,cpa->op", K_, windows), rtol=1e-12)
    assert model.graph.equations[0].indices == ("o", "p")


J, w = Symbol("J"), MatrixSymbol("w", d, 1)


@pytest.mark.parametrize(
    ("right", "kind", "words"),
    [
        (Float(0.5) * Trace(w.T * w), UsageError, "write a Rational"),
        (0.5, UsageError, "float"),
        ("w.T*w", UsageError, "str"),
        (
            Trace(MatrixSymbol("w", h, 1).T * MatrixSymbol("w", h, 1)),
            UsageError,
            "different symbol of the same name",
        ),
        (Trace(MatrixSymbol("v", d, 1).T * w), UsageError, "v is not known"),
        (w, ShapeError, "the right side is d, and J is scalar"),
        (sympy.gamma(w[0, 0]), UsageError, "gamma"),
        (Trace(sympy.KroneckerProduct(w, w.T)), UsageError, "KroneckerProduct"),
        (sympy.I * w[0, 0], UsageError, "ImaginaryUnit"),
        (Sum(w[m + 1, 0], (m, 0, d - 1)), ShapeError, "leaves its axis"),
        (Sum(w[m, 0], (m, 0, w[0, 0])), UsageError, "not a size"),
        (sympy.Function("f")(w[0, 0]), UsageError, "f"),
        (sympy.Integral(u, (u, 0, 1)), UsageError, "Integral"),
    ],
)
def test_what_is_not_understood_is_refused(right: Any, kind: type[SymbackpropError], words: str) -> None:
    with pytest.raises(kind) as caught:
        from_sympy({J: right}, objective=J, parameters=[w])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"parameters": ["w"]}, "a string"),
        ({"parameters": [w, w]}, "defined twice"),
        ({"parameters": [IndexedBase("w")]}, "no shape"),
        ({"parameters": [w], "objective": "J"}, "objective"),
        ({"parameters": [w], "objective": w}, "objective"),
        ({"parameters": [w], "hypers": {Symbol("c"): 0.1}}, "Rational"),
        ({"parameters": [w], "hypers": [MatrixSymbol("c", d, 1)]}, "scalar"),
        ({"parameters": [Symbol("a b"), w]}, "no name"),
        ({"parameters": [w, MatrixSymbol("v", Symbol("d", real=True), 1)]}, "two different symbols d"),
    ],
)
def test_what_cannot_be_declared_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_sympy({J: Trace(w.T * w)}, **{"objective": J, **arguments})
    assert words in str(caught.value)


def test_sizes_become_dimensions_by_name() -> None:
    size = Symbol("width", integer=True)
    v = MatrixSymbol("v", size, 1)
    model = from_sympy({J: Trace(v.T * v) / size}, objective=J, parameters=[v])
    assert model.graph.declarations[0].shape == (dimension("width"),)
    assert evaluate(model.graph, {"v": [1, 2]}, {"width": 2})["J"] == 2.5
