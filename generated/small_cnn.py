"""a small convolutional classifier: convolution, bias, ReLU, 2x2 max pooling, a dense layer

Written by symbackprop 0.1.0 from the model below; edit the model, not this file.

    # a small convolutional classifier: convolution, bias, ReLU, 2x2 max pooling, a dense layer
    dim c = 1, s = 8, k = 3, f = 16, p = 3, q = 10      # channels, side, kernel, filters, pooled side, classes
    batch n = 32
    input  x[c, s, s]
    target y in q
    param  K[f, c, k, k], b1[f], W[q, f, p, p], b2[q]

    Z[f, i, j] = sum[c, a, b](K[f, c, a, b] x[c, i + a, j + b]) + b1[f]
    A = relu(Z)
    P[f, i in p, j in p] = max[u in 2, v in 2](A[f, 2 i + u, 2 j + v])
    o[r] = sum[f, i, j](W[r, f, i, j] P[f, i, j]) + b2[r]
    L = cross_entropy(o, y)
    minimize L
"""

import math
import os

import numpy as np

# name, kind, axes, number of classes
_DECLARED = (
    ('x', 'input', ('n', 'c', 's', 's',), None),
    ('y', 'target', ('n',), 'q'),
    ('K', 'parameter', ('f', 'c', 'k', 'k',), None),
    ('b1', 'parameter', ('f',), None),
    ('W', 'parameter', ('q', 'f', 'p', 'p',), None),
    ('b2', 'parameter', ('q',), None),
)
_DEFAULT_SIZES = {'c': 1, 'f': 16, 'k': 3, 'n': 32, 'p': 3, 'q': 10, 's': 8, }
_HYPER = {}
_OPEN_FUNCTIONS = ()


class Workspace:
    """All arrays that a call fills, allocated once. Sizes not given are the model's defaults."""

    def __init__(self, /, dtype=np.float32, **sizes):
        self._allocate(dtype, sizes)

    def _allocate(self, dtype, sizes):
        unknown = sorted(set(sizes) - {'c', 'f', 'k', 'n', 'p', 'q', 's', *_DEFAULT_SIZES})
        if unknown:
            raise ValueError(f"Workspace: there is no dimension {', '.join(unknown)}")
        dtype = np.dtype(dtype)
        self.dtype, self.sizes = dtype, {**_DEFAULT_SIZES, **{name: int(size) for name, size in sizes.items()}}
        n_c = self.sizes.setdefault('c', 1)
        n_f = self.sizes.setdefault('f', 1)
        n_k = self.sizes.setdefault('k', 1)
        n_n = self.sizes.setdefault('n', 1)
        n_p = self.sizes.setdefault('p', 1)
        n_q = self.sizes.setdefault('q', 1)
        n_s = self.sizes.setdefault('s', 1)
        _refuse_beyond_memory(
            dtype.itemsize * (2 * n_c * n_n * n_s * (n_k) ** 2 + 2 * n_f * n_n * (n_k) ** 2 + 2 * n_f * n_n + 2
            * n_f * n_n * (n_s) ** 2 + 2 * n_n * n_q + 3 * n_f * n_q * (n_p) ** 2 + 3 * n_n + 4 * n_f * n_n *
            n_s + 6 * n_f * n_n * (n_p) ** 2 + n_c * n_f * (n_k) ** 2 + n_c * n_n * (n_k) ** 2 + n_c * n_n *
            (n_k) ** 2 * (n_s) ** 2 + n_c * n_n * (n_k) ** 4 + n_f + n_q - 2 * n_c * n_n * (n_k) ** 3 - 2 * n_c
            * n_n * n_s * (n_k) ** 3 - 4 * n_f * n_k * n_n - 4 * n_f * n_k * n_n * n_s) + 8 * (n_n) + (2 * n_f *
            n_n * n_s + 4 * n_f * n_n * (n_p) ** 2 + n_f * n_n * (n_k) ** 2 + n_f * n_n + n_f * n_n * (n_s) ** 2
            - 2 * n_f * n_k * n_n - 2 * n_f * n_k * n_n * n_s)
        )
        self.shapes = {name: tuple(self.sizes.get(axis, axis) for axis in axes) for name, _, axes, _ in _DECLARED}
        self.zeros = np.zeros(n_f if n_f >= 32 else (), dtype)
        self.starts = (n_q) * np.arange((n_n)).reshape(n_n)
        self.ones_3 = np.full((n_q,), 1.0, dtype)
        self.ones_2 = np.full((n_n,), 1.0, dtype)
        self.places = _places((((2, 1,), 0), ((2, 1,), 0),), (n_p, 2, n_p, 2,), (n_s - n_k + 1, n_s - n_k + 1,))
        self.ones = np.full((n_n * (n_s - n_k + 1) ** 2,), 1.0, dtype)
        self.lowest = np.finfo(dtype).min
        self.Z_part = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_c, n_k, n_k), dtype)
        self.Z = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_f), dtype)
        self.P = np.empty((n_n, n_p, n_p, n_f), dtype)
        self.o_part = np.empty((n_p, n_p, n_f, n_q), dtype)
        self.o = np.empty((n_n, n_q), dtype)
        self.L_part_11 = np.empty((n_n,), np.intp)
        self.L_part_10 = np.empty((n_n,), dtype)
        self.L_part_9 = np.empty((n_n, n_q), dtype)
        self.L_part_8 = np.empty((n_n,), dtype)
        self.L_part_7 = np.empty((n_n,), dtype)
        self.d_W = np.empty((n_q, n_p, n_p, n_f), dtype)
        self.d_b2 = np.empty((n_q,), dtype)
        self.d_P = np.empty((n_n, n_p, n_p, n_f), dtype)
        self.d_A_part_4 = np.empty((n_n, n_p, 2, n_p, 2, n_f), bool)
        self.d_A_part = np.empty((n_n, n_p, 2, n_p, 2, n_f), dtype)
        self.d_A = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_f), dtype)
        self.d_Z_part = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_f), bool)
        self.d_K = np.empty((n_f, n_c, n_k, n_k), dtype)
        self.d_b1 = np.empty((n_f,), dtype)
        self.d_W_part = np.empty((n_q, n_f, n_p, n_p), dtype)


