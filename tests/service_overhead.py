"""What the service adds to a job: its steps in a plain loop, and as a flow with Prefect, MLflow and the ledger."""

from __future__ import annotations

import shutil
from pathlib import Path

from installation import STUDY, Installation
from support import free_port

BARE = f"""
import time
from flows import train
from flows.accuracy import accuracy_rows
from flows.catalogue import study_named
from flows.evaluating import plan_evaluation
from tasks.evaluating.explaining import explain_shard
from tasks.evaluating.illustrating import illustrate
from tasks.evaluating.inspecting import inspect_version
from tasks.evaluating.judging import judge
from tasks.evaluating.scoring import score_shard
from tasks.publishing.registry import resolve_for_evaluation
from tasks.reporting.accuracy_table import write_accuracy_table
from tasks.reporting.evaluation_report import write_evaluation_report
train.build_cohort, train.record_quarantine = train.build_cohort.fn, lambda cohort: None  # else a server starts
start = time.monotonic()
model = resolve_for_evaluation("{STUDY}", None)
evaluation = plan_evaluation("faithfulness", study_named("{STUDY}"), model, DATA, "quick")
for shard in evaluation.shards():
    explain_shard.fn(evaluation, shard)
    score_shard.fn(evaluation, shard)
judge.fn(evaluation)
inspect_version.fn(evaluation)
illustrate.fn(evaluation)
write_accuracy_table.fn(evaluation, accuracy_rows(study_named("{STUDY}").paper))
write_evaluation_report.fn(evaluation, "bare")
print("seconds", time.monotonic() - start)
"""

WITH_SERVICE = f"""
import os, time
from tasks.service import service_environment
os.environ.update(service_environment(Settings()))
from flows.faithfulness import faithfulness
start = time.monotonic()
faithfulness("{STUDY}", data=DATA)
print("seconds", time.monotonic() - start)
"""


def copied(installation: Installation, home: Path, **settings: str) -> Installation:
    """The same versions and tracking, in a home of its own."""
    shutil.copytree(installation.home, home)
    return Installation(home, settings)


def served(installation: Installation, home: Path) -> Installation:
    """As `copied`, its service on ports of its own; the caller ends it by ``down``."""
    found = copied(installation, home, PLUMBLINE_MLFLOW_PORT=str(free_port()), PLUMBLINE_PREFECT_PORT=str(free_port()))
    done = found.plumbline("up")
    if done.returncode:
        found.plumbline("down")
    assert done.returncode == 0, done.stderr
    return found


def recorded(installation: Installation, folder: Path, subjects: int, seed: int) -> Path:
    """Recordings of so many subjects of the study's phantom."""
    choices = ("--to", str(folder), "--subjects", str(subjects), "--seed", str(seed))
    done = installation.plumbline("phantom", STUDY, *choices)
    assert done.returncode == 0, done.stderr
    return folder


def printed_seconds(installation: Installation, code: str, recordings: Path) -> list[float]:
    """The numbers that the code prints after "seconds", on these recordings."""
    printed = installation.python(f"DATA = {str(recordings)!r}\n{code}")
    return [float(word) for word in printed.split("seconds")[-1].split()]
