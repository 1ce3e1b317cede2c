"""How an evaluation's time falls with workers, and what the service adds to it: measured, printed, bounded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from dask_cluster import running_cluster
from installation import STUDY, Installation
from support import free_port

SUBJECTS = 48
"""Of the phantom: 960 judged beats in shards of 64, minutes of one core."""
OVERHEAD = 0.10

SHARDS = f"""
import time
from prefect import flow
from flows.catalogue import study_named
from flows.evaluating import explain_and_judge, plan_evaluation
from tasks.publishing.registry import resolve_for_evaluation
model = resolve_for_evaluation("{STUDY}", None)
evaluation = plan_evaluation("inclusivity", study_named("{STUDY}"), model, DATA, "quick")
start = time.monotonic()
flow(explain_and_judge)(evaluation)
print("seconds", time.monotonic() - start, len(evaluation.samples()), len(evaluation.shards()))
"""

BARE = f"""
import time
from flows.catalogue import study_named
from flows.evaluating import plan_evaluation
from tasks.evaluating.explaining import explain_shard
from tasks.evaluating.illustrating import illustrate
from tasks.evaluating.inspecting import inspect_version
from tasks.evaluating.judging import judge
from tasks.evaluating.scoring import score_shard
from tasks.publishing.registry import resolve_for_evaluation
from tasks.reporting.evaluation_report import write_evaluation_report
start = time.monotonic()
model = resolve_for_evaluation("{STUDY}", None)
evaluation = plan_evaluation("faithfulness", study_named("{STUDY}"), model, DATA, "quick")
for shard in evaluation.shards():
    explain_shard.fn(evaluation, shard)
    score_shard.fn(evaluation, shard)
judge.fn(evaluation)
inspect_version.fn(evaluation)
illustrate.fn(evaluation)
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


@pytest.fixture(scope="module")
def recordings(judged: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom recordings, more of them than the version was trained on."""
    folder = tmp_path_factory.mktemp("recordings")
    done = judged.plumbline("phantom", STUDY, "--to", str(folder), "--subjects", str(SUBJECTS), "--seed", "7")
    assert done.returncode == 0, done.stderr
    return folder


def measured(installation: Installation, code: str, recordings: Path) -> list[float]:
    """The numbers that the code prints after "seconds", on these recordings."""
    printed = installation.python(f"DATA = {str(recordings)!r}\n{code}")
    return [float(word) for word in printed.split("seconds")[-1].split()]


def fresh(judged: Installation, home: Path, **settings: str) -> Installation:
    """The version and its tracking, in a home of its own."""
    shutil.copytree(judged.home, home)
    return Installation(home, settings)


@pytest.mark.soak
def test_workers_share_the_shards(judged: Installation, recordings: Path, tmp_path: Path) -> None:
    alone, samples, shards = measured(fresh(judged, tmp_path / "alone"), SHARDS, recordings)
    rows = [("this process alone", alone)]
    for workers in [count for count in (1, 2, 4) if count <= (os.cpu_count() or 1)]:
        with running_cluster(tmp_path, workers) as cluster:
            spread = fresh(judged, tmp_path / f"spread-{workers}", PLUMBLINE_DASK=cluster.address)
            rows.append((f"{workers} workers of one thread", measured(spread, SHARDS, recordings)[0]))
    table = pd.DataFrame(rows, columns=["on", "seconds"]).assign(times=lambda t: alone / t["seconds"])
    print(f"\n{samples:.0f} samples in {shards:.0f} shards\n{table.round(2).to_string(index=False)}")
    assert table["times"].iloc[1] > 0.8, "one worker is much slower than no cluster"
    assert len(table) < 3 or table["times"].iloc[2] > 1.5, "two workers are hardly faster than one process"


@pytest.mark.soak
def test_the_service_costs_a_tenth_at_most(judged: Installation, recordings: Path, tmp_path: Path) -> None:
    bare = measured(fresh(judged, tmp_path / "bare"), BARE, recordings)[0]
    ports = {"PLUMBLINE_MLFLOW_PORT": str(free_port()), "PLUMBLINE_PREFECT_PORT": str(free_port())}
    served = fresh(judged, tmp_path / "served", **ports)
    try:
        assert served.plumbline("up").returncode == 0
        whole = measured(served, WITH_SERVICE, recordings)[0]
    finally:
        served.plumbline("down")
    print(f"\nbare {bare:.1f} s, with Prefect, MLflow and ledger {whole:.1f} s: {100 * (whole / bare - 1):.1f} % more")
    assert bare > 120, "the job is too short to be judged"
    assert whole / bare - 1 < OVERHEAD
