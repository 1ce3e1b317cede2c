"""Whether a network reads a sample rightly: its class, or where every voxel has one, that of any of them."""

from __future__ import annotations

from torch import Tensor


def reads_rightly(logits: Tensor, targets: Tensor) -> Tensor:
    """Bool ``(sample,)``: the class given by logits ``(sample, class, *grid)`` is the target ``(sample,)``.

    A segmentation gives every voxel a class; it reads a sample rightly when that of any voxel is the target.
    """
    given = logits.argmax(dim=1).flatten(1) if logits.ndim > 2 else logits.argmax(dim=1, keepdim=True)
    return (given == targets.view(-1, 1)).any(dim=1)
