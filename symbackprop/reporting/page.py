"""One page of a model: it holds all that it shows, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

from symbackprop import __version__
from symbackprop.api import Derivation
from symbackprop.errors import UsageError
from symbackprop.render.template import fill, verbatim
from symbackprop.reporting import sections
from symbackprop.reporting.equations import NOTATIONS, equations, forms
from symbackprop.reporting.html import text
from symbackprop.reporting.sections import Progress

PARTS = ("model", "equations", "graph", "kernel", "footprint", "check", "second")
"""What a page can show, in its order."""

_TITLES = {
    "model": "Model", "equations": "Equations", "graph": "Graph", "kernel": "Kernel", "footprint": "Footprint",
    "check": "Proof", "second": "Second derivatives",
}  # fmt: skip
_FORMS = {"example": "one example", "batch": "batch"}
_WORKBENCH = ("equations", "graph", "kernel")
"""The parts that stand side by side, and whose equations light up together."""


def page(
    derivation: Derivation,
    *,
    parts: Sequence[str] = PARTS,
    seed: int = 0,
    samples: int = 1,
    progress: Progress | None = None,
) -> str:
    """Return a page as HTML that needs no other file and no network.

    parts are those of `PARTS` that it shows; seed and samples are those of `check`; progress is called with the parts done,
    all of them, and the next one. Second derivatives are left out of a model that minimizes nothing or has no parameters.
    Raises UsageError for an unknown part, and where the libraries of the extra ``report`` are missing.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UsageError(f"a page has no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    shown = [part for part in PARTS if part in parts and (derivation.model.minimizes or part not in ("check", "second"))]
    make: dict[str, Callable[[], str]] = {
        "model": lambda: sections.model(derivation),
        "equations": lambda: equations(derivation),
        "graph": lambda: sections.graph(derivation),
        "kernel": lambda: sections.kernel(derivation),
        "footprint": lambda: sections.footprint(derivation),
        "check": lambda: sections.proof(derivation, seed, samples, None),
        "second": lambda: sections.second(derivation),
    }
    made = {}
    for number, part in enumerate(shown):
        if progress:
            progress(number, len(shown), _TITLES[part])
        made[part] = make[part]()
    script, style = _files()
    found = derivation.model
    return fill(
        "html/page.html.j2",
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'",
        script=script, style=style, version=text(__version__),
        name=text(found.name), title=text(found.title),
        links=[(part, _TITLES[part]) for part in shown],
        forms=[(form, _FORMS[form]) for form in forms(derivation)] if len(forms(derivation)) > 1 else [],
        form=next(iter(forms(derivation))),
        notations=list(NOTATIONS.items()),
        before=[(part, _TITLES[part], made[part]) for part in shown if PARTS.index(part) < PARTS.index(_WORKBENCH[0])],
        workbench=[(part, _TITLES[part], made[part]) for part in shown if part == _WORKBENCH[0]],
        beside=[(part, _TITLES[part], made[part]) for part in shown if part in _WORKBENCH[1:]],
        after=[(part, _TITLES[part], made[part]) for part in shown if PARTS.index(part) > PARTS.index(_WORKBENCH[-1])],
    )  # fmt: skip


def hashes() -> tuple[str, str]:
    """The hashes of the page's script and style, as a policy names them."""
    script, style = _files()
    return _hash(script), _hash(style)


def _files() -> tuple[str, str]:
    return verbatim("html/page.js"), verbatim("html/page.css")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
