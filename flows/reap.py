"""The flow `reap`: closes runs that a killed process has left open, in Prefect and in MLflow."""

from __future__ import annotations

from mlflow import MlflowClient
from prefect import flow, get_client, get_run_logger

from tasks.service.abandoned import close_abandoned_mlflow_runs, crash_silent_flow_runs


@flow(name="reap", retries=1, retry_delay_seconds=30)
def reap() -> dict[str, int]:
    """Closes the runs that nobody works on any more; returns their number.

    The ledger is left alone: what a killed evaluation has done stays done, and a rerun completes it.
    """
    with get_client(sync_client=True) as prefect:
        crashed = crash_silent_flow_runs(prefect)
        closed = close_abandoned_mlflow_runs(MlflowClient(), prefect)
    get_run_logger().info("%d silent flow runs crashed, %d abandoned MLflow runs closed", len(crashed), len(closed))
    return {"crashed": len(crashed), "closed": len(closed)}
