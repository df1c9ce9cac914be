"""`mlp`: the equations of a multilayer perceptron from a few choices, as text that goes the common way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeAlias

from symbackprop.errors import UsageError
from symbackprop.functions.registry import ACTIVATIONS, LOSSES, PENALTIES
from symbackprop.language.formula import formula_names
from symbackprop.language.vocabulary import canonical_name

Formula: TypeAlias = tuple[str, str]
"""The variables and the formula: ``("(u)", "u^2")``; or, of a penalty by a norm, its factor and the norm."""

ACTIVATION_NAMES = (*ACTIVATIONS, "softmax", "log_softmax")

LOSS_TEXTS: Mapping[str, str] = {
    "cross_entropy": "cross_entropy(o, y)",
    "squared": "1/2 ||y - o||^2",
    "mean_squared": "1/2 ||y - o||^2 / size(q)",
    "absolute": "||y - o||_1",
    **{name: f"sum({name}(o, y))" for name in LOSSES},
}
"""The losses by name. Cross-entropy has an integer class as its target, every other loss a vector like o."""

_NORM_PENALTIES: Mapping[str, tuple[Formula, ...]] = {
    "none": (),
    "l1": (("lambda_1", "||{}||_1"),),
    "l2": (("lambda/2", "||{}||^2"),),
    "elastic_net": (("lambda_1", "||{}||_1"), ("lambda/2", "||{}||^2")),
}
"""Penalties that are written as norms: a factor, and the norm of a parameter."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(/\d+)?", re.ASCII)
_LINE = 100
_TERMS = 1000


@dataclass(frozen=True)
class Perceptron:
    """The choices. What is one for each layer may be given once, for all of them.

    layers: the sizes of the input, the hidden layers and the output. activation: of each hidden layer, a name or a formula in
    u. output_activation: of the last layer. loss: a name, or a formula in o and y that is summed over the entries.
    regularizer: for each layer's weight a name, a formula in w that is summed over the entries, or several of them that are
    added up. regularize_bias: whether the biases are penalised like their layer's weight. bias: whether each layer has one.
    hyper: values of the hyper-parameters, which are all the other names in the formulas. batch: the default batch size.
    """

    layers: Sequence[int]
    activation: str | Sequence[str] = "relu"
    output_activation: str = "identity"
    loss: str = "cross_entropy"
    regularizer: str | Sequence[str | Sequence[str]] = "none"
    regularize_bias: bool = False
    bias: bool | Sequence[bool] = True
    hyper: Mapping[str, str | int | float] = field(default_factory=dict)
    batch: int = 32

    def text(self) -> str:
        """Return the equations. Raises UsageError or EquationError where the choices do not fit together."""
        return _Writer(self).text()


