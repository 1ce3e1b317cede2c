"""The parts of a sample over which the shares of its relevance are taken: waves of an ECG, else channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .delineation import WAVES
from .store import Cohort, Index

OTHER = "other"
_PRECEDENCE = ("qrs", "p", "t")
"""A point that two waves claim belongs to the first of them."""


def part_names(cohort: Cohort) -> tuple[str, ...]:
    """P, QRS, T and other where the cohort's beats are delineated, else the channels."""
    return (*(wave.upper() for wave in WAVES), OTHER) if _delineated(cohort) else cohort.channels


def part_masks(cohort: Cohort, index: Index) -> NDArray[np.bool_] | None:
    """Which points belong to which part, ``(sample, part, channel, time)``, parts in the order of `part_names`.

    None where the parts are the channels: for volumes such masks would take more memory than the maps themselves.

    Every point belongs to one part: where waves overlap, to the QRS before P and to P before T; where no wave
    of the sample's own beat is known, to "other". The waves of its neighbours are "other" too.
    """
    if not _delineated(cohort):
        return None
    samples = cohort.samples.iloc[index]
    channels, window = len(cohort.channels), int(cohort.manifest["window"])
    points, free = np.arange(window), np.ones((len(samples), window), dtype=bool)
    masks = np.zeros((len(samples), len(WAVES) + 1, window), dtype=bool)
    for wave in _PRECEDENCE:
        start, stop = (samples[f"{wave}_{end}"].to_numpy()[:, None] for end in ("start", "stop"))
        mask = (points >= start) & (points < stop) & free  # NaN compares false: an unknown wave has no point
        masks[:, WAVES.index(wave)] = mask
        free &= ~mask
    masks[:, -1] = free
    return np.repeat(masks[:, :, None], channels, axis=2)


def part_known(cohort: Cohort, index: Index) -> NDArray[np.bool_]:
    """Whether it is known where the part lies, ``(sample, part)``; "other" only where all waves are known.

    A wave that is known and lies outside the window has an empty mask all the same.
    """
    samples = cohort.samples.iloc[index]
    if not _delineated(cohort):
        return np.ones((len(samples), len(cohort.channels)), dtype=bool)
    waves = np.stack([samples[f"{wave}_start"].notna().to_numpy() for wave in WAVES], axis=1)
    return np.column_stack([waves, waves.all(axis=1)])


def _delineated(cohort: Cohort) -> bool:
    return {f"{wave}_start" for wave in WAVES} <= set(cohort.samples.columns)
