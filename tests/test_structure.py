"""What holds of the package as a whole: imports point one way, and no text becomes code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import symbackprop

PACKAGE = Path(symbackprop.__file__).parent
ORDER = (
    "errors", "writing", "typesetting", "functions", "graph", "models", "language", "perceptron", "simplify", "derivation",
    "render", "drawing", "kernels", "footprint", "algebra", "checking", "partitioning", "entries", "builder", "api",
    "reporting", "serving", "flags", "commands", "cli",
)  # fmt: skip
"""A part may import the parts before it."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in ORDER)


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = ORDER.index(part_of(path))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("symbackprop."):
            names = [node.module]
        elif isinstance(node, ast.ImportFrom) and node.module == "symbackprop":
            names = [f"symbackprop.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("symbackprop.")]
        for name in names:
            assert ORDER.index(name.split(".")[1]) <= own, f"line {node.lineno} imports {name}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_becomes_code(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            plain = isinstance(node.func, ast.Name)
            assert name not in ("sympify", "parse_expr", "lambdify", "nsimplify"), f"line {node.lineno}"
            assert not (plain and name in ("eval", "exec", "compile", "__import__")), f"line {node.lineno}"


def test_no_module_has_the_name_of_a_public_function() -> None:
    functions = {name for name in symbackprop.__all__ if callable(getattr(symbackprop, name)) and name.islower()}
    assert functions >= {"parse", "load", "derive", "check", "mlp", "builtin", "from_sympy"}
    assert not functions & {path.stem for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("template", sorted((PACKAGE.parent / "templates").rglob("*.j2")), ids=lambda path: path.name)
def test_templates_lay_out_and_do_not_decide(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    places = re.findall(r"<%.*?%>|<<.*?>>", text, flags=re.DOTALL)
    assert not any(word in place for place in places for word in ("isinstance", "is defined", "| int", "set "))
    assert len(text.splitlines()) <= 75
