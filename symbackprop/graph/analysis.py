"""Facts read off a graph: the sizes that must be equal, the values that `predict` returns, and what is never used."""

from __future__ import annotations

from collections.abc import Callable

from symbackprop.errors import UsageError
from symbackprop.functions.scalar import kinked
from symbackprop.graph.model import Graph, Model
from symbackprop.graph.nodes import Contraction, MatrixFunction, Node, Pointwise, Reduction
from symbackprop.graph.sizes import Size, same_size
from symbackprop.graph.walk import topological


def collect_constraints(graph: Graph) -> tuple[tuple[Size, Size], ...]:
    """Return the pairs of sizes that the equations take to be equal and that cannot be proved so."""
    pairs: list[tuple[Size, Size]] = []
    for equation in graph.equations:
        for pair in node_constraints(equation.node):
            if pair not in pairs and pair[::-1] not in pairs:
                pairs.append(pair)
    return tuple(pairs)


def node_constraints(root: Node) -> list[tuple[Size, Size]]:
    """Return the pairs of sizes one expression takes to be equal without proof."""
    pairs: list[tuple[Size, Size]] = []
    for node in topological([root]):
        if isinstance(node, MatrixFunction):
            shape = node.operands[0].shape
            candidates = [(shape[-1], shape[-2])]
        elif isinstance(node, Pointwise | Contraction | Reduction):
            sizes = node.shape if isinstance(node, Pointwise) else node.label_sizes
            candidates = [
                (size, sizes[label])
                for operand, labels in zip(node.operands, node.labels, strict=True)
                for size, label in zip(operand.shape, labels, strict=True)
            ]
        else:
            continue
        pairs += [(left, right) for left, right in candidates if not same_size(left, right)]
    return pairs


def default_outputs(model: Model) -> tuple[str, ...]:
    """Return the target-free values that the target-dependent part reads; the last value where there is no such part."""
    graph = model.graph
    if not graph.equations:
        return ()
    targets = frozenset(declaration.name for declaration in model.leaves_of_kind("target"))
    inputs = frozenset(declaration.name for declaration in model.leaves_of_kind("input"))
    tainted = graph.depends_on(targets)
    fed = graph.depends_on(inputs)
    end = model.objective or graph.equations[-1].name
    needed = graph.needed_for(frozenset({end}))
    found = [
        equation.name
        for equation in graph.equations
        if equation.name not in tainted
        and equation.name in fed
        and any(equation.name in graph.influences[other] for other in tainted & needed if other in graph.by_name)
    ]
    return tuple(found) or ((graph.equations[-1].name,) if not targets else ())


def has_kink(root: Node) -> bool:
    """Tell whether an expression has a maximum, or a function with a kink in it."""
    nodes = topological([root])
    return any(isinstance(node, Reduction) and node.kind == "max" for node in nodes) or any(
        kinked(node.expression) for node in nodes if isinstance(node, Pointwise)
    )


def refuse_unused(model: Model, error: Callable[[str, str, str], Exception] | None = None) -> Model:
    """Return the model, unless a declared tensor is read by no equation and no function's formula. Raises UsageError then.

    error makes another exception of the tensor's name, what is wrong and what would be right.
    """
    formulas = {str(read) for function in model.functions for read in function.parameters[function.visible :]}
    used = model.graph.needed_for(frozenset(model.graph.by_name)) | formulas
    for name in model.graph.declared:
        if name not in used:
            message, hint = f"{name} is never used", "use it in an equation, or leave it out"
            raise error(name, message, hint) if error else UsageError(f"{message}; {hint}")
    return model
