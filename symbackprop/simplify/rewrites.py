"""The named rewrites. Each looks at one node and its neighbours and returns an equal node, or None where it does not apply.

The engine keeps the result only if the cost of the whole equation falls. None of them knows of a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import sympy

from symbackprop.functions.scalar import sigmoid, where
from symbackprop.graph.build import Factor, contract, pointwise, split_product
from symbackprop.graph.nodes import Contraction, Indicator, Leaf, Node, Pointwise, argument
from symbackprop.graph.walk import rewrite
from symbackprop.simplify.definitions import Definitions, Pattern

Rewrite = Callable[[Node, Definitions], Node | None]

TERM_LIMIT = 40
"""Terms beyond which a sum is not multiplied out."""


def name_forward_value(node: Node, known: Definitions) -> Node | None:
    """A value that the forward pass has computed is written by its name, also inside a product or a power."""
    if node in known.exact:
        return known.exact[node]
    if not isinstance(node, Pointwise):
        return None
    seen: set[Pattern] = set()
    for operand in node.operands:  # the first pattern that is found; the engine comes back for the others
        for pattern in known.patterns.get(operand, ()):
            if pattern not in seen:
                seen.add(pattern)
                replaced = _match(node, pattern)
                if replaced is not None:
                    return replaced
    return None


def _match(node: Pointwise, pattern: Pattern) -> Node | None:
    """Find the pattern's operands among the node's, along consistent labels, and put the name in."""
    factors = list(zip(node.operands, node.labels, strict=True))
    place: dict[int, int] = {}
    symbols: dict[sympy.Symbol, sympy.Symbol] = {}
    needed = pattern.expression.free_symbols
    for position, (wanted, labels) in enumerate(pattern.operands):
        if argument(position) not in needed:
            continue
        for k, (operand, own) in enumerate(factors):
            if operand is wanted and all(place.get(a, b) == b for a, b in zip(labels, own, strict=True)):
                place.update(zip(labels, own, strict=True))
                symbols[argument(position)] = argument(k)
                break
        else:
            return None
    if len(place) < pattern.reference.rank:
        return None
    for position, (other, labels) in enumerate(pattern.operands):
        if argument(position) not in needed:
            symbols[argument(position)] = argument(len(factors))
            factors.append((other, tuple(place[label] for label in labels)))
    symbols[argument(len(pattern.operands))] = argument(len(factors))
    factors.append((pattern.reference, tuple(place[label] for label in pattern.axes)))
    replaced = _put(node.expression, pattern.expression.xreplace(symbols), pattern.replacement.xreplace(symbols))
    return None if replaced is None else pointwise(replaced, factors, node.shape)


@cache
def _put(expression: sympy.Expr, old: sympy.Expr, new: sympy.Expr) -> sympy.Expr | None:
    replaced = expression.subs(old, new)
    return None if replaced == expression else replaced


def take_out_common_factors(node: Node, known: Definitions) -> Node | None:
    """a b + a c = a (b + c)."""
    return _on_expression(node, _factored)


def multiply_out(node: Node, known: Definitions) -> Node | None:
    """a (b + c) = a b + a c, where terms then cancel."""
    return _on_expression(node, _expanded)


def complement_of_sigmoid(node: Node, known: Definitions) -> Node | None:
    """sigmoid(-u) = 1 - sigmoid(u)."""
    return _on_expression(node, _complemented)


def _on_expression(node: Node, change: Callable[[sympy.Expr], sympy.Expr]) -> Node | None:
    if not isinstance(node, Pointwise) or len(node.expression.args) < 2 and not node.expression.args:
        return None
    changed = change(node.expression)
    if changed == node.expression:
        return None
    return pointwise(changed, list(zip(node.operands, node.labels, strict=True)), node.shape)


@cache
def _factored(expression: sympy.Expr) -> sympy.Expr:
    arguments = [_factored(part) for part in expression.args]
    if any(new != old for new, old in zip(arguments, expression.args, strict=True)):
        expression = expression.func(*arguments)
    if not expression.is_Add:
        return expression
    powers = [term.as_powers_dict() for term in expression.args]
    common = sympy.S.One
    for base in powers[0]:
        exponents = [found.get(base, sympy.S.Zero) for found in powers]
        if base.is_number:
            continue
        if all(exponent == exponents[0] for exponent in exponents):
            common *= base ** exponents[0]
        elif all(e.is_positive for e in exponents) or all(e.is_negative and e.is_number for e in exponents):
            common *= base ** min(exponents, key=abs) if all(e.is_number for e in exponents) else 1
    return expression if common == 1 else common * sympy.Add(*[term / common for term in expression.args])


@cache
def _expanded(expression: sympy.Expr) -> sympy.Expr:
    if not expression.is_Mul and not any(part.is_Mul and part.has(sympy.Add) for part in expression.args):
        return expression
    factors = sympy.Mul.make_args(expression)
    if sympy.prod([len(factor.args) for factor in factors if factor.is_Add]) > TERM_LIMIT:
        return expression
    return sympy.expand_mul(expression)


@cache
def _complemented(expression: sympy.Expr) -> sympy.Expr:
    calls = [part for part in expression.atoms(sigmoid) if part.args[0].could_extract_minus_sign()]
    return expression.xreplace({call: 1 - sigmoid(-call.args[0]) for call in calls})


def _term_by_term(node: Node) -> Node | None:
    """The sum of (a + b) is the sum of a plus the sum of b."""
    if not isinstance(node, Contraction):
        return None
    factors = list(zip(node.operands, node.labels, strict=True))
    for position, (operand, labels) in enumerate(factors):
        if not isinstance(operand, Pointwise):
            continue
        expression = sympy.expand_mul(operand.expression)
        if not expression.is_Add or len(expression.args) > TERM_LIMIT:
            continue
        inner = list(zip(operand.operands, operand.labels, strict=True))
        terms: list[Factor] = []
        for term in expression.args:
            part = pointwise(term, inner, operand.shape)
            summed = contract(
                [*factors[:position], (part, labels), *factors[position + 1 :]],
                tuple(range(node.rank)),
                node.label_sizes,
            )
            terms.append((summed, tuple(range(node.rank))))
        return pointwise(sympy.Add(*[argument(k) for k in range(len(terms))]), terms, node.shape)
    return None


def sum_through_name(node: Node, known: Definitions) -> Node | None:
    """The sum of a named sum is taken term by term: the sum of a centred value is 0."""
    if not isinstance(node, Contraction) or len(node.operands) != 1 or not isinstance(node.operands[0], Leaf):
        return None
    definition = known.definition(node.operands[0])
    if not isinstance(definition, Pointwise) or not definition.expression.has(sympy.Add):
        return None
    written_out = contract([(definition, node.labels[0])], tuple(range(node.rank)), node.label_sizes)
    return rewrite(written_out, _term_by_term)


def absorb_mask(node: Node, known: Definitions) -> Node | None:
    """A 0/1 mask is dropped beside a factor that is already 0 wherever the mask is."""
    if not isinstance(node, Pointwise):
        return None
    _, parts = split_product(node)
    masks = [(n, ls) for n, ls in parts if isinstance(n, Indicator)]
    for mask in masks:
        for other in parts:
            if other != mask and _vanishes_off(other, mask, known, 6):
                kept = [part for part in parts if part != mask]
                coefficient, _ = split_product(node)
                product = coefficient * sympy.Mul(*[argument(k) for k in range(len(kept))])
                return pointwise(product, kept, node.shape)
    return None


def _vanishes_off(factor: Factor, mask: Factor, known: Definitions, depth: int) -> bool:
    """Tell whether a factor is 0 wherever the mask is 0, looking through at most ``depth`` names."""
    node, labels = factor
    if isinstance(node, Leaf):
        definition = known.definition(node)
        return depth > 0 and definition is not None and _vanishes_off((definition, labels), mask, known, depth - 1)
    if not isinstance(node, Pointwise):
        return False
    _, parts = split_product(node)
    if len(parts) > 1:
        return any(_vanishes_off((n, tuple(labels[k] for k in ls)), mask, known, depth) for n, ls in parts)
    expression = node.expression
    if isinstance(expression, sympy.exp):
        for term in sympy.Add.make_args(expression.args[0]):
            if _is_minus_infinity_off(term, node, labels, mask, known, depth):
                return True
    return False


def _is_minus_infinity_off(
    term: sympy.Expr, node: Pointwise, labels: tuple[int, ...], mask: Factor, known: Definitions, depth: int
) -> bool:
    for k, (operand, own) in enumerate(zip(node.operands, node.labels, strict=True)):
        if term == argument(k):
            if not isinstance(operand, Leaf) or depth == 0:
                return False
            definition = known.definition(operand)
            if not isinstance(definition, Pointwise):
                return False
            outer = tuple(labels[label] for label in own)
            return _is_minus_infinity_off(definition.expression, definition, outer, mask, known, depth - 1)
    if isinstance(term, where) and term.args[2] is sympy.S.NegativeInfinity:
        for k, (operand, own) in enumerate(zip(node.operands, node.labels, strict=True)):
            if term.args[0] == argument(k):
                return (operand, tuple(labels[label] for label in own)) == mask
    return False


REWRITES: tuple[Rewrite, ...] = (
    name_forward_value,
    complement_of_sigmoid,
    sum_through_name,
    absorb_mask,
    multiply_out,
    take_out_common_factors,
)
"""The live registry, in the order in which they are tried. `name_forward_value` also runs after each of the others, and
`multiply_out` after those, where that is shorter still."""
