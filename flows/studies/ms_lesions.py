"""The study `ms-lesions`: lesions of multiple sclerosis in patches of four MR contrasts, found by a 3-D U-Net."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from tasks.cohorts.open_ms import read_open_ms
from tasks.cohorts.phantoms.ms_lesions import write_phantom

from ..study import Plan, Study
from .unet_paper import FULL_RECIPE, PHANTOM_RECIPE, QUICK_RECIPE, jobs, papers_way

LOOKS = ("relevance-filters",)
RULE_LOOKS = ("relevance-shares", "rule-agreement")


def _plan(*, steps: int, **given: Any) -> Plan:
    return Plan(shard_size=12, jobs=jobs(steps=steps, looks=LOOKS, rule_looks=RULE_LOOKS), **given)


MS_LESIONS = Study(
    name="ms-lesions",
    title="Lesions of multiple sclerosis in four MR contrasts, found by a 3-D U-Net",
    paper=4,
    task="segmentation",
    read=partial(read_open_ms, study="ms-lesions"),
    write_phantom=partial(write_phantom, subjects=6),
    network="unet3d",
    normalisation="minmax",
    paper_split="training",
    paper_network={"head": "paper"},
    figures={},
    published=(),
    phantom=_plan(
        subset="6 phantom patients, patches, U-Net of width 4 and 3 levels, 2 folds or 2 nets",
        network={"width": 4, "levels": 3},
        folds=2,
        trials=2,
        recipe=replace(PHANTOM_RECIPE, epochs=15),
        paper_recipe=papers_way(replace(PHANTOM_RECIPE, epochs=15)),
        per_cell=2,
        thorough_subjects=3,
        inspected_per_class=6,
        steps=5,
    ),
    quick=_plan(
        subset="U-Net of width 8 and 3 levels, 40 epochs, 2 folds or 2 nets, up to 8 patches of each patient judged",
        network={"width": 8, "levels": 3},
        folds=2,
        trials=2,
        recipe=QUICK_RECIPE,
        paper_recipe=papers_way(QUICK_RECIPE),
        per_cell=8,
        thorough_subjects=10,
        inspected_per_class=24,
        steps=10,
    ),
    full=_plan(
        subset="the paper's network and 80 epochs, 5 folds or 4 nets, up to 30 patches of each patient judged",
        network={"width": 32},
        folds=5,
        trials=4,
        recipe=FULL_RECIPE,
        paper_recipe=papers_way(FULL_RECIPE),
        per_cell=30,
        inspected_per_class=100,
        steps=20,
    ),
)
