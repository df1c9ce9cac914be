"""The Python interface: what a derivation shows, operators and SymPy as other ways to write a model, notebooks."""

from __future__ import annotations

import ast
import inspect
import json
import re
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import symbackprop as sb
from symbackprop.algebra import evaluate_sympy, tensor_symbol
from symbackprop.api import DerivedEquation
from symbackprop.checking.reference import prepare
from symbackprop.graph.evaluate import evaluate
from symbackprop.language.vocabulary import FUNCTIONS
from symbackprop.models import builtin_names, builtin_text
from symbackprop.render import source as to_text
from tests.operator_models import OPERATOR_MODELS

NAMES = builtin_names()
HOSTILE = '<script>alert("1")</script> & $x$'


@pytest.fixture(scope="module")
def mlp() -> sb.Derivation:
    return sb.derive(sb.builtin("d2l_mlp"))


# ---------------------------------------------------------------- reading and deriving


def test_a_model_is_read_from_text_file_name_and_choices(tmp_path: Path) -> None:
    text = builtin_text("d2l_mlp")
    (tmp_path / "d2l_mlp.eq").write_text(text, encoding="utf-8")
    models = [sb.parse(text), sb.parse(text.encode()), sb.load(tmp_path / "d2l_mlp.eq"), sb.builtin("d2l_mlp")]
    assert len({model.graph for model in models}) == 1
    assert [model.name for model in models] == ["model", "model", "d2l_mlp", "d2l_mlp"]
    assert sb.mlp([4, 3, 2], activation="tanh", loss="squared").parameters == ("W1", "b1", "W2", "b2")


@pytest.mark.parametrize("read", [sb.builtin, sb.load])
def test_a_model_that_is_not_there_is_named(read: Any) -> None:
    with pytest.raises(sb.UsageError, match="no_such_model"):
        read("no_such_model")


def test_the_choices_of_mlp_are_those_of_the_writer() -> None:
    from symbackprop.perceptron import Perceptron

    given = {name: p.default for name, p in inspect.signature(sb.mlp).parameters.items() if name != "hyper"}
    fields = {name: p.default for name, p in inspect.signature(Perceptron).parameters.items() if name != "hyper"}
    assert given == fields


def test_the_equations_in_order(mlp: sb.Derivation) -> None:
    assert [equation.name for equation in mlp.forward] == ["z", "a", "o", "L", "s", "J"]
    assert [equation.name for equation in mlp.backward] == [
        f"∂J/∂{name}" for name in ("J", "s", "L", "o", "a", "z", "W1", "b1", "W2", "b2")
    ]
    gradient = mlp.gradient("W1")
    assert gradient.text() == repr(gradient) == "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1"
    assert gradient.latex().startswith(r"\frac{\partial J}{\partial \mathbf{W}^{(1)}} = ")
    assert gradient.why == "through (1) and (5), added up"
    assert [str(size) for size in gradient.shape] == ["h", "d"]
    assert gradient.expression is gradient.equation.node
    assert str(gradient.sympy()) == "lambda*W1 + ∂J/∂z*x.T"
    assert mlp.forward[0].why == ""
    assert mlp.gradient("W1", batch_form=True).text() == "∂J/∂W1 = (∂J/∂Z)ᵀ X + λ W1"


def test_wrt_takes_inputs_and_refuses_what_is_none() -> None:
    model = sb.builtin("d2l_mlp")
    assert [e.name for e in sb.derive(model, wrt=["x"]).backward][-1] == "∂J/∂x"
    for name in ("nope", "z"):
        with pytest.raises(sb.UsageError, match=name):
            sb.derive(model, wrt=[name])
    with pytest.raises(sb.UsageError, match="integers"):
        sb.derive(sb.builtin("softmax_regression"), wrt=["y"])
    with pytest.raises(sb.UsageError, match="no derivative by x"):
        sb.derive(model).gradient("x")


def test_the_documents(mlp: sb.Derivation) -> None:
    assert "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1" in mlp.text()
    assert r"\begin{" in mlp.latex() and r"\documentclass" in mlp.latex(standalone=True)
    assert mlp.markdown().startswith("# ")
    assert [e["name"] for e in json.loads(mlp.json())["equations"]] == [e.name for e in (*mlp.forward, *mlp.backward)]
    assert "(∂J/∂Z)ᵀ X" in mlp.text(batch_form=True)


