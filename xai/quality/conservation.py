"""Does relevance reach the input, or does it stay in biases and stabilisers?"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor


def relative_leak(account: pd.DataFrame) -> Tensor:
    """What all layers keep, as a part of the score ``(sample,)``: sum of |bias| + |epsilon| over |score|.

    ``account`` is that of a `RelevanceRun`: rows by sample from the score down. 0 is exact conservation, and there
    is no upper bound, because what one layer keeps may be given back by the next. NaN where the score is 0.
    """
    by_sample = account.groupby("sample", sort=True)
    kept = (account["bias"].abs() + account["epsilon"].abs()).groupby(account["sample"]).sum()
    score = by_sample["relevance_in"].first().abs()
    return torch.from_numpy((kept / score.where(score > 0)).to_numpy(dtype="float64", copy=True))
