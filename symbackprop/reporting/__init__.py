"""Everything about a model: on one page, in one document, or in a folder of LaTeX."""

from symbackprop.reporting.contents import Contents
from symbackprop.reporting.latex_folder import latex_folder, write_latex_folder
from symbackprop.reporting.page import PARTS, page
from symbackprop.reporting.paper import paper

__all__ = ["PARTS", "Contents", "latex_folder", "page", "paper", "write_latex_folder"]
