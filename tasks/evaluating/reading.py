"""How a network reads a sample: the class that it gives; a segmentation is always asked for what it looks for."""

from __future__ import annotations

import torch
from torch import Tensor

LESION = 1
"""The class that segmentations look for; 0 is everything else."""


def classes_given(logits: Tensor) -> Tensor:
    """Classes ``(sample,)`` int64 of logits ``(sample, class, *grid)``; `LESION` where every voxel has its own."""
    if logits.ndim == 2:
        return logits.argmax(dim=1)
    return torch.full((len(logits),), LESION, device=logits.device)


def reads_rightly(logits: Tensor, targets: Tensor) -> Tensor:
    """Bool ``(sample,)``: the class given is the target ``(sample,)``; in a segmentation, that of any voxel is."""
    given = logits.argmax(dim=1).flatten(1) if logits.ndim > 2 else logits.argmax(dim=1, keepdim=True)
    return (given == targets.view(-1, 1)).any(dim=1)
