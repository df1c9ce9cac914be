"""How parameters start: weights normal over the axes they are summed along, what multiplies 1, what is added 0."""

from __future__ import annotations

from symbackprop.graph.model import Model
from symbackprop.graph.nodes import Contraction, Indicator, Labels, Leaf, Node, Pointwise, argument
from symbackprop.graph.sizes import Size
from symbackprop.graph.walk import topological

Use = tuple[Node, int, Labels]


def initial_values(model: Model) -> list[dict[str, str]]:
    """Return for each parameter its name, shape and fan-in as Python, and its kind: ``normal``, ``ones`` or ``zeros``."""
    uses: dict[Node, list[Use]] = {leaf: [] for leaf in model.leaves_of_kind("parameter")}
    for equation in model.graph.equations:
        for node in topological([equation.node]):
            for position, (operand, labels) in enumerate(zip(node.operands, node.labels, strict=True)):
                if operand in uses:
                    uses[operand].append((node, position, labels))
    return [_initial(leaf, uses[leaf]) for leaf in model.leaves_of_kind("parameter")]


def _initial(leaf: Leaf, uses: list[Use]) -> dict[str, str]:
    def code(size: Size) -> str:
        return str(size) if size.is_Integer else f"sizes[{size.name!r}]"

    kind, fan_in = _role(leaf, uses)
    shape = f"({', '.join(code(size) for size in leaf.shape)},)" if leaf.rank else "()"
    fan = " * ".join(code(size) for size in fan_in) or "1"
    return {"name": repr(leaf.name), "shape": shape, "kind": kind, "fan_in": fan}


def _role(leaf: Leaf, uses: list[Use]) -> tuple[str, list[Size]]:
    """The kind of a parameter's first value, and the axes it is summed along."""
    multiplies = False
    for node, position, labels in uses:
        if isinstance(node, Contraction):
            looked_up = {
                label
                for operand, own in zip(node.operands, node.labels, strict=True)
                if isinstance(operand, Indicator) and operand.operands
                for label in own
            }
            summed = [s for s, x in zip(leaf.shape, labels, strict=True) if x >= node.rank and x not in looked_up]
            if leaf.rank > 1 or summed:
                return "normal", summed or list(leaf.shape[1:])
        if isinstance(node, Pointwise):
            slope = node.expression.diff(argument(position))
            multiplies |= bool(slope.free_symbols & {argument(k) for k in range(len(node.operands))})
    if leaf.rank > 1:
        return "normal", list(leaf.shape[1:])
    return ("ones" if multiplies else "zeros"), []