class _Writer:
    """Formulas are collected first, so that what the writer names itself can avoid the names in them."""

    def __init__(self, choices: Perceptron) -> None:
        for what, size in (*[("layers", size) for size in choices.layers], ("batch", choices.batch)):
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size < 2**31:
                raise UsageError(f"{what}: the size {size!r} is no whole number from 1 to 2147483647")
        if len(choices.layers) < 2:
            raise UsageError("layers: at least an input and an output size are needed, such as 784,256,10")
        self.choices, self.depth = choices, len(choices.layers) - 1
        self.given = {canonical_name(name.strip()): _number(name, value) for name, value in choices.hyper.items()}
        self.hypers: dict[str, Formula] = {}
        self.formulas: dict[Formula, None] = {}
        self.bias = _spread(choices.bias, self.depth, "bias")
        hidden = _spread(choices.activation, self.depth - 1, "activation", "hidden layer")
        self.activations = [
            *map(self._activation, hidden), self._activation(choices.output_activation, "output activation")
        ]  # fmt: skip
        self.loss = self._loss(choices.loss)
        self.penalties = self._penalties(_spread(choices.regularizer, self.depth, "regularizer"))
        self._refuse_taken_names()
        self.names = self._function_names()

    # ------------------------------------------------------------ choices

    def _activation(self, choice: str, what: str = "activation") -> str | Formula:
        text = _one_line(choice)
        if what == "output activation" and text.endswith("softmax") and self.choices.loss.strip() == "cross_entropy":
            raise UsageError(f"cross_entropy takes logits: it contains the {text}, which the output then must not have")
        return text if text in ACTIVATION_NAMES else self._formula(text, ("u",), what, ACTIVATION_NAMES, "1")

    def _loss(self, choice: str) -> str | Formula:
        text = _one_line(choice)
        return text if text in LOSS_TEXTS else self._formula(text, ("o", "y"), "loss", LOSS_TEXTS, "1")

    def _penalties(self, choices: Iterable[str | Sequence[str]]) -> dict[Formula, list[str]]:
        """Return the parameters that each penalty applies to."""
        found: dict[Formula, list[str]] = {}
        for layer, choice in enumerate(choices, start=1):
            tensors = [f"W{layer}"] + [f"b{layer}"] * (self.choices.regularize_bias and self.bias[layer - 1])
            for text in map(_one_line, [choice] if isinstance(choice, str) else choice):
                for key in self._penalty(text):
                    found.setdefault(key, []).extend(tensors)
        return found

    def _penalty(self, text: str) -> tuple[Formula, ...]:
        penalty = PENALTIES.get(text)
        if penalty is None:
            return (self._formula(text, ("w",), "regularizer", PENALTIES, "0.001"),)
        for name, default in penalty.hypers.items():
            self._hyper(name, default, f"the regularizer {text}")
        if text in _NORM_PENALTIES:
            return _NORM_PENALTIES[text]
        return (self._formula(penalty.formula, ("w",), "regularizer", PENALTIES, "0.001"),)

    def _formula(
        self, text: str, variables: tuple[str, ...], what: str, known: Iterable[str], default: str
    ) -> Formula:
        """Note a formula and its hyper-parameters; return what it is known by."""
        if re.fullmatch(r"[^\W\d]\w*", text) and text not in variables:
            names = ", ".join(known)
            close = "".join(f" (did you mean {name}?)" for name in get_close_matches(text, known, n=1))
            raise UsageError(f"there is no {what} {text}{close}; there are {names}, or a formula in {' and '.join(variables)}")
        called = {canonical_name(name) for name in re.findall(r"([^\W\d]\w*)\(", text)}
        for name in formula_names(text, variables, what):
            if name in called and name not in self.given:
                raise UsageError(f"{what} {text}: there is no function {name}; if a product is meant, write {name}*(...)")
            self._hyper(name, default, f"the {what} {text}")
        key = (f"({', '.join(variables)})", text)
        self.formulas.setdefault(key)
        return key

    def _hyper(self, name: str, default: str, origin: str) -> None:
        other = self.hypers.setdefault(name, (self.given.get(name, default), origin))
        if name not in self.given and other[0] != default:
            raise UsageError(
                f"{name} stands in {other[1]} (usually {other[0]}) and in {origin} (usually {default}): "
                f"say its value, --hyper {name}={default}, or use two names"
            )

    def _refuse_taken_names(self) -> None:
        taken = {"x", "y", "o", "L", *(("s", "J") if self.penalties else ())}
        for layer in range(1, self.depth + 1):
            taken |= {f"{letter}{layer}" for letter in "Wbza"}
        for name, (_, origin) in self.hypers.items():
            if name in taken:
                raise UsageError(f"the name {name} in {origin} is taken by the model's own {name}; choose another one")
        for name in self.given:
            if name not in self.hypers:
                read = ", ".join(self.hypers) or "none"
                raise UsageError(f"hyper {name}: no formula reads it; the hyper-parameters are: {read}")

    def _function_names(self) -> dict[Formula, str]:
        stems = {"(u)": "phi", "(o, y)": "loss", "(w)": "penalty"}
        names: dict[Formula, str] = {}
        for variables, stem in stems.items():
            keys = [key for key in self.formulas if key[0] == variables]
            free = [stem] if len(keys) == 1 else [f"{stem}{k}" for k in range(1, len(keys) + 1)]
            for key, name in zip(keys, free, strict=True):
                while name in self.hypers or name in names.values():
                    name += "_"
                names[key] = name
        return names

    # ------------------------------------------------------------ the text

    def text(self) -> str:
        sizes = self.choices.layers
        hidden = ["h"] if self.depth == 2 else [f"h{layer}" for layer in range(1, self.depth)]
        dims = ["d", *hidden, "q"]
        parameters = []
        for k in range(1, self.depth + 1):
            parameters += [f"W{k}[{dims[k]}, {dims[k - 1]}]"] + [f"b{k}[{dims[k]}]"] * bool(self.bias[k - 1])
        head = [
            f"# a multilayer perceptron with {self.depth} layer{'s' * (self.depth > 1)}",
            *_declared("dim", [f"{name} = {size}" for name, size in zip(dims, sizes, strict=True)]),
            f"batch n = {self.choices.batch}",
            "input x[d]",
            "target y in q" if self.loss == "cross_entropy" else "target y[q]",
            *_declared("param", parameters),
        ]
        if self.hypers:
            head += _declared("hyper", [f"{name} = {value}" for name, (value, _) in self.hypers.items()])
        head += [f"function {name}{key[0]} = {key[1]}" for key, name in self.names.items()]
        return "\n".join([*head, "", *self._equations(), "output o", ""])

    def _equations(self) -> list[str]:
        lines, value = [], "x"
        for layer, activation in enumerate(self.activations, start=1):
            last = layer == self.depth
            identity = activation == "identity"
            result = "o" if last and identity else f"z{layer}"
            lines.append(f"{result} = W{layer} {value}" + f" + b{layer}" * bool(self.bias[layer - 1]))
            value = result
            if not identity:
                value = "o" if last else f"a{layer}"
                lines.append(f"{value} = {self._name(activation)}({result})")
        lines.append("L = " + (LOSS_TEXTS[self.loss] if isinstance(self.loss, str) else f"sum({self._name(self.loss)}(o, y))"))
        if not self.penalties:
            return [*lines, "minimize L"]
        return [*lines, *self._penalty_equations(), "J = L + s", "minimize J"]

    def _penalty_equations(self) -> list[str]:
        """``s = ...``; where it would be very long, the sum of several such equations."""
        parts: list[list[str]] = []
        for penalty, tensors in self.penalties.items():
            for start in range(0, len(tensors), _TERMS):
                some = tensors[start : start + _TERMS]
                if penalty in self.names:
                    parts.append([f"sum({self.names[penalty]}({tensor}))" for tensor in some])
                else:
                    parts.append(_bracketed(penalty[0], [penalty[1].format(tensor) for tensor in some]))
        if sum(map(len, parts)) <= _TERMS:
            return _continued("s = ", [term for part in parts for term in part])
        lines = [line for k, part in enumerate(parts, start=1) for line in _continued(f"s_{k} = ", part)]
        return [*lines, *_continued("s = ", [f"s_{k}" for k in range(1, len(parts) + 1)])]

    def _name(self, choice: str | Formula) -> str:
        return choice if isinstance(choice, str) else self.names[choice]


