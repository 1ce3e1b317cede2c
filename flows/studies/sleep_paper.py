"""What the studies of Ellis et al. (2021) share: recipes, explainers and jobs."""

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

# Epochs are standardised by recording, so the zero baseline is the recording's mean.
GATE = usual_demands()
FAITHFULNESS: tuple[Group, ...] = ("faithfulness", "sensitivity", "infidelity", "complexity", "localisation")
THOROUGH: tuple[Group, ...] = ("stability", "randomisation")

PHANTOM_RECIPE = Recipe(
    learning_rate=3e-3,
    decay="linear",
    batch_size=32,
    clip=1.0,
    epochs=25,
    patience=None,
    per_class=100,
    dropout=0.01,
)
QUICK_RECIPE = replace(PHANTOM_RECIPE, learning_rate=1e-3, epochs=20, per_class=300)
PAPER_RECIPE = Recipe(
    learning_rate=1e-3,
    decay="plateau",
    batch_size=128,
    clip=0,
    epochs=100,
    patience=20,
    per_class=None,
    dropout=0.01,
    class_weights="balanced",
    monitor="validation_accuracy",
)

RULES = ("lrp_epsilon_e0.01", "lrp_epsilon_e100", "lrp_zplus", "lrp_composite_epsilon_plus")
"""The paper's three, alpha-beta(1, 0) under its other name, and a composite, which it wishes for."""
GRADIENTS = ("gradient", "gradient_abs", "gradient_x_input", "integrated_gradients", "smoothgrad")
FACTORS = (
    Factor("age"),
    Factor("sex", levels=("F", "M")),
    Factor("drug", levels=("placebo", "temazepam"), within=True),
)


def jobs(
    *, occlusion: str, steps: int, rule_looks: tuple[str, ...] = (), evidence_looks: tuple[str, ...] = ()
) -> Mapping[Job, JobPlan | DemographicsPlan]:
    """The jobs that rank explainers; ``occlusion`` is set against the gradient, the rules against each other.

    ``rule_looks`` and ``evidence_looks``: inspections of the jobs `lrp-rules` and `inclusivity`.
    """
    explainers = (*GRADIENTS, *RULES, occlusion)
    curves = QualityPlan(groups=FAITHFULNESS, steps=steps, baselines=("zero", "linear"))
    return {
        "faithfulness": JobPlan(
            explainers=(*explainers, *CONTROLS),
            contrast=((occlusion, "gradient"), (occlusion, "lrp_epsilon_e0.01")),
            primary_metric="deletion_auc",
            primary_baseline="zero",
            quality=curves,
            thorough_quality=QualityPlan(groups=THOROUGH),
        ),
        "lrp-rules": JobPlan(
            explainers=(*RULES, *GRADIENTS, *CONTROLS),
            contrast=(
                ("lrp_epsilon_e0.01", "lrp_epsilon_e100"),
                ("lrp_epsilon_e0.01", "lrp_zplus"),
                ("lrp_epsilon_e0.01", "gradient_x_input"),
            ),
            primary_metric="deletion_auc",
            primary_baseline="zero",
            quality=replace(curves, groups=("faithfulness", "complexity", "localisation"), baselines=("zero",)),
            across_folds=True,
            shares=RULES if rule_looks else (),
            inspections=rule_looks,
        ),
        "inclusivity": JobPlan(
            explainers=(*explainers, *CONTROLS),
            contrast=((occlusion, "gradient"), (occlusion, "lrp_epsilon_e0.01")),
            primary_metric="inclusivity_area_corrected",
            primary_baseline="",
            primary_without_evidence="input_inclusivity_area_corrected",
            quality=QualityPlan(groups=("localisation",)),
            inspections=evidence_looks,
        ),
    }


def demographics(null_draws: int) -> DemographicsPlan:
    """Shares of the paper's three rules and the composite on age, sex and drug."""
    return DemographicsPlan(shares=RULES, factors=FACTORS, random=("subject", "fold"), null_draws=null_draws)
