"""The graph: sizes, nodes, smart constructors, verification and the slow, obvious evaluator."""
