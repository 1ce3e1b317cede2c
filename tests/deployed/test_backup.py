"""Backup and restore: what comes back, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from deployment import DATABASE_PASSWORD, Deployment, three_databases
from installation import CHECKOUT, Installation
from sqlalchemy import create_engine, inspect, make_url, text

from tasks.errors import PlumblineError, UsageError
from tasks.service.backup import MANIFEST, back_up
from tasks.service.databases import databases
from tasks.service.restoring import restore
from tasks.settings import Settings

ANSWER = """
import json, mlflow, numpy as np
model = mlflow.pyfunc.load_model("models:/ecg-beats@champion")
beats = np.random.default_rng(0).normal(size=(4, 1, 216)).astype(np.float32)
print("answer", json.dumps(model.predict(beats)["probability"].tolist()))
"""
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60)
for turn in range(100_000):
    with connection:
        for half in ("a", "b"):
            connection.execute("INSERT INTO experiment_tags VALUES (?, ?, 0)", (f"{half}{turn}", "x" * 500))
    print(turn, flush=True)
    time.sleep(0.001)
"""


def answer(installation: Installation) -> list[list[float]]:
    (line,) = [line for line in installation.python(ANSWER).splitlines() if line.startswith("answer ")]
    return json.loads(line.removeprefix("answer "))


def rows(url: str) -> dict[str, list[str]]:
    """Every table's rows, as text and in an order of their own."""
    address = make_url(url)
    engine = create_engine(address.set(drivername=address.drivername.replace("asyncpg", "psycopg")))
    with engine.connect() as connection:
        tables = inspect(engine).get_table_names()
        found = {table: sorted(map(str, connection.execute(text(f'SELECT * FROM "{table}"')))) for table in tables}
    engine.dispose()
    return found


@pytest.fixture
def settings(judged: Installation, tmp_path: Path) -> Settings:
    """A copy of a judged installation whose artifacts stay where the original has them."""
    shutil.copytree(judged.home, tmp_path / "home", ignore=shutil.ignore_patterns("artifacts", "versions"))
    return Settings(home=tmp_path / "home", artifacts=str(judged.home / "artifacts"))


@pytest.fixture
def backed_up(settings: Settings, tmp_path: Path) -> Path:
    back_up(settings, tmp_path / "backup")
    return tmp_path / "backup"


def test_a_backup_taken_while_others_write_comes_back_elsewhere(
    judged: Installation, settings: Settings, tmp_path: Path
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(settings.root / "mlflow.db")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        said = back_up(settings, tmp_path / "backup")
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()
    assert "pseudonym.key" in said[-1]
    elsewhere = Settings(home=tmp_path / "elsewhere")
    said = restore(elsewhere, tmp_path / "backup")
    assert str(elsewhere.root / "pseudonym.key") in said[-1]
    assert not list((tmp_path / "backup").rglob("*.key"))
    assert not list(elsewhere.root.rglob("*.key"))

    with closing(sqlite3.connect(elsewhere.root / "mlflow.db")) as restored:
        assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        halves = [restored.execute(f"SELECT count(*) FROM experiment_tags WHERE key GLOB '{half}[0-9]*'").fetchone()[0]
                  for half in "ab"]  # fmt: skip
        assert halves[0] == halves[1] > 0
        before = str(judged.home)
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            places = [row[0] for row in restored.execute(f"SELECT {column} FROM {table} WHERE {column} LIKE 'file:%'")]
            assert places
            assert not [place for place in places if before in place]
            assert all(place.startswith((elsewhere.root / "artifacts").as_uri()) for place in places)
    assert rows(elsewhere.ledger) == rows(settings.ledger)
    assert rows(elsewhere.ledger)["scores"]
    ours, theirs = rows(settings.mlflow_store), rows(elsewhere.mlflow_store)
    for table in ("metrics", "latest_metrics", "params", "tags", "registered_model_aliases", "model_version_tags"):
        assert ours[table] == theirs[table]
    assert answer(Installation(elsewhere.root)) == answer(judged)
    files = {path.relative_to(elsewhere.root / "evaluations") for path in (elsewhere.root / "evaluations").rglob("*")}
    assert files == {path.relative_to(judged.home / "evaluations") for path in (judged.home / "evaluations").rglob("*")}


def test_a_restore_overwrites_only_when_told(settings: Settings, backed_up: Path, tmp_path: Path) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere")
    (elsewhere.root / "evaluations").mkdir(parents=True)
    (elsewhere.root / "evaluations" / "mine").write_text("work of weeks")
    (elsewhere.root / "pseudonym.key").write_text("the key")
    with pytest.raises(UsageError, match=r"evaluations would be overwritten; use --overwrite"):
        restore(elsewhere, backed_up)
    assert (elsewhere.root / "evaluations" / "mine").read_text() == "work of weeks"
    restore(elsewhere, backed_up, overwrite=True)
    assert not (elsewhere.root / "evaluations" / "mine").exists()
    assert (elsewhere.root / "pseudonym.key").read_text() == "the key"
    assert rows(elsewhere.ledger) == rows(settings.ledger)
    restore(elsewhere, backed_up, overwrite=True)
    assert rows(elsewhere.ledger) == rows(settings.ledger)


def test_a_changed_or_missing_file_is_seen_before_anything_is_written(backed_up: Path, tmp_path: Path) -> None:
    elsewhere = Settings(home=tmp_path / "elsewhere")
    file = next(path for path in backed_up.rglob("*.safetensors"))
    whole = file.read_bytes()
    for damage in (lambda: file.write_bytes(whole[:-1] + b"?"), file.unlink):
        damage()
        with pytest.raises(PlumblineError, match=r"safetensors is missing or not as it was written"):
            restore(elsewhere, backed_up)
    assert not elsewhere.root.exists()


def test_a_killed_backup_is_never_taken_for_a_whole_one(settings: Settings, tmp_path: Path) -> None:
    to, variables = tmp_path / "backup", {"PLUMBLINE_ARTIFACTS": str(settings.artifacts)}
    installation = Installation(settings.root, variables)
    process = subprocess.Popen(
        installation.command("backup", "--to", str(to)), cwd=CHECKOUT, env=installation.environment
    )
    deadline = time.monotonic() + 300
    while not (to / "databases").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert to.exists()
    assert not (to / MANIFEST).exists()
    with pytest.raises(UsageError, match="it is no backup, or one that was interrupted"):
        restore(Settings(home=tmp_path / "elsewhere"), to)
    with pytest.raises(UsageError, match="holds something already"):
        back_up(settings, to)


def test_a_backup_into_what_is_copied_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="lies within"):
        back_up(settings, settings.root / "backup")


