"""The module's text: finished strings for the templates."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Collection, Mapping
from typing import Any

from symbackprop import __version__
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.sizes import Shape, Size, is_dimension
from symbackprop.kernels.hessian import parts
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.initial import initial_values
from symbackprop.kernels.memory import Array
from symbackprop.kernels.operations import Operation, expressions_of
from symbackprop.kernels.plan import Plan, make_plan
from symbackprop.kernels.schedule import CACHE, Loop, Step, operations_of
from symbackprop.kernels.statements import HELPERS, Statements
from symbackprop.render.source import source
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer
from symbackprop.writing import sealed


def generate_source(derived: DerivedGraph, *, checkpoint: int | None = None, example: DerivedGraph | None = None) -> str:
    """Return the text of the NumPy module of a derivation over the batch: byte-identical for the same one on any machine.

    Where the derivation has products, the module has too; with the same derivation per example (``example``) it also has the
    whole matrix. ``checkpoint`` is that of `make_plan`. That of a derivation for several workers is the one that each of them runs.
    """
    plan = make_plan(derived, checkpoint)
    found = [(part.names, Emitter(part.plan.derived, part.plan)) for part in parts(example, plan)] if example else None
    return Emitter(derived, plan).module(_note(checkpoint), found)


class Emitter:
    """Writes the module of a plan. ``taken`` are identifiers that no value may have."""

    def __init__(self, derived: DerivedGraph, plan: Plan, taken: tuple[str, ...] = ()) -> None:
        self.derived, self.plan, self.model = derived, plan, derived.model
        self.names = Identifiers(taken)
        self.statements = Statements(plan, self.names)
        self.numbers, self.variables = self.statements.numbers, self.statements.variables
        self.writer = Writer(derived)
        symbols = {symbol for size in self._all_sizes() for symbol in size.free_symbols}
        self.dimensions = sorted(symbol.name for symbol in symbols if is_dimension(symbol))

    def _all_sizes(self) -> list[Size]:
        sizes = [size for op in self.plan.operations for size in expressions_of(op)]
        return sizes + [side for pair in self.derived.graph.constraints for side in pair]

    # ------------------------------------------------------------ the module

    def module(self, note: str, matrix: list[tuple[tuple[str, ...], Emitter]] | None = None) -> str:
        """The whole text. ``matrix`` holds the parts of the matrix that have functions of their own, if it is wanted."""
        return module_text(self._values(note, matrix))

    def _values(self, note: str, matrix: list[tuple[tuple[str, ...], Emitter]] | None) -> dict[str, Any]:
        """What stands in the places of the module's template."""
        members = self._members(matrix)
        opens = sorted({name for emitter in members for name in emitter._open_functions()})
        helpers = sorted({name for emitter in members for name in emitter._helpers()})
        own = {name for split in self.derived.workers.splits for name in (split.held, split.first)} if self.derived.workers else ()
        outputs, objective = self.plan.outputs, self.plan.objective
        gradients, products = self.plan.gradients, self.plan.products
        return {
            "title": docstring(self.model.title or self.model.name),
            "model_text": [docstring(line) for line in (self.model.source or source(self.model)).splitlines()],
            "version": __version__,
            "note": note,
            "declared": [declared(leaf) for leaf in self.derived.graph.declarations],
            "defaults": [(repr(k), size) for k, size in sorted(self.model.dimensions.items()) if size is not None and k not in own],
            "hypers": [
                (repr(name), repr(None if v is None else float(v))) for name, v in self.model.hyper_defaults.items()
            ],
            "dimensions": [(self.names.size(name), repr(name)) for name in self.dimensions],
            "constraints": [self._constraint(*pair) for pair in self.derived.graph.constraints],
            "bytes": textwrap.wrap(self._bytes(self.plan.entries), 100, break_long_words=False),
            "buffers": self._workspace("self"),
            "classes": [self._classes(leaf) for leaf in self.derived.graph.declarations if leaf.classes is not None],
            "functions": [*self._functions(), *([] if matrix is None else [{"template": "numpy/hessian.py.j2", "lines": []}])],
            "outputs": [(repr(name), self._result(op)) for name, op in outputs.items()],
            "objective": objective and self.statements.expression(objective),
            "gradients": [(repr(name), self._gradient(name, op)) for name, op in gradients.items()],
            "products": [(repr(name), self._gradient(name, op)) for name, op in products.items()],
            "product": self.derived.further[-1].title if products else "",
            "by": [repr(name) for name in products],
            "parameters": initial_values(self.model),
            "open_functions": [repr(name) for name in opens],
            "helpers": [fill(f"numpy/helpers/{name}.py.j2", cache=CACHE) for name in helpers],
            "matrix": None if matrix is None else [e._part(k) for k, (_, e) in enumerate(matrix, start=1)],
            "tables": _tables(matrix or []),
            "workers": self._workers(),
        }

    def _members(self, matrix: list[tuple[tuple[str, ...], Emitter]] | None) -> list[Emitter]:
        """All that the module's lines are written by."""
        return [self, *[emitter for _, emitter in matrix or ()]]

    def _functions(self) -> list[dict[str, Any]]:
        """What stands in the templates of the functions."""
        plan, targets = self.plan, dict[str, list[Operation]]()
        if plan.outputs:
            targets["predict"] = [*plan.outputs.values()]
        if plan.objective is not None:
            targets |= {"loss": [plan.objective], "loss_and_grad": [plan.objective, *plan.gradients.values()]}
        if plan.objective is not None and plan.products:
            targets["hvp"] = [*plan.products.values()]
            targets["loss_grad_and_hvp"] = [plan.objective, *plan.gradients.values(), *plan.products.values()]
        return [{"template": f"numpy/{name}.py.j2", "lines": self._function(wanted)} for name, wanted in targets.items()]

    def _workers(self) -> dict[str, Any] | None:
        """What the module says of the workers; None for one that runs alone."""
        workers = self.derived.workers
        if workers is None:
            return None
        alone = [(split.name,) for split in workers.splits]
        tensors = [*(leaf.name for leaf in self.derived.graph.declarations), *self.model.outputs]
        operations = [op for emitter in self._members(None) for op in emitter.plan.operations]
        met = [op.details["groups"] for op in operations if op.kind in ("all_reduce", "all_gather")]
        met += [bucket.groups for emitter in self._members(None) for bucket in emitter.plan.buckets]
        return {
            "splits": [(repr(s.name), s.parts, repr(s.held), repr(s.first)) for s in workers.splits],
            "layouts": [(repr(name), repr(workers.layouts[name])) for name in tensors],
            "groups": [repr(group) for group in sorted({*alone, *met})],
            "sizes": repr(tuple(self._told())),
            "digest": "None", "stages": 1, "rounds": None, "arrays": [],
        }  # fmt: skip

    def _told(self) -> list[str]:
        """The dimensions that a worker reads from its arrays."""
        axes = [size for leaf in self.derived.graph.declarations for size in leaf.shape]
        return sorted({size.name for size in axes if size.is_Symbol})

    def _part(self, number: int) -> dict[str, object]:
        """The function of one block or diagonal of the matrix."""
        ((name, result),) = self.plan.outputs.items()
        code = self.statements.expression(result)
        own = result.base.storage == "buffer"
        return {
            "function": f"_part_{number}", "title": self._comment(name),
            "bytes": textwrap.wrap(self._bytes(self.plan.entries), 100, break_long_words=False),
            "sizes": [(self.names.size(dimension), repr(dimension)) for dimension in self.dimensions],
            "buffers": self._workspace("w"), "lines": self._lines([result]),
            "result": code if own else f"np.array({code}, dtype)",
        }  # fmt: skip

    def _helpers(self) -> list[str]:
        kinds = {op.kind for op in self.plan.operations if op.storage != "scalar" or op.kind == "norm"}
        kinds |= {"blocks"} if self.plan.loops else set()
        kinds |= {"over_windows"} if kinds & {"max_window", "sum_window"} else set()
        kinds |= {"tiles"} if "matmul" in kinds else set()
        kinds |= {"symmetric"} if any(op.details.get("symmetric") for op in self.plan.operations) else set()
        kinds |= {"part"} if any(len(self.variables.forms(array)) > 1 for array in self.plan.arrays) else set()
        return sorted(kinds & {*HELPERS, "blocks", "part", "over_windows", "symmetric", "tiles"})

    def _open_functions(self) -> set[str]:
        return {op.details["title"].replace("′", "'") for op in self.plan.operations if op.kind == "open_function"}

    def _classes(self, leaf: Leaf) -> tuple[str, str]:
        assert leaf.classes is not None
        count = str(leaf.classes) if leaf.classes.is_Integer else f"sizes.get({leaf.classes.name!r}, 1)"
        return repr(leaf.name), count

    def _constraint(self, left: Size, right: Size) -> tuple[str, str, str]:
        return self.numbers.size(left), self.numbers.size(right), repr(f"{left} = {right}")

    # ------------------------------------------------------------ the workspace

    def _workspace(self, owner: str) -> list[str]:
        """The lines that allocate the arrays, as attributes of ``owner``."""
        lines = [
            f"{owner}.{self.variables.of(op)} = {self.statements.constants.constant(op, owner)}"
            for op in self.plan.operations
            if op.storage == "constant"
        ]
        if any(op.kind == "lowest" for op in self.plan.operations):
            lines.append(f"{owner}.lowest = np.finfo(dtype).min")
        for bucket in self.plan.buckets:
            flat = f"{owner}.{self.variables.bucket_name(bucket)}"
            members = [(self.plan.array_of[member], member.shape) for member in bucket.members]
            names = [f"{owner}.{self.variables.of_array(array, shape)}" for array, shape in members]
            lines.append(f"{flat} = np.empty({self.numbers.size(bucket.entries)}, dtype)")
            lines.append(f"{_tuple(names)} = _cut({flat}, {_tuple([self._shape(shape) for _, shape in members])})")
        together = {self.plan.array_of[member] for bucket in self.plan.buckets for member in bucket.members}
        shared = [array for array in self.plan.arrays if array not in self.plan.of_a_turn]
        lines += [line for array in shared for line in self._array(array, owner, together)]
        sizes = [
            f"_rows({self.numbers.size(loop.length)}, {self._bytes(self.plan.row_width(loop))}) * ({self._bytes(width)})"
            for loop in self.plan.loops
            if any((width := self.plan.scratch_width(loop)).values())
        ]
        largest = sizes[0] if len(sizes) == 1 else f"max({', '.join(sizes)})" if sizes else "0"
        lines += [f"{owner}.scratch = np.empty({largest}, np.uint8)"] if self.plan.loops else []
        return lines + [self._blocks(loop, owner) for loop in self.plan.loops if not self.plan.is_of_a_turn(loop)]

    def _array(self, array: Array, owner: str, there: Collection[Array] = ()) -> list[str]:
        """The lines that allocate an array, where it is not ``there`` already, in all its forms."""
        if array.loop is not None:
            return []
        shape, *others = [shape for shape, _ in self.variables.forms(array)]
        name = self.variables.attribute(array, shape, owner)
        lines = [] if array in there else [f"{name} = np.empty({self._shape(shape)}, {self._dtype(array)})"]
        forms = [(self.variables.attribute(array, other, owner), self._shape(other)) for other in others]
        return lines + [f"{form} = _part({name}, {size})" for form, size in forms]

    def _blocks(self, loop: Loop, owner: str) -> str:
        rows = self.plan.rows_in(loop)
        arrays = [self.variables.attribute(array, shape, owner) for array, shape in rows.whole]
        arrays += [f"{owner}.{self.variables.of(value)}" for value in rows.constants]
        scratch = [f"({self._shape(shape[1:])}, {self._dtype(array)})" for array, shape in rows.scratch]
        return (
            f"{self.variables.loop_name(loop, owner)} = _blocks({self.numbers.size(loop.length)}, "
            f"{self._bytes(self.plan.row_width(loop))}, "
            f"({_tuple(arrays)}), ({_tuple(scratch)}), {owner}.scratch)"
        )

    def _bytes(self, entries: Mapping[str, Size]) -> str:
        """The bytes of so many entries of each dtype."""
        scales = (("float", "dtype.itemsize * "), ("int", "8 * "), ("bool", ""))
        parts = [f"{scale}({self.numbers.size(entries[dtype])})" for dtype, scale in scales if entries[dtype] != 0]
        return " + ".join(parts) or "0"

    def _shape(self, shape: Shape) -> str:
        return f"({_tuple([self.numbers.size(size) for size in shape])})"

    def _dtype(self, array: Array) -> str:
        return {"float": "dtype", "bool": "bool", "int": "np.intp"}[array.dtype]

    def _result(self, operation: Operation) -> str:
        return f"np.array({self.statements.expression(operation)}, w.dtype)"

    def _gradient(self, name: str, operation: Operation) -> str:
        code = self.statements.expression(operation)
        return f"np.asarray({code}, w.dtype)" if operation.storage == "scalar" else code

    # ------------------------------------------------------------ one function

    def _function(self, targets: list[Operation]) -> list[str]:
        """The lines that compute the targets in a workspace."""
        lines = self._lines(targets)
        return self._sizes(lines) + lines

    def _sizes(self, lines: list[str]) -> list[str]:
        """The lines that give the sizes that some lines read their variables."""
        read = words(lines)
        sizes = [(self.names.size(dimension), dimension) for dimension in self.dimensions]
        return [f"{name} = w.sizes[{dimension!r}]" for name, dimension in sizes if name in read]

    def _lines(self, targets: list[Operation]) -> list[str]:
        """The lines that compute the targets, where the sizes have their variables."""
        lines, needed = self._steps(targets), self.plan.needed(targets)[1]
        given, read = [op for op in self.plan.operations if op.kind == "given" and op in needed], words(lines)
        return [f"{x} = arrays[{op.name!r}]" for op in given if (x := self.variables.of(op)) in read] + lines

    def _steps(self, targets: list[Operation], chosen: slice = slice(None)) -> list[str]:
        """The lines of those steps of the plan that the targets need."""
        wanted, needed = self.plan.needed(targets)
        later = dict(zip(wanted, self._read_later(wanted, needed, targets), strict=True))
        lines: list[str] = []
        current = ""
        for step in (step for step in self.plan.steps[chosen] if step in later):
            if isinstance(step, Loop):
                lines += self.statements.loop_lines(step, needed, self._comment, later[step])
                current = ""
                continue
            code = self.statements.statement(step)
            if code and step.equation and step.equation != current:
                current = step.equation
                lines.append(f"# {self._comment(current)}")
            lines += code
        return lines

    def _read_later(
        self, wanted: list[Step], needed: frozenset[Operation], targets: list[Operation]
    ) -> list[frozenset[Operation]]:
        """For each loop among the steps (nothing for the others), the values that are read after it."""
        read = {target.base for target in targets}
        later: list[frozenset[Operation]] = []
        for step in reversed(wanted):
            later.append(frozenset(read) if isinstance(step, Loop) else frozenset())
            read |= {operand.base for op in operations_of(step) if op in needed for operand in op.operands}
        return later[::-1]

    def _comment(self, name: str) -> str:
        return comment(self.writer, name)


