"""The computational graph as a picture, in several formats."""

from symbackprop.drawing.drawing import LEVELS, Drawing, draw

__all__ = ["LEVELS", "Drawing", "draw"]
