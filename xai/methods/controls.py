"""Controls: attributions that know nothing of the model, which every explainer must beat."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from ..seeding import uniform


@dataclass(frozen=True)
class Random:
    """Uniform noise in [0, 1) by the sample's seed."""

    @property
    def name(self) -> str:
        """``random``."""
        return "random"

    @classmethod
    def from_name(cls, name: str) -> Random | None:
        """The control where the name is its own, else None."""
        return cls() if name == "random" else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Noise in the shape of ``inputs (sample, channel, *grid)``, by ``seeds (sample,)``."""
        return uniform(seeds, "random", inputs.shape[1:]).to(inputs)


@dataclass(frozen=True)
class Amplitude:
    """Absolute value of the normalised input: what a reader would mark by loudness alone."""

    @property
    def name(self) -> str:
        """``amplitude``."""
        return "amplitude"

    @classmethod
    def from_name(cls, name: str) -> Amplitude | None:
        """The control where the name is its own, else None."""
        return cls() if name == "amplitude" else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """``|inputs|``; neither the model nor ``seeds`` are used."""
        return inputs.detach().abs()
