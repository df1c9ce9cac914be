"""The slow, obvious evaluator: node by node, in floating point, in complex numbers or exactly.

It is an oracle for the kernels, and knows nothing of how they compute. In complex arithmetic every function with a kink
decides by the real part, which is what the complex step needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from symbackprop.functions import scalar
from symbackprop.graph.model import Graph
from symbackprop.graph.nodes import (
    Contraction,
    Coordinate,
    Indicator,
    Leaf,
    MatrixFunction,
    Node,
    Pointwise,
    Reduction,
    argument,
    axis,
)
from symbackprop.graph.sizes import is_dimension, size_value
from symbackprop.graph.walk import topological

Array = np.ndarray[Any, Any]


def evaluate(
    graph: Graph, values: Mapping[str, Any], sizes: Mapping[str, int], dtype: Any = np.float64
) -> dict[str, Array]:
    """Return the value of every equation, by name.

    values holds the declared tensors by name, sizes the dimensions; dtype is float64, complex128, longdouble, or object for
    exact arithmetic on SymPy numbers.
    """
    known: dict[str, Array] = {}
    for declaration in graph.declarations:
        if declaration.name in values:
            kind = np.int64 if declaration.classes is not None else dtype
            known[declaration.name] = np.asarray(values[declaration.name], dtype=kind)
    computed: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for equation in graph.equations:
            for node in topological([equation.node]):
                if node not in computed:
                    operands = [computed[operand] for operand in node.operands]
                    computed[node] = (
                        known[node.name] if isinstance(node, Leaf) else value_of(node, operands, sizes, dtype)
                    )
            known[equation.name] = computed[equation.node]
    return {equation.name: known[equation.name] for equation in graph.equations}


def value_of(node: Node, operands: list[Array], sizes: Mapping[str, int], dtype: Any) -> Array:
    """Return the value of a node that is no leaf, from those of its operands."""
    shape = tuple(size_value(size, sizes) for size in node.shape)
    if isinstance(node, Pointwise):
        known: dict[sympy.Basic, Any] = {
            argument(position): _aligned(operand, labels, len(shape))
            for position, (operand, labels) in enumerate(zip(operands, node.labels, strict=True))
        }
        result = scalar_value(node.expression, known, sizes, dtype)
        return np.array(np.broadcast_to(result, shape), dtype=dtype)
    if isinstance(node, Contraction | Reduction):
        full = tuple(size_value(size, sizes) for size in node.label_sizes)
        product: Any = 1
        for operand, labels in zip(operands, node.labels, strict=True):
            product = product * _aligned(operand, labels, len(full))
        axes = tuple(range(len(shape), len(full)))
        whole = np.broadcast_to(product, full)
        result = whole.sum(axis=axes) if isinstance(node, Contraction) else _reduced(node.kind, whole, axes)
        return np.asarray(result, dtype=whole.dtype)  # a sum of objects over all axes is a bare object
    if isinstance(node, Indicator):
        positions: dict[sympy.Basic, Any] = {
            axis(k): np.arange(size).reshape([-1 if j == k else 1 for j in range(len(shape))])
            for k, size in enumerate(shape)
        }
        for position, (operand, labels) in enumerate(zip(operands, node.labels, strict=True)):
            positions[argument(position)] = _aligned(operand, labels, len(shape))
        condition = scalar_value(node.condition, positions, sizes, np.int64)
        holds = condition == 0 if node.relation == "==" else condition >= 0
        return np.array(np.broadcast_to(holds, shape), dtype=np.int64).astype(dtype)
    if isinstance(node, Coordinate):
        return np.arange(shape[0]).astype(dtype)
    assert isinstance(node, MatrixFunction)
    return _matrix_value(node.kind, operands[0], dtype)


def _aligned(operand: Array, labels: tuple[int, ...], rank: int) -> Array:
    """Return a view with one axis for each of ``rank`` labels, of length 1 where the operand lacks it."""
    distinct = sorted(set(labels))
    view = (
        np.einsum(operand, list(labels), distinct)
        if len(distinct) < len(labels)
        else operand.transpose([labels.index(label) for label in distinct])
    )
    shape = [1] * rank
    for label, size in zip(distinct, view.shape, strict=True):
        shape[label] = size
    return view.reshape(shape)


def _reduced(kind: str, whole: Array, axes: tuple[int, ...]) -> Array:
    if kind == "max":
        return _extreme(whole, axes)
    largest = np.expand_dims(_extreme(whole if kind == "logsumexp" else _by_part(_absolute, whole), axes), axes)
    if kind == "logsumexp":
        if whole.dtype == object:
            return _exact(sympy.log, _exact(sympy.exp, whole).sum(axis=axes))
        shift = np.where(np.isfinite(largest.real), largest.real, 0)
        result: Array = np.log(np.exp(whole - shift).sum(axis=axes)) + np.squeeze(shift, axes)
        return result
    if whole.dtype == object:
        return _exact(sympy.sqrt, (whole * whole).sum(axis=axes))
    size = np.where(largest.real > 0, largest.real, 1)
    scaled = whole / size
    total: Array = np.sqrt((scaled * scaled).sum(axis=axes)) * np.squeeze(size, axes)
    return total


def _extreme(whole: Array, axes: tuple[int, ...]) -> Array:
    flat = np.moveaxis(whole, axes, range(whole.ndim - len(axes), whole.ndim))
    flat = flat.reshape(*flat.shape[: whole.ndim - len(axes)], -1)
    place = np.argmax(flat.real if flat.dtype != object else flat, axis=-1)
    return np.take_along_axis(flat, place[..., None], axis=-1)[..., 0]


def _matrix_value(kind: str, operand: Array, dtype: Any) -> Array:
    if operand.dtype == object:
        results = []
        for matrix in operand.reshape(-1, *operand.shape[-2:]):
            exact = sympy.Matrix(matrix)
            value = {
                "inverse": lambda m: m.inv(),
                "cofactor": lambda m: m.adjugate().T,
                "det": lambda m: m.det(),
                "logdet": lambda m: sympy.log(m.det()),
            }[kind](exact)
            results.append(np.array(value.tolist(), dtype=object) if kind in ("inverse", "cofactor") else value)
        shape = operand.shape if kind in ("inverse", "cofactor") else operand.shape[:-2]
        return np.array(results, dtype=object).reshape(shape)
    if kind == "inverse":
        return np.linalg.inv(operand)
    if kind == "det":
        return np.asarray(np.linalg.det(operand))
    if kind == "logdet":
        sign, magnitude = np.linalg.slogdet(operand)
        return np.asarray(magnitude + 1j * np.angle(sign) if np.iscomplexobj(operand) else magnitude)
    minors = np.empty_like(operand)
    for row in range(operand.shape[-2]):
        for column in range(operand.shape[-1]):
            minor = np.delete(np.delete(operand, row, axis=-2), column, axis=-1)
            minors[..., row, column] = (-1) ** (row + column) * np.linalg.det(minor)
    return minors


# ---------------------------------------------------------------- scalar expressions


def scalar_value(expression: sympy.Expr, known: Mapping[sympy.Basic, Any], sizes: Mapping[str, int], dtype: Any) -> Any:
    """Return the value of a scalar expression with arrays for its symbols; dimensions take their sizes."""
    done: dict[sympy.Basic, Any] = dict(known)
    for part in sympy.postorder_traversal(expression):
        if part in done:
            continue
        if is_dimension(part):
            done[part] = _number(sympy.Integer(sizes[part.name]), dtype)
        elif part.is_number:
            done[part] = _number(part, dtype)
        else:
            done[part] = _apply(part, [done[inner] for inner in part.args])
    return done[expression]


def _number(value: sympy.Expr, dtype: Any) -> Any:
    if dtype is object:
        return value
    if value is sympy.oo or value is sympy.S.NegativeInfinity:
        return np.inf if value is sympy.oo else -np.inf
    if dtype is np.longdouble:
        return np.longdouble(str(value.evalf(40)))
    return int(value) if value.is_Integer else float(value)


def _apply(part: sympy.Basic, values: list[Any]) -> Any:
    if part.is_Add:
        return sum(values[1:], start=values[0])
    if part.is_Mul:
        product = values[0]
        for value in values[1:]:
            product = product * value
        return product
    exact = any(isinstance(value, sympy.Basic) or getattr(value, "dtype", None) is np.dtype(object) for value in values)
    if part.is_Pow:
        return _power(part, values, exact)
    if isinstance(part, scalar.ScalarFunction) and (exact or not part.func.stable):
        if part.func.body is None:
            raise KeyError(f"the function {part.func.title} is open: it has no value")
        dtype = object if exact else np.result_type(*[np.asarray(v) for v in values], np.float64)
        return scalar_value(part.func.body, dict(zip(part.func.parameters, values, strict=True)), {}, dtype)
    if exact:
        return _exact(part.func, *values)
    return _FLOAT[part.func](*[np.asarray(value) for value in values])


def _power(part: sympy.Basic, values: list[Any], exact: bool) -> Any:
    base, exponent = values
    if exact:
        return _exact(sympy.Pow, base, exponent)
    if part.args[1].is_Integer and int(part.args[1]) > 0:
        return base ** int(part.args[1])
    if part.args[1] == sympy.Rational(1, 2):
        return np.sqrt(base)
    return np.power(np.asarray(base) * 1.0, exponent)


def _exact(function: Any, *values: Any) -> Any:
    return np.frompyfunc(lambda *entries: function(*[sympy.S(e) for e in entries]), len(values), 1)(*values)


def _real(value: Array) -> Array:
    return value.real


def _by_part(function: Any, *values: Array) -> Array:
    result: Array = function(*values)
    return result


def _absolute(u: Array) -> Array:
    return np.where(_real(u) < 0, -u, u)


def _maximum(*values: Array) -> Array:
    result = values[0]
    for value in values[1:]:
        result = np.where(_real(value) > _real(result), value, result)
    return result


def _sigmoid(u: Array) -> Array:
    return np.where(_real(u) >= 0, 1 / (1 + np.exp(-u)), np.exp(u) / (1 + np.exp(u)))


def _softplus(u: Array) -> Array:
    return np.where(_real(u) > 0, u, 0) + np.log1p(np.exp(-_absolute(u)))


def _erf(u: Array) -> Array:
    """erf, to double precision: in a complex step the imaginary part is the derivative times the step."""
    real = np.vectorize(math.erf, otypes=[np.float64])(_real(u).astype(np.float64))
    if not np.iscomplexobj(u):
        return np.asarray(real)
    return real + 1j * u.imag * 2 / np.sqrt(np.pi) * np.exp(-(u.real**2))


_FLOAT: dict[Any, Any] = {
    sympy.exp: np.exp,
    sympy.log: np.log,
    sympy.sin: np.sin,
    sympy.cos: np.cos,
    sympy.tan: np.tan,
    sympy.sinh: np.sinh,
    sympy.cosh: np.cosh,
    scalar.tanh: np.tanh,
    sympy.atan: np.arctan,
    sympy.erf: _erf,
    scalar.positive: lambda u: (_real(u) > 0).astype(np.int64),
    scalar.nonnegative: lambda u: (_real(u) >= 0).astype(np.int64),
    scalar.equals: lambda u: (_real(u) == 0).astype(np.int64),
    scalar.sign: lambda u: np.sign(_real(u)),
    scalar.absolute: _absolute,
    scalar.guarded: lambda u: np.where(u == 0, 1, u),
    scalar.where: lambda c, a, b: np.where(_real(c) > 0.5, a, b),
    scalar.maximum: _maximum,
    scalar.sigmoid: _sigmoid,
    scalar.softplus: _softplus,
    scalar.relu: lambda u: np.where(_real(u) > 0, u, 0),
}
