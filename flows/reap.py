"""The flow `reap`: closes MLflow runs that a killed process has left open."""

from __future__ import annotations

from mlflow import MlflowClient
from prefect import flow, get_client, get_run_logger

from tasks.service.abandoned import close_abandoned_mlflow_runs


@flow(name="reap", retries=1, retry_delay_seconds=30)
def reap() -> dict[str, int]:
    """Closes the runs that nobody works on any more; returns their number.

    The ledger is left alone: what a killed evaluation has done stays done, and a rerun completes it.
    """
    with get_client(sync_client=True) as prefect:
        closed = close_abandoned_mlflow_runs(MlflowClient(), prefect)
    get_run_logger().info("%d abandoned MLflow runs closed", len(closed))
    return {"closed": len(closed)}
