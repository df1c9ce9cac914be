"""The equations of one derivation as formulas, each with its number and with why it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sympy

from symbackprop.derivation.derived import DerivedGraph
from symbackprop.derivation.workers import Workers
from symbackprop.functions.scalar import ScalarFunction
from symbackprop.graph.model import Equation, Model
from symbackprop.graph.names import Adjoint, Diagonal, Quadratic, Tangent, mentions, parse_name, without_tangents
from symbackprop.graph.nodes import Leaf, Node, Pointwise
from symbackprop.graph.sizes import Shape
from symbackprop.graph.walk import topological
from symbackprop.render.diagonals import with_diagonals
from symbackprop.render.forms import NoMatrixForm, title
from symbackprop.render.formula import (
    Call,
    Comparison,
    Entry,
    Formula,
    Hadamard,
    Index,
    Kronecker,
    Number,
    Product,
    Symbol,
    Transpose,
    parts,
)
from symbackprop.render.index_form import IndexForm
from symbackprop.render.kronecker_form import KroneckerForm
from symbackprop.render.latex_printer import LatexPrinter
from symbackprop.render.matrix_form import MatrixForm
from symbackprop.render.naming import Style
from symbackprop.render.printing import ARGUMENT, SPELLED_OUT, Printer
from symbackprop.render.scalar_form import ScalarForm
from symbackprop.render.text_printer import TextPrinter
from symbackprop.render.typst_printer import TypstPrinter


@dataclass(frozen=True)
class Remark:
    """What the reader must know: words, and a formula where there is one to them."""

    words: str
    formula: Formula | None = None


def _letters(*names: str) -> list[Formula]:
    """Letters that are no values of a model."""
    return [Symbol(name, 0, ARGUMENT) for name in names]


_A, _B, _G, _H, _Q, _X, _v = _letters("A", "B", "G", "H", "Q", "X", "v")
_STACKED = Remark(
    "a derivative by a matrix is one by its columns, stacked",
    Comparison(
        Call("vec", (Product((_A, _X, _B)),)), "==", Product((Kronecker((Transpose(_B), _A)), Call("vec", (_X,))))
    ),
)
_PROBED = Remark(
    "the other diagonals are estimated by products, v random signs (Bekas et al. 2007)",
    Comparison(Call("diag", (_H,)), "≈", Call("mean", (Hadamard((_v, Product((_H, _v)))),))),
)
_QUADRATIC = Remark(
    "the matrix is that of a quadratic form in the direction v",
    Comparison(_Q, "==", Product((Number(sympy.Rational(1, 2)), Transpose(_v), _G, _v))),
)
_OUTSIDE = Remark("an entry outside its tensor is 0")


@dataclass(frozen=True)
class Line:
    """One equation, ready for print: left and right side as formulas, and why it holds."""

    number: int
    equation: Equation
    left: Formula
    right: Formula
    why: str
    backward: bool

    @property
    def by(self) -> str:
        """The value that a backward equation differentiates by, else nothing."""
        meaning = parse_name(self.equation.name)
        return meaning.by if isinstance(meaning, Adjoint) else ""


class Forms:
    """The equations of one model as formulas: in matrix form where there is one, else in index form.

    With ``inside`` they are such that the language reads them back. ``rank`` gives that of a named value: a derivative of
    one by another is then written as a matrix of vec of both, where that is a sum of Kronecker products. ``workers``
    are those whose collectives are met.
    """

    def __init__(
        self, model: Model, names: Iterable[str], inside: bool = False, rank: Callable[[str], int] | None = None,
        workers: Workers | None = None,
    ) -> None:
        functions = [function.title for function in model.functions]
        letters = frozenset(name for name in (*names, *functions, *model.dimensions) if len(name) == 1)
        defaults = {name: size for name, size in model.dimensions.items() if size is not None}
        self.matrix = MatrixForm(symbol, workers)
        self.index = IndexForm(symbol, letters, defaults, inside, workers)
        self.kronecker, self.rank = KroneckerForm(self.matrix), rank

    def sides(self, name: Symbol, node: Node, indices: tuple[str, ...] = ()) -> tuple[Formula, Formula]:
        """Return ``name`` and the formula of a node, or an entry of each."""
        stacked = self._stacked(name.name)
        for form in (self.matrix.of, stacked) if stacked else (self.matrix.of,):
            try:
                return name, with_diagonals(form(node)) if stacked else form(node)
            except NoMatrixForm:
                continue
        letters, right = self.index.of(node, indices)
        return entry(name, letters, node.shape), right

    def _stacked(self, name: str) -> Callable[[Node], Formula] | None:
        """The form of the derivative of one named value by another, of which at least one is a matrix; None for other names."""
        row, column = row_and_column(name)
        if self.rank is None or not self.rank(row):
            return None
        ranks = self.rank(row), self.rank(column)
        return lambda node: self.kronecker.of(node, *ranks)

    def definition(self, function: type[ScalarFunction]) -> tuple[Formula, Formula]:
        """Return a function of its arguments, and its formula."""
        arguments = function.parameters[: function.visible]
        kinds = dict.fromkeys(function.parameters[function.visible:], "value") | dict.fromkeys(arguments, ARGUMENT)
        call = Call(title(function), tuple(Symbol(p.name, 0, ARGUMENT) for p in arguments))
        return call, ScalarForm({p: _named(p.name, kind) for p, kind in kinds.items()}).plain(function.body)


class Writer:
    """Writes the equations of one derivation."""

    def __init__(self, derived: DerivedGraph, notation: str = "partial") -> None:
        self.derived = derived
        values = [equation.name for equation in derived.equations if isinstance(parse_name(equation.name), str)]
        names = [leaf.name for leaf in derived.graph.declarations] + values
        capitals = stacked_capitals(derived) if derived.batched else {}
        taken = frozenset({*names, *capitals.values()})
        rank = {equation.name: equation.node.rank for equation in derived.equations}
        rank |= {leaf.name: leaf.rank for leaf in derived.graph.declarations}
        style = Style(
            notation,
            lambda name: capitals.get(name, name),
            preactivations(derived),
            taken,
            lambda name: rank.get(without_tangents(name)[0], 0),
        )
        self.style = style
        self.text, self.latex, self.typst = TextPrinter(style), LatexPrinter(style), TypstPrinter(style)
        self.forms = Forms(derived.model, taken, rank=style.rank, workers=derived.workers)
        self.matrix, self.index = self.forms.matrix, self.forms.index
        self.number = {e.name: k for k, e in enumerate(derived.equations, start=1)}

    def line(self, equation: Equation) -> Line:
        """Return one equation in matrix form where there is one, else in index form."""
        left, right = self.forms.sides(Symbol(equation.name, equation.node.rank), equation.node, equation.indices)
        backward = equation.name in self.derived.contributions
        return Line(self.number.get(equation.name, 0), equation, left, right, self.why(equation), backward)

    def shape(self, shape: Shape, printer: Printer | None = None) -> str:
        """A shape for reading: ``h × d``, in text or as another printer has it."""
        sizes = []
        for size in shape:
            shown = (printer or self.text).number(size)[0]
            sizes.append(f"({shown})" if len(shape) > 1 and " " in self.text.number(size)[0] else shown)
        return " × ".join(sizes) if shape else "scalar"

    def why(self, equation: Equation) -> str:
        """Say which equations a derivative comes back through, and whether terms are added up."""
        terms = self.derived.contributions.get(equation.name)
        meaning = parse_name(equation.name)
        if isinstance(meaning, Tangent):
            return f"the derivative of ({self.number[meaning.of]})" if meaning.of in self.number else ""
        if terms is None:
            return ""
        if not terms:
            meaning = parse_name(equation.name)
            if isinstance(meaning, Adjoint) and meaning.by == self.derived.target:
                return "given" if self.derived.model.objective is None else "the start"
            return f"{self.text.name(self.derived.target)} does not depend on it"
        through = [f"({number})" for number in sorted(self.number[term.consumer] for term in terms)]
        joined = " and ".join([", ".join(through[:-1]), through[-1]] if len(through) > 1 else through)
        return f"through {joined}, added up" if len(through) > 1 else f"through {joined}"

    # ------------------------------------------------------------ what stands below the equations

    def remarks(self) -> list[Remark]:
        """How to read entries outside and Kronecker products, and what Q is where its equation is not shown."""
        equations = [equation for section in self.derived.further for equation in section.equations]
        stacked = any(isinstance(part, Kronecker) for e in equations for part in parts(self.line(e).right))
        meanings = [parse_name(equation.name) for equation in equations]
        used = any(mentions(equation.name, Quadratic) for equation in equations)
        unexplained = used and not any(isinstance(meaning, Quadratic) for meaning in meanings)
        shown = sum(isinstance(meaning, Diagonal) for meaning in meanings)
        probed = self.derived.further[-1].kind == "diagonal" and shown < len(self.derived.wrt) if self.derived.further else False
        found = {_OUTSIDE: self.index.leaves_axes, _PROBED: probed, _QUADRATIC: unexplained, _STACKED: stacked}
        return [remark for remark, holds in found.items() if holds]

    def definitions(self) -> list[tuple[Formula, Formula]]:
        """The named functions that occur in the equations or in each other's formulas, in order of appearance."""
        found: dict[type[ScalarFunction], None] = {}
        for equation in self.derived.equations:
            for node in topological([equation.node]):
                if isinstance(node, Pointwise):
                    _collect(node.expression, found)
        return [self.forms.definition(function) for function in found if function.body is not None]

    def delta(self) -> tuple[Formula, Formula, bool] | None:
        """The first δ, what it stands for, and whether there are more; None where there is none."""
        found = [e for e in self.derived.backward if self.line(e).by in self.style.preactivations]
        if self.style.notation != "delta" or not found:
            return None
        name = found[0].name
        return Symbol(name, found[0].node.rank), Symbol(name, found[0].node.rank, SPELLED_OUT), len(found) > 1


