"""Derivatives: one table of rules, read in reverse and in forward mode, each a function from a graph to a graph."""
