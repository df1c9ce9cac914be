"""What Typst prints is what LaTeX prints, on a page that can be read back, whatever a model is called."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache

import pypdf
import pytest

import symbackprop as sb
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.models import builtin_names
from symbackprop.render import pdf
from symbackprop.render.linebreaks import cuts
from symbackprop.render.sections import sections
from symbackprop.render.typst_document import typst_document, typst_part, words
from symbackprop.render.writer import Writer
from symbackprop.typesetting import typeset
from tests.render.models import MODELS
from tests.render.test_formats import ALL, NOTATIONS, model_of
from tests.render.typst_as_latex import as_latex, plain

HOSTILE = (
    "a #import \"x\": * #panic()", "$x$ *bold* _it_ `raw` ~ ``` ```", "@ref <label> #label(\"a\")",
    "a \\ b \\u{41} // gone /* gone */",
    "\"; #read(\"/etc/passwd\"); \"", "= no heading", "- no item / no: term", "]) #[ } { ] )", "<b>\"q\"</b> | ü ∂ λ -- ... 'x'",
)  # fmt: skip


@cache
def derivations(name: str) -> list[DerivedGraph]:
    derivation = sb.derive(model_of(name))
    if derivation.model.objective is None:
        return [derivation.example, derivation.batch]
    products, last = derivation.products(), derivation.model.parameters[-1]
    further = [products.next_order().example, products.diagonal().example, products.block(last, last).example]
    return [derivation.example, derivation.batch, products.batch, *further]


def read(document: bytes) -> str:
    """The text of a document, letters of mathematics as plain ones, without spaces."""
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(document)).pages]
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", "".join(pages)))


# ---------------------------------------------------------------- the mathematics


@pytest.mark.parametrize("name", ALL)
def test_typst_says_what_latex_says(name: str) -> None:
    for derived in derivations(name):
        for notation in NOTATIONS[: 1 if derived.further else 3]:
            writer = Writer(derived, notation)
            pairs = [(left, right) for left, right in writer.definitions()]
            for section in sections(writer, steps=notation == "partial"):
                for entry in section.entries:
                    pairs += [(row.left, row.right) for row in (*entry.steps, entry.line)]
            for formula in (side for pair in pairs for side in pair):
                assert as_latex(writer.typst.show(formula)) == plain(writer.latex.show(formula))
            for left, right in pairs:
                latex, typst = writer.latex.pieces(right), writer.typst.pieces(right)
                assert [piece.binds for piece in latex] == [piece.binds for piece in typst]
                whole = cuts(writer.latex.show(left), latex)
                assert [k for cut in whole for k in range(len(latex))[cut]] == list(range(len(latex)))
                assert writer.latex.row(latex) == writer.latex.show(right)


def test_reading_back_notices_a_difference() -> None:
    misplaced = as_latex("frac(∂ J, ∂ bold(upright(Z))^((1)⊤))")
    assert misplaced != plain(r"\left(\frac{\partial J}{\partial \mathbf{Z}^{(1)}}\right)^{\top}")
    assert as_latex(r"bold(upright(W))^((1)⊤) thin op(\"f\")\(a\, b\)".replace('\\"', '"')) == plain(
        r"\mathbf{W}^{(1)\top} \, \operatorname{f}(a, b)"
    )


def test_a_word_takes_no_part_in_the_syntax() -> None:
    names = ("if_x", "let", "sqrt_q", "x_hat", "ww1")
    declared = ", ".join(f"{name}[d]" for name in names)
    model = sb.parse(f"dim d\nparam {declared}\nL = sum({' ⊙ '.join(names)})\nminimize L")
    text = read(sb.derive(model).pdf())
    assert all(word in text for word in ("let", "sqrt", "if", "ww(1)"))


# ---------------------------------------------------------------- the page


def test_every_built_in_model_in_every_form_and_notation_is_one_document() -> None:
    parts, wanted = [], []
    for name in builtin_names():
        derivation = sb.derive(sb.builtin(name))
        for batch_form in (False, True):
            for notation in NOTATIONS:
                derived = derivation.form(batch_form)
                part = typst_part(derived, notation=notation, steps=notation == "delta")
                part = re.sub(r"<(example|batch)-", f"<{name}-{notation}-\\1-", part)  # each has its labels once
                parts.append(f"#pagebreak(weak: true)\n= {words(name)}\n{part}")
                wanted.append((name, len(derived.equations)))
    reader = pypdf.PdfReader(io.BytesIO(typeset(typst_document("all", "\n".join(parts)))))
    text = "\n".join(page.extract_text() for page in reader.pages)
    chapters = re.split(rf"^({'|'.join(builtin_names())})$", text, flags=re.MULTILINE)[1:]
    assert chapters[::2] == [name for name, _ in wanted]
    for chapter, (_, count) in zip(chapters[1::2], wanted, strict=True):
        assert "Forward" in chapter and "Backward" in chapter
        assert {f"({number})" for number in range(1, count + 1)} <= set(re.findall(r"\(\d+\)", chapter))


def test_equations_can_be_read_back() -> None:
    text = read(sb.derive(sb.builtin("d2l_mlp")).pdf())
    for part in ("z=W(1)x+b(1)", "a=relu(z)", "(u)=[u>0]", "h×d,through(1)and(5),addedup", "λhyperscalar0.001"):
        assert part in text, part


def test_every_sign_has_a_glyph() -> None:
    def picture(sign: str) -> bytes:
        return typeset(f"#set page(width: auto, height: auto)\n${sign}$ ${{}}^{sign}$", form="png")

    missing = picture("漢")
    assert missing == picture("字") != picture("x")
    parts = "".join(typst_part(derived, notation="delta") for name in ALL for derived in derivations(name))
    parts += typst_part(derivations("d2l_mlp")[0], notation="nabla")
    signs = sorted({c for c in re.sub(r'"[^"]*"', "", parts) if not c.isascii()})
    assert {*"∂∇⊙⊘⊗⊤−∑≥ℓλ"} <= set(signs)
    assert [sign for sign in signs if picture(sign) == missing] == []


def test_a_document_is_tagged_titled_and_holds_its_fonts() -> None:
    reader = pypdf.PdfReader(io.BytesIO(sb.derive(sb.builtin("d2l_mlp")).pdf()))
    root = reader.trailer["/Root"]
    assert reader.metadata is not None and reader.metadata.title == "one hidden layer, with bias (d2l 5.3)"
    assert root["/MarkInfo"]["/Marked"] and root["/StructTreeRoot"] and root["/Lang"] == "en"
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]
    kept = [font["/DescendantFonts"][0].get_object()["/FontDescriptor"] for font in fonts]
    assert kept and all("/FontFile3" in each or "/FontFile2" in each for each in kept)
    assert all("/ToUnicode" in font for font in fonts)


def test_equations_are_read_out() -> None:
    assert "∂J/∂o = o − y".encode("utf-16-be") in b"".join(_alternatives(sb.derive(sb.builtin("d2l_mlp")).pdf()))


def _alternatives(document: bytes) -> Iterator[bytes]:
    reader = pypdf.PdfReader(io.BytesIO(document))
    pending = [reader.trailer["/Root"]["/StructTreeRoot"]]
    while pending:
        element = pending.pop().get_object()
        if isinstance(element, pypdf.generic.DictionaryObject):
            if "/Alt" in element:
                yield str(element["/Alt"]).encode("utf-16-be")
            pending += [element["/K"]] if "/K" in element else []
        elif isinstance(element, pypdf.generic.ArrayObject):
            pending += list(element)


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_is_printed_as_it_stands(title: str) -> None:
    text = "dim d\nparam x_1_2[d], class[d], Ω_hat[d], é_q[d]\nL = sum(x_1_2 ⊙ class ⊙ Ω_hat ⊙ é_q)\nminimize L"
    document = sb.derive(sb.parse(f"# {title}\n{text}", name=title)).pdf(steps=True)
    reader = pypdf.PdfReader(io.BytesIO(document))
    assert reader.metadata is not None and reader.metadata.title == title
    assert re.sub(r"\s+", "", unicodedata.normalize("NFKC", title)) in read(document)


def test_a_long_equation_is_broken_at_its_signs() -> None:
    terms = " + ".join(f"sum(w{k} ⊙ w{k} ⊙ relu(w{k}))" for k in range(12))
    names = ", ".join(f"w{k}[d]" for k in range(12))
    derived = sb.derive(sb.parse(f"dim d\nparam {names}\nL = {terms}\nminimize L")).example
    first = typst_part(derived).split("#numbered(")[1]
    assert first.count("\\\n  &quad +") >= 3
    assert first.split("$ #room")[1].count('op("relu")') == 12


def test_the_same_bytes_on_every_run() -> None:
    program = (
        "import hashlib, symbackprop as sb\n"
        "for name in ('causal_attention', 'mlp_classifier'):\n"
        "    print(hashlib.sha256(sb.derive(sb.builtin(name)).pdf(steps=True)).hexdigest())\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout.split()) == 2


def test_without_typst_there_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(sb.UsageError, match=r"pip install 'symbackprop\[draw\]'"):
        pdf(sb.derive(sb.builtin("d2l_mlp")).example)


def test_all_models_of_the_tests_compile() -> None:
    parts = []
    for name in MODELS:
        for derived in derivations(name):
            part = typst_part(derived, steps=True)
            parts.append(re.sub(r"<(example|batch)-", f"<m{len(parts)}-\\1-", part))
    assert typeset(typst_document("all", "\n".join(parts))).startswith(b"%PDF")
