"""A kernel made of the slow evaluator and the derived graph, and mutants of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symbackprop.derivation.derived import derive_graph
from symbackprop.graph.evaluate import evaluate
from symbackprop.graph.lift import batch_graph
from symbackprop.graph.model import Model

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


class EvaluatorKernel:
    """The contract of a generated kernel, computed by the evaluator."""

    def __init__(self, model: Model) -> None:
        assert model.objective is not None
        self.model = model
        self._known: dict[Any, tuple[float, dict[str, Array]]] = {}
        self.objective = model.objective
        self.forward = batch_graph(model).restricted_to(frozenset({model.objective}))
        derived = derive_graph(model, batched=True)
        self.names = {name: derived.gradient_name(name) for name in model.parameters}
        self.derived = derived.graph.restricted_to(frozenset({self.objective, *self.names.values()}))

    def _run(
        self, graph: Any, params: Arrays, inputs: Arrays, hyper: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Any]:
        dtype = next(iter(params.values())).dtype.type
        sizes: dict[str, int] = {}
        for declaration in graph.declarations:
            array = {**params, **inputs}.get(declaration.name)
            if array is not None:
                sizes.update((s.name, n) for s, n in zip(declaration.shape, array.shape, strict=True) if s.is_Symbol)
        for declaration in graph.declarations:
            if declaration.classes is not None and declaration.classes.is_Symbol:
                sizes.setdefault(declaration.classes.name, 0)
        return evaluate(graph, {**params, **inputs, **hyper}, sizes, dtype), dtype

    def loss(self, params: Arrays, inputs: Arrays, hyper: Mapping[str, Any] = {}) -> float:
        return float(self._run(self.forward, params, inputs, hyper)[0][self.objective])

    def loss_and_grad(
        self,
        params: Arrays,
        inputs: Arrays,
        workspace: Any = None,
        hyper: Mapping[str, Any] = {},
    ) -> tuple[float, dict[str, Array]]:
        key = tuple((name, str(a.dtype), a.shape, a.tobytes()) for name, a in {**params, **inputs}.items())
        key = (*key, *hyper.items())
        if key not in self._known:  # the mutants of a kernel ask for the same points again and again
            found, dtype = self._run(self.derived, params, inputs, hyper)
            gradients = {n: np.asarray(found[gradient], dtype=dtype) for n, gradient in self.names.items()}
            self._known[key] = (float(found[self.objective]), gradients)
        loss, gradients = self._known[key]
        return loss, dict(gradients)


Change = Callable[[Array, Callable[[Arrays, Mapping[str, Any]], Array]], Array]
"""From a gradient, and the gradient for other inputs and hyper-parameters, to a wrong gradient."""


class Mutant:
    """Another kernel with the gradient by one parameter changed."""

    def __init__(self, kernel: EvaluatorKernel, name: str, change: Change) -> None:
        self.kernel, self.name, self.change = kernel, name, change

    def loss(self, params: Arrays, inputs: Arrays, hyper: Mapping[str, Any] = {}) -> float:
        return self.kernel.loss(params, inputs, hyper=hyper)

    def loss_and_grad(
        self,
        params: Arrays,
        inputs: Arrays,
        workspace: Any = None,
        hyper: Mapping[str, Any] = {},
    ) -> tuple[float, dict[str, Array]]:
        loss, gradients = self.kernel.loss_and_grad(params, inputs, hyper=hyper)

        def elsewhere(some: Arrays, others: Mapping[str, Any]) -> Array:
            given = {**inputs, **some}
            return self.kernel.loss_and_grad(params, given, hyper={**hyper, **others})[1][self.name]

        return loss, {**gradients, self.name: self.change(gradients[self.name].copy(), elsewhere)}
