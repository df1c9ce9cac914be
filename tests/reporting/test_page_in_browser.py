"""The page in a real browser: it opens without a complaint, lights up what belongs together, switches, copies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.models import builtin_names
from symbackprop.reporting import page
from tests.browser import Browser, browser

ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
LIT = """return [...document.querySelectorAll('.lit')].map(e =>
    [e.matches('li') ? 'equation' : e.matches('g') ? 'vertex' : 'line', e.dataset.equation])"""
FOCUSED = "const e = document.activeElement; return e.tagName + ' ' + (e.className.baseVal ?? e.className).split(' ')[0]"
SHOWN = """return [...document.querySelectorAll('#equations .variant')].filter(v => v.offsetParent)
    .map(v => [v.dataset.form, v.dataset.notation])"""
GRAPHS = "return [...document.querySelectorAll('#graph .variant')].filter(v => v.offsetParent).map(v => v.dataset.form)"
VISIBLE = "li.equation[data-equation='∂J/∂z1']"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page") / "page.html"
    found.write_text(page(sb.derive(sb.builtin("mlp_classifier"))), encoding="utf-8")
    return found


@pytest.fixture
def opened(chromium: Browser, path: Path) -> Browser:
    chromium.size(1280, 900)
    chromium.open(path)
    assert chromium.complaints() == []
    return chromium


def lit(found: Browser) -> set[tuple[str, str]]:
    return {(kind, name) for kind, name in found.run(LIT)}


def seen(found: Browser, selector: str) -> bool:
    """Whether an element lies within what its panel shows."""
    return bool(
        found.run(
            """const e = [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length);
            return e.some(x => { const a = x.getBoundingClientRect(), b = x.closest('.wide').getBoundingClientRect();
                                 return a.bottom > b.top && a.top < b.bottom; })""",
            selector,
        )
    )


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_model_opens_on_a_desk_and_on_a_telephone(chromium: Browser, name: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(sb.derive(sb.builtin(name))), encoding="utf-8")
    for width, dark in ((1280, False), (390, True)):
        chromium.size(width, 850, dark)
        chromium.open(tmp_path / "page.html")
        assert chromium.complaints() == []
        assert chromium.run("return document.documentElement.scrollWidth") <= width
        paper, ink = chromium.run("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
        light = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (paper, ink)]
        assert (light[0] < light[1]) == dark and abs(light[0] - light[1]) > 450
        assert chromium.run("return document.querySelectorAll('math').length") > 20
        assert chromium.run("return Math.max(...[...document.querySelectorAll('.formula math')].map(m => m.clientHeight))") > 8


def test_an_equation_lights_up_its_vertex_and_its_lines(opened: Browser) -> None:
    wanted = {("equation", "∂J/∂z1"), ("vertex", "∂J/∂z1"), ("line", "∂J/∂z1")}
    opened.point(VISIBLE)
    assert lit(opened) == wanted
    opened.point("h1")
    assert lit(opened) == set()
    opened.point(".variant[data-form='example'] g.node[data-equation='∂J/∂z1'] .shape")
    assert lit(opened) == wanted
    opened.run("document.querySelector('.code').scrollIntoView({block: 'center', behavior: 'instant'})")
    opened.point("#kernel .line[data-equation='∂J/∂W3']")
    assert lit(opened) == {("equation", "∂J/∂W3"), ("vertex", "∂J/∂W3"), ("line", "∂J/∂W3")}


def test_what_lights_up_is_brought_into_sight(opened: Browser) -> None:
    opened.run("document.querySelector('.code').scrollTop = 0")
    assert not seen(opened, "#kernel .line[data-equation='∂J/∂z1']")
    opened.point(VISIBLE)
    assert seen(opened, "#kernel .line[data-equation='∂J/∂z1']")
    assert seen(opened, "g.node[data-equation='∂J/∂z1']")


def test_it_works_from_the_keyboard(opened: Browser) -> None:
    opened.run("document.querySelector(arguments[0]).focus()", VISIBLE)
    assert ("vertex", "∂J/∂z1") in lit(opened)
    opened.press(ENTER)
    opened.point("h1")
    assert ("line", "∂J/∂z1") in lit(opened)
    assert "Escape" in opened.run("return document.getElementById('status').textContent")
    opened.press(ESCAPE)
    opened.run("document.activeElement.blur()")
    assert lit(opened) == set()
    reached = set()
    opened.run("document.querySelector('h1').setAttribute('tabindex', '-1'); document.querySelector('h1').focus()")
    for _ in range(130):
        opened.press(TAB)
        reached.add(opened.run(FOCUSED))
    assert {"A ", "INPUT ", "LI equation", "BUTTON copy", "SUMMARY ", "DIV variant"} <= reached


def test_form_and_notation_switch_in_place(opened: Browser) -> None:
    assert opened.run(SHOWN) == [["example", "partial"]]
    for notation in ("delta", "nabla", "partial"):
        opened.click(f"label:has(input[value='{notation}'])")
        assert opened.run(SHOWN) == [["example", notation]]
    opened.click("label:has(input[value='batch'])")
    assert opened.run(SHOWN) == [["batch", "partial"]]
    assert opened.run(GRAPHS) == ["batch"]
    opened.run("document.querySelector('input[value=partial]').focus()")
    opened.press("\ue014")  # the arrow to the right
    assert opened.run(SHOWN) == [["batch", "delta"]]
    assert opened.complaints() == []


def test_an_equation_is_copied_as_latex(opened: Browser) -> None:
    opened.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    opened.run("window.taken = []; navigator.clipboard.writeText = async (text) => { taken.push(text); }")
    opened.click(f"{VISIBLE} button")
    opened.until("return taken.length")
    derivation = sb.derive(sb.builtin("mlp_classifier"))
    assert opened.run("return taken[0]") == derivation.gradient("z1").latex()
    opened.until("return document.getElementById('status').textContent === 'copied as LaTeX'")
    opened.click(".variant[data-form='example'][data-notation='partial'] button.all")
    opened.until("return taken.length > 1")
    assert opened.run("return taken[1]") == derivation.latex()
    opened.run("navigator.clipboard.writeText = async () => { throw new Error('no'); }")
    opened.run("document.execCommand = (word) => { window.old = word; return true; }")
    opened.click(f"{VISIBLE} button")
    opened.until("return window.old === 'copy'")


def test_hostile_names_stay_text(chromium: Browser, tmp_path: Path) -> None:
    title = "<img src=x onerror=alert(1)> <script>window.hit = 1</script> \"><svg onload='window.hit=1'>"
    model = sb.parse(f"# {title}\ndim d = 3\nbatch n = 4\ninput x[d]\nparam w[d]\nL = sum(w ⊙ x)\nminimize L", name=title)
    (tmp_path / "page.html").write_text(page(sb.derive(model)), encoding="utf-8")
    chromium.open(tmp_path / "page.html")
    assert chromium.complaints() == []
    assert chromium.run("return [window.hit ?? null, document.images.length, document.scripts.length]") == [None, 0, 1]
    assert chromium.run("return document.querySelector('header p').textContent") == title


def test_the_policy_stops_what_somebody_adds(chromium: Browser, path: Path, tmp_path: Path) -> None:
    added = path.read_text(encoding="utf-8").replace("</main>", "<script>window.hit = 1</script><p style='color:red'>x</p></main>")
    (tmp_path / "page.html").write_text(added, encoding="utf-8")
    chromium.open(tmp_path / "page.html")
    assert chromium.run("return window.hit ?? null") is None
    assert len([line for line in chromium.complaints() if "Content Security Policy" in line]) == 2


def test_it_prints(opened: Browser) -> None:
    opened.command("Emulation.setEmulatedMedia", media="print")
    assert opened.run("return [...document.querySelectorAll('nav, .copy, .switches')].every(e => !e.offsetParent)")
    pdf = opened.command("Page.printToPDF", preferCSSPageSize=False)["data"]
    assert len(pdf) > 50_000
    opened.command("Emulation.setEmulatedMedia", media="")
