"""What the five networks of Vijayarangan et al. (2020) share: recordings, recipes, explainers and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tasks.cohorts.phantoms.ecg_rhythms import write_phantom
from tasks.cohorts.wfdb_rhythms import read_rhythms
from tasks.evaluating.evaluation import Job
from tasks.gating.demands import usual_demands
from tasks.training.recipe import Recipe
from xai.methods import CONTROLS
from xai.quality.demographics import Factor
from xai.quality.metric import Group
from xai.quality.plan import QualityPlan

from ..study import DemographicsPlan, JobPlan, Plan, Study

RECORDINGS = "ecg-rhythms"
"""The study whose cohort all five read."""
GATE = usual_demands()
RANKING: tuple[Group, ...] = ("faithfulness", "complexity", "localisation")

PAPER_RECIPE = Recipe(
    learning_rate=0.005,
    decay="none",
    batch_size=16,
    clip=0,
    epochs=30,
    patience=None,
    per_class=None,
    dropout=0.5,
    optimiser="sgd",
    momentum=0.7,
    monitor="validation_accuracy",
)
"""Lr 0.005 and momentum 0.7; the best epoch by what validates, which the paper does not name."""
FULL_RECIPE = replace(PAPER_RECIPE, per_class=3_200)
QUICK_RECIPE = replace(PAPER_RECIPE, epochs=8, per_class=300, dropout=0.2)
PHANTOM_RECIPE = Recipe(
    learning_rate=3e-3,
    decay="linear",
    batch_size=32,
    clip=1.0,
    epochs=8,
    patience=None,
    per_class=60,
    dropout=0.0,
)
FACTORS = (Factor("age"), Factor("sex", levels=("F", "M")))


def ranking_jobs(
    explainers: tuple[str, ...],
    contrast: tuple[tuple[str, str], ...],
    *,
    steps: int,
    looks: tuple[str, ...] = (),
) -> dict[Job, JobPlan | DemographicsPlan]:
    """`faithfulness` and `inclusivity` of these explainers and the controls; ``looks``: inspections of the latter."""
    return {
        "faithfulness": JobPlan(
            explainers=(*explainers, *CONTROLS),
            contrast=contrast,
            primary_metric="deletion_auc",
            primary_baseline="zero",
            quality=QualityPlan(groups=RANKING, steps=steps, baselines=("zero", "linear")),
        ),
        "inclusivity": JobPlan(
            explainers=(*explainers, *CONTROLS),
            contrast=contrast,
            primary_metric="relevance_mass_area_corrected",
            primary_baseline="",
            primary_without_evidence="input_inclusivity_area_corrected",
            quality=QualityPlan(groups=("localisation",)),
            inspections=looks,
        ),
    }


def rule_job(rules: tuple[str, ...], steps: int) -> JobPlan:
    """`lrp-rules`, through CNN and LSTM of one network, set against gradient x input."""
    return JobPlan(
        explainers=(*rules, "gradient_x_input", *CONTROLS),
        contrast=tuple((rules[0], other) for other in (*rules[1:], "gradient_x_input")),
        primary_metric="deletion_auc",
        primary_baseline="zero",
        quality=QualityPlan(groups=RANKING, steps=steps, baselines=("zero",)),
        across_folds=True,
    )


def demographics(rule: str, null_draws: int) -> DemographicsPlan:
    """The shares of P, QRS and T on age and sex, by one rule and the gradient's product with the input."""
    return DemographicsPlan(shares=(rule, "gradient_x_input"), factors=FACTORS, null_draws=null_draws)


OPTIONS: Mapping[str, tuple[str, ...]] = {
    "build": ("clinical", "table1"),
    "absent": ("refuse", "leave_out"),
    "training": ("paper", "own"),
}


def study(*, network: str, options: Mapping[str, tuple[str, ...]] | None = None, **parts: Any) -> Study:
    """A study of one of the five networks; all read the same windows and are split alike.

    ``options``: further ones than those that all have.
    """
    return Study(
        paper=2,
        read=partial(read_rhythms, study=RECORDINGS),
        write_phantom=partial(write_phantom, minutes=4),
        network=network,
        normalisation="zscore",
        paper_split="classes",
        options={**OPTIONS, **(options or {})},
        recordings=RECORDINGS,
        gate=GATE,
        **parts,
    )


def plan(
    *,
    subset: str,
    network: Mapping[str, Any],
    recipe: Recipe,
    own_recipe: Recipe | None = None,
    jobs: Mapping[Job, JobPlan | DemographicsPlan],
    per_cell: int,
    per_class: int | None,
    per_patient: int = 200,
    folds: int = 2,
    trials: int = 2,
) -> Plan:
    """A scale of one of the five; their judged samples are the same, so that maps can be set side by side."""
    return Plan(
        subset=subset,
        reading={"per_patient": per_patient},
        network=network,
        folds=folds,
        trials=trials,
        recipe=recipe,
        own_recipe=own_recipe,
        per_cell=per_cell,
        per_class=per_class,
        inspected_per_class=per_class or 100,
        shares_per_cell=10,
        thorough_subjects=6,
        shard_size=64,
        jobs=jobs,
    )