def comment(writer: Writer, name: str) -> str:
    """What stands above the lines of an equation, after the sign of a comment."""
    line = writer.line(writer.derived.graph.by_name[name])
    return " ".join(writer.text.equation(line.left, line.right).split())


def declared(leaf: Leaf) -> str:
    """Return what a module says of a given tensor: its name, kind, axes and number of classes."""
    axes = "".join(f"{size}, " if size.is_Integer else f"{size.name!r}, " for size in leaf.shape)
    classes = (
        "None"
        if leaf.classes is None
        else (str(leaf.classes) if leaf.classes.is_Integer else repr(leaf.classes.name))
    )
    return f"({leaf.name!r}, {leaf.kind!r}, ({axes.rstrip()}), {classes})"


def equation_of_lines(source: str, derived: DerivedGraph) -> list[str]:
    """For each line of a module the name of the equation to which it belongs, or nothing.

    The lines of an equation begin with its comment, and end before the next one or where the block that they stand in ends.
    """
    writer = Writer(derived)
    names = {f"# {comment(writer, equation.name)}": equation.name for equation in derived.equations}
    found, current, depth = [], "", 0
    for line in source.splitlines():
        inner = line.strip()
        indent = len(line) - len(line.lstrip())
        if inner in names:
            current, depth = names[inner], indent
        elif not inner or indent < depth or inner.startswith("return "):
            current = ""
        found.append(current)
    return found


