"""a linear layer with batch normalisation and a squared loss

Written by symbackprop 0.1.0 from the model below; edit the model, not this file.

    # a linear layer with batch normalisation and a squared loss
    dim n = 64, m = 32, d = 16
    input  H[n, m]
    target Y[n, d]
    param  W[d, m], gamma[d], beta[d]
    hyper  epsilon = 0.00001

    X = H W^T
    mu[j] = mean[i](X[i, j])
    sigma[j] = sqrt(mean[i]((X[i, j] - mu[j])^2) + epsilon)
    X_hat[i, j] = (X[i, j] - mu[j]) / sigma[j]
    O[i, j] = gamma[j] X_hat[i, j] + beta[j]
    L = 1/(2 n) ||Y - O||^2
    minimize L
"""

import math
import os

import numpy as np

# name, kind, axes, number of classes
_DECLARED = (
    ('H', 'input', ('n', 'm',), None),
    ('Y', 'target', ('n', 'd',), None),
    ('W', 'parameter', ('d', 'm',), None),
    ('gamma', 'parameter', ('d',), None),
    ('beta', 'parameter', ('d',), None),
    ('epsilon', 'hyper', (), None),
)
_DEFAULT_SIZES = {'d': 16, 'm': 32, 'n': 64, }
_HYPER = {'epsilon': 1e-05, }
_OPEN_FUNCTIONS = ()


class Workspace:
    """All arrays that a call fills, allocated once. Sizes not given are the model's defaults."""

    def __init__(self, /, dtype=np.float32, **sizes):
        self._allocate(dtype, sizes)

    def _allocate(self, dtype, sizes):
        unknown = sorted(set(sizes) - {'d', 'm', 'n', *_DEFAULT_SIZES})
        if unknown:
            raise ValueError(f"Workspace: there is no dimension {', '.join(unknown)}")
        dtype = np.dtype(dtype)
        self.dtype, self.sizes = dtype, {**_DEFAULT_SIZES, **{name: int(size) for name, size in sizes.items()}}
        n_d = self.sizes.setdefault('d', 1)
        n_m = self.sizes.setdefault('m', 1)
        n_n = self.sizes.setdefault('n', 1)
        _refuse_beyond_memory(
            dtype.itemsize * (2 * n_d * n_n + 5 * n_d + n_d * n_m)
        )
        self.shapes = {name: tuple(self.sizes.get(axis, axis) for axis in axes) for name, _, axes, _ in _DECLARED}
        self.ones = np.full((n_n,), 1.0, dtype)
        self.X = np.empty((n_n, n_d), dtype)
        self.mu = np.empty((n_d,), dtype)
        self.O = np.empty((n_n, n_d), dtype)
        self.d_gamma = np.empty((n_d,), dtype)
        self.d_beta = np.empty((n_d,), dtype)
        self.d_X_part_3 = np.empty((n_d,), dtype)
        self.d_X_part = np.empty((n_d,), dtype)
        self.d_W = np.empty((n_d, n_m), dtype)


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
        n_n = w.sizes['n']
        H = arrays['H']
        W = arrays['W']
        gamma = arrays['gamma']
        beta = arrays['beta']
        epsilon = arrays['epsilon']
        # X = H Wᵀ
        X = _matmul(H, W.T, w.X)
        # μ = Xᵀ 𝟏/n
        mu = np.dot(w.ones, X, out=w.mu)
        mu *= (1.0 / n_n)
        # σ = √(((X − 𝟏 μᵀ).^2)ᵀ 𝟏/n + ε)
        X -= mu
        sigma_part = X
        sigma = np.einsum("ba,ba->a", sigma_part, sigma_part, out=w.mu)
        sigma *= (1.0 / n_n)
        sigma += epsilon
        sigma = np.sqrt(sigma, out=w.mu)
        # X̂ = (X − 𝟏 μᵀ) ./ (𝟏 σᵀ)
        X_hat_part = np.divide(1.0, sigma, out=w.mu)
        sigma_part *= X_hat_part
        X_hat = sigma_part
        # O = X̂ ⊙ 𝟏 γᵀ + 𝟏 βᵀ
        O = np.multiply(X_hat, gamma, out=w.O)
        O += beta
    return {'O': np.array(O, w.dtype), }


