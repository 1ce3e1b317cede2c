"""How far a map lies on the lesion and on the tissue, channel by channel, as Tjoa et al. judge relevance maps.

Their coefficient D(a, b) = |a ∩ b| / |b| rewards whoever marks everything; beside it stand precision, Dice and
what else `localisation` knows, area-corrected, the mean of the normalised map, and how far it is made of spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .localisation import input_metrics, localisation_metrics, marked
from .perturbation import can_rank

Of = Literal["channel", "tensor"]
SPIKE_SHARE = 0.001
"""Part of the points, the strongest, whose share of a map says whether it is made of spikes."""
TABLE_COLUMNS = ("sample", "explainer", "channel", "metric", "value")


def channel_metrics(attributions: Tensor, evidence: Tensor, inputs: Tensor) -> dict[str, Tensor]:
    """Every metric of a map's place ``(sample, channel)``, each channel by itself, plain and area-corrected.

    ``attributions`` and ``inputs`` are ``(sample, channel, *grid)``, the bool ``evidence`` has as many channels or
    one. The names are those of `localisation_metrics` and `input_metrics`, with their thresholds: a point is marked
    above half of its channel's largest |attribution|, and is signal above a tenth of its channel's largest |input|.
    ``inclusivity`` is D(relevance, truth) and ``input_inclusivity`` D(relevance, input) of Tjoa et al., eq. 2; they
    take the input in physical units on the case's own grid. ``area`` is the share of the channel that is marked. NaN
    where a channel's attribution is constant, and where the evidence, or the signal, is empty or everything.
    """
    shape = attributions.shape[:2]
    maps, truth, signal = (
        _alone(values.to(attributions.device).expand_as(attributions)) for values in (attributions, evidence, inputs)
    )
    found = localisation_metrics(maps, truth) | input_metrics(maps, signal)
    area = marked(maps).flatten(1).double().mean(dim=1)
    found["area"] = area.masked_fill(~can_rank(maps), torch.nan)
    return {name: values.view(shape) for name, values in found.items()}


def normalised_mean(attributions: Tensor, of: Of = "channel") -> Tensor:
    """Mean over space of the map divided by its largest magnitude, mu ``(sample, channel)`` in [-1, 1].

    mu_c = mean of R_c / max|R|, the maximum taken of the channel, as the text of Tjoa et al. says, or of all
    channels (``"tensor"``), as their code does. Their eq. 3 cannot be meant as printed: it multiplies by the place
    under the integral and normalises by the signed maximum. NaN where the maximum is 0. Raises ValueError for
    another ``of``.
    """
    if of not in ("channel", "tensor"):
        raise ValueError(f"of is {of!r}; expected 'channel' or 'tensor'.")
    flat = attributions.flatten(2).double()
    peak = flat.abs().amax(dim=2)
    if of == "tensor":
        peak = peak.amax(dim=1, keepdim=True)
    return flat.mean(dim=2) / peak.masked_fill(peak == 0, torch.nan)


def spikes(attributions: Tensor, within: Tensor | None = None) -> dict[str, Tensor]:
    """How far each channel's map is made of few, huge values ``(sample, channel)``.

    ``spike_share``: share of |attribution| on the strongest thousandth of the points (at least one), in [0.001, 1].
    ``spike_ratio``: the largest |attribution| over the median (the lower one of two), from 1 up. Both over the points
    of the bool mask ``within (sample, 1, *grid)`` where given: air, where every map is 0, would make a spike of any
    brain. NaN where the map is 0 there, the ratio also where the median is.
    """
    share, ratio = (attributions.new_full(attributions.shape[:2], torch.nan, dtype=torch.float64) for _ in range(2))
    for sample, channels in enumerate(attributions):
        inside = (
            torch.ones_like(channels[0], dtype=torch.bool) if within is None else within[sample, 0].to(channels.device)
        )
        magnitude = channels[:, inside].double().abs()
        if not magnitude.numel():
            continue
        strongest = magnitude.topk(max(1, round(SPIKE_SHARE * magnitude.shape[1])), dim=1).values
        share[sample] = strongest.sum(dim=1) / magnitude.sum(dim=1)
        median = magnitude.median(dim=1).values
        ratio[sample] = strongest[:, 0] / median.masked_fill(median == 0, torch.nan)
    return {"spike_share": share, "spike_ratio": ratio}


def inclusivity_table(
    attributions: Mapping[str, Tensor], evidence: Tensor, inputs: Tensor, within: Tensor | None = None
) -> pd.DataFrame:
    """All of the above of several explainers, or of a sweep of filters, as one long table.

    Arguments as those of `channel_metrics` and `spikes`, the attributions by name. Returns one row per sample (its
    position), explainer, channel (its position) and metric, columns `TABLE_COLUMNS`; ``normalised_mean`` and
    ``normalised_mean_tensor`` are mu by the channel's and by the tensor's maximum, ``peak`` the largest |attribution|
    of the channel, in the map's own units.
    """
    tables = [
        _long(name, metric, values)
        for name, maps in attributions.items()
        for metric, values in _of_one(maps, evidence, inputs, within).items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(TABLE_COLUMNS))


def spread(table: pd.DataFrame, metric: str = "normalised_mean") -> pd.DataFrame:
    """How much a metric of `inclusivity_table` varies over samples and channels, by explainer.

    Returns columns ``explainer, count, undefined, mean, sd, minimum, lower_quartile, median, upper_quartile, maximum``
    in the order of the table. Raises ValueError where the table lacks the metric.
    """
    chosen = table[table["metric"] == metric]
    if chosen.empty:
        raise ValueError(f"table holds no metric {metric!r}; expected one of {sorted(table['metric'].unique())}.")
    values = chosen.groupby("explainer", sort=False)["value"]
    quartiles = values.quantile(np.array([0, 0.25, 0.5, 0.75, 1])).unstack()
    quartiles.columns = pd.Index(["minimum", "lower_quartile", "median", "upper_quartile", "maximum"])
    numbers = values.agg(count="count", undefined=lambda cell: int(cell.isna().sum()), mean="mean", sd="std")
    return numbers.join(quartiles).reset_index()


def _of_one(maps: Tensor, evidence: Tensor, inputs: Tensor, within: Tensor | None) -> dict[str, Tensor]:
    return {
        **channel_metrics(maps, evidence, inputs),
        **spikes(maps, within),
        "normalised_mean": normalised_mean(maps),
        "normalised_mean_tensor": normalised_mean(maps, of="tensor"),
        "peak": maps.flatten(2).abs().amax(dim=2).double(),
    }


def _alone(values: Tensor) -> Tensor:
    """Every channel as a sample of its own ``(sample x channel, 1, *grid)``."""
    return values.flatten(0, 1).unsqueeze(1)


def _long(name: str, metric: str, values: Tensor) -> pd.DataFrame:
    samples, channels = values.shape
    return pd.DataFrame(
        {
            "sample": np.repeat(np.arange(samples), channels),
            "explainer": name,
            "channel": np.tile(np.arange(channels), samples),
            "metric": metric,
            "value": values.flatten().double().cpu().numpy(),
        }
    )