def row_and_column(name: str) -> tuple[str, str]:
    """The values that a derivative with the axes of both is of and by: z and W of ∂z/∂W, V and W of ∂²J/∂V∂W; else nothing."""
    meaning = parse_name(name)
    if not isinstance(meaning, Adjoint):
        return "", ""
    above = parse_name(meaning.of)
    return (above.by if isinstance(above, Adjoint) else meaning.of), meaning.by


def symbol(leaf: Leaf) -> Symbol:
    """The symbol of a leaf."""
    return Symbol(leaf.name, leaf.rank, leaf.kind)


def entry(name: Symbol, letters: tuple[str, ...], shape: Shape) -> Formula:
    """An entry of a named value, or the value itself where it is a scalar."""
    return Entry(name, tuple(Index(x) for x in letters), shape) if letters else name


def _named(name: str, kind: str) -> Callable[[], Formula]:
    return lambda: Symbol(name, 0, kind)


def _collect(expression: sympy.Expr, found: dict[type[ScalarFunction], None]) -> None:
    """Add the functions called in an expression, and those called in their formulas."""
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, ScalarFunction) and part.func not in found:
            found[part.func] = None
            if part.func.body is not None:
                _collect(part.func.body, found)


def preactivations(derived: DerivedGraph) -> frozenset[str]:
    """The values that a parameter enters directly and an input reaches, but no target: z = W x + b, not the loss or a penalty."""
    graph = derived.graph
    parameters = set(derived.model.parameters)
    fed = graph.depends_on(frozenset(leaf.name for leaf in derived.model.leaves_of_kind("input")))
    judged = graph.depends_on(frozenset(leaf.name for leaf in derived.model.leaves_of_kind("target")))
    return frozenset(
        e.name
        for e in derived.forward
        if graph.influences[e.name] & parameters and e.name in fed - judged and e.name != derived.model.objective
    )


def stacked_capitals(derived: DerivedGraph) -> dict[str, str]:
    """Stacked vectors are matrices: their names become capitals, unless that is another value's name."""
    example, graph = derived.model.graph, derived.graph
    ranks = {leaf.name: leaf.rank for leaf in example.declarations} | {e.name: e.node.rank for e in example.equations}
    stacked = {leaf.name: leaf.rank for leaf in graph.declarations} | {e.name: e.node.rank for e in derived.forward}
    capitals: dict[str, str] = {}
    for name, rank in ranks.items():
        capital = name[:1].upper() + name[1:]
        one_letter = len(name.split("_")[0].rstrip("0123456789")) == 1
        if one_letter and rank == 1 and stacked.get(name) == 2 and capital not in stacked:
            capitals[name] = capital
    return capitals
