"""The study `stroke-lesions`: six maps of an acute stroke to the lesion that will remain, read by a 3-D U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from tasks.cohorts.isles import read_isles
from tasks.cohorts.phantoms.stroke_lesions import write_phantom
from tasks.cohorts.store import Cohort
from tasks.evaluating.evaluation import Job
from xai.quality.demographics import Factor
from xai.quality.plan import QualityPlan

from ..study import DemographicsPlan, JobPlan, Plan, Published, Study
from .unet_paper import (
    ALL,
    CORRECT,
    FEW,
    FULL_QUALITY,
    FULL_RECIPE,
    GATE,
    PAPER,
    PHANTOM_QUALITY,
    PHANTOM_RECIPE,
    QUICK_QUALITY,
    QUICK_RECIPE,
    THOROUGH,
    Explainers,
    jobs,
    papers_way,
)

SIZES = MappingProxyType({"A": (19, 48, 48), "B": (19, 96, 96), "C": (19, 144, 144), "X": (19, 192, 192)})
"""The paper's series: depth, height and width that every case is brought to."""
_PAPERS_NETS = {
    "A": ((23.29, 0.3245), (21.28, 0.2739), (21.23, 0.5005), (21.26, 0.3261)),
    "B": ((72.26, 0.554), (72.32, 0.3914), (71.06, 0.3686), (71.01, 0.2123)),
    "C": ((151.03, 0.3881), (154.66, 0.2254), (154.24, 0.2541), (151.56, 0.3474)),
    "X": ((296.01, 0.443), (294.86, 0.3056), (301.76, 0.0031), (296.5, 0.3027), (294.4, 0.449), (296.79, 0.2136)),
}
"""Table Annex 1: minutes of training and mean Dice of each net, by series. X3 failed."""
ANNEX_1 = tuple(
    Published(f"Tjoa et al. (2019), {series}{number}", dice, "the 43 training cases", minutes)
    for series, nets in _PAPERS_NETS.items()
    for number, (minutes, dice) in enumerate(nets, 1)
)
LOOKS = ("relevance-filters", "filter-points", "nets")
RULE_LOOKS = ("relevance-shares", "rule-agreement")
FACTORS = (Factor("time_since_stroke"), Factor("tici"), Factor("mrs"))


def _read(folder: Path | str, *, key: bytes, out: Path | str, size: str = "A") -> Cohort:
    return read_isles(folder, key=key, out=out, study="stroke-lesions", size=SIZES[size])


def _jobs(
    explainers: Explainers, quality: QualityPlan, thorough: QualityPlan | None, null_draws: int
) -> Mapping[Job, JobPlan | DemographicsPlan]:
    ranking = jobs(explainers, quality, thorough=thorough, looks=LOOKS, rule_looks=RULE_LOOKS)
    shares = DemographicsPlan(shares=(CORRECT, PAPER), factors=FACTORS, random=("fold",), null_draws=null_draws)
    return {**ranking, "demographics": shares}


STROKE_LESIONS = Study(
    name="stroke-lesions",
    title="Stroke lesions in six MR maps, found by a 3-D U-Net",
    paper=4,
    task="segmentation",
    read=_read,
    write_phantom=partial(write_phantom, subjects=16),
    network="unet3d",
    normalisation="minmax",
    paper_split="training",
    paper_network={"head": "paper"},
    options={"size": tuple(SIZES)},
    figures={
        "filtered-relevance": "paper4-fig1",
        "propagation": "paper4-fig2",
        "inclusivity-by-filter": "paper4-fig3",
        "filters": "paper4-fig4",
        "clamped-relevance": "paper4-fig5",
        "normalised-means": "paper4-fig5d",
        "network": "paper4-annex1",
        "normalised-means-clamped": "paper4-annex2",
        "spikes": "paper4-annex3",
        "passed-relevance": "paper4-annex4",
    },
    published=ANNEX_1,
    gate=GATE,
    phantom=Plan(
        subset="16 phantom cases of 19 x 48 x 48 voxels, 12 of them judged, U-Net of width 4 instead of 32, 2 folds or "
        "2 nets",
        network={"width": 4},
        folds=2,
        trials=2,
        recipe=PHANTOM_RECIPE,
        paper_recipe=papers_way(PHANTOM_RECIPE),
        per_cell=1,
        per_class=12,
        thorough_subjects=3,
        inspected_per_class=4,
        shard_size=6,
        jobs=_jobs(FEW, PHANTOM_QUALITY, None, null_draws=20),
    ),
    quick=Plan(
        subset="U-Net of width 8 instead of 32, 40 epochs, 2 folds or 2 nets, up to 20 cases judged",
        network={"width": 8},
        folds=2,
        trials=2,
        recipe=QUICK_RECIPE,
        paper_recipe=papers_way(QUICK_RECIPE),
        per_cell=1,
        per_class=20,
        thorough_subjects=4,
        inspected_per_class=12,
        shard_size=5,
        jobs=_jobs(ALL, QUICK_QUALITY, THOROUGH, null_draws=100),
    ),
    full=Plan(
        subset="the paper's network and 80 epochs, 5 folds or 4 nets",
        network={"width": 32},
        folds=5,
        trials=4,
        recipe=FULL_RECIPE,
        paper_recipe=papers_way(FULL_RECIPE),
        per_cell=1,
        thorough_subjects=20,
        inspected_per_class=43,
        shard_size=4,
        jobs=_jobs(ALL, FULL_QUALITY, THOROUGH, null_draws=200),
    ),
)