def test_a_kernel_has_the_gradients_that_were_asked_for() -> None:
    model = sb.builtin("ridge_regression")
    kernel = sb.derive(model, wrt=["X", "w"]).kernel()
    params = kernel.init(seed=0, dtype=np.float64, sizes={"n": 3, "d": 2})
    params["w"] = np.array([1.0, 2.0])
    inputs = {"X": np.eye(3, 2), "y": np.ones(3)}
    _, gradients = kernel.loss_and_grad(params, inputs)
    assert list(gradients) == ["X", "w"]
    residual = inputs["X"] @ params["w"] + params["b"] - 1
    np.testing.assert_allclose(gradients["X"], np.outer(residual, params["w"]))


@pytest.mark.parametrize("order", [0, 3])
def test_an_order_that_is_not_offered_is_refused(mlp: sb.Derivation, order: int) -> None:
    for ask in (mlp.kernel, mlp.source):
        with pytest.raises(sb.UsageError, match=f"order {order}"):
            ask(order)


def test_a_check_says_what_it_found(mlp: sb.Derivation) -> None:
    derivation = sb.derive(sb.builtin("ridge_regression"), wrt=["X"])
    seen: list[tuple[int, int]] = []
    report = sb.check(derivation, seed=0, samples=1, progress=lambda done, of, label: seen.append((done, of)))
    assert report.ok
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1]
    assert {parameter for parameter, _ in report.worst} == {"J", "w", "b"}
    assert report.worst["w", "exact"] == 0
    assert report.worst["w", "complex step"] <= 1e-12
    assert "complex step" in report.table and str(report) == report.table
    wrong = mlp.kernel()
    right = wrong.loss_and_grad
    wrong.loss_and_grad = lambda *a, **k: (right(*a, **k)[0], {n: 2 * g for n, g in right(*a, **k)[1].items()})  # type: ignore[attr-defined]
    assert not sb.check(mlp, samples=1, kernel=wrong).ok


# ---------------------------------------------------------------- notebooks


def test_a_notebook_shows_mathematics(mlp: sb.Derivation) -> None:
    assert mlp._repr_latex_() == mlp.latex()
    assert mlp.gradient("b2")._repr_latex_().startswith(r"$\displaystyle \frac{")
    assert mlp._repr_html_().count("<tr>") == len(mlp.forward) + len(mlp.backward)
    assert mlp.gradient("b2")._repr_html_().count("<tr>") == 1
    assert "d2l_mlp" in repr(mlp) and "W1" in repr(mlp.model)
    assert "z = W1 x + b1" in mlp.model._repr_html_()


def test_what_a_notebook_shows_is_escaped() -> None:
    model = sb.parse(f"# {HOSTILE}\ndim d = 2\nparam w[d]\nL = w^T w\nminimize L\n", name=HOSTILE)
    derivation = sb.derive(model)
    report = sb.check(derivation, samples=1)
    equations = (*derivation.forward, *derivation.backward)
    for shown in (derivation, model, report, *equations):
        assert "<script" not in shown._repr_html_()
    assert "&lt;script&gt;" in derivation._repr_html_() and "&lt;script&gt;" in model._repr_html_()
    for source in (derivation._repr_latex_(), *(equation._repr_latex_() for equation in equations)):
        assert "<script" not in source


def test_the_signs_of_mathematics_are_no_markup() -> None:
    model = sb.parse("dim d = 3\nparam A[d, d]\nM[i, j] = where(i < j, A[i, j], 0)\nL = ||M||^2\nminimize L\n")
    shown = sb.derive(model)._repr_html_()
    assert "&amp;" in shown  # the alignment of cases
    assert not re.search(r"&(?!(lt|gt|amp|quot|#x27);)", shown)
    assert "<" not in re.sub(r"</?(table|tr|td|p|b)( style=[^>]*)?>", "", shown)


def test_a_model_without_a_text_shows_its_tensors() -> None:
    model = OPERATOR_MODELS["d2l_mlp"](sb.Builder("d2l_mlp", batch="n"))
    assert "W1 (h × d)" in model._repr_html_() and "J (" in model._repr_html_()


