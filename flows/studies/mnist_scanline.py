"""The study `mnist-scanline`: handwritten digits, read pixel by pixel along the scan line by an LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tasks.cohorts.idx_images import read_idx_images
from tasks.cohorts.phantoms.digits import write_digits
from tasks.evaluating.evaluation import Job
from tasks.gating.demands import usual_demands

from ..study import JobPlan, Plan, Published, Study
from .lstm_paper import INSPECTIONS, PAPER_RECIPE, PHANTOM_RECIPE, QUICK_RECIPE, jobs

LOOKS = (*(name for name in INSPECTIONS if name not in {"missing-values", "sequence-length"}), "negative-digit")


def image_jobs(columns: int, block: str, row: int, steps: int) -> Mapping[Job, JobPlan]:
    """The jobs on images of so many ``columns``: occlusion of ``block`` pixels of the image (``5x5``) with 0 and 0.5,
    and of ``row`` consecutive pixels of the scan line.
    """
    explainers = (
        "gradient",
        "gradient_abs",
        "gradient_x_input",
        "integrated_gradients",
        "lrp_epsilon",
        f"occlusion_w{row}",
        f"occlusion_w{block}_scan{columns}",
        f"occlusion_w{block}_v0.5_scan{columns}",
        f"occlusion_w{block}_v0.5_scan{columns}-paper",
    )
    return jobs(explainers, occlusion=f"occlusion_w{block}_scan{columns}", steps=steps, inspections=LOOKS)


MNIST_SCANLINE = Study(
    name="mnist-scanline",
    title="Handwritten digits along the scan line, read by an LSTM",
    paper=1,
    read=partial(read_idx_images, study="mnist-scanline"),
    write_phantom=write_digits,
    network="lstm",
    normalisation="none",
    figures={"heatmaps": "paper1-fig4", "class-modes": "paper1-fig6", "temporal-scores": "paper1-fig7"},
    published=(
        Published("van der Westhuizen & Lasenby 2017", 0.987, "MNIST, provided split, mean of 10 trials"),
        Published("Cooijmans et al. 2016", 0.989, "MNIST scan line, quoted by the paper"),
        Published("Zhang et al. 2016", 0.981, "MNIST scan line, quoted by the paper"),
    ),
    gate=usual_demands(localised_by=None),  # the evidence is the ink, which is what the control `amplitude` marks
    phantom=Plan(
        subset="scikit-learn's 1,797 digits of 8 x 8 pixels, 16 of each class judged, LSTM of 64 units, 2 trials",
        network={"hidden": (64,)},
        folds=2,
        trials=2,
        recipe=replace(PHANTOM_RECIPE, per_class=None, batch_size=16, epochs=60, dropout=0.1),
        per_cell=1,
        per_class=16,
        thorough_subjects=20,
        inspected_per_class=4,
        shard_size=160,
        jobs=image_jobs(8, "3x3", 4, steps=10),
    ),
    quick=Plan(
        subset="2 x 2 pixels averaged into one (14 x 14 images, 196 steps), 600 images per class redrawn per epoch, "
        "LSTM of 64 + 64 units, 1 trial, 20 of each class judged",
        reading={"shrink": 2},
        network={"hidden": (64, 64)},
        folds=1,
        trials=1,
        recipe=replace(QUICK_RECIPE, per_class=600),
        per_cell=1,
        per_class=20,
        thorough_subjects=20,
        inspected_per_class=8,
        shard_size=50,
        jobs=image_jobs(14, "3x3", 7, steps=20),
    ),
    full=Plan(
        subset="every image trained on, 784 steps, 10 trials, 100 of each class judged",
        network={"hidden": (128, 128)},
        folds=10,
        trials=10,
        recipe=PAPER_RECIPE,
        per_cell=1,
        per_class=100,
        thorough_subjects=100,
        inspected_per_class=20,
        shard_size=20,
        jobs=image_jobs(28, "5x5", 10, steps=20),
    ),
)
