"""The rows of the table, a module for every kind of job."""

from __future__ import annotations

from ..row import Row
from . import demographics, learned_mask, lrp, metrics, occlusion, reading, recurrent_lrp, temporal_scores

ROWS: tuple[Row, ...] = (
    *occlusion.ROWS,
    *temporal_scores.ROWS,
    *lrp.ROWS,
    *recurrent_lrp.ROWS,
    *learned_mask.ROWS,
    *metrics.ROWS,
    *demographics.ROWS,
    *reading.ROWS,
)
