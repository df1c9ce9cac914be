"""The floor: the matrix products that a computation makes, alone, into arrays that are there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Product:
    """``out = left @ right``."""

    left: Any
    right: Any
    out: Any

    @property
    def multiply_adds(self) -> int:
        """How many multiplications it takes."""
        return int(self.out.size * self.left.shape[-1])


def products(compute: Callable[..., Any], *arrays: Mapping[str, Any]) -> tuple[Product, ...]:
    """Return the products that ``compute(*arrays)`` makes with ``@``, their operands laid out in memory as it has them."""
    found: list[Product] = []

    class Recorded(np.ndarray):
        """An array whose products are noted, as are those of whatever is computed from it."""

        def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **options: Any) -> Any:
            plain = [_plain(operand) for operand in operands]
            if "out" in options:
                options["out"] = tuple(map(_plain, options["out"]))
            result = getattr(ufunc, method)(*plain, **options)
            if ufunc is np.matmul:
                found.append(Product(plain[0], plain[1], np.empty_like(result)))
            return result.view(Recorded) if isinstance(result, np.ndarray) else result

    def _plain(operand: Any) -> Any:
        return operand.view(np.ndarray) if isinstance(operand, Recorded) else operand

    compute(*({name: np.asarray(array).view(Recorded) for name, array in group.items()} for group in arrays))
    return tuple(found)


def multiply(all_products: tuple[Product, ...]) -> None:
    """Compute the products."""
    for product in all_products:
        np.matmul(product.left, product.right, out=product.out)