def _refuse_beyond_memory(count, what="a workspace of these sizes", hint=""):
    """Raise MemoryError where so many bytes are more than the memory of the machine, if that is known."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return
    if count > memory > 0:
        raise MemoryError(f"{what} takes {count:,} bytes; this machine has {memory:,}{hint}")


def _array(name, array, axes, classes, dtype, sizes):
    """Return one array, contiguous and of that dtype, after checking it; the sizes of its axes are added to ``sizes``."""
    array = np.asarray(array)
    if array.dtype.kind not in ("iu" if classes is not None else "biuf"):
        raise ValueError(f"{name} has the dtype {array.dtype}; {'integers' if classes is not None else 'real numbers'} are needed")
    wanted = "(" + ", ".join(f"{axis}={sizes[axis]}" if axis in sizes else str(axis) for axis in axes) + ")"
    fits = array.ndim == len(axes) and all(
        size == (axis if isinstance(axis, int) else sizes.setdefault(axis, size)) for axis, size in zip(axes, array.shape)
    )
    if not fits:
        raise ValueError(f"{name} has the shape {array.shape}; {wanted} is needed")
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    return np.ascontiguousarray(array, dtype).reshape(array.shape)


def _check_classes(name, array, count):
    """Raise where an entry is no class: as unsigned numbers the negative ones are the largest."""
    if array.view(np.uintp).max() >= count:
        raise ValueError(f"{name} holds a class outside 0 .. {count - 1}")


def _given(params, inputs, hyper, functions, kinds, workspace=None):
    """Check what was given; return the arrays and hyper-parameters by name, their dtype and the sizes."""
    if workspace is None:
        dtypes = {np.asarray(value).dtype for value in params.values() if np.asarray(value).dtype.kind == "f"}
        dtype, shapes, known = np.result_type(*dtypes) if dtypes else np.dtype(np.float64), {}, _DEFAULT_SIZES
    else:
        dtype, shapes, known = workspace.dtype, workspace.shapes, workspace.sizes
    arrays, sizes, index, used = {}, {}, np.dtype(np.intp), 0
    for name, kind, axes, classes in _DECLARED:
        if kind not in kinds:
            continue
        given = params if kind == "parameter" else inputs
        array, wanted = given.get(name), dtype if classes is None else index
        if array is None:
            raise ValueError(f"{'params' if kind == 'parameter' else 'inputs'} lacks {name!r}")
        ready = type(array) is np.ndarray and array.dtype == wanted and array.flags.c_contiguous
        if not (ready and array.shape == shapes.get(name)):
            array = _array(name, array, axes, classes, wanted, sizes)
        arrays[name] = array
        used += 1
    if used < len(params) + len(inputs):
        unknown = sorted(str(name) for name in {*params, *inputs} - {name for name, *_ in _DECLARED})
        if unknown:
            raise ValueError(f"the model has no {', '.join(unknown)}")
    if workspace is not None and any(known.get(name, size) != size for name, size in sizes.items()):
        wrong = {name: size for name, size in sizes.items() if known.get(name, size) != size}
        raise ValueError(f"the workspace has other sizes: it has {known}, the arrays {wrong}")
    sizes = {**known, **sizes}
    if 'y' in arrays:
        _check_classes('y', arrays['y'], sizes.get('q', 1))
    if hyper and not hyper.keys() <= _HYPER.keys():
        raise ValueError(f"there is no hyper-parameter {', '.join(sorted(set(hyper) - set(_HYPER)))}")
    for name, default in _HYPER.items():
        value = hyper.get(name, default)
        if value is None:
            raise ValueError(f"the hyper-parameter {name!r} has no default: give it in hyper")
        arrays[name] = float(value)
    missing = [name for name in _OPEN_FUNCTIONS if name not in functions]
    if missing:
        raise ValueError(f"the model leaves {', '.join(missing)} open: give it in functions")
    return arrays, dtype, sizes


def _prepare(params, inputs, hyper, workspace, functions, kinds):
    """Check what was given; return the arrays and hyper-parameters by name, and the workspace."""
    arrays, dtype, sizes = _given(params, inputs, hyper, functions, kinds, workspace)
    return arrays, _allocated(dtype, sizes) if workspace is None else workspace


def _allocated(dtype, sizes):
    """Return a workspace. Here no dimension's name, such as dtype, is a keyword's."""
    workspace = object.__new__(Workspace)
    workspace._allocate(dtype, sizes)
    return workspace


def predict(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the model's outputs as arrays by name; targets are not needed."""
    inputs = {name: value for name, value in inputs.items() if name not in {n for n, kind, *_ in _DECLARED if kind == "target"}}
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input"))
    with np.errstate(all="ignore"):
        n_c = w.sizes['c']
        n_f = w.sizes['f']
        n_k = w.sizes['k']
        n_n = w.sizes['n']
        n_p = w.sizes['p']
        n_q = w.sizes['q']
        n_s = w.sizes['s']
        x = arrays['x']
        K = arrays['K']
        b1 = arrays['b1']
        W = arrays['W']
        b2 = arrays['b2']
        # Z[l, f, i, j] = ∑[r, v, a](K[f, r, v, a] x[l, r, i + v, a + j]) + b1[f]
        Z_part_2 = _window(x, (None, None, (((n_s - n_k + 1, 1), (n_k, 1),), 0), (((n_s - n_k + 1, 1), (n_k, 1),), 0),))
        Z_part = w.Z_part
        np.copyto(Z_part, Z_part_2.transpose(0, 2, 4, 1, 3, 5))
        _matmul(Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), K.transpose(1, 2, 3, 0).reshape(n_c * n_k * n_k, n_f), w.Z.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_f))
        Z = w.Z
        Z += b1
        # A[i, j, l, r] = relu(Z[i, j, l, r])
        A = np.maximum(Z, w.zeros, out=w.Z)
        # P[l, f, i, j] = max[r, t](A[l, f, 2 i + r, 2 j + t])
        P_part = _window(A, (None, (((n_p, 2), (2, 1),), 0), (((n_p, 2), (2, 1),), 0), None,))
        P = _over_windows(np.maximum, P_part, (2, 4), w.P)
        # O[i, r] = ∑[j, l, t](W[r, j, l, t] P[i, j, l, t]) + b2[r]
        o_part = w.o_part
        np.copyto(o_part, W.transpose(2, 3, 1, 0))
        o = _matmul(P.reshape(n_n, n_p * n_p * n_f), o_part.reshape(n_p * n_p * n_f, n_q), w.o)
        o += b2
    return {'o': np.array(o, w.dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_c = w.sizes['c']
        n_f = w.sizes['f']
        n_k = w.sizes['k']
        n_n = w.sizes['n']
        n_p = w.sizes['p']
        n_q = w.sizes['q']
        n_s = w.sizes['s']
        x = arrays['x']
        y = arrays['y']
        K = arrays['K']
        b1 = arrays['b1']
        W = arrays['W']
        b2 = arrays['b2']
        # Z[l, f, i, j] = ∑[r, v, a](K[f, r, v, a] x[l, r, i + v, a + j]) + b1[f]
        Z_part_2 = _window(x, (None, None, (((n_s - n_k + 1, 1), (n_k, 1),), 0), (((n_s - n_k + 1, 1), (n_k, 1),), 0),))
        Z_part = w.Z_part
        np.copyto(Z_part, Z_part_2.transpose(0, 2, 4, 1, 3, 5))
        _matmul(Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), K.transpose(1, 2, 3, 0).reshape(n_c * n_k * n_k, n_f), w.Z.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_f))
        Z = w.Z
        Z += b1
        # A[i, j, l, r] = relu(Z[i, j, l, r])
        A = np.maximum(Z, w.zeros, out=w.Z)
        # P[l, f, i, j] = max[r, t](A[l, f, 2 i + r, 2 j + t])
        P_part = _window(A, (None, (((n_p, 2), (2, 1),), 0), (((n_p, 2), (2, 1),), 0), None,))
        P = _over_windows(np.maximum, P_part, (2, 4), w.P)
        # O[i, r] = ∑[j, l, t](W[r, j, l, t] P[i, j, l, t]) + b2[r]
        o_part = w.o_part
        np.copyto(o_part, W.transpose(2, 3, 1, 0))
        o = _matmul(P.reshape(n_n, n_p * n_p * n_f), o_part.reshape(n_p * n_p * n_f, n_q), w.o)
        o += b2
        # L = mean(logsumexp(O)) − sum(O ⊙ onehot(y))/n
        L_part_10 = _row_max(o, w.L_part_11, w.starts, w.L_part_10)
        L_part_10 = np.maximum(L_part_10, w.lowest, out=w.L_part_10)
        L_part_9 = np.subtract(o, L_part_10[:, None], out=w.L_part_9)
        L_part_9 = np.exp(L_part_9, out=w.L_part_9)
        L_part_8 = np.dot(L_part_9, w.ones_3, out=w.L_part_8)
        L_part_7 = np.log(L_part_8, out=w.L_part_7)
        L_part_7 += L_part_10
        L_part_6 = np.vdot(L_part_7, w.ones_2)
        L_part_5 = np.add(y, w.starts, out=w.L_part_11)
        L_part_4 = o.take(L_part_5, out=w.L_part_10, mode="clip")
        L_part_3 = np.vdot(L_part_4, w.ones_2)
        L_part_2 = L_part_6 * (1.0 / n_n)
        L_part = L_part_3 * (1.0 / n_n)
        L = L_part_2 - L_part
    return float(L)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_c = w.sizes['c']
        n_f = w.sizes['f']
        n_k = w.sizes['k']
        n_n = w.sizes['n']
        n_p = w.sizes['p']
        n_q = w.sizes['q']
        n_s = w.sizes['s']
        x = arrays['x']
        y = arrays['y']
        K = arrays['K']
        b1 = arrays['b1']
        W = arrays['W']
        b2 = arrays['b2']
        # Z[l, f, i, j] = ∑[r, v, a](K[f, r, v, a] x[l, r, i + v, a + j]) + b1[f]
        Z_part_2 = _window(x, (None, None, (((n_s - n_k + 1, 1), (n_k, 1),), 0), (((n_s - n_k + 1, 1), (n_k, 1),), 0),))
        Z_part = w.Z_part
        np.copyto(Z_part, Z_part_2.transpose(0, 2, 4, 1, 3, 5))
        _matmul(Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), K.transpose(1, 2, 3, 0).reshape(n_c * n_k * n_k, n_f), w.Z.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_f))
        Z = w.Z
        Z += b1
        # A[i, j, l, r] = relu(Z[i, j, l, r])
        A = np.maximum(Z, w.zeros, out=w.Z)
        # P[l, f, i, j] = max[r, t](A[l, f, 2 i + r, 2 j + t])
        P_part = _window(A, (None, (((n_p, 2), (2, 1),), 0), (((n_p, 2), (2, 1),), 0), None,))
        P = _over_windows(np.maximum, P_part, (2, 4), w.P)
        # O[i, r] = ∑[j, l, t](W[r, j, l, t] P[i, j, l, t]) + b2[r]
        o_part = w.o_part
        np.copyto(o_part, W.transpose(2, 3, 1, 0))
        o = _matmul(P.reshape(n_n, n_p * n_p * n_f), o_part.reshape(n_p * n_p * n_f, n_q), w.o)
        o += b2
        # L = mean(logsumexp(O)) − sum(O ⊙ onehot(y))/n
        L_part_10 = _row_max(o, w.L_part_11, w.starts, w.L_part_10)
        L_part_10 = np.maximum(L_part_10, w.lowest, out=w.L_part_10)
        L_part_9 = np.subtract(o, L_part_10[:, None], out=w.L_part_9)
        L_part_9 = np.exp(L_part_9, out=w.L_part_9)
        L_part_8 = np.dot(L_part_9, w.ones_3, out=w.L_part_8)
        L_part_7 = np.log(L_part_8, out=w.L_part_7)
        L_part_7 += L_part_10
        L_part_6 = np.vdot(L_part_7, w.ones_2)
        L_part_5 = np.add(y, w.starts, out=w.L_part_11)
        L_part_4 = o.take(L_part_5, out=w.L_part_10, mode="clip")
        L_part_3 = np.vdot(L_part_4, w.ones_2)
        L_part_2 = L_part_6 * (1.0 / n_n)
        L_part = L_part_3 * (1.0 / n_n)
        L = L_part_2 - L_part
        # ∂L/∂O = (softmax(O) − onehot(y))/n
        L_part_9 /= L_part_8[:, None]
        d_o = L_part_9
        d_o.reshape(-1)[L_part_5] += -1.0
        d_o *= (1.0 / n_n)
        # ∂L/∂W[i, j, l, r] = ∑[t]((∂L/∂O[t, i]) P[t, j, l, r])
        _matmul(d_o.T, P.reshape(n_n, n_p * n_p * n_f), w.d_W.reshape(n_q, n_p * n_p * n_f))
        d_W = w.d_W
        # ∂L/∂b2 = (∂L/∂O)ᵀ 𝟏
        d_b2 = np.dot(w.ones_2, d_o, out=w.d_b2)
        # ∂L/∂P[l, f, i, j] = ∑[r]((∂L/∂O[l, r]) W[r, f, i, j])
        _matmul(d_o, o_part.transpose(3, 0, 1, 2).reshape(n_q, n_p * n_p * n_f), w.d_P.reshape(n_n, n_p * n_p * n_f))
        d_P = w.d_P
        # ∂L/∂A[i, j, l, r] = ∑[t, v]([0 ≤ l − 2 t < 2] [0 ≤ r − 2 v < 2] [P[i, j, t, v] = A[i, j, l, r]] (∂L/∂P[i, j, t, v]/∑[b, e]([P[i, j, t, v] = A[i, j, 2 t + b, 2 v + e]])))
        d_A_part_4 = np.equal(P[:, :, None, :, None, :], P_part, out=w.d_A_part_4)
        d_A_part_3 = _over_windows(np.add, d_A_part_4, (2, 4), w.P)
        d_P /= d_A_part_3
        d_A_part_2 = d_P
        d_A_part = np.multiply(d_A_part_2[:, :, None, :, None, :], d_A_part_4, out=w.d_A_part)
        d_A = _scatter_windows(d_A_part.transpose(0, 5, 1, 2, 3, 4), w.places, (0, 3, 1, 2), w.d_A)
        # ∂L/∂Z[l, f, i, j] = (∂L/∂A[l, f, i, j]) relu′(Z[l, f, i, j])
        d_Z_part = np.greater(A, 0.0, out=w.d_Z_part)
        d_A *= d_Z_part
        d_Z = d_A
        # ∂L/∂K[i, j, l, r] = ∑[t, u, v]((∂L/∂Z[t, i, u, v]) x[t, j, l + u, r + v])
        _matmul(d_Z.transpose(3, 0, 1, 2).reshape(n_f, n_n * (n_s - n_k + 1) * (n_s - n_k + 1)), Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), w.d_K.reshape(n_f, n_c * n_k * n_k))
        d_K = w.d_K
        # ∂L/∂b1[i] = ∑[j, l, r](∂L/∂Z[j, i, l, r])
        d_b1 = np.dot(w.ones, d_Z.reshape(w.ones.size, -1), out=w.d_b1)
        # ∂L/∂W[i, j, l, r] = ∑[t]((∂L/∂O[t, i]) P[t, j, l, r])
        d_W_part = w.d_W_part
        np.copyto(d_W_part, d_W.transpose(0, 3, 1, 2))
    return float(L), {
        'K': d_K,
        'b1': d_b1,
        'W': d_W_part,
        'b2': d_b2,
    }