# ---------------------------------------------------------------- operators


@pytest.mark.parametrize("name", NAMES)
def test_operators_build_the_graph_of_the_text(name: str) -> None:
    wanted = sb.builtin(name)
    found = OPERATOR_MODELS[name](sb.Builder(name, batch=wanted.batch))
    assert found.graph.declarations == wanted.graph.declarations
    for ours, theirs in zip(found.graph.equations, wanted.graph.equations, strict=True):
        assert (ours.name, ours.indices) == (theirs.name, theirs.indices)
        assert ours.node is theirs.node
    assert found.graph.constraints == wanted.graph.constraints
    for part in ("objective", "outputs", "batch", "hyper_defaults", "functions"):
        assert getattr(found, part) == getattr(wanted, part)
    assert set(found.dimensions) == set(wanted.dimensions)


def test_a_tensor_that_is_never_used_is_refused_in_every_way_to_write_a_model() -> None:
    b = sb.Builder()
    (n,) = b.dims(n=4)
    x, w = b.param("x", n), b.param("w", n)
    b.let("L", b.norm(x))
    with pytest.raises(sb.UsageError, match="w is never used; use it"):
        b.model("L")
    b.let("M", b.norm(w))  # what reads it may itself be unused
    assert sb.parse(to_text(b.model("L"))).parameters == b.model("L").parameters
    length = sympy.Symbol("n", integer=True, positive=True)
    used, unused = sympy.MatrixSymbol("u", length, 1), sympy.MatrixSymbol("w", length, 1)
    equations = {sympy.Symbol("L"): sympy.Trace(used * used.T)}
    with pytest.raises(sb.UsageError, match="w is never used; use it"):
        sb.from_sympy(equations, objective=sympy.Symbol("L"), parameters=[used, unused])


def test_every_function_of_the_language_is_there() -> None:
    b = sb.Builder()
    for name in FUNCTIONS:
        assert callable(getattr(b, name))
    with pytest.raises(AttributeError, match="softmaxx"):
        getattr(b, "softmaxx")  # noqa: B009  (looked up by name, as the functions are)


