"""Everything about a model on one page."""

from symbackprop.reporting.page import PARTS, page

__all__ = ["PARTS", "page"]
