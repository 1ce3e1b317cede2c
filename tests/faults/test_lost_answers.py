"""The network breaks between a request and its answer: what was asked for twice is there once."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from faults.network import Cable

KEYED_RUN = """
from tasks.publishing.tracking import keyed_run
with keyed_run(study="lost", name="job", tags={"plumbline.key": "k"}, key_tags=("plumbline.key",)) as run:
    print("run", run.info.run_id)
"""


@pytest.fixture
def cable(mlflow_server) -> Iterator[Cable]:  # type: ignore[no-untyped-def]
    port = urlsplit(mlflow_server.url).port
    laid = Cable(int(port or 0))
    yield laid
    laid.close()


def test_a_run_that_was_asked_for_twice_is_there_once(mlflow_server, victim, cable: Cable) -> None:  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    cable.lose_answer_to(b"runs/create")
    client = victim(KEYED_RUN, {**mlflow_server.environment, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{cable.port}"})
    client.finish()

    server = MlflowClient(tracking_uri=mlflow_server.url)
    experiment = server.get_experiment_by_name("plumbline/lost").experiment_id
    (run,) = server.search_runs([experiment])
    assert f"run {run.info.run_id}" in client.lines
    assert run.info.status == "FINISHED"
    asked = server.search_runs([experiment], run_view_type=3)
    assert len(asked) == 2, "meant to be asked for twice"