def words(lines: list[str]) -> frozenset[str]:
    """The words in some lines."""
    return frozenset(re.findall(r"\w+", "\n".join(lines)))


def module_text(values: dict[str, Any]) -> str:
    """Fill the module's template; each of several workers tells the others the digest of what it runs."""
    body = fill("numpy/module.py.j2", **values)
    workers = values["workers"]
    if workers is not None:
        workers["digest"] = repr(hashlib.sha256(body.encode()).hexdigest()[:16])
        body = fill("numpy/module.py.j2", **values)
    return sealed(body, "#")


def _tables(matrix: list[tuple[tuple[str, ...], Emitter]]) -> dict[str, list[tuple[str, str]]]:
    """The functions of the blocks, by row and column, and of the diagonals, by name."""
    entries = [(names, f"_part_{number}") for number, (names, _) in enumerate(matrix, start=1)]
    return {
        "blocks": [(repr(names), function) for names, function in entries if len(names) == 2],
        "diagonals": [(repr(names[0]), function) for names, function in entries if len(names) == 1],
    }


def _note(checkpoint: int | None) -> str:
    """What the module's head says of recomputation."""
    if checkpoint is None:
        return ""
    layers = "every layer gives" if checkpoint == 1 else f"every {checkpoint} layers give"
    return f"Only what {layers} is kept for the backward pass; the rest is computed again there."


def _tuple(items: list[str]) -> str:
    """The inside of a tuple's parentheses."""
    return ", ".join(items) + ("," if len(items) == 1 else "")


def docstring(text: str) -> str:
    """Return text that cannot end the docstring it stands in."""
    return "".join(c if c.isprintable() else " " for c in text).replace("\\", "\\\\").replace('"', '\\"').rstrip()