def both(text: str, write: Any) -> None:
    """The equation y of a text and of operators is one node."""
    head = "dim n = 4, m = 3\ninput x[n], A[n, n], k[m] in n\nparam w[n], v[m], c[]\nfunction phi\n"
    rest = "".join(f"\n{name}_used = 2 {name}" for name in ("x", "A", "w", "v", "c")) + "\nk_used = onehot(k)\n"
    wanted = sb.parse(head + text + rest).graph.by_name["y"]
    b = sb.Builder()
    n, m = b.dims(n=4, m=3)
    tensors = [b.input("x", n), b.input("A", n, n), b.input("k", m, classes=n)]
    tensors += [b.param("w", n), b.param("v", m), b.param("c")]
    phi = b.function("phi")
    right, *indices = write(b, n, m, *tensors, phi)
    b.let("y", right, *indices)
    for tensor in tensors:
        name = str(tensor.node.payload[1])
        b.let(f"{name}_used", b.onehot(tensor) if name == "k" else 2 * tensor)
    found = b.model().graph.by_name["y"]
    assert found.node is wanted.node
    assert found.indices == wanted.indices


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("y = phi(x) + 2 x", lambda b, n, m, x, A, k, w, v, c, phi: (phi(x) + 2 * x,)),
        ("y = max(x, w)", lambda b, n, m, x, A, k, w, v, c, phi: (b.max(x, w),)),
        ("y = max(x)", lambda b, n, m, x, A, k, w, v, c, phi: (b.max(x),)),
        ("y = ||A||_1 + ||x||_inf", lambda b, n, m, x, A, k, w, v, c, phi: (b.norm(A, "1") + b.norm(x, "inf"),)),
        ("y = ones(n) x^T + onehot(k)^T v w^T", None),
        ("y = 1 - c / (1 + c^2)", lambda b, n, m, x, A, k, w, v, c, phi: (1 - c / (1 + c**2),)),
        ("y = diag(x) A' - 2 I", lambda b, n, m, x, A, k, w, v, c, phi: (b.diag(x) @ A.T - 2 * b.identity(n),)),
        (
            "y[i] = x[n - 1 - i] w[i] / n",
            lambda b, n, m, x, A, k, w, v, c, phi: (x[n - 1 - b.index("i")] * w[b.index("i")] / n, b.index("i")),
        ),
        (
            "y[j] = x[k[j]] + v[j]^2 - c",
            lambda b, n, m, x, A, k, w, v, c, phi: (x[k[b.index("j")]] + v[b.index("j")] ** 2 - c, b.index("j")),
        ),
        (
            "y[i] = where(i > 0, x[i - 1], 0)",
            lambda b, n, m, x, A, k, w, v, c, phi: (b.where(b.index("i") > 0, x[b.index("i") - 1], 0), b.index("i")),
        ),
        (
            "y[i] = where(x[i] >= 1/2, i, -inf) + A[i, i]",
            lambda b, n, m, x, A, k, w, v, c, phi: (
                b.where(x[b.index("i")] >= sympy.Rational(1, 2), b.index("i"), -inf) + A[b.index("i"), b.index("i")],
                b.index("i"),
            ),
        ),
        (
            "y = logsumexp[i, j](A[i, j] x[j]) - mean[i](phi(w[i]))",
            lambda b, n, m, x, A, k, w, v, c, phi: (
                b.logsumexp(A[b.index("i"), b.index("j")] * x[b.index("j")], b.index("i"), b.index("j"))
                - b.mean(phi(w[b.index("i")]), b.index("i")),
            ),
        ),
        (
            "y[i in m] = max[u in 2](x[i + u]) 3",
            lambda b, n, m, x, A, k, w, v, c, phi: (
                b.max(x[b.index("i") + b.index("u")], b.index("u", 2)) * 3, b.index("i", m),
            ),
        ),
        (
            "y[i] = where((i != 0) (i < 3), 1 / (2 + x[i]), -x[0])",
            lambda b, n, m, x, A, k, w, v, c, phi: (
                b.where((b.index("i") != 0) * (b.index("i") < 3), 1 / (2 + x[b.index("i")]), -x[0]), b.index("i"),
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_operators_mean_what_the_language_means(text: str, write: Any) -> None:
    if write is None:
        write = lambda b, n, m, x, A, k, w, v, c, phi: (b.ones(n) @ x.T + b.onehot(k).T @ v @ w.T,)  # noqa: E731
    both(text, write)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda b, n, x, A, i, j: A[i] * x[i], "A has 2 axes"),
        (lambda b, n, x, A, i, j: x[i + 1] if b.let("t", x[i] * 1, j) else 0, "the index i is bound nowhere"),
        (lambda b, n, x, A, i, j: b.let("t", x[i] * x[i + 1] * x[n], i), "leaves its axis"),
        (lambda b, n, x, A, i, j: b.let("t", x[i] + x, i), "stands among indices without its own"),
        (lambda b, n, x, A, i, j: b.let("t", x[i] * x[i * i], i), "a subscript is a sum of indices"),
        (lambda b, n, x, A, i, j: b.let("t", x[i] + 0.5, i), "numbers are exact"),
        (lambda b, n, x, A, i, j: b.let("t", x, i), "names indices"),
        (lambda b, n, x, A, i, j: b.let("t", b.sum(x[i] * 2, j), i), "nothing says how far the index j runs"),
        (lambda b, n, x, A, i, j: b.let("x", 2 * x), "x is defined twice"),
        (lambda b, n, x, A, i, j: b.let("relu", 2 * x), "cannot be a name"),
        (lambda b, n, x, A, i, j: b.cross_entropy(b.softmax(x), x), "this is a softmax already"),
        (lambda b, n, x, A, i, j: b.softmax(x, x), "softmax takes 1 argument"),
        (lambda b, n, x, A, i, j: x + A, "the shapes differ"),
        (lambda b, n, x, A, i, j: b.let("t", x + b.param("w", *b.dims(m=5))), "the sizes m .5. and n .4. must be equal here"),
        (lambda b, n, x, A, i, j: "yes" if i > j else "no", "no truth value"),
        (lambda b, n, x, A, i, j: b.dims(n=0), "whole number"),
        (lambda b, n, x, A, i, j: sb.Builder(batch="n").input("z", n), "batch dimension"),
        (lambda b, n, x, A, i, j: sb.Builder().model(), "no equation"),
        (lambda b, n, x, A, i, j: b.minimize(x), "named scalar"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_operators_refuse_what_the_language_refuses(wrong: Any, message: str) -> None:
    b = sb.Builder()
    (n,) = b.dims(n=4)
    x, A, i, j = b.input("x", n), b.param("A", n, n), b.index("i"), b.index("j")
    with pytest.raises(sb.SymbackpropError, match=message):
        result = wrong(b, n, x, A, i, j)
        b.let("t", result, i)


# ---------------------------------------------------------------- SymPy


@pytest.mark.parametrize("name", NAMES)
def test_every_equation_in_sympy_has_the_numbers_of_the_kernel(name: str) -> None:
    derivation = sb.derive(sb.builtin(name))
    sample = prepare(derivation.model, seed=0, samples=1).tiny[0].sample
    sizes, inputs = dict(sample.sizes), set(sample.inputs)
    one = {k: v[0] if derivation.model.batch and k in inputs else v for k, v in sample.values().items()}
    for derived, values in ((derivation.batch, sample.values()), (derivation.example, one)):
        expected = evaluate(derived.graph, values, sizes)
        for equation in (*derived.forward, *derived.backward):
            found = evaluate_sympy(DerivedEquation(derived, equation).sympy(), {**values, **expected}, sizes)
            close(found, expected[equation.name], f"{equation.name}")
    expected = evaluate(derivation.batch.graph, sample.values(), sizes)
    hyper = {k: float(v) for k, v in sample.hyper.items()}
    loss, gradients = derivation.kernel().loss_and_grad(sample.params, sample.inputs, hyper=hyper)
    close(np.asarray(loss), expected[derivation.batch.target], "loss")
    for parameter, gradient in gradients.items():
        close(gradient, expected[derivation.batch.gradient_name(parameter)], parameter)


def close(found: Any, wanted: Any, what: str) -> None:
    assert found.shape == wanted.shape, what
    finite = np.isfinite(wanted)
    assert np.array_equal(found[~finite], wanted[~finite]), what
    scale = max(1.0, np.abs(wanted[finite]).max(initial=0))
    assert np.abs(found[finite] - wanted[finite]).max(initial=0) <= 1e-12 * scale, what


@pytest.mark.parametrize("name", NAMES)
def test_a_model_comes_back_from_sympy(name: str) -> None:
    model = sb.builtin(name)
    kinds: dict[str, list[Any]] = {"input": [], "target": [], "parameter": [], "hyper": []}
    for leaf in model.graph.declarations:
        symbol = tensor_symbol(leaf)
        kinds[leaf.kind].append(symbol if leaf.classes is None else (symbol, leaf.classes))
    derivation = sb.derive(model)
    again = sb.from_sympy(
        [(tensor_symbol(e.equation.reference), e.sympy()) for e in derivation.forward],
        objective=sympy.Symbol(model.objective), parameters=kinds["parameter"], inputs=kinds["input"],
        targets=kinds["target"], hypers=kinds["hyper"], batch=None if model.batch is None else sympy.Symbol(model.batch),
    )  # fmt: skip
    sample = prepare(model, seed=0, samples=1).tiny[0].sample
    wanted = evaluate(derivation.batch.graph, sample.values(), dict(sample.sizes))
    found = evaluate(sb.derive(again).batch.graph, sample.values(), dict(sample.sizes))
    for parameter in model.parameters:
        gradient = derivation.batch.gradient_name(parameter)
        close(found[gradient], wanted[gradient], gradient)


# ---------------------------------------------------------------- what is public


def test_everything_public_has_a_docstring_and_types() -> None:
    for name in sb.__all__:
        thing = getattr(sb, name)
        if callable(thing):
            assert inspect.getdoc(thing), name
    source = Path(inspect.getfile(sb.Derivation)).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.returns is not None, node.name


def test_the_docstrings_examples_run() -> None:
    import doctest

    import symbackprop.builder

    for module in (sb, symbackprop.builder):
        failed, tried = doctest.testmod(module)
        assert tried and not failed
