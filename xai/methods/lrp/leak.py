"""Where relevance goes on its way down: what a layer hands on, and what biases, stabilisers and filters keep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

ACCOUNT_COLUMNS = ("sample", "layer", "relevance_in", "relevance_out", "bias", "epsilon", "filtered")


@dataclass(frozen=True)
class Leak:
    """What one layer did with its relevance, each ``(rule, sample)`` in float64.

    ``entering`` is what came from above and ``leaving`` what went on; ``bias`` and ``epsilon`` are computed by
    themselves, so that ``entering = leaving + bias + epsilon + filtered`` up to rounding is a check. ``filtered`` is
    what a relevance filter took from ``leaving``, None where none stands. ``rows`` are the rules that can keep some
    there, None for all.
    """

    layer: str
    entering: Tensor
    leaving: Tensor
    bias: Tensor
    epsilon: Tensor
    filtered: Tensor | None = None
    rows: Collection[int] | None = None

    def amounts(self) -> Tensor:
        """All of them in the order of `ACCOUNT_COLUMNS`, ``(amount, rule, sample)``."""
        filtered = torch.zeros_like(self.leaving) if self.filtered is None else self.filtered
        return torch.stack((self.entering, self.leaving, self.bias, self.epsilon, filtered))


def account(leaks: Sequence[Leak], rule: int, first_sample: int) -> pd.DataFrame:
    """One rule's rows, by sample (counted from ``first_sample``) and layer, in `ACCOUNT_COLUMNS`."""
    leaks = [leak for leak in leaks if leak.rows is None or rule in leak.rows]
    amounts = torch.stack([leak.amounts()[:, rule] for leak in leaks], dim=-1)
    samples, layers = amounts.shape[1:]
    return pd.DataFrame(
        {
            "sample": np.repeat(np.arange(first_sample, first_sample + samples), layers),
            "layer": np.tile([leak.layer for leak in leaks], samples),
            **dict(zip(ACCOUNT_COLUMNS[2:], amounts.flatten(1).cpu().numpy(), strict=True)),
        }
    )
