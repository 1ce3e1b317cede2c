"""What an evaluation tells the ledger, and what the ledger knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pandas as pd
from mlflow.tracking import MlflowClient
from prefect import task

from .. import ledger as books
from ..cohorts.store import Cohort
from ..settings import Settings
from .evaluation import Evaluation
from .scoring import is_scored, subject_scores
from .sharing import are_shared, read_shares

Ledger = books.Ledger


def open_books() -> Ledger:
    """The ledger of the settings, its tables brought up to date."""
    return _opened(Settings().ledger)


@cache
def _opened(url: str) -> Ledger:
    return books.open_ledger(url)


def done_before(evaluation: Evaluation) -> bool:
    """Whether this very evaluation has been completed, and its shards are still here to be looked at."""
    known = books.find(open_books(), evaluation.key)
    return known is not None and known.status == "done" and is_scored(evaluation) and are_shared(evaluation)


@contextmanager
def entered(evaluation: Evaluation) -> Iterator[None]:
    """Enters the evaluation as running, and as failed when the block fails; a killed one stays as it was."""
    begin(evaluation)
    try:
        yield
    except Exception:
        books.finish(open_books(), evaluation.key, status="failed")
        raise


@task(retries=2, retry_delay_seconds=5)
def begin(evaluation: Evaluation) -> None:
    """Enters the evaluation as running; one that was killed keeps its row."""
    row = books.Evaluation(
        key=evaluation.key,
        study=evaluation.study,
        job=evaluation.job,
        mode=evaluation.mode,
        model_name=evaluation.model_name,
        model_version=evaluation.model_version,
        cohort_digest=evaluation.cohort_digest,
        configuration=evaluation.configuration,
    )
    books.begin(open_books(), row)


@task(retries=2, retry_delay_seconds=5)
def record_scores(evaluation: Evaluation) -> None:
    """Enters the mean score of every subject, class, explainer, metric and baseline."""
    books.record_scores(open_books(), evaluation.key, ledger_rows(evaluation))


def ledger_rows(evaluation: Evaluation) -> pd.DataFrame:
    """Subject means with subjects as pseudonyms and classes by name."""
    cohort = Cohort.open(evaluation.cohort)
    scores = subject_scores(evaluation)
    return scores.assign(
        subject=scores["subject"].map(cohort.subjects["subject"]),
        class_name=scores["label"].map(dict(enumerate(cohort.classes))),
    ).drop(columns="label")


@task(retries=2, retry_delay_seconds=5)
def record_shares(evaluation: Evaluation) -> None:
    """Enters the mean share of relevance, in percent, of every subject, true class, explainer and part of the input."""
    shares = read_shares(evaluation)
    if shares is None:
        return
    means = shares.groupby(["subject", "true", "explainer", "part"])["share"].mean().rename("value").reset_index()
    pseudonyms = means["subject"].map(Cohort.open(evaluation.cohort).subjects["subject"])
    books.record_shares(
        open_books(), evaluation.key, means.assign(subject=pseudonyms).rename(columns={"true": "class_name"})
    )


@task(retries=2, retry_delay_seconds=5)
def finish(evaluation: Evaluation, mlflow_run_id: str) -> None:
    """Enters the evaluation as done, with the run where people browse it."""
    samples = len(evaluation.samples())
    books.finish(open_books(), evaluation.key, samples=samples, mlflow_run_id=mlflow_run_id)


@task(retries=2, retry_delay_seconds=5)
def stamp_checked(evaluation: Evaluation, mlflow_run_id: str) -> None:
    """Notes in the ledger and on the MLflow run that the evaluation was looked at again and is unchanged."""
    checked = books.stamp_checked(open_books(), evaluation.key).checked_at
    MlflowClient().set_tag(mlflow_run_id, "plumbline.checked_at", str(checked))


@task(retries=2, retry_delay_seconds=5)
def record_quarantine(cohort: Cohort) -> None:
    """Enters the recordings that could not be used, with the reason."""
    reasons = dict(zip(cohort.quarantine["recording"], cohort.quarantine["reason"], strict=True))
    books.record_quarantine(open_books(), cohort.digest, reasons)
