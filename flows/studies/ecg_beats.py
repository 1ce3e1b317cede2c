"""The study `ecg-beats`: five kinds of heartbeats of the MIT-BIH database, read by an LSTM."""

from __future__ import annotations

from functools import partial

from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.wfdb_beats import read_beats

from ..study import Plan, Published, Study
from .lstm_paper import DEMOGRAPHICS, GATE, PAPER_RECIPE, PHANTOM_RECIPE, QUICK_RECIPE, jobs

EXPLAINERS = (
    "gradient",
    "gradient_abs",
    "gradient_x_input",
    "integrated_gradients",
    "smoothgrad",
    "lrp_epsilon",
    "occlusion_w5",
    "occlusion_w10",
    "occlusion_w20",
    "occlusion_w40",
    "occlusion_w10_v0.5",
    "occlusion_w10-paper",
)

ECG_BEATS = Study(
    name="ecg-beats",
    title="Heartbeats in five classes, read by an LSTM",
    paper=1,
    read=partial(read_beats, study="ecg-beats"),
    write_phantom=write_phantom,
    network="lstm",
    normalisation="zscore",
    options={"v_class": ("V", "!"), "normalisation": ("zscore", "minmax")},
    figures={
        "gates": "paper1-fig1",
        "wavelet-match": "paper1-fig2",
        "heatmaps": "paper1-fig3",
        "class-modes": "paper1-fig6",
        "temporal-scores": "paper1-fig7",
    },
    published=(
        Published("van der Westhuizen & Lasenby 2017", 0.985, "MIT-BIH, random 50:40:10 split, mean of 10 trials"),
        Published("Oresko et al. 2010", 0.98, "MIT-BIH, weighted mean over 5 beat classes, quoted by the paper"),
    ),
    gate=GATE,
    phantom=Plan(
        subset="20 phantom subjects, 2 beats of each class and subject judged, LSTM of 32 units, 2 folds",
        network={"hidden": (32,)},
        folds=2,
        trials=2,
        recipe=PHANTOM_RECIPE,
        per_cell=2,
        inspected_per_class=8,
        shard_size=120,
        shares_per_cell=20,
        jobs={**jobs(EXPLAINERS, occlusion="occlusion_w10", steps=10), "demographics": DEMOGRAPHICS},
    ),
    quick=Plan(
        subset="1,500 beats per class redrawn per epoch, 2 folds or trials, up to 4 beats of each class and "
        "subject judged, shares of relevance on up to 20",
        network={"hidden": (128,)},
        folds=2,
        trials=2,
        recipe=QUICK_RECIPE,
        per_cell=4,
        inspected_per_class=20,
        shard_size=64,
        shares_per_cell=20,
        jobs={**jobs(EXPLAINERS, occlusion="occlusion_w10", steps=20), "demographics": DEMOGRAPHICS},
    ),
    full=Plan(
        subset="every beat trained on, 5 folds or 10 trials, up to 50 beats of each class and subject judged",
        network={"hidden": (128,)},
        folds=5,
        trials=10,
        recipe=PAPER_RECIPE,
        per_cell=50,
        inspected_per_class=50,
        shard_size=64,
        jobs={**jobs(EXPLAINERS, occlusion="occlusion_w10", steps=20), "demographics": DEMOGRAPHICS},
    ),
)
