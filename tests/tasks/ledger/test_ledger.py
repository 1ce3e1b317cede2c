"""The ledger on SQLite, its default; PostgreSQL has its own test under tests/service."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from filelock import FileLock
from sqlalchemy import delete, inspect

from tasks.ledger import (
    Evaluation,
    GateDecision,
    Ledger,
    LedgerError,
    begin,
    champions,
    evaluations,
    find,
    finish,
    gate_history,
    open_ledger,
    quarantine,
    record_gate,
    record_quarantine,
    record_scores,
    record_shares,
    scores,
    shares,
    stamp_checked,
)
from tasks.ledger.database import migration_config
from tasks.ledger.models import Base

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


def an_evaluation(key: str = "key", **changes: object) -> Evaluation:
    fields: dict[str, object] = {
        "key": key, "study": "ecg-beats", "job": "faithfulness", "mode": "corrected",
        "model_name": "ecg-beats", "model_version": "1", "cohort_digest": "digest",
        "configuration": {"resamples": 10_000, "baselines": ["zero", "mean"]},
    }  # fmt: skip
    return Evaluation(**(fields | changes))  # type: ignore[arg-type]


def a_table(rows: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=rows)
    values[::7] = np.nan
    return pd.DataFrame({
        "subject": [f"subject{i % 40}" for i in range(rows)],
        "class_name": "",
        "explainer": [f"explainer{i // 40}" for i in range(rows)],
        "metric": "deletion_auc",
        "baseline": "zero",
        "value": values,
        "n": np.arange(rows) % 5,
        "n_undefined": np.where(np.isnan(values), 3, 0),
    })  # fmt: skip


def in_key_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["subject", "class_name", "explainer", "metric", "baseline"], ignore_index=True)


def a_decision(version: str, verdict: str, **changes: object) -> GateDecision:
    fields: dict[str, object] = {
        "study": "ecg-beats", "model_name": "ecg-beats", "model_version": version, "mode": "corrected",
        "verdict": verdict, "violations": [],
    }  # fmt: skip
    return GateDecision(**(fields | changes))  # type: ignore[arg-type]


def test_scores_come_back_as_written_and_undefined_stays_undefined(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    table = a_table(400)
    record_scores(ledger, "key", table.sample(frac=1, random_state=0))
    found = scores(ledger, "key")
    pd.testing.assert_frame_equal(found, in_key_order(table), check_exact=True)
    with closing(sqlite3.connect(str(ledger.engine.url.database))) as raw:
        nulls = raw.execute("SELECT count(*) FROM scores WHERE value IS NULL").fetchone()[0]
    assert nulls == table["value"].isna().sum() == 58


def test_writing_twice_adds_nothing_and_writing_anew_replaces(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    record_scores(ledger, "key", a_table(400))
    once = scores(ledger, "key")
    record_scores(ledger, "key", a_table(400))
    pd.testing.assert_frame_equal(scores(ledger, "key"), once)
    record_scores(ledger, "key", a_table(400, seed=1))
    assert len(scores(ledger, "key")) == 400
    assert not np.allclose(scores(ledger, "key")["value"], once["value"], equal_nan=True)


def test_ten_thousand_rows_take_half_a_second(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    table, times = a_table(10_000), []
    for _ in range(3):
        start = time.process_time()
        record_scores(ledger, "key", table)
        times.append(time.process_time() - start)
    assert len(scores(ledger, "key")) == 10_000
    assert min(times) <= 0.5


def test_an_empty_table_writes_nothing_and_reads_as_an_empty_one(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    record_scores(ledger, "key", a_table(0))
    assert list(scores(ledger, "key").columns) == list(a_table(1).columns)
    assert scores(ledger, "key").empty


def test_a_table_is_written_whole_or_not_at_all(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    table = a_table(5_000).astype({"n": object})
    table.loc[4_999, "n"] = None
    with pytest.raises(LedgerError, match=r"NOT NULL"):
        record_scores(ledger, "key", table)
    assert scores(ledger, "key").empty


def test_bad_tables_and_unknown_keys_are_errors_of_one_sentence(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no evaluation 'other'"):
        record_scores(ledger, "other", a_table(3))
    with pytest.raises(LedgerError, match="no evaluation 'other'"):
        finish(ledger, "other")
    begin(ledger, an_evaluation())
    with pytest.raises(ValueError, match=r"lacks the columns \['n'\]"):
        record_scores(ledger, "key", a_table(3).drop(columns="n"))
    with pytest.raises(ValueError, match=r"'explainer0'.* twice"):
        record_scores(ledger, "key", pd.concat([a_table(3), a_table(1)]))


def test_an_evaluation_is_begun_done_and_stamped(ledger: Ledger) -> None:
    assert find(ledger, "key") is None
    before = datetime.now(UTC)
    begun = begin(ledger, an_evaluation(mlflow_run_id="run"))
    assert (begun.status, begun.finished_at, begun.samples) == ("running", None, None)
    assert before <= begun.started_at <= datetime.now(UTC)
    done = finish(ledger, "key", samples=12)
    assert find(ledger, "key") == done
    assert (done.status, done.samples, done.mlflow_run_id, done.checked_at) == ("done", 12, "run", None)
    assert done.finished_at is not None
    assert done.finished_at >= begun.started_at
    stamped = stamp_checked(ledger, "key")
    assert stamped.checked_at is not None
    assert find(ledger, "key") == stamped
    assert stamped.configuration == {"resamples": 10_000, "baselines": ["zero", "mean"]}


def test_what_is_done_stays_done_and_what_failed_starts_again(ledger: Ledger) -> None:
    begin(ledger, an_evaluation(mlflow_run_id="run"))
    failed = finish(ledger, "key", status="failed")
    again = begin(ledger, an_evaluation())
    assert (failed.status, again.status, again.finished_at) == ("failed", "running", None)
    assert again.mlflow_run_id == "run"
    done = finish(ledger, "key")
    assert begin(ledger, an_evaluation(mlflow_run_id="another")) == done
    assert [e.key for e in evaluations(ledger, "ecg-beats")] == ["key"]
    assert evaluations(ledger, "another") == []


def test_shares_and_quarantine_are_idempotent(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    table = pd.DataFrame({"subject": "s", "class_name": "N", "explainer": "lrp", "part": ["ecg", "map"],
                          "value": [0.25, np.nan]})  # fmt: skip
    for _ in range(2):
        record_shares(ledger, "key", table)
        record_quarantine(ledger, "digest", {"102": "no lead MLII", "100": "signal is flat"})
    pd.testing.assert_frame_equal(shares(ledger, "key"), table)
    record_quarantine(ledger, "digest", {"102": "truncated"})
    assert quarantine(ledger, "digest") == {"100": "signal is flat", "102": "truncated"}
    assert quarantine(ledger, "another") == {}


def test_the_gate_history_makes_a_rollback_possible(ledger: Ledger) -> None:
    def standing() -> list[str]:
        return champions(ledger, "ecg-beats", "ecg-beats")

    assert standing() == []
    for version, verdict in [("1", "promoted"), ("2", "refused"), ("3", "promoted"), ("4", "promoted")]:
        record_gate(ledger, a_decision(version, verdict))
    assert standing() == ["1", "3", "4"]
    record_gate(ledger, a_decision("3", "restored"))
    assert standing() == ["1", "3"]
    record_gate(ledger, a_decision("1", "restored"))
    assert standing() == ["1"]
    record_gate(ledger, a_decision("4", "promoted"))
    assert standing() == ["1", "4"]
    assert champions(ledger, "ecg-beats", "another") == []


def test_the_gate_repeated_says_nothing_new(ledger: Ledger) -> None:
    violations = [{"constraint": "balanced_accuracy", "found": float("nan"), "expected": 0.2}]
    for _ in range(2):
        record_gate(ledger, a_decision("1", "refused", violations=violations))
    (only,) = gate_history(ledger, "ecg-beats")
    assert only.violations == [{"constraint": "balanced_accuracy", "found": None, "expected": 0.2}]
    record_gate(ledger, a_decision("1", "promoted"))
    record_gate(ledger, a_decision("1", "refused", violations=violations))
    assert [d.verdict for d in gate_history(ledger, "ecg-beats")] == ["refused", "promoted", "refused"]


def test_migrations_and_models_agree(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert set(inspect(ledger.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_a_migration_can_be_taken_back_and_made_again(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        command.downgrade(migration_config(connection), "base")
    assert inspect(ledger.engine).get_table_names() == ["alembic_version"]
    again = open_ledger(str(ledger.engine.url))
    begin(again, an_evaluation())
    again.close()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE quarantine (x)")
        raw.commit()
    with pytest.raises(LedgerError, match="quarantine already exists"):
        open_ledger(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TABLE quarantine")
        assert raw.execute("SELECT name FROM sqlite_master WHERE name = 'evaluations'").fetchall() == []
        raw.commit()
    open_ledger(f"sqlite:///{path}").close()


def test_tables_of_a_newer_version_are_refused(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match=r"revision '9999'.* newer"):
        open_ledger(str(ledger.engine.url))


@pytest.mark.parametrize(
    "url",
    ["mysql://user:secret@host/base", "nonsense", "sqlite://", "sqlite:///:memory:", "postgresql://host/b"],
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(LedgerError, match=r"expected sqlite:///path or postgresql\+psycopg") as error:
        open_ledger(url)
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_database_and_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a text of some length, and not a database at all\n" * 50)
    with pytest.raises(LedgerError, match="file is not a database"):
        open_ledger(f"sqlite:///{tmp_path}/notes.txt")
    with pytest.raises(LedgerError, match="failed"):
        open_ledger(f"sqlite:///{tmp_path}/notes.txt/deeper/ledger.db")


def test_a_locked_ledger_is_waited_for(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    with closing(sqlite3.connect(str(ledger.engine.url.database), check_same_thread=False)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(1.0, lambda: other.execute("ROLLBACK"))
        release.start()
        start = time.perf_counter()
        record_scores(ledger, "key", a_table(10))
        waited = time.perf_counter() - start
        release.join()
    assert waited >= 0.9
    assert len(scores(ledger, "key")) == 10


def test_a_ledger_that_stays_locked_is_an_error_of_one_sentence(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    hasty = open_ledger(str(ledger.engine.url), wait=0.3)
    with closing(sqlite3.connect(str(ledger.engine.url.database))) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"stayed locked by another process for 0\.3 s\.$"):
            record_scores(hasty, "key", a_table(10))
        assert scores(hasty, "key").empty  # readers are not held up
    hasty.close()


def test_a_fresh_ledger_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with (
        FileLock(f"{tmp_path}/ledger.db.lock"),
        pytest.raises(LedgerError, match=r"stayed locked by another process for 0\.2 s\.$"),
    ):
        open_ledger(url, wait=0.2)
    open_ledger(url).close()


def test_scores_go_with_their_evaluation(ledger: Ledger) -> None:
    begin(ledger, an_evaluation())
    record_scores(ledger, "key", a_table(10))
    with ledger.writing() as session:
        session.execute(delete(Evaluation))
    assert scores(ledger, "key").empty


WRITER = """
    import sys, time
    from pathlib import Path
    import numpy as np, pandas as pd
    from tasks.ledger import *
    url, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    (folder / f"ready{number}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    ledger = open_ledger(url)
    fields = dict(study="s", job="j", mode="m", model_name="n", model_version="1", cohort_digest="d")
    begin(ledger, Evaluation(key="shared", configuration={}, **fields))
    for turn in range(5):
        table = pd.DataFrame({"subject": [f"s{i}" for i in range(200)], "class_name": "", "explainer": "e",
                              "metric": "m", "baseline": "", "value": float(turn), "n": 1, "n_undefined": 0})
        own = table.assign(explainer=f"e{number}")
        record_scores(ledger, "shared", pd.concat([table, own]).sample(frac=1, random_state=number))
        record_gate(ledger, GateDecision(study="s", model_name="n", model_version="1", mode="m",
                                         verdict="promoted", violations=[]))
"""


def run_writers(url: str, folder: Path, writers: int) -> None:
    """Starts processes, lets them go at one moment once all have imported, and expects all to end well."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), url, str(folder), str(number)],
            env=environment,
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    deadline = time.monotonic() + 400
    while len(list(folder.glob("ready*"))) < writers and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / "go").touch()
    outcomes = [(process.communicate(timeout=500)[1], process.returncode) for process in processes]
    assert [outcome for outcome in outcomes if outcome[1] != 0] == []


def test_eight_processes_open_a_fresh_ledger_at_once_and_write(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fresh/ledger.db"
    run_writers(url, tmp_path, writers=8)
    ledger = open_ledger(url)
    table = scores(ledger, "shared")
    assert table.groupby("explainer").size().to_dict() == {"e": 200, **{f"e{i}": 200 for i in range(8)}}
    assert (table["value"] == 4).all()
    assert len(gate_history(ledger, "s")) == 1
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    ledger.close()


def test_threads_may_open_different_ledgers_at_once(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def open_one(number: int) -> None:
        try:
            open_ledger(f"sqlite:///{tmp_path}/{number}.db").close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one, args=(number % 4,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
