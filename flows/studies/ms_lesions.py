"""The study `ms-lesions`: lesions of multiple sclerosis in patches of four MR contrasts, found by a 3-D U-Net."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tasks.cohorts.open_ms import read_open_ms
from tasks.cohorts.phantoms.ms_lesions import write_phantom

from ..study import Plan, Study
from .unet_paper import (
    ALL,
    FEW,
    FULL_QUALITY,
    FULL_RECIPE,
    GATE,
    PHANTOM_QUALITY,
    PHANTOM_RECIPE,
    QUICK_QUALITY,
    QUICK_RECIPE,
    THOROUGH,
    jobs,
    papers_way,
)

PHANTOM_PATCHES = replace(PHANTOM_RECIPE, learning_rate=1e-2, epochs=30)
QUICK_PATCHES = replace(QUICK_RECIPE, learning_rate=3e-3, epochs=150)
LOOKS, RULE_LOOKS = ("relevance-filters",), ("relevance-shares", "rule-agreement")


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
    gate=GATE,
    phantom=Plan(
        subset="6 phantom patients, 12 patches of 16 x 32 x 32 voxels of each, 2 of them judged, U-Net of width 4 and "
        "3 levels, 2 folds or 2 nets",
        reading={"patch": (16, 32, 32)},
        network={"width": 4, "levels": 3},
        folds=2,
        trials=2,
        recipe=PHANTOM_PATCHES,
        paper_recipe=papers_way(PHANTOM_PATCHES),
        per_cell=2,
        thorough_subjects=3,
        inspected_per_class=4,
        shard_size=8,
        jobs=jobs(FEW, PHANTOM_QUALITY, thorough=None, looks=LOOKS, rule_looks=RULE_LOOKS),
    ),
    quick=Plan(
        subset="U-Net of width 8 and 3 levels, 150 epochs, 2 folds or 2 nets, up to 8 patches of each patient judged",
        network={"width": 8, "levels": 3},
        folds=2,
        trials=2,
        recipe=QUICK_PATCHES,
        paper_recipe=papers_way(QUICK_PATCHES),
        per_cell=8,
        thorough_subjects=10,
        inspected_per_class=24,
        shard_size=8,
        jobs=jobs(ALL, QUICK_QUALITY, thorough=THOROUGH, looks=LOOKS, rule_looks=RULE_LOOKS),
    ),
    full=Plan(
        subset="the paper's network and 80 epochs, 5 folds or 4 nets, up to 30 patches of each patient judged",
        network={"width": 32},
        folds=5,
        trials=4,
        recipe=FULL_RECIPE,
        paper_recipe=papers_way(FULL_RECIPE),
        per_cell=30,
        inspected_per_class=100,
        shard_size=8,
        jobs=jobs(ALL, FULL_QUALITY, thorough=THOROUGH, looks=LOOKS, rule_looks=RULE_LOOKS),
    ),
)
