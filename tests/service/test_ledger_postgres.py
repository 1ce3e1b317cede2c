"""The ledger on a real PostgreSQL server, started here on 127.0.0.1 and ended here."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from postgres import postgres_server
from sqlalchemy import create_engine, text

from tasks.ledger import (
    Evaluation,
    GateDecision,
    LedgerError,
    begin,
    find,
    finish,
    gate_history,
    open_ledger,
    quarantine,
    record_gate,
    record_quarantine,
    record_scores,
    scores,
)
from tasks.ledger.models import Base

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The URL of a fresh database."""
    place, _, query = server.partition("?")
    name = f"ledger_{uuid4().hex[:8]}"
    suffix = f"?{query}" if query else ""
    admin = create_engine(f"{place.rstrip('/')}/postgres{suffix}", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{place.rstrip('/')}/{name}{suffix}"
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def an_evaluation() -> Evaluation:
    return Evaluation(
        key="key", study="s", job="faithfulness", mode="corrected", model_name="m", model_version="1",
        cohort_digest="d", configuration={"width": 10, "undefined": float("nan")},
    )  # fmt: skip


def a_table(rows: int) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=rows)
    values[::7] = np.nan
    return pd.DataFrame({
        "subject": [f"Subject{i % 40}" for i in range(rows)], "class_name": "",
        "explainer": [f"explainer_{i // 40}" for i in range(rows)], "metric": "deletion_auc",
        "baseline": "zero", "value": values, "n": 3, "n_undefined": np.where(np.isnan(values), 3, 0),
    })  # fmt: skip


def test_ten_thousand_scores_twice_are_ten_thousand_scores(url: str) -> None:
    ledger = open_ledger(url)
    begin(ledger, an_evaluation())
    table, times = a_table(10_000), []
    for _ in range(3):
        start = time.process_time()
        record_scores(ledger, "key", table.sample(frac=1, random_state=len(times)))
        times.append(time.process_time() - start)
    keys = ["subject", "class_name", "explainer", "metric", "baseline"]
    found, expected = scores(ledger, "key"), table.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    with ledger.engine.connect() as connection:
        nulls = connection.execute(text("SELECT count(*) FROM scores WHERE value IS NULL")).scalar()
    assert nulls == table["value"].isna().sum() > 0
    print(f"10,000 rows to PostgreSQL: {min(times):.2f} s of this process's time")
    assert min(times) <= 0.5
    ledger.close()


def test_an_evaluation_and_a_gate_decision_come_back(url: str) -> None:
    ledger = open_ledger(url)
    begin(ledger, an_evaluation())
    done = finish(ledger, "key", samples=5)
    assert find(ledger, "key") == done
    assert done.configuration == {"width": 10, "undefined": None}
    assert begin(ledger, an_evaluation()) == done
    fields = {"study": "s", "model_name": "m", "model_version": "1", "mode": "corrected"}
    for _ in range(2):
        record_gate(ledger, GateDecision(**fields, verdict="refused", violations=[{"found": float("nan")}]))
        record_quarantine(ledger, "d", {"102": "no lead MLII"})
    assert [decision.violations for decision in gate_history(ledger, "s")] == [[{"found": None}]]
    assert quarantine(ledger, "d") == {"102": "no lead MLII"}
    with pytest.raises(LedgerError, match="no evaluation 'other'"):
        record_scores(ledger, "other", a_table(1))
    ledger.close()


def test_migrations_and_models_agree(url: str) -> None:
    ledger = open_ledger(url)
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    ledger.close()


def test_a_locked_table_is_waited_for_and_then_an_error(url: str) -> None:
    ledger = open_ledger(url, wait=0.3)
    begin(ledger, an_evaluation())
    with ledger.engine.begin() as other:
        other.execute(text("LOCK TABLE scores IN EXCLUSIVE MODE"))
        start = time.perf_counter()
        with pytest.raises(LedgerError, match=r"stayed locked by another process for 0\.3 s\.$"):
            record_scores(ledger, "key", a_table(1))
        assert time.perf_counter() - start >= 0.3
    record_scores(ledger, "key", a_table(1))
    assert len(scores(ledger, "key")) == 1
    ledger.close()


def test_two_gates_at_once_take_one_decision(url: str) -> None:
    ledger = open_ledger(url)
    fields = {"study": "s", "model_name": "m", "model_version": "1", "mode": "corrected"}

    def decide() -> None:
        record_gate(ledger, GateDecision(**fields, verdict="promoted", violations=[]))

    second = threading.Thread(target=decide)
    with ledger.writing() as session:
        session.add(GateDecision(**fields, verdict="promoted", violations=[]))
        session.flush()
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()
    second.join()
    assert len(gate_history(ledger, "s")) == 1
    ledger.close()


WRITER = """
    import sys, time
    from pathlib import Path
    import pandas as pd
    from tasks.ledger import *
    url, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    (folder / f"ready{number}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    ledger = open_ledger(url)
    begin(ledger, Evaluation(key="key", configuration={}, study="s", job="j", mode="m", model_name="n",
                             model_version="1", cohort_digest="d"))
    for turn in range(5):
        record_scores(ledger, "key", pd.DataFrame(
            {"subject": [f"s{i}" for i in range(500)], "class_name": "", "explainer": "e", "metric": "m",
             "baseline": "", "value": float(turn), "n": 1, "n_undefined": 0}).sample(frac=1))
        record_gate(ledger, GateDecision(study="s", model_name="n", model_version="1", mode="m",
                                         verdict="promoted", violations=[]))
"""


def test_four_processes_open_a_fresh_ledger_at_once_and_write(url: str, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), url, str(tmp_path), str(number)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    deadline = time.monotonic() + 400
    while len(list(tmp_path.glob("ready*"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    outcomes = [(process.communicate(timeout=500)[1], process.returncode) for process in processes]
    assert [outcome for outcome in outcomes if outcome[1] != 0] == []
    ledger = open_ledger(url)
    assert len(scores(ledger, "key")) == 500
    assert len(gate_history(ledger, "s")) == 1
    ledger.close()
