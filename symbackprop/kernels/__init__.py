"""Kernels: a derivation becomes a plan, a plan becomes a NumPy module."""

from symbackprop.kernels.emit import generate_source
from symbackprop.kernels.loading import load_source

__all__ = ["generate_source", "load_source"]