def loss(params, inputs, hyper={}, workspace=None, functions={}):
    """Return the objective."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_n = w.sizes['n']
        H = arrays['H']
        Y = arrays['Y']
        W = arrays['W']
        gamma = arrays['gamma']
        beta = arrays['beta']
        epsilon = arrays['epsilon']
        # X = H Wᵀ
        X = _matmul(H, W.T, w.X)
        # μ = Xᵀ 𝟏/n
        mu = np.dot(w.ones, X, out=w.mu)
        mu *= (1.0 / n_n)
        # σ = √(((X − 𝟏 μᵀ).^2)ᵀ 𝟏/n + ε)
        X -= mu
        sigma_part = X
        sigma = np.einsum("ba,ba->a", sigma_part, sigma_part, out=w.mu)
        sigma *= (1.0 / n_n)
        sigma += epsilon
        sigma = np.sqrt(sigma, out=w.mu)
        # X̂ = (X − 𝟏 μᵀ) ./ (𝟏 σᵀ)
        X_hat_part = np.divide(1.0, sigma, out=w.mu)
        sigma_part *= X_hat_part
        X_hat = sigma_part
        # O = X̂ ⊙ 𝟏 γᵀ + 𝟏 βᵀ
        O = np.multiply(X_hat, gamma, out=w.O)
        O += beta
        # L = ‖Y − O‖_F²/(2 n)
        O -= Y
        L_part_2 = O
        L_part = np.vdot(L_part_2, L_part_2)
        L = L_part * (1.0 / (2.0 * n_n))
    return float(L)


def loss_and_grad(params, inputs, workspace=None, hyper={}, functions={}):
    """Return the objective and its gradients by name; those are arrays of the workspace, valid until its next use."""
    arrays, w = _prepare(params, inputs, hyper, workspace, functions, ("parameter", "input", "target"))
    with np.errstate(all="ignore"):
        n_n = w.sizes['n']
        H = arrays['H']
        Y = arrays['Y']
        W = arrays['W']
        gamma = arrays['gamma']
        beta = arrays['beta']
        epsilon = arrays['epsilon']
        # X = H Wᵀ
        X = _matmul(H, W.T, w.X)
        # μ = Xᵀ 𝟏/n
        mu = np.dot(w.ones, X, out=w.mu)
        mu *= (1.0 / n_n)
        # σ = √(((X − 𝟏 μᵀ).^2)ᵀ 𝟏/n + ε)
        X -= mu
        sigma_part = X
        sigma = np.einsum("ba,ba->a", sigma_part, sigma_part, out=w.mu)
        sigma *= (1.0 / n_n)
        sigma += epsilon
        sigma = np.sqrt(sigma, out=w.mu)
        # X̂ = (X − 𝟏 μᵀ) ./ (𝟏 σᵀ)
        X_hat_part = np.divide(1.0, sigma, out=w.mu)
        sigma_part *= X_hat_part
        X_hat = sigma_part
        # O = X̂ ⊙ 𝟏 γᵀ + 𝟏 βᵀ
        O = np.multiply(X_hat, gamma, out=w.O)
        O += beta
        # L = ‖Y − O‖_F²/(2 n)
        O -= Y
        L_part_2 = O
        L_part = np.vdot(L_part_2, L_part_2)
        L = L_part * (1.0 / (2.0 * n_n))
        # ∂L/∂O = (O − Y)/n
        L_part_2 *= (1.0 / n_n)
        d_O = L_part_2
        # ∂L/∂γ = (∂L/∂O ⊙ X̂)ᵀ 𝟏
        d_gamma = np.einsum("ba,ba->a", X_hat, d_O, out=w.d_gamma)
        # ∂L/∂β = (∂L/∂O)ᵀ 𝟏
        d_beta = np.dot(w.ones, d_O, out=w.d_beta)
        # ∂L/∂X̂ = ∂L/∂O ⊙ 𝟏 γᵀ
        d_O *= gamma
        d_X_hat = d_O
        # ∂L/∂X = (∂L/∂X̂ − 𝟏 𝟏ᵀ (∂L/∂X̂)/n − (X̂ ⊙ 𝟏 𝟏ᵀ (∂L/∂X̂ ⊙ X̂))/n) ./ (𝟏 σᵀ)
        d_X_part_3 = np.einsum("ba,ba->a", X_hat, d_X_hat, out=w.d_X_part_3)
        d_X_part = np.dot(w.ones, d_X_hat, out=w.d_X_part)
        d_X_part_3 *= (1.0 / n_n)
        X_hat *= d_X_part_3
        d_X_part_2 = X_hat
        d_X_hat -= d_X_part_2
        d_X = d_X_hat
        d_X_part *= (1.0 / n_n)
        d_X -= d_X_part
        d_X *= X_hat_part
        # ∂L/∂W = (∂L/∂X)ᵀ H
        d_W = _matmul(d_X.T, H, w.d_W)
    return float(L), {
        'W': d_W,
        'gamma': d_gamma,
        'beta': d_beta,
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
        'W': (random.standard_normal((sizes['d'], sizes['m'],)) / math.sqrt(sizes['m'])).astype(dtype),
        'gamma': np.ones((sizes['d'],), dtype),
        'beta': np.zeros((sizes['d'],), dtype),
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
# symbackprop-seal:ee3c4e898368b563
