"""A study made for being killed: minutes of work shrunk to seconds, in several shards, as often as one likes.

Its flows are the catalogue's own on one more entry. ``round`` gives an evaluation a key of its own and changes
nothing else, so the scores of every round must equal those of any other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from prefect import flow

from flows import catalogue
from flows.faithfulness import faithfulness
from flows.studies.ecg_beats import ECG_BEATS
from flows.study import JobPlan, Plan
from flows.train import train
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.wfdb_beats import read_beats
from xai.quality.plan import QualityPlan

NAME = "small"
EXPLAINERS = ("gradient", "occlusion_w20", "amplitude", "edges", "random")


def _plan(of_round: int) -> Plan:
    whole = ECG_BEATS.phantom
    job = JobPlan(
        explainers=EXPLAINERS,
        contrast=(("occlusion_w20", "gradient"),),
        primary_metric="deletion_auc",
        primary_baseline="zero",
        quality=QualityPlan(groups=("faithfulness", "complexity"), steps=5, baselines=("zero",)),
    )
    return whole.model_copy(
        update={
            "subset": "8 subjects, a narrow network",
            "network": {"hidden": (8,)},
            "recipe": replace(whole.recipe, epochs=6),
            "per_cell": 1,
            "inspected_per_class": of_round,  # in the key; nothing here is inspected
            "shard_size": 6,
            "jobs": {"faithfulness": job},
        }
    )


def enter_round(of_round: int) -> None:
    """Puts the study into the catalogue of this process as the round has it."""
    plan = _plan(of_round)
    catalogue.STUDIES[NAME] = ECG_BEATS.model_copy(  # type: ignore[index]  # a dictionary, meant to be left alone
        update={
            "name": NAME,
            "title": "Heartbeats, few of them",
            "read": partial(read_beats, study=NAME),
            "write_phantom": partial(write_phantom, subjects=8),
            "phantom": plan,
            "quick": plan,
            "full": plan,
        }
    )


@flow(name="faithfulness", log_prints=False)
def judge_small(round: int) -> Any:
    """The flow `faithfulness` on the small study."""
    enter_round(round)
    return faithfulness.fn(NAME)


@flow(name="train", log_prints=False)
def train_small() -> Any:
    """The flow `train` on the small study."""
    enter_round(1)
    return train.fn(NAME)
