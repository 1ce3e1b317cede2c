"""Where relevance goes on its way down: what a layer hands on, and what its bias and its stabiliser keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

ACCOUNT_COLUMNS = ("sample", "layer", "relevance_in", "relevance_out", "bias", "epsilon")


@dataclass(frozen=True)
class Leak:
    """What one layer did with its relevance, each ``(rule, sample)`` in float64.

    ``entering`` is what came from above and ``leaving`` what went on; ``bias`` and ``epsilon`` are computed by
    themselves, so that ``entering = leaving + bias + epsilon`` up to rounding is a check.
    """

    layer: str
    entering: Tensor
    leaving: Tensor
    bias: Tensor
    epsilon: Tensor


def account(leaks: Sequence[Leak], rule: int, first_sample: int) -> pd.DataFrame:
    """One rule's rows, by sample (counted from ``first_sample``) and layer, in `ACCOUNT_COLUMNS`."""
    amounts = torch.stack(
        [torch.stack((leak.entering, leak.leaving, leak.bias, leak.epsilon))[:, rule] for leak in leaks], dim=-1
    )
    samples, layers = amounts.shape[1:]
    return pd.DataFrame(
        {
            "sample": np.repeat(np.arange(first_sample, first_sample + samples), layers),
            "layer": np.tile([leak.layer for leak in leaks], samples),
            **dict(zip(ACCOUNT_COLUMNS[2:], amounts.flatten(1).cpu().numpy(), strict=True)),
        }
    )
