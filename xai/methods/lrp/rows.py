"""Relevance of several rules as rows ``(rule, sample, ...)`` that keep the layout of a sample's values in memory.

`fast_layout` puts the channels of volumes last, and PyTorch knows that layout for five axes only: so rows are put
together along the samples, and told apart afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def empty_rows(rows: int, like: Tensor) -> Tensor:
    """Rows without values ``(row, sample, ...)``, each in the shape and layout of ``like (sample, ...)``."""
    last = like.dim() == 5 and like.is_contiguous(memory_format=torch.channels_last_3d)
    layout = torch.channels_last_3d if last else torch.contiguous_format
    whole = torch.empty((rows * len(like), *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=layout)
    return whole.unflatten(0, (rows, len(like)))


def stacked(rows: Sequence[Tensor]) -> Tensor:
    """Rows ``(row, sample, ...)`` of tensors ``(sample, ...)``."""
    return torch.cat(list(rows)).unflatten(0, (len(rows), len(rows[0])))
