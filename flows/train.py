"""The flow `train`: recordings to a registered model version."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow

from tasks.alone import alone
from tasks.cohorts.build import build_cohort, recordings_of
from tasks.cohorts.store import Cohort
from tasks.evaluating.evaluation import Mode
from tasks.evaluating.ledgering import record_quarantine
from tasks.publishing.prefect_artifacts import show_mlflow_run
from tasks.publishing.training_run import publish_training
from tasks.settings import Settings
from tasks.spreading import each_unit
from tasks.training.fitting import Training, assemble, fit, test_members

from .catalogue import study_named
from .study import Scale, Study


@flow(name="train", log_prints=False)
def train(
    study: str,
    data: str | None = None,
    scale: Scale = "quick",
    mode: Mode = "corrected",
    options: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Reads the recordings, trains every member, tests them and registers one version.

    Without ``data`` the study's phantom is used. ``options``: of the study, by name; the version remembers them.
    Done work is found and skipped. Returns the model's name and version, whether the version is new, and how many
    recordings were quarantined.
    """
    chosen = study_named(study).with_options(options or {})
    data = recordings_given(chosen, data)
    cohort = read_cohort(chosen, data, scale)
    training = plan_training(chosen, cohort, data, scale, mode)
    with alone(training.key, f"this training of {study}"):
        each_unit((fit,), training, range(training.members), f"{study}: members trained")
        assemble(training)
        test_members(training)
        version = publish_training(training, chosen.name)
    show_mlflow_run(f"train-{study}", version["run"])
    return {**version, "quarantined": len(cohort.quarantine)}


def recordings_given(study: Study, data: str | None) -> str | None:
    """``data``, else the study's folder under the setting `data`; ``None`` means the phantom."""
    root = Settings().data
    return data if data is not None or root is None else str(root / study.source)


def read_cohort(study: Study, data: str | None, scale: Scale) -> Cohort:
    """The study's cohort, from ``data`` or from the phantom, built where it is not there yet.

    What had to be quarantined goes into the ledger.
    """
    root = Settings().root
    recordings = recordings_of(study.source, data, study.write_phantom, root)
    read = partial(study.read, **study.plan(data, scale).reading)
    cohort = Cohort.open(Path(build_cohort(study.source, recordings, read, root)))
    record_quarantine(cohort)
    return cohort


def plan_training(study: Study, cohort: Cohort, data: str | None, scale: Scale, mode: Mode) -> Training:
    """The training that the catalogue asks for at this scale and in this mode."""
    plan = study.plan(data, scale)
    return Training.plan(
        study=study.name,
        mode=mode,
        subset=plan.subset,
        cohort=cohort,
        members=plan.folds if mode == "corrected" else plan.trials,
        recipe=study.recipe(plan, mode),
        network={
            "name": study.network,
            "arguments": study.network_arguments(plan, mode),
            "normalisation": study.normalisation,
        },
        options=study.chosen,
        paper_split=study.paper_split,
        task=study.task,
        root=Settings().root,
    )
