"""The judgement of a regression: what it found in short, for the page, the run and Prefect."""

from __future__ import annotations

import json

from prefect import task

from ..cohorts.store import Cohort
from .evaluation import Evaluation
from .inspecting import findings
from .judging import few_subject_classes


@task
def conclude(evaluation: Evaluation) -> None:
    """Writes the judgement of a job that ranks no explainers: its verdicts and on what they rest."""
    cohort = Cohort.open(evaluation.cohort)
    tested = evaluation.tested()["sample"]
    judgement = {
        "subjects": int(cohort.samples.loc[tested.unique(), "subject"].nunique()),
        "subject_kind": cohort.subject_kind,
        "samples": len(tested),
        "few_subject_classes": few_subject_classes(evaluation),
        "verdicts": [line for kept in findings(evaluation).values() for line in kept.verdicts],
    }
    (evaluation.tables / "judgement.json").write_text(json.dumps(judgement, indent=2))
