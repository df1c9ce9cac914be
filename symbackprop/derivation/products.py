"""Products of second derivatives with a direction, by the two modes alone.

The Hessian's is forward mode over the gradient's equations (Pearlmutter 1994, Fast Exact Multiplication by the Hessian).
The others are reverse mode over the tangents' equations: the Gauss-Newton and the Fisher matrix are those of a quadratic
form Q of the direction, and what a product is, is the gradient of Q by the direction (Schraudolph 2002; Martens 2020, New
Insights and Perspectives on the Natural Gradient Method).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy

from symbackprop.derivation.derived import DerivedGraph, Section, derive_graph
from symbackprop.derivation.forward import forward
from symbackprop.derivation.reverse import reverse
from symbackprop.errors import UsageError
from symbackprop.graph.analysis import has_kink
from symbackprop.graph.build import add, constant, is_constant, leaf, pointwise, scale, terms_of
from symbackprop.graph.lift import mean_over_leading
from symbackprop.graph.model import Equation, Graph, Model
from symbackprop.graph.names import Adjoint, DataTerm, Quadratic, Tangent
from symbackprop.graph.nodes import Leaf, Node, Pointwise, argument
from symbackprop.graph.verify import verify
from symbackprop.graph.walk import leaves, substitute
from symbackprop.simplify.engine import Simplifier


def with_products(derived: DerivedGraph, curvature: str = "hessian") -> DerivedGraph:
    """Return the derivation with a product with an open direction for each tensor it is by.

    curvature is a name of `CURVATURES`. Raises UsageError for another one, without an objective, and where the matrix
    is not defined: the message says why.
    """
    if curvature not in CURVATURES:
        raise UsageError(f"there is no curvature {curvature!r}; there are {', '.join(CURVATURES)}")
    if derived.model.objective is None:
        raise UsageError(f"{derived.model.name} minimizes nothing: there are no second derivatives of its objective")
    if not derived.wrt:
        raise UsageError(f"{derived.model.name} has no parameters, and no input was named to differentiate by")
    kind = CURVATURES[curvature]
    return kind.append(derived, Section(curvature, kind.products, ()))


def with_next_order(derived: DerivedGraph) -> DerivedGraph:
    """Return the derivation with its products differentiated once more along the same direction."""
    section = Section("next", "The same, differentiated once more along the direction", ())
    return _along(derived, section, {name: Tangent(product).name for name, product in derived.products.items()})


def _hessian(derived: DerivedGraph, section: Section) -> DerivedGraph:
    return _along(derived, section, {name: Tangent(derived.gradient_name(name)).name for name in derived.wrt})


def _along(derived: DerivedGraph, section: Section, products: dict[str, str]) -> DerivedGraph:
    """Append the tangents that the products need."""
    graph = forward(derived.graph, _directions(derived), Simplifier(derived.graph))
    zeros = [
        Equation(product, constant(0, graph.reference(name).shape))
        for name, product in products.items()
        if product not in graph.by_name
    ]
    return _with(derived, replace(graph, equations=(*graph.equations, *zeros)), section, products)


def _directions(derived: DerivedGraph) -> dict[str, Leaf | None]:
    return {name: leaf("tangent", Tangent(name).name, derived.graph.reference(name).shape) for name in derived.wrt}


def _with(
    derived: DerivedGraph, graph: Graph, section: Section, products: dict[str, str], form: tuple[str, ...] = ()
) -> DerivedGraph:
    """The derivation with those of a graph's new equations that the products, and what they are gradients of, need."""
    needed = graph.needed_for(frozenset((*products.values(), *form)))
    new = tuple(e for e in graph.equations if e.name in needed and e.name not in derived.graph.by_name)
    whole = verify(replace(graph, equations=(*derived.graph.equations, *new)))
    return replace(
        derived, graph=whole, further=(*derived.further, replace(section, equations=new)), products=products
    )


# ---------------------------------------------------------------- quadratic forms of the direction


def _gauss_newton(derived: DerivedGraph, section: Section) -> DerivedGraph:
    """The Hessian with the outputs linearised: J_oᵀ H_o J_o, and the Hessian of what else the objective reads."""
    outputs = _outputs(derived)
    moved = _tangents(derived)
    form = _curvature_of_outputs(derived, moved, outputs, _directions(derived))
    return _gradient_of(derived, moved, form, section)


def _fisher(derived: DerivedGraph, section: Section) -> DerivedGraph:
    """The model's Fisher matrix, its outputs natural parameters: J_oᵀ H_o J_o, for there H_o does not depend on targets."""
    outputs, objective = _outputs(derived), derived.target
    moved = _tangents(derived)
    form = _curvature_of_outputs(derived, moved, outputs, {})
    targets = frozenset(target.name for target in derived.model.leaves_of_kind("target"))
    if not targets:
        raise UsageError("the model has no target: there is no distribution whose Fisher matrix could be meant")
    reads = replace(moved, equations=(*moved.equations, Equation("form", form))).needed_for(frozenset({"form"}))
    apart, _ = with_data_term(derived.model)  # a penalty in the objective may have kinks
    judged = apart.graph.depends_on(targets) - {objective}
    kinks = any(has_kink(equation.node) for equation in apart.graph.equations if equation.name in judged)
    if reads & targets or is_constant(form) or kinks:
        raise UsageError(
            f"the second derivative of {objective} by {', '.join(outputs)} is 0, has kinks or depends on a target, so that it "
            "is not the Fisher matrix of a distribution in natural parameters; empirical-fisher takes the targets as given"
        )
    return _gradient_of(derived, moved, form, section)


