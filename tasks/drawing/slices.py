"""Which slice and which channel of a volume a picture shows, and what is cut out of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .geometry import Floats, Geometry, Mask


@dataclass(frozen=True)
class Slice:
    """A slice across the depth of a volume, its number from 0, and why it is the one shown."""

    depth: int
    slices: int
    reason: str

    @property
    def words(self) -> str:
        """``slice 9 of 19 (most evidence)``, counted from 1."""
        return f"slice {self.depth + 1} of {self.slices} ({self.reason})"


def chosen_slice(maps: Iterable[Floats], mask: Mask | None) -> Slice:
    """The slice with the most evidence, where there is none that with the most absolute attribution.

    ``maps`` are ``(channel, depth, height, width)``, each divided by its largest magnitude, so that no map outvotes
    the others; ``mask`` is ``(depth, height, width)``. Of equals the first.
    """
    if mask is not None and mask.any():
        amounts, reason = mask.sum(axis=(1, 2)), "most evidence"
    else:
        amounts, reason = np.sum([_amounts(values) for values in maps], axis=0), "most attribution"
    return Slice(int(np.argmax(amounts)), len(amounts), reason)


def _amounts(values: Floats) -> Floats:
    """Share of the absolute attribution in each slice; a map without any adds nothing."""
    magnitudes = np.nan_to_num(np.abs(values), nan=0.0, posinf=0.0)
    return magnitudes.sum(axis=(0, 2, 3)) / (magnitudes.max() or 1.0)


def leading_channel(values: Floats, depth: int) -> int:
    """The channel of ``(channel, depth, height, width)`` with the most absolute attribution in a slice."""
    return int(np.argmax(np.nansum(np.abs(values[:, depth]), axis=(1, 2))))


def volume_mask(geometry: Geometry, mask: Mask | None) -> Mask | None:
    """Evidence as one mask ``(depth, height, width)``: what is marked in any channel.

    ``mask`` is that already, or has a channel axis of 1 or of the geometry's channels. ValueError for another shape.
    """
    if mask is None:
        return None
    found = np.asarray(mask, dtype=bool)
    if found.ndim == 4 and len(found) in (1, len(geometry.channels)):
        found = np.logical_or.reduce(found)
    if found.shape != geometry.volume:
        raise ValueError(f"the evidence has shape {np.shape(mask)}; expected (channel or 1, *{geometry.volume}).")
    return found
