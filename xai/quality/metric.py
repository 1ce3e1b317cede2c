"""What is known of every quality metric: its direction, its range, its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from types import MappingProxyType
from typing import Literal

Group = Literal["faithfulness", "sensitivity", "infidelity", "stability", "randomisation", "complexity", "localisation"]

FoldGroup = Literal["folds"]
"""What is measured on all members of a version at once, by `folds`, not on one network by `measure`."""

PROBABILITY_SUFFIX = "_probability"
"""Ends the name of a curve metric that was read in probability although the logit is explained."""

AREA_CORRECTED_SUFFIX = "_area_corrected"
"""Ends the name of a localisation metric rescaled so that chance is 0: (score - area) / (1 - area)."""


@dataclass(frozen=True)
class Metric:
    """One number that judges an attribution.

    ``direction`` says which values are better; every defined value lies in [``low``, ``high``], in units
    of the score operator where the range is open. ``group`` is the `QualityPlan` group that measures it, or `folds`.
    """

    name: str
    direction: Literal["higher", "lower"]
    low: float
    high: float
    group: Group | FoldGroup
    reference: str
    needs_evidence: bool = False


_CURVES = (
    Metric("deletion_auc", "lower", -inf, inf, "faithfulness", "MoRF: Bach et al. 2015; Petsiuk et al. 2018"),
    Metric("insertion_auc", "higher", -inf, inf, "faithfulness", "LeRF: Samek et al. 2017; Petsiuk et al. 2018"),
    Metric("aopc", "higher", -inf, inf, "faithfulness", "Samek et al. 2017, eq. 12"),
    Metric("abpc", "higher", -inf, inf, "faithfulness", "Samek et al. 2017; pnpxai's name, unclamped"),
    Metric("comprehensiveness", "higher", -inf, inf, "faithfulness", "DeYoung et al. 2020"),
    Metric("sufficiency", "lower", -inf, inf, "faithfulness", "DeYoung et al. 2020"),
)
_OTHERS = (
    Metric("sensitivity_n", "higher", -1, 1, "sensitivity", "Ancona et al. 2018; Bhatt et al. 2020"),
    Metric("infidelity", "lower", 0, inf, "infidelity", "Yeh et al. 2019, with the optimal scale"),
    Metric("max_sensitivity", "lower", 0, inf, "stability", "Yeh et al. 2019"),
    Metric("cascading_randomisation", "lower", -1, 1, "randomisation", "Adebayo et al. 2018"),
    Metric("efficient_randomisation", "higher", -1, inf, "randomisation", "Hedström et al. 2024"),
    Metric("random_logit", "lower", -1, 1, "randomisation", "Sixt et al. 2020"),
    Metric("complexity", "lower", 0, 1, "complexity", "Bhatt et al. 2020, divided by ln n"),
    Metric("gini", "higher", 0, 1, "complexity", "Chalasani et al. 2020"),
    Metric("fold_agreement", "higher", -1, 1, "folds", "mean rank correlation of the maps of two members"),
    Metric("relevance_leak", "lower", 0, inf, "folds", "(|bias share| + |epsilon share|) of LRP; Bach et al. 2015"),
)
_LOCALISATION = (
    Metric("relevance_mass", "higher", 0, 1, "localisation", "Arras et al. 2022", True),
    Metric("relevance_rank", "higher", 0, 1, "localisation", "Arras et al. 2022", True),
    Metric("pointing_game", "higher", 0, 1, "localisation", "Zhang et al. 2018", True),
    Metric("auprc", "higher", 0, 1, "localisation", "Crabbé and van der Schaar 2021", True),
    Metric("inclusivity", "higher", 0, 1, "localisation", "D(a, b) = |a ∩ b| / |b|", True),
    Metric("precision", "higher", 0, 1, "localisation", "|a ∩ b| / |a|", True),
    Metric("dice", "higher", 0, 1, "localisation", "Dice 1945", True),
    Metric("input_inclusivity", "higher", 0, 1, "localisation", "D(a, input)"),
)


def _every_metric() -> Iterator[Metric]:
    yield from (*_CURVES, *_OTHERS, *_LOCALISATION)
    for metric in _CURVES:
        # An area under a probability is a probability; the others are differences of two of them.
        low = 0 if metric.name.endswith("_auc") else -1
        yield replace(metric, name=metric.name + PROBABILITY_SUFFIX, low=low, high=1)
    for metric in _LOCALISATION:
        yield replace(metric, name=metric.name + AREA_CORRECTED_SUFFIX, low=-inf)


METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _every_metric()})
"""Every metric that `measure` can return, by name."""
