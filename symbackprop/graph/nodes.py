"""The closed set of nodes.

A model is a list of named equations; the right-hand side of each is a tree of these nodes, whose leaves are
declared tensors and references to other equations by name. Nodes are frozen and hash-consed: two nodes that
say the same thing are the same object, so that equality is identity. They are built only through the
constructors of `symbackprop.graph.build`, which validate and normalise.

Axes are positions; inside a node they carry *labels* (small integers). The labels of a result are
``0 .. rank-1``; a contraction numbers the labels it sums over from ``rank`` on. An operand's labels say, for each
of its axes, which label it runs along. A label may repeat within an operand (a diagonal is read), and a
label of the result that an operand lacks broadcasts it.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import Any, ClassVar, Self, TypeAlias

import sympy

from symbackprop.graph.sizes import Shape, Size, solved

Labels: TypeAlias = tuple[int, ...]

_interned: weakref.WeakValueDictionary[tuple[Any, ...], Node] = weakref.WeakValueDictionary()


class Node:
    """A tensor-valued expression with a symbolic shape."""

    __slots__ = ("__weakref__", "_key", "labels", "operands", "payload", "shape")
    _key: str | None
    family: ClassVar[str] = "node"
    operands: tuple[Node, ...]
    labels: tuple[Labels, ...]
    shape: Shape
    payload: tuple[Any, ...]

    def __new__(
        cls, payload: tuple[Any, ...], operands: tuple[Node, ...], labels: tuple[Labels, ...], shape: Shape
    ) -> Self:
        """Return the node that says this, the same object each time."""
        identity = (cls, payload, operands, labels, shape)
        found: Any = _interned.get(identity)
        if found is None:
            found = object.__new__(cls)
            for field, value in zip(("payload", "operands", "labels", "shape"), identity[1:], strict=True):
                object.__setattr__(found, field, value)
            object.__setattr__(found, "_key", None)
            _interned[identity] = found
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a node is frozen: {name} cannot be set")

    def __reduce__(self) -> Any:
        return type(self).__new__, (type(self), self.payload, self.operands, self.labels, self.shape)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def key(self) -> str:
        """A digest of the structure: an order that depends on nothing but the content (no hash seed, no address)."""
        if self._key is None:
            pending: list[Node] = [self]
            while pending:
                node = pending[-1]
                missing = [operand for operand in node.operands if operand._key is None]
                if missing:
                    pending.extend(missing)
                    continue
                pending.pop()
                text = "|".join(
                    [node.family, node.describe(), str(node.shape), str(node.labels)]
                    + [operand.key for operand in node.operands]
                )
                object.__setattr__(node, "_key", hashlib.blake2b(text.encode(), digest_size=12).hexdigest())
        assert self._key is not None
        result: str = self._key
        return result

    def describe(self) -> str:
        """The payload as text, for digests and messages."""
        return str(self.payload)

    def __repr__(self) -> str:
        return f"<{self.family} {self.describe()} {self.shape}>"


class Leaf(Node):
    """A declared tensor, or a reference to the equation of that name.

    payload: (kind, name, classes). kind is one of ``input target parameter hyper value cotangent tangent``;
    ``value`` refers to an equation; a cotangent or tangent is a given tensor of its own (an open one).
    classes is the size of the set an integer tensor takes its values from, or None for real tensors.
    """

    __slots__ = ()
    family = "leaf"

    @property
    def kind(self) -> str:
        """The kind, see above."""
        return self.payload[0]

    @property
    def name(self) -> str:
        """The name."""
        return self.payload[1]

    @property
    def classes(self) -> Size | None:
        """The number of classes of an integer tensor, else None."""
        return self.payload[2]


class Pointwise(Node):
    """One SymPy scalar expression over aligned operands: result[0..] = expression(operand[labels], ...).

    payload: (expression,) in the symbols ``argument(0), argument(1), ...`` and dimensions. With no operands it is
    a constant of its shape. An operand's labels are a selection of the result's; those it lacks broadcast it.
    """

    __slots__ = ()
    family = "pointwise"

    @property
    def expression(self) -> sympy.Expr:
        """The scalar expression, in the symbols of `argument`."""
        return self.payload[0]


class Contraction(Node):
    """A sum of products: result[0..rank-1] = sum over labels rank.. of the product of operand[labels].

    payload: (sizes,), the sizes of the labels summed over, in order.
    """

    __slots__ = ()
    family = "contraction"

    @property
    def summed(self) -> Shape:
        """The sizes of the labels summed over."""
        return self.payload[0]

    @property
    def label_sizes(self) -> Shape:
        """The size of every label, results first."""
        return self.shape + self.summed


class Indicator(Node):
    """The 0/1 tensor of an index condition, whose derivative is 0: how slices, windows, lookups and masks appear.

    payload: (relation, condition): relation is ``==`` (condition = 0) or ``>=`` (condition >= 0); condition is affine
    in the symbols ``axis(0), ...`` of the result's axes, ``argument(k)`` of the integer operands (lookups), and dimensions.
    """

    __slots__ = ()
    family = "indicator"

    @property
    def relation(self) -> str:
        """``==`` or ``>=``."""
        return self.payload[0]

    @property
    def condition(self) -> sympy.Expr:
        """The affine condition, compared with 0."""
        return self.payload[1]

    def place(self, position: int) -> sympy.Expr | None:
        """Where an axis is, as an equality gives it by the others; None where it does not."""
        return solved(self.condition, axis(position)) if self.relation == "==" else None


class Coordinate(Node):
    """The position along an axis, 0 .. size-1, as a vector: an index used as a value. payload: ()."""

    __slots__ = ()
    family = "coordinate"


class Reduction(Node):
    """A stable reduction that is not linear: ``max``, ``logsumexp`` or ``norm`` over the labels from rank on.

    payload: (kind, sizes) with the sizes of the labels reduced over, in order. One operand.
    """

    __slots__ = ()
    family = "reduction"

    @property
    def kind(self) -> str:
        """The kind, see above."""
        return self.payload[0]

    @property
    def summed(self) -> Shape:
        """The sizes of the labels summed over."""
        return self.payload[1]

    @property
    def label_sizes(self) -> Shape:
        """The size of every label, results first."""
        return self.shape + self.summed


class MatrixFunction(Node):
    """``inverse``, ``cofactor`` (a matrix), ``logdet`` or ``det`` (a scalar) of the last two axes. payload: (kind,)."""

    __slots__ = ()
    family = "matrix function"

    @property
    def kind(self) -> str:
        """The kind, see above."""
        return self.payload[0]


class Collective(Node):
    """What workers that hold parts of a value know together, the same on each of them.

    payload: (kind, groups, position): groups are the names of the splits over whose workers it goes. ``sum``, ``max``,
    ``logsumexp`` and ``norm`` combine a value of each worker entry by entry; ``gather`` puts the parts of the axis ``position``
    (None for the other kinds) one behind the other. One operand. It has no derivative: a graph is derived, then split.
    """

    __slots__ = ()
    family = "collective"

    @property
    def kind(self) -> str:
        """The kind, see above."""
        return self.payload[0]

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the splits."""
        return self.payload[1]

    @property
    def position(self) -> int | None:
        """The axis that is gathered."""
        return self.payload[2]


_arguments: list[sympy.Symbol] = []
_axes: list[sympy.Symbol] = []


def argument(position: int) -> sympy.Symbol:
    """The symbol of a pointwise operand. It has no assumptions, so that SymPy rewrites nothing behind our back."""
    while len(_arguments) <= position:
        _arguments.append(sympy.Symbol(f"_{len(_arguments)}"))
    return _arguments[position]


def axis(position: int) -> sympy.Symbol:
    """The symbol of an axis of an indicator."""
    while len(_axes) <= position:
        _axes.append(sympy.Symbol(f"_axis{len(_axes)}", integer=True))
    return _axes[position]
