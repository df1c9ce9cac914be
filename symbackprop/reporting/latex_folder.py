"""Everything about a model as a folder of LaTeX, which compiles as it stands and can be pasted into a paper."""

from __future__ import annotations

from pathlib import Path

from symbackprop.checking.report import HEADINGS
from symbackprop.footprint import documents
from symbackprop.render import latex
from symbackprop.render.symbols import escape
from symbackprop.render.template import fill
from symbackprop.reporting.contents import Contents
from symbackprop.writing import sealed, write_all

_EQUATIONS = ("equations.tex", "batch.tex")


def latex_folder(contents: Contents) -> dict[str, str]:
    """Return the files of the folder by name: main.tex, what it reads in, and how to paste it.

    Raises UsageError where the libraries of the extra ``draw`` are missing.
    """
    forms = dict(zip(_EQUATIONS, contents.forms.items(), strict=False))
    files = {name: latex(derived, notation=contents.notation, steps=True) for name, (_, derived) in forms.items()}
    files["graph.tex"] = contents.drawing.tikz()
    files["footprint.tex"] = documents.latex(contents.footprint)
    sections = [(heading, name) for name, (heading, _) in forms.items()]
    sections += [("Graph", "graph.tex"), ("Memory and arithmetic", "footprint.tex")]
    if contents.derivation.model.minimizes:
        files["check.tex"] = _check(contents)
        files["second.tex"] = latex(
            contents.second, notation=contents.notation, first_order=False, more=contents.growth.latex()
        )
        sections += [("Check", "check.tex"), ("Second derivatives", "second.tex")]
    files["main.tex"] = fill("latex/main.tex.j2", title=escape(contents.title), sections=sections)
    files["README.md"] = fill("latex/readme.md.j2", sections=sections)
    return files


def write_latex_folder(contents: Contents, folder: Path, *, force: bool = False) -> dict[Path, bool]:
    """Write the folder, and return for each file whether it was written or was up to date already.

    Raises UsageError, and writes nothing, where a file of one of these names is somebody's, unless ``force`` is given.
    """
    signs = {".tex": ("%", ""), ".md": ("<!--", " -->")}
    files = latex_folder(contents)
    return write_all({folder / name: sealed(text, *signs[Path(name).suffix]) for name, text in files.items()}, force=force)


def _check(contents: Contents) -> str:
    rows = [[escape(cell).replace("–", "--") for cell in line.cells()] for line in contents.proof.lines]
    return fill("latex/check.tex.j2", summary=escape(contents.proof.summary), heads=HEADINGS, rows=rows)
