"""Score operators: the one scalar per sample that is explained *and* scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class ScoreOperator:
    """Reads the explained scalar off the logits.

    ``name`` is ``"logit"`` (any real number) or ``"probability"`` (softmax over classes, in [0, 1]). A segmentation
    has a logit per voxel. Its logit score is the lesion sum: the target's logits, added up over the voxels that the
    network gives to the target; 0 where it gives none. Its probability score is the mean of the target's
    probability over all voxels. ``"output_sum"`` adds up every output of every class, as Tjoa et al. start LRP.
    """

    name: Literal["logit", "probability", "output_sum"] = "logit"

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scores ``(sample,)`` of logits ``(sample, class, *grid)`` at class indices ``targets (sample,)``."""
        return self.of_classes(logits)[torch.arange(len(targets), device=logits.device), targets]

    def of_classes(self, logits: Tensor) -> Tensor:
        """The score that each class would have as the target ``(sample, class)``, of ``(sample, class, *grid)``."""
        if self.name == "output_sum":
            return logits.flatten(1).sum(dim=1, keepdim=True).expand(logits.shape[:2])
        values = logits.softmax(dim=1) if self.name == "probability" else logits
        if logits.ndim == 2:
            return values
        if self.name == "probability":
            return values.flatten(2).mean(dim=2)
        classes = torch.arange(logits.shape[1], device=logits.device).view(-1, *[1] * (logits.ndim - 2))
        given = logits.argmax(dim=1, keepdim=True) == classes
        return (logits * given).flatten(2).sum(dim=2)


LOGIT = ScoreOperator("logit")
PROBABILITY = ScoreOperator("probability")
OUTPUT_SUM = ScoreOperator("output_sum")
