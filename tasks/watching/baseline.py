"""What a champion is held against: what it was measured to be, by subject, in the evaluation that promoted it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from mlflow.tracking import MlflowClient
from prefect import task

from .. import ledger as books
from ..digests import digest_of
from ..errors import PlumblineError
from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import judgement, labels_left_out
from ..evaluating.ledgering import open_books
from ..ledger.watching import baseline_values, find_baseline, record_baseline
from ..publishing.registry import VersionRef, set_version_tags
from .measuring import as_records, by_subject, measure_recordings

BASELINE_TAG = "plumbline.baseline"
ARTIFACT = "baseline.csv"


@task(retries=3, retry_delay_seconds=10)
def write_baseline(evaluation: Evaluation, model: VersionRef) -> str:
    """Writes the baseline of a version from the faithfulness evaluation that promoted it; returns its digest.

    Per subject (pseudonym) and measure: value, number of samples, sex and age band. It is kept in the ledger, as
    ``baseline.csv`` on the evaluation's MLflow run, and its digest as a tag of the version. Writing twice leaves one.
    """
    explainer = str(judgement(evaluation)["best"])
    values = by_subject(measure_recordings.fn(evaluation, explainer, labels_left_out(evaluation)))
    rows = as_records(values)
    digest = digest_of([evaluation.key, explainer, rows])
    baseline = books.Baseline(
        model_name=model.name,
        model_version=model.version,
        study=evaluation.study,
        evaluation_key=evaluation.key,
        explainer=explainer,
        digest=digest,
    )
    record_baseline(open_books(), baseline, rows)
    known = books.find(open_books(), evaluation.key)
    if known is not None and known.mlflow_run_id:
        MlflowClient().log_text(known.mlflow_run_id, values.to_csv(index=False), ARTIFACT)
    set_version_tags(model, {BASELINE_TAG: digest})
    return digest


def promoting_evaluation(baseline: books.Baseline, root: Path) -> Evaluation:
    """The evaluation that a baseline was made from. Raises PlumblineError where its reference is gone."""
    path = root / "evaluations" / baseline.evaluation_key / "evaluation.json"
    if not path.exists():
        raise PlumblineError(f"{path} is missing; expected the reference that the evaluation wrote there.")
    return Evaluation.model_validate_json(path.read_text())


def read_baseline(model: VersionRef) -> tuple[books.Baseline, pd.DataFrame] | None:
    """The baseline of a version and its values, one row per subject and measure; None where none was written."""
    baseline = find_baseline(open_books(), model.name, model.version)
    if baseline is None:
        return None
    return baseline, baseline_values(open_books(), model.name, model.version)
