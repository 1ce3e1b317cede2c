"""How far changed inputs leave what a network was trained on; an ablation that leaves it says little."""

from __future__ import annotations

import torch
from torch import Tensor

POWER_FLOOR = 1e-6
"""In squared units of the normalised input; under it a band counts as silent."""
BANDS = 6
"""Octaves from the Nyquist frequency down; the last one reaches to the mean."""
ROWS_AT_ONCE = 512


def spectral_features(inputs: Tensor) -> Tensor:
    """Log10 power of each channel in each octave below Nyquist ``(sample, channel x band)``, float64.

    ``inputs (sample, channel, time)`` are normalised. The sum of a channel's bands is its mean square.
    """
    steps = inputs.shape[2]
    power = torch.fft.rfft(inputs.double()).abs() ** 2 / steps**2
    single = torch.ones(power.shape[2], dtype=torch.float64, device=inputs.device)
    # Every other frequency stands for its negative as well.
    single[1 : (steps + 1) // 2] = 2
    edges = 2.0 ** torch.arange(-BANDS + 1, 0, device=inputs.device)
    frequency = torch.arange(power.shape[2], device=inputs.device) / (steps / 2)
    band = torch.bucketize(frequency, edges)
    bands = torch.zeros(*power.shape[:2], BANDS, dtype=torch.float64, device=inputs.device)
    bands.index_add_(2, band, power * single)
    return torch.log10(bands + POWER_FLOOR).flatten(1)


def distance_from_training(training: Tensor, held_out: Tensor, changed: Tensor, *, neighbours: int = 10) -> Tensor:
    """Distance of changed inputs from the training set, in units of a real one's ``(sample,)``, from 0 up.

    The three are features ``(sample, feature)``: `spectral_features`, or what the network's last hidden layer
    makes of the inputs. Features are standardised over ``training``; the distance is the mean Euclidean one to
    the nearest ``neighbours`` of ``training``, over the median of that of ``held_out``, real inputs of subjects
    not trained on: 1 is as far as a real input of a new person. NaN where a feature is not finite, and everywhere
    where most of ``held_out`` lie on training points. Raises ValueError for fewer training samples than neighbours.
    """
    if not 1 <= neighbours <= len(training):
        raise ValueError(f"neighbours is {neighbours}; expected 1 to the {len(training)} training samples.")
    centre, scale = training.double().mean(dim=0), training.double().std(dim=0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    real, others, known = ((features.double() - centre) / scale for features in (held_out, changed, training))
    usual = _to_neighbours(real, known, neighbours).nanmedian()
    return _to_neighbours(others, known, neighbours) / usual.masked_fill(usual == 0, torch.nan)


def _to_neighbours(features: Tensor, training: Tensor, neighbours: int) -> Tensor:
    nearest = [
        # The matrix form of the distance loses its digits near zero.
        torch.cdist(rows, training, compute_mode="donot_use_mm_for_euclid_dist").topk(neighbours, largest=False).values
        for rows in features.split(ROWS_AT_ONCE)
    ]
    return torch.cat(nearest).mean(dim=1).masked_fill(~features.isfinite().all(dim=1), torch.nan)
