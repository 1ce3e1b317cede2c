"""What the studies of van der Westhuizen & Lasenby (2017) share: recipes, explainers and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tasks.evaluating.evaluation import Job
from tasks.gating.demands import usual_demands
from tasks.training.recipe import Recipe
from xai.methods import CONTROLS
from xai.quality.demographics import Factor
from xai.quality.metric import Group
from xai.quality.plan import QualityPlan

from ..study import DemographicsPlan, JobPlan

# Under z-score the mean baseline is the zero baseline, so zero and linear interpolation are enough.
GATE = usual_demands()
FAITHFULNESS: tuple[Group, ...] = ("faithfulness", "sensitivity", "infidelity", "complexity", "localisation")
THOROUGH: tuple[Group, ...] = ("stability", "randomisation")

PHANTOM_RECIPE = Recipe(
    learning_rate=1e-2,
    decay="linear",
    batch_size=64,
    clip=1.0,
    epochs=30,
    patience=None,
    per_class=300,
    dropout=0.2,
)
QUICK_RECIPE = replace(PHANTOM_RECIPE, learning_rate=5e-3, epochs=40, per_class=1500)
PAPER_RECIPE = Recipe(
    learning_rate=1e-3,
    decay="none",
    batch_size=256,
    clip=5.0,
    epochs=100,
    patience=10,
    per_class=None,
    dropout=0.2,
)

RULES = ("lrp_epsilon", "lrp_epsilon_e0.1", "lrp_zplus", "lrp_alpha2beta1", "lrp_gamma_g0.25")

INSPECTIONS = (
    "gates",
    "wavelet-match",
    "class-modes",
    "temporal-scores",
    "dependence-length",
    "sequence-length",
    "missing-values",
)


DEMOGRAPHICS = DemographicsPlan(
    shares=("lrp_epsilon", "lrp_epsilon_e0.1", "gradient_x_input"),
    factors=(Factor("age"), Factor("sex", levels=("F", "M"))),
)
"""Shares of P, QRS and T; occlusion would cost an hour on every beat."""


def jobs(
    explainers: tuple[str, ...],
    *,
    occlusion: str,
    steps: int,
    inspections: tuple[str, ...] = INSPECTIONS,
) -> Mapping[Job, JobPlan]:
    """The three jobs on one set of explainers; ``occlusion`` is the one that the contrasts are about.

    ``steps``: evenly spaced steps of the perturbation curves.
    """
    contrast = ((occlusion, "gradient"), (occlusion, "gradient_abs"))
    curves = QualityPlan(groups=FAITHFULNESS, steps=steps, baselines=("zero", "linear"))
    return {
        "faithfulness": JobPlan(
            explainers=(*explainers, *CONTROLS),
            contrast=contrast,
            primary_metric="deletion_auc",
            primary_baseline="zero",
            quality=curves,
            thorough_quality=QualityPlan(groups=THOROUGH),
            inspections=inspections,
        ),
        "lrp-rules": JobPlan(
            explainers=(*RULES, "gradient_x_input", occlusion, *CONTROLS),
            contrast=(("lrp_epsilon", "lrp_zplus"), ("lrp_epsilon", "gradient_x_input"), ("lrp_epsilon", occlusion)),
            primary_metric="deletion_auc",
            primary_baseline="zero",
            quality=replace(curves, groups=("faithfulness", "complexity", "localisation"), baselines=("zero",)),
            across_folds=True,
        ),
        "inclusivity": JobPlan(
            explainers=(*explainers, *CONTROLS),
            contrast=contrast,
            primary_metric="inclusivity_area_corrected",
            primary_baseline="",
            primary_without_evidence="input_inclusivity_area_corrected",
            quality=QualityPlan(groups=("localisation",)),
        ),
    }
