"""Copies of a finished installation, to be broken: seconds instead of a training each."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from installation import Installation

LEDGER_ROWS = ("scores", "shares", "gate_decisions", "evaluations")
RESULTS = ("figures", "heatmaps", "inspections", "report.html", "tables", "violations.json")


def copy_before_judging(judged: Installation, home: Path, *, shards: tuple[int, ...] = ()) -> Installation:
    """A copy in which the model is trained and registered, and nothing judged but the given shards.

    MLflow and the ledger know nothing of an evaluation; MLflow's paths lead into the copy.
    """
    shutil.copytree(judged.home, home, dirs_exist_ok=True)
    _forget_evaluations(home / "ledger.db")
    _forget_runs(home / "mlflow.db", judged.home, home)
    for evaluation in (home / "evaluations").iterdir():
        for result in RESULTS:
            _remove(evaluation / result)
        (evaluation / "tables").mkdir()
        for shard in (evaluation / "shards").iterdir():
            if int(shard.name) not in shards:
                _remove(shard)
    return Installation(home)


def copy_of(judged: Installation, home: Path) -> Installation:
    """A copy of a finished installation in which everything that was done stays done; its paths lead into the copy."""
    shutil.copytree(judged.home, home, dirs_exist_ok=True)
    _move_paths(home / "mlflow.db", judged.home, home)
    for reference in home.glob("evaluations/*/evaluation.json"):
        reference.write_text(reference.read_text().replace(str(judged.home), str(home)))
    return Installation(home)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _forget_evaluations(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as books, books:
        for table in LEDGER_ROWS:
            books.execute(f"DELETE FROM {table}")


def _forget_runs(database: Path, former_home: Path, home: Path) -> None:
    """Evaluation runs are deleted as MLflow deletes them; every path is moved to the new home."""
    _move_paths(database, former_home, home)
    with closing(sqlite3.connect(database)) as store, store:
        store.execute("PRAGMA foreign_keys = OFF")
        store.execute(
            "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN "
            "(SELECT run_uuid FROM tags WHERE key = 'plumbline.job' AND value = 'faithfulness')"
        )


def _move_paths(database: Path, former_home: Path, home: Path) -> None:
    with closing(sqlite3.connect(database)) as store, store:
        store.execute("PRAGMA foreign_keys = OFF")
        tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, kind, *_ in store.execute(f"PRAGMA table_info({table})").fetchall():
                if kind.upper().startswith(("VARCHAR", "TEXT")):
                    store.execute(
                        f'UPDATE {table} SET "{column}" = replace("{column}", ?, ?) WHERE "{column}" LIKE ?',
                        (str(former_home), str(home), f"%{former_home}%"),
                    )
