"""How an evaluation's time falls with workers, and what the service adds to it: measured, printed, bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from dask_cluster import running_cluster
from installation import STUDY, Installation
from service_overhead import BARE, WITH_SERVICE, copied, printed_seconds, recorded, served

SUBJECTS = 32
"""Of the phantom: two minutes and more of one core."""
OVERHEAD = 0.10

SHARDS = f"""
import os, time
from prefect import flow
from flows.catalogue import study_named
from flows.evaluating import plan_evaluation
from tasks.evaluating.explaining import explain_shard
from tasks.evaluating.scoring import score_shard
from tasks.publishing.registry import resolve_for_evaluation
from tasks.spreading import each_unit
model = resolve_for_evaluation("{STUDY}", None)
evaluation = plan_evaluation("inclusivity", study_named("{STUDY}"), model, DATA, "quick")
if "PLUMBLINE_DASK" in os.environ:  # a worker imports once in its life
    from distributed import Client
    with Client(os.environ["PLUMBLINE_DASK"]) as client:
        client.run(lambda: __import__("flows.faithfulness") and None)
start = time.monotonic()
flow(each_unit)((explain_shard, score_shard), evaluation, evaluation.shards(), "shards")
print("seconds", time.monotonic() - start, len(evaluation.samples()), len(evaluation.shards()))
"""


@pytest.fixture(scope="module")
def recordings(judged: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom recordings, more of them than the version was trained on."""
    return recorded(judged, tmp_path_factory.mktemp("recordings"), SUBJECTS, seed=7)


@pytest.mark.soak
def test_workers_share_the_shards(judged: Installation, recordings: Path, tmp_path: Path) -> None:
    alone, samples, shards = printed_seconds(copied(judged, tmp_path / "alone"), SHARDS, recordings)
    rows = [("this process alone", alone)]
    for workers in [count for count in (1, 2, 4) if count <= (os.cpu_count() or 1)]:
        with running_cluster(tmp_path, workers) as cluster:
            spread = copied(judged, tmp_path / f"spread-{workers}", PLUMBLINE_DASK=cluster.address)
            rows.append((f"{workers} workers of one thread", printed_seconds(spread, SHARDS, recordings)[0]))
    table = pd.DataFrame(rows, columns=["on", "seconds"]).assign(times=lambda t: alone / t["seconds"])
    print(f"\n{samples:.0f} samples in {shards:.0f} shards\n{table.round(2).to_string(index=False)}")
    assert table["times"].iloc[1] > 0.7, "one worker is much slower than no cluster"
    assert len(table) < 3 or table["times"].iloc[2] > 1.5, "two workers are hardly faster than one process"


@pytest.mark.soak
def test_the_service_costs_a_tenth_at_most(judged: Installation, recordings: Path, tmp_path: Path) -> None:
    bare = printed_seconds(copied(judged, tmp_path / "bare"), BARE, recordings)[0]
    installation = served(judged, tmp_path / "served")
    try:
        whole = printed_seconds(installation, WITH_SERVICE, recordings)[0]
    finally:
        installation.plumbline("down")
    print(f"\nbare {bare:.1f} s, with Prefect, MLflow and ledger {whole:.1f} s: {100 * (whole / bare - 1):.1f} % more")
    assert bare > 120, "the job is too short to be judged"
    assert whole / bare - 1 < OVERHEAD
