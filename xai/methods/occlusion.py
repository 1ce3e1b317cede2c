"""Occlusion: how much the score falls when a window of the input is replaced by a value.

Zeiler & Fergus (2014); for signals van der Westhuizen & Lasenby (2017), section 4. Equal to captum's
`Occlusion`, edges included: along each axis of the grid windows start every ``stride`` points until one
reaches the end, and the last one is cut there. Where time is the scan line of an image, the grid is that image:
a block of 5 x 5 pixels is 5 runs of 5 steps, one row apart (section 4.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, PROBABILITY, ScoreOperator
from .memory import VOLUME_AXES
from .occluded import Read, occluded_values, samples_at_once
from .windows import Extent, Windows, axis_pairs, extent_of, extent_text

Fill = Literal["mean", "mode"]
Channels = Literal["joint", "single"]
Direction = Literal["corrected", "paper"]
MOST_WINDOWS_OF_A_VOLUME = 8192
"""Each is a run of a network on a volume: more would take hours, without a word."""

_NAME = re.compile(
    r"occlusion_w(\d+(?:x\d+)*)(?:_s(\d+(?:x\d+)*))?(?:_v([^_]+?))?(?:_scan([1-9]\d*))?(_single)?(-paper)?"
)


@dataclass(frozen=True)
class Occlusion:
    """Occlusion with windows of ``width`` points every ``stride`` points of the grid.

    ``width`` and ``stride`` hold for every axis of the grid, or are given per axis as tuples; no stride
    exceeds its width, so that every point is covered. ``value`` replaces the input: a number in normalised
    units, or the ``"mean"`` or ``"mode"`` (most frequent value, the smallest of equals) of each channel of
    each sample. ``channels``: windows cover all channels (``"joint"``) or one at a time (``"single"``).
    ``scan``: time is the scan line of an image of so many columns, read row by row, and the grid is that image,
    ``(time / scan, scan)``; None where the grid is the inputs' own.

    ``direction="corrected"``: the mean over the windows covering a point of the fall in score, high where
    important. ``"paper"``: the sum over the covering windows of the class probability that is left, as
    printed: high where *un*important, larger where more windows cover, in probability whatever ``score``
    says, and not rescaled (`minmax` does that for display).

    Raises ValueError for a width, stride, value, channels, direction or scan outside these.
    """

    width: Extent
    stride: Extent = 1
    value: float | Fill = 0.0
    channels: Channels = "joint"
    direction: Direction = "corrected"
    scan: int | None = None

    def __post_init__(self) -> None:
        for width, stride in axis_pairs(self.width, self.stride):
            if not 1 <= stride <= width:
                raise ValueError(f"stride is {stride} for width {width}; expected 1 to the width.")
        known = self.value in get_args(Fill) if isinstance(self.value, str) else isfinite(self.value)
        if not known:
            raise ValueError(f"value is {self.value!r}; expected a finite number or one of {get_args(Fill)}.")
        if self.channels not in get_args(Channels):
            raise ValueError(f"channels is {self.channels!r}; expected one of {get_args(Channels)}.")
        if self.direction not in get_args(Direction):
            raise ValueError(f"direction is {self.direction!r}; expected one of {get_args(Direction)}.")
        if self.scan is not None and self.scan < 1:
            raise ValueError(f"scan is {self.scan}; expected the image's columns, 1 or more.")

    @property
    def name(self) -> str:
        """``occlusion_w<width>[_s<stride>][_v<value>][_scan<columns>][_single][-paper]``; defaults are left out.

        Widths and strides per axis are joined by x: ``occlusion_w5x5``.
        """
        value = self.value if isinstance(self.value, str) else str(float(self.value)).removesuffix(".0")
        return (
            f"occlusion_w{extent_text(self.width)}"
            + (f"_s{extent_text(self.stride)}" if self.stride != 1 else "")
            + (f"_v{value}" if self.value != 0 else "")
            + (f"_scan{self.scan}" if self.scan else "")
            + ("_single" if self.channels == "single" else "")
            + ("-paper" if self.direction == "paper" else "")
        )

    @classmethod
    def from_name(cls, name: str) -> Occlusion | None:
        """The occlusion of that name, None where the name is no occlusion's."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        width, stride, value, scan, single, paper = found.groups()
        try:
            return cls(
                width=extent_of(width),
                stride=extent_of(stride or "1"),
                value=cast(Fill, value) if value in get_args(Fill) else float(value or 0),
                channels="single" if single else "joint",
                direction="paper" if paper else "corrected",
                scan=int(scan) if scan else None,
            )
        except ValueError:
            return None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used.

        Under ``channels="joint"`` all channels of a point get the same value. Of models with
        `interval_logits` only what each window changes is run again.
        Raises ValueError where a window is larger than the grid, time no multiple of ``scan``, or a volume has more
        windows than `MOST_WINDOWS_OF_A_VOLUME`.
        """
        by_class = self._window_values(model, inputs, self._judged_by(score).of_classes)
        # Where the score of every class has been read, the target's is the one at its place.
        return self._heat(window_scores(by_class, targets, LOGIT), inputs)

    def window_logits(self, model: Classifier, inputs: Tensor) -> Tensor:
        """Logits ``(group, 1 + window, sample, class, *grid)`` of the whole inputs and with each window occluded.

        A group is a channel under ``channels="single"``, else all of them; windows are in the order of
        `windows_on`. `attribution_of` reads maps off them; raises as `attribute`.
        """
        return self._window_values(model, inputs, lambda logits: logits)

    def _window_values(self, model: Classifier, inputs: Tensor, read: Read) -> Tensor:
        """What ``read`` keeps of the logits of `window_logits`."""
        windows = self.windows_on(inputs)
        parts = -(-len(inputs) // samples_at_once(model, inputs, windows))
        with torch.no_grad():
            values = [self._group_values(model, part, windows, read) for part in inputs.chunk(parts)]
        return torch.cat(values, dim=2)

    def attribution_of(
        self, logits: Tensor, targets: Tensor, inputs: Tensor, *, score: ScoreOperator = LOGIT
    ) -> Tensor:
        """The attribution that `attribute` returns, from the ``logits`` of `window_logits` on these ``inputs``."""
        return self._heat(window_scores(logits, targets, self._judged_by(score)), inputs)

    def _judged_by(self, score: ScoreOperator) -> ScoreOperator:
        return PROBABILITY if self.direction == "paper" else score

    def _heat(self, scores: Tensor, inputs: Tensor) -> Tensor:
        """The attribution from the scores ``(sample, group, 1 + window)``."""
        windows = self.windows_on(inputs)
        whole, left = scores[..., :1], scores[..., 1:]
        judged = left if self.direction == "paper" else whole - left
        heat = windows.sum_over_covering(judged.unflatten(2, windows.counts))
        if self.direction == "corrected":
            heat = heat / windows.covering(heat)
        return heat.reshape(len(inputs), -1, *inputs.shape[2:]).expand_as(inputs).contiguous()

    def windows_on(self, inputs: Tensor) -> Windows:
        """Where the windows lie on the grid of ``inputs (sample, channel, *grid)``; raises as `attribute`."""
        if self.scan is None:
            windows = Windows.on(inputs.shape[2:], self.width, self.stride)
            if inputs.dim() == VOLUME_AXES and windows.count > MOST_WINDOWS_OF_A_VOLUME:
                raise ValueError(
                    f"{self.name} has {windows.count:,} windows on the grid {windows.grid}; expected at most "
                    f"{MOST_WINDOWS_OF_A_VOLUME:,}: a stride of half the width, as in occlusion_w10_s5, or "
                    "occlusion_supervoxels."
                )
            return windows
        if inputs.dim() != 3 or inputs.shape[2] % self.scan:
            raise ValueError(
                f"inputs have shape {tuple(inputs.shape)}; expected (sample, channel, time) with time a multiple of "
                f"the scan's {self.scan} columns."
            )
        image = torch.Size((inputs.shape[2] // self.scan, self.scan))
        return Windows.on(image, self.width, self.stride)

    def _group_values(self, model: Classifier, inputs: Tensor, windows: Windows, read: Read) -> Tensor:
        """As `_window_values`, for samples whose occluded copies are evaluated together."""
        filled = _fill(inputs, self.value)
        groups = _channel_groups(inputs.shape[1], self.channels)
        return torch.stack(
            [occluded_values(model, inputs, _with_channels(inputs, filled, group), windows, read) for group in groups]
        )


def window_scores(logits: Tensor, targets: Tensor, score: ScoreOperator) -> Tensor:
    """Scores ``(sample, group, 1 + window)`` of the logits of `Occlusion.window_logits`, whole inputs first."""
    flat = score(logits.flatten(0, 2), targets.repeat(logits.shape[0] * logits.shape[1]))
    return flat.view(logits.shape[:3]).movedim(2, 0)


def minmax(attribution: Tensor) -> Tensor:
    """Each sample's attribution stretched to [0, 1], for display; NaN where a sample's is constant."""
    flat = attribution.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    return ((flat - low) / (high - low)).view_as(attribution)


def _fill(inputs: Tensor, value: float | Fill) -> Tensor:
    """What the windows are replaced by, in the shape of the inputs."""
    if not isinstance(value, str):
        return inputs.new_tensor(value).expand_as(inputs)
    flat = inputs.flatten(2)
    filled = flat.mean(2) if value == "mean" else flat.mode(2).values
    return filled.view(*filled.shape, *[1] * (inputs.dim() - 2)).expand_as(inputs)


def _channel_groups(channels: int, how: Channels) -> list[slice]:
    return [slice(0, channels)] if how == "joint" else [slice(c, c + 1) for c in range(channels)]


def _with_channels(inputs: Tensor, filled: Tensor, group: slice) -> Tensor:
    occluded = inputs.clone()
    occluded[:, group] = filled[:, group]
    return occluded
