"""What a kernel costs in memory and arithmetic, read from its plan, so that it cannot say anything but the code does."""

from symbackprop.footprint.footprint_of import Footprint, footprint_of, footprint_of_derived

__all__ = ["Footprint", "footprint_of", "footprint_of_derived"]
