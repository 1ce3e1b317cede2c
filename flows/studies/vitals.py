"""The studies `icu-vitals` and `nicu-vitals`: several bedside signals at once, read by an LSTM."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tasks.cohorts.phantoms.vitals import write_icu_phantom, write_nicu_phantom
from tasks.cohorts.wfdb_vitals import read_vitals

from ..study import Plan, Published, Study
from .lstm_paper import GATE, PAPER_RECIPE, PHANTOM_RECIPE, QUICK_RECIPE, jobs

EXPLAINERS = (
    "gradient",
    "gradient_abs",
    "integrated_gradients",
    "lrp_epsilon",
    "occlusion_w5",
    "occlusion_w10",
    "occlusion_w20",
    "occlusion_w10_single",
    "occlusion_w10-paper",
)
JOBS = jobs(EXPLAINERS, occlusion="occlusion_w10_single", steps=20)

PHANTOM = Plan(
    subset="phantom patients, 60 windows of each class judged, LSTM of 24 units, 2 folds",
    network={"hidden": (24,)},
    folds=2,
    trials=2,
    recipe=replace(PHANTOM_RECIPE, per_class=200, epochs=25),
    per_cell=6,
    per_class=60,
    thorough_subjects=20,
    inspected_per_class=8,
    shard_size=90,
    jobs=jobs(EXPLAINERS, occlusion="occlusion_w10_single", steps=10),
)

ICU_VITALS = Study(
    name="icu-vitals",
    title="ECG, blood pressure and intracranial pressure at the bedside, read by an LSTM",
    paper=1,
    read=partial(
        read_vitals,
        study="icu-vitals",
        role_sets=(("ECG", "ABP", "ICP"), ("ECG", "PULSE")),
        window=100,
        rate=50.0,
    ),
    write_phantom=write_icu_phantom,
    network="lstm",
    normalisation="zscore",
    figures={"heatmaps": "paper1-fig5"},
    published=(
        Published("van der Westhuizen & Lasenby 2017", 0.982, "private ICU set, 4 patients, 2 classes, random split"),
    ),
    gate=GATE,
    phantom=PHANTOM,
    quick=Plan(
        subset="300 windows per class redrawn per epoch, 2 folds or trials, up to 40 windows of each class judged",
        network={"hidden": (128,)},
        folds=2,
        trials=2,
        recipe=replace(QUICK_RECIPE, per_class=300, epochs=30),
        per_cell=6,
        per_class=40,
        thorough_subjects=30,
        inspected_per_class=20,
        shard_size=80,
        jobs=JOBS,
    ),
    full=Plan(
        subset="every window trained on, 5 folds or 10 trials, up to 20 windows of each class and subject judged",
        network={"hidden": (128,)},
        folds=5,
        trials=10,
        recipe=PAPER_RECIPE,
        per_cell=20,
        inspected_per_class=50,
        shard_size=80,
        jobs=JOBS,
    ),
)

NICU_VITALS = Study(
    name="nicu-vitals",
    title="ECG, blood pressure and oxygen saturation of the newborn, read by an LSTM",
    paper=1,
    read=partial(
        read_vitals,
        study="nicu-vitals",
        # the last one serves the public infants' records, which keep ECG and respiration apart
        role_sets=(("ECG", "ABP", "SPO2"), ("ECG", "ABP", "PLETH"), ("ECG", "PULSE"), ("ECG", "RESP"), ("ECG",)),
        window=216,
        rate=125.0,
    ),
    write_phantom=write_nicu_phantom,
    network="lstm",
    normalisation="zscore",
    figures={"heatmaps": "paper1-fig5"},
    published=(
        Published("van der Westhuizen & Lasenby 2017", 0.997, "private NICU set, 3 patients = 3 classes, random split"),
    ),
    gate=GATE,
    phantom=PHANTOM,
    quick=ICU_VITALS.quick.model_copy(update={"network": {"hidden": (64,)}}),
    full=ICU_VITALS.full.model_copy(update={"network": {"hidden": (64,)}}),
)
