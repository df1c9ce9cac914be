"""The module's text: finished strings for the templates."""

from __future__ import annotations

import sympy

from symbackprop import __version__
from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.graph.model import Model
from symbackprop.graph.nodes import Contraction, Indicator, Leaf, Pointwise, argument
from symbackprop.graph.sizes import Size
from symbackprop.graph.walk import topological
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan, make_plan
from symbackprop.kernels.statements import HELPERS, Statements
from symbackprop.render.source import source
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer
from symbackprop.writing import sealed


def generate_source(model: Model, wrt: tuple[str, ...] | None = None) -> str:
    """Return the text of the NumPy module of a model: byte-identical for the same model, whatever the machine.

    Its gradients are those by the named tensors (the parameters, if none are named).
    """
    derived = derive_graph(model, wrt, batched=True)
    plan = make_plan(derived)
    return _Emitter(derived, plan).module()


class _Emitter:
    def __init__(self, derived: DerivedGraph, plan: Plan) -> None:
        self.derived, self.plan, self.model = derived, plan, derived.model
        self.names = Identifiers()
        self.statements = Statements(plan, self.names)
        self.writer = Writer(derived)
        self.dimensions = sorted({s.name for size in self._all_sizes() for s in size.free_symbols})

    def _all_sizes(self) -> list[Size]:
        sizes = [size for op in self.plan.operations for size in op.shape]
        sizes += [op.details["value"] for op in self.plan.operations if op.kind in ("number", "fill")]
        return sizes + [side for pair in self.derived.graph.constraints for side in pair]

    # ------------------------------------------------------------ the module

    def module(self) -> str:
        outputs, objective, gradients = self.plan.outputs, self.plan.objective, self.plan.gradients
        functions = []
        if outputs:
            functions.append(self._function("predict", list(outputs.values())))
        if objective is not None:
            functions.append(self._function("loss", [objective]))
            functions.append(self._function("loss_and_grad", [objective, *gradients.values()]))
        opens = sorted(self._open_functions())
        body = fill(
            "numpy/module.py.j2",
            title=_docstring(self.model.title or self.model.name),
            model_text=[_docstring(line) for line in (self.model.source or source(self.model)).splitlines()],
            version=__version__,
            declared=[self._declared(leaf) for leaf in self.derived.graph.declarations],
            defaults=[(repr(name), size) for name, size in sorted(self.model.dimensions.items()) if size is not None],
            hypers=[
                (repr(name), repr(None if v is None else float(v))) for name, v in self.model.hyper_defaults.items()
            ],
            dimensions=[(self.names.size(name), repr(name)) for name in self.dimensions],
            constraints=[self._constraint(*pair) for pair in self.derived.graph.constraints],
            buffers=[line for op in self.plan.operations for line in self._buffer(op)],
            functions=functions,
            outputs=[(repr(name), self._result(op)) for name, op in outputs.items()],
            objective=None if objective is None else self.statements.expression(objective),
            gradients=[(repr(name), self._gradient(name, op)) for name, op in gradients.items()],
            parameters=[self._initial(leaf) for leaf in self.model.leaves_of_kind("parameter")],
            open_functions=[repr(name) for name in opens],
            helpers=[fill(f"numpy/helpers/{name}.py.j2") for name in self._helpers()],
        )
        return sealed(body, "#")

    def _helpers(self) -> list[str]:
        kinds = {op.kind for op in self.plan.operations if op.storage != "scalar" or op.kind in ("logsumexp", "norm")}
        return sorted(kinds & set(HELPERS))

    def _open_functions(self) -> set[str]:
        return {op.details["title"].replace("′", "'") for op in self.plan.operations if op.kind == "open_function"}

    def _declared(self, leaf: Leaf) -> str:
        axes = "".join(f"{size}, " if size.is_Integer else f"{size.name!r}, " for size in leaf.shape)
        classes = (
            "None"
            if leaf.classes is None
            else (str(leaf.classes) if leaf.classes.is_Integer else repr(leaf.classes.name))
        )
        return f"({leaf.name!r}, {leaf.kind!r}, ({axes.rstrip()}), {classes})"

    def _constraint(self, left: Size, right: Size) -> tuple[str, str, str]:
        return self.statements.size(left), self.statements.size(right), repr(f"{left} = {right}")

    def _buffer(self, operation: Operation) -> list[str]:
        if operation.storage == "scalar":
            return self._scratch(operation)
        if operation.storage != "constant" and self.plan.buffers.get(operation) is not operation:
            return []
        name = self.statements.variable[operation]
        if operation.storage == "constant":
            return [f"self.{name} = {self.statements.constant(operation)}"]
        lines = []
        if operation.kind not in ("inverse", "logdet", "det", "cofactor", "pick", "indicator"):
            shape = ", ".join(self.statements.size(size) for size in operation.shape)
            dtype = "bool" if operation.dtype == "bool" else "dtype"
            lines.append(f"self.{name} = np.empty(({shape},), {dtype})")
        return lines + self._scratch(operation)

    def _scratch(self, operation: Operation) -> list[str]:
        if operation.kind not in ("logsumexp", "norm"):
            return []
        name = self.statements.variable[operation]
        shape = ", ".join(self.statements.size(size) for size in operation.details["scratch"])
        return [f"self.{name}_scratch = np.empty(({shape},), dtype)"]

    def _result(self, operation: Operation) -> str:
        return f"np.array({self.statements.expression(operation)}, dtype)"

    def _gradient(self, name: str, operation: Operation) -> str:
        code = self.statements.expression(operation)
        return f"np.asarray({code}, w.dtype)" if operation.storage == "scalar" else code

    # ------------------------------------------------------------ one function

    def _function(self, name: str, targets: list[Operation]) -> dict[str, object]:
        operations = self.plan.needed(targets)
        given = [op for op in operations if op.kind == "given"]
        used = {s.name for op in operations for size in self._sizes_used(op) for s in size.free_symbols}
        lines: list[str] = []
        for op in given:
            lines.append(f"{self.statements.variable[op]} = arrays[{op.name!r}]")
        for dimension in self.dimensions:
            if dimension in used:
                lines.append(f"{self.names.size(dimension)} = w.sizes[{dimension!r}]")
        current = ""
        for op in operations:
            code = self.statements.statement(op)
            if code and op.equation and op.equation != current:
                current = op.equation
                lines.append(f"# {self._comment(current)}")
            lines += code
        return {"name": name, "lines": lines}

    def _sizes_used(self, operation: Operation) -> list[Size]:
        if operation.kind in ("number", "fill"):
            return [operation.details["value"]] if operation.kind == "number" else []
        if operation.kind in ("window", "scatter_window"):
            return [operation.details["offset"], *(x for step in operation.details["steps"] for x in step)]
        if operation.kind == "indicator" and operation.storage != "constant":
            return (
                [
                    *operation.shape,
                    operation.details["condition"].xreplace({argument(k): sympy.S.Zero for k in range(9)}),
                ]
                if False
                else list(operation.shape) + _affine_sizes(operation)
            )
        if operation.kind == "matmul":
            return list(operation.details["sizes"])
        return []

    def _comment(self, name: str) -> str:
        equation = self.derived.graph.by_name[name]
        line = self.writer.line(equation)
        return " ".join(self.writer.text.equation(line.left, line.right).split())

    # ------------------------------------------------------------ initial values

    def _initial(self, leaf: Leaf) -> dict[str, object]:
        shape = ", ".join(str(s) if s.is_Integer else f"sizes[{s.name!r}]" for s in leaf.shape)
        shape = f"({shape},)" if leaf.rank else "()"
        kind, fan_in = self._role(leaf)
        fan = " * ".join(str(s) if s.is_Integer else f"sizes[{s.name!r}]" for s in fan_in) or "1"
        return {"name": repr(leaf.name), "shape": shape, "kind": kind, "fan_in": fan}

    def _role(self, leaf: Leaf) -> tuple[str, list[Size]]:
        """How a parameter starts: ``normal`` over the axes it is summed along, ``ones`` where it multiplies, else ``zeros``."""
        multiplies = False
        for equation in self.model.graph.equations:
            for node in topological([equation.node]):
                for operand, labels in zip(node.operands, node.labels, strict=True):
                    if operand is not leaf:
                        continue
                    if isinstance(node, Contraction):
                        looked_up = {
                            label
                            for o, ls in zip(node.operands, node.labels, strict=True)
                            if isinstance(o, Indicator) and o.operands
                            for label in ls
                        }
                        fan = [
                            s
                            for s, label in zip(leaf.shape, labels, strict=True)
                            if label >= node.rank and label not in looked_up
                        ]
                        if leaf.rank > 1 or fan:
                            return "normal", fan or list(leaf.shape[1:])
                    if isinstance(node, Pointwise):
                        symbol = argument(node.operands.index(operand))
                        multiplies |= bool(
                            node.expression.diff(symbol).free_symbols & {argument(k) for k in range(len(node.operands))}
                        )
        if leaf.rank > 1:
            return "normal", list(leaf.shape[1:])
        return ("ones" if multiplies else "zeros"), []


def _affine_sizes(operation: Operation) -> list[Size]:
    condition = operation.details["condition"]
    return [sympy.Symbol(s.name, integer=True, positive=True) for s in condition.free_symbols if s.is_positive]


def _docstring(text: str) -> str:
    """Text that cannot end the docstring it stands in."""
    return "".join(c if c.isprintable() else " " for c in text).replace("\\", "\\\\").replace('"', '\\"').rstrip()
