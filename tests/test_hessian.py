"""The hessian command: what it prints, what it says of the cost, and what it refuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfReader

import symbackprop as sb
from symbackprop.cli import run
from symbackprop.footprint.growth import Growth
from symbackprop.footprint.memory_use import value_at
from symbackprop.graph.walk import topological
from symbackprop.models import builtin_names
from tests.render.reading import text_differences
from tests.render.test_latex import compiled, standalone

Golden = Callable[[str, str], None]
NAMES = builtin_names()


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["hessian", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton", "fisher", "empirical-fisher"])
def test_products_of_the_classifier(curvature: str, golden: Golden) -> None:
    derivation = sb.derive(sb.builtin("mlp_classifier")).products(curvature)
    golden(f"render/mlp_classifier.{curvature}.txt", derivation.text())
    golden(f"render/mlp_classifier.{curvature}.tex", derivation.latex(batch_form=True))


@pytest.mark.parametrize("name", NAMES)
def test_products_of_every_built_in_model(name: str, golden: Golden) -> None:
    golden(f"render/{name}.products.txt", sb.derive(sb.builtin(name)).products().text())


TEXTBOOK = {
    "dim d = 4\nbatch n = 8\ninput x[d]\ntarget y\nparam w[d]\nz = w^T x\nL = softplus(z) - y z\nminimize L":
        ("w,w", "∂²L/∂w∂w = (1 − σ(z)) σ(z) x xᵀ", "∂²L/∂w∂w = Xᵀ diag((1 − σ(z)) ⊙ σ(z)) X/n"),
    "dim d = 3\nparam x[d]\ninput A[d, d]\nL = x^T A x\nminimize L": ("x,x", "∂²L/∂x∂x = A + Aᵀ", ""),
    "dim q = 4\nparam o[q]\ntarget y in q\nL = cross_entropy(o, y)\nminimize L": ("o,o", "∂²L/∂o∂o = diag(p) − p pᵀ", ""),
    "dim m = 3, n = 2, k = 2\nparam U[m, k], V[n, k]\ntarget R[m, n]\nL = 1/2 ||U V^T - R||^2\nminimize L":
        ("U,U", "∂²L/∂U∂U = (Vᵀ V) ⊗ I", ""),
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTBOOK)
def test_blocks_of_textbooks(text: str) -> None:
    block, example, batch = TEXTBOOK[text]
    derivation = sb.derive(sb.parse(text)).block(*block.split(","))
    assert f" {example} " in f" {' '.join(derivation.text().split())} "
    assert not batch or f" {batch} " in f" {' '.join(derivation.text(batch_form=True).split())} "


def test_the_last_layer_of_the_squared_loss(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "d2l_mlp", "--block", "W2,W2")
    assert "∂²J/∂W2∂W2 = (a aᵀ) ⊗ I + λ I" in out
    assert "vec(A X B) = (Bᵀ ⊗ A) vec(X)" in out
    assert "the last of these has 6,553,600 entries, 26,214,400 bytes" in out
    assert "∂²J/∂W1∂W2[i, j, k, l] = " in printed(capsys, "d2l_mlp", "--block", "W1,W2")


def test_a_scalar_has_one_entry(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = tmp_path / "line.eq"
    model.write_text("param c[]\nL = c^2\nminimize L\n", encoding="utf-8")
    assert "the last of these has 1 entry, 4 bytes" in printed(capsys, str(model), "--block", "c,c")
    assert "the matrix has 1 entry, 4 bytes" in printed(capsys, str(model))


def test_the_last_layer_of_the_classifier(capsys: pytest.CaptureFixture[str]) -> None:
    assert "∂²J/∂W3∂W3 = (a2 a2ᵀ) ⊗ (diag(p) − p pᵀ) + λ I" in printed(capsys, "mlp_classifier", "--block", "W3,W3")
    out = printed(capsys, "mlp_classifier", "--diagonal")
    assert "diag(∂²J/∂W3∂W3) = (p ⊙ (1 − p)) (a2 ⊙ a2)ᵀ + λ" in out
    assert "diag(∂²J/∂W1∂W1)" not in out and "v ⊙ H v" in out
    out = printed(capsys, "mlp_classifier", "--block", "W2,W2", "--gauss-newton")
    assert "Q = ½ vᵀ G v" in out and "∂²Q/∂Ẇ2∂Ẇ2 = (a1 a1ᵀ) ⊗ " in out


@pytest.mark.parametrize("batched", [False, True], ids=["example", "batch"])
@pytest.mark.parametrize("name", NAMES)
def test_products_are_read_back(name: str, batched: bool) -> None:
    """Printed text of the language parses to the graph that was printed."""
    assert text_differences(sb.derive(sb.builtin(name), all_values=True).products().form(batched)) == []


def test_latex_compiles(tmp_path: Path) -> None:
    fragments = []
    for name in NAMES:
        derivation = sb.derive(sb.builtin(name))
        fragments += [derivation.products().latex(), derivation.products().next_order().latex(notation="delta")]
    classifier = sb.derive(sb.builtin("mlp_classifier"))
    fragments += [classifier.block(r, c).latex() for r, c in (("W1", "W1"), ("W1", "W2"), ("b1", "W3"))]
    fragments += [classifier.diagonal().latex(), classifier.products("gauss-newton").latex(notation="nabla")]
    compiled(standalone(fragments), tmp_path)


def test_the_whole_document_compiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compiled(printed(capsys, "mlp_classifier", "--format", "latex", "--standalone"), tmp_path)


def test_the_same_in_markdown_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "d2l_mlp", "--format", "markdown")
    assert "## Hessian-vector product" in text and "## What it takes" in text
    document = json.loads(printed(capsys, "d2l_mlp", "--json"))
    assert {equation["kind"] for equation in document["equations"]} == {"forward", "backward", "hessian"}
    stages = {stage["name"]: stage for stage in document["growth"]["stages"]}
    assert stages["gradient"]["to_a_gradient"] == "1.00"
    assert document["growth"]["matrix"]["rows"]["number"] == 784 * 256 + 256 + 256 * 10 + 10
    block = json.loads(printed(capsys, "d2l_mlp", "--json", "--block", "b2,b2"))
    assert block["growth"]["bytes"]["number"] == 4 * 100


def test_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "mlp_classifier", "--memory", "24GiB")
    assert "the matrix has 55,293,641,316 entries, 221,174,565,264 bytes" in " ".join(out.split())
    assert "it does not fit 25,769,803,776 bytes: the product with a direction does without it" in " ".join(out.split())
    assert "it fits" in printed(capsys, "mlp", "--layers", "3,2", "--memory", "1GiB")
    out = printed(capsys, "mlp_classifier", "--block", "W1,W1", "--memory", "24GiB")
    assert "161,128,382,464 bytes\nit does not fit 25,769,803,776 bytes: the product with a direction" in out


@pytest.mark.parametrize("name", NAMES)
def test_growth_is_counted_from_the_graph_and_the_plan(name: str) -> None:
    derived = sb.derive(sb.builtin(name)).products().batch
    growth = Growth(derived)
    forward, gradient, product, both = growth.stages
    assert forward.nodes <= gradient.nodes <= both.nodes >= product.nodes
    numbers = growth.second.numbers({})
    first = growth.first
    whole = first.multiply_adds(backward=False) + first.multiply_adds(backward=True)
    assert value_at(gradient.multiply_adds, numbers) == value_at(whole, numbers)
    work = [value_at(stage.multiply_adds, numbers) for stage in growth.stages]
    assert work[0] <= work[1] <= work[3] and work[2] <= work[3] <= 4 * work[1]


def test_nodes_and_edges_of_a_chain() -> None:
    text = "dim d = 3\nparam w[d]\nz = tanh(w)\nL = sum(z)\nminimize L"
    derived = sb.derive(sb.parse(text)).products().batch
    forward = Growth(derived).stages[0]
    distinct = {node for equation in derived.forward for node in topological([equation.node])}
    assert (forward.equations, forward.nodes, forward.edges, forward.depth) == (2, 3, 2, 2)
    assert len(distinct) == 4  # z is there twice: as what is computed, and as a name


def test_equations_are_linear_in_depth() -> None:
    counts = [len(sb.derive(sb.mlp([4] * (k + 1), activation="tanh")).products().example.equations) for k in (4, 8, 12)]
    assert counts[1] - counts[0] == counts[2] - counts[1]


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_a_picture_of_the_growth(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"growth.{suffix}"
    printed(capsys, "mlp", "--layers", "6,5,3", "--activation", "tanh", "--plot", str(path))
    if suffix != "svg":
        assert path.read_bytes().startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[suffix])
        return
    words = [element.text or "" for element in ET.parse(path).getroot() if element.tag.endswith("text")]
    assert [word.split(":")[0] for word in words if ": " in word][-4:] == ["forward", "gradient", "product", "its derivative"]


def test_an_output_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "second.tex"
    assert run(["hessian", "d2l_mlp", "-o", str(path)]) == 0
    assert "% Hessian-vector product" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [[], ["--block", "W2,W2"], ["--diagonal"]], ids=" ".join)
def test_a_document_has_the_equations_and_what_they_take(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "second.pdf"
    assert run(["hessian", "d2l_mlp", *words, "-o", str(path)]) == 0
    text = " ".join(page.extract_text() for page in PdfReader(path).pages).replace("\n", " ")
    title, costs = {"": ("Hessian-vector product", "What it takes"), "--block": ("Block", "the last of these has"),
                    "--diagonal": ("Diagonal", "the last of these has")}[" ".join(words[:1])]  # fmt: skip
    assert title in text and costs in text and "bytes" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--block", "W1"], "two names with a comma between"),
        (["--block", "W1,W9"], "there is no block of W9: the derivatives are by W1, b1, W2, b2"),
        (["--block", "W1,W2", "--diagonal"], "give one of them"),
        (["--gauss-newton", "--fisher"], "give one of them"),
        (["--fisher", "mine"], "--fisher"),
        (["--order", "9"], "is not 2, 3 or 4"),
        (["--block", "W1,W1", "--order", "3"], "--order"),
        (["--sizes", "zz=3"], "no dimension zz"),
        (["--dtype", "float16"], "no dtype 'float16'"),
        (["--memory", "much"], "--memory 'much'"),
        (["--plot", "x.gif"], "the name of an .svg, a .png or a .pdf is needed"),
        (["--wrt", "zz"], "no input or parameter zz"),
        (["--wrt", ","], "names with commas between"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hessian", "d2l_mlp", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and message in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_a_kernel_of_order_two_from_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "second.py"
    assert run(["generate", "d2l_mlp", "--order", "2", "--hessian", "-o", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "def hvp(" in text and "def hessian(" in text
    for words, message in (
        (["--gauss-newton"], "--order 2"), (["--order", "2", "--checkpoint", "1"], "checkpoints are for order 1"),
        (["--order", "3"], "is not 1 or 2"),
    ):  # fmt: skip
        assert run(["generate", "d2l_mlp", "-o", "-", *words]) == 2
        assert message in capsys.readouterr().err


def test_by_inputs_there_are_equations_but_no_kernel_of_the_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "inputs.eq"
    path.write_text("dim d = 3\nbatch n = 2\ninput x[d]\nL = ||x||^2\nminimize L\n", encoding="utf-8")
    assert "∂L̇/∂x = 2 ẋ" in printed(capsys, str(path), "--wrt", "x")
    assert run(["hessian", str(path)]) == 2
    assert "has no parameters, and no input was named" in capsys.readouterr().err
    derivation = sb.derive(sb.load(path), wrt=["x"])
    assert derivation.kernel(2).hvp({}, {"x": [[1.0, 2.0, 3.0]]}, {"x": [[0.0, 0.0, 0.0]]})["x"].tolist() == [[2.0, 4.0, 6.0]]
    with pytest.raises(sb.UsageError, match="the matrix by x is one for each example"):
        derivation.kernel(hessian=True)
