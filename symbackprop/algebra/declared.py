"""The symbols of a model written in SymPy: what each of them stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from symbackprop.errors import UsageError
from symbackprop.graph.build import leaf
from symbackprop.graph.nodes import Leaf
from symbackprop.graph.sizes import Shape, Size, dimension


class Declared:
    """Symbols to tensors and dimensions. A SymPy symbol is known by itself, never by its name alone."""

    def __init__(self) -> None:
        self.tensors: dict[Any, Leaf] = {}
        self.rows: set[Any] = set()
        self.dimensions: dict[str, Any] = {}
        self._names: set[str] = set()

    def declare(self, kind: str, symbol: Any, classes: Any = None) -> Leaf:
        """Declare an input, target, parameter or hyper-parameter."""
        name, shape = self.name_and_shape(symbol, ())
        count = None if classes is None else self.size(classes)
        declared = leaf(kind, name, shape, count)
        self.define(
            symbol,
            declared,
            isinstance(symbol, sympy.MatrixSymbol) and len(shape) == 1 and symbol.shape[1] != 1,
        )
        return declared

    def define(self, symbol: Any, reference: Leaf, row: bool) -> None:
        """Let a symbol stand for a tensor from here on."""
        self.tensors[symbol] = reference
        self._names.add(reference.name)
        if row:
            self.rows.add(symbol)

    def name_and_shape(self, symbol: Any, indices: Sequence[Any]) -> tuple[str, Shape]:
        """Return the name and shape of a new symbol; ``indices`` may carry the shape of an IndexedBase."""
        if isinstance(symbol, sympy.Symbol):
            name, shape = symbol.name, ()
        elif isinstance(symbol, sympy.MatrixSymbol):
            name, shape = symbol.name, tuple(size for size in map(self.size, symbol.shape) if size != 1)
        elif isinstance(symbol, sympy.IndexedBase):
            name, shape = str(symbol.label), self._shape_of(symbol, indices)
        else:
            kind = "a string" if isinstance(symbol, str) else f"a {type(symbol).__name__}"
            raise UsageError(f"{symbol!r} is {kind}: a Symbol, MatrixSymbol or IndexedBase is needed")
        if not name.isidentifier():
            raise UsageError(f"{name!r} is no name")
        if name in self._names:
            raise UsageError(f"{name} is defined twice")
        return name, shape

    def _shape_of(self, base: Any, indices: Sequence[Any]) -> Shape:
        if base.shape is not None:
            return tuple(self.size(size) for size in base.shape)
        if indices and all(isinstance(index, sympy.Idx) and index.upper is not None for index in indices):
            return tuple(self.size(index.upper - index.lower + 1) for index in indices)
        raise UsageError(f"{base} has no shape: write IndexedBase({str(base.label)!r}, shape=(...))")

    def tensor(self, symbol: Any) -> Leaf:
        """Return what a symbol stands for. Raises UsageError where it is unknown."""
        if symbol in self.tensors:
            return self.tensors[symbol]
        raise UsageError(f"{symbol} is not known here{self._why(symbol)}")

    def _why(self, symbol: Any) -> str:
        name = str(symbol.label if isinstance(symbol, sympy.IndexedBase) else symbol.name)
        if name in self._names or name in self.dimensions:
            return ": a different symbol of the same name is (another shape, or assumptions such as real=True)"
        return ": declare it, or put its equation before this one"

    def size(self, size: Any) -> Size:
        """Return a size in our dimensions: SymPy's symbols become the dimensions of their names."""
        if isinstance(size, int) and not isinstance(size, bool):
            size = sympy.Integer(size)
        if not isinstance(size, sympy.Expr) or size.has(sympy.Float) or size.is_integer is False:
            raise UsageError(f"{size} is not a size: a Symbol or a whole number is needed")
        symbols = sorted(size.free_symbols, key=lambda symbol: str(symbol))
        for symbol in symbols:
            if not isinstance(symbol, sympy.Symbol):
                raise UsageError(f"{size} is not a size: {symbol} is not a Symbol")
            if self.dimensions.setdefault(symbol.name, symbol) != symbol:
                raise UsageError(f"two different symbols {symbol.name} are used as sizes (other assumptions)")
        result: Size = size.xreplace({symbol: dimension(symbol.name) for symbol in symbols})
        if result.is_number and not (result.is_Integer and result > 0):
            raise UsageError(f"{size} is not a size: it must be 1 or more")
        return result
