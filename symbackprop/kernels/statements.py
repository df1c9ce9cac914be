"""Operations as NumPy: one statement each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy

from symbackprop.graph.nodes import argument, axis
from symbackprop.graph.sizes import Size
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
HELPERS = {
    "sigmoid": "_sigmoid", "erf": "_erf", "logsumexp": "_logsumexp", "norm": "_norm", "add_at_class": "_add_at_class",
    "scatter_class": "_scatter_class", "scatter_window": "_scatter_window", "window": "_window", "cofactor": "_cofactor",
    "pick": "_pick",
}  # fmt: skip
"""Operations that need a function of the module besides NumPy's."""


class Statements:
    """Writes the operations of a plan."""

    def __init__(self, plan: Plan, names: Identifiers) -> None:
        self.plan, self.names = plan, names
        self.variable: dict[Operation, str] = {}
        for operation in plan.operations:
            if operation.kind == "given" or operation.name:
                self._name(operation)
        for operation in reversed(plan.operations):
            self._name(operation)
            self._share(operation)

    def _share(self, operation: Operation) -> None:
        """What is written over on the way to a value carries its name: z = W x, then z += b."""
        base = self.plan.buffers.get(operation)
        for operand in operation.operands:
            if (
                base is not None
                and base is not operation
                and self.plan.buffers.get(operand) is base
                and not operand.name
            ):
                if operand not in self.variable and operand.equation == operation.equation:
                    self.variable[operand] = self.variable[operation]

    def _name(self, operation: Operation) -> None:
        if operation.kind in ("number", "align") or operation in self.variable:
            return
        wish = operation.name or f"{self.names.of(operation.equation)}_part" if operation.equation else "value"
        if operation.kind == "given" or (
            operation.name and self.names.of(operation.name) not in self.variable.values()
        ):
            self.variable[operation] = self.names.of(operation.name)
        else:
            self.variable[operation] = self.names.fresh(
                self.names.of(operation.equation) + "_part" if operation.equation else wish
            )

    # ------------------------------------------------------------ expressions

    def size(self, size: Size) -> str:
        """A size, a whole number, as Python."""
        if size.is_Integer:
            return str(size)
        if size.is_Symbol:
            return self.names.size(size.name)
        if isinstance(size, sympy.floor):
            above, below = sympy.fraction(sympy.together(size.args[0]))
            return f"({self.size(above)}) // ({self.size(below)})"
        if isinstance(size, sympy.Min | sympy.Max):
            inner = ", ".join(self.size(part) for part in sorted(size.args, key=str))
            return f"{'min' if isinstance(size, sympy.Min) else 'max'}({inner})"
        if size.is_Add:
            return " + ".join(
                self.size(part)
                for part in sorted(size.args, key=lambda p: (p.is_number, p.could_extract_minus_sign(), str(p)))
            ).replace("+ -", "- ")
        if size.is_Mul:
            above, below = sympy.fraction(size)
            if below != 1:
                return f"({self.size(above)}) // ({self.size(below)})"
            if size.could_extract_minus_sign():
                return f"-{self.size(-size)}" if not (-size).is_Add else f"-({self.size(-size)})"
            return " * ".join(f"({self.size(part)})" if part.is_Add else self.size(part) for part in size.args)
        if size.is_Pow:
            return f"({self.size(size.base)}) ** {self.size(size.exp)}"
        raise TypeError(f"no code for the size {size}")

    def number(self, value: sympy.Expr) -> str:
        """A number or an expression in sizes, as a Python float."""
        if value.is_Integer:
            return f"{value}.0" if abs(value) < 10**15 else repr(float(value))
        if value.is_Rational:
            return repr(float(value))
        if value is sympy.oo or value is sympy.S.NegativeInfinity:
            return "math.inf" if value is sympy.oo else "-math.inf"
        if value.is_number:
            return repr(float(value))
        if value.is_Symbol:
            return self.names.size(value.name)
        if value.is_Add:
            return "(" + " + ".join(self.number(part) for part in sorted(value.args, key=str)) + ")"
        if value.is_Mul:
            above, below = sympy.fraction(value)
            if below != 1:
                return f"({self.number(above)} / {self.number(below)})"
            return "(" + " * ".join(self.number(part) for part in sorted(value.args, key=str)) + ")"
        if value.is_Pow:
            if value.exp == sympy.Rational(1, 2):
                return f"math.sqrt({self.number(value.base)})"
            return f"({self.number(value.base)} ** {self.number(value.exp)})"
        if isinstance(value, sympy.floor | sympy.Min | sympy.Max):
            return self.size(value)
        return f"math.{value.func.__name__}({', '.join(self.number(part) for part in value.args)})"

    def expression(self, operation: Operation) -> str:
        """The operand as it stands in a statement."""
        if operation.kind == "number":
            return self.number(operation.details["value"])
        if operation.kind == "align":
            return self._aligned(operation)
        return self.variable[operation]

    def _aligned(self, operation: Operation) -> str:
        labels, rank = operation.details["labels"], operation.details["rank"]
        code = self.expression(operation.operands[0])
        order = sorted(range(len(labels)), key=lambda k: labels[k])
        if order != list(range(len(order))):
            code += ".T" if order == list(reversed(range(len(order)))) else f".transpose({', '.join(map(str, order))})"
        present = sorted(labels)
        if len(present) < rank:
            places = [":" if label in present else "None" for label in range(rank)]
            if all(place == ":" for place in places[places.count("None") :]):
                return code  # leading axes come by broadcasting
            code += f"[{', '.join(places)}]"
        return code

    # ------------------------------------------------------------ statements

    def out(self, operation: Operation) -> str:
        """The array that holds a result."""
        return f"w.{self.variable[self.plan.buffers[operation]]}"

    def statement(self, operation: Operation) -> list[str]:
        """The lines of one operation."""
        if operation.kind in ("number", "align", "given"):
            return []
        name = self.variable[operation]
        if operation.storage == "constant":
            return [f"{name} = w.{name}"]
        writer: Callable[[Operation, str], list[str]] | None = getattr(self, f"_write_{operation.kind}", None)
        if writer is not None:
            return writer(operation, name)
        return self._ufunc(operation, name)

    def _ufunc(self, operation: Operation, name: str) -> list[str]:
        operands = [self.expression(operand) for operand in operation.operands]
        kind = {
            "relu": "maximum",
            "softplus": "logaddexp",
            "positive": "greater",
            "nonnegative": "greater_equal",
            "equals": "equal",
        }.get(operation.kind, operation.kind)
        if kind != operation.kind:
            operands.append("0")
        if operation.storage == "scalar":
            if kind in _INFIX and len(operands) == 2:
                return [f"{name} = {operands[0]} {_INFIX[kind]} {operands[1]}"]
            return [f"{name} = np.{kind}({', '.join(operands)})"]
        base = self.plan.buffers[operation]
        if kind in _INFIX and base is not operation:
            first = operation.operands[0]
            if first.storage == "buffer" and self.plan.buffers[first] is base:
                lines = [f"{operands[0]} {_INFIX[kind]}= {operands[1]}"]
                return lines if operands[0] == name else [*lines, f"{name} = {operands[0]}"]
        return [f"{name} = np.{kind}({', '.join(operands)}, out={self.out(operation)})"]

    def _write_copy(self, operation: Operation, name: str) -> list[str]:
        inner = self.expression(operation.operands[0])
        if operation.storage == "scalar":
            return [f"{name} = {inner}"]
        return [f"{name} = {self.out(operation)}", f"np.copyto({name}, {inner})"]

    def _write_where(self, operation: Operation, name: str) -> list[str]:
        condition, yes, no = (self.expression(operand) for operand in operation.operands)
        if operation.storage == "scalar":
            return [f"{name} = {yes} if {condition} else {no}"]
        if operation.operands[0].dtype != "bool":
            condition = f"np.greater({condition}, 0.5)"
        return [
            f"{name} = {self.out(operation)}",
            f"np.copyto({name}, {no})",
            f"np.copyto({name}, {yes}, where={condition})",
        ]

    def _write_guarded(self, operation: Operation, name: str) -> list[str]:
        inner = self.expression(operation.operands[0])
        if operation.storage == "scalar":
            return [f"{name} = {inner} if {inner} != 0 else 1.0"]
        return [f"{name} = {self.out(operation)}", f"np.copyto({name}, {inner})", f"{name}[{name} == 0] = 1"]

    def _write_sigmoid(self, operation: Operation, name: str) -> list[str]:
        inner = self.expression(operation.operands[0])
        if operation.storage == "scalar":
            return [f"{name} = 1 / (1 + np.exp(-{inner}))"]
        return [f"{name} = _sigmoid({inner}, {self.out(operation)})"]

    def _write_erf(self, operation: Operation, name: str) -> list[str]:
        inner = self.expression(operation.operands[0])
        if operation.storage == "scalar":
            return [f"{name} = math.erf({inner})"]
        return [f"{name} = _erf({inner}, {self.out(operation)})"]

    def _write_open_function(self, operation: Operation, name: str) -> list[str]:
        inner = ", ".join(self.expression(operand) for operand in operation.operands)
        key = operation.details["title"].replace("′", "'")
        if operation.storage == "scalar":
            return [f"{name} = functions[{key!r}]({inner})"]
        return [f"{name} = {self.out(operation)}", f"np.copyto({name}, functions[{key!r}]({inner}))"]

    def _write_sum(self, operation: Operation, name: str) -> list[str]:
        return self._over("sum", operation, name)

    def _write_max(self, operation: Operation, name: str) -> list[str]:
        return self._over("max", operation, name)

    def _over(self, function: str, operation: Operation, name: str) -> list[str]:
        inner, axes = self.expression(operation.operands[0]), operation.details["axes"]
        if operation.storage == "scalar":
            return [f"{name} = np.{function}({inner})"]
        return [f"{name} = np.{function}({inner}, axis={_axes(axes)}, out={self.out(operation)})"]

    def _write_logsumexp(self, operation: Operation, name: str) -> list[str]:
        return self._stable("_logsumexp", operation, name)

    def _write_norm(self, operation: Operation, name: str) -> list[str]:
        return self._stable("_norm", operation, name)

    def _stable(self, function: str, operation: Operation, name: str) -> list[str]:
        inner = self.expression(operation.operands[0])
        target = "None" if operation.storage == "scalar" else self.out(operation)
        return [f"{name} = {function}({inner}, {operation.details['axes']}, {target}, w.{name}_scratch)"]

    def _write_dot(self, operation: Operation, name: str) -> list[str]:
        first, second = (self.expression(operand) for operand in operation.operands)
        return [f"{name} = np.vdot({first}, {second})"]

    def _write_einsum(self, operation: Operation, name: str) -> list[str]:
        inputs = ",".join("".join(_LETTERS[label] for label in labels) for labels in operation.details["inputs"])
        pattern = f"{inputs}->{''.join(_LETTERS[label] for label in operation.details['output'])}"
        operands = ", ".join(self.expression(operand) for operand in operation.operands)
        out = "" if operation.storage == "scalar" else f", out={self.out(operation)}"
        return [f'{name} = np.einsum("{pattern}", {operands}{out})']

    def _write_diagonal(self, operation: Operation, name: str) -> list[str]:
        inputs, output = operation.details["inputs"], operation.details["output"]
        pattern = f"{''.join(_LETTERS[k] for k in inputs)}->{''.join(_LETTERS[k] for k in output)}"
        return [f'{name} = np.einsum("{pattern}", {self.expression(operation.operands[0])})']

    def _write_inverse(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = np.linalg.inv({self.expression(operation.operands[0])})"]

    def _write_logdet(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = np.linalg.slogdet({self.expression(operation.operands[0])})[1]"]

    def _write_det(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = np.linalg.det({self.expression(operation.operands[0])})"]

    def _write_cofactor(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = _cofactor({self.expression(operation.operands[0])})"]

    def _write_take(self, operation: Operation, name: str) -> list[str]:
        table, index = (self.expression(operand) for operand in operation.operands)
        if operation.storage == "scalar":
            return [f"{name} = {table}[{index}]"]
        return [
            f'{name} = np.take({table}, {index}, axis={operation.details["axis"]}, out={self.out(operation)}, mode="clip")'
        ]

    def _write_pick(self, operation: Operation, name: str) -> list[str]:
        table, index = (self.expression(operand) for operand in operation.operands)
        if operation.operands[1].rank == 0:
            place = ", ".join([":"] * operation.details["axis"] + [index])
            return [f"{name} = {table}[{place}]"]
        return [f"{name} = _pick({table}, {index}, {operation.details['labels']}, {operation.details['axis']})"]

    def _write_add_at_class(self, operation: Operation, name: str) -> list[str]:
        target, index, amount = (self.expression(operand) for operand in operation.operands)
        lines = []
        if self.plan.buffers[operation] is operation:
            lines = [f"np.copyto({self.out(operation)}, {target})", f"{name} = {self.out(operation)}"]
            target = name
        lines.append(f"_add_at_class({target}, {index}, {amount})")
        return lines if target == name else [*lines, f"{name} = {target}"]

    def _write_scatter_class(self, operation: Operation, name: str) -> list[str]:
        source, index = (self.expression(operand) for operand in operation.operands)
        return [f"{name} = _scatter_class({source}, {index}, {self.out(operation)})"]

    def _write_scatter_window(self, operation: Operation, name: str) -> list[str]:
        coefficients = ", ".join(self.size(c) for _, c in operation.details["steps"])
        source = self.expression(operation.operands[0])
        offset = self.size(operation.details["offset"])
        return [f"{name} = _scatter_window({source}, ({coefficients},), {offset}, {self.out(operation)})"]

    def _write_window(self, operation: Operation, name: str) -> list[str]:
        steps = ", ".join(f"({self.size(size)}, {self.size(c)})" for size, c in operation.details["steps"])
        inner, place = self.expression(operation.operands[0]), operation.details["axis"]
        return [
            f"{name} = _window({inner}, {place}, ({steps}{',' if steps else ''}), {self.size(operation.details['offset'])})"
        ]

    def _write_indicator(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = {self.indicator(operation)}"]

    def indicator(self, operation: Operation) -> str:
        """The condition as an array of 0 and 1."""
        rank = operation.rank
        values: dict[sympy.Symbol, str] = {}
        for k, size in enumerate(operation.shape):
            places = ", ".join(":" if j == k else "None" for j in range(rank))
            values[axis(k)] = f"np.arange({self.size(size)})" + (f"[{places}]" if rank > 1 else "")
        for k, operand in enumerate(operation.operands):
            values[argument(k)] = self.expression(operand)
        code = self._affine(operation.details["condition"], values)
        shape = ", ".join(self.size(size) for size in operation.shape)
        return f"np.broadcast_to({code} {operation.details['relation']} 0, ({shape},))"

    def _affine(self, expression: sympy.Expr, values: dict[sympy.Symbol, str]) -> str:
        terms = []
        for term in sorted(sympy.Add.make_args(expression), key=str):
            found = [symbol for symbol in sorted(term.free_symbols, key=str) if symbol in values]
            if not found:
                terms.append(f"({self.size(term)})")
                continue
            coefficient = term.coeff(found[0])
            terms.append(values[found[0]] if coefficient == 1 else f"({self.size(coefficient)}) * {values[found[0]]}")
        return "(" + " + ".join(terms) + ")"

    def constant(self, operation: Operation) -> str:
        """An array that depends on sizes alone, for the workspace."""
        shape = ", ".join(self.size(size) for size in operation.shape)
        if operation.kind == "fill":
            return f"np.full(({shape},), {self.number(operation.details['value'])}, dtype)"
        if operation.kind == "coordinate":
            return f"np.arange({shape}).astype(dtype)"
        return self.indicator(operation)

    # ------------------------------------------------------------ products

    def _write_matmul(self, operation: Operation, name: str) -> list[str]:
        d = operation.details
        batch, rows, contracted, columns, sizes = d["batch"], d["rows"], d["contracted"], d["columns"], d["sizes"]
        left = self._arranged(operation.operands[0], d["left"], (batch, rows, contracted), sizes)
        right = self._arranged(operation.operands[1], d["right"], (batch, contracted, columns), sizes)
        if operation.storage == "scalar":
            return [f"{name} = np.dot({left}, {right})"]
        out = self.out(operation)
        if len(rows) > 1 or len(columns) > 1:
            groups = [*([label] for label in batch), *([rows] if rows else []), *([columns] if columns else [])]
            out = f"{out}.reshape({', '.join(self._count(group, sizes) for group in groups)})"
        if batch and not rows:
            left, out = f"{left}[..., None, :]", f"{out}[..., None, :]" if columns else f"{out}[..., None]"
        if batch and not columns:
            right, out = f"{right}[..., None]", f"{out}[..., None]"
        if out == self.out(operation):
            return [f"{name} = np.matmul({left}, {right}, out={out})"]
        return [f"np.matmul({left}, {right}, out={out})", f"{name} = {self.out(operation)}"]

    def _count(self, labels: Sequence[int], sizes: Sequence[Size]) -> str:
        return " * ".join(
            f"({self.size(sizes[label])})" if sizes[label].is_Add else self.size(sizes[label]) for label in labels
        )

    def _arranged(
        self, operation: Operation, labels: Sequence[int], groups: Sequence[Sequence[int]], sizes: Sequence[Size]
    ) -> str:
        wanted = [label for group in groups for label in group]
        order = [list(labels).index(label) for label in wanted]
        code = self.expression(operation)
        if order != list(range(len(order))):
            code += ".T" if order == list(reversed(range(len(order)))) else f".transpose({', '.join(map(str, order))})"
        batch, *rest = groups
        if any(len(group) > 1 for group in rest):
            parts = [*([label] for label in batch), *(group for group in rest if group)]
            code += f".reshape({', '.join(self._count(group, sizes) for group in parts)})"
        return code


def _axes(axes: tuple[int, ...]) -> str:
    return str(axes[0]) if len(axes) == 1 else str(axes)
