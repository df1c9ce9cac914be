"""Names in generated Python: one place decides them."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable

from symbackprop.graph.names import Adjoint, DataTerm, Diagonal, OfOne, Quadratic, Tangent, parse_name
from symbackprop.language.vocabulary import GREEK

_PREFIXES: dict[type[OfOne], str] = {Tangent: "t_", Diagonal: "diag_", Quadratic: "curvature_", DataTerm: "data_"}
_TAKEN = frozenset(
    {
        *keyword.kwlist,
        *keyword.softkwlist,
        *dir(builtins),
        "np",
        "math",
        "os",
        "sys",
        "time",
        "traceback",
        "MPI",
        "connect",
        "gather",
        "shard",
        "types",
        "hessian",
        "hessian_diagonal",
        "w",
        "params",
        "inputs",
        "hyper",
        "workspace",
        "functions",
        "dtype",
        "sizes",
        "shapes",
        "lowest",
        "scratch",
        "rows",
        "self",
        "arrays",
        "init",
        "predict",
        "loss",
        "loss_and_grad",
        "hvp",
        "loss_grad_and_hvp",
        "direction",
        "kinds",
        "gradients",
        "products",
        "Workspace",
    }
)


class Identifiers:
    """Gives every name of a model an identifier of its own. ``taken`` are those that a module has beside the usual ones."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._used: dict[str, str] = {}
        self._taken: set[str] = {*_TAKEN, *taken}

    def of(self, name: str) -> str:
        """Return the identifier of a name, the same each time."""
        if name not in self._used:
            self._used[name] = self.fresh(_plain(name))
        return self._used[name]

    def size(self, dimension: str) -> str:
        """Return the identifier of a dimension's size."""
        key = f"size {dimension}"
        if key not in self._used:
            self._used[key] = self.fresh(f"n_{_plain(dimension)}")
        return self._used[key]

    def fresh(self, wish: str) -> str:
        """Return an identifier like ``wish`` that nothing has."""
        candidate, number = wish, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{wish}_{number}"
        self._taken.add(candidate)
        return candidate


def _plain(name: str) -> str:
    meaning = parse_name(name)
    if isinstance(meaning, Adjoint):
        return f"d_{_plain(meaning.by)}"
    if isinstance(meaning, OfOne) and type(meaning) in _PREFIXES:
        return _PREFIXES[type(meaning)] + _plain(meaning.of)
    spelled = "".join(GREEK.get(character, character) for character in name)
    spelled = unicodedata.normalize("NFKD", spelled)
    cleaned = re.sub(r"[^A-Za-z0-9_]", "", spelled) or "value"
    cleaned = cleaned if not cleaned[0].isdigit() else f"v{cleaned}"
    return f"{cleaned}_" if cleaned in _TAKEN or cleaned.startswith("_") else cleaned
