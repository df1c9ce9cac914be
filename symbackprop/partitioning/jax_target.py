"""Kernels for accelerators: the derived equations as a module of pure functions of jax.numpy, alone or over a mesh of devices."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sympy

from symbackprop import __version__
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.errors import UsageError
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.sizes import Size
from symbackprop.kernels.emit import comment, declared, docstring
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.initial import initial_values
from symbackprop.kernels.numbers import Numbers
from symbackprop.partitioning.jax_nodes import Statements
from symbackprop.partitioning.jax_scalars import NamedFunctions
from symbackprop.partitioning.parts import Partition
from symbackprop.render.source import source
from symbackprop.render.template import fill
from symbackprop.render.writer import Writer
from symbackprop.writing import sealed

_TAKEN = ("jax", "jnp", "functools", "mesh", "shardings", "devices", "Mesh", "NamedSharding", "PartitionSpec")
_HELPERS = ("added_up", "cofactor", "inside", "logsumexp_over", "norm", "norm_over", "picked", "taken")
_PRIVATE = (*_HELPERS, "array", "check_classes", "given", "einsum", "on_devices")
_READ_INSIDE = {"added_up", "picked", "taken"}
_GIVEN = ("parameter", "input", "target")


@dataclass(frozen=True)
class _Function:
    """A function of the module: its statements, the objective and the arrays by name that it returns, and how those lie."""

    name: str
    title: str
    kinds: tuple[str, ...]
    lines: list[str]
    objective: str
    entries: list[tuple[str, str]]
    layouts: str


def jax_source(derived: DerivedGraph, partition: Partition | None = None) -> str:
    """Return the text of the JAX module of a derivation over the batch: byte-identical for the same one on any machine.

    With a ``partition`` of that derivation each device of a mesh computes its equations. Raises UsageError for a derivation with
    products of second derivatives, and for a partition in stages or rounds.
    """
    if partition is not None and (partition.stages, partition.rounds) != (1, 1):
        raise UsageError("a JAX module works the whole batch at once, in one stage: stages and rounds are for MPI")
    if derived.further:
        raise UsageError("a JAX module has first derivatives; jax.jvp of its loss_and_grad gives products of second ones")
    return sealed(_Emitter(derived, partition).module(), "#")


class _Emitter:
    def __init__(self, whole: DerivedGraph, partition: Partition | None) -> None:
        self.whole, self.partition, self.model = whole, partition, whole.model
        self.derived = whole if partition is None else partition.derived
        self.functions = NamedFunctions((*_TAKEN, *_PRIVATE))
        self.writer = Writer(self.derived)

    def module(self) -> str:
        """The whole text."""
        functions, graph = self._functions(), self.whole.graph
        names = Identifiers(_TAKEN)
        numbers = Numbers(names)
        lines = [line for function in functions for line in function.lines]
        code = "\n".join([*lines, *(value for *_, value in self.functions.definitions)])
        return fill(
            "jax/module.py.j2",
            title=docstring(self.model.title or self.model.name),
            model_text=[docstring(line) for line in (self.model.source or source(self.model)).splitlines()],
            version=__version__,
            declared=[declared(leaf) for leaf in graph.declarations],
            defaults=[(repr(name), size) for name, size in sorted(self.model.dimensions.items()) if size is not None],
            hypers=[(repr(name), repr(None if v is None else float(v))) for name, v in self.model.hyper_defaults.items()],
            open_functions=[repr(title) for title in sorted(self.functions.opens)],
            constraints=[(*map(numbers.size, pair), repr(f"{pair[0]} = {pair[1]}")) for pair in graph.constraints],
            dimensions=[(names.size(name), repr(name)) for name in _dimensions([s for p in graph.constraints for s in p])],
            classes=[(repr(leaf.name), _count(leaf)) for leaf in graph.declarations if leaf.classes is not None],
            functions=functions,
            parameters=initial_values(self.model),
            definitions=self.functions.definitions,
            helpers=[fill(f"jax/helpers/{name}.py.j2") for name in _helpers(code)],
            **self._mesh(),
        )

    def _mesh(self) -> dict[str, object]:
        """What the module says of the mesh: nothing for one that runs alone."""
        if self.partition is None:
            return {"splits": [], "layouts": []}
        layouts, splits = self.partition.layouts, self.partition.mesh.splits
        names = [*self.whole.graph.declared, *self.model.outputs]
        return {
            "splits": [(repr(s.name), s.parts, repr(s.part), repr(s.first)) for s in splits],
            "layouts": [(repr(name), ", ".join(map(repr, layouts[name]))) for name in names],
        }

    # ------------------------------------------------------------ functions

    def _functions(self) -> list[_Function]:
        found = []
        if self.model.outputs:
            title = "Return the model's outputs as arrays by name; targets are not needed."
            found.append(self._function("predict", title, _GIVEN[:2], self.model.outputs))
        if self.model.objective is not None:
            found.append(self._function("loss", "Return the objective.", _GIVEN, objective=self.whole.target))
            gradients, title = self.whole.wrt, "Return the objective and its gradients by name."
            found.append(self._function("loss_and_grad", title, _GIVEN, gradients, self.whole.target))
        return found

    def _function(
        self, name: str, title: str, kinds: tuple[str, ...], results: tuple[str, ...] = (), objective: str = ""
    ) -> _Function:
        """A function that returns an objective, values or gradients by name, or both."""
        graph, names = self.derived.graph, Identifiers(_TAKEN)
        wanted = {result: self.derived.gradient_name(result) if objective else result for result in results}
        needed = graph.needed_for(frozenset({*wanted.values(), *([objective] if objective else [])}))
        statements = Statements(names, self.functions)
        lines = statements.lines
        for declaration in graph.declarations:
            names.of(declaration.name)
        for equation in graph.equations:
            if equation.name in needed:
                lines.append(f"# {comment(self.writer, equation.name)}")
                statements.equation(equation.name, equation.node)
        given = [f"{names.of(leaf.name)} = arrays[{leaf.name!r}]" for leaf in graph.declarations if leaf.name in statements.given]
        entries = [(repr(result), f"jnp.asarray({names.of(equation)}, dtype)") for result, equation in wanted.items()]
        value = f"jnp.asarray({names.of(objective)}, dtype)" if objective else ""
        layouts = "{" + ", ".join(f"{result!r}: _LAYOUTS[{result!r}]" for result in wanted) + "}"
        layout = ("(PartitionSpec(), {})" if wanted else "PartitionSpec()").format(layouts) if objective else layouts
        return _Function(name, title, kinds, [*self._sizes(names, lines), *given, *lines], value, entries, layout)

    def _sizes(self, names: Identifiers, lines: list[str]) -> list[str]:
        """The lines that give the sizes their variables: those that are read."""
        read = frozenset(re.findall(r"\w+", "\n".join(lines)))
        splits = () if self.partition is None else self.partition.mesh.splits
        own = [name for split in splits for name in (split.part, split.first)]
        sizes = [(names.size(name), name) for name in sorted({*self.model.dimensions, *own})]
        return [f"{variable} = sizes[{name!r}]" for variable, name in sizes if variable in read]


def _dimensions(sizes: list[Size]) -> list[str]:
    return sorted({symbol.name for size in sizes for symbol in size.free_symbols if isinstance(symbol, sympy.Symbol)})


def _count(leaf: Leaf) -> str:
    assert leaf.classes is not None
    return str(leaf.classes) if leaf.classes.is_Integer else f"sizes.get({leaf.classes.name!r}, 1)"


def _helpers(code: str) -> list[str]:
    """The helpers that the statements call, and those that these call."""
    found = {name for name in _HELPERS if re.search(rf"\b_{name}\(", code)}
    return sorted(found | ({"inside"} if found & _READ_INSIDE else set()))