def init(seed=0, dtype=np.float32, sizes={}):
    """Return initial parameters: weights normal with variance 1 / fan-in, what multiplies 1, what is added 0."""
    sizes = {**_DEFAULT_SIZES, **sizes}
    needed = {axis for _, kind, axes, _ in _DECLARED if kind == "parameter" for axis in axes if isinstance(axis, str)}
    missing = sorted(needed - set(sizes))
    if missing:
        raise ValueError(f"sizes lacks {', '.join(missing)}, which has no default")
    random = np.random.default_rng(seed)
    return {
        'K': (random.standard_normal((sizes['f'], sizes['c'], sizes['k'], sizes['k'],)) / math.sqrt(sizes['c'] * sizes['k'] * sizes['k'])).astype(dtype),
        'b1': np.zeros((sizes['f'],), dtype),
        'W': (random.standard_normal((sizes['q'], sizes['f'], sizes['p'], sizes['p'],)) / math.sqrt(sizes['f'] * sizes['p'] * sizes['p'])).astype(dtype),
        'b2': np.zeros((sizes['q'],), dtype),
    }


def _matmul(a, b, out):
    """a @ b, where that pays in tiles so small that BLAS packs no operand."""
    tile = a.size * b.shape[1] > _WHOLE and _tile(a, b)
    return _tiled(a, b, out, *tile) if tile else np.dot(a, b, out=out)


