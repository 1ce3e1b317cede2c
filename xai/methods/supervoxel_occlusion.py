"""Occlusion by supervoxels, coarse to fine: how much the score falls when a block of alike points is set to zero."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from .memory import rows_through
from .occlusion import Channels
from .supervoxels import point_features, split, supervoxels

ROWS_AT_ONCE = 2048
PIECES = 8
"""That a refined block falls into."""
REFINED_FROM = 0.25
"""Blocks are refined whose |effect| is at least this part of the largest of their level."""


@dataclass(frozen=True)
class SupervoxelOcclusion:
    """Occlusion of at most ``count`` supervoxels, the strongest of which are split and occluded again.

    The attribution of a point is the fall in score when the finest block around it is set to zero, divided by the
    number of values set: blocks of all sizes compare, and a map adds up to the falls of its blocks. ``refine`` times,
    the blocks found last whose effect reaches a quarter of the largest are split into at most 8; at most ``count /
    8`` of them, the strongest first. ``channels``: all channels are set at once (``"joint"``), or one at a time
    (``"single"``), each with its own refinement; the blocks follow all channels.

    Cost: at most ``1 + count * (1 + refine)`` forward passes per sample, with single channels ``1 + channels * count
    * (1 + refine)``. Blocks that are zero already are not run.
    Raises ValueError for a count, refine or channels outside these.
    """

    count: int = 64
    refine: int = 1
    channels: Channels = "joint"

    def __post_init__(self) -> None:
        for name, value, least in (("count", self.count, 1), ("refine", self.refine, 0)):
            if value < least:
                raise ValueError(f"{name} is {value}; expected {least} or more.")
        if self.channels not in ("joint", "single"):
            raise ValueError(f"channels is {self.channels!r}; expected 'joint' or 'single'.")

    @property
    def name(self) -> str:
        """``occlusion_supervoxels[_n<count>][_refine<levels>][_single]``; defaults are left out."""
        return (
            "occlusion_supervoxels"
            + (f"_n{self.count}" if self.count != 64 else "")
            + (f"_refine{self.refine}" if self.refine != 1 else "")
            + ("_single" if self.channels == "single" else "")
        )

    @classmethod
    def from_name(cls, name: str) -> SupervoxelOcclusion | None:
        """The explainer of that name, None where the name is another's."""
        found = re.fullmatch(r"occlusion_supervoxels(?:_n([1-9]\d*))?(?:_refine(\d+))?(_single)?", name)
        if found is None:
            return None
        count, refine, single = found.groups()
        return cls(int(count or 64), int(refine or 1), "single" if single else "joint")

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used."""
        rows = rows_through(model, inputs, ROWS_AT_ONCE)
        with torch.no_grad():
            found = [
                self._of_sample(_Occluder(model, values, target, score, rows))
                for values, target in zip(inputs.detach(), targets, strict=True)
            ]
        return torch.stack(found)

    def _of_sample(self, occluder: _Occluder) -> Tensor:
        """The attribution ``(channel, *grid)`` of one sample."""
        # On the CPU, so that every device and every run has the same blocks.
        values = occluder.values.cpu()
        blocks = supervoxels(values, self.count)
        features = point_features(values, spacing=(blocks.numel() / self.count) ** (1 / blocks.ndim))
        channels = len(occluder.values)
        groups = [slice(0, channels)] if self.channels == "joint" else [slice(c, c + 1) for c in range(channels)]
        heat = torch.empty_like(occluder.values)
        for group in groups:
            heat[group] = self._of_group(occluder, group, blocks, features)
        return heat

    def _of_group(self, occluder: _Occluder, group: slice, blocks: Tensor, features: Tensor) -> Tensor:
        """The attribution ``(*grid)`` of some channels."""
        falls = occluder.falls(group, blocks, _numbers(blocks, 0))
        newest = 0
        for _ in range(self.refine):
            chosen = self._strongest(falls[newest:]) + newest
            newest = len(falls)
            blocks = _refined(blocks, features, chosen, newest)
            falls = torch.cat([falls, occluder.falls(group, blocks, _numbers(blocks, newest))])
        sizes = torch.bincount(blocks.flatten(), minlength=len(falls)) * len(occluder.values[group])
        return (falls / sizes.clamp_min(1))[blocks]

    def _strongest(self, falls: Tensor) -> Tensor:
        """Places ``(chosen,)`` of the falls whose blocks are split, the strongest first."""
        effects, order = falls.abs().sort(descending=True, stable=True)
        reaching = (effects > 0) & (effects >= REFINED_FROM * effects[:1])
        return order[reaching][: self.count // PIECES]


@dataclass(frozen=True)
class _Occluder:
    """One sample ``values (channel, *grid)``, what is asked of it, and how many copies are run at once."""

    model: Classifier
    values: Tensor
    target: Tensor
    score: ScoreOperator
    rows: int

    @cached_property
    def whole(self) -> Tensor:
        """The score of the sample as it is, ``(1,)``."""
        return self._scores(self.values.unsqueeze(0))

    def falls(self, group: slice, blocks: Tensor, numbers: Tensor) -> Tensor:
        """Fall in score ``(number,)`` when the channels of ``group`` are zero in each block of these numbers.

        ``blocks (*grid)`` holds the number of each point's block; it and the falls are on the CPU.
        """
        falls = torch.zeros(len(numbers), dtype=self.values.dtype)
        filled = torch.unique(blocks[(self.values[group] != 0).any(dim=0).cpu()])
        places = torch.isin(numbers, filled).nonzero().squeeze(1)
        for some in places.split(self.rows):
            inside = (blocks == numbers[some].view(-1, *[1] * blocks.ndim)).to(self.values.device)
            copies = self.values.repeat(len(some), *[1] * self.values.ndim)
            copies[:, group] = copies[:, group].masked_fill(inside.unsqueeze(1), 0)
            falls[some] = (self.whole - self._scores(copies)).to(falls)
        return falls

    def _scores(self, copies: Tensor) -> Tensor:
        return self.score(self.model(copies), self.target.expand(len(copies)))


def _numbers(blocks: Tensor, first: int) -> Tensor:
    """The blocks' numbers from ``first`` on."""
    return torch.arange(first, int(blocks.max()) + 1)


def _refined(blocks: Tensor, features: Tensor, chosen: Tensor, first: int) -> Tensor:
    """The blocks ``(*grid)`` with the chosen ones split; the pieces are numbered from ``first`` on."""
    flat = blocks.flatten().clone()
    for number in chosen.tolist():
        inside = (flat == number).nonzero().squeeze(1)
        pieces = split(features[inside], PIECES)
        flat[inside] = pieces + first
        first += int(pieces.max()) + 1
    return flat.view_as(blocks)
