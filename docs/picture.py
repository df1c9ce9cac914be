"""Draw docs/d2l_mlp.svg, the picture in the README: the equations of the one-hidden-layer example as the program writes them.

    python docs/picture.py

Needs pdflatex (TeX Live) and pdftocairo (poppler).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import symbackprop as sb
from symbackprop.api import DerivedEquation

PAGE = r"""\documentclass{article}
\usepackage[paperwidth=15.5cm,paperheight=8.4cm,margin=3mm]{geometry}
\usepackage{amsmath,amssymb,color}
\pagestyle{empty}\pagecolor{white}\parindent0pt\jot5pt
\begin{document}
\begin{minipage}[t]{7cm}\textit{you write}\begin{align*}
%s
\end{align*}\end{minipage}\hfill
\begin{minipage}[t]{7.5cm}\textit{you get}\begin{align*}
%s
\end{align*}\end{minipage}
\end{document}
"""


def rows(equations: Sequence[DerivedEquation]) -> str:
    """Return the equations for an alignment at their equals signs."""
    return " \\\\\n".join(equation.latex().replace(" = ", " &= ", 1) for equation in equations)


def main() -> None:
    """Write the picture beside this file."""
    derivation = sb.derive(sb.builtin("d2l_mlp"))
    shown = [equation for equation in derivation.backward if equation.shape]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.tex").write_text(PAGE % (rows(derivation.forward), rows(shown)), encoding="utf-8")
        subprocess.run(["pdflatex", "-interaction=batchmode", "page.tex"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        target = Path(__file__).with_name("d2l_mlp.svg")
        subprocess.run(["pdftocairo", "-svg", "page.pdf", str(target.resolve())], cwd=folder, check=True)


if __name__ == "__main__":
    main()
