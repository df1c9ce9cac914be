"""The computational graph as a picture, in several formats."""

from symbackprop.drawing.drawing import FORMS, LEVELS, Drawing, draw

__all__ = ["FORMS", "LEVELS", "Drawing", "draw"]
