"""a 784-256-128-10 ReLU classifier with cross-entropy and weight decay

Written by symbackprop 0.1.0 from the model below; edit the model, not this file.

    # a 784-256-128-10 ReLU classifier with cross-entropy and weight decay
    dim d = 784, h1 = 256, h2 = 128, q = 10
    batch n = 256
    input  x[d]
    target y in q
    param  W1[h1, d], b1[h1], W2[h2, h1], b2[h2], W3[q, h2], b3[q]
    hyper  lambda = 0.0001

    z1 = W1 x + b1
    a1 = relu(z1)
    z2 = W2 a1 + b2
    a2 = relu(z2)
    o = W3 a2 + b3
    L = cross_entropy(o, y)
    s = lambda/2 (||W1||^2 + ||W2||^2 + ||W3||^2)
    J = L + s
    minimize J
"""

import math

import numpy as np

# name, kind, axes, number of classes
_DECLARED = (
    ('x', 'input', ('n', 'd',), None),
    ('y', 'target', ('n',), 'q'),
    ('W1', 'parameter', ('h1', 'd',), None),
    ('b1', 'parameter', ('h1',), None),
    ('W2', 'parameter', ('h2', 'h1',), None),
    ('b2', 'parameter', ('h2',), None),
    ('W3', 'parameter', ('q', 'h2',), None),
    ('b3', 'parameter', ('q',), None),
    ('lambda', 'hyper', (), None),
)
_DEFAULT_SIZES = {'d': 784, 'h1': 256, 'h2': 128, 'n': 256, 'q': 10, }
_HYPER = {'lambda': 0.0001, }
_OPEN_FUNCTIONS = ()