def _empirical_fisher(derived: DerivedGraph, section: Section) -> DerivedGraph:
    """The mean over the examples of g gᵀ, where g is an example's gradient of the part of the objective that the data enter."""
    if derived.model.batch is None:
        raise UsageError("the empirical Fisher matrix is a mean over examples: the model has no batch dimension")
    model, term = with_data_term(derived.model)
    if model is not derived.model:
        derived = derive_graph(model, derived.wrt, batched=derived.batched)
    moved = _tangents(derived)
    tangent = moved.by_name.get(Tangent(term).name)
    if tangent is None:
        raise UsageError(f"no parameter moves the part of {derived.target} that the data enter: its Fisher matrix is 0")
    square = pointwise(argument(0) ** 2 / 2, [(tangent.reference, tuple(range(tangent.node.rank)))], tangent.node.shape)
    form = mean_over_leading(square, tangent.node.shape[0]) if tangent.node.rank else square
    return _gradient_of(derived, moved, form, section)


def _outputs(derived: DerivedGraph) -> tuple[str, ...]:
    """The values between the network and its judgement. Raises UsageError where there are none."""
    names = {equation.name for equation in derived.forward}
    outputs = tuple(name for name in derived.model.outputs if name in names and name != derived.target)
    if not outputs:
        raise UsageError(f"{derived.target} is no function of an output of the network; output NAME says which value it is")
    return outputs


def _tangents(derived: DerivedGraph) -> Graph:
    """The forward equations and their tangents."""
    graph = Graph(derived.graph.declarations, derived.forward, derived.graph.constraints)
    return forward(graph, _directions(derived), Simplifier(graph))


def _curvature_of_outputs(
    derived: DerivedGraph, moved: Graph, outputs: tuple[str, ...], directions: dict[str, Leaf | None]
) -> Node:
    """Half the second derivative of the objective along the tangents of the outputs, whose own tangents are dropped.

    ``directions`` are those of the parameters that move what the objective reads past the outputs.
    """
    network = moved.needed_for(frozenset(outputs)) - frozenset(moved.declared)
    held: dict[str, Leaf | None] = {}
    for name in network:
        held |= {name: None, Tangent(name).name: None}
    for name in outputs:
        tangent = moved.by_name.get(Tangent(name).name)
        held[name] = tangent.reference if tangent else None
    again = forward(moved, {**directions, **held})
    second = again.by_name.get(Tangent(Tangent(derived.target).name).name)
    if second is None:
        return constant(0, ())
    spelled: dict[Node, Node] = {}
    for equation in again.equations:
        if equation.name not in moved.by_name:
            spelled[equation.reference] = substitute(equation.node, spelled)
    return scale(sympy.Rational(1, 2), spelled[second.reference])


def _gradient_of(derived: DerivedGraph, moved: Graph, form: Node, section: Section) -> DerivedGraph:
    """Append the gradient of a quadratic form by the direction: the product with its matrix."""
    simplifier = Simplifier(moved)
    name = Quadratic(derived.target).name
    quadratic = Equation(name, simplifier.simplify(form))
    directions = {key: leaf for key, leaf in _directions(derived).items() if leaf is not None}
    whole = replace(moved, equations=(*moved.equations, quadratic))
    gradients = reverse(whole, name, tuple(leaf.name for leaf in directions.values()), None, simplifier)
    new = tuple(e for e in gradients.graph.equations if e.name not in derived.graph.by_name)
    declared = gradients.graph.declarations
    graph = replace(derived.graph, declarations=declared, equations=(*derived.graph.equations, *new))
    contributions = {key: terms for key, terms in gradients.contributions.items() if terms}
    derived = replace(derived, contributions={**derived.contributions, **contributions})
    products = {key: Adjoint(name, leaf.name).name for key, leaf in directions.items()}
    return _with(derived, graph, section, products, (name,))


def with_data_term(model: Model) -> tuple[Model, str]:
    """Return the model with a name, not the objective's, for the part of it that inputs and targets enter, and that name.

    Over the batch the objective is a mean; this part has a value for each example.
    """
    graph, objective = model.graph, model.objective
    assert objective is not None
    data = frozenset(leaf.name for leaf in model.leaves_of_kind("input", "target"))
    fed = graph.depends_on(data)
    node = graph.by_name[objective].node
    terms = terms_of(node) if isinstance(node, Pointwise) and node.expression.is_Add else [node]
    moved = [term for term in terms if any(leaf.name in fed for leaf in leaves(term))]
    if len(moved) == 1 and isinstance(moved[0], Leaf):
        return model, moved[0].name
    term = Equation(DataTerm(objective).name, add(moved, ()))
    rest = [other for other in terms if other not in moved]
    equations: list[Equation] = []
    for equation in graph.equations:
        if equation.name == objective:
            equations.append(term)
            equation = replace(equation, node=add([term.reference, *rest], ()))
        equations.append(equation)
    return replace(model, graph=verify(replace(graph, equations=tuple(equations)))), term.name


@dataclass(frozen=True)
class Curvature:
    """A matrix of second derivatives: what it and its products are called, and what appends the products' equations."""

    matrix: str
    products: str
    append: Callable[[DerivedGraph, Section], DerivedGraph]


CURVATURES = {
    "hessian": Curvature("Hessian", "Hessian-vector product", _hessian),
    "gauss-newton": Curvature("Gauss-Newton matrix", "Gauss-Newton product", _gauss_newton),
    "fisher": Curvature("Fisher matrix", "Fisher-vector product", _fisher),
    "empirical-fisher": Curvature("empirical Fisher matrix", "Product with the empirical Fisher matrix", _empirical_fisher),
}
"""The matrices, by name."""
