"""Scalar functions: the primitives, the named functions given by formulas, and the registries built from them."""
