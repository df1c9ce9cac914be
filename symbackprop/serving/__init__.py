"""A local page on which equations are edited, and everything that comes of them is seen at once."""

from symbackprop.serving.server import serve

__all__ = ["serve"]
