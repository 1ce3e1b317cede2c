"""The study `ecg-rhythms`: eight rhythms from two seconds of one lead, read by ECGNet, and four networks beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.evaluating.evaluation import Job
from tasks.training.recipe import Recipe

from ..study import DemographicsPlan, JobPlan, Published, Study
from .rhythm_paper import (
    FULL_RECIPE,
    PHANTOM_RECIPE,
    QUICK_RECIPE,
    RECORDINGS,
    demographics,
    plan,
    ranking_jobs,
    rule_job,
    study,
)

Jobs = Mapping[Job, JobPlan | DemographicsPlan]
OCCLUSION = "occlusion_w24_s4"
GRADCAM = "gradcam_units.6"
"""On the unit whose output has 45 columns; after the last one there are two."""
RULES = ("lrp_epsilon_e0.01", "lrp_zplus", "lrp_composite_epsilon_plus")
PHANTOM_PER_PATIENT = 40
"""Windows of each class and person, at most."""
LOOKS = ("class-distribution", "method-schemas", "rhythm-saliency", "saliency-claims", "networks-agree", "recorder")


def _jobs(gradcam: str, steps: int, null_draws: int) -> Jobs:
    explainers = ("gradient", "gradient_x_input", "integrated_gradients", gradcam, RULES[0], OCCLUSION)
    contrast = ((OCCLUSION, "gradient"), (OCCLUSION, gradcam))
    return {
        **ranking_jobs(explainers, contrast, steps=steps, looks=LOOKS),
        "lrp-rules": rule_job(RULES, steps),
        "demographics": demographics(RULES[0], null_draws),
    }


ECG_RHYTHMS = study(
    name=RECORDINGS,
    title="Eight rhythms from one lead, read by ECGNet",
    network="ecgnet",
    paper_network={"legacy_linear_fc": True},
    figures={"cam-schema": "paper2-fig1", "mask-schema": "paper2-fig2", "rhythm-saliency": "paper2-fig3"},
    published=(
        Published("Vijayarangan et al. 2020, ECGNet", 0.97, "its Table II", precision=0.98, recall=0.97, f1=0.97),
        Published("Hannun et al., trained by them", 0.93, "its Table II", precision=0.93, recall=0.93, f1=0.93),
        Published("Zihlmann et al., trained by them", 0.94, "its Table II", precision=0.94, recall=0.94, f1=0.94),
    ),
    companions={name: f"{RECORDINGS}-{name}" for name in ("hannun", "crnn", "cam", "lstm")},
    phantom=plan(
        subset="phantom of two recorders, 60 windows per class and epoch, ECGNet of width 8 and depth 8, 2 folds",
        network={"width": 8, "depth": 8, "units": 16},
        recipe=PHANTOM_RECIPE,
        jobs=_jobs("gradcam_units.4", steps=5, null_draws=20),
        per_cell=1,
        per_class=12,
        per_patient=PHANTOM_PER_PATIENT,
    ),
    quick=plan(
        subset="300 windows per class redrawn per epoch, ECGNet of width 16, 8 epochs, 2 folds or trials, up to 2 "
        "windows of each class and subject judged",
        network={"width": 16},
        recipe=QUICK_RECIPE,
        jobs=_jobs(GRADCAM, steps=10, null_draws=100),
        per_cell=2,
        per_class=40,
    ),
    full=plan(
        subset="the paper's network and 30 epochs of 3,200 windows per class, 5 folds or 5 trials",
        network={},
        recipe=FULL_RECIPE,
        jobs=_jobs(GRADCAM, steps=20, null_draws=200),
        per_cell=10,
        per_class=None,
        folds=5,
        trials=5,
    ),
)


def _companion(
    name: str,
    title: str,
    network: str,
    *,
    phantom: Mapping[str, Any],
    quick: Mapping[str, Any],
    own: Recipe | None,
    jobs: Jobs,
    phantom_recipe: Recipe = PHANTOM_RECIPE,
    quick_recipe: Recipe = QUICK_RECIPE,
    **further: Any,
) -> Study:
    """A network beside ECGNet: the same windows, folds and recipe; ``own``: that of its first authors, if any."""

    def scaled(recipe: Recipe) -> Recipe | None:
        return None if own is None else replace(own, epochs=recipe.epochs, per_class=recipe.per_class)

    return study(
        name=f"{RECORDINGS}-{name}",
        title=title,
        network=network,
        figures={},
        published=(),
        **further,
        phantom=plan(
            subset=f"as {RECORDINGS}, narrow",
            network=phantom,
            recipe=phantom_recipe,
            own_recipe=scaled(phantom_recipe),
            jobs=jobs,
            per_cell=1,
            per_class=12,
            per_patient=PHANTOM_PER_PATIENT,
        ),
        quick=plan(
            subset=f"as {RECORDINGS}, half as wide or less",
            network=quick,
            recipe=quick_recipe,
            own_recipe=scaled(quick_recipe),
            jobs=jobs,
            per_cell=2,
            per_class=40,
        ),
        full=plan(
            subset=f"as {RECORDINGS}",
            network={},
            recipe=FULL_RECIPE,
            own_recipe=scaled(FULL_RECIPE),
            jobs=jobs,
            per_cell=10,
            per_class=None,
            folds=5,
            trials=5,
        ),
    )


HANNUN = _companion(
    "hannun",
    "Eight rhythms, read by the network of Hannun et al.",
    "hannun",
    phantom={"width": 8, "depth": 8},
    quick={"width": 16},
    own=replace(
        FULL_RECIPE, learning_rate=1e-3, batch_size=128, clip=1.0, decay="plateau", optimiser="adam", momentum=0
    ),
    jobs={},
)
CRNN = _companion(
    "crnn",
    "Eight rhythms, read by the network of Zihlmann et al.",
    "crnn",
    phantom={"width": 8, "blocks": 3, "depth": 2, "units": 16},
    phantom_recipe=replace(PHANTOM_RECIPE, epochs=16),
    quick={"width": 8, "units": 50},
    own=replace(FULL_RECIPE, learning_rate=1e-3, batch_size=20, optimiser="adam", momentum=0),
    jobs={},
)
CAM = _companion(
    "cam",
    "Eight rhythms, read by the network that CAM explains",
    "ecg-cam",
    phantom={"width": 16},
    quick={"width": 32},
    own=None,
    jobs=ranking_jobs(("cam", "gradient", "occlusion_w24_s4"), (("cam", "gradient"), ("cam", OCCLUSION)), steps=5),
    options={"alignment": ("exact", "legacy")},
    network_options={"alignment": {"legacy": {"alignment": "legacy"}}},
)
LSTM = _companion(
    "lstm",
    "Eight rhythms, read by the LSTM that the learned mask explains",
    "ecg-lstm",
    phantom={},
    phantom_recipe=replace(PHANTOM_RECIPE, epochs=40),
    quick={},
    quick_recipe=replace(QUICK_RECIPE, epochs=60),
    own=None,
    jobs=ranking_jobs(
        ("learned_mask_n100", "gradient", "occlusion_w24_s4"),
        (("learned_mask_n100", "gradient"), ("learned_mask_n100", OCCLUSION)),
        steps=5,
    ),
)
