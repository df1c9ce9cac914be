"""symbackprop: a neural network's equations in; its backward equations, LaTeX and checked NumPy kernels out.

>>> import symbackprop as sb
>>> d = sb.derive(sb.builtin("d2l_mlp"))
>>> print(d.gradient("b2").text())
∂J/∂b2 = ∂J/∂o
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Derivation": "symbackprop.api",
    "builtin": "symbackprop.api",
    "check": "symbackprop.api",
    "derive": "symbackprop.api",
    "from_sympy": "symbackprop.api",
    "load": "symbackprop.api",
    "mlp": "symbackprop.api",
    "parse": "symbackprop.api",
    "Builder": "symbackprop.builder",
    "EquationError": "symbackprop.errors",
    "ShapeError": "symbackprop.errors",
    "SizeError": "symbackprop.errors",
    "SymbackpropError": "symbackprop.errors",
    "UsageError": "symbackprop.errors",
    "Model": "symbackprop.graph.model",
    "Drawing": "symbackprop.drawing",
    "CheckReport": "symbackprop.checking.report",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``--help`` does not wait for SymPy."""
    if name not in _HOME:
        raise AttributeError(f"module 'symbackprop' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
