"""The words of the language."""

from __future__ import annotations

import unicodedata

STATEMENTS = ("dim", "batch", "input", "target", "param", "hyper", "function", "minimize", "output")
"""Words that begin a statement."""

CONSTANTS = ("I", "inf", "pi")

REDUCERS = ("sum", "mean", "max", "logsumexp")
"""Functions that take indices in brackets."""

STRUCTURAL = (
    *REDUCERS, "min", "softmax", "log_softmax", "cross_entropy", "tr", "det", "logdet", "inv", "diag", "norm", "ones",
    "zeros", "onehot", "rowsum", "colsum", "size", "where",
)  # fmt: skip
"""Built-in functions that are not applied element by element."""

ELEMENTWISE = (
    "identity", "relu", "sigmoid", "tanh", "softplus", "leaky_relu", "elu", "selu", "softsign", "gelu", "gelu_tanh", "silu",
    "mish", "hardtanh", "relu6", "hard_sigmoid", "hard_swish", "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh",
    "atan", "erf", "abs", "sign", "squared_error", "absolute_error", "huber", "log_cosh", "hinge",
    "binary_cross_entropy", "poisson",
)  # fmt: skip
"""Built-in functions applied element by element: the names of `symbackprop.functions.registry`, which a test compares."""

FUNCTIONS = frozenset((*STRUCTURAL, *ELEMENTWISE))

RESERVED = frozenset((*STATEMENTS, *CONSTANTS, "in", *FUNCTIONS))
"""Words that cannot be names of one's own (functions may be declared anew where a test of one's own needs it: they cannot)."""

GREEK = {
    chr(code): unicodedata.name(chr(code)).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda")
    for code in (*range(0x3B1, 0x3CA),)
    if code != 0x3BF
}
GREEK.update({chr(ord(letter) - 32): name.capitalize() for letter, name in list(GREEK.items()) if letter != "ς"})
GREEK.update({"ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "ς": "sigma"})
"""Greek letters and their names, which mean the same."""
