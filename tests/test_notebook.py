"""The notebook in examples/ is what running it gives, and its objects show themselves."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import symbackprop as sb
from symbackprop.models import builtin_names

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOWS = {"text/html", "text/latex", "image/svg+xml", "text/markdown"}


def masked(notebook: dict[str, Any]) -> str:
    """The notebook as text, without the last digits of the check, which differ between processors."""
    return re.sub(r"\d\.\de-\d+", "0.0e-00", json.dumps(notebook, ensure_ascii=False, indent=1))


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own, about event loops and sockets
def test_the_notebook_is_what_running_it_gives() -> None:
    stored = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    assert masked(runpy.run_path(str(EXAMPLES / "make_tour.py"))["notebook"]()) == masked(stored)


def test_its_cells_show_themselves() -> None:
    stored = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    shown = [set(output["data"]) for cell in stored["cells"] for output in cell.get("outputs", ()) if "data" in output]
    assert len([data for data in shown if data & SHOWS]) == 7
    assert not any(output["output_type"] == "error" for cell in stored["cells"] for output in cell.get("outputs", ()))


@pytest.mark.parametrize("name", builtin_names())
def test_every_model_shows_itself(name: str) -> None:
    derivation = sb.derive(sb.builtin(name))
    html = derivation._repr_html_()
    assert html.count("<tr>") == len(derivation.example.equations) and f"({len(derivation.example.equations)})" in html
    assert derivation._repr_latex_() == derivation.latex()
    footprint = derivation.footprint()
    assert footprint._repr_markdown_().count("|") > 30 and str(footprint).splitlines()[0].startswith(name)
    assert repr(footprint).startswith(f"<Footprint of {name}: ")
    products = derivation.products()
    assert products._repr_html_().count("<tr>") == len(products.example.equations) > html.count("<tr>")


def test_what_shows_itself_escapes_names() -> None:
    title = "<script>alert(1)</script>"
    model = sb.parse(f"# {title}\ndim d\ninput x[d]\nparam w[d]\nL = sum(w ⊙ x)\nminimize L", name=title)
    derivation = sb.derive(model)
    for shown in (model._repr_html_(), derivation._repr_html_(), derivation.drawing()._repr_svg_()):
        assert "<script" not in shown and "&lt;script" in shown
    assert not re.search(r"(?<!\\)<script", derivation.footprint()._repr_markdown_())  # \\< is a character in Markdown
