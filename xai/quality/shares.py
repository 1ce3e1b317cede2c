"""How much of an explanation falls on each part of the input: a modality, a wave of the heartbeat.

Shares of one sample sum to 100 and so cannot vary freely; log ratios can (Aitchison, 1986).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .resampling import Array

REPLACED_ZERO = 1e-4
"""What a share of zero becomes, as a proportion, before logarithms are taken."""


def absolute_relevance(relevance: Tensor, masks: Tensor | None = None) -> Tensor:
    """Sum of |relevance| over each part ``(sample, part)``, float64.

    ``relevance`` is ``(sample, channel, *grid)``. The parts are the channels or, where given, the bool ``masks
    (sample, part, channel, *grid)``. Raises ValueError where the shapes do not fit.
    """
    magnitude = relevance.double().abs()
    if masks is None:
        return magnitude.flatten(2).sum(dim=2)
    if masks.ndim != relevance.ndim + 1 or masks.shape[:1] + masks.shape[2:] != relevance.shape:
        raise ValueError(
            f"masks have shape {tuple(masks.shape)}; expected (sample, part, channel, *grid) "
            f"for relevance of shape {tuple(relevance.shape)}."
        )
    return torch.einsum("nf,npf->np", magnitude.flatten(1), masks.flatten(2).double())


def relevance_shares(relevance: Tensor, masks: Tensor | None = None) -> Tensor:
    """Percent of the absolute relevance of all parts that falls on each ``(sample, part)``, float64.

    As `absolute_relevance`; NaN in every part where the relevance of all parts is zero. Ellis et al. (2021),
    section II-D, where the parts are the modalities.
    """
    return percent(absolute_relevance(relevance, masks))


def percent(absolute: Tensor) -> Tensor:
    """Parts ``(sample, part)`` in percent of their sum, NaN where that is zero."""
    return 100 * absolute / absolute.sum(dim=1, keepdim=True)


def centred_log_ratio(shares: Array) -> Array:
    """Log of each share over the geometric mean of its sample's shares ``(sample, part)``.

    Zeros are replaced by 1e-4 of the whole and the others shrunk by as much in proportion, so that their ratios
    stay (multiplicative replacement, Martín-Fernández et al., 2003). NaN where the shares are NaN.
    """
    parts = shares / shares.sum(axis=1, keepdims=True)
    zero = parts == 0
    shrunk = parts * (1 - REPLACED_ZERO * zero.sum(axis=1, keepdims=True))
    logs = np.log(np.where(zero, REPLACED_ZERO, shrunk))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))
