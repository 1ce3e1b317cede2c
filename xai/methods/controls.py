"""Controls: attributions that explain nothing of the model, which every explainer must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from ..seeding import uniform
from .memory import parts, rows_through

ROWS_AT_ONCE = 512


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


@dataclass(frozen=True)
class Prediction:
    """A segmenter's own probability of the target at each point: what the model says, not why."""

    @property
    def name(self) -> str:
        """``prediction``."""
        return "prediction"

    @classmethod
    def from_name(cls, name: str) -> Prediction | None:
        """The control where the name is its own, else None."""
        return cls() if name == "prediction" else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Probability in [0, 1] in the shape of ``inputs (sample, channel, *grid)``, the same for every channel.

        Raises ValueError where the model has no logits for every point.
        """
        rows = rows_through(model, inputs, ROWS_AT_ONCE)
        with torch.no_grad():
            found = [_probability(model(inputs[part]), targets[part]) for part in parts(len(inputs), rows)]
        probability = torch.cat(found)
        if probability.shape[2:] != inputs.shape[2:]:
            raise ValueError(
                f"prediction needs logits for every point of the grid {tuple(inputs.shape[2:])}; "
                f"the model returns them on {tuple(probability.shape[2:])}."
            )
        return probability.to(inputs).expand_as(inputs).contiguous()


@dataclass(frozen=True)
class Edges:
    """Magnitude of each channel's gradient along the grid, by Sobel's taps: where the input changes."""

    @property
    def name(self) -> str:
        """``edges``."""
        return "edges"

    @classmethod
    def from_name(cls, name: str) -> Edges | None:
        """The control where the name is its own, else None."""
        return cls() if name == "edges" else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Change of the input per point, 0 or more, in the shape of ``inputs (sample, channel, *grid)``.

        Along each axis half the difference of the two neighbours, smoothed by (1, 2, 1) / 4 along the others; the
        outermost points go on beyond the edge. Neither the model nor ``seeds`` are used.
        """
        axes = range(2, inputs.ndim)
        squares = torch.zeros_like(inputs)
        for along in axes:
            slope = inputs.detach()
            for axis in axes:
                before, after = _neighbours(slope, axis)
                slope = (after - before) / 2 if axis == along else (before + 2 * slope + after) / 4
            squares += slope.square()
        return squares.sqrt()


def _probability(logits: Tensor, targets: Tensor) -> Tensor:
    """The target's probability at each point ``(sample, 1, *grid)``."""
    return logits.softmax(dim=1)[torch.arange(len(targets), device=logits.device), targets].unsqueeze(1)


def _neighbours(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Each point's neighbour before and after it along an axis; the outermost ones are their own."""
    length = values.shape[axis]
    place = torch.arange(length, device=values.device)
    return (
        values.index_select(axis, (place - 1).clamp_min(0)),
        values.index_select(axis, (place + 1).clamp_max(length - 1)),
    )
