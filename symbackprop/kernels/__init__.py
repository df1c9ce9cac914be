"""Kernels: a derivation becomes a plan, a plan becomes a NumPy module."""

from symbackprop.kernels.emit import equation_of_lines, generate_source
from symbackprop.kernels.loading import load_source

__all__ = ["equation_of_lines", "generate_source", "load_source"]
