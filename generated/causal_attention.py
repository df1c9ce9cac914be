"""single-head causal attention with a squared loss

Written by symbackprop 0.1.0 from the model below; edit the model, not this file.

    # single-head causal attention with a squared loss
    dim t = 16, m = 32, d = 16
    batch n = 8
    input  X[t, m]
    target Y[t, d]
    param  W_q[m, d], W_k[m, d], W_v[m, d]

    Q = X W_q
    K = X W_k
    V = X W_v
    S = Q K^T / sqrt(d)
    M[i, j] = where(i >= j, S[i, j], -inf)
    P = softmax(M)
    O = P V
    L = 1/2 ||Y - O||^2
    minimize L
"""

import math
import os

import numpy as np

# name, kind, axes, number of classes
_DECLARED = (
    ('X', 'input', ('n', 't', 'm',), None),
    ('Y', 'target', ('n', 't', 'd',), None),
    ('W_q', 'parameter', ('m', 'd',), None),
    ('W_k', 'parameter', ('m', 'd',), None),
    ('W_v', 'parameter', ('m', 'd',), None),
)
_DEFAULT_SIZES = {'d': 16, 'm': 32, 'n': 8, 't': 16, }
_HYPER = {}
_OPEN_FUNCTIONS = ()


class Workspace:
    """All arrays that a call fills, allocated once. Sizes not given are the model's defaults."""

    def __init__(self, /, dtype=np.float32, **sizes):
        self._allocate(dtype, sizes)

    def _allocate(self, dtype, sizes):
        unknown = sorted(set(sizes) - {'d', 'm', 'n', 't', *_DEFAULT_SIZES})
        if unknown:
            raise ValueError(f"Workspace: there is no dimension {', '.join(unknown)}")
        dtype = np.dtype(dtype)
        self.dtype, self.sizes = dtype, {**_DEFAULT_SIZES, **{name: int(size) for name, size in sizes.items()}}
        n_d = self.sizes.setdefault('d', 1)
        n_m = self.sizes.setdefault('m', 1)
        n_n = self.sizes.setdefault('n', 1)
        n_t = self.sizes.setdefault('t', 1)
        _refuse_beyond_memory(
            dtype.itemsize * (2 * n_n * (n_t) ** 2 + 3 * n_d * n_m + 4 * n_d * n_n * n_t + n_n * n_t) + 8 * (n_n
            * n_t)
        )
        self.shapes = {name: tuple(self.sizes.get(axis, axis) for axis in axes) for name, _, axes, _ in _DECLARED}
        self.mask = np.broadcast_to(((-1) * np.arange(n_t)[None, :] + np.arange(n_t)[:, None]) >= 0, (n_t, n_t,))
        self.limit = np.where(self.mask, np.nan, -np.inf).astype(dtype)
        self.starts = (n_t) * np.arange((n_n) * (n_t)).reshape(n_n, n_t)
        self.ones = np.full((n_t,), 1.0, dtype)
        self.lowest = np.finfo(dtype).min
        self.Q = np.empty((n_n, n_t, n_d), dtype)
        self.K = np.empty((n_n, n_t, n_d), dtype)
        self.V = np.empty((n_n, n_t, n_d), dtype)
        self.S = np.empty((n_n, n_t, n_t), dtype)
        self.P_part_3 = np.empty((n_n, n_t), np.intp)
        self.P_part_2 = np.empty((n_n, n_t), dtype)
        self.O = np.empty((n_n, n_t, n_d), dtype)
        self.d_P = np.empty((n_n, n_t, n_t), dtype)
        self.d_W_v = np.empty((n_m, n_d), dtype)
        self.d_W_k = np.empty((n_m, n_d), dtype)
        self.d_W_q = np.empty((n_m, n_d), dtype)


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
        n_d = w.sizes['d']
        n_m = w.sizes['m']
        n_n = w.sizes['n']
        n_t = w.sizes['t']
        X = arrays['X']
        W_q = arrays['W_q']
        W_k = arrays['W_k']
        W_v = arrays['W_v']
        # Q[i, j, k] = ∑[l](W_q[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_q, w.Q.reshape(n_n * n_t, n_d))
        Q = w.Q
        # K[i, j, k] = ∑[l](W_k[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_k, w.K.reshape(n_n * n_t, n_d))
        K = w.K
        # V[i, j, k] = ∑[l](W_v[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_v, w.V.reshape(n_n * n_t, n_d))
        V = w.V
        # S[i, j, k] = ∑[l](Q[i, j, l] K[i, k, l])/√d
        S = _stacked_matmul(Q, K.transpose(0, 2, 1), w.S)
        S *= (1.0 / math.sqrt(n_d))
        # M[k, i, j] = where(i ≥ j, S[k, i, j], −∞)
        M = np.fmin(S, w.limit, out=w.S)
        # P[i, j, k] = exp(M[i, j, k] − logsumexp[l](M[i, j, l]))
        P_part_2 = _row_max(M, w.P_part_3, w.starts, w.P_part_2)
        P_part_2 = np.maximum(P_part_2, w.lowest, out=w.P_part_2)
        M -= P_part_2[:, :, None]
        P = M
        P = np.exp(P, out=w.S)
        P_part = w.P_part_2
        np.dot(P.reshape(-1, w.ones.size), w.ones, out=P_part.reshape(-1))
        P /= P_part[:, :, None]
        # O[i, j, k] = ∑[l](P[i, j, l] V[i, l, k])
        O = _stacked_matmul(P, V, w.O)
    return {'O': np.array(O, w.dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_d = w.sizes['d']
        n_m = w.sizes['m']
        n_n = w.sizes['n']
        n_t = w.sizes['t']
        X = arrays['X']
        Y = arrays['Y']
        W_q = arrays['W_q']
        W_k = arrays['W_k']
        W_v = arrays['W_v']
        # Q[i, j, k] = ∑[l](W_q[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_q, w.Q.reshape(n_n * n_t, n_d))
        Q = w.Q
        # K[i, j, k] = ∑[l](W_k[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_k, w.K.reshape(n_n * n_t, n_d))
        K = w.K
        # V[i, j, k] = ∑[l](W_v[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_v, w.V.reshape(n_n * n_t, n_d))
        V = w.V
        # S[i, j, k] = ∑[l](Q[i, j, l] K[i, k, l])/√d
        S = _stacked_matmul(Q, K.transpose(0, 2, 1), w.S)
        S *= (1.0 / math.sqrt(n_d))
        # M[k, i, j] = where(i ≥ j, S[k, i, j], −∞)
        M = np.fmin(S, w.limit, out=w.S)
        # P[i, j, k] = exp(M[i, j, k] − logsumexp[l](M[i, j, l]))
        P_part_2 = _row_max(M, w.P_part_3, w.starts, w.P_part_2)
        P_part_2 = np.maximum(P_part_2, w.lowest, out=w.P_part_2)
        M -= P_part_2[:, :, None]
        P = M
        P = np.exp(P, out=w.S)
        P_part = w.P_part_2
        np.dot(P.reshape(-1, w.ones.size), w.ones, out=P_part.reshape(-1))
        P /= P_part[:, :, None]
        # O[i, j, k] = ∑[l](P[i, j, l] V[i, l, k])
        O = _stacked_matmul(P, V, w.O)
        # L = ∑[i, j, k]((Y[i, j, k] − O[i, j, k])²)/(2 n)
        O -= Y
        L_part_2 = O
        L_part = np.vdot(L_part_2, L_part_2)
        L = L_part * (1.0 / (2.0 * n_n))
    return float(L)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_d = w.sizes['d']
        n_m = w.sizes['m']
        n_n = w.sizes['n']
        n_t = w.sizes['t']
        X = arrays['X']
        Y = arrays['Y']
        W_q = arrays['W_q']
        W_k = arrays['W_k']
        W_v = arrays['W_v']
        # Q[i, j, k] = ∑[l](W_q[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_q, w.Q.reshape(n_n * n_t, n_d))
        Q = w.Q
        # K[i, j, k] = ∑[l](W_k[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_k, w.K.reshape(n_n * n_t, n_d))
        K = w.K
        # V[i, j, k] = ∑[l](W_v[l, k] X[i, j, l])
        _matmul(X.reshape(n_n * n_t, n_m), W_v, w.V.reshape(n_n * n_t, n_d))
        V = w.V
        # S[i, j, k] = ∑[l](Q[i, j, l] K[i, k, l])/√d
        S = _stacked_matmul(Q, K.transpose(0, 2, 1), w.S)
        S *= (1.0 / math.sqrt(n_d))
        # M[k, i, j] = where(i ≥ j, S[k, i, j], −∞)
        M = np.fmin(S, w.limit, out=w.S)
        # P[i, j, k] = exp(M[i, j, k] − logsumexp[l](M[i, j, l]))
        P_part_2 = _row_max(M, w.P_part_3, w.starts, w.P_part_2)
        P_part_2 = np.maximum(P_part_2, w.lowest, out=w.P_part_2)
        M -= P_part_2[:, :, None]
        P = M
        P = np.exp(P, out=w.S)
        P_part = w.P_part_2
        np.dot(P.reshape(-1, w.ones.size), w.ones, out=P_part.reshape(-1))
        P /= P_part[:, :, None]
        # O[i, j, k] = ∑[l](P[i, j, l] V[i, l, k])
        O = _stacked_matmul(P, V, w.O)
        # L = ∑[i, j, k]((Y[i, j, k] − O[i, j, k])²)/(2 n)
        O -= Y
        L_part_2 = O
        L_part = np.vdot(L_part_2, L_part_2)
        L = L_part * (1.0 / (2.0 * n_n))
        # ∂L/∂O[i, j, k] = (O[i, j, k] − Y[i, j, k])/n
        L_part_2 *= (1.0 / n_n)
        d_O = L_part_2
        # ∂L/∂P[i, j, k] = ∑[l]((∂L/∂O[i, j, l]) V[i, k, l])
        d_P = _stacked_matmul(d_O, V.transpose(0, 2, 1), w.d_P)
        # ∂L/∂M[k, i, j] = P[k, i, j] (∂L/∂P[k, i, j] − ∑[l]((∂L/∂P[k, i, l]) P[k, i, l]))
        d_M_part = np.vecdot(P, d_P, out=w.P_part_2)
        d_P -= d_M_part[:, :, None]
        d_M = d_P
        d_M = np.multiply(P, d_M, out=w.d_P)
        # ∂L/∂V[i, j, k] = ∑[l]((∂L/∂O[i, l, k]) P[i, l, j])
        d_V = _stacked_matmul(P.transpose(0, 2, 1), d_O, w.V)
        # ∂L/∂W_v[i, j] = ∑[k, l]((∂L/∂V[k, l, j]) X[k, l, i])
        d_W_v = _matmul(X.transpose(2, 0, 1).reshape(n_m, n_n * n_t), d_V.reshape(n_n * n_t, n_d), w.d_W_v)
        # ∂L/∂K[i, j, k] = ∑[l]((∂L/∂S[i, l, j]) Q[i, l, k])/√d
        d_K = _stacked_matmul(d_M.transpose(0, 2, 1), Q, w.O)
        d_K *= (1.0 / math.sqrt(n_d))
        # ∂L/∂W_k[i, j] = ∑[k, l]((∂L/∂K[k, l, j]) X[k, l, i])
        d_W_k = _matmul(X.transpose(2, 0, 1).reshape(n_m, n_n * n_t), d_K.reshape(n_n * n_t, n_d), w.d_W_k)
        # ∂L/∂Q[i, j, k] = ∑[l]((∂L/∂S[i, j, l]) K[i, l, k])/√d
        d_Q = _stacked_matmul(d_M, K, w.V)
        d_Q *= (1.0 / math.sqrt(n_d))
        # ∂L/∂W_q[i, j] = ∑[k, l]((∂L/∂Q[k, l, j]) X[k, l, i])
        d_W_q = _matmul(X.transpose(2, 0, 1).reshape(n_m, n_n * n_t), d_Q.reshape(n_n * n_t, n_d), w.d_W_q)
    return float(L), {
        'W_q': d_W_q,
        'W_k': d_W_k,
        'W_v': d_W_v,
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
        'W_q': (random.standard_normal((sizes['m'], sizes['d'],)) / math.sqrt(sizes['m'])).astype(dtype),
        'W_k': (random.standard_normal((sizes['m'], sizes['d'],)) / math.sqrt(sizes['m'])).astype(dtype),
        'W_v': (random.standard_normal((sizes['m'], sizes['d'],)) / math.sqrt(sizes['m'])).astype(dtype),
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


def _row_max(array, places, starts, out):
    """The largest entry of each row, by its place among all; ``places`` and ``starts`` (of the rows) are as long or longer."""
    count = out.size
    flat = places.reshape(-1)[:count]
    array.reshape(count, -1).argmax(axis=1, out=flat)
    flat += starts.reshape(-1)[:count]
    return array.take(flat.reshape(out.shape), out=out, mode="clip")


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
# symbackprop-seal:142879944df1caec
