"""What an installation holds of its evaluation: in MLflow's database, in the ledger, in its artifacts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
from installation import Installation
from support import only

RUNS = """
SELECT explainer.value AS explainer, run.run_uuid AS run, run.status AS status, key.value AS key,
       (SELECT count(*) FROM metrics WHERE metrics.run_uuid = run.run_uuid) AS points,
       (SELECT count(*) FROM logged_model_metrics AS linked WHERE linked.run_id = run.run_uuid) AS linked
FROM runs AS run
JOIN tags AS explainer ON explainer.run_uuid = run.run_uuid AND explainer.key = 'plumbline.explainer'
JOIN tags AS key ON key.run_uuid = run.run_uuid AND key.key = 'plumbline.key'
WHERE run.lifecycle_stage = 'active'
ORDER BY explainer.value, run.run_uuid
"""
SCORE_KEYS = ["subject", "class_name", "explainer", "metric", "baseline"]


def published(installation: Installation) -> pd.DataFrame:
    """The evaluation's MLflow runs: explainer ("all": the parent), run, status, key, points logged, points linked."""
    return _query(installation.home / "mlflow.db", RUNS)


def images(installation: Installation) -> int:
    """Number of images in the parent run's grid."""
    parent = only(published(installation).query("explainer == 'all'")["run"])
    folder = only(installation.home.glob(f"artifacts/*/{parent}"))
    return len(list(folder.glob("artifacts/images/*.png")))


def evaluations(installation: Installation) -> pd.DataFrame:
    """The ledger's evaluations."""
    return _query(_ledger(installation), "SELECT * FROM evaluations ORDER BY key")


def scores(installation: Installation) -> pd.DataFrame:
    """The ledger's scores, in the order of their keys."""
    return _query(_ledger(installation), f"SELECT * FROM scores ORDER BY {', '.join(SCORE_KEYS)}")


def quarantined(installation: Installation) -> dict[str, str]:
    """The ledger's reason by recording."""
    table = _query(_ledger(installation), "SELECT recording, reason FROM quarantine")
    return dict(zip(table["recording"], table["reason"], strict=True))


def assert_judged_once(installation: Installation, undisturbed: Installation) -> None:
    """One evaluation in ledger and MLflow, with the numbers of the undisturbed one, nothing twice."""
    row, expected = only(evaluations(installation).itertuples()), only(evaluations(undisturbed).itertuples())
    assert (row.key, row.status, row.samples) == (expected.key, "done", expected.samples)
    keys = ["key", *SCORE_KEYS]
    mine, theirs = scores(installation).set_index(keys), scores(undisturbed).set_index(keys)
    pd.testing.assert_frame_equal(mine, theirs, rtol=1e-5, atol=1e-6)

    runs, others = published(installation), published(undisturbed)
    counted = ["explainer", "key", "status", "points", "linked"]
    pd.testing.assert_frame_equal(runs[counted], others[counted])
    assert set(runs["status"]) == {"FINISHED"}
    assert only(runs.query("explainer == 'all'")["run"]) == row.mlflow_run_id
    assert images(installation) == images(undisturbed) > 0


def _ledger(installation: Installation) -> Path:
    return installation.home / "ledger.db"


def _query(database: Path, query: str) -> pd.DataFrame:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return pd.read_sql_query(query, connection)