def _spread(values: Any, count: int, what: str, layers: str = "layer") -> list[Any]:
    """Return one value for each layer."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return [values] * count
    if len(values) not in (1, count):
        wanted = f"1 or {count}" if count > 1 else "1"
        raise UsageError(f"{what}: {len(values)} values for {count} {layers}{'s' * (count != 1)}; give {wanted}")
    return list(values) * (count if len(values) == 1 else 1)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(name: str, value: str | int | float) -> str:
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"hyper {name[:40]}: {text[:40]!r} is no number, such as 0.001, 1e-4 or 1/3")
    return text


def _bracketed(factor: str, terms: list[str]) -> list[str]:
    """Return the terms of a sum with a common factor before it."""
    if len(terms) == 1:
        return [f"{factor} {terms[0]}"]
    return [f"{factor} ({terms[0]}", *terms[1:-1], f"{terms[-1]})"]


def _declared(word: str, items: Sequence[str]) -> list[str]:
    """Return declarations of as many names as fit in a line."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) < _LINE:
            lines[-1] += f", {item}"
        else:
            lines.append(f"{word} {item}")
    return lines


def _continued(start: str, terms: Sequence[str]) -> list[str]:
    """Return a sum of as many terms as fit in a line, continued on indented lines."""
    lines = [start + terms[0]]
    for term in terms[1:]:
        if len(lines[-1]) + len(term) < _LINE:
            lines[-1] += f" + {term}"
        else:
            lines.append(f"      + {term}")
    return lines
