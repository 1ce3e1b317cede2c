"""What every job of a study has in common: which version, which samples, done before or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prefect.states import Completed

from tasks.alone import alone
from tasks.cohorts.store import Cohort
from tasks.errors import UsageError
from tasks.evaluating.evaluation import Evaluation, Job, Mode, configuration_of, version_mode, version_options
from tasks.evaluating.explaining import explain_shard
from tasks.evaluating.judging import judge
from tasks.evaluating.ledgering import done_before, entered, finish, record_scores, stamp_checked
from tasks.evaluating.rechecking import recheck_one_shard
from tasks.evaluating.scoring import score_shard
from tasks.evaluating.sharing import share_shard, share_shards
from tasks.publishing.evaluation_run import publish_evaluation
from tasks.publishing.prefect_artifacts import show_judgement
from tasks.publishing.registry import VersionRef, download, newest_of_mode, resolve_for_evaluation
from tasks.reporting.accuracy_table import write_accuracy_table
from tasks.reporting.evaluation_report import write_evaluation_report
from tasks.settings import Settings
from tasks.spreading import each_unit

from .accuracy import accuracy_rows
from .catalogue import require_job, study_named
from .study import DemographicsPlan, JobPlan, Scale, Study
from .train import read_cohort, recordings_given

Steps = Callable[[Evaluation, VersionRef, Study], None]


def evaluate_once(
    job: str,
    study: str,
    version: str | None,
    data: str | None,
    scale: Scale,
    steps: Steps,
    options: Mapping[str, str] | None = None,
) -> Any:
    """Lets ``steps`` do the job's evaluation; one that is done is looked at again and ends ``Unchanged``.

    ``version`` is a number; without it the champion is judged, else the challenger. It remembers the study's options
    that it was trained with; ``options``, where given, only say what is expected. Raises UsageError where the version
    has others, PlumblineError where one random shard of a finished evaluation, computed again, gives other scores.
    """
    chosen = study_named(study).with_options(options or {})
    defined = require_job(chosen, job)
    data = recordings_given(chosen, data)
    model = resolve_for_evaluation(chosen.name, version)
    if model is None:
        return Completed(name="Skipped", message=f"{study} has no champion or challenger to judge.")
    _require_options(chosen, model, options or {})
    evaluation = plan_evaluation(defined, chosen, model, data, scale)
    with alone(evaluation.key, f"{job} of {study} version {model.version}"):
        if done_before(evaluation):
            shard = recheck_one_shard(evaluation)
            run = publish_evaluation(evaluation, model)
            stamp_checked(evaluation, run)
            show_judgement(evaluation, run)
            message = f"Shard {shard}, drawn at random and computed again, gave the same as in the first run."
            return Completed(name="Unchanged", message=message, data=reference(evaluation))
        with entered(evaluation):
            steps(evaluation, model, chosen)
    return reference(evaluation)


def plan_evaluation(job: Job, study: Study, model: VersionRef, data: str | None, scale: Scale) -> Evaluation:
    """The evaluation that the catalogue asks for, of this version on this data; mode and options are the version's."""
    bundle = download(model, Settings().root)
    study = study.with_options(version_options(bundle))
    plan, cohort, mode = study.plan(data, scale), read_cohort(study, data, scale), version_mode(bundle)
    return Evaluation.plan(
        job=job,
        study=study.name,
        mode=mode,
        model_name=model.name,
        model_version=model.version,
        bundle=bundle,
        cohort=cohort,
        configuration=configuration_of(
            **plan.jobs[job].configuration(cohort.has_evidence),
            score="logit",
            per_cell=plan.per_cell,
            per_class=plan.per_class,
            shares_per_cell=plan.shares_per_cell,
            thorough_subjects=plan.thorough_subjects,
            shard_size=plan.shard_size,
            inspected_per_class=plan.inspected_per_class,
            figures=study.figures,
        ),
        companions=_companions(study, mode, cohort) if _inspects(plan.jobs[job]) else {},
        root=Settings().root,
    )


def _inspects(plan: JobPlan | DemographicsPlan) -> bool:
    """Whether a job looks beyond its maps: only inspections ask the companions."""
    return isinstance(plan, JobPlan) and bool(plan.inspections)


def _companions(study: Study, mode: Mode, cohort: Cohort) -> dict[str, Path]:
    """The newest version of each companion, of the same mode and cohort; one not trained yet is left out."""
    found = {role: newest_of_mode(name, mode, cohort.digest) for role, name in study.companions.items()}
    return {role: download(version, Settings().root) for role, version in found.items() if version is not None}


def _require_options(study: Study, model: VersionRef, expected: Mapping[str, str]) -> None:
    """Raises UsageError where the version was trained with another value of an expected option."""
    found = study.defaults | version_options(download(model, Settings().root))
    for name, value in expected.items():
        if found[name] != value:
            raise UsageError(
                f"option {name} is {value!r}; expected {found[name]!r}, with which {model.name} version "
                f"{model.version} was trained."
            )


def share_relevance(evaluation: Evaluation) -> None:
    """Divides the relevance of every tested sample among the parts of the input; done shards are kept."""
    each_unit((share_shard,), evaluation, share_shards(evaluation), f"{evaluation.study}: shards of shares")


def explain_and_judge(evaluation: Evaluation) -> None:
    """From the first shard to the verdicts; what a former run has done is kept."""
    shards = evaluation.shards()
    each_unit((explain_shard, score_shard), evaluation, shards, f"{evaluation.study}: shards explained and scored")
    record_scores(evaluation)
    judge(evaluation)


def show(evaluation: Evaluation, model: VersionRef, study: Study) -> None:
    """Makes what was found visible: the page, the MLflow run, Prefect's artifacts, the ledger."""
    write_accuracy_table(evaluation, accuracy_rows(study.paper))
    write_evaluation_report(evaluation, study.title)
    run = publish_evaluation(evaluation, model)
    show_judgement(evaluation, run)
    finish(evaluation, run)


def reference(evaluation: Evaluation) -> dict[str, Any]:
    """What a flow run returns: key, folder and how many recordings were quarantined, never arrays."""
    quarantined = len(Cohort.open(evaluation.cohort).quarantine)
    return {"key": evaluation.key, "folder": str(evaluation.folder), "quarantined": quarantined}
