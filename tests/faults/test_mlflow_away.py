"""MLflow goes away while a client logs: the client waits, and nothing is lost or logged twice."""

from __future__ import annotations

import time

import pytest

AWAY = 20.0

CLIENT = """
import time
from mlflow import MlflowClient
client = MlflowClient()
run = client.create_run(client.create_experiment("plumbline/away")).info.run_id
print("run", run, flush=True)
for step in range(60):
    client.log_metric(run, "step", float(step), step=step)
    print("step", step, flush=True)
    time.sleep(0.1)
client.set_terminated(run)
print("done", flush=True)
"""


def _history(server, process):
    from mlflow import MlflowClient

    run = next(line.split()[1] for line in process.lines if line.startswith("run"))
    client = MlflowClient(tracking_uri=server.url)
    history = sorted(metric.step for metric in client.get_metric_history(run, "step"))
    return client.get_run(run).info.status, history


@pytest.mark.soak
@pytest.mark.parametrize("away", ["killed", "frozen"])
def test_client_waits_for_the_server(mlflow_server, victim, away):
    client = victim(CLIENT, mlflow_server.environment)
    client.wait_for(lambda it: "step 5" in it.lines)
    if away == "killed":
        mlflow_server.kill()
        time.sleep(AWAY - 8)  # starting again takes the rest
        mlflow_server.start()
    else:
        mlflow_server.freeze()
        time.sleep(AWAY)
        mlflow_server.thaw()
    assert "done" not in client.lines
    client.finish()
    status, steps = _history(mlflow_server, client)
    assert status == "FINISHED"
    assert set(steps) == set(range(60))
    assert len(steps) <= 61  # the call in flight may have been answered twice, never lost


def test_killed_client_leaves_its_run_open(mlflow_server, victim):
    """Why the reaper is needed; and that the means to kill work."""
    client = victim(CLIENT, mlflow_server.environment)
    client.kill_when(lambda it: "step 5" in it.lines)
    assert client.process.returncode == -9
    status, steps = _history(mlflow_server, client)
    assert status == "RUNNING"
    assert 6 <= len(steps) < 60
