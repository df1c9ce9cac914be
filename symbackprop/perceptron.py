"""`mlp`: the equations of a multilayer perceptron from a few choices, as text that goes the common way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from symbackprop.errors import UsageError
from symbackprop.functions.registry import ACTIVATIONS, LOSSES, PENALTIES
from symbackprop.language.formula import formula_names

_LOSS_TEXT = {
    "squared": "1/2 ||y - o||^2",
    "mean_squared": "1/2 ||y - o||^2 / q",
    "absolute": "||y - o||_1",
    "cross_entropy": "cross_entropy(o, y)",
    "binary_cross_entropy": "sum(binary_cross_entropy(o, y))",
}


@dataclass(frozen=True)
class Perceptron:
    """The choices. Sequences of length 1 stand for all layers.

    sizes: input, hidden and output sizes. activations: names or formulas in u, one for each hidden layer. loss: a name or a
    formula in o and y (element by element, summed). penalties: names or formulas in w, added up, one for each weight, or
    several joined by ``;`` a layer. bias: whether each layer has one; penalise_bias: whether the penalties apply to it.
    hypers: values of hyper-parameters, as text. output_activation: of the last layer, identity if not given.
    """

    sizes: Sequence[int]
    activations: Sequence[str] = ("relu",)
    loss: str = "cross_entropy"
    penalties: Sequence[str] = ("none",)
    bias: Sequence[bool] = (True,)
    penalise_bias: bool = False
    output_activation: str = "identity"
    hypers: dict[str, str] = field(default_factory=dict)
    batch: int = 32

    def text(self) -> str:
        """Return the equations. Raises UsageError where the choices do not fit together."""
        return _Writer(self).text()


def _in_lines(word: str, items: Sequence[str]) -> list[str]:
    """Return declarations of a few names a line."""
    return [f"{word} " + ", ".join(items[start : start + 12]) for start in range(0, len(items), 12)]


class _Writer:
    def __init__(self, choices: Perceptron) -> None:
        self.choices = choices
        sizes = list(choices.sizes)
        if len(sizes) < 2 or any(size < 1 for size in sizes):
            raise UsageError("--layers needs at least an input and an output size, each a whole number of 1 or more")
        self.depth = len(sizes) - 1
        hidden = ["h"] if self.depth == 2 else [f"h{layer}" for layer in range(1, self.depth)]
        self.dims = ["d", *hidden, "q"]
        self.functions: dict[str, str] = {}
        self.hypers: dict[str, str | None] = {}

    def text(self) -> str:
        choices = self.choices
        activations = self._spread(choices.activations, self.depth - 1, "--activation") if self.depth > 1 else []
        bias = self._spread(choices.bias, self.depth, "--bias")
        penalties = self._spread(choices.penalties, self.depth, "--regularizer")
        calls = [self._function(activation, "u", f"phi{k}") for k, activation in enumerate(activations, start=1)]
        last = self._function(choices.output_activation, "u", "psi")
        body, value = [], "x"
        for layer in range(1, self.depth + 1):
            is_last = layer == self.depth
            sum_name = ("o" if last == "identity" else "v") if is_last else f"z{layer}"
            body.append(f"{sum_name} = W{layer} {value}" + (f" + b{layer}" if bias[layer - 1] else ""))
            if not is_last:
                body.append(
                    f"a{layer} = {calls[layer - 1]}({sum_name})"
                    if calls[layer - 1] != "identity"
                    else f"a{layer} = {sum_name}"
                )
                value = f"a{layer}"
            elif sum_name == "v":
                body.append(f"o = {last}(v)")
        body.append(f"L = {self._loss()}")
        terms = self._penalties(penalties, bias)
        if terms:
            body += [f"s = {' + '.join(terms)}", "J = L + s"]
        objective = "J" if terms else "L"
        parameters = [f"W{k}[{self.dims[k]}, {self.dims[k - 1]}]" for k in range(1, self.depth + 1)]
        parameters += [f"b{k}[{self.dims[k]}]" for k in range(1, self.depth + 1) if bias[k - 1]]
        target = "target y in q" if choices.loss == "cross_entropy" else "target y[q]"
        head = [
            *_in_lines("dim", [f"{name} = {size}" for name, size in zip(self.dims, choices.sizes, strict=True)]),
            f"batch n = {choices.batch}",
            "input x[d]",
            target,
            *_in_lines("param", parameters),
        ]
        if self.hypers:
            head.append("hyper " + ", ".join(n if v is None else f"{n} = {v}" for n, v in self.hypers.items()))
        head += [f"function {signature} = {formula}" for signature, formula in self.functions.items()]
        return "\n".join([*head, "", *body, f"minimize {objective}", "output o", ""])

    def _spread(self, values: Sequence[object], count: int, flag: str) -> list[object]:
        if len(values) == 1:
            return list(values) * count
        if len(values) != count:
            raise UsageError(f"{flag} gives {len(values)} values; 1 or {count} fit these layers")
        return list(values)

    def _hyper(self, name: str, default: str | None) -> None:
        self.hypers[name] = self.choices.hypers.get(name, default)

    def _function(self, choice: object, variable: str, name: str) -> str:
        text = str(choice).strip()
        if text in ACTIVATIONS:
            return text
        if re.fullmatch(r"[A-Za-z_]\w*", text) and text != variable:
            raise UsageError(
                f"there is no activation {text!r}; there are {', '.join(sorted(ACTIVATIONS))}, or a formula in u"
            )
        for other in formula_names(text, (variable,), "--activation"):
            self._hyper(other, "1")
        for signature, formula in self.functions.items():
            if formula == text:
                return signature.split("(")[0]
        self.functions[f"{name}({variable})"] = text
        return name

    def _loss(self) -> str:
        text = self.choices.loss.strip()
        if text in _LOSS_TEXT:
            return _LOSS_TEXT[text]
        if text in LOSSES:
            return f"sum({text}(o, y))"
        if re.fullmatch(r"[A-Za-z_]\w*", text) and text not in ("o", "y"):
            raise UsageError(
                f"there is no loss {text!r}; there are {', '.join(sorted({*_LOSS_TEXT, *LOSSES}))}, or a formula in o and y"
            )
        for other in formula_names(text, ("o", "y"), "--loss"):
            self._hyper(other, "1")
        self.functions["loss(o, y)"] = text
        return "sum(loss(o, y))"

    def _penalties(self, penalties: list[object], bias: list[object]) -> list[str]:
        terms: list[str] = []
        for layer, choice in enumerate(penalties, start=1):
            for number, text in enumerate(part.strip() for part in str(choice).split(";")):
                if text == "none":
                    continue
                tensors = [f"W{layer}"] + ([f"b{layer}"] if self.choices.penalise_bias and bias[layer - 1] else [])
                terms += [self._penalty(text, tensor, f"r{layer}{'abcdefgh'[number % 8]}") for tensor in tensors]
        return terms

    def _penalty(self, text: str, tensor: str, name: str) -> str:
        simple = {"l2": f"lambda/2 ||{tensor}||^2", "l1": f"lambda_1 ||{tensor}||_1"}
        simple["elastic_net"] = f"{simple['l1']} + {simple['l2']}"
        if text in PENALTIES:
            for hyper, default in PENALTIES[text].hypers.items():
                self._hyper(hyper, default)
            if text in simple:
                return simple[text]
            text = PENALTIES[text].formula
        elif re.fullmatch(r"[A-Za-z_]\w*", text) and text != "w":
            raise UsageError(
                f"there is no regularizer {text!r}; there are {', '.join(sorted(PENALTIES))}, or a formula in w"
            )
        else:
            for other in formula_names(text, ("w",), "--regularizer"):
                self._hyper(other, "0.001")
        for signature, formula in self.functions.items():
            if formula == text and signature.endswith("(w)"):
                return f"sum({signature.split('(')[0]}({tensor}))"
        self.functions[f"{name}(w)"] = text
        return f"sum({name}({tensor}))"
