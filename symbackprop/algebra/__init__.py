"""To SymPy and back: equations as SymPy expressions, and models written with SymPy's matrix symbols."""

from symbackprop.algebra.export import to_sympy
from symbackprop.algebra.numeric import evaluate_sympy
from symbackprop.algebra.reading import from_sympy
from symbackprop.algebra.symbols import Cofactor, IndexMax, IndexSum, tensor_symbol

model_from_sympy = from_sympy

__all__ = [
    "Cofactor",
    "IndexMax",
    "IndexSum",
    "evaluate_sympy",
    "from_sympy",
    "model_from_sympy",
    "tensor_symbol",
    "to_sympy",
]
