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
import os

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

    def __init__(self, /, dtype=np.float32, **sizes):
        self._allocate(dtype, sizes)

    def _allocate(self, dtype, sizes):
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
        _refuse_beyond_memory(
            dtype.itemsize * (2 * n_h1 * n_h2 + 2 * n_h1 * n_n + 2 * n_h2 * n_n + 2 * n_h2 * n_q + 4 * n_n + n_d
            * n_h1 + n_h1 + n_h2 + n_n * n_q + n_q) + 8 * (2 * n_n) + (n_h1 * n_n + n_h2 * n_n)
        )
        self.shapes = {name: tuple(self.sizes.get(axis, axis) for axis in axes) for name, _, axes, _ in _DECLARED}
        self.zeros_2 = np.zeros(n_h1 if n_h1 >= 32 else (), dtype)
        self.zeros = np.zeros(n_h2 if n_h2 >= 32 else (), dtype)
        self.starts = (n_q) * np.arange((n_n)).reshape(n_n)
        self.ones_2 = np.full((n_q,), 1.0, dtype)
        self.ones = np.full((n_n,), 1.0, dtype)
        self.lowest = np.finfo(dtype).min
        self.z1 = np.empty((n_n, n_h1), dtype)
        self.z2 = np.empty((n_n, n_h2), dtype)
        self.o = np.empty((n_n, n_q), dtype)
        self.L_part_6 = np.empty((n_n,), np.intp)
        self.L_part_5 = np.empty((n_n,), dtype)
        self.L_part_4 = np.empty((n_n,), np.intp)
        self.L_part_3 = np.empty((n_n,), dtype)
        self.L_part = np.empty((n_n,), dtype)
        self.L = np.empty((n_n,), dtype)
        self.d_W3 = np.empty((n_q, n_h2), dtype)
        self.d_W3_part = np.empty((n_q, n_h2), dtype)
        self.d_b3 = np.empty((n_q,), dtype)
        self.d_a2 = np.empty((n_n, n_h2), dtype)
        self.d_z2_part = np.empty((n_n, n_h2), bool)
        self.d_W2 = np.empty((n_h2, n_h1), dtype)
        self.d_W2_part = np.empty((n_h2, n_h1), dtype)
        self.d_b2 = np.empty((n_h2,), dtype)
        self.d_a1 = np.empty((n_n, n_h1), dtype)
        self.d_z1_part = np.empty((n_n, n_h1), bool)
        self.d_W1 = np.empty((n_h1, n_d), dtype)
        self.d_b1 = np.empty((n_h1,), dtype)
        self.scratch = np.empty(_rows(n_h1, dtype.itemsize * (3 * n_d)) * (dtype.itemsize * (n_d)), np.uint8)
        self.blocks_1 = _blocks(n_h1, dtype.itemsize * (3 * n_d), (self.d_W1,), (((n_d,), dtype),), self.scratch)


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
        x = arrays['x']
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        W3 = arrays['W3']
        b3 = arrays['b3']
        # Z1 = X W1ᵀ + 𝟏 b1ᵀ
        z1 = _matmul(x, W1.T, w.z1)
        z1 += b1
        # A1 = relu(Z1)
        a1 = np.maximum(z1, w.zeros_2, out=w.z1)
        # Z2 = A1 W2ᵀ + 𝟏 b2ᵀ
        z2 = _matmul(a1, W2.T, w.z2)
        z2 += b2
        # A2 = relu(Z2)
        a2 = np.maximum(z2, w.zeros, out=w.z2)
        # O = A2 W3ᵀ + 𝟏 b3ᵀ
        o = _matmul(a2, W3.T, w.o)
        o += b3
    return {'o': np.array(o, w.dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_n = w.sizes['n']
        x = arrays['x']
        y = arrays['y']
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        W3 = arrays['W3']
        b3 = arrays['b3']
        lambda_ = arrays['lambda']
        # Z1 = X W1ᵀ + 𝟏 b1ᵀ
        z1 = _matmul(x, W1.T, w.z1)
        z1 += b1
        # A1 = relu(Z1)
        a1 = np.maximum(z1, w.zeros_2, out=w.z1)
        # Z2 = A1 W2ᵀ + 𝟏 b2ᵀ
        z2 = _matmul(a1, W2.T, w.z2)
        z2 += b2
        # A2 = relu(Z2)
        a2 = np.maximum(z2, w.zeros, out=w.z2)
        # O = A2 W3ᵀ + 𝟏 b3ᵀ
        o = _matmul(a2, W3.T, w.o)
        o += b3
        # L = logsumexp(O) − rowsum(O ⊙ onehot(y))
        L_part_6 = np.add(y, w.starts, out=w.L_part_6)
        L_part_5 = o.take(L_part_6, out=w.L_part_5, mode="clip")
        L_part_3 = _row_max(o, w.L_part_4, w.starts, w.L_part_3)
        L_part_3 = np.maximum(L_part_3, w.lowest, out=w.L_part_3)
        o -= L_part_3[:, None]
        L_part_2 = o
        L_part_2 = np.exp(L_part_2, out=w.o)
        L_part = np.dot(L_part_2, w.ones_2, out=w.L_part)
        L = np.log(L_part, out=w.L)
        L += L_part_3
        L -= L_part_5
        # s = λ/2 (‖W1‖_F² + ‖W2‖_F² + ‖W3‖_F²)
        s_part_6 = np.vdot(W1, W1)
        s_part_5 = np.vdot(W2, W2)
        s_part_4 = np.vdot(W3, W3)
        s_part_3 = s_part_6 + s_part_5
        s_part_2 = s_part_3 + s_part_4
        s_part = lambda_ * s_part_2
        s = s_part * 0.5
        # J = mean(L) + s
        J_part_2 = np.vdot(L, w.ones)
        J_part = J_part_2 * (1.0 / n_n)
        J = J_part + s
    return float(J)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_n = w.sizes['n']
        x = arrays['x']
        y = arrays['y']
        W1 = arrays['W1']
        b1 = arrays['b1']
        W2 = arrays['W2']
        b2 = arrays['b2']
        W3 = arrays['W3']
        b3 = arrays['b3']
        lambda_ = arrays['lambda']
        # Z1 = X W1ᵀ + 𝟏 b1ᵀ
        z1 = _matmul(x, W1.T, w.z1)
        z1 += b1
        # A1 = relu(Z1)
        a1 = np.maximum(z1, w.zeros_2, out=w.z1)
        # Z2 = A1 W2ᵀ + 𝟏 b2ᵀ
        z2 = _matmul(a1, W2.T, w.z2)
        z2 += b2
        # A2 = relu(Z2)
        a2 = np.maximum(z2, w.zeros, out=w.z2)
        # O = A2 W3ᵀ + 𝟏 b3ᵀ
        o = _matmul(a2, W3.T, w.o)
        o += b3
        # L = logsumexp(O) − rowsum(O ⊙ onehot(y))
        L_part_6 = np.add(y, w.starts, out=w.L_part_6)
        L_part_5 = o.take(L_part_6, out=w.L_part_5, mode="clip")
        L_part_3 = _row_max(o, w.L_part_4, w.starts, w.L_part_3)
        L_part_3 = np.maximum(L_part_3, w.lowest, out=w.L_part_3)
        o -= L_part_3[:, None]
        L_part_2 = o
        L_part_2 = np.exp(L_part_2, out=w.o)
        L_part = np.dot(L_part_2, w.ones_2, out=w.L_part)
        L = np.log(L_part, out=w.L)
        L += L_part_3
        L -= L_part_5
        # s = λ/2 (‖W1‖_F² + ‖W2‖_F² + ‖W3‖_F²)
        s_part_6 = np.vdot(W1, W1)
        s_part_5 = np.vdot(W2, W2)
        s_part_4 = np.vdot(W3, W3)
        s_part_3 = s_part_6 + s_part_5
        s_part_2 = s_part_3 + s_part_4
        s_part = lambda_ * s_part_2
        s = s_part * 0.5
        # J = mean(L) + s
        J_part_2 = np.vdot(L, w.ones)
        J_part = J_part_2 * (1.0 / n_n)
        J = J_part + s
        # ∂J/∂O = (softmax(O) − onehot(y))/n
        L_part_2 /= L_part[:, None]
        d_o = L_part_2
        d_o.reshape(-1)[L_part_6] += -1.0
        d_o *= (1.0 / n_n)
        # ∂J/∂W3 = (∂J/∂O)ᵀ A2 + λ W3
        d_W3 = _matmul(d_o.T, a2, w.d_W3)
        d_W3_part = np.multiply(W3, lambda_, out=w.d_W3_part)
        d_W3 += d_W3_part
        # ∂J/∂b3 = (∂J/∂O)ᵀ 𝟏
        d_b3 = np.dot(w.ones, d_o, out=w.d_b3)
        # ∂J/∂A2 = (∂J/∂O) W3
        d_a2 = _matmul(d_o, W3, w.d_a2)
        # ∂J/∂Z2 = ∂J/∂A2 ⊙ relu′(Z2)
        d_z2_part = np.greater(a2, 0.0, out=w.d_z2_part)
        d_a2 *= d_z2_part
        d_z2 = d_a2
        # ∂J/∂W2 = (∂J/∂Z2)ᵀ A1 + λ W2
        d_W2 = _matmul(d_z2.T, a1, w.d_W2)
        d_W2_part = np.multiply(W2, lambda_, out=w.d_W2_part)
        d_W2 += d_W2_part
        # ∂J/∂b2 = (∂J/∂Z2)ᵀ 𝟏
        d_b2 = np.dot(w.ones, d_z2, out=w.d_b2)
        # ∂J/∂A1 = (∂J/∂Z2) W2
        d_a1 = _matmul(d_z2, W2, w.d_a1)
        # ∂J/∂Z1 = ∂J/∂A1 ⊙ relu′(Z1)
        d_z1_part = np.greater(a1, 0.0, out=w.d_z1_part)
        d_a1 *= d_z1_part
        d_z1 = d_a1
        # ∂J/∂W1 = (∂J/∂Z1)ᵀ X + λ W1
        d_W1 = _matmul(d_z1.T, x, w.d_W1)
        for rows, d_W1_rows, d_W1_part_rows in w.blocks_1:
            W1_rows = W1[rows]
            # ∂J/∂W1 = (∂J/∂Z1)ᵀ X + λ W1
            d_W1_part_rows = np.multiply(W1_rows, lambda_, out=d_W1_part_rows)
            d_W1_rows += d_W1_part_rows
        d_W1 = w.d_W1
        # ∂J/∂b1 = (∂J/∂Z1)ᵀ 𝟏
        d_b1 = np.dot(w.ones, d_z1, out=w.d_b1)
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


def _rows(count, row_bytes):
    """How many rows a turn of a loop works: as many as the cache holds."""
    return min(count, max(1, 524288 // row_bytes))


def _blocks(count, row_bytes, arrays, scratch, memory):
    """Views of the same rows of several arrays, block by block, with scratch arrays of as many rows in ``memory``."""
    rows, place, parts = _rows(count, row_bytes), 0, []
    for shape, dtype in scratch:
        size = rows * math.prod(shape) * np.dtype(dtype).itemsize
        parts.append(memory[place : place + size].view(dtype).reshape(rows, *shape))
        place += size
    return [
        (slice(start, min(start + rows, count)), *(array[start : start + rows] for array in arrays), *(s[: count - start] for s in parts))
        for start in range(0, count, rows)
    ]


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
# symbackprop-seal:5b5567fe36c51741
