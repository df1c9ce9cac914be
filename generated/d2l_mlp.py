"""one hidden layer, with bias (d2l 5.3)

Written by symbackprop 0.1.0 from the model below; edit the model, not this file.

    # one hidden layer, with bias (d2l 5.3)
    dim d = 784, h = 256, q = 10        # sizes; the defaults are optional
    batch n = 256                       # optional: the equations are per example, lifted over n
    input  x[d]
    target y[q]                         # or:  target y in q      (an integer class, 0..q-1)
    param  W1[h, d], b1[h], W2[q, h], b2[q]
    hyper  lambda = 0.001

    z = W1 x + b1
    a = relu(z)
    o = W2 a + b2
    L = 1/2 ||y - o||^2                 # or:  cross_entropy(o, y)
    s = lambda/2 (||W1||^2 + ||W2||^2)
    J = L + s
    minimize J
"""

import math

import numpy as np

# name, kind, axes, number of classes
_DECLARED = (
    ('x', 'input', ('n', 'd',), None),
    ('y', 'target', ('n', 'q',), None),
    ('W1', 'parameter', ('h', 'd',), None),
    ('b1', 'parameter', ('h',), None),
    ('W2', 'parameter', ('q', 'h',), None),
    ('b2', 'parameter', ('q',), None),
    ('lambda', 'hyper', (), None),
)
_DEFAULT_SIZES = {'d': 784, 'h': 256, 'n': 256, 'q': 10, }
_HYPER = {'lambda': 0.001, }
_OPEN_FUNCTIONS = ()


class Workspace:
    """All arrays that a call fills, allocated once. Sizes not given are the model's defaults."""

    def __init__(self, dtype=np.float32, **sizes):
        unknown = sorted(set(sizes) - {'d', 'h', 'n', 'q', *_DEFAULT_SIZES})
        if unknown:
            raise ValueError(f"Workspace: there is no dimension {', '.join(unknown)}")
        dtype = np.dtype(dtype)
        self.dtype, self.sizes = dtype, {**_DEFAULT_SIZES, **{name: int(size) for name, size in sizes.items()}}
        n_d = self.sizes.setdefault('d', 1)
        n_h = self.sizes.setdefault('h', 1)
        n_n = self.sizes.setdefault('n', 1)
        n_q = self.sizes.setdefault('q', 1)
        self.z = np.empty((n_n, n_h,), dtype)
        self.a = np.empty((n_n, n_h,), dtype)
        self.o = np.empty((n_n, n_q,), dtype)
        self.L_part = np.empty((n_n, n_q,), dtype)
        self.L = np.empty((n_n,), dtype)
        self.d_o = np.empty((n_n, n_q,), dtype)
        self.d_a = np.empty((n_n, n_h,), dtype)
        self.d_z_part = np.empty((n_n, n_h,), bool)
        self.d_W1 = np.empty((n_h, n_d,), dtype)
        self.d_W1_part = np.empty((n_h, n_d,), dtype)
        self.d_b1 = np.empty((n_h,), dtype)
        self.d_W2 = np.empty((n_q, n_h,), dtype)
        self.d_W2_part = np.empty((n_q, n_h,), dtype)
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
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        n_d = w.sizes['d']
        n_h = w.sizes['h']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        # Z = X W1ᵀ + 𝟏 b1ᵀ
        z = np.matmul(x, W1.T, out=w.z)
        z += b1
        # A = relu(Z)
        a = np.maximum(z, 0, out=w.a)
        # O = A W2ᵀ + 𝟏 b2ᵀ
        o = np.matmul(a, W2.T, out=w.o)
        o += b2
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
        lambda_ = arrays['lambda']
        n_d = w.sizes['d']
        n_h = w.sizes['h']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        # Z = X W1ᵀ + 𝟏 b1ᵀ
        z = np.matmul(x, W1.T, out=w.z)
        z += b1
        # A = relu(Z)
        a = np.maximum(z, 0, out=w.a)
        # O = A W2ᵀ + 𝟏 b2ᵀ
        o = np.matmul(a, W2.T, out=w.o)
        o += b2
        # L = ½ rowsum((Y − O) ⊙ (Y − O))
        L_part = np.subtract(y, o, out=w.L_part)
        L = np.einsum("ab,ab->a", L_part, L_part, out=w.L)
        L *= 0.5
        # s = λ/2 (‖W1‖_F² + ‖W2‖_F²)
        s_part_4 = np.vdot(W1, W1)
        s_part_3 = np.vdot(W2, W2)
        s_part_2 = s_part_4 + s_part_3
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
        lambda_ = arrays['lambda']
        n_d = w.sizes['d']
        n_h = w.sizes['h']
        n_n = w.sizes['n']
        n_q = w.sizes['q']
        # Z = X W1ᵀ + 𝟏 b1ᵀ
        z = np.matmul(x, W1.T, out=w.z)
        z += b1
        # A = relu(Z)
        a = np.maximum(z, 0, out=w.a)
        # O = A W2ᵀ + 𝟏 b2ᵀ
        o = np.matmul(a, W2.T, out=w.o)
        o += b2
        # L = ½ rowsum((Y − O) ⊙ (Y − O))
        L_part = np.subtract(y, o, out=w.L_part)
        L = np.einsum("ab,ab->a", L_part, L_part, out=w.L)
        L *= 0.5
        # s = λ/2 (‖W1‖_F² + ‖W2‖_F²)
        s_part_4 = np.vdot(W1, W1)
        s_part_3 = np.vdot(W2, W2)
        s_part_2 = s_part_4 + s_part_3
        s_part = lambda_ * s_part_2
        s = s_part * 0.5
        # J = mean(L) + s
        J_part_2 = np.sum(L)
        J_part = J_part_2 / n_n
        J = J_part + s
        # ∂J/∂O = (O − Y)/n
        d_o = np.subtract(o, y, out=w.d_o)
        d_o /= n_n
        # ∂J/∂A = (∂J/∂O) W2
        d_a = np.matmul(d_o, W2, out=w.d_a)
        # ∂J/∂Z = ∂J/∂A ⊙ relu′(Z)
        d_z_part = np.greater(z, 0, out=w.d_z_part)
        d_a *= d_z_part
        d_z = d_a
        # ∂J/∂W1 = (∂J/∂Z)ᵀ X + λ W1
        d_W1 = np.matmul(d_z.T, x, out=w.d_W1)
        d_W1_part = np.multiply(W1, lambda_, out=w.d_W1_part)
        d_W1 += d_W1_part
        # ∂J/∂b1 = (∂J/∂Z)ᵀ 𝟏
        d_b1 = np.sum(d_z, axis=0, out=w.d_b1)
        # ∂J/∂W2 = (∂J/∂O)ᵀ A + λ W2
        d_W2 = np.matmul(d_o.T, a, out=w.d_W2)
        d_W2_part = np.multiply(W2, lambda_, out=w.d_W2_part)
        d_W2 += d_W2_part
        # ∂J/∂b2 = (∂J/∂O)ᵀ 𝟏
        d_b2 = np.sum(d_o, axis=0, out=w.d_b2)
    return float(J), {
        'W1': d_W1,
        'b1': d_b1,
        'W2': d_W2,
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
        'W1': (random.standard_normal((sizes['h'], sizes['d'],)) / math.sqrt(sizes['d'])).astype(dtype),
        'b1': np.zeros((sizes['h'],), dtype),
        'W2': (random.standard_normal((sizes['q'], sizes['h'],)) / math.sqrt(sizes['h'])).astype(dtype),
        'b2': np.zeros((sizes['q'],), dtype),
    }
# symbackprop-seal:bfee2d92b0684fad
