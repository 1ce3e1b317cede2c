"""What a training minimises, and by what its epochs are judged: for classes of samples and of voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.bundle import LESION, Task

Loss = Literal["cross_entropy", "dice_cross_entropy"]

SMOOTHING = 1.0
"""Added to both parts of the soft Dice, as Tjoa et al. do: a sample without lesion then asks for none."""


@dataclass(frozen=True)
class Objective:
    """What fits a task; both functions take logits ``(sample, class, *grid)`` and their true classes.

    Those are ``(sample,)``, or ``(sample, *grid)`` of a segmentation. ``loss`` gives the mean over the samples,
    ``score`` a value per sample, 1 at best, NaN where a sample cannot tell; ``score_name`` is its mean's in the
    history of a training.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]
    score_name: Literal["validation_accuracy", "validation_dice"]


def objective(task: Task, loss: Loss) -> Objective:
    """The objective of a task under this loss; ValueError for a Dice of samples, which have no voxels."""
    if task == "segmentation":
        return Objective(dice_cross_entropy if loss == "dice_cross_entropy" else cross_entropy, dice, "validation_dice")
    if loss != "cross_entropy":
        raise ValueError(f"loss is {loss!r}; expected 'cross_entropy' for a classification.")
    return Objective(cross_entropy, right, "validation_accuracy")


def dice_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the voxels plus 1 - soft Dice of the lesion, mean over the samples, equally weighted."""
    return cross_entropy(logits, truth) + (1 - soft_dice(logits, truth)).mean()


def soft_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice of the lesion's probability with the truth ``(sample, *grid)``, each sample by itself: ``(sample,)``.

    (2 |a b| + 1) / (|a| + |b| + 1), as in Tjoa et al.'s code (utils/loss.py), in (0, 1].
    """
    probability = logits.softmax(dim=1)[:, LESION].flatten(1)
    lesion = (truth == LESION).flatten(1).to(probability.dtype)
    shared = (probability * lesion).sum(dim=1)
    return (2 * shared + SMOOTHING) / (probability.sum(dim=1) + lesion.sum(dim=1) + SMOOTHING)


def dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice of the voxels given to the lesion with the truth ``(sample, *grid)``: ``(sample,)``, in [0, 1].

    NaN for a sample without lesion: what is found there is wrong whatever its size.
    """
    found, lesion = (logits.argmax(dim=1) == LESION).flatten(1), (truth == LESION).flatten(1)
    marked = found.sum(dim=1) + lesion.sum(dim=1)
    values = 2 * (found & lesion).sum(dim=1) / marked
    return values.masked_fill(~lesion.any(dim=1), torch.nan)


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """1 for every sample classified rightly, else 0: ``(sample,)``."""
    return (logits.argmax(dim=1) == labels).float()
