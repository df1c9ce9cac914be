"""The live page in a real browser: a model is chosen, edited, wrong, right again, and downloaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from symbackprop.models import builtin_text
from tests.browser import Browser, browser
from tests.serving.test_server import serving

STATE = "document.getElementById('state').textContent"
EDIT = """const t = document.getElementById('text'); t.value = arguments[0];
    t.dispatchEvent(new Event('input'))"""


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with browser() as found, serving() as server:
        found.size(1280, 850)
        found.open(server.address)
        found.until(f"return {STATE} === 'derived'", seconds=60)
        yield found


def shown(found: Browser) -> str:
    return str(found.run("return document.getElementById('view').srcdoc"))


def test_it_opens_without_a_complaint(opened: Browser) -> None:
    assert opened.complaints() == []
    assert "∂L/∂w" in shown(opened)
    for width, dark in ((390, True), (1280, False)):
        opened.size(width, 850, dark)
        assert opened.run("return document.documentElement.scrollWidth") <= width


def test_a_built_in_model_fills_the_editor_and_the_answer(opened: Browser) -> None:
    choose = "const m = document.getElementById('models'); m.value = arguments[0]; m.dispatchEvent(new Event('change'))"
    opened.run(choose, "layer_norm")
    opened.until("return document.getElementById('view').srcdoc.includes('layer normalisation')", seconds=60)
    assert opened.run("return document.getElementById('text').value") == builtin_text("layer_norm")
    assert opened.run("return document.getElementById('numbers').textContent.split('\\n').length") == len(
        builtin_text("layer_norm").split("\n")
    )


def test_an_error_stands_under_its_line_until_it_is_corrected(opened: Browser) -> None:
    text = builtin_text("d2l_mlp")
    wrong = text.replace("a = relu(z)", "a = relu(u)")
    line = wrong[: wrong.index("relu(u)")].count("\n") + 1
    opened.run(EDIT, wrong)
    opened.until("return !document.getElementById('problem').hidden")
    words = opened.run("return document.getElementById('problem').textContent")
    assert f"line {line}, column 10: u is not defined" in words
    top = opened.run(
        "const a = document.getElementById('problem').getBoundingClientRect().top, t = document.getElementById('text');"
        "return (a - t.getBoundingClientRect().top - 8) / parseFloat(getComputedStyle(t).lineHeight)"
    )
    assert top == pytest.approx(line, abs=0.2)
    assert opened.run("return document.getElementById('text').getAttribute('aria-invalid')") == "true"
    opened.run(EDIT, text)
    opened.until(f"return document.getElementById('problem').hidden && {STATE} === 'derived'")
    assert "one hidden layer" in shown(opened)


def test_what_was_chosen_outlives_an_edit(opened: Browser) -> None:
    text = builtin_text("d2l_mlp")
    opened.run(EDIT, text)
    opened.until(f"return {STATE} === 'derived'")
    time.sleep(0.5)
    frame = {"element-6066-11e4-a52e-4f735466cecf": opened.find("#view")}
    opened.call("POST", "/frame", {"id": frame})
    opened.click("label:has(input[value='delta'])")
    assert opened.run("return document.body.dataset.notation") == "delta"
    opened.call("POST", "/frame", {"id": None})
    opened.run(EDIT, text.replace("h = 256", "h = 99"))
    opened.until("return document.getElementById('view').srcdoc.includes('h = 99')")
    time.sleep(0.5)
    opened.call("POST", "/frame", {"id": frame})
    opened.until("return document.body.dataset.notation === 'delta'")
    opened.call("POST", "/frame", {"id": None})
    assert opened.complaints() == []


def test_a_download_arrives(opened: Browser, tmp_path: Path) -> None:
    opened.command("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    opened.run("const o = document.getElementById('outputs'); o.value = 'kernel'; o.dispatchEvent(new Event('change'))")
    opened.until(f"return {STATE} === 'kernel.py is downloaded'", seconds=60)
    end = time.monotonic() + 20
    while not (tmp_path / "kernel.py").exists():
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.1)
    assert "def loss_and_grad(" in (tmp_path / "kernel.py").read_text(encoding="utf-8")
