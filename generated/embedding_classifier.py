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
import os

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

    def __init__(self, /, dtype=np.float32, **sizes):
        self._allocate(dtype, sizes)

    def _allocate(self, dtype, sizes):
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
        _refuse_beyond_memory(
            dtype.itemsize * (2 * n_n + 2 * n_n * n_q + n_m * n_n + n_m * n_n * n_t + n_m * n_q + n_m * n_v +
            n_q) + 8 * (n_n)
        )
        self.shapes = {name: tuple(self.sizes.get(axis, axis) for axis in axes) for name, _, axes, _ in _DECLARED}
        self.starts = (n_q) * np.arange((n_n)).reshape(n_n)
        self.ones_2 = np.full((n_q,), 1.0, dtype)
        self.ones = np.full((n_n,), 1.0, dtype)
        self.lowest = np.finfo(dtype).min
        self.E = np.empty((n_n, n_t, n_m), dtype)
        self.L_part_10 = _part(self.E, (n_n,))
        self.a = np.empty((n_n, n_m), dtype)
        self.o = np.empty((n_n, n_q), dtype)
        self.L_part_11 = np.empty((n_n,), np.intp)
        self.L_part_9 = np.empty((n_n, n_q), dtype)
        self.L_part_8 = np.empty((n_n,), dtype)
        self.L_part_7 = np.empty((n_n,), dtype)
        self.d_W = np.empty((n_q, n_m), dtype)
        self.d_b = np.empty((n_q,), dtype)
        self.d_Emb = np.empty((n_v, n_m), dtype)


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
    if 'tok' in arrays:
        _check_classes('tok', arrays['tok'], sizes.get('v', 1))
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
        n_t = w.sizes['t']
        tok = arrays['tok']
        Emb = arrays['Emb']
        W = arrays['W']
        b = arrays['b']
        # E[i, t, m] = Emb[tok[i, t], m]
        E = np.take(Emb, tok, axis=0, out=w.E, mode="clip")
        # A[i, m] = ∑[j](E[i, j, m])/t
        a = np.add.reduce(E, axis=1, out=w.a)
        a *= (1.0 / n_t)
        # O = A Wᵀ + 𝟏 bᵀ
        o = _matmul(a, W.T, w.o)
        o += b
    return {'o': np.array(o, w.dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_n = w.sizes['n']
        n_t = w.sizes['t']
        tok = arrays['tok']
        y = arrays['y']
        Emb = arrays['Emb']
        W = arrays['W']
        b = arrays['b']
        # E[i, t, m] = Emb[tok[i, t], m]
        E = np.take(Emb, tok, axis=0, out=w.E, mode="clip")
        # A[i, m] = ∑[j](E[i, j, m])/t
        a = np.add.reduce(E, axis=1, out=w.a)
        a *= (1.0 / n_t)
        # O = A Wᵀ + 𝟏 bᵀ
        o = _matmul(a, W.T, w.o)
        o += b
        # L = mean(logsumexp(O)) − sum(O ⊙ onehot(y))/n
        L_part_10 = _row_max(o, w.L_part_11, w.starts, w.L_part_10)
        L_part_10 = np.maximum(L_part_10, w.lowest, out=w.L_part_10)
        L_part_9 = np.subtract(o, L_part_10[:, None], out=w.L_part_9)
        L_part_9 = np.exp(L_part_9, out=w.L_part_9)
        L_part_8 = np.dot(L_part_9, w.ones_2, out=w.L_part_8)
        L_part_7 = np.log(L_part_8, out=w.L_part_7)
        L_part_7 += L_part_10
        L_part_6 = np.vdot(L_part_7, w.ones)
        L_part_5 = np.add(y, w.starts, out=w.L_part_11)
        L_part_4 = o.take(L_part_5, out=w.L_part_7, mode="clip")
        L_part_3 = np.vdot(L_part_4, w.ones)
        L_part_2 = L_part_6 * (1.0 / n_n)
        L_part = L_part_3 * (1.0 / n_n)
        L = L_part_2 - L_part
    return float(L)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_n = w.sizes['n']
        n_t = w.sizes['t']
        tok = arrays['tok']
        y = arrays['y']
        Emb = arrays['Emb']
        W = arrays['W']
        b = arrays['b']
        # E[i, t, m] = Emb[tok[i, t], m]
        E = np.take(Emb, tok, axis=0, out=w.E, mode="clip")
        # A[i, m] = ∑[j](E[i, j, m])/t
        a = np.add.reduce(E, axis=1, out=w.a)
        a *= (1.0 / n_t)
        # O = A Wᵀ + 𝟏 bᵀ
        o = _matmul(a, W.T, w.o)
        o += b
        # L = mean(logsumexp(O)) − sum(O ⊙ onehot(y))/n
        L_part_10 = _row_max(o, w.L_part_11, w.starts, w.L_part_10)
        L_part_10 = np.maximum(L_part_10, w.lowest, out=w.L_part_10)
        L_part_9 = np.subtract(o, L_part_10[:, None], out=w.L_part_9)
        L_part_9 = np.exp(L_part_9, out=w.L_part_9)
        L_part_8 = np.dot(L_part_9, w.ones_2, out=w.L_part_8)
        L_part_7 = np.log(L_part_8, out=w.L_part_7)
        L_part_7 += L_part_10
        L_part_6 = np.vdot(L_part_7, w.ones)
        L_part_5 = np.add(y, w.starts, out=w.L_part_11)
        L_part_4 = o.take(L_part_5, out=w.L_part_7, mode="clip")
        L_part_3 = np.vdot(L_part_4, w.ones)
        L_part_2 = L_part_6 * (1.0 / n_n)
        L_part = L_part_3 * (1.0 / n_n)
        L = L_part_2 - L_part
        # ∂L/∂O = (softmax(O) − onehot(y))/n
        L_part_9 /= L_part_8[:, None]
        d_o = L_part_9
        d_o.reshape(-1)[L_part_5] += -1.0
        d_o *= (1.0 / n_n)
        # ∂L/∂W = (∂L/∂O)ᵀ A
        d_W = _matmul(d_o.T, a, w.d_W)
        # ∂L/∂b = (∂L/∂O)ᵀ 𝟏
        d_b = np.dot(w.ones, d_o, out=w.d_b)
        # ∂L/∂A = (∂L/∂O) W
        d_a = _matmul(d_o, W, w.a)
        # ∂L/∂E[i, j, m] = ∂L/∂A[i, m]/t
        d_E = np.multiply(d_a[:, None, :], (1.0 / n_t), out=w.E)
        # ∂L/∂Emb[i, j] = ∑[k, l]([tok[k, l] = i] (∂L/∂E[k, l, j]))
        d_Emb = _scatter_classes(d_E, tok, w.d_Emb)
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


def _part(array, shape):
    """The first entries of an array's memory, in another shape."""
    return array.reshape(-1)[: math.prod(shape)].reshape(shape)


def _row_max(array, places, starts, out):
    """The largest entry of each row, by its place among all; ``places`` and ``starts`` (of the rows) are as long or longer."""
    count = out.size
    flat = places.reshape(-1)[:count]
    array.reshape(count, -1).argmax(axis=1, out=flat)
    flat += starts.reshape(-1)[:count]
    return array.take(flat.reshape(out.shape), out=out, mode="clip")


def _scatter_classes(source, classes, out):
    """Add up the rows of source by class."""
    out.fill(0)
    np.add.at(out, classes, source)
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
# symbackprop-seal:bf6d2b9ce005420b
