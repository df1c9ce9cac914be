"""Reading printed text back: the graph that it parses to, compared with the graph that was printed."""

from __future__ import annotations

from collections.abc import Callable

import sympy

from symbackprop.api import derive
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.functions.scalar import ScalarFunction, guarded
from symbackprop.graph.build import leaf, pointwise
from symbackprop.graph.model import Model
from symbackprop.graph.nodes import Leaf, Node, Pointwise
from symbackprop.graph.walk import rewrite, topological
from symbackprop.language.lowering import lower
from symbackprop.render import derivation_source, source
from symbackprop.render.spelling import Spelling

FORMS = (False, True)


def differences(model: Model) -> list[str]:
    """Where the graph of a model's text is another one than the model's."""
    read = lower(source(model))
    spelled = Spelling([d.name for d in model.graph.declarations] + [e.name for e in model.graph.equations])
    found = [] if read.hyper_defaults == {spelled.tensor(n): v for n, v in model.hyper_defaults.items()} else ["hypers"]
    found += [] if [f.title for f in read.functions] == [f.title for f in model.functions] else ["functions"]
    found += [] if read.batch == model.batch and read.objective == _word(spelled, model.objective) else ["objective"]
    found += [] if read.outputs == tuple(spelled.tensor(name) for name in model.outputs) else ["outputs"]
    plain = [renamed(d, spelled.tensor, kinds=False) for d in model.graph.declarations]
    found += [] if tuple(plain) == read.graph.declarations else ["declarations"]
    assert len(read.graph.equations) == len(model.graph.equations)
    for equation, other in zip(model.graph.equations, read.graph.equations, strict=True):
        if renamed(equation.node, spelled.tensor, kinds=False) is not other.node:
            found.append(equation.name)
    return found


def derivation_differences(model: Model, batched: bool) -> list[str]:
    """The equations, forward and backward, that are read back as something else."""
    return text_differences(derive(model, all_values=True).form(batched))


def text_differences(derived: DerivedGraph) -> list[str]:
    text, spelled = derivation_source(derived)
    read = lower(text).graph
    equations = derived.equations
    assert len(read.equations) == len(equations)
    return [e.name for e in equations if not _same(e.node, spelled, read.by_name[spelled.tensor(e.name)].node)]


def _same(node: Node, spelled: Spelling, read: Node) -> bool:
    """Tell whether both are one node, under the words of the text and with derived functions as the text declares them."""
    expected = renamed(node, spelled.tensor)
    functions = {f.title: f for f in _functions(read)}
    expected = _rebuilt(expected, lambda e: _with_functions(e, spelled, functions))
    return expected is read or _multiplied_out(expected) is _multiplied_out(read)


def renamed(node: Node, word: Callable[[str], str], kinds: bool = True) -> Node:
    """The node under other names. A given cotangent is an input of the text, and a guarded divisor is written as itself."""

    def change(part: Node) -> Node | None:
        if isinstance(part, Leaf):
            kind = "input" if kinds and part.kind in ("cotangent", "tangent") else part.kind
            return leaf(kind, word(part.name), part.shape, part.classes)
        if isinstance(part, Pointwise) and part.expression.has(guarded):
            bare = part.expression.replace(guarded, lambda u: u)
            return pointwise(bare, list(zip(part.operands, part.labels, strict=True)), part.shape)
        return None

    return rewrite(node, change)


def _multiplied_out(node: Node) -> Node:
    """SymPy keeps -(a - b)/n and (b - a)/n apart; multiplied out they are one."""
    return _rebuilt(node, sympy.expand_mul)


def _rebuilt(node: Node, change: Callable[[sympy.Expr], sympy.Expr]) -> Node:
    def rebuild(part: Node) -> Node | None:
        if not isinstance(part, Pointwise) or not part.operands:
            return None
        changed = change(part.expression)
        if changed == part.expression:
            return None
        return pointwise(changed, list(zip(part.operands, part.labels, strict=True)), part.shape)

    return rewrite(node, rebuild)


def _functions(root: Node) -> list[type[ScalarFunction]]:
    return [
        call.func
        for node in topological([root])
        if isinstance(node, Pointwise)
        for call in sorted(node.expression.atoms(ScalarFunction), key=str)
    ]


def _with_functions(
    expression: sympy.Expr, spelled: Spelling, read: dict[str, type[ScalarFunction]]
) -> sympy.Expr:
    """A derivative that has no sign in the language is a declared function of the text: the one of that word."""

    def counterpart(call: ScalarFunction) -> sympy.Expr:
        other = read.get(spelled.function(type(call).title))
        if other is None or other is type(call):
            return call
        known = dict(zip(type(call).parameters, call.args, strict=True))
        if other.body is None or type(call).body is None:
            assert other.body is type(call).body
        else:
            assert sympy.expand(other.body - type(call).body) == 0
        return other(*[known[parameter] for parameter in other.parameters])

    return expression.replace(lambda part: isinstance(part, ScalarFunction), counterpart)


def _word(spelled: Spelling, name: str | None) -> str | None:
    return None if name is None else spelled.tensor(name)
