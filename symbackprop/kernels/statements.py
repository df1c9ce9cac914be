"""Operations as NumPy: one statement each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy

from symbackprop.kernels.constants import Constants
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.matrix_products import MatrixProducts
from symbackprop.kernels.numbers import Numbers
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.schedule import Loop, reads_rows
from symbackprop.kernels.variables import Variables

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
}
_IN_PLACE_INFIX = ("add", "subtract", "multiply", "divide")
_NUMPY = {"relu": "maximum", "softplus": "logaddexp"}
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
HELPERS = frozenset("sigmoid erf norm row_max scatter_classes scatter_windows window cofactor pick matmul".split())
"""Operations that need a function of the module besides NumPy's, in a template of their name."""


class Statements:
    """Writes the operations of a plan. ``function`` and the loop being written decide how a value is called there."""

    def __init__(self, plan: Plan, names: Identifiers) -> None:
        self.plan, self.names = plan, names
        self.numbers = Numbers(names)
        self.variables = Variables(plan, names)
        self.constants = Constants(self.numbers, self.variables, self.expression)
        self.products = MatrixProducts(self)
        self.loop: Loop | None = None
        self.current: Operation | None = None

    # ------------------------------------------------------------ loops

    def loop_lines(
        self, loop: Loop, wanted: frozenset[Operation], comment: Callable[[str], str], later: frozenset[Operation]
    ) -> list[str]:
        """The lines of a loop over blocks of rows, of which those operations are wanted; ``later`` are values read after it."""
        chosen = [operation for operation in loop.operations if operation in wanted]
        rows = self.plan.rows_in(loop)
        lines = []
        for operation in chosen:
            if operation in loop.accumulated:
                lines += self._start(operation)
        names = [self.variables.row_of_array(array, shape) for array, shape in rows.whole]
        names += [f"{self.variables.of(value)}_rows" for value in rows.constants]
        names += [self.variables.row_of_array(array, shape) for array, shape in rows.scratch]
        lines.append(f"for {', '.join(['rows', *names])} in {self.variables.loop_name(loop)}:")
        self.loop = loop
        used = {operand.base for operation in chosen for operand in operation.operands}
        for value in rows.sliced:
            if value in used:
                lines.append(f"    {self.variables.of(value)}_rows = {self.variables.of(value)}[rows]")
        current = ""
        for operation in chosen:
            code = self._accumulate(operation) if operation in loop.accumulated else self.statement(operation)
            if operation.equation != current:
                current = operation.equation
                lines.append(f"    # {comment(current)}")
            lines += [f"    {line}" for line in code]
        self.loop = self.current = None
        for operation in chosen:
            if operation in later and operation not in loop.accumulated:
                lines.append(f"{self.variables.of(operation)} = {self.out(operation)}")
        return lines

    def _start(self, operation: Operation) -> list[str]:
        name = self.variables.of(operation)
        return (
            [f"{name} = 0.0"]
            if operation.storage == "scalar"
            else [f"{name} = {self.out(operation)}", f"{name}.fill(0)"]
        )

    def _accumulate(self, operation: Operation) -> list[str]:
        self.current = operation
        operands = [self.expression(operand) for operand in operation.operands]
        if operation.kind == "dot":
            code = f"np.vdot({operands[0]}, {operands[1]})"
        elif operation.kind == "sum_first":
            code = self._sum_first(operation, operands)
        elif operation.kind == "sum":
            axes = operation.details["axes"]
            code = f"np.sum({operands[0]}{'' if operation.storage == 'scalar' else f', axis={_axes(axes)}'})"
        else:
            code = f'np.einsum("{self._pattern(operation)}", {", ".join(operands)})'
        return [f"{self.variables.of(operation)} += {code}"]

    # ------------------------------------------------------------ expressions

    def variable(self, operation: Operation, rows: bool) -> str:
        """The name of a value, or of its rows in the loop that is being written."""
        name = self.variables.of(operation)
        if not rows or self.loop is None:
            return f"w.{name}" if operation.storage == "constant" else name
        if operation.storage == "buffer" and operation not in self.loop.operations:
            return self.variables.row_of_array(self.plan.array_of[operation], operation.shape)
        return f"{name}_rows"

    def expression(self, operation: Operation) -> str:
        """The operand as it stands in the statement of the current operation."""
        if operation.kind == "number":
            return self.numbers.number(operation.details["value"])
        if operation.kind == "lowest":
            return "w.lowest"
        rows = self.loop is not None and self.current is not None
        rows = rows and operation.storage != "scalar" and self._by_rows(operation)
        return self._aligned(operation, rows) if operation.kind == "align" else self.variable(operation, rows)

    def _by_rows(self, operand: Operation) -> bool:
        assert self.loop is not None and self.current is not None
        return reads_rows(self.current, operand, self.loop.length)

    def _aligned(self, operation: Operation, rows: bool) -> str:
        labels, rank = operation.details["labels"], operation.details["rank"]
        code = self.variable(operation.operands[0], rows)
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
        array = self.plan.array_of[operation]
        if self.loop is not None and operation not in self.loop.accumulated:
            return self.variables.row_of_array(array, operation.shape)
        return self.variables.attribute(array, operation.shape)

    def statement(self, operation: Operation) -> list[str]:
        """The lines of one operation."""
        if operation.kind in ("number", "align", "given", "lowest", "scratch") or operation.storage == "constant":
            return []
        self.current = operation
        name = self.variable(operation, self.loop is not None and operation not in self.loop.accumulated)
        writer: Callable[[Operation, str], list[str]] | None = getattr(self, f"_write_{operation.kind}", None)
        if writer is not None:
            return writer(operation, name)
        return self._ufunc(operation, name)

    def _over(self, operation: Operation, operand: Operation) -> bool:
        """Tell whether a result is written over an operand."""
        array_of = self.plan.array_of
        return (
            operation.storage == "buffer"
            and operand.storage == "buffer"
            and array_of.get(operand) is array_of[operation]
        )

    def _ufunc(self, operation: Operation, name: str) -> list[str]:
        operands = [self.expression(operand) for operand in operation.operands]
        kind = operation.kind
        if kind == "softplus":
            operands.append("0")
        if operation.storage == "scalar":
            if kind in _INFIX and len(operands) == 2:
                return [f"{name} = {operands[0]} {_INFIX[kind]} {operands[1]}"]
            return [f"{name} = np.{_NUMPY.get(kind, kind)}({', '.join(operands)})"]
        if kind in _IN_PLACE_INFIX and self._over(operation, operation.operands[0]):
            lines = [f"{operands[0]} {_INFIX[kind]}= {operands[1]}"]
            return lines if operands[0] == name else [*lines, f"{name} = {operands[0]}"]
        return [f"{name} = np.{_NUMPY.get(kind, kind)}({', '.join(operands)}, out={self.out(operation)})"]

    def _filled(self, operation: Operation, name: str) -> list[str]:
        """The lines that put the first operand into the result's array, where it is not there already."""
        inner = self.expression(operation.operands[0])
        if self._over(operation, operation.operands[0]):
            return [] if inner == name else [f"{name} = {inner}"]
        return [f"{name} = {self.out(operation)}", f"np.copyto({name}, {inner})"]

    def _write_copy(self, operation: Operation, name: str) -> list[str]:
        if operation.storage == "scalar":
            return [f"{name} = {self.expression(operation.operands[0])}"]
        return [f"{name} = {self.out(operation)}", f"np.copyto({name}, {self.expression(operation.operands[0])})"]

    def _write_choose(self, operation: Operation, name: str) -> list[str]:
        condition, yes, no = (self.expression(operand) for operand in operation.operands)
        return [f"{name} = {yes} if {condition} else {no}"]

    def _write_replace(self, operation: Operation, name: str) -> list[str]:
        _, value, where = (self.expression(operand) for operand in operation.operands)
        return [*self._filled(operation, name), f"np.copyto({name}, {value}, where={where})"]

    def _write_guarded(self, operation: Operation, name: str) -> list[str]:
        if operation.storage == "scalar":
            inner = self.expression(operation.operands[0])
            return [f"{name} = {inner} if {inner} != 0 else 1.0"]
        return [*self._filled(operation, name), f"{name}[{name} == 0] = 1"]

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

    # ------------------------------------------------------------ sums and extremes

    def _write_sum(self, operation: Operation, name: str) -> list[str]:
        return self._reduced("add", operation, name)

    def _write_max(self, operation: Operation, name: str) -> list[str]:
        return self._reduced("maximum", operation, name)

    def _write_row_max(self, operation: Operation, name: str) -> list[str]:
        rows, places, starts = operation.operands
        scratch = f"w.{self.variables.of_array(self.plan.array_of[places], places.shape)}"
        return [f"{name} = _row_max({self.expression(rows)}, {scratch}, w.{self.variables.of(starts)}, {self.out(operation)})"]

    def _reduced(self, function: str, operation: Operation, name: str) -> list[str]:
        inner, axes = self.expression(operation.operands[0]), operation.details["axes"]
        if operation.storage == "scalar":
            return [f"{name} = np.{function}.reduce({inner}, axis=None)"]
        return [f"{name} = np.{function}.reduce({inner}, axis={_axes(axes)}, out={self.out(operation)})"]

    def _write_sum_first(self, operation: Operation, name: str) -> list[str]:
        operands = [self.expression(operand) for operand in operation.operands]
        if operation.rank == 1:
            return [f"{name} = {self._sum_first(operation, operands)[:-1]}, out={self.out(operation)})"]
        rows, ones = operands
        return [
            f"{name} = {self.out(operation)}",
            f"np.dot({ones}, {rows}.reshape({ones}.size, -1), out={name}.reshape(-1))",
        ]

    def _sum_first(self, operation: Operation, operands: Sequence[str]) -> str:
        rows, ones = operands
        if operation.rank == 1 and len(operation.details["axes"]) == 1:
            return f"np.dot({ones}, {rows})"
        if operation.rank == 1:
            return f"np.dot({ones}, {rows}.reshape({ones}.size, -1))"
        return f"np.sum({rows}, axis={_axes(operation.details['axes'])})"

    def _write_sum_last(self, operation: Operation, name: str) -> list[str]:
        rows, ones = (self.expression(operand) for operand in operation.operands)
        if operation.rank == 1 and len(operation.details["axes"]) == 1:
            return [f"{name} = np.dot({rows}, {ones}, out={self.out(operation)})"]
        return [
            f"{name} = {self.out(operation)}",
            f"np.dot({rows}.reshape(-1, {ones}.size), {ones}, out={name}.reshape(-1))",
        ]

    def _write_max_window(self, operation: Operation, name: str) -> list[str]:
        return self._over_windows("maximum", operation, name)

    def _write_sum_window(self, operation: Operation, name: str) -> list[str]:
        return self._over_windows("add", operation, name)

    def _over_windows(self, function: str, operation: Operation, name: str) -> list[str]:
        inner, axes = self.expression(operation.operands[0]), operation.details["axes"]
        return [f"{name} = _over_windows(np.{function}, {inner}, {axes}, {self.out(operation)})"]

    def _write_norm(self, operation: Operation, name: str) -> list[str]:
        inner, scratch = operation.operands
        target = "None" if operation.storage == "scalar" else self.out(operation)
        place = self.numbers.size(sympy.S.Zero) if not scratch.rank else self.out(scratch)
        return [f"{name} = _norm({self.expression(inner)}, {operation.details['axes']}, {target}, {place})"]

    def _write_dot(self, operation: Operation, name: str) -> list[str]:
        first, second = (self.expression(operand) for operand in operation.operands)
        return [f"{name} = np.vdot({first}, {second})"]

    def _write_einsum(self, operation: Operation, name: str) -> list[str]:
        operands = ", ".join(self.expression(operand) for operand in operation.operands)
        out = "" if operation.storage == "scalar" else f", out={self.out(operation)}"
        return [f'{name} = np.einsum("{self._pattern(operation)}", {operands}{out})']

    def _pattern(self, operation: Operation) -> str:
        inputs = ",".join("".join(_LETTERS[label] for label in labels) for labels in operation.details["inputs"])
        return f"{inputs}->{''.join(_LETTERS[label] for label in operation.details['output'])}"

    def _write_matmul(self, operation: Operation, name: str) -> list[str]:
        return self.products.statement(operation, name)

    def _write_diagonal(self, operation: Operation, name: str) -> list[str]:
        inputs, output = operation.details["inputs"], operation.details["output"]
        pattern = f"{''.join(_LETTERS[k] for k in inputs)}->{''.join(_LETTERS[k] for k in output)}"
        return [f'{name} = np.einsum("{pattern}", {self.expression(operation.operands[0])})']

    # ------------------------------------------------------------ matrices

    def _write_inverse(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = np.linalg.inv({self.expression(operation.operands[0])})"]

    def _write_logdet(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = np.linalg.slogdet({self.expression(operation.operands[0])})[1]"]

    def _write_det(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = np.linalg.det({self.expression(operation.operands[0])})"]

    def _write_cofactor(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = _cofactor({self.expression(operation.operands[0])})"]

    # ------------------------------------------------------------ where workers meet

    def _write_all_reduce(self, operation: Operation, name: str) -> list[str]:
        group, function = repr(operation.details["groups"]), f"MPI.{operation.details['function']}"
        if operation.storage == "scalar":
            return [f"{name} = _workers.number({self.expression(operation.operands[0])}, {group}, {function}, w.dtype)"]
        return [*self._filled(operation, name), f"_workers.reduce({name}, {group}, {function})"]

    def _write_start_sum(self, operation: Operation, name: str) -> list[str]:
        bucket = operation.details["bucket"]
        parts = [line for member in bucket.members for line in self._filled(member, self.variables.of(member))]
        return [*parts, f"{name} = _workers.start_sum(w.{self.variables.bucket_name(bucket)}, {bucket.groups!r})"]

    def _write_end_sum(self, operation: Operation, name: str) -> list[str]:
        return [f"{self.expression(operation.operands[0])}.Wait()"]

    def _write_summed(self, operation: Operation, name: str) -> list[str]:
        return []

    def _write_all_gather(self, operation: Operation, name: str) -> list[str]:
        part, *room = operation.operands
        flat = self.out(room[0]) if room else "None"
        place = f"{operation.details['groups']!r}, {operation.details['axis']}, {self.out(operation)}, {flat}"
        return [f"{name} = _workers.gather({self.expression(part)}, {place})"]

    # ------------------------------------------------------------ parts of the batch, and stages

    def _write_total(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = {self.out(operation)}", f"{name}.fill(0)"]

    def _write_add_round(self, operation: Operation, name: str) -> list[str]:
        total = self.out(operation)
        return [f"np.add({total}, {self.expression(operation.operands[1])}, out={total})"]

    def _write_room(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = {self.out(operation)}"]

    def _write_put_round(self, operation: Operation, name: str) -> list[str]:
        place = part_of_axis(operation.details["axis"])
        return [f"{self.out(operation)}[{place}] = {self.expression(operation.operands[1])}"]

    def _write_send(self, operation: Operation, name: str) -> list[str]:
        value = self.expression(operation.operands[0])
        if operation.operands[0].storage == "scalar":
            value = f"np.array({value}, {_dtype_of(operation)})"
        return [f"_workers.send({value}, {operation.details['stage']}, {operation.details['tag']})"]

    def _write_receive(self, operation: Operation, name: str) -> list[str]:
        source = f"{operation.details['stage']}, {operation.details['tag']}"
        if operation.storage == "scalar":
            return [f"{name} = _workers.receive(np.empty((), {_dtype_of(operation)}), {source})[()]"]
        return [f"{name} = _workers.receive({self.out(operation)}, {source})"]

    # ------------------------------------------------------------ index maps

    def _write_take(self, operation: Operation, name: str) -> list[str]:
        table, index = (self.expression(operand) for operand in operation.operands)
        if operation.storage == "scalar":
            return [f"{name} = {table}[{index}]"]
        return [
            f'{name} = np.take({table}, {index}, axis={operation.details["axis"]}, out={self.out(operation)}, mode="clip")'
        ]

    def _write_flat_index(self, operation: Operation, name: str) -> list[str]:
        classes, starts = (self.expression(operand) for operand in operation.operands)
        return [f"{name} = np.add({classes}, {starts}, out={self.out(operation)})"]

    def _write_shifted(self, operation: Operation, name: str) -> list[str]:
        classes, shift = self.expression(operation.operands[0]), self.numbers.size(operation.details["shift"])
        return [f"{name} = np.subtract({classes}, {shift}, out={self.out(operation)})"]

    def _write_is_own(self, operation: Operation, name: str) -> list[str]:
        shifted, count = self.expression(operation.operands[0]), self.numbers.size(operation.details["count"])
        return [f"{name} = np.less({shifted}.view(np.uintp), {count}, out={self.out(operation)})"]

    def _write_clipped(self, operation: Operation, name: str) -> list[str]:
        shifted, count = self.expression(operation.operands[0]), self.numbers.size(operation.details["count"])
        return [f"{name} = np.clip({shifted}, 0, {count} - 1, out={self.out(operation)})"]

    def _write_take_flat(self, operation: Operation, name: str) -> list[str]:
        table, index = (self.expression(operand) for operand in operation.operands)
        return [f'{name} = {table}.take({index}, out={self.out(operation)}, mode="clip")']

    def _write_pick(self, operation: Operation, name: str) -> list[str]:
        table, index = (self.expression(operand) for operand in operation.operands)
        if operation.operands[1].rank == 0:
            place = ", ".join([":"] * operation.details["axis"] + [index])
            return [f"{name} = {table}[{place}]"]
        return [f"{name} = _pick({table}, {index}, {operation.details['labels']}, {operation.details['axis']})"]

    def _write_add_at_class(self, operation: Operation, name: str) -> list[str]:
        _, index, amount = (self.expression(operand) for operand in operation.operands)
        return [*self._filled(operation, name), f"{name}.reshape(-1)[{index}] += {amount}"]

    def _write_scatter_classes(self, operation: Operation, name: str) -> list[str]:
        source, index = (self.expression(operand) for operand in operation.operands)
        return [f"{name} = _scatter_classes({source}, {index}, {self.out(operation)})"]

    def _write_scatter_windows(self, operation: Operation, name: str) -> list[str]:
        source, places = (self.expression(operand) for operand in operation.operands)
        order = operation.details["order"]
        return [f"{name} = _scatter_windows({source}, {places}, {order}, {self.out(operation)})"]

    def _write_window(self, operation: Operation, name: str) -> list[str]:
        entries = []
        for entry in operation.details["windows"]:
            if entry is None:
                entries.append("None")
            else:
                steps = ", ".join(f"({self.numbers.size(size)}, {self.numbers.size(c)})" for size, c in entry[0])
                entries.append(f"(({steps}{',' if steps else ''}), {self.numbers.size(entry[1])})")
        return [f"{name} = _window({self.expression(operation.operands[0])}, ({', '.join(entries)},))"]

    def _write_indicator(self, operation: Operation, name: str) -> list[str]:
        return [f"{name} = {self.constants.indicator(operation)}"]


def _axes(axes: tuple[int, ...]) -> str:
    return str(axes[0]) if len(axes) == 1 else str(axes)


def part_of_axis(axis: int) -> str:
    """The index of what one part of the batch has of an axis."""
    return ", ".join([":"] * axis + ["part"])


def _dtype_of(operation: Operation) -> str:
    return {"float": "w.dtype", "bool": "bool", "int": "np.intp"}[operation.dtype]
