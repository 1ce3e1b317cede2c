"""What a sample is when it is drawn: its channels, its clock, and whether it is an image in scan lines or a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


class Described(Protocol):
    """What a cohort says of its samples."""

    channels: tuple[str, ...]
    units: tuple[str, ...]
    sampling_rate: float
    image: tuple[int, int] | None
    volume: tuple[int, int, int] | None
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Geometry:
    """The grid that all samples of a cohort share: ``(channel, time)`` or ``(channel, depth, height, width)``.

    ``channels`` and ``units``: name and unit of each channel. ``rate``: hertz. ``origin``: the window's point
    at time 0; above 0 it lies at a beat, and times are milliseconds around it, else seconds from the window's
    start. ``image``: height and width where time is the scan line of an image, row by row. ``volume``: depth, height
    and width where samples are volumes, ``spacing`` the millimetres between their voxels along these, None where
    unknown: voxels are then drawn as squares.

    Raises ValueError where channels and units differ in number, the rate is not positive, an image has
    more than one channel, or samples would be an image and a volume at once.
    """

    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate: float
    origin: int = 0
    image: tuple[int, int] | None = None
    volume: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.units) or not self.channels:
            raise ValueError(f"units are {self.units}; expected one for each of the channels {self.channels}.")
        if not self.rate > 0:
            raise ValueError(f"rate is {self.rate}; expected a positive number of hertz.")
        if self.image and len(self.channels) > 1:
            raise ValueError(f"channels are {self.channels}; expected one, because the samples are images.")
        if self.image and self.volume:
            raise ValueError(f"image is {self.image} and volume {self.volume}; expected one of them at most.")

    @classmethod
    def of(cls, cohort: Described) -> Geometry:
        """The geometry of a cohort's samples."""
        return cls(
            channels=tuple(cohort.channels),
            units=tuple(cohort.units),
            rate=float(cohort.sampling_rate),
            origin=int(cohort.manifest["origin"]),
            image=cohort.image,
            volume=cohort.volume,
        )

    @property
    def time_unit(self) -> str:
        """``ms`` around a beat, else ``s``."""
        return "ms" if self.origin else "s"

    @property
    def time_label(self) -> str:
        """Words for the axis of time."""
        return f"time relative to the beat ({self.time_unit})" if self.origin else f"time ({self.time_unit})"

    def times(self, steps: int) -> Floats:
        """Time of each step, ``(steps,)``, in ``time_unit``."""
        scale = 1000.0 if self.origin else 1.0
        return (np.arange(steps) - self.origin) * (scale / self.rate)

    def half_step(self) -> float:
        """Half the distance of two steps in ``time_unit``."""
        return (1000.0 if self.origin else 1.0) / self.rate / 2

    def channel_label(self, channel: int) -> str:
        """Name and unit of a channel, ``ABP (mmHg)``."""
        name, unit = self.channels[channel], self.units[channel]
        return name if unit in ("", name) else f"{name} ({unit})"

    def signal(self, signal: Floats) -> Floats:
        """The signal as floats ``(channel, *grid)``; ValueError where its shape is not this geometry's."""
        signal = np.asarray(signal, dtype=float)
        if self.volume:
            expected = (len(self.channels), *self.volume)
            if signal.shape != expected:
                raise ValueError(
                    f"the signal has shape {signal.shape}; expected (channel, depth, height, width) {expected}."
                )
            return signal
        if signal.ndim != 2 or signal.shape[0] != len(self.channels):
            raise ValueError(
                f"the signal has shape {signal.shape}; expected (channel, time) with {len(self.channels)} channels."
            )
        if self.image and signal.shape[1] != self.image[0] * self.image[1]:
            height, width = self.image
            raise ValueError(f"the signal has {signal.shape[1]} steps; expected {height} x {width} of an image.")
        return signal

    def map_of(self, signal: Floats, attribution: Floats, name: str) -> Floats:
        """An explainer's map as floats in the shape of the signal; ValueError where its shape differs."""
        signal, attribution = self.signal(signal), np.asarray(attribution, dtype=float)
        if attribution.shape != signal.shape:
            raise ValueError(
                f"the attribution of {name!r} has shape {attribution.shape}; expected the signal's {signal.shape}."
            )
        return attribution

    def picture(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values ``(1, time)`` or ``(time,)`` of an image as ``(height, width)``."""
        if self.image is None:
            raise ValueError("the geometry has no image; expected height and width.")
        return np.asarray(values).reshape(self.image)

    @property
    def voxel_aspect(self) -> float:
        """Height of a voxel over its width."""
        return self.spacing[1] / self.spacing[2] if self.spacing else 1.0

    @property
    def slice_aspect(self) -> float:
        """Height of a slice of the volume over its width."""
        if self.volume is None:
            raise ValueError("the geometry has no volume; expected depth, height and width.")
        return self.volume[1] / self.volume[2] * self.voxel_aspect


def mask_of(mask: Mask | None, channel: int) -> Mask | None:
    """The evidence's row of a channel; a mask ``(time,)`` holds for every channel."""
    if mask is None:
        return None
    mask = np.asarray(mask, dtype=bool)
    return mask if mask.ndim == 1 else mask[channel]
