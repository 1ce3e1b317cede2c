"""What a classifier's accuracy loses without a channel, with an interval over subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from .resampling import FEWEST_SUBJECTS, Array, bootstrap_weights, widened_percentiles

METRICS = ("accuracy", "balanced_accuracy")


def global_effects(
    logits: Tensor,
    labels: Tensor,
    subjects: Sequence[str],
    channels: Sequence[str],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Fall in accuracy and balanced accuracy without each channel.

    ``logits (1 + channel, sample, class)`` are the whole inputs' and those without each of the named ``channels``;
    ``labels (sample,)`` the true classes. Returns columns ``channel, metric, intact, ablated, drop, ci_low, ci_high,
    n_epochs, n_subjects``, all in [-1, 1]: the bootstrap draws subjects with all their samples. Balanced accuracy is
    the mean recall of the classes that occur. No interval under 3 subjects. Raises ValueError where the channels do
    not fit the logits.
    """
    if len(channels) + 1 != len(logits):
        raise ValueError(f"channels are {list(channels)}; expected {len(logits) - 1} names, one per ablated channel.")
    owner = np.unique(np.asarray(subjects), return_inverse=True)[1]
    hits, totals = _counts(logits, labels, owner)
    count = len(totals)
    values = _metrics(np.ones((1, count)), hits, totals)[0]
    low = high = np.full((len(logits) - 1, len(METRICS)), np.nan)
    if count >= FEWEST_SUBJECTS:
        drawn = _metrics(bootstrap_weights(count, resamples, seed), hits, totals)
        low, high = widened_percentiles(drawn[:, :1] - drawn[:, 1:], count, level)
    return pd.DataFrame({
        "channel": np.repeat(list(channels), len(METRICS)), "metric": METRICS * len(channels),
        "intact": np.tile(values[0], len(channels)), "ablated": values[1:].ravel(),
        "drop": (values[:1] - values[1:]).ravel(), "ci_low": low.ravel(), "ci_high": high.ravel(),
        "n_epochs": len(labels), "n_subjects": count,
    })  # fmt: skip


def _counts(logits: Tensor, labels: Tensor, owner: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Array, Array]:
    """Samples found right ``(1 + channel, subject, class)`` and all of them ``(subject, class)``."""
    shape = (int(owner.max()) + 1, logits.shape[2])
    truth = labels.cpu().numpy()
    right = (logits.argmax(dim=2) == labels.to(logits.device)).cpu().numpy()
    totals = np.zeros(shape)
    np.add.at(totals, (owner, truth), 1)
    hits = np.zeros((len(right), *shape))
    for found, correct in zip(hits, right, strict=True):
        np.add.at(found, (owner, truth), correct)
    return hits, totals


def _metrics(weights: Array, hits: Array, totals: Array) -> Array:
    """Both accuracies ``(resample, 1 + channel, metric)`` of subjects weighted ``(resample, subject)``."""
    right = np.einsum("rs,ksc->rkc", weights, hits)
    whole = (weights @ totals)[:, None]
    recall = np.divide(right, whole, out=np.zeros_like(right), where=whole > 0)
    occurring = (whole > 0).sum(axis=2)
    return np.stack([right.sum(axis=2) / whole.sum(axis=2), recall.sum(axis=2) / occurring], axis=2)
