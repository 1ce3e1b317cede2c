"""Does the attribution lie on the evidence? Masks of the points that make the label true."""

from __future__ import annotations

import torch
from torch import Tensor

from .metric import AREA_CORRECTED_SUFFIX
from .perturbation import can_rank

INCLUSIVITY_THRESHOLD = 0.5
"""Part of the channel's largest absolute attribution above which a point counts as marked."""
INPUT_THRESHOLD = 0.1
"""Part of the channel's largest absolute input above which a point counts as signal."""


def localisation_metrics(attributions: Tensor, evidence: Tensor) -> dict[str, Tensor]:
    """Every localisation metric ``(sample,)``, plain and area-corrected.

    ``attributions`` are ``(sample, channel, *grid)``; so is the bool ``evidence``, in all that follows, or it has one
    channel that holds for all. The area-corrected score is
    (score - area) / (1 - area), where area is the score that chance reaches: the evidence's share of the grid,
    for inclusivity the share of the grid that is marked, for Dice that of as many random points. NaN where the
    evidence is empty or the whole grid, and where the attribution is constant.
    """
    mask = _features(evidence, attributions)
    share = mask.double().mean(dim=1)
    undefined = (share == 0) | (share == 1) | ~can_rank(attributions)
    descending = _descending(attributions, evidence)
    scores = {
        "relevance_mass": (relevance_mass(attributions, evidence), share),
        "relevance_rank": (_relevance_rank(*descending), share),
        "pointing_game": (pointing_game(attributions, evidence), share),
        "auprc": (_auprc(*descending), share),
        "inclusivity": (
            inclusivity(attributions, evidence),
            marked(attributions).flatten(1).double().mean(dim=1),
        ),
        "precision": (precision(attributions, evidence), share),
        "dice": (dice(attributions, evidence), _dice_by_chance(attributions, share)),
    }
    return _with_correction(scores, undefined)


def input_metrics(attributions: Tensor, inputs: Tensor) -> dict[str, Tensor]:
    """How far the attribution covers the signal itself ``(sample,)``, plain and area-corrected; needs no evidence.

    ``input_inclusivity`` is D(attribution, input): the share of the points with |input| above a tenth of the
    channel's largest that are marked. It says where a map lies, not whether it is right. NaN where the input is
    signal everywhere or nowhere, and where the attribution is constant.
    """
    signal = _above(inputs, INPUT_THRESHOLD)
    share = signal.flatten(1).double().mean(dim=1)
    undefined = (share == 0) | (share == 1) | ~can_rank(attributions)
    score = (inclusivity(attributions, signal), marked(attributions).flatten(1).double().mean(dim=1))
    return _with_correction({"input_inclusivity": score}, undefined)


def _with_correction(scores: dict[str, tuple[Tensor, Tensor]], undefined: Tensor) -> dict[str, Tensor]:
    """Each score and its area-corrected twin, given with the score that chance reaches."""
    results = {}
    for name, (score, area) in scores.items():
        results[name] = score.masked_fill(undefined, torch.nan)
        corrected = area_corrected(score, area)
        results[name + AREA_CORRECTED_SUFFIX] = corrected.masked_fill(undefined, torch.nan)
    return results


def area_corrected(score: Tensor, area: Tensor) -> Tensor:
    """(score - area) / (1 - area): 0 is chance, 1 perfect; NaN where area is 1."""
    return ((score - area) / (1 - area)).masked_fill(area == 1, torch.nan)


def relevance_mass(attributions: Tensor, evidence: Tensor) -> Tensor:
    """Share of the positive attribution inside the evidence; NaN where none is positive (Arras, 2022)."""
    positive = attributions.flatten(1).double().clamp_min(0)
    return (positive * _features(evidence, attributions)).sum(dim=1) / positive.sum(dim=1)


def relevance_rank(attributions: Tensor, evidence: Tensor) -> Tensor:
    """Share of the evidence among as many points of highest attribution (Arras et al., 2022)."""
    return _relevance_rank(*_descending(attributions, evidence))


