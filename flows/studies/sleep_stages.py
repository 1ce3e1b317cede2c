"""The study `sleep-stages`: EEG, EOG and EMG of one epoch to its sleep stage, read by a convolutional network."""

from __future__ import annotations

from functools import partial

from tasks.cohorts.edf_stages import read_stages
from tasks.cohorts.phantoms.sleep_stages import write_phantom

from ..study import Plan, Study
from .sleep_paper import GATE, PAPER_RECIPE, PHANTOM_RECIPE, QUICK_RECIPE, demographics, jobs

LOOKS = ("relevance-shares", "rule-agreement", "night", "modality-ablation")
OCCLUSION = "occlusion_w100_s50_single"
JOBS = {**jobs(occlusion=OCCLUSION, steps=10, rule_looks=LOOKS), "demographics": demographics(200)}

SLEEP_STAGES = Study(
    name="sleep-stages",
    title="Sleep stages from EEG, EOG and EMG, read by a convolutional network",
    paper=3,
    read=partial(read_stages, study="sleep-stages"),
    write_phantom=partial(write_phantom, subjects=12),
    network="sleep-cnn",
    normalisation="none",
    paper_split="subjects",
    options={"kernels": ("paper", "long")},
    network_options={"kernels": {"long": {"kernels": (5, 51, 51)}}},
    figures={
        "modality-shares": "paper3-fig1",
        "share-groups": "paper3-fig2",
        "hypnogram": "paper3-fig3",
        "coefficients": "paper3-fig4",
    },
    published=(),
    gate=GATE,
    phantom=Plan(
        subset="12 phantom subjects, two nights of half an hour each, network a quarter as wide, 2 folds or 5 draws, "
        "1 epoch of each stage and subject judged",
        network={"width": 4},
        folds=2,
        trials=5,
        recipe=PHANTOM_RECIPE,
        per_cell=1,
        thorough_subjects=6,
        inspected_per_class=12,
        shard_size=60,
        jobs={**jobs(occlusion=OCCLUSION, steps=5, rule_looks=LOOKS), "demographics": demographics(100)},
    ),
    quick=Plan(
        subset="300 epochs per stage redrawn per training epoch, network half as wide, 2 folds or 5 draws, up to "
        "2 epochs of each stage and subject judged; shares and demographics on every epoch",
        network={"width": 8},
        folds=2,
        trials=5,
        recipe=QUICK_RECIPE,
        per_cell=2,
        thorough_subjects=22,
        inspected_per_class=20,
        shard_size=60,
        jobs=JOBS,
    ),
    full=Plan(
        subset="every epoch trained on, 11 folds or the paper's ten draws, up to 10 epochs of each stage and "
        "subject judged; shares and demographics on every epoch",
        network={"width": 16},
        folds=11,
        trials=10,
        recipe=PAPER_RECIPE,
        per_cell=10,
        inspected_per_class=50,
        shard_size=60,
        jobs=JOBS,
    ),
)
