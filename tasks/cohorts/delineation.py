"""Where the P, QRS and T waves of a whole ECG record begin and end; a window of one beat is too short to tell.

The wavelet delineator of Martínez et al. (2004, IEEE Trans Biomed Eng 51:570): P and T by the steps of neurokit2's
`ecg_delineate`, called one by one because its tables and its filters of many zeros take six times as long. Its search
for the QRS is not used: it starts at the P peak and, where the beat has no Q, takes the P wave's slope for the
QRS's (measured on MIT-BIH: normal QRS 169 ms wide in the median, 29 % not found). `_qrs_bounds` follows the paper.
"""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

WAVES = ("p", "qrs", "t")
_ANALYSIS_RATE = 2000
"""Hertz: neurokit2's own, to which its scales belong."""
_QRS_SCALE = 4
"""16 ms, the scale at which the paper bounds the QRS."""
_QRS_BEFORE, _QRS_AFTER, _QRS_CORE, _SLOPE = 0.11, 0.15, 0.06, 0.1
"""Seconds: how far from the R peak its slopes may lie, and the steepest of them; how long a slope may last."""
_SIGNIFICANT = 0.25
"""Of the steepest slope: the least slope that belongs to the QRS."""
_ENDED = 0.15
"""Of the first or last such slope: under it the QRS has not begun, or is over."""
_SCALES = 4
"""That the steps use at 250 Hz and 60 beats per minute; `_dwt_adjust_parameters` tells how many more here."""
_FEWEST_BEATS = 4
"""From which neurokit2 takes a heart rate."""
_STRETCH = 4096
"""Beats delineated at once, which bounds the memory; half an hour is one stretch."""
_MARGIN = 2.0
"""Seconds of signal around a stretch or a block."""
_BLOCK, _AROUND = 64, 2
"""Beats delineated at once where few of many are wanted, and how many more on either side."""


