"""The Python interface: read a model, derive it, look at it, run it, check it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from symbackprop.derivation.derived import DerivedGraph, derive_graph
from symbackprop.errors import UsageError
from symbackprop.graph.model import Equation, Model
from symbackprop.language.lowering import lower
from symbackprop.models import builtin_text

if TYPE_CHECKING:
    from symbackprop.checking.checker import Progress
    from symbackprop.checking.report import CheckReport
    from symbackprop.drawing import Drawing
    from symbackprop.footprint import Footprint
    from symbackprop.partitioning import Partition


def parse(text: str | bytes, *, name: str = "model", filename: str = "<text>") -> Model:
    """Return the model of an equation text. Raises EquationError with the position of what is wrong."""
    return lower(text, name=name, filename=filename)


def load(path: str | Path) -> Model:
    """Return the model of an equation file (UTF-8). Raises UsageError where it cannot be read, EquationError where it is wrong."""
    path = Path(path)
    return lower(read_equations(path), name=path.stem, filename=str(path))


def read_equations(path: Path) -> bytes:
    """Return the content of an equation file, of which a little more than the accepted size is read."""
    try:
        with path.open("rb") as stream:
            return stream.read(5_000_001)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise UsageError(f"{str(path)[:200]!r} cannot be read: {reason}") from None


def builtin(name: str) -> Model:
    """Return a built-in model. Raises UsageError for an unknown name."""
    return lower(builtin_text(name), name=name, filename=f"{name}.eq")


def mlp(
    layers: Sequence[int],
    *,
    activation: str | Sequence[str] = "relu",
    output_activation: str = "identity",
    loss: str = "cross_entropy",
    regularizer: str | Sequence[str | Sequence[str]] = "none",
    regularize_bias: bool = False,
    bias: bool | Sequence[bool] = True,
    hyper: Mapping[str, str | int | float] = MappingProxyType({}),
    batch: int = 32,
) -> Model:
    """Return a multilayer perceptron. ``layers`` are the sizes of the input, the hidden layers and the output.

    activation, output_activation: names, or formulas in u. loss: a name, or a formula in o and y, summed over the entries.
    regularizer: names, or formulas in w, summed over a weight's entries; a layer may have several, which are added up.
    bias: whether there is one. All other names in formulas are hyper-parameters, whose values ``hyper`` gives.
    activation, regularizer and bias may be given for each layer. Raises UsageError where the choices do not fit together,
    EquationError where a formula is wrong.
    """
    from symbackprop.perceptron import Perceptron

    choices = Perceptron(
        layers, activation, output_activation, loss, regularizer, regularize_bias, bias, hyper, batch,
    )  # fmt: skip
    return parse(choices.text(), name="mlp", filename="mlp.eq")


def from_sympy(equations: Any, **declarations: Any) -> Model:
    """Return a model written with SymPy's matrix symbols; see `symbackprop.algebra`."""
    from symbackprop.algebra import model_from_sympy

    return model_from_sympy(equations, **declarations)


def derive(model: Model, wrt: Sequence[str] | None = None, *, all_values: bool = False) -> Derivation:
    """Derive a model by the named tensors, or by its parameters.

    ``all_values`` also shows the cotangents of statistics, which are put in where that makes the answer shorter.
    Raises UsageError for a name that is no real-valued declared tensor.
    """
    by = None if wrt is None else tuple(wrt)

    def derived(batched: bool) -> DerivedGraph:
        return derive_graph(model, by, batched=batched, all_values=all_values)

    return Derivation(model, derived(False), lambda: derived(True))


