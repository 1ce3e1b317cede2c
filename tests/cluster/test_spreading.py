"""The same evaluation on a Dask cluster: equal to the bit, whole after a lost worker, refused where it cannot run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from background import EVALUATE, started
from copying import copy_before_judging
from dask_cluster import Cluster
from distributed import Client
from installation import STUDY, Installation
from looking import assert_judged_once
from support import free_port, only


def shards_of(installation: Installation) -> Path:
    """The folder of the shards of its one evaluation."""
    return only(installation.home.glob("evaluations/*/shards"))


def assert_same_bits(one: Path, other: Path) -> None:
    """Every shard's maps and scores are those of the other, to the last bit."""
    names = sorted(folder.name for folder in one.iterdir())
    assert names == sorted(folder.name for folder in other.iterdir())
    for name in names:
        maps = [
            xr.open_zarr(root / name / "attributions.zarr", consolidated=False, chunks=None) for root in (one, other)
        ]
        np.testing.assert_array_equal(*(each["attribution"].to_numpy() for each in maps))
        scores = [pd.read_parquet(root / name / "scores.parquet") for root in (one, other)]
        pd.testing.assert_frame_equal(*scores, check_exact=True)


def on(cluster: Cluster, installation: Installation) -> Installation:
    """The installation with that cluster in its settings."""
    return Installation(installation.home, {"PLUMBLINE_DASK": cluster.address})


def test_two_workers_give_what_one_process_gives_to_the_bit(
    judged: Installation, cluster: Cluster, tmp_path: Path
) -> None:
    spread = on(cluster, copy_before_judging(judged, tmp_path / "home"))

    done = spread.plumbline(*EVALUATE)

    assert done.returncode == 0, done.stderr
    assert_same_bits(shards_of(spread), shards_of(judged))
    assert_judged_once(spread, judged)


def test_a_lost_workers_shards_are_done_again(judged: Installation, cluster: Cluster, tmp_path: Path) -> None:
    spread = on(cluster, copy_before_judging(judged, tmp_path / "home"))
    victim = cluster.workers[0]
    with started(spread, *EVALUATE) as evaluation:
        with Client(cluster.address, set_as_default=False) as client:
            (address,) = (worker for worker, pid in client.run(os.getpid).items() if pid == victim.pid)
            evaluation.wait_for(lambda: bool(client.processing()[address]))
        victim.kill()
        assert evaluation.end() == 0, evaluation.output
    assert victim.poll() is not None
    assert_same_bits(shards_of(spread), shards_of(judged))
    assert_judged_once(spread, judged)


def test_a_scheduler_that_does_not_answer_is_one_sentence(judged: Installation, tmp_path: Path) -> None:
    nobody = Installation(
        copy_before_judging(judged, tmp_path / "home").home, {"PLUMBLINE_DASK": f"tcp://127.0.0.1:{free_port()}"}
    )

    done = nobody.plumbline("evaluate", "faithfulness", STUDY)

    assert done.returncode == 2
    assert "where no Dask scheduler answers" in done.stderr
    assert "Traceback" not in done.stderr