def delineate(signal: NDArray[np.float64], rate: int, peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """First point of every wave and the point after its last, ``(beat, wave, 2)``; waves in the order of WAVES.

    ``signal (time,)`` at ``rate`` hertz. ``peaks (beat,)``: the R peaks in points, in any order; none is moved,
    added or left out. Both are NaN where a wave is not found. Everything is NaN for fewer than 4 beats, and where
    neurokit2 fails.
    """
    ordered, beats = np.unique(peaks, return_inverse=True)
    waves = np.full((len(ordered), len(WAVES), 2), np.nan)
    if len(ordered) >= _FEWEST_BEATS:
        margin = round(_MARGIN * rate)
        for stretch in np.array_split(np.arange(len(ordered)), math.ceil(len(ordered) / _STRETCH)):
            first, last = stretch[0], stretch[-1]
            low = max(0, int(ordered[first]) - margin) if first else 0
            high = int(ordered[last]) + margin if last + 1 < len(ordered) else len(signal)
            try:
                waves[stretch] = low + _delineated(signal[low:high], rate, ordered[stretch] - low)
            except (ArithmeticError, IndexError, TypeError, ValueError):
                continue  # neurokit2 did not foresee these beats: their waves stay unknown
    return waves[beats]


def delineate_some(
    signal: NDArray[np.float64], rate: int, peaks: NDArray[np.int64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """As `delineate`, of the ``wanted`` places in ``peaks`` and perhaps others; NaN where nothing was looked for.

    ``peaks (beat,)`` ascend. Beats are delineated in fixed blocks, so that what is found for one does not depend on
    which others are wanted; a day of ECG of which few beats are wanted takes a part of the time.
    """
    waves = np.full((len(peaks), len(WAVES), 2), np.nan)
    margin = round(_MARGIN * rate)
    for first in np.unique(wanted // _BLOCK) * _BLOCK:
        before, beyond = max(0, first - _AROUND), min(len(peaks), first + _BLOCK + _AROUND)
        low, high = max(0, int(peaks[before]) - margin), int(peaks[beyond - 1]) + margin
        found = low + delineate(signal[low:high], rate, peaks[before:beyond] - low)
        waves[first : first + _BLOCK] = found[first - before :][:_BLOCK]
    return waves


def wavelet_scales(signal: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Quadratic spline wavelet transform without decimation, ``(scale, time)``, at scales 2, 4, 8, ...

    Equation 3 of Martínez et al. (2004): low-pass 1/8 (1, 3, 3, 1), high-pass 2 (1, -1), spread by two at each
    scale and without delay. The signal is 0 beyond its ends.
    """
    scales = np.empty((count, len(signal)))
    smooth = np.asarray(signal, dtype=np.float64)
    for scale in range(count):
        step = 2**scale
        padded = np.pad(smooth, (2 * step, step))
        earlier, before, now, after = (padded[i * step : i * step + len(signal)] for i in range(4))
        scales[scale] = 2 * (after - now)
        smooth = (earlier + after + 3 * (before + now)) / 8
    return scales


def _delineated(signal: NDArray[np.float64], rate: int, peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """As `delineate`, of one stretch; ``peaks`` ascend."""
    import neurokit2  # it takes seconds, and only the building of a cohort needs it

    steps = import_module("neurokit2.ecg.ecg_delineate")
    clean = neurokit2.ecg_clean(signal, sampling_rate=rate)
    fine = neurokit2.signal_resample(clean, sampling_rate=rate, desired_sampling_rate=_ANALYSIS_RATE)
    r = steps._dwt_resample_points(peaks, rate, _ANALYSIS_RATE)
    more = steps._dwt_adjust_parameters(r, _ANALYSIS_RATE, target="degree")
    scales = wavelet_scales(fine, max(_QRS_SCALE + 1, _SCALES + more))
    t, p = steps._dwt_delineate_tp_peaks(fine, r, scales, sampling_rate=_ANALYSIS_RATE)
    bounds = [
        *steps._dwt_delineate_tp_onsets_offsets(p, r, scales, _ANALYSIS_RATE),
        *_qrs_bounds(np.abs(scales[_QRS_SCALE]), r),
        *steps._dwt_delineate_tp_onsets_offsets(t, r, scales, _ANALYSIS_RATE, onset_weight=0.6, duration_onset=0.6),
    ]
    found = np.array([steps._dwt_resample_points(points, _ANALYSIS_RATE, rate) for points in bounds], dtype=np.float64)
    spans = found.T.reshape(len(peaks), len(WAVES), 2)
    spans[..., 1] += 1
    return np.where((spans[..., 0] < spans[..., 1])[..., None], spans, np.nan)


def _qrs_bounds(slope: NDArray[np.float64], peaks: list[int]) -> tuple[list[float], list[float]]:
    """First and last point of the QRS about every R peak, by the modulus of the transform, ``slope (time,)``.

    Section II-C of Martínez et al. (2004), with one threshold for all slopes; theirs were set on cleaner records.
    NaN where there is no slope, or no end to it.
    """
    before, after, core, length = (round(s * _ANALYSIS_RATE) for s in (_QRS_BEFORE, _QRS_AFTER, _QRS_CORE, _SLOPE))
    onsets, offsets = [math.nan] * len(peaks), [math.nan] * len(peaks)
    for beat, peak in enumerate(peaks):
        start = max(0, peak - before)
        least = _SIGNIFICANT * slope[max(0, peak - core) : peak + core].max()
        slopes, _ = find_peaks(slope[start : peak + after], height=least)
        if len(slopes):
            first, last = start + slopes[0], start + slopes[-1]
            onsets[beat] = first - _steps_to_rest(slope[max(0, first - length) : first + 1][::-1])
            offsets[beat] = last + _steps_to_rest(slope[last : last + length])
    return onsets, offsets


def _steps_to_rest(slope: NDArray[np.float64]) -> float:
    """Points from a slope's peak, ``slope[0]``, to where it is over: nearly nothing, or about to become another."""
    over = slope[:-1] < _ENDED * slope[0]
    over[1:] |= (slope[1:-1] <= slope[:-2]) & (slope[1:-1] < slope[2:])
    return float(over.argmax()) if over.any() else math.nan