def _stacked_matmul(a, b, out):
    """The same of stacks of matrices."""
    tile = _tile(a, b)
    return _tiled(a, b, out, *tile) if tile else np.matmul(a, b, out=out)


def _tile(a, b):
    """The rows and columns of the tiles in which a @ b is multiplied; None where the whole is faster.

    A tile has at most a million multiply-adds, and where b is a transpose at most 1,024 results; past an inner side of 976
    it would be too small.
    """
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    size, largest = rows * inner * columns, 1_000_000 // inner
    if size <= _WHOLE or not 1 < rows <= _ROWS_IN_TILES:
        return None
    if b.strides[-2] < b.strides[-1]:
        height = min(rows, 64)
        return (height, 1024 // height // 16 * 16) if 128 <= inner <= 976 else None
    if size <= 1_000_000:
        return None
    if rows <= 64:
        return rows, _even(columns, largest // rows)
    if inner <= 32 and columns <= 1024:
        return _even(rows, largest // columns), columns
    if inner > 976:
        return None
    width = 64 if a.strides[-1] < a.strides[-2] else 32
    width = 16 if columns % width else width
    return _even(rows, min(largest // width, 64)), width


def _over_windows(function, windows, axes, out):
    """Reduce over axes that are few entries long: whole slices, one place in the windows after the other."""
    windows = np.moveaxis(windows, axes, range(len(axes)))
    places = np.ndindex(*windows.shape[: len(axes)])
    np.copyto(out, windows[next(places)])
    for place in places:
        function(out, windows[place], out=out)
    return out


def _row_max(array, places, starts, out):
    """The largest entry of each row, by its place among all; ``places`` and ``starts`` (of the rows) are as long or longer."""
    count = out.size
    flat = places.reshape(-1)[:count]
    array.reshape(count, -1).argmax(axis=1, out=flat)
    flat += starts.reshape(-1)[:count]
    return array.take(flat.reshape(out.shape), out=out, mode="clip")


def _places(steps, source, target):
    """Where entries go in out[offset + sum of step * i] += source[i], for each target axis of its own: pairs of indices.

    ``steps`` holds for each target axis the steps of the source's axes that lead to it, and the offset. The longest of those
    axes is a slice, the others are gone through; what falls outside the target is left out.
    """
    pairs, first = [((), ())], 0
    for (coefficients, offset), length in zip(steps, target):
        sizes = source[first : first + len(coefficients)]
        first += len(sizes)
        long = max(range(len(sizes)), key=sizes.__getitem__)
        step, choices = coefficients[long], []
        for rest in np.ndindex(*(1 if axis == long else size for axis, size in enumerate(sizes))):
            start = offset + sum(c * i for c, i in zip(coefficients, rest))
            inside = [i for i in range(sizes[long]) if 0 <= start + step * i < length]
            if inside:
                ends = (start + step * inside[0], start + step * inside[-1])
                stop = ends[1] + (1 if step > 0 else -1)
                place = slice(ends[0], None if stop < 0 else stop, step)
                choices.append(((*rest[:long], slice(inside[0], inside[-1] + 1), *rest[long + 1 :]), place))
        pairs = [((*a, *source_index), (*b, place)) for a, b in pairs for source_index, place in choices]
    return pairs


def _scatter_windows(source, places, order, out):
    """Add entries of source up at the places; ``order`` says where the source's leading axes and the targets lie in out."""
    out.fill(0)
    target = out.transpose(order)
    for index, place in places:
        target[(..., *place)] += source[(..., *index)]
    return out


def _rows_in_tiles():
    """How many rows a product may have that is worked in tiles: any number on one thread, few on several, where it pays at all.

    OpenBLAS 0.3 with AVX-512 multiplies small matrices without packing them first, and always on one thread.
    """
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    simd = config.get("SIMD Extensions", {})
    known = {*simd.get("baseline", ()), *simd.get("found", ())}
    if "openblas" not in blas or not known & {"AVX512_SKX", "X86_V4"} or os.environ.get("OPENBLAS_CORETYPE"):
        return 0
    asked = [os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OPENBLAS", "GOTO", "OMP")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = next((int(count) for count in asked if count.isdecimal() and int(count)), cores)
    return math.inf if threads == 1 else 15


_ROWS_IN_TILES = _rows_in_tiles()
_WHOLE = 400_000  # a product of no more multiply-adds is never worked in tiles


def _tiled(a, b, out, height, width):
    """a @ b in tiles of that many rows and columns, smaller ones at the ends."""
    (*stack, rows, inner), columns = a.shape, b.shape[-1]
    height, width = min(height, rows), min(width, columns)
    down, across = rows // height, columns // width
    tall, wide = down * height, across * width
    whole = tall == rows and wide == columns
    left, right, product = (a, b, out) if whole else (a[..., :tall, :], b[..., :wide], out[..., :tall, :wide])
    np.matmul(
        left.reshape(*stack, down, 1, height, inner),
        right.reshape(*stack, 1, inner, across, width).swapaxes(-3, -2),
        out=product.reshape(*stack, down, height, across, width).swapaxes(-3, -2),
    )
    if wide < columns:
        _tiled(a[..., :tall, :], b[..., wide:], out[..., :tall, wide:], height, width)
    if tall < rows:
        _tiled(a[..., tall:, :], b, out[..., tall:, :], height, width)
    return out


def _even(count, largest):
    """The size of nearly equal parts of a side, a multiple of 16 and about the largest at most."""
    largest = max(16, largest // 16 * 16)
    return -(-count // (16 * -(-count // largest))) * 16


def _window(array, windows):
    """View axes through offset + sum of step * index, where windows gives (size, step) pairs and the offset; None keeps an axis.

    What lies outside the array is 0, and then the view is of a copy.
    """
    pads, starts, shape, strides = [], [], [], []
    for size, stride, window in zip(array.shape, array.strides, windows):
        if window is None:
            pads.append((0, 0)), starts.append(slice(None)), shape.append(size), strides.append(stride)
            continue
        steps, offset = window
        low = offset + sum(min(0, step * (count - 1)) for count, step in steps)
        high = offset + sum(max(0, step * (count - 1)) for count, step in steps)
        pads.append((max(0, -low), max(0, high - size + 1)))
        starts.append(slice(offset + pads[-1][0], None))
        shape += [count for count, _ in steps]
        strides += [step * stride for _, step in steps]
    if any(pad != (0, 0) for pad in pads):
        padded = np.pad(array, pads)
        return _window(padded, [w and (w[0], w[1] + pad[0]) for w, pad in zip(windows, pads)])
    return np.lib.stride_tricks.as_strided(array[tuple(starts)], shape, strides, writeable=False)
# symbackprop-seal:3fd6783aa314ba41
