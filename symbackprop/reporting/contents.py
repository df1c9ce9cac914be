"""What a typeset report says of a model, worked out once for every document that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from symbackprop.api import Derivation, check
from symbackprop.checking.checker import Progress
from symbackprop.checking.report import CheckReport
from symbackprop.derivation.derived import DerivedGraph
from symbackprop.drawing import Drawing
from symbackprop.footprint.growth import Growth
from symbackprop.footprint.growth_report import GrowthReport
from symbackprop.footprint.report import Report
from symbackprop.reporting.equations import forms

_HEADINGS = {"example": "Equations for one example", "batch": "Equations for a batch"}


@dataclass(frozen=True)
class Contents:
    """The parts of a report. ``progress`` is called while the kernel is checked; seed and samples are those of `check`."""

    derivation: Derivation
    notation: str = "partial"
    seed: int = 0
    samples: int = 1
    progress: Progress | None = None

    @property
    def title(self) -> str:
        """The title of the model, or its name where it has none."""
        return self.derivation.model.title or self.derivation.model.name

    @property
    def forms(self) -> dict[str, DerivedGraph]:
        """The derivation in each of its forms, by the words of a heading."""
        found = forms(self.derivation)
        return {_HEADINGS[form] if len(found) > 1 else "Equations": derived for form, derived in found.items()}

    @cached_property
    def drawing(self) -> Drawing:
        """The computational graph with its gradients."""
        return self.derivation.drawing(backward=True)

    @cached_property
    def footprint(self) -> Report:
        """What training and prediction cost, for the sizes of the model."""
        return Report(self.derivation.footprint(), {})

    @cached_property
    def proof(self) -> CheckReport:
        """The kernel's gradients against routes that share no code with the rules."""
        return check(self.derivation, seed=self.seed, samples=self.samples, progress=self.progress)

    @cached_property
    def second(self) -> DerivedGraph:
        """The products of the Hessian with a direction."""
        return self._products.example

    @cached_property
    def growth(self) -> GrowthReport:
        """What they cost beside a gradient."""
        return GrowthReport(Growth(self._products.batch), {})

    @cached_property
    def _products(self) -> Derivation:
        return self.derivation.products()
