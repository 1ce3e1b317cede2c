"""Per-window normalisation: a version's preprocessing, outside the gradient."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Normalisation = Literal["zscore", "minmax", "none"]


def normalise(inputs: Tensor, how: Normalisation) -> Tensor:
    """Normalises each channel of each window by itself; never across samples of a batch.

    ``inputs`` is ``(sample, channel, *grid)`` in physical units. ``zscore`` gives mean 0 and standard
    deviation 1 per channel, ``minmax`` the range [0, 1]; a constant channel becomes all 0. ``none`` leaves inputs
    as they are, for those whose units are their scale. ValueError if ``how`` is another word.
    """
    if how not in get_args(Normalisation):
        raise ValueError(f"how is {how!r}; expected one of {get_args(Normalisation)}.")
    if how == "none":
        return inputs
    flat = inputs.flatten(2).double()
    lowest, highest = flat.amin(2, keepdim=True), flat.amax(2, keepdim=True)
    # Moved to start at 0 first: a small wave on a large offset keeps its digits, and a constant channel
    # is exactly 0, where the standard deviation of its own values would be rounding noise.
    flat = flat - lowest
    if how == "zscore":
        flat = flat - flat.mean(2, keepdim=True)
        scale = flat.std(2, keepdim=True, unbiased=False)
    else:
        scale = highest - lowest
    flat = flat / torch.where(scale == 0, 1.0, scale)
    return flat.to(inputs.dtype).view_as(inputs)
