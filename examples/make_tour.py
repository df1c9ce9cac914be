"""Write examples/tour.ipynb: its cells, and what they show when they are run.

    python examples/make_tour.py

Needs nbclient and ipykernel (`pip install nbclient ipykernel`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TEXT, CODE = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
CELLS = (
    (TEXT, "# A tour of symbackprop\n\nA model is written as on paper; everything that comes of it shows itself in a notebook."),
    (CODE, "import symbackprop as sb\n\nmodel = sb.builtin(\"d2l_mlp\")\nmodel"),
    (TEXT, "## The equations\n\nForward and backward, with the shape of each and the equations that it comes back through."),
    (CODE, "derivation = sb.derive(model)\nderivation"),
    (TEXT, "One of them, as mathematics, as text, and as SymPy:"),
    (CODE, "derivation.gradient(\"W1\")"),
    (CODE, "print(derivation.gradient(\"W1\"))\nprint(derivation.gradient(\"W1\").sympy())"),
    (TEXT, "## The graph"),
    (CODE, "derivation.drawing(backward=True)"),
    (TEXT, "## What it costs"),
    (CODE, "derivation.footprint()"),
    (TEXT, "## Whether it is right\n\nThe kernel's gradients are compared with routes that share no code with the rules."),
    (CODE, "sb.check(derivation, samples=1)"),
    (TEXT, "## Second derivatives"),
    (CODE, "derivation.products()"),
    (TEXT, "## The kernel"),
    (CODE, "kernel = derivation.kernel()\nparams = kernel.init(seed=0)\nsorted(params)"),
)


def notebook() -> dict[str, Any]:
    """Return the notebook, run."""
    made = nbformat.v4.new_notebook(cells=[kind(source) for kind, source in CELLS])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(made, timeout=120, record_timing=False).execute()
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
    made.metadata.pop("language_info", None)
    found: dict[str, Any] = json.loads(nbformat.writes(made))
    return found


def main() -> None:
    """Write the notebook beside this file."""
    text = json.dumps(notebook(), ensure_ascii=False, indent=1) + "\n"
    (HERE / "tour.ipynb").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
