"""How values lie in memory: convolutions of volumes on a CPU are a quarter to a half faster with the channels last."""

from __future__ import annotations

import torch
from torch import Tensor


def fast_layout(inputs: Tensor) -> Tensor:
    """``inputs (sample, ...)`` in the layout that convolutions on their device like best."""
    if inputs.dim() == 5 and inputs.device.type == "cpu":
        return inputs.contiguous(memory_format=torch.channels_last_3d)
    return inputs
