"""docs/language.md is true: its models derive, its outputs and messages are those shown, its tables are complete."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from symbackprop.api import derive, parse
from symbackprop.errors import EquationError
from symbackprop.functions.registry import ACTIVATIONS, ELEMENTARY, LOSSES
from symbackprop.graph.evaluate import evaluate
from symbackprop.language.calls import SPECIAL
from symbackprop.language.tokens import DIGIT_LIMIT, NAME_LIMIT, NESTING_LIMIT, TOKEN_LIMIT
from symbackprop.language.vocabulary import RESERVED, STATEMENTS
from tests.language.models import below_a_heading, meaning

FILE = Path(__file__).parents[2] / "docs" / "language.md"
PAGE = FILE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
MODELS = [body for kind, extra, body in BLOCKS if kind == "eq" and not extra]
WRONG = [(body, shown) for (_, extra, body), (_, _, shown) in zip(BLOCKS, BLOCKS[1:], strict=False) if extra == "wrong"]
OUTPUTS = [
    (body, extra == "batch", shown)
    for (kind, wrong, body), (after, extra, shown) in zip(BLOCKS, BLOCKS[1:], strict=False)
    if kind == "eq" and not wrong and after == "text"
]


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading; \\| is no border."""
    section = re.split(r"^#+ ", PAGE.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_has_what_is_tested() -> None:
    assert len(MODELS) >= 9 and len(WRONG) >= 7 and len(OUTPUTS) >= 4
    assert {kind for kind, _, _ in BLOCKS} == {"eq", "text"}


@pytest.mark.parametrize("text", MODELS, ids=lambda text: text.split("\n")[0][:40])
def test_a_model_parses_derives_and_has_a_kernel(text: str) -> None:
    model = parse(text)
    assert model.warnings == () and model.objective
    derivation = derive(model)
    assert {derivation.gradient(name).name for name in model.parameters}
    assert derivation.source()


def same(shown: str, found: str, update: bool) -> None:
    """Compare what the page shows with what is found; --update-golden puts it into the page."""
    if update:
        FILE.write_text(FILE.read_text(encoding="utf-8").replace(shown, found), encoding="utf-8")
    else:
        assert found == shown


@pytest.mark.parametrize(("text", "batched", "shown"), OUTPUTS, ids=[text.split("\n")[0][:40] for text, _, _ in OUTPUTS])
def test_an_output_is_what_is_shown(text: str, batched: bool, shown: str, update_golden: bool) -> None:
    whole = derive(parse(text, name="mine")).text(batch_form=batched, width=100) + "\n"
    heading = shown.split("\n")[0]
    part = whole[whole.index(f"{heading}\n") :].split("\n\n")[0].rstrip("\n")
    same(shown, f"{part}\n", update_golden)


@pytest.mark.parametrize(("text", "shown"), WRONG, ids=[text.split("\n")[-2] for text, _ in WRONG])
def test_a_wrong_text_has_the_message_shown(text: str, shown: str, update_golden: bool) -> None:
    with pytest.raises(EquationError) as caught:
        parse(text, name="mine", filename="mine.eq")
    same(shown, f"{caught.value}\n", update_golden)


# ---------------------------------------------------------------- tables

POINTS = np.array([-7.0, -3.2, -1.5, -0.4, 0.0, 0.3, 0.9, 1.7, 2.6, 5.5, 8.0])


def values(declarations: str, call: str, **arrays: np.ndarray) -> np.ndarray:
    parameters = ", ".join(f"{name}[m]" for name in arrays)
    model = below_a_heading(f"dim m\nparam {parameters}\n{declarations}\nresult = {call}")
    return evaluate(model.graph, arrays, {"m": len(POINTS)})["result"]


def test_the_statements_are_all_there() -> None:
    words = {code(row[0])[0].split()[0] for row in table("Statements")}
    assert words >= set(STATEMENTS)


def test_the_activations_are_all_there() -> None:
    assert {code(row[0])[0] for row in table("Activations")} == set(ACTIVATIONS)


@pytest.mark.parametrize("row", table("Activations"), ids=lambda row: row[0])
def test_an_activation_is_its_formula(row: list[str]) -> None:
    (name,), (formula,) = code(row[0]), code(row[1])
    found = values("", f"{name}(u)", u=POINTS)
    assert found == pytest.approx(values(f"function formula(u) = {formula}", "formula(u)", u=POINTS), rel=1e-12, abs=1e-12)
    assert np.isfinite(found).all() and row[2] == "all u"


def test_the_losses_are_all_there() -> None:
    assert {code(row[0])[0] for row in table("Losses")} == set(LOSSES)


@pytest.mark.parametrize("row", table("Losses"), ids=lambda row: row[0])
def test_a_loss_is_its_formula(row: list[str]) -> None:
    (name,), (formula,) = code(row[0]), code(row[1])
    arrays = {"o": POINTS, "y": np.roll(POINTS, 3)}
    found = values("", f"{name}(o, y)", **arrays)
    assert found == pytest.approx(values(f"function formula(o, y) = {formula}", "formula(o, y)", **arrays), rel=1e-12, abs=1e-12)


DOMAINS = {"all u": POINTS, "u > 0": POINTS[POINTS > 0], "u >= 0": POINTS[POINTS >= 0]}
OF_PYTHON = {"abs": abs, "sign": lambda u: (u > 0) - (u < 0)}


def test_the_elementary_functions_are_all_there() -> None:
    assert {name for row in table("Elementary functions") for name in code(row[0])} == set(ELEMENTARY)


@pytest.mark.parametrize("row", table("Elementary functions"), ids=lambda row: row[0])
def test_an_elementary_function_is_that_of_its_name(row: list[str]) -> None:
    points = DOMAINS[row[2].split(" (")[0]]
    outside = POINTS[~np.isin(POINTS, points)]
    for name in code(row[0]):
        padded = np.resize(points, len(POINTS))
        wanted = [float((OF_PYTHON.get(name) or getattr(math, name))(float(u))) for u in padded]
        assert values("", f"{name}(u)", u=padded) == pytest.approx(wanted, rel=1e-12)
        if len(outside):
            assert not np.isfinite(values("", f"{name}(u)", u=np.resize(outside, len(POINTS)))).any()


DECLARED = """\
dim h = 4, d = 3, q = 5
param X[h, d], A[h, h], u[h], v[h], o[q]
target y in q
"""


def test_the_functions_of_whole_tensors_are_all_there() -> None:
    names = [code(row[0])[0].split("(")[0] for row in table("Functions of whole tensors")]
    assert set(names) == {*SPECIAL, "where"}
    assert names.count("max") == names.count("min") == 2


@pytest.mark.parametrize("row", table("Functions of whole tensors"), ids=lambda row: row[0])
def test_a_function_of_whole_tensors_is_its_index_form(row: list[str]) -> None:
    call = code(row[0])[0]
    found = meaning(f"L = {call}", DECLARED)
    for equation in code(row[2]):
        assert found is meaning(equation, DECLARED)


def test_further_forms_mentioned_in_the_tables() -> None:
    for left, right in (
        ("L = norm(X)", "L = ||X||"),
        ("L = inv(A)", "L = A^-1"),
        ("L = onehot(y, 7)", "L[i in 7] = [i = y]"),
        ("L = diag(v)", "L[i in h, j in h] = v[i] [i = j]"),
        ("L = size(h)", "L = h"),
        ("L = floor(h/2)", "L = floor(1/2 h)"),
    ):
        assert meaning(left, DECLARED) is meaning(right, DECLARED)


@pytest.mark.parametrize("row", table("Other spellings"), ids=lambda row: row[0])
def test_both_spellings_mean_the_same(row: list[str]) -> None:
    declared = "dim h = 4\nparam A[h, h], B[h, h], u[h], v[h], s[], r[], x_hat[], W1[], b_1[]\nhyper lambda\nfunction phi\n"
    (left,), (right,) = code(row[0]), code(row[1])
    assert meaning(f"L = {left}", declared) is meaning(f"L = {right}", declared)
    assert left.isascii() and not right.isascii() or right == "[s = r]"


READ = [
    ("-s^2", "-(s^2)"),
    ("1/2 ||v||^2", "(1/2) (||v||^2)"),
    ("s / r s", "(s / r) s"),
    ("A ⊙ A B", "A ⊙ (A B)"),
]


@pytest.mark.parametrize(("written", "bracketed"), READ)
def test_the_examples_of_how_a_line_is_read(written: str, bracketed: str) -> None:
    declared = "dim h = 4\nparam A[h, h], B[h, h], v[h], s[], r[]\n"
    assert meaning(f"L = {written}", declared) is meaning(f"L = {bracketed}", declared)


def test_the_limits_are_those_of_the_program() -> None:
    limits = PAGE.split("## Limits\n", 1)[1]
    for number in (f"{TOKEN_LIMIT:,}", NESTING_LIMIT, NAME_LIMIT, DIGIT_LIMIT, 2**31 - 1):
        assert re.search(rf"\b{number}\b", limits)
    assert not {"lambda", "np", "def"} & RESERVED