def check(
    model: Derivation | Model,
    *,
    seed: int = 0,
    samples: int = 3,
    order: int = 1,
    kernel: Any = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Compare the kernel's gradients by the parameters with finite differences, the complex step and exact expansion.

    With ``order`` 2 its Hessian-vector products too.

    ``kernel`` is a module or object to check instead of the one that is generated; ``progress`` is called with the work
    done, the work in all, and what comes next.
    """
    from symbackprop.checking.checker import check_model

    checked = model.model if isinstance(model, Derivation) else model
    made = kernel or derive(checked).kernel(order)
    return check_model(checked, made, seed=seed, samples=samples, order=order, progress=progress)


class DerivedEquation:
    """One equation of a derivation: ``name``, ``shape``, ``expression`` (a node of the graph), ``why``, and its printed forms."""

    def __init__(self, derived: DerivedGraph, equation: Equation) -> None:
        self._derived = derived
        self.equation = equation
        self.name = equation.name
        self.shape = equation.node.shape
        self.expression = equation.node

    @property
    def number(self) -> int:
        """Its place among the equations, counted from 1: the number it is printed with."""
        return self._derived.equations.index(self.equation) + 1

    @property
    def why(self) -> str:
        """Which equations it sends back through, and whether terms were added up; empty for a forward equation."""
        from symbackprop import render

        return render.why(self._derived, self.equation)

    def text(self) -> str:
        """The equation in Unicode."""
        from symbackprop import render

        return render.equation_text(self._derived, self.equation)

    def latex(self) -> str:
        """The equation in LaTeX, without delimiters."""
        from symbackprop import render

        return render.equation_latex(self._derived, self.equation)

    def sympy(self) -> Any:
        """The right-hand side as a SymPy expression."""
        from symbackprop.algebra import to_sympy

        return to_sympy(self.equation.node, self._derived.graph)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        return html_table([html_row(self)])

    def __repr__(self) -> str:
        return self.text()


def html_row(equation: DerivedEquation) -> tuple[str, str, str, str]:
    """Return the cells of an equation, with the mathematics for MathJax, which notebooks have."""
    shape = " × ".join(map(str, equation.shape)) or "scalar"
    return f"({equation.number})", f"\\(\\displaystyle {equation.latex()}\\)", shape, equation.why


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts, all of them escaped."""
    cells = ["".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


class Derivation:
    """A model and its derivatives: per example, and over the batch, which is derived when it is first asked for."""

    def __init__(self, model: Model, example: DerivedGraph, batch: Callable[[], DerivedGraph]) -> None:
        self.model, self.example, self._batch = model, example, batch

    @cached_property
    def batch(self) -> DerivedGraph:
        """The derivation with the examples stacked as rows."""
        return self._batch()

    def _extended(self, more: Callable[[DerivedGraph], DerivedGraph]) -> Derivation:
        return Derivation(self.model, more(self.example), lambda: more(self.batch))

    def products(self, curvature: str = "hessian") -> Derivation:
        """Return the derivation with products of second derivatives with an open direction.

        curvature is hessian, gauss-newton, fisher or empirical-fisher. Raises UsageError where that matrix is not defined.
        """
        from symbackprop.derivation.products import with_products

        return self._extended(lambda derived: with_products(derived, curvature))

    def next_order(self) -> Derivation:
        """Return a derivation that has products with these differentiated once more along their direction."""
        from symbackprop.derivation.products import with_next_order

        return self._extended(with_next_order)

    def block(self, row: str, column: str) -> Derivation:
        """Return the derivation with a block of the matrix whose products it has, or of the Hessian.

        Raises UsageError for an unknown tensor.
        """
        from symbackprop.derivation.blocks import with_block

        return self._second()._extended(lambda derived: with_block(derived, row, column))

    def diagonal(self, names: Sequence[str] | None = None) -> Derivation:
        """Return the derivation with the matrix's diagonal for the tensors for which it is a short equation; see `block`."""
        from symbackprop.derivation.blocks import with_diagonals

        return self._second()._extended(lambda derived: with_diagonals(derived, names))

    def _second(self) -> Derivation:
        return self if self.example.products else self.products()

    def form(self, batch_form: bool = False) -> DerivedGraph:
        """The derivation in one of its two forms."""
        return self.batch if batch_form else self.example

    @property
    def forward(self) -> tuple[DerivedEquation, ...]:
        """The forward equations, in order."""
        return tuple(DerivedEquation(self.example, equation) for equation in self.example.forward)

    @property
    def backward(self) -> tuple[DerivedEquation, ...]:
        """The backward equations, in order."""
        return tuple(DerivedEquation(self.example, equation) for equation in self.example.backward)

    def gradient(self, name: str, *, batch_form: bool = False) -> DerivedEquation:
        """Return the equation of the derivative by a value. Raises UsageError where there is none."""
        derived = self.form(batch_form)
        return DerivedEquation(derived, derived.gradient(name))

    def only(self, names: Sequence[str], batch_form: bool = False) -> DerivedGraph:
        """Return the derivation with only the derivatives by these values, and what they are written with."""
        derived = self.form(batch_form)
        wanted = derived.graph.needed_for(frozenset(derived.gradient(name).name for name in names))
        return replace(derived, backward=tuple(e for e in derived.backward if e.name in wanted))

    def text(self, *, batch_form: bool = False, **options: Any) -> str:
        """The whole derivation for a terminal."""
        from symbackprop import render

        return render.text(self.form(batch_form), **options)

    def latex(self, *, batch_form: bool = False, **options: Any) -> str:
        """The whole derivation in LaTeX: a fragment, or with ``standalone=True`` a document."""
        from symbackprop import render

        return render.latex(self.form(batch_form), **options)

    def pdf(self, *, batch_form: bool = False, **options: Any) -> bytes:
        """The whole derivation as a typeset document. Raises UsageError where Typst is not installed."""
        from symbackprop import render

        return render.pdf(self.form(batch_form), **options)

    def markdown(self, *, batch_form: bool = False, **options: Any) -> str:
        """The whole derivation in Markdown."""
        from symbackprop import render

        return render.markdown(self.form(batch_form), **options)

    def json(self, *, batch_form: bool = False, **options: Any) -> str:
        """The whole derivation as JSON."""
        from symbackprop import render

        return render.json_form(self.form(batch_form), **options)

    def source(self, order: int = 1, *, checkpoint: int | None = None, hessian: bool = False) -> str:
        """The source of the generated NumPy module, of order 2 with products of second derivatives. Raises UsageError.

        The products are those that the derivation has, or the Hessian's. ``checkpoint`` keeps only what every so many layers
        give, and computes the rest again in the backward pass. ``hessian`` adds a function of that name for the whole matrix
        or a block of it, and means order 2.
        """
        from symbackprop.kernels import generate_source

        if order not in (1, 2):
            raise UsageError(f"kernels have derivatives of order 1 and 2, not of order {order}")
        derivation = self._second() if order == 2 or hessian else self
        if derivation.example.products and checkpoint is not None:
            raise UsageError("products of second derivatives read every value twice: checkpoints are for order 1")
        if not hessian:
            return generate_source(derivation.batch, checkpoint=checkpoint)
        given = {leaf.name for leaf in self.model.leaves_of_kind("input", "target")} & {*derivation.example.products}
        if self.model.batch is not None and given:
            raise UsageError(f"the matrix by {', '.join(sorted(given))} is one for each example: kernels have that by parameters")
        return generate_source(derivation.batch, example=derivation.example)

    def jax_source(self, splits: Mapping[str, int] = MappingProxyType({}), **sharing: Any) -> str:
        """The source of the same kernel for jax.numpy; with splits, over so many devices, as `partition` takes it.

        Raises UsageError, for stages and rounds too.
        """
        from symbackprop.partitioning.jax_target import jax_source

        return jax_source(self.batch, self.partition(splits, **sharing) if splits or sharing else None)

    def kernel(self, order: int = 1, *, checkpoint: int | None = None, hessian: bool = False) -> ModuleType:
        """The generated NumPy module, imported; see `source`."""
        from symbackprop.kernels import load_source

        return load_source(self.source(order, checkpoint=checkpoint, hessian=hessian), self.model.name)

    def drawing(
        self, *, level: str = "equations", backward: bool = False, second: bool = False, batch_form: bool = False
    ) -> Drawing:
        """The computational graph as a picture: of every operation, of the equations, or of the layers (``ops``, ``layers``).

        ``backward`` draws the gradients beside it, ``second`` the products of second derivatives too. Raises UsageError for an
        unknown level, and where the libraries of the extra ``draw`` are missing.
        """
        from symbackprop.drawing import draw

        derivation = self._second() if second else self
        return draw(derivation.form(batch_form), level, backward=backward, second=second)

    def footprint(self, *, checkpoint: int | None = None) -> Footprint:
        """What the kernel costs in memory and arithmetic, as polynomials in the sizes and in numbers."""
        from symbackprop.footprint import footprint_of_derived

        return footprint_of_derived(self.batch, checkpoint)

    def partition(
        self, splits: Mapping[str, int], *, sizes: Mapping[str, int] = MappingProxyType({}), stages: int = 1, rounds: int = 1,
        local: bool = False,
    ) -> Partition:  # fmt: skip
        """The same over several workers: each named dimension in so many parts; ``sizes`` come before the model's defaults.

        The layers are cut into ``stages``, each with workers of its own, and the batch of a worker is worked in so many equal
        ``rounds``. With ``local``, means over the batch within the model are those of each worker's own examples (of those in a
        round). Raises UsageError where it cannot be divided so.
        """
        from symbackprop.partitioning import split_over

        return split_over(self.batch, splits, sizes, stages=stages, rounds=rounds, local=local)

    def _repr_latex_(self) -> str:
        return self.latex()

    def _repr_html_(self) -> str:
        head = f"<p><b>{escape(self.model.name)}</b> {escape(self.model.title)}</p>"
        return head + html_table([html_row(DerivedEquation(self.example, equation)) for equation in self.example.equations])

    def __repr__(self) -> str:
        return f"<Derivation of {self.model.name}: {len(self.example.forward)} forward, {len(self.example.backward)} backward>"
