"""Simplification: an engine and named rewrites, none of which knows of any layer."""
