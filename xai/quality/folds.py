"""Do the members of a version, each trained on other subjects, explain the same sample alike?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from .randomisation import rank_correlation


def fold_agreement(maps: Sequence[Tensor]) -> Tensor:
    """Mean Spearman correlation ``(sample,)`` over all pairs of members; NaN where one of the maps is constant.

    ``maps`` holds, per member, the attributions ``(sample, channel, *grid)`` of the same samples. Raises
    ValueError for fewer than two members.
    """
    if len(maps) < 2:
        raise ValueError(f"maps are of {len(maps)} member; expected 2 or more to compare.")
    return torch.stack([rank_correlation(first, second) for first, second in combinations(maps, 2)]).mean(dim=0)
