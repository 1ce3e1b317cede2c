"""Does a map mark what the network uses? What the score loses without the marked points, against random ones.

A filter that marks more points takes more of the score away, whatever they are: only against as many random points of
the brain does it show whether a map has become truer, or only larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ..methods.memory import rows_through
from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from ..seeding import uniform
from .curves import area
from .forward import scalar_index, score_rows
from .inclusivity import channel_metrics
from .localisation import marked
from .perturbation import can_rank

ROWS_AT_ONCE = 512
COLUMNS = (
    "sample", "explainer", "area", "inclusivity", "input_inclusivity", "precision", "dice", "auprc",
    "deletion_auc", "random_deletion_auc", "deletion_gain",
)  # fmt: skip
PLACES = COLUMNS[2:8]
DELETIONS = COLUMNS[8:]


def sweep_table(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    sweep: Mapping[str, Tensor],
    evidence: Tensor,
    brain: Tensor,
    *,
    score: ScoreOperator = LOGIT,
    seeds: Tensor,
    steps: int = 4,
    draws: int = 2,
) -> pd.DataFrame:
    """Where each map of a sweep lies, and what the score loses without the points that it marks.

    ``inputs`` and the maps of ``sweep``, by name, are ``(sample, channel, *grid)``; the bool ``evidence`` and ``brain``
    ``(sample, 1, *grid)``. Returns one row per sample and map, columns `COLUMNS`. The metrics of place are the means
    over channels of `channel_metrics`, undefined channels left out. ``deletion_auc``: area under the score, as part
    of the whole input's size, while the marked points of all channels are set to 0 in ``steps`` equal parts, strongest
    |attribution| first, equals in random order; ``random_deletion_auc``: the same of as many points of each channel
    drawn from the brain (beyond it only where the brain has fewer), mean of ``draws``; ``deletion_gain`` the second
    less the first: above 0 where the marked points matter more than random ones. Draws follow ``seeds (sample,)``.
    Undefined, NaN, where a map is constant in every channel or the whole input's score is 0.

    Costs ``1 + steps * (1 + draws)`` forward passes per sample and map.
    """
    rows = []
    together = rows_through(model, inputs, ROWS_AT_ONCE)
    for sample in range(len(inputs)):
        here = slice(sample, sample + 1)
        inside = brain[sample].to(inputs.device)
        deletion = _Deletion(model, inputs[sample], targets[here], inside, score, seeds[here], steps, draws)
        for name, maps in sweep.items():
            attributions = maps[here].to(inputs.device)
            found = {"sample": sample, "explainer": name, **_places(attributions, evidence[here], inputs[here])}
            rows.append(found | deletion.of(attributions[0], together))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _places(attributions: Tensor, evidence: Tensor, inputs: Tensor) -> dict[str, float]:
    """The metrics of place of one sample ``(1, channel, *grid)``, means over its channels."""
    found = channel_metrics(attributions, evidence, inputs)
    return {name: float(found[name].nanmean()) for name in PLACES}


@dataclass(frozen=True)
class _Deletion:
    """One sample ``values (channel, *grid)`` from which points are taken, and how."""

    model: Classifier
    values: Tensor
    target: Tensor
    brain: Tensor
    score: ScoreOperator
    seed: Tensor
    steps: int
    draws: int

    def of(self, attribution: Tensor, together: int) -> dict[str, float]:
        """The areas under the score for one map, at most so many copies run ``together``."""
        if not can_rank(attribution.unsqueeze(0)):
            return dict.fromkeys(DELETIONS, float("nan"))
        inside = marked(attribution.unsqueeze(0))[0]
        orders = [_ranks(inside, attribution.abs(), self._noise("ties"))]
        for draw in range(self.draws):
            noise = self._noise(str(draw))
            orders.append(_ranks(_as_many(inside, self.brain, noise), noise, noise))
        own, *others = self._areas(torch.stack(orders), int(inside.sum()), together)
        chance = sum(others) / len(others)
        return dict(zip(DELETIONS, (own, chance, chance - own), strict=True))

    def _areas(self, ranks: Tensor, size: int, together: int) -> list[float]:
        """Area under the score for each of the orders ``(order, channel, *grid)`` of ``size`` points."""
        counts = torch.tensor([round(step * size / self.steps) for step in range(1, self.steps + 1)])

        def build(rows: Tensor) -> tuple[Tensor, Tensor]:
            order, step = (rows - 1).clamp_min(0) // self.steps, (rows - 1) % self.steps
            # Row 0 is the sample as it is.
            count = torch.where(rows == 0, 0, counts[step]).to(ranks.device).view(-1, *[1] * self.values.ndim)
            removed = ranks[order.to(ranks.device)] < count
            return self.values.masked_fill(removed, 0.0), self.target.expand(len(rows))

        found = score_rows(self.model, 1 + len(ranks) * self.steps, build, together)[:, scalar_index(self.score)]
        curves = torch.cat([found[:1].expand(len(ranks), 1), found[1:].view(len(ranks), self.steps)], dim=1)
        areas = area(curves, torch.linspace(0, 1, self.steps + 1, dtype=torch.float64))
        return [float(value) for value in areas / found[0].abs().masked_fill(found[0] == 0, torch.nan)]

    def _noise(self, stream: str) -> Tensor:
        return uniform(self.seed, f"region_deletion/{stream}", self.values.shape)[0].to(self.values.device)


def _ranks(inside: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
    """Rank of each point: those ``inside`` first, among them the stronger first, equals by the noise."""
    order = noise.flatten().argsort(stable=True)
    for key in (strength, inside.int()):
        order = order[key.flatten()[order].argsort(descending=True, stable=True)]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    return ranks.view(inside.shape)


def _as_many(inside: Tensor, brain: Tensor, noise: Tensor) -> Tensor:
    """As many points of each channel as are ``inside``, drawn by the noise, those of the brain before all others."""
    order = (noise + brain).flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    chosen = torch.empty_like(order).scatter_(1, order, places) < inside.flatten(1).sum(dim=1, keepdim=True)
    return chosen.view(inside.shape)
