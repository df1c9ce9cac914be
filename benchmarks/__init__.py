"""Ratios of the generated kernels to their peers: ``python -m benchmarks``."""