def test_another_kind_of_database_is_refused(backed_up: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "elsewhere", ledger_url="postgresql+psycopg://somebody@127.0.0.1:9/ledger")
    with pytest.raises(UsageError, match=r"PLUMBLINE_LEDGER_URL names a PostgreSQL database.*from SQLite"):
        restore(settings, backed_up)
    with pytest.raises(UsageError, match=r"PLUMBLINE_ARTIFACTS means s3://bucket.*expected a folder for a folder"):
        restore(Settings(home=tmp_path / "elsewhere", artifacts="s3://bucket/here"), backed_up)


def test_a_manifest_cannot_write_outside_the_home(backed_up: Path, tmp_path: Path) -> None:
    manifest = json.loads((backed_up / MANIFEST).read_text())
    (tmp_path / "outside").write_text("harmless")
    manifest["files"]["home/../../outside"] = manifest["files"].pop(next(iter(manifest["files"])))
    (backed_up / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(PlumblineError):
        restore(Settings(home=tmp_path / "inner" / "elsewhere"), backed_up)
    assert (tmp_path / "outside").read_text() == "harmless"


def test_postgres_comes_back_in_other_databases(deployment: Deployment, database_server: str, tmp_path: Path) -> None:
    here = deployment.installation
    done = here.plumbline("backup", "--to", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    assert "s3://" in done.stdout
    refused = here.plumbline("restore", "--from", str(tmp_path / "backup"), "--overwrite")
    assert refused.returncode == 1
    assert "run `plumbline down` before" in refused.stderr
    assert not [path for path in (tmp_path / "backup").rglob("*") if "ledger.db" in path.name]

    databases_elsewhere = three_databases(database_server)
    elsewhere = Installation(tmp_path / "elsewhere", {**here.settings, **databases_elsewhere})
    done = elsewhere.plumbline("restore", "--from", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    for setting in ("PLUMBLINE_LEDGER_URL", "PLUMBLINE_MLFLOW_DATABASE"):
        assert rows(databases_elsewhere[setting]) == rows(here.settings[setting])
    ours, theirs = (rows(each["PLUMBLINE_PREFECT_DATABASE"]) for each in (here.settings, databases_elsewhere))
    assert [row.partition(",")[0] for row in ours["deployment"]] == [
        row.partition(",")[0] for row in theirs["deployment"]
    ]
    assert len(theirs["deployment"]) > 10
    assert answer(elsewhere) == answer(here)
    again = elsewhere.plumbline("restore", "--from", str(tmp_path / "backup"))
    assert again.returncode == 2
    assert "would be overwritten" in again.stderr
    assert DATABASE_PASSWORD not in again.stderr + done.stdout
    assert elsewhere.plumbline("restore", "--from", str(tmp_path / "backup"), "--overwrite").returncode == 0
    assert rows(databases_elsewhere["PLUMBLINE_LEDGER_URL"]) == rows(here.settings["PLUMBLINE_LEDGER_URL"])


def test_without_the_programs_of_postgres_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    settings = Settings(home=tmp_path / "home", ledger_url="postgresql+psycopg://somebody:secret@127.0.0.1:9/ledger")
    with pytest.raises(PlumblineError, match=r"pg_dump is not on the PATH, and the database of ledger is a PostgreSQL"):
        back_up(settings, tmp_path / "backup")
    assert "secret" not in str(databases(settings)[0].address)
