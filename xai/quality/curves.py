"""Perturbation curves, most and least relevant first, and the metrics read off them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocols import Classifier
from .forward import score_inputs, score_rows
from .perturbation import Baseline, replace


@dataclass(frozen=True)
class Grid:
    """At which numbers of removed features a curve is measured.

    ``counts`` ascend from 0 to ``features``. ``even`` are the positions in ``counts`` of the evenly
    spaced steps; ``tops`` the positions where the top shares are removed, ``rests`` where all but them.
    """

    features: int
    counts: tuple[int, ...]
    even: tuple[int, ...]
    tops: tuple[int, ...]
    rests: tuple[int, ...]

    @property
    def fractions(self) -> Tensor:
        """Fraction of the features removed at each point, ``(point,)`` float64 in [0, 1]."""
        return torch.tensor(self.counts, dtype=torch.float64) / self.features


def grid_for(features: int, steps: int, tops: Sequence[float]) -> Grid:
    """The grid of ``steps`` even steps (at most one per feature) with the shares ``tops`` added.

    A share stands for at least one feature. Counts of removed features are whole, so that the
    evenly spaced steps are even up to one feature.
    """
    steps = min(steps, features)
    even = [round(step * features / steps) for step in range(steps + 1)]
    top = [max(1, round(share * features)) for share in tops]
    rest = [features - count for count in top]
    counts = sorted({*even, *top, *rest})
    place = {count: position for position, count in enumerate(counts)}
    positions = [tuple(place[count] for count in chosen) for chosen in (even, top, rest)]
    return Grid(features, tuple(counts), *positions)


@dataclass(frozen=True)
class Curves:
    """Scores ``(sample, point, 2)`` float64 (logit, probability) while features are removed.

    ``morf`` removes the most relevant features first, ``lerf`` in exactly the reverse order.
    """

    morf: Tensor
    lerf: Tensor


def score_emptied(model: Classifier, inputs: Tensor, targets: Tensor, baseline: Baseline, batch_size: int) -> Tensor:
    """Scores ``(sample, 2)`` of the inputs with every feature removed."""
    return score_inputs(
        model, replace(inputs, torch.ones_like(inputs, dtype=torch.bool), baseline), targets, batch_size
    )


def perturbation_curves(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    ranks: Tensor,
    baseline: Baseline,
    counts: Sequence[int],
    *,
    whole: Tensor,
    emptied: Tensor,
    batch_size: int,
) -> Curves:
    """Both curves of one attribution at ``counts``, which ascend from 0 to the number of features.

    ``ranks (sample, feature)`` come from `descending_ranks`. ``whole`` and ``emptied`` are the scores
    ``(sample, 2)`` of the ends, the same for every explainer and both orders, so they are not run again.
    """
    samples, inner = len(inputs), len(counts) - 2
    features = ranks.shape[1]
    removals = torch.tensor(counts[1:-1], device=inputs.device)

    def build(rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = rows.to(inputs.device)
        sample, point = rows % samples, rows // samples
        count = removals[point % inner].unsqueeze(1)
        rank = ranks[sample]
        least_first = (point >= inner).unsqueeze(1)
        removed = torch.where(least_first, rank >= features - count, rank < count)
        return replace(inputs[sample], removed.view(-1, *inputs.shape[1:]), baseline), targets[sample]

    if inner == 0:
        between = whole.new_empty(2, 0, samples, whole.shape[1])
    else:
        between = score_rows(model, 2 * inner * samples, build, batch_size).view(2, inner, samples, -1)
    morf, lerf = (
        torch.cat([whole.unsqueeze(1), points.transpose(0, 1), emptied.unsqueeze(1)], dim=1) for points in between
    )
    return Curves(morf, lerf)


def area(curve: Tensor, fractions: Tensor) -> Tensor:
    """Trapezoid area ``(sample,)`` under a curve ``(sample, point)`` over the fraction removed."""
    return torch.trapezoid(curve, fractions.to(curve.device), dim=1)


def insertion_curve(lerf: Tensor) -> Tensor:
    """The curve ``(sample, point)`` while features are restored by descending relevance.

    Restoring the top k leaves the least relevant n - k removed: it is the other curve read backwards, at
    fractions restored ``1 - fractions`` reversed (Petsiuk et al., 2018; the same baseline as deletion).
    """
    return lerf.flip(1)


def curve_metrics(morf: Tensor, lerf: Tensor, grid: Grid) -> dict[str, Tensor]:
    """The metrics ``(sample,)`` of one scalar's two curves ``(sample, point)``.

    The area under the MoRF curve is deletion's, and the one under the LeRF curve, read backwards, insertion's, so
    neither has a second name. AOPC and AbPC are means over the evenly spaced points, k = 0 included, never
    clamped (Samek et al., 2017, eq. 12). Comprehensiveness and sufficiency are means over the top shares
    (DeYoung et al., 2020).
    """
    whole = morf[:, :1]
    even = list(grid.even)
    restored = (1 - grid.fractions).flip(0)
    return {
        "deletion_auc": area(morf, grid.fractions),
        "insertion_auc": area(insertion_curve(lerf), restored),
        "aopc": (whole - morf[:, even]).mean(dim=1),
        "abpc": (lerf[:, even] - morf[:, even]).mean(dim=1),
        "comprehensiveness": (whole - morf[:, list(grid.tops)]).mean(dim=1),
        "sufficiency": (whole - lerf[:, list(grid.rests)]).mean(dim=1),
    }
