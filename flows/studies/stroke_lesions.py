"""The study `stroke-lesions`: six maps of an acute stroke to the lesion that will remain, read by a 3-D U-Net."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tasks.cohorts.isles import read_isles
from tasks.cohorts.phantoms.stroke_lesions import write_phantom
from tasks.cohorts.store import Cohort
from xai.quality.demographics import Factor

from ..study import DemographicsPlan, Plan, Published, Study
from .unet_paper import CORRECT, FULL_RECIPE, PAPER, PHANTOM_RECIPE, QUICK_RECIPE, jobs, papers_way

SIZES = MappingProxyType({"A": (19, 48, 48), "B": (19, 96, 96), "C": (19, 144, 144), "X": (19, 192, 192)})
"""The paper's series: depth, height and width that every case is brought to."""
LOOKS = ("relevance-filters", "filter-points", "nets")
RULE_LOOKS = ("relevance-shares", "rule-agreement")
FACTORS = (Factor("time_since_stroke"), Factor("tici"), Factor("mrs"))


def _read(folder: Path | str, *, key: bytes, out: Path | str, size: str = "A") -> Cohort:
    return read_isles(folder, key=key, out=out, study="stroke-lesions", size=SIZES[size])


def _demographics(null_draws: int) -> DemographicsPlan:
    return DemographicsPlan(shares=(CORRECT, PAPER), factors=FACTORS, random=("fold",), null_draws=null_draws)


def _plan(**changed: Any) -> Plan:
    """What all scales have in common; ``steps`` of the curves and ``null_draws`` go to the jobs."""
    steps, null_draws = changed.pop("steps"), changed.pop("null_draws")
    every = jobs(steps=steps, looks=LOOKS, rule_looks=RULE_LOOKS)
    shared = {"per_cell": 1, "thorough_subjects": 4, "shard_size": 12}
    return Plan(**{**shared, **changed}, jobs={**every, "demographics": _demographics(null_draws)})


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
    published=(Published("Tjoa et al. (2019), B1, on its training cases", 0.554, "Dice"),),
    phantom=_plan(
        subset="16 phantom cases of 19 x 48 x 48 voxels, U-Net of width 4 instead of 32, 2 folds or 2 nets",
        network={"width": 4},
        folds=2,
        trials=2,
        recipe=PHANTOM_RECIPE,
        paper_recipe=papers_way(PHANTOM_RECIPE),
        inspected_per_class=8,
        steps=5,
        null_draws=20,
    ),
    quick=_plan(
        subset="U-Net of width 8 instead of 32, 40 epochs, 2 folds or 2 nets",
        network={"width": 8},
        folds=2,
        trials=2,
        recipe=QUICK_RECIPE,
        paper_recipe=papers_way(QUICK_RECIPE),
        inspected_per_class=24,
        steps=10,
        null_draws=100,
    ),
    full=_plan(
        subset="the paper's network and 80 epochs, 5 folds or 4 nets",
        network={"width": 32},
        folds=5,
        trials=4,
        recipe=FULL_RECIPE,
        paper_recipe=papers_way(FULL_RECIPE),
        inspected_per_class=43,
        thorough_subjects=20,
        steps=20,
        null_draws=200,
    ),
)
