"""The words of the language, and the letters that names are made of."""

from __future__ import annotations

import re
import unicodedata

STATEMENTS = ("dim", "batch", "input", "target", "param", "hyper", "function", "minimize", "output")
"""Words that begin a statement."""

CONSTANTS = ("I", "inf", "pi")

REDUCERS = ("sum", "mean", "max", "logsumexp")
"""Functions that take indices in brackets."""

STRUCTURAL = (
    *REDUCERS, "min", "softmax", "log_softmax", "cross_entropy", "tr", "det", "logdet", "inv", "diag", "norm", "ones",
    "zeros", "onehot", "rowsum", "colsum", "size", "floor", "cofactor", "where",
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
"""Words that cannot be names of one's own."""

GREEK = {
    chr(code): unicodedata.name(chr(code)).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda")
    for code in (*range(0x3B1, 0x3CA),)
    if code != 0x3BF
}
GREEK.update({chr(ord(letter) - 32): name.capitalize() for letter, name in list(GREEK.items()) if letter != "ς"})
GREEK.update({"ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "ς": "sigma"})
"""Greek letters and their names, which mean the same."""

MICRO = "\u00b5"
"""The micro sign of keyboards, which is a mu."""

ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0307": "dot", "\u0303": "tilde"}
"""Combining accents and the words for them: x̂ and x_hat mean the same."""

_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def is_letter(character: str) -> bool:
    """Tell whether names may hold a letter: Latin ones that cannot be taken for another, and the Greek alphabet."""
    if character.isascii():
        return character.isalpha()
    if character in GREEK or character == MICRO:
        return True
    decomposed = unicodedata.normalize("NFD", character)
    if len(decomposed) == 2 and decomposed[1] in ACCENTS and (decomposed[0].isascii() or decomposed[0] in GREEK):
        return True
    plain = unicodedata.normalize("NFKC", character) == character
    return "\u00c0" <= character < "\u0180" and character.isalpha() and plain and character not in "ıĸ"


def digits(text: str) -> str:
    """Return superscript or subscript digits (and the superscript minus) as ordinary ones."""
    return text.translate(_SUPERSCRIPTS).translate(_SUBSCRIPTS)


def canonical_name(text: str) -> str:
    """Return a name in its one spelling: ``λ`` is ``lambda``, ``W⁽¹⁾`` is ``W1``, ``b₁`` is ``b_1`` and ``x̂`` is ``x_hat``."""
    accented = re.fullmatch(r"(.[\u0302\u0303\u0304\u0307])(\d*)(_.*|[⁽₀-₉].*)?", unicodedata.normalize("NFD", text))
    if accented:
        letter, number, rest = accented[1], accented[2], accented[3] or ""
        text = f"{letter[0]}{number}_{ACCENTS[letter[1]]}{rest}"
    text = unicodedata.normalize("NFC", "".join(GREEK.get(c, c) for c in text.replace(MICRO, "μ")))
    if text.endswith("⁾"):
        base, _, inner = text[:-1].partition("⁽")
        return base + digits(inner)
    trailing = re.search("[₀-₉]+$", text)
    return f"{text[: trailing.start()]}_{digits(trailing.group())}" if trailing else text
