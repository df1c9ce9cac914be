"""Random models as equation text.

A model is drawn as a list of steps, each a function of a `Speller`. The plain speller writes every step one way, a
speller with a source of randomness by any of the formulas that mean the same (``cross_entropy(o, y)``,
``logsumexp(o) - o[y]``, ...). What no formula of its own is needed for (order, names, transposes) `tests.respelling` changes.
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
    """Writes a model. Without a source of randomness it takes the first of several formulas, with one any of them."""

    def __init__(self, random: Random | None = None) -> None:
        self.random = random
        self.lines: list[str] = []
        self.declarations: list[str] = []

    def one_of(self, *spellings: str) -> str:
        return spellings[0] if self.random is None else self.random.choice(spellings)

    def squares(self, tensor: str, rank: int) -> str:
        """The sum of squares of a tensor, a name or bracketed."""
        spellings = [f"||{tensor}||^2", f"‖{tensor}‖²", f"sum({tensor}.^2)", f"sum({tensor} ⊙ {tensor})"]
        spellings += [f"{tensor}^T {tensor}"] if rank == 1 else [f"tr({tensor}^T {tensor})", f"tr({tensor} {tensor}^T)"]
        return self.one_of(*spellings)

    def let(self, name: str, expression: str, axes: str = "") -> str:
        """Write an equation; return the name."""
        self.lines.append(f"{name}{axes} = {expression}")
        return name

    def declare(self, statement: str) -> None:
        self.declarations.append(statement)

    def text(self, dims: Mapping[str, int], batch: str | None, ending: str) -> str:
        sizes = "dim " + ", ".join(f"{name} = {size}" for name, size in dims.items())
        formulas = [line for line in self.declarations if line.startswith("function")]
        others = [line for line in self.declarations if not line.startswith("function")]
        return "\n".join(
            [sizes, *([f"batch {batch}"] if batch else []), *others, *formulas, "", *self.lines, ending, ""]
        )


Step = Callable[[Speller], object]


@dataclass
class Recipe:
    """A model as steps; ``log`` names them."""

    dims: dict[str, int]
    batch: str | None
    steps: list[Step] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def spell(self, random: Random | None = None) -> str:
        """Write the model: plainly, or by formulas drawn from ``random``."""
        speller = Speller(random)
        for step in self.steps:
            step(speller)
        return speller.text(self.dims, self.batch, "minimize J")

    def __repr__(self) -> str:
        return f"Recipe({', '.join(self.log)})\n{self.spell()}"


class Cook:
    """Grows a recipe."""

    def __init__(self, draw: Any, batched: bool) -> None:
        self.draw = draw
        self.recipe = Recipe({"d": 3, "h": 2, "q": 3, "t": 3, "v": 4, "a": 2}, "n = 2" if batched else None)
        self.step = self.recipe.steps.append
        self.count = 0
        self.parameters: list[tuple[str, int]] = []
        self.formulas: set[str] = set()

    def fresh(self, letters: str) -> list[str]:
        """New names, one for each word."""
        self.count += 1
        return [f"{letter}{self.count}" for letter in letters.split()]

    def choice(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def parameter(self, letter: str, *axes: str) -> str:
        (name,) = self.fresh(letter)
        self.step(lambda s: s.declare(f"param {name}[{', '.join(axes)}]"))
        self.parameters.append((name, len(axes)))
        return name

    def let(self, name: str, expression: str, axes: str = "") -> str:
        self.step(lambda s: s.let(name, expression, axes))
        return name

    def activation(self, value: str) -> str:
        function = self.choice(*ACTIVATIONS)
        self.recipe.log.append(function)
        if function in FORMULAS and function not in self.formulas:
            self.formulas.add(function)
            formula = FORMULAS[function]
            if "beta" in formula:
                self.step(lambda s: s.declare("hyper beta = 1.5"))
            self.step(lambda s: s.declare(formula))
        (result,) = self.fresh("a")
        return self.let(result, f"{function}({value})")


# ---------------------------------------------------------------- steps: from a vector to a vector


def dense(c: Cook, value: str, size: str) -> tuple[str, str]:
    wide, bias = c.choice("h", "q", "d"), c.choice(True, False)
    W, (z,) = c.parameter("W", wide, size), c.fresh("z")
    c.let(z, f"{W} {value} + {c.parameter('b', wide)}" if bias else f"{W} {value}")
    return c.activation(z), wide


def tied(c: Cook, value: str, size: str) -> tuple[str, str]:
    W, (z, r) = c.parameter("W", "h", size), c.fresh("z r")
    c.let(z, f"{W} {value}")
    return c.let(r, f"{W}^T {c.activation(z)}"), size


def skip(c: Cook, value: str, size: str) -> tuple[str, str]:
    W, (z, r) = c.parameter("W", size, size), c.fresh("z r")
    c.let(z, f"{W} {value}")
    return c.let(r, f"{value} + {c.activation(z)}"), size


def gate(c: Cook, value: str, size: str) -> tuple[str, str]:
    W, bias, (g, r) = c.parameter("W", size, size), c.parameter("c", size), c.fresh("g r")
    c.let(g, f"sigmoid({W} {value} + {bias})")
    return c.let(r, f"{g} ⊙ {value} ⊙ {bias}"), size


def layer_norm(c: Cook, value: str, size: str) -> tuple[str, str]:
    named, (mu, sigma, hat, r) = c.choice(True, False), c.fresh("mu sigma xhat r")
    gamma, beta = c.parameter("gamma", size), c.parameter("c", size)
    centred = f"({value} - {c.let(mu, f'mean({value})') if named else f'mean({value})'})"

    def write(s: Speller) -> None:
        variance = s.one_of(f"mean({centred}.^2)", f"||{centred}||^2 / {size}", f"sum({centred} ⊙ {centred}) / {size}")
        deviation = f"sqrt({variance} + 0.01)"
        s.let(hat, f"{centred} / {s.let(sigma, deviation) if named else deviation}")

    c.step(write)
    return c.let(r, f"{gamma} ⊙ {hat} + {beta}"), size


def softmax(c: Cook, value: str, size: str) -> tuple[str, str]:
    (p,) = c.fresh("p")
    spellings = (f"softmax({value})", f"exp({value} - logsumexp({value}))", f"exp({value}) / sum(exp({value}))")
    c.step(lambda s: s.let(p, s.one_of(*spellings)))
    return p, size


def unit(c: Cook, value: str, size: str) -> tuple[str, str]:
    moved, (r,) = f"({value} + {c.parameter('c', size)})", c.fresh("r")
    c.step(
        lambda s: s.let(r, f"{moved} / {s.one_of(f'||{moved}||', f'sqrt({s.squares(moved, 1)})', f'norm({moved})')}")
    )
    return r, size


def pooled(c: Cook, value: str, size: str) -> tuple[str, str]:
    """A convolution, the largest of each channel, and a dense map back."""
    K, W, (z, m, r) = c.parameter("K", "q", "a"), c.parameter("W", size, "q"), c.fresh("z m r")
    c.let(z, f"sum[k]({K}[o, k] {value}[i + k])", "[o, i]")
    c.let(m, f"max[i]({z}[o, i])", "[o]")
    return c.let(r, f"{W} {m}"), size


def strided(c: Cook, value: str, size: str) -> tuple[str, str]:
    """A convolution with stride 2, summed over the places."""
    K, (z,) = c.parameter("K", "h", "a"), c.fresh("z")
    return c.let(z, f"sum[i, k]({K}[o, k] {value}[2 i + k])", "[o]"), "h"


def covariance(c: Cook, value: str, size: str) -> tuple[str, str]:
    A, (S, r) = c.parameter("A", size, size), c.fresh("S r")
    c.let(S, f"{A} {A}^T + I")
    if c.choice(True, False):
        c.step(lambda s: s.let(r, s.one_of(f"{S}^-1 {value}", f"inv({S}) {value}")))
        return r, size
    return c.let(r, f"logdet({S}) {value}"), size


STEPS = (dense, dense, tied, skip, gate, layer_norm, softmax, unit, pooled, strided, covariance)


# ---------------------------------------------------------------- starts: a vector from the inputs


def start_vector(c: Cook) -> tuple[str, str]:
    c.step(lambda s: s.declare("input x[d]"))
    return "x", "d"


def start_lookup(c: Cook) -> tuple[str, str]:
    table, (E, m) = c.parameter("Emb", "v", "d"), c.fresh("E m")
    c.step(lambda s: s.declare("input tok[t] in v"))
    c.let(E, f"{table}[tok[i], j]", "[i, j]")
    c.step(lambda s: s.let(m, s.one_of(f"mean[i]({E}[i, j])", f"1/t sum[i]({E}[i, j])"), "[j]"))
    return m, "d"


def start_attention(c: Cook) -> tuple[str, str]:
    mask = c.choice("none", "where", "matrix")
    c.step(lambda s: s.declare("input X[t, d]"))
    Q, K, V, S, M, P, O, m = c.fresh("Q K V S M P O m")  # noqa: E741
    for name in (Q, K, V):
        c.let(name, f"X {c.parameter('W', 'd', 'h')}")
    scores = c.let(S, f"{Q} {K}^T / sqrt(h)")
    if mask == "where":
        spellings = [f"where({test}, {S}[i, j], -inf)" for test in ("i >= j", "j <= i", "i - j ≥ 0")]
        c.step(lambda s: s.let(M, s.one_of(*spellings), "[i, j]"))
        scores = M
    elif mask == "matrix":
        c.step(lambda s: s.declare("input C[t, t]"))
        scores = c.let(M, f"{S} + C")
    c.let(P, f"softmax({scores})")
    c.let(O, f"{P} {V}")
    return c.let(m, f"mean[i]({O}[i, j])", "[j]"), "h"


STARTS = (start_vector, start_vector, start_lookup, start_attention)


# ---------------------------------------------------------------- ends: a loss


def squared(c: Cook, value: str, size: str) -> None:
    c.step(lambda s: s.declare(f"target y[{size}]"))

    def write(s: Speller) -> None:
        squares = s.squares(f"(y - {value})", 1)
        s.let("L", s.one_of(f"1/2 {squares}", f"({squares}) / 2", f"0.5 {squares}"))

    c.step(write)


def classes(c: Cook, value: str, size: str) -> None:
    c.step(lambda s: s.declare(f"target y in {size}"))
    named = f"-sum(onehot(y) ⊙ log(softmax({value})))"
    c.step(lambda s: s.let("L", s.one_of(f"cross_entropy({value}, y)", f"logsumexp({value}) - {value}[y]", named)))


def soft_classes(c: Cook, value: str, size: str) -> None:
    c.step(lambda s: s.declare(f"target y[{size}]"))
    c.step(lambda s: s.let("L", s.one_of(f"cross_entropy({value}, y)", f"-sum(y ⊙ log(softmax({value})))")))


def binary(c: Cook, value: str, size: str) -> None:
    c.step(lambda s: s.declare(f"target y[{size}]"))
    summed = [
        f"binary_cross_entropy({value}, y)",
        f"softplus({value}) - y ⊙ {value}",
        f"log(1 + exp({value})) - {value} ⊙ y",
        f"-y ⊙ log(sigmoid({value})) - (1 - y) ⊙ log(1 - sigmoid({value}))",
    ]
    c.step(lambda s: s.let("L", f"sum({s.one_of(*summed)})"))


def robust(c: Cook, value: str, size: str) -> None:
    loss = c.choice("huber", "log_cosh", "squared_error", "absolute_error")
    c.recipe.log.append(loss)
    c.step(lambda s: s.declare(f"target y[{size}]"))
    c.let("L", f"sum({loss}({value}, y))")


def length(c: Cook, value: str, size: str) -> None:
    c.step(lambda s: s.let("L", s.one_of(f"||{value}||", f"sqrt({s.squares(value, 1)})")))


ENDS = (squared, squared, classes, soft_classes, binary, robust, length)


def penalised(c: Cook) -> None:
    """J is L with up to two penalties."""
    count = c.draw(st.integers(0, min(2, len(c.parameters))))
    chosen = [(*c.choice(*c.parameters), c.choice("l2", "l1", "log")) for _ in range(count)]
    if chosen:
        c.step(lambda s: s.declare("hyper lambda = 0.125"))

    def write(s: Speller) -> None:
        terms = ["L"]
        for name, rank, kind in chosen:
            if kind == "l2":
                terms.append(s.one_of(f"lambda/2 {s.squares(name, rank)}", f"0.5 λ {s.squares(name, rank)}"))
            elif kind == "l1":
                terms.append(s.one_of(f"lambda ||{name}||_1", f"λ sum(abs({name}))"))
            else:
                terms.append(s.one_of(f"lambda sum(log(1 + {name}.^2))", f"sum(log({name}.^2 + 1)) λ"))
        s.let("J", " + ".join(terms))

    c.step(write)


@st.composite
def recipes(draw: Any, *, batched: bool | None = None, deepest: int = 3) -> Recipe:
    """Random models: a start, a few steps, a loss and penalties."""
    c = Cook(draw, draw(st.booleans()) if batched is None else batched)
    start = c.choice(*STARTS)
    c.recipe.log.append(start.__name__)
    value, size = start(c)
    for _ in range(draw(st.integers(1, deepest))):
        step = c.choice(*STEPS) if c.parameters else c.choice(dense, tied, gate)
        c.recipe.log.append(step.__name__)
        value, size = step(c, value, size)
    logits = c.recipe.log[-1] != "softmax"  # cross_entropy refuses probabilities
    end = c.choice(*(end for end in ENDS if logits or end not in (classes, soft_classes)))
    c.recipe.log.append(end.__name__)
    end(c, value, size)
    penalised(c)
    return c.recipe


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
