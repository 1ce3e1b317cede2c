"""Long signals in few points: what a picture of a thousand columns can show of them, no spike lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats


def envelope(signal: Floats, columns: int) -> Floats:
    """Least and greatest value of ``signal (time,)`` in each of at most ``columns`` equal stretches.

    Returns ``(column, 2)``. No spike is lost, however long the recording. A stretch of NaN only is NaN.
    """
    signal = np.asarray(signal, dtype=float)
    edges = stretches(len(signal), columns)
    return np.stack([np.fmin.reduceat(signal, edges[:-1]), np.fmax.reduceat(signal, edges[:-1])], axis=1)


def stretches(points: int, columns: int) -> NDArray[np.int64]:
    """Edges ``(column + 1,)`` of at most ``columns`` stretches of equal length, to a point, over so many points."""
    return np.linspace(0, points, min(columns, points) + 1).astype(np.int64)


def strongest(values: Floats, columns: int, neutral: float) -> Floats:
    """The value farthest from ``neutral`` in each of at most ``columns`` stretches of ``values (time,)``.

    Returns ``(column,)``, NaN where a stretch holds nothing else.
    """
    edges = stretches(len(values), columns)
    high, low = np.fmax.reduceat(values, edges[:-1]), np.fmin.reduceat(values, edges[:-1])
    return np.where(high - neutral >= neutral - low, high, low)
