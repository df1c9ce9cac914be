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

    def __init__(self, dtype=np.float32, **sizes):
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
        self.Z_part_2 = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_c, n_k, n_k,), dtype)
        self.Z_part = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_f,), dtype)
        self.Z = np.empty((n_n, n_f, n_s - n_k + 1, n_s - n_k + 1,), dtype)
        self.A = np.empty((n_n, n_f, n_s - n_k + 1, n_s - n_k + 1,), dtype)
        self.P = np.empty((n_n, n_f, n_p, n_p,), dtype)
        self.o = np.empty((n_n, n_q,), dtype)
        self.L_part_7 = np.empty((n_n,), dtype)
        self.L_part_7_scratch = np.empty((n_n, n_q,), dtype)
        self.L_part_4 = np.empty((n_n, n_q,), dtype)
        self.d_o_part = np.empty((n_n, n_q,), dtype)
        self.d_o = np.empty((n_n, n_q,), dtype)
        self.d_P = np.empty((n_n, n_f, n_p, n_p,), dtype)
        self.d_A_part_7 = np.empty((n_n, n_f, n_p, n_p, 2, 2,), dtype)
        self.d_A_part_6 = np.empty((n_n, n_f, n_p, n_p, 2, 2,), bool)
        self.d_A_part_5 = np.empty((n_n, n_f, n_p, n_p,), dtype)
        self.d_A_part_3 = np.empty((n_n, n_f, n_p, 2, n_p, 2,), dtype)
        self.d_A_part_2 = np.empty((n_s - n_k + 1, n_n, n_f, n_p, 2,), dtype)
        self.d_A_part = np.empty((n_s - n_k + 1, n_s - n_k + 1, n_n, n_f,), dtype)
        self.d_Z_part = np.empty((n_n, n_f, n_s - n_k + 1, n_s - n_k + 1,), bool)
        self.d_Z = np.empty((n_n, n_f, n_s - n_k + 1, n_s - n_k + 1,), dtype)
        self.d_K_part_2 = np.empty((n_f, n_n, n_s - n_k + 1, n_s - n_k + 1,), dtype)
        self.d_K_part = np.empty((n_n, n_s - n_k + 1, n_s - n_k + 1, n_c, n_k, n_k,), dtype)
        self.d_K = np.empty((n_f, n_c, n_k, n_k,), dtype)
        self.d_b1 = np.empty((n_f,), dtype)
        self.d_W = np.empty((n_q, n_f, n_p, n_p,), dtype)
        self.d_b2 = np.empty((n_q,), dtype)


def _arrays(params, inputs, dtype, kinds):
    """Return the arrays of those kinds by name, in the dtype of the parameters, and the sizes read from them."""
    arrays, sizes, shapes = {}, {}, {}
    for name, kind, axes, classes in _DECLARED:
        if kind not in kinds:
            continue
        given = params if kind == "parameter" else inputs
        if name not in given:
            raise ValueError(f"{'params' if kind == 'parameter' else 'inputs'} lacks {name!r}")
        array = np.asarray(given[name])
        if array.dtype.kind not in ("iu" if classes is not None else "biuf"):
            raise ValueError(f"{name} has the dtype {array.dtype}; {'integers' if classes is not None else 'real numbers'} are needed")
        array = np.ascontiguousarray(array, np.intp if classes is not None else dtype).reshape(array.shape)
        wanted = "(" + ", ".join(f"{axis}={sizes[axis]}" if axis in sizes else str(axis) for axis in axes) + ")"
        fits = array.ndim == len(axes) and all(
            size == (axis if isinstance(axis, int) else sizes.setdefault(axis, size)) for axis, size in zip(axes, array.shape)
        )
        if not fits:
            raise ValueError(f"{name} has the shape {array.shape}; {wanted} is needed")
        if 0 in array.shape:
            raise ValueError(f"{name} is empty: its shape is {array.shape}")
        arrays[name], shapes[name] = array, classes
    for name, classes in shapes.items():
        count = sizes.get(classes, classes) if classes is not None else None
        if isinstance(count, int) and arrays[name].size and not 0 <= arrays[name].min() <= arrays[name].max() < count:
            raise ValueError(f"{name} holds a class outside 0 .. {count - 1}")
    known = {name for name, *_ in _DECLARED}
    unknown = sorted(str(name) for name in {*params, *inputs} - known)
    if unknown:
        raise ValueError(f"the model has no {', '.join(unknown)}")
    return arrays, sizes


