"""Random models as equation text, and the same model spelled in other ways.

A model is drawn as a list of steps, each a function of a `Speller`. A plain speller writes every step one way; a speller
with a source of randomness writes the same mathematics differently: summands and factors in another order, ``(A B)^T`` for
``B^T A^T``, ``x^T y`` or ``sum(x ⊙ y)`` for ``y^T x``, other names, declarations in another order, Unicode or ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from symbackprop.graph.model import Graph
from symbackprop.graph.sizes import size_value

ACTIVATIONS = ("relu", "tanh", "sigmoid", "softplus", "elu", "gelu", "silu", "softsign", "swish", "bump", "identity")
"""Names of the language, and two formulas that a model declares itself (smooth or kinked only at 0)."""

FORMULAS = {
    "swish": "function swish(u) = u / (1 + exp(-beta u))",
    "bump": "function bump(u) = u sigmoid(2 u) - log(1 + u^2)",
}


class Speller:
    """Writes a model. Without a source of randomness the plain spelling, the same each time.

    ``renamed`` maps each name of the plain spelling to the one used.
    """

    def __init__(self, random: Random | None = None, *, rename: bool = True) -> None:
        self.random = random
        self.rename = rename
        self.renamed: dict[str, str] = {}
        self.lines: list[str] = []
        self.declarations: list[str] = []
        self._free = [f"{letter}{number}" for letter in "uvwfgk" for number in (91, 92, 93)]
        self._letters = list("ijlrsuw")
        if random is not None:
            random.shuffle(self._free)
            random.shuffle(self._letters)

    # ------------------------------------------------------------ choices

    def flip(self) -> bool:
        return self.random is not None and self.random.random() < 0.5

    def one_of(self, *spellings: str) -> str:
        return spellings[0] if self.random is None else self.random.choice(spellings)

    def shuffled(self, items: list[str]) -> list[str]:
        result = list(items)
        if self.random is not None:
            self.random.shuffle(result)
        return result

    # ------------------------------------------------------------ names

    def name(self, plain: str) -> str:
        """The name in use: another one only for a value that an equation defines."""
        return self.renamed.get(plain, plain)

    def indices(self, count: int) -> list[str]:
        """Index letters for one equation."""
        return self.shuffled(self._letters)[:count] if self.random is not None and self.rename else self._letters[:count]

    # ------------------------------------------------------------ expressions

    def plus(self, *terms: str) -> str:
        """A sum; a term may begin with a minus sign."""
        ordered = self.shuffled(list(terms))
        text = ordered[0]
        for term in ordered[1:]:
            text += f" - {term[1:].lstrip()}" if term.startswith("-") else f" + {term}"
        return text

    def times(self, *factors: str) -> str:
        """A product element by element."""
        return f" {self.one_of('⊙', '.*')} ".join(self.shuffled(list(factors)))

    def scaled(self, scalar: str, tensor: str) -> str:
        """A scalar name or bracketed expression times a tensor."""
        return self.one_of(f"{scalar} {tensor}", f"{tensor} {scalar}", f"{scalar} * {tensor}")

    def product(self, left: str, right: str) -> str:
        """A product of two matrices, names both."""
        return self.one_of(f"{left} {right}", f"({right}^T {left}^T)^T", f"{left} @ {right}", f"({right}ᵀ {left}ᵀ)ᵀ")

    def applied(self, matrix: str, vector: str) -> str:
        """A matrix times a column."""
        return self.one_of(f"{matrix} {vector}", f"({vector}^T {matrix}^T)^T", f"{matrix} * {vector}")

    def transposed_applied(self, matrix: str, vector: str) -> str:
        """The transpose of a matrix times a column."""
        return self.one_of(f"{matrix}^T {vector}", f"({vector}^T {matrix})^T", f"{matrix}ᵀ {vector}")

    def dot(self, left: str, right: str) -> str:
        """The inner product of two vectors, names or bracketed."""
        return self.one_of(
            f"{left}^T {right}", f"{right}^T {left}", f"sum({left} ⊙ {right})", f"sum({right} .* {left})"
        )

    def squares(self, tensor: str, rank: int) -> str:
        """The sum of squares of a tensor, a name or bracketed."""
        spellings = [f"||{tensor}||^2", f"‖{tensor}‖²", f"sum({tensor}.^2)", f"sum({tensor} ⊙ {tensor})"]
        spellings += [f"{tensor}^T {tensor}"] if rank == 1 else [f"tr({tensor}^T {tensor})", f"tr({tensor} {tensor}^T)"]
        return self.one_of(*spellings)

    # ------------------------------------------------------------ statements

    def let(self, plain: str, expression: str, axes: str = "") -> str:
        """Write an equation; return the name."""
        changed = self.rename and bool(self._free) and self.flip()
        name = self.renamed[plain] = self._free.pop() if changed else plain
        self.lines.append(f"{name}{axes} = {expression}")
        return name

    def declare(self, statement: str) -> None:
        self.declarations.append(statement)

    def text(self, dims: Mapping[str, int], batch: str | None, ending: str) -> str:
        sizes = "dim " + ", ".join(f"{name} = {size}" for name, size in dims.items())
        head = [sizes, *([f"batch {batch}"] if batch else [])]
        formulas = [line for line in self.declarations if line.startswith("function")]
        others = [line for line in self.declarations if not line.startswith("function")]
        return "\n".join([*head, *self.shuffled(others), *self.shuffled(formulas), "", *self.lines, ending, ""])


Step = Callable[[Speller], None]


@dataclass
class Recipe:
    """A model as steps. `spell` writes it; ``smooth`` tells whether it is twice differentiable wherever it is sampled."""

    dims: dict[str, int]
    batch: str | None
    steps: list[Step] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    positive: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def spell(self, speller: Speller | None = None) -> str:
        speller = speller or Speller()
        for step in self.steps:
            step(speller)
        return speller.text(self.dims, self.batch, f"minimize {speller.name('J')}")

    def __repr__(self) -> str:
        return f"Recipe({', '.join(self.log)})\n{self.spell()}"


class _Builder:
    """Grows a recipe; ``value`` is the plain name of the current value and ``size`` the dimension along its last axis."""

    def __init__(self, draw: Any, batched: bool) -> None:
        self.draw = draw
        self.recipe = Recipe({"d": 3, "h": 2, "q": 3, "t": 3, "v": 4, "a": 2}, "n = 2" if batched else None)
        self.count = 0
        self.penalised: list[tuple[str, int]] = []
        self.beta = False

    def fresh(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def step(self, step: Step) -> None:
        self.recipe.steps.append(step)

    def choice(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def parameter(self, letter: str, *axes: str) -> str:
        name = self.fresh(letter)
        self.step(lambda s: s.declare(f"param {name}[{', '.join(axes)}]"))
        self.penalised.append((name, len(axes)))
        return name

    def activation(self, value: str, size: str, letter: str = "a") -> str:
        function = self.choice(*ACTIVATIONS)
        self.recipe.log.append(function)
        result = self.fresh(letter)
        if function in FORMULAS and function not in self.recipe.used:
            self.recipe.used.add(function)
            formula = FORMULAS[function]
            if "beta" in formula:
                self.step(lambda s: s.declare("hyper beta = 1.5"))
            self.step(lambda s: s.declare(formula))
        self.step(lambda s: void(s.let(result, f"{function}({s.name(value)})")))
        return result


def void(_: object) -> None:
    return None


# ---------------------------------------------------------------- steps on a vector


def dense(b: _Builder, value: str, size: str) -> tuple[str, str]:
    wide = b.choice("h", "q", "d")
    bias = b.choice(True, False)
    W, z = b.parameter("W", wide, size), b.fresh("z")
    c = b.parameter("b", wide) if bias else ""
    b.step(lambda s: void(s.let(z, s.plus(s.applied(W, s.name(value)), *([c] if bias else [])))))
    return b.activation(z, wide), wide


def tied(b: _Builder, value: str, size: str) -> tuple[str, str]:
    W, z, r = b.parameter("W", "h", size), b.fresh("z"), b.fresh("r")
    b.step(lambda s: void(s.let(z, s.applied(W, s.name(value)))))
    a = b.activation(z, "h")
    b.step(lambda s: void(s.let(r, s.transposed_applied(W, s.name(a)))))
    return r, size


def skip(b: _Builder, value: str, size: str) -> tuple[str, str]:
    W, z, r = b.parameter("W", size, size), b.fresh("z"), b.fresh("r")
    b.step(lambda s: void(s.let(z, s.applied(W, s.name(value)))))
    a = b.activation(z, size)
    b.step(lambda s: void(s.let(r, s.plus(s.name(value), s.name(a)))))
    return r, size


def gate(b: _Builder, value: str, size: str) -> tuple[str, str]:
    W, c, g, r = b.parameter("W", size, size), b.parameter("c", size), b.fresh("g"), b.fresh("r")
    b.step(lambda s: void(s.let(g, f"sigmoid({s.plus(s.applied(W, s.name(value)), c)})")))
    b.step(lambda s: void(s.let(r, s.times(s.name(g), s.name(value), c))))
    return r, size


def layer_norm(b: _Builder, value: str, size: str) -> tuple[str, str]:
    named = b.choice(True, False)
    mu, sigma, hat, r = b.fresh("mu"), b.fresh("sigma"), b.fresh("xhat"), b.fresh("r")
    gamma, beta = b.parameter("gamma", size), b.parameter("c", size)

    def write(s: Speller) -> None:
        v = s.name(value)
        m = s.let(mu, f"mean({v})") if named else f"mean({v})"
        centred = f"({v} - {m})"
        variance = s.one_of(f"mean({centred}.^2)", f"||{centred}||^2 / {size}", f"sum({centred} ⊙ {centred}) / {size}")
        deviation = s.let(sigma, f"sqrt({s.plus(variance, '0.01')})")
        s.let(hat, f"{centred} / {deviation}")
        s.let(r, s.plus(s.times(gamma, s.name(hat)), beta))

    b.step(write)
    return r, size


def softmax(b: _Builder, value: str, size: str) -> tuple[str, str]:
    p = b.fresh("p")

    def write(s: Speller) -> None:
        v = s.name(value)
        s.let(p, s.one_of(f"softmax({v})", f"exp({v} - logsumexp({v}))", f"exp({v}) / sum(exp({v}))"))

    b.step(write)
    return p, size


def unit(b: _Builder, value: str, size: str) -> tuple[str, str]:
    r, c = b.fresh("r"), b.parameter("c", size)

    def write(s: Speller) -> None:
        moved = f"({s.plus(s.name(value), c)})"
        length = s.one_of(f"||{moved}||", f"sqrt({s.squares(moved, 1)})", f"norm({moved})")
        s.let(r, f"{moved} / {length}")

    b.step(write)
    return r, size


def pooled(b: _Builder, value: str, size: str) -> tuple[str, str]:
    """A convolution along the vector with stride 2 where it fits, the largest of each window, back by a dense map."""
    K, z, m, r = b.parameter("K", "q", "a"), b.fresh("z"), b.fresh("m"), b.fresh("r")
    W = b.parameter("W", size, "q")

    def write(s: Speller) -> None:
        o, i, k = s.indices(3)
        v = s.name(value)
        s.let(z, f"sum[{k}]({s.one_of(f'{K}[{o}, {k}] {v}[{i} + {k}]', f'{v}[{k} + {i}] {K}[{o}, {k}]')})", f"[{o}, {i}]")
        o, i = s.indices(2)
        s.let(m, f"max[{i}]({s.name(z)}[{o}, {i}])", f"[{o}]")
        s.let(r, s.applied(W, s.name(m)))

    b.step(write)
    return r, size


def strided(b: _Builder, value: str, size: str) -> tuple[str, str]:
    """A convolution along the vector with stride 2."""
    K, z = b.parameter("K", "h", "a"), b.fresh("z")

    def write(s: Speller) -> None:
        o, i, k = s.indices(3)
        v = s.name(value)
        s.let(z, f"sum[{i}, {k}]({K}[{o}, {k}] {v}[{s.one_of(f'2 {i} + {k}', f'{k} + 2 {i}')}])", f"[{o}]")

    b.step(write)
    return z, "h"


def covariance(b: _Builder, value: str, size: str) -> tuple[str, str]:
    A, S, r = b.parameter("A", size, size), b.fresh("S"), b.fresh("r")
    inverse = b.choice(True, False)

    def write(s: Speller) -> None:
        S_ = s.let(S, s.plus(s.one_of(f"{A} {A}^T", f"({A} {A}ᵀ)ᵀ"), "I"))
        v = s.name(value)
        if inverse:
            s.let(r, s.one_of(f"{S_}^-1 {v}", f"inv({S_}) {v}", f"({v}^T inv({S_})^T)^T"))
        else:
            s.let(r, s.scaled(f"logdet({S_})", v))

    b.step(write)
    return r, size


VECTOR_STEPS = (dense, dense, tied, skip, gate, layer_norm, softmax, unit, pooled, strided, covariance)


# ---------------------------------------------------------------- starts: a vector from the inputs


def start_vector(b: _Builder) -> tuple[str, str]:
    b.step(lambda s: s.declare("input x[d]"))
    return "x", "d"


def start_lookup(b: _Builder) -> tuple[str, str]:
    Emb, E, m = b.parameter("Emb", "v", "d"), b.fresh("E"), b.fresh("m")
    b.step(lambda s: s.declare("input tok[t] in v"))

    def write(s: Speller) -> None:
        i, j = s.indices(2)
        s.let(E, f"{Emb}[tok[{i}], {j}]", f"[{i}, {j}]")
        i, j = s.indices(2)
        s.let(m, s.one_of(f"mean[{i}]({s.name(E)}[{i}, {j}])", f"1/t sum[{i}]({s.name(E)}[{i}, {j}])"), f"[{j}]")

    b.step(write)
    return m, "d"


def start_attention(b: _Builder) -> tuple[str, str]:
    mask = b.choice("none", "where", "matrix")
    b.step(lambda s: s.declare("input X[t, d]"))
    Wq, Wk, Wv = b.parameter("W", "d", "h"), b.parameter("W", "d", "h"), b.parameter("W", "d", "h")
    Q, K, V, S, M, P, O, m = (b.fresh(letter) for letter in "QKVSMPOm")  # noqa: E741
    if mask == "matrix":
        b.step(lambda s: s.declare("input C[t, t]"))

    def write(s: Speller) -> None:
        q, k, v = s.let(Q, s.product("X", Wq)), s.let(K, s.product("X", Wk)), s.let(V, s.product("X", Wv))
        scores = s.let(S, f"{s.one_of(f'{q} {k}^T', f'({k} {q}ᵀ)ᵀ')} / sqrt(h)")
        i, j = s.indices(2)
        if mask == "where":
            condition = s.one_of(f"{i} >= {j}", f"{j} <= {i}", f"{i} - {j} ≥ 0")
            scores = s.let(M, f"where({condition}, {scores}[{i}, {j}], -inf)", f"[{i}, {j}]")
        elif mask == "matrix":
            scores = s.let(M, s.plus(scores, "C"))
        p = s.let(P, f"softmax({scores})")
        o = s.let(O, s.product(p, v))
        i, j = s.indices(2)
        s.let(m, f"mean[{i}]({o}[{i}, {j}])", f"[{j}]")

    b.step(write)
    return m, "h"


STARTS = (start_vector, start_vector, start_lookup, start_attention)


# ---------------------------------------------------------------- ends: a loss


def squared(b: _Builder, value: str, size: str) -> None:
    b.step(lambda s: s.declare(f"target y[{size}]"))

    def write(s: Speller) -> None:
        difference = s.one_of(f"(y - {s.name(value)})", f"({s.name(value)} - y)")
        squares = s.squares(difference, 1)
        s.let("L", s.one_of(f"1/2 {squares}", f"({squares}) / 2", f"0.5 {squares}"))

    b.step(write)


def classes(b: _Builder, value: str, size: str) -> None:
    b.step(lambda s: s.declare(f"target y in {size}"))

    def write(s: Speller) -> None:
        v = s.name(value)
        s.let("L", s.one_of(f"cross_entropy({v}, y)", f"logsumexp({v}) - {v}[y]", f"-sum(onehot(y) ⊙ log(softmax({v})))"))

    b.step(write)


def soft_classes(b: _Builder, value: str, size: str) -> None:
    b.step(lambda s: s.declare(f"target y[{size}]"))

    def write(s: Speller) -> None:
        v = s.name(value)
        s.let("L", s.one_of(f"cross_entropy({v}, y)", f"-sum({s.times('y', f'log(softmax({v}))')})"))

    b.step(write)


def binary(b: _Builder, value: str, size: str) -> None:
    b.step(lambda s: s.declare(f"target y[{size}]"))

    def write(s: Speller) -> None:
        v = s.name(value)
        s.let(
            "L",
            s.one_of(
                f"sum(binary_cross_entropy({v}, y))",
                f"sum({s.plus(f'softplus({v})', f'-y ⊙ {v}')})",
                f"sum({s.plus(f'log(1 + exp({v}))', f'-{v} ⊙ y')})",
            ),
        )

    b.step(write)


def robust(b: _Builder, value: str, size: str) -> None:
    loss = b.choice("huber", "log_cosh", "squared_error", "absolute_error")
    b.recipe.log.append(loss)
    b.step(lambda s: s.declare(f"target y[{size}]"))
    b.step(lambda s: void(s.let("L", f"sum({loss}({s.name(value)}, y))")))


def plain_norm(b: _Builder, value: str, size: str) -> None:
    b.step(lambda s: void(s.let("L", s.one_of(f"||{s.name(value)}||", f"sqrt({s.squares(s.name(value), 1)})"))))


ENDS = (squared, squared, classes, soft_classes, binary, robust, plain_norm)


def _penalties(b: _Builder) -> None:
    count = b.draw(st.integers(0, min(2, len(b.penalised))))
    chosen = [(*b.choice(*b.penalised), b.choice("l2", "l1", "log")) for _ in range(count)]
    if chosen:
        b.step(lambda s: s.declare("hyper lambda = 0.125"))

    def write(s: Speller) -> None:
        terms = [s.name("L")]
        penalty = s.one_of("lambda", "λ")
        for name, rank, kind in chosen:
            if kind == "l2":
                terms.append(s.one_of(f"{penalty}/2 {s.squares(name, rank)}", f"0.5 {penalty} {s.squares(name, rank)}"))
            elif kind == "l1":
                terms.append(s.one_of(f"{penalty} ||{name}||_1", f"{penalty} sum(abs({name}))"))
            else:
                terms.append(s.one_of(f"{penalty} sum(log(1 + {name}.^2))", f"sum(log({name}.^2 + 1)) {penalty}"))
        s.let("J", s.plus(*terms))

    b.step(write)


@st.composite
def recipes(draw: Any, *, batched: bool | None = None, deepest: int = 3) -> Recipe:
    """Random models: a start, a few steps, a loss and penalties."""
    b = _Builder(draw, draw(st.booleans()) if batched is None else batched)
    start = b.choice(*STARTS)
    b.recipe.log.append(start.__name__)
    value, size = start(b)
    for _ in range(draw(st.integers(1, deepest))):
        step = b.choice(*VECTOR_STEPS) if b.penalised else b.choice(dense, tied, gate)
        b.recipe.log.append(step.__name__)
        value, size = step(b, value, size)
    logits = b.recipe.log[-1] != "softmax"  # cross_entropy refuses probabilities
    end = b.choice(*(end for end in ENDS if logits or end not in (classes, soft_classes)))
    b.recipe.log.append(end.__name__)
    end(b, value, size)
    _penalties(b)
    return b.recipe


# ---------------------------------------------------------------- numbers for a graph


def values_for(graph: Graph, sizes: Mapping[str, int], seed: int = 0) -> dict[str, Any]:
    """Random values for the declared tensors: floats from -1 to 1, classes within their range."""
    random = np.random.default_rng(seed)
    values: dict[str, Any] = {}
    for declaration in graph.declarations:
        shape = tuple(size_value(size, sizes) for size in declaration.shape)
        if declaration.classes is not None:
            values[declaration.name] = random.integers(0, size_value(declaration.classes, sizes), shape)
        else:
            values[declaration.name] = random.uniform(-1, 1, shape)
    return values