class Workspace:
    """All arrays that a call fills, allocated once. Sizes not given are the model's defaults."""

    def __init__(self, dtype=np.float32, **sizes):
        unknown = sorted(set(sizes) - {'d', 'h1', 'h2', 'n', 'q', *_DEFAULT_SIZES})
        if unknown:
            raise ValueError(f"Workspace: there is no dimension {', '.join(unknown)}")
        dtype = np.dtype(dtype)
        self.dtype, self.sizes = dtype, {**_DEFAULT_SIZES, **{name: int(size) for name, size in sizes.items()}}
        n_d = self.sizes.setdefault('d', 1)
        n_h1 = self.sizes.setdefault('h1', 1)
        n_h2 = self.sizes.setdefault('h2', 1)
        n_n = self.sizes.setdefault('n', 1)
        n_q = self.sizes.setdefault('q', 1)
        self.z1 = np.empty((n_n, n_h1,), dtype)
        self.a1 = np.empty((n_n, n_h1,), dtype)
        self.z2 = np.empty((n_n, n_h2,), dtype)
        self.a2 = np.empty((n_n, n_h2,), dtype)
        self.o = np.empty((n_n, n_q,), dtype)
        self.L_part_2 = np.empty((n_n, n_q,), dtype)
        self.L = np.empty((n_n,), dtype)
        self.L_part = np.empty((n_n,), dtype)
        self.L_part_scratch = np.empty((n_n, n_q,), dtype)
        self.d_o_part = np.empty((n_n, n_q,), dtype)
        self.d_o = np.empty((n_n, n_q,), dtype)
        self.d_a2 = np.empty((n_n, n_h2,), dtype)
        self.d_z2_part = np.empty((n_n, n_h2,), bool)
        self.d_a1 = np.empty((n_n, n_h1,), dtype)
        self.d_z1_part = np.empty((n_n, n_h1,), bool)
        self.d_W1 = np.empty((n_h1, n_d,), dtype)
        self.d_W1_part = np.empty((n_h1, n_d,), dtype)
        self.d_b1 = np.empty((n_h1,), dtype)
        self.d_W2 = np.empty((n_h2, n_h1,), dtype)
        self.d_W2_part = np.empty((n_h2, n_h1,), dtype)
        self.d_b2 = np.empty((n_h2,), dtype)
        self.d_W3 = np.empty((n_q, n_h2,), dtype)
        self.d_W3_part = np.empty((n_q, n_h2,), dtype)
        self.d_b3 = np.empty((n_q,), dtype)


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
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        W3 = arrays['W3']
        b3 = arrays['b3']
        n_d = w.sizes['d']
        n_h1 = w.sizes['h1']
        n_h2 = w.sizes['h2']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        # Z1 = X W1ᵀ + 𝟏 b1ᵀ
        z1 = np.matmul(x, W1.T, out=w.z1)
        z1 += b1
        # A1 = relu(Z1)
        a1 = np.maximum(z1, 0, out=w.a1)
        # Z2 = A1 W2ᵀ + 𝟏 b2ᵀ
        z2 = np.matmul(a1, W2.T, out=w.z2)
        z2 += b2
        # A2 = relu(Z2)
        a2 = np.maximum(z2, 0, out=w.a2)
        # O = A2 W3ᵀ + 𝟏 b3ᵀ
        o = np.matmul(a2, W3.T, out=w.o)
        o += b3
    return {'o': np.array(o, dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    dtype = w.dtype
    with np.errstate(all="ignore"):
        x = arrays['x']
        y = arrays['y']
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        W3 = arrays['W3']
        b3 = arrays['b3']
        lambda_ = arrays['lambda']
        n_d = w.sizes['d']
        n_h1 = w.sizes['h1']
        n_h2 = w.sizes['h2']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        # Z1 = X W1ᵀ + 𝟏 b1ᵀ
        z1 = np.matmul(x, W1.T, out=w.z1)
        z1 += b1
        # A1 = relu(Z1)
        a1 = np.maximum(z1, 0, out=w.a1)
        # Z2 = A1 W2ᵀ + 𝟏 b2ᵀ
        z2 = np.matmul(a1, W2.T, out=w.z2)
        z2 += b2
        # A2 = relu(Z2)
        a2 = np.maximum(z2, 0, out=w.a2)
        # O = A2 W3ᵀ + 𝟏 b3ᵀ
        o = np.matmul(a2, W3.T, out=w.o)
        o += b3
        # L = logsumexp(O) − rowsum(O ⊙ onehot(y))
        L_part_3 = np.broadcast_to(((-1) * np.arange(n_q)[None, :] + y[:, None]) == 0, (n_n, n_q,))
        L_part_2 = np.multiply(o, L_part_3, out=w.L_part_2)
        L = np.sum(L_part_2, axis=1, out=w.L)
        L_part = _logsumexp(o, (1,), w.L_part, w.L_part_scratch)
        L = np.subtract(L_part, L, out=w.L)
        # s = λ/2 (‖W1‖_F² + ‖W2‖_F² + ‖W3‖_F²)
        s_part_6 = np.vdot(W1, W1)
        s_part_5 = np.vdot(W2, W2)
        s_part_4 = np.vdot(W3, W3)
        s_part_3 = s_part_6 + s_part_5
        s_part_2 = s_part_3 + s_part_4
        s_part = lambda_ * s_part_2
        s = s_part * 0.5
        # J = mean(L) + s
        J_part_2 = np.sum(L)
        J_part = J_part_2 / n_n
        J = J_part + s
    return float(J)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    dtype = w.dtype
    with np.errstate(all="ignore"):
        x = arrays['x']
        y = arrays['y']
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        W3 = arrays['W3']
        b3 = arrays['b3']
        lambda_ = arrays['lambda']
        n_d = w.sizes['d']
        n_h1 = w.sizes['h1']
        n_h2 = w.sizes['h2']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        # Z1 = X W1ᵀ + 𝟏 b1ᵀ
        z1 = np.matmul(x, W1.T, out=w.z1)
        z1 += b1
        # A1 = relu(Z1)
        a1 = np.maximum(z1, 0, out=w.a1)
        # Z2 = A1 W2ᵀ + 𝟏 b2ᵀ
        z2 = np.matmul(a1, W2.T, out=w.z2)
        z2 += b2
        # A2 = relu(Z2)
        a2 = np.maximum(z2, 0, out=w.a2)
        # O = A2 W3ᵀ + 𝟏 b3ᵀ
        o = np.matmul(a2, W3.T, out=w.o)
        o += b3
        # L = logsumexp(O) − rowsum(O ⊙ onehot(y))
        L_part_3 = np.broadcast_to(((-1) * np.arange(n_q)[None, :] + y[:, None]) == 0, (n_n, n_q,))
        L_part_2 = np.multiply(o, L_part_3, out=w.L_part_2)
        L = np.sum(L_part_2, axis=1, out=w.L)
        L_part = _logsumexp(o, (1,), w.L_part, w.L_part_scratch)
        L = np.subtract(L_part, L, out=w.L)
        # s = λ/2 (‖W1‖_F² + ‖W2‖_F² + ‖W3‖_F²)
        s_part_6 = np.vdot(W1, W1)
        s_part_5 = np.vdot(W2, W2)
        s_part_4 = np.vdot(W3, W3)
        s_part_3 = s_part_6 + s_part_5
        s_part_2 = s_part_3 + s_part_4
        s_part = lambda_ * s_part_2
        s = s_part * 0.5
        # J = mean(L) + s
        J_part_2 = np.sum(L)
        J_part = J_part_2 / n_n
        J = J_part + s
        # ∂J/∂O = (softmax(O) − onehot(y))/n
        d_o_part = np.subtract(o, L_part[:, None], out=w.d_o_part)
        d_o_part = np.exp(d_o_part, out=w.d_o_part)
        d_o = w.d_o
        np.copyto(d_o, d_o_part)
        _add_at_class(d_o, y, -1.0)
        d_o /= n_n
        # ∂J/∂A2 = (∂J/∂O) W3
        d_a2 = np.matmul(d_o, W3, out=w.d_a2)
        # ∂J/∂Z2 = ∂J/∂A2 ⊙ relu′(Z2)
        d_z2_part = np.greater(z2, 0, out=w.d_z2_part)
        d_a2 *= d_z2_part
        d_z2 = d_a2
        # ∂J/∂A1 = (∂J/∂Z2) W2
        d_a1 = np.matmul(d_z2, W2, out=w.d_a1)
        # ∂J/∂Z1 = ∂J/∂A1 ⊙ relu′(Z1)
        d_z1_part = np.greater(z1, 0, out=w.d_z1_part)
        d_a1 *= d_z1_part
        d_z1 = d_a1
        # ∂J/∂W1 = (∂J/∂Z1)ᵀ X + λ W1
        d_W1 = np.matmul(d_z1.T, x, out=w.d_W1)
        d_W1_part = np.multiply(W1, lambda_, out=w.d_W1_part)
        d_W1 += d_W1_part
        # ∂J/∂b1 = (∂J/∂Z1)ᵀ 𝟏
        d_b1 = np.sum(d_z1, axis=0, out=w.d_b1)
        # ∂J/∂W2 = (∂J/∂Z2)ᵀ A1 + λ W2
        d_W2 = np.matmul(d_z2.T, a1, out=w.d_W2)
        d_W2_part = np.multiply(W2, lambda_, out=w.d_W2_part)
        d_W2 += d_W2_part
        # ∂J/∂b2 = (∂J/∂Z2)ᵀ 𝟏
        d_b2 = np.sum(d_z2, axis=0, out=w.d_b2)
        # ∂J/∂W3 = (∂J/∂O)ᵀ A2 + λ W3
        d_W3 = np.matmul(d_o.T, a2, out=w.d_W3)
        d_W3_part = np.multiply(W3, lambda_, out=w.d_W3_part)
        d_W3 += d_W3_part
        # ∂J/∂b3 = (∂J/∂O)ᵀ 𝟏
        d_b3 = np.sum(d_o, axis=0, out=w.d_b3)
    return float(J), {
        'W1': d_W1,
        'b1': d_b1,
        'W2': d_W2,
        'b2': d_b2,
        'W3': d_W3,
        'b3': d_b3,
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
        'W1': (random.standard_normal((sizes['h1'], sizes['d'],)) / math.sqrt(sizes['d'])).astype(dtype),
        'b1': np.zeros((sizes['h1'],), dtype),
        'W2': (random.standard_normal((sizes['h2'], sizes['h1'],)) / math.sqrt(sizes['h1'])).astype(dtype),
        'b2': np.zeros((sizes['h2'],), dtype),
        'W3': (random.standard_normal((sizes['q'], sizes['h2'],)) / math.sqrt(sizes['h2'])).astype(dtype),
        'b3': np.zeros((sizes['q'],), dtype),
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
# symbackprop-seal:ae9396ebaf1ad599