def _prepare(params, inputs, hyper, workspace, functions, kinds):
    """Check what was given; return the arrays and hyper-parameters by name, and the workspace."""
    dtypes = {np.asarray(value).dtype for value in params.values() if np.asarray(value).dtype.kind == "f"}
    dtype = workspace.dtype if workspace is not None else np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
    arrays, sizes = _arrays(params, inputs, dtype, kinds)
    unknown = sorted(set(hyper) - set(_HYPER))
    if unknown:
        raise ValueError(f"there is no hyper-parameter {', '.join(unknown)}")
    for name, default in _HYPER.items():
        value = hyper.get(name, default)
        if value is None:
            raise ValueError(f"the hyper-parameter {name!r} has no default: give it in hyper")
        arrays[name] = float(value)
    missing = [name for name in _OPEN_FUNCTIONS if name not in functions]
    if missing:
        raise ValueError(f"the model leaves {', '.join(missing)} open: give it in functions")
    if workspace is None:
        workspace = Workspace(dtype, **sizes)
    wrong = {name: size for name, size in sizes.items() if workspace.sizes.get(name, size) != size}
    if wrong:
        raise ValueError(f"the workspace has other sizes: it has {workspace.sizes}, the arrays {wrong}")
    return arrays, workspace


def predict(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the model's outputs as arrays by name; targets are not needed."""
    inputs = {name: value for name, value in inputs.items() if name not in {n for n, kind, *_ in _DECLARED if kind == "target"}}
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input"))
    dtype = w.dtype
    with np.errstate(all="ignore"):
        x = arrays['x']
        K = arrays['K']
        b1 = arrays['b1']
        W = arrays['W']
        b2 = arrays['b2']
        n_c = w.sizes['c']
        n_f = w.sizes['f']
        n_k = w.sizes['k']
        n_n = w.sizes['n']
        n_p = w.sizes['p']
        n_q = w.sizes['q']
        n_s = w.sizes['s']
        # Z[l, f, i, j] = Σ[r, v, a](K[f, r, v, a] x[l, r, i + v, a + j]) + b1[f]
        Z_part_4 = _window(x, 2, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        Z_part_3 = _window(Z_part_4, 4, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        Z_part_2 = w.Z_part_2
        np.copyto(Z_part_2, Z_part_3.transpose(0, 2, 4, 1, 3, 5))
        np.matmul(Z_part_2.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), K.transpose(1, 2, 3, 0).reshape(n_c * n_k * n_k, n_f), out=w.Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_f))
        Z_part = w.Z_part
        Z = np.add(Z_part.transpose(0, 3, 1, 2), b1[None, :, None, None], out=w.Z)
        # A[i, j, l, r] = relu(Z[i, j, l, r])
        A = np.maximum(Z, 0, out=w.A)
        # P[l, f, i, j] = max[r, t](A[l, f, 2 i + r, 2 j + t])
        P_part_2 = _window(A, 2, ((n_p, 2), (2, 1),), 0)
        P_part = _window(P_part_2, 4, ((n_p, 2), (2, 1),), 0)
        P = np.max(P_part.transpose(0, 1, 2, 4, 3, 5), axis=(4, 5), out=w.P)
        # O[i, r] = Σ[j, l, t](W[r, j, l, t] P[i, j, l, t]) + b2[r]
        o = np.matmul(P.reshape(n_n, n_f * n_p * n_p), W.transpose(1, 2, 3, 0).reshape(n_f * n_p * n_p, n_q), out=w.o)
        o += b2
    return {'o': np.array(o, dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    dtype = w.dtype
    with np.errstate(all="ignore"):
        x = arrays['x']
        y = arrays['y']
        K = arrays['K']
        b1 = arrays['b1']
        W = arrays['W']
        b2 = arrays['b2']
        n_c = w.sizes['c']
        n_f = w.sizes['f']
        n_k = w.sizes['k']
        n_n = w.sizes['n']
        n_p = w.sizes['p']
        n_q = w.sizes['q']
        n_s = w.sizes['s']
        # Z[l, f, i, j] = Σ[r, v, a](K[f, r, v, a] x[l, r, i + v, a + j]) + b1[f]
        Z_part_4 = _window(x, 2, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        Z_part_3 = _window(Z_part_4, 4, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        Z_part_2 = w.Z_part_2
        np.copyto(Z_part_2, Z_part_3.transpose(0, 2, 4, 1, 3, 5))
        np.matmul(Z_part_2.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), K.transpose(1, 2, 3, 0).reshape(n_c * n_k * n_k, n_f), out=w.Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_f))
        Z_part = w.Z_part
        Z = np.add(Z_part.transpose(0, 3, 1, 2), b1[None, :, None, None], out=w.Z)
        # A[i, j, l, r] = relu(Z[i, j, l, r])
        A = np.maximum(Z, 0, out=w.A)
        # P[l, f, i, j] = max[r, t](A[l, f, 2 i + r, 2 j + t])
        P_part_2 = _window(A, 2, ((n_p, 2), (2, 1),), 0)
        P_part = _window(P_part_2, 4, ((n_p, 2), (2, 1),), 0)
        P = np.max(P_part.transpose(0, 1, 2, 4, 3, 5), axis=(4, 5), out=w.P)
        # O[i, r] = Σ[j, l, t](W[r, j, l, t] P[i, j, l, t]) + b2[r]
        o = np.matmul(P.reshape(n_n, n_f * n_p * n_p), W.transpose(1, 2, 3, 0).reshape(n_f * n_p * n_p, n_q), out=w.o)
        o += b2
        # L = mean(logsumexp(O)) − sum(O ⊙ onehot(y))/n
        L_part_7 = _logsumexp(o, (1,), w.L_part_7, w.L_part_7_scratch)
        L_part_6 = np.sum(L_part_7)
        L_part_5 = np.broadcast_to(((-1) * np.arange(n_q)[None, :] + y[:, None]) == 0, (n_n, n_q,))
        L_part_4 = np.multiply(o, L_part_5, out=w.L_part_4)
        L_part_3 = np.sum(L_part_4)
        L_part_2 = L_part_6 / n_n
        L_part = L_part_3 / n_n
        L = L_part_2 - L_part
    return float(L)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    dtype = w.dtype
    with np.errstate(all="ignore"):
        x = arrays['x']
        y = arrays['y']
        K = arrays['K']
        b1 = arrays['b1']
        W = arrays['W']
        b2 = arrays['b2']
        n_c = w.sizes['c']
        n_f = w.sizes['f']
        n_k = w.sizes['k']
        n_n = w.sizes['n']
        n_p = w.sizes['p']
        n_q = w.sizes['q']
        n_s = w.sizes['s']
        # Z[l, f, i, j] = Σ[r, v, a](K[f, r, v, a] x[l, r, i + v, a + j]) + b1[f]
        Z_part_4 = _window(x, 2, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        Z_part_3 = _window(Z_part_4, 4, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        Z_part_2 = w.Z_part_2
        np.copyto(Z_part_2, Z_part_3.transpose(0, 2, 4, 1, 3, 5))
        np.matmul(Z_part_2.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), K.transpose(1, 2, 3, 0).reshape(n_c * n_k * n_k, n_f), out=w.Z_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_f))
        Z_part = w.Z_part
        Z = np.add(Z_part.transpose(0, 3, 1, 2), b1[None, :, None, None], out=w.Z)
        # A[i, j, l, r] = relu(Z[i, j, l, r])
        A = np.maximum(Z, 0, out=w.A)
        # P[l, f, i, j] = max[r, t](A[l, f, 2 i + r, 2 j + t])
        P_part_2 = _window(A, 2, ((n_p, 2), (2, 1),), 0)
        P_part = _window(P_part_2, 4, ((n_p, 2), (2, 1),), 0)
        P = np.max(P_part.transpose(0, 1, 2, 4, 3, 5), axis=(4, 5), out=w.P)
        # O[i, r] = Σ[j, l, t](W[r, j, l, t] P[i, j, l, t]) + b2[r]
        o = np.matmul(P.reshape(n_n, n_f * n_p * n_p), W.transpose(1, 2, 3, 0).reshape(n_f * n_p * n_p, n_q), out=w.o)
        o += b2
        # L = mean(logsumexp(O)) − sum(O ⊙ onehot(y))/n
        L_part_7 = _logsumexp(o, (1,), w.L_part_7, w.L_part_7_scratch)
        L_part_6 = np.sum(L_part_7)
        L_part_5 = np.broadcast_to(((-1) * np.arange(n_q)[None, :] + y[:, None]) == 0, (n_n, n_q,))
        L_part_4 = np.multiply(o, L_part_5, out=w.L_part_4)
        L_part_3 = np.sum(L_part_4)
        L_part_2 = L_part_6 / n_n
        L_part = L_part_3 / n_n
        L = L_part_2 - L_part
        # ∂L/∂O = (softmax(O) − onehot(y))/n
        d_o_part = np.subtract(o, L_part_7[:, None], out=w.d_o_part)
        d_o_part = np.exp(d_o_part, out=w.d_o_part)
        d_o = w.d_o
        np.copyto(d_o, d_o_part)
        _add_at_class(d_o, y, -1.0)
        d_o /= n_n
        # ∂L/∂P[l, f, i, j] = Σ[r]((∂L/∂O[l, r]) W[r, f, i, j])
        np.matmul(d_o, W.reshape(n_q, n_f * n_p * n_p), out=w.d_P.reshape(n_n, n_f * n_p * n_p))
        d_P = w.d_P
        # ∂L/∂A[i, j, l, r] = Σ[t, v]([0 ≤ l − 2 t < 2] [0 ≤ r − 2 v < 2] [P[i, j, t, v] = A[i, j, l, r]] (∂L/∂P[i, j, t, v]/Σ[b, e]([P[i, j, t, v] = A[i, j, 2 t + b, 2 v + e]])))
        d_A_part_7 = np.negative(P_part.transpose(0, 1, 2, 4, 3, 5), out=w.d_A_part_7)
        d_A_part_7 += P[:, :, :, :, None, None]
        d_A_part_6 = np.equal(d_A_part_7, 0, out=w.d_A_part_6)
        d_A_part_5 = np.sum(d_A_part_6, axis=(4, 5), out=w.d_A_part_5)
        d_P /= d_A_part_5
        d_A_part_4 = d_P
        d_A_part_3 = np.multiply(d_A_part_4[:, :, :, None, :, None], d_A_part_6.transpose(0, 1, 2, 4, 3, 5), out=w.d_A_part_3)
        d_A_part_2 = _scatter_window(d_A_part_3.transpose(2, 3, 0, 1, 4, 5), (2, 1,), 0, w.d_A_part_2)
        d_A_part = _scatter_window(d_A_part_2.transpose(3, 4, 0, 1, 2), (2, 1,), 0, w.d_A_part)
        # ∂L/∂Z[l, f, i, j] = (∂L/∂A[l, f, i, j]) relu′(Z[l, f, i, j])
        d_Z_part = np.greater(Z, 0, out=w.d_Z_part)
        d_Z = np.multiply(d_A_part.transpose(2, 3, 1, 0), d_Z_part, out=w.d_Z)
        # ∂L/∂K[i, j, l, r] = Σ[t, u, v]((∂L/∂Z[t, i, u, v]) x[t, j, l + u, r + v])
        d_K_part_4 = _window(x, 2, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        d_K_part_3 = _window(d_K_part_4, 4, ((n_s - n_k + 1, 1), (n_k, 1),), 0)
        d_K_part_2 = w.d_K_part_2
        np.copyto(d_K_part_2, d_Z.transpose(1, 0, 2, 3))
        d_K_part = w.d_K_part
        np.copyto(d_K_part, d_K_part_3.transpose(0, 2, 4, 1, 3, 5))
        np.matmul(d_K_part_2.reshape(n_f, n_n * (n_s - n_k + 1) * (n_s - n_k + 1)), d_K_part.reshape(n_n * (n_s - n_k + 1) * (n_s - n_k + 1), n_c * n_k * n_k), out=w.d_K.reshape(n_f, n_c * n_k * n_k))
        d_K = w.d_K
        # ∂L/∂b1[i] = Σ[j, l, r](∂L/∂Z[j, i, l, r])
        d_b1 = np.sum(d_Z, axis=(0, 2, 3), out=w.d_b1)
        # ∂L/∂W[i, j, l, r] = Σ[t]((∂L/∂O[t, i]) P[t, j, l, r])
        np.matmul(d_o.T, P.reshape(n_n, n_f * n_p * n_p), out=w.d_W.reshape(n_q, n_f * n_p * n_p))
        d_W = w.d_W
        # ∂L/∂b2 = (∂L/∂O)ᵀ 𝟏
        d_b2 = np.sum(d_o, axis=0, out=w.d_b2)
    return float(L), {
        'K': d_K,
        'b1': d_b1,
        'W': d_W,
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


def _add_at_class(array, classes, amount):
    """Add the amount to one entry of each row along the last axis: that of the row's class."""
    if classes.ndim == 0:
        array[classes] += amount
    else:
        places = classes[..., None]
        np.put_along_axis(array, places, np.take_along_axis(array, places, -1) + amount, -1)


def _logsumexp(x, axes, out, scratch):
    """log of the sum of exp(x) over the axes, shifted by the largest entry."""
    shift = np.max(x, axis=axes, keepdims=True)
    shift = np.where(np.isfinite(shift), shift, 0)
    np.subtract(x, shift, out=scratch)
    np.exp(scratch, out=scratch)
    total = np.sum(scratch, axis=axes, out=out)
    if out is None:
        return np.log(total) + np.squeeze(shift, axes)
    np.log(out, out=out)
    out += np.squeeze(shift, axes)
    return out


def _scatter_window(source, steps, offset, out):
    """Add source[i, ...] to out[offset + sum of step * i]; what falls outside is dropped. The longest index is a slice."""
    out.fill(0)
    sizes = source.shape[: len(steps)]
    long = max(range(len(sizes)), key=lambda k: sizes[k])
    step, length = steps[long], out.shape[0]
    for rest in np.ndindex(*(size for k, size in enumerate(sizes) if k != long)):
        place = [*rest[:long], slice(None), *rest[long:]]
        start = offset + sum(c * i for c, i in zip([c for k, c in enumerate(steps) if k != long], rest))
        inside = [i for i in (0, sizes[long] - 1) if 0 <= start + step * i < length]
        if len(inside) == 2 and step > 0:
            out[start : start + step * (sizes[long] - 1) + 1 : step] += source[tuple(place)]
            continue
        rows = source[tuple(place)]
        for i in range(sizes[long]):
            if 0 <= start + step * i < length:
                out[start + step * i] += rows[i]
    return out


def _window(array, axis, steps, offset):
    """View one axis through offset + sum of coefficient * index; what lies outside is 0 (and then it is a copy)."""
    low = offset + sum(min(0, step * (size - 1)) for size, step in steps)
    high = offset + sum(max(0, step * (size - 1)) for size, step in steps)
    before, after = max(0, -low), max(0, high - array.shape[axis] + 1)
    if before or after:
        array = np.pad(array, [(before, after) if k == axis else (0, 0) for k in range(array.ndim)])
        offset += before
    stride = array.strides[axis]
    start = tuple(slice(offset, None) if k == axis else slice(None) for k in range(array.ndim))
    shape = (*array.shape[:axis], *(size for size, _ in steps), *array.shape[axis + 1 :])
    strides = (*array.strides[:axis], *(step * stride for _, step in steps), *array.strides[axis + 1 :])
    return np.lib.stride_tricks.as_strided(array[start], shape, strides, writeable=False)
# symbackprop-seal:57f50563604aebdc
