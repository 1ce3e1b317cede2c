"""Score operators: the one scalar per sample that is explained *and* scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class ScoreOperator:
    """Reads the explained scalar off the logits.

    ``name`` is ``"logit"`` (any real number) or ``"probability"`` (softmax over classes, in [0, 1]).
    """

    name: Literal["logit", "probability"] = "logit"

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Scores ``(sample,)`` of logits ``(sample, class)`` at class indices ``targets (sample,)``."""
        values = logits.softmax(dim=1) if self.name == "probability" else logits
        return values.gather(1, targets.view(-1, 1)).squeeze(1)


LOGIT = ScoreOperator("logit")
PROBABILITY = ScoreOperator("probability")