def pointing_game(attributions: Tensor, evidence: Tensor) -> Tensor:
    """1 where the highest attribution (the first one of equals) lies in the evidence, else 0."""
    # Of equal maxima `argmax` gives the first.
    highest = attributions.flatten(1).argmax(dim=1, keepdim=True)
    return _features(evidence, attributions).gather(1, highest).squeeze(1).double()


def auprc(attributions: Tensor, evidence: Tensor) -> Tensor:
    """Average precision of the attribution as a detector of evidence points, within one sample.

    Points of equal attribution pass the threshold together, so their order cannot matter.
    """
    return _auprc(*_descending(attributions, evidence))


def _descending(attributions: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Each sample's attributions, the highest first, and the number of evidence points so far ``(sample, feature)``.

    Of equals the first comes first, as in `descending_ranks`. Volumes are large: who needs both scores sorts once.
    """
    values, order = attributions.flatten(1).sort(dim=1, descending=True, stable=True)
    return values, _features(evidence, attributions).gather(1, order).double().cumsum(dim=1)


def _relevance_rank(values: Tensor, found: Tensor) -> Tensor:
    points = found[:, -1:]
    return (found.gather(1, points.long().sub(1).clamp_min(0)) / points).squeeze(1)


def _auprc(values: Tensor, found: Tensor) -> Tensor:
    marked_points = torch.arange(1, values.shape[1] + 1, device=values.device)
    last_of_equals = torch.ones_like(values, dtype=torch.bool)
    last_of_equals[:, :-1] = values[:, :-1] != values[:, 1:]
    at_threshold = torch.where(last_of_equals, found, 0.0).cummax(dim=1).values
    gained = torch.diff(at_threshold, dim=1, prepend=torch.zeros_like(found[:, :1]))
    return (gained * found / marked_points).sum(dim=1) / found[:, -1]


def inclusivity(attributions: Tensor, evidence: Tensor) -> Tensor:
    """D(a, b) = |a ∩ b| / |b|: the share of the evidence b that is marked (a, see `marked`)."""
    mask = _features(evidence, attributions)
    return (mask & marked(attributions).flatten(1)).sum(dim=1).double() / mask.sum(dim=1)


def precision(attributions: Tensor, evidence: Tensor) -> Tensor:
    """|a ∩ b| / |a| of the marked points a and the evidence b: what inclusivity leaves out."""
    mask, found = _features(evidence, attributions), marked(attributions).flatten(1)
    return (mask & found).sum(dim=1).double() / found.sum(dim=1)


def dice(attributions: Tensor, evidence: Tensor) -> Tensor:
    """2 |a ∩ b| / (|a| + |b|) of the marked points a and the evidence b."""
    mask, found = _features(evidence, attributions), marked(attributions).flatten(1)
    return 2 * (mask & found).sum(dim=1).double() / (mask.sum(dim=1) + found.sum(dim=1))


def _dice_by_chance(attributions: Tensor, share: Tensor) -> Tensor:
    """Dice of as many marked points, laid at random: 2 pq / (p + q) with the two shares of the grid."""
    found = marked(attributions).flatten(1).double().mean(dim=1)
    return 2 * found * share / (found + share)


def marked(attributions: Tensor) -> Tensor:
    """Points (bool) whose |attribution| exceeds half of the largest one of their channel."""
    return _above(attributions, INCLUSIVITY_THRESHOLD)


def _features(evidence: Tensor, attributions: Tensor) -> Tensor:
    """The evidence of every channel ``(sample, feature)``."""
    return evidence.expand_as(attributions).flatten(1)


def _above(values: Tensor, part: float) -> Tensor:
    """Points (bool) whose magnitude exceeds this part of the largest one of their channel."""
    magnitude = values.abs().flatten(2)
    peak = magnitude.amax(dim=2, keepdim=True)
    return (magnitude > part * peak).view_as(values)
