"""The study `sleep-spindles`: is there a sleep spindle in three seconds of EEG, and do the maps lie on it?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tasks.cohorts.dreams_spindles import read_spindles
from tasks.cohorts.phantoms.sleep_spindles import write_phantom

from ..study import Plan, Study
from .sleep_paper import GATE, PAPER_RECIPE, PHANTOM_RECIPE, QUICK_RECIPE, jobs

OCCLUSION, LOOKS = "occlusion_w50_s10", ("expert-marks",)
JOBS = jobs(occlusion=OCCLUSION, steps=10, evidence_looks=LOOKS)

SLEEP_SPINDLES = Study(
    name="sleep-spindles",
    title="Sleep spindles marked by two experts, read by a convolutional network",
    paper=3,
    read=partial(read_spindles, study="sleep-spindles"),
    write_phantom=partial(write_phantom, subjects=12),
    network="sleep-cnn",
    normalisation="none",
    paper_split="subjects",
    figures={},
    published=(),
    gate=GATE,
    phantom=Plan(
        subset="12 phantom excerpts of 5 minutes, network a quarter as wide, 2 folds, 3 windows of each kind and "
        "excerpt judged",
        network={"width": 4},
        folds=2,
        trials=2,
        recipe=replace(PHANTOM_RECIPE, learning_rate=1e-3, per_class=200, epochs=20),
        per_cell=3,
        thorough_subjects=6,
        inspected_per_class=20,
        shard_size=60,
        jobs=jobs(occlusion=OCCLUSION, steps=5, evidence_looks=LOOKS),
    ),
    quick=Plan(
        subset="300 windows per kind redrawn per training epoch, network half as wide, leave one excerpt out, up to "
        "30 windows of each kind and excerpt judged",
        network={"width": 8},
        folds=6,
        trials=6,
        recipe=QUICK_RECIPE,
        per_cell=30,
        thorough_subjects=6,
        inspected_per_class=100,
        shard_size=60,
        jobs=JOBS,
    ),
    full=Plan(
        subset="every window trained on, leave one excerpt out, up to 100 windows of each kind and excerpt judged",
        network={"width": 16},
        folds=6,
        trials=6,
        recipe=PAPER_RECIPE,
        per_cell=100,
        inspected_per_class=200,
        shard_size=60,
        jobs=JOBS,
    ),
)
