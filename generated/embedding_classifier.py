"""a bag of words: the mean of the tokens' embeddings, a linear classifier, cross-entropy

Written by symbackprop 0.1.0 from the model below; edit the model, not this file.

    # a bag of words: the mean of the tokens' embeddings, a linear classifier, cross-entropy
    dim v = 1000, t = 20, m = 32, q = 4
    batch n = 64
    input  tok[t] in v
    target y in q
    param  Emb[v, m], W[q, m], b[q]

    E[t, m] = Emb[tok[t], m]
    a[m] = mean[t](E[t, m])
    o = W a + b
    L = cross_entropy(o, y)
    minimize L
"""

import math

import numpy as np

# name, kind, axes, number of classes
_DECLARED = (
    ('tok', 'input', ('n', 't',), 'v'),
    ('y', 'target', ('n',), 'q'),
    ('Emb', 'parameter', ('v', 'm',), None),
    ('W', 'parameter', ('q', 'm',), None),
    ('b', 'parameter', ('q',), None),
)
_DEFAULT_SIZES = {'m': 32, 'n': 64, 'q': 4, 't': 20, 'v': 1000, }
_HYPER = {}
_OPEN_FUNCTIONS = ()


class Workspace:
    """All arrays that a call fills, allocated once. Sizes not given are the model's defaults."""

    def __init__(self, dtype=np.float32, **sizes):
        unknown = sorted(set(sizes) - {'m', 'n', 'q', 't', 'v', *_DEFAULT_SIZES})
        if unknown:
            raise ValueError(f"Workspace: there is no dimension {', '.join(unknown)}")
        dtype = np.dtype(dtype)
        self.dtype, self.sizes = dtype, {**_DEFAULT_SIZES, **{name: int(size) for name, size in sizes.items()}}
        n_m = self.sizes.setdefault('m', 1)
        n_n = self.sizes.setdefault('n', 1)
        n_q = self.sizes.setdefault('q', 1)
        n_t = self.sizes.setdefault('t', 1)
        n_v = self.sizes.setdefault('v', 1)
        self.E = np.empty((n_n, n_t, n_m,), dtype)
        self.a = np.empty((n_n, n_m,), dtype)
        self.o = np.empty((n_n, n_q,), dtype)
        self.L_part_7 = np.empty((n_n,), dtype)
        self.L_part_7_scratch = np.empty((n_n, n_q,), dtype)
        self.L_part_4 = np.empty((n_n, n_q,), dtype)
        self.d_o_part = np.empty((n_n, n_q,), dtype)
        self.d_o = np.empty((n_n, n_q,), dtype)
        self.d_a = np.empty((n_n, n_m,), dtype)
        self.d_E = np.empty((n_n, n_t, n_m,), dtype)
        self.d_Emb = np.empty((n_v, n_m,), dtype)
        self.d_W = np.empty((n_q, n_m,), dtype)
        self.d_b = np.empty((n_q,), dtype)


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
        tok = arrays['tok']
        Emb = arrays['Emb']
        W = arrays['W']
        b = arrays['b']
        n_m = w.sizes['m']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        n_t = w.sizes['t']
        # E[i, t, m] = Emb[tok[i, t], m]
        E = np.take(Emb, tok, axis=0, out=w.E, mode="clip")
        # A[i, m] = Σ[j](E[i, j, m])/t
        a = np.sum(E, axis=1, out=w.a)
        a /= n_t
        # O = A Wᵀ + 𝟏 bᵀ
        o = np.matmul(a, W.T, out=w.o)
        o += b
    return {'o': np.array(o, dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    dtype = w.dtype
    with np.errstate(all="ignore"):
        tok = arrays['tok']
        y = arrays['y']
        Emb = arrays['Emb']
        W = arrays['W']
        b = arrays['b']
        n_m = w.sizes['m']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        n_t = w.sizes['t']
        # E[i, t, m] = Emb[tok[i, t], m]
        E = np.take(Emb, tok, axis=0, out=w.E, mode="clip")
        # A[i, m] = Σ[j](E[i, j, m])/t
        a = np.sum(E, axis=1, out=w.a)
        a /= n_t
        # O = A Wᵀ + 𝟏 bᵀ
        o = np.matmul(a, W.T, out=w.o)
        o += b
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
        tok = arrays['tok']
        y = arrays['y']
        Emb = arrays['Emb']
        W = arrays['W']
        b = arrays['b']
        n_m = w.sizes['m']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        n_t = w.sizes['t']
        # E[i, t, m] = Emb[tok[i, t], m]
        E = np.take(Emb, tok, axis=0, out=w.E, mode="clip")
        # A[i, m] = Σ[j](E[i, j, m])/t
        a = np.sum(E, axis=1, out=w.a)
        a /= n_t
        # O = A Wᵀ + 𝟏 bᵀ
        o = np.matmul(a, W.T, out=w.o)
        o += b
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
        # ∂L/∂A = (∂L/∂O) W
        d_a = np.matmul(d_o, W, out=w.d_a)
        # ∂L/∂E[i, j, m] = ∂L/∂A[i, m]/t
        d_E = np.divide(d_a[:, None, :], n_t, out=w.d_E)
        # ∂L/∂Emb[i, j] = Σ[k, l]([tok[k, l] = i] (∂L/∂E[k, l, j]))
        d_Emb = _scatter_class(d_E, tok, w.d_Emb)
        # ∂L/∂W = (∂L/∂O)ᵀ A
        d_W = np.matmul(d_o.T, a, out=w.d_W)
        # ∂L/∂b = (∂L/∂O)ᵀ 𝟏
        d_b = np.sum(d_o, axis=0, out=w.d_b)
    return float(L), {
        'Emb': d_Emb,
        'W': d_W,
        'b': d_b,
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
        'Emb': (random.standard_normal((sizes['v'], sizes['m'],)) / math.sqrt(sizes['m'])).astype(dtype),
        'W': (random.standard_normal((sizes['q'], sizes['m'],)) / math.sqrt(sizes['m'])).astype(dtype),
        'b': np.zeros((sizes['q'],), dtype),
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


def _scatter_class(source, classes, out):
    """Add up the rows of source by class."""
    out.fill(0)
    np.add.at(out, classes, source)
    return out
# symbackprop-seal:6187503079906e62
