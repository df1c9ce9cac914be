"""The same computation over several workers: the equations of one of them, what it costs, and kernels that meet through MPI."""

from symbackprop.partitioning.cost import Cost, Costs, Machine
from symbackprop.partitioning.parts import Partition, split_over
from symbackprop.partitioning.planning import ways
from symbackprop.partitioning.report import PartitionReport, best, ways_sheet

__all__ = ["Cost", "Costs", "Machine", "Partition", "PartitionReport", "best", "split_over", "ways", "ways_sheet"]
