"""The watch end to end: recordings arrive in the inbox of a judged installation, look after look."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from copying import copy_whole
from installation import CHECKOUT, STUDY, Installation

from tasks.cohorts.phantoms.ecg_beats import write_phantom

PRELUDE = """
import json, os, signal
from tasks.settings import *
prepare_environment(Settings())
import flows.watch as watching
def look():
    state = watching.watch("ecg-beats", return_state=True)
    print("END " + json.dumps([state.name, state.message]), flush=True)
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def arrive(inbox: Path, phantom: Path, prefix: str) -> None:
    """Copies records under names of their own; they settled long ago."""
    folder = inbox / STUDY
    folder.mkdir(parents=True, exist_ok=True)
    for path in phantom.glob("p*.*"):
        target = folder / f"{prefix}{path.name}"
        content = path.read_bytes()
        target.write_bytes(
            content.replace(path.stem.encode(), f"{prefix}{path.stem}".encode()) if path.suffix == ".hea" else content
        )
        os.utime(target, (1, 1))


def run(installation: Installation, inbox: Path, code: str) -> tuple[int, list[list[str]]]:
    """The exit code and the named ends, with their messages, of the looks of a process."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code],
            cwd=CHECKOUT,
            env={**installation.environment, "PLUMBLINE_INBOX": str(inbox)},
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        returned = process.wait()
        with contextlib.suppress(ProcessLookupError):  # one that was killed leaves its temporary Prefect server
            os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        errors.seek(0)
        if returned > 0:
            pytest.fail(errors.read())
        return returned, [json.loads(line[4:]) for line in output if line.startswith("END ")]


def rows(installation: Installation, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(installation.home / "ledger.db")) as books:
        return list(books.execute(query))


def tag(installation: Installation, name: str) -> str:
    with closing(sqlite3.connect(installation.home / "mlflow.db")) as store:
        return store.execute("SELECT value FROM model_version_tags WHERE key = ?", (name,)).fetchone()[0]


def runs_of_looks(installation: Installation) -> list[str]:
    with closing(sqlite3.connect(installation.home / "mlflow.db")) as store:
        return [name for (name,) in store.execute("SELECT name FROM runs WHERE name LIKE 'watch v%' ORDER BY name")]


@pytest.fixture(scope="module")
def watched(judged: Installation, tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Path]:
    """A judged installation and its inbox, to which six people of the phantom have come."""
    home = tmp_path_factory.mktemp("watched")
    write_phantom(home / "same", subjects=6, seed=70, beats_per_class=12)
    arrive(home / "inbox", home / "same", "a")
    return copy_whole(judged, home / "home"), home / "inbox"


def test_promotion_wrote_the_baseline(watched: tuple[Installation, Path]) -> None:
    installation, _ = watched
    ((digest,),) = rows(installation, "SELECT digest FROM baselines")
    assert digest == tag(installation, "plumbline.baseline")
    counts = dict(rows(installation, "SELECT measure, count(*) FROM baseline_values GROUP BY measure"))  # type: ignore[arg-type]
    assert set(counts.values()) == {20}
    assert {"accuracy", "deletion_auc", "share P", "share QRS", "share T", "share other"} == set(counts)
    assert list(installation.home.glob("artifacts/**/baseline.csv"))


def test_a_look_that_is_killed_anywhere_is_neither_lost_nor_done_twice(watched: tuple[Installation, Path]) -> None:
    """Killed after a shard was explained; killed again when the ledger has the look and MLflow has not."""
    installation, inbox = watched
    code, ends = run(installation, inbox, "watching.score_shard = die\nlook()")
    assert (code, ends) == (-9, [])
    assert rows(installation, "SELECT count(*) FROM looks") == [(0,)]
    code, ends = run(installation, inbox, "watching.show_look = die\nlook()")
    assert (code, ends) == (-9, [])
    assert rows(installation, "SELECT number, mlflow_run_id FROM looks") == [(1, None)]
    _, ends = run(installation, inbox, "look()\nlook()")
    assert [name for name, _ in ends] == ["Completed", "Nothing new"]
    assert "6 new recordings, 6 subjects since promotion" in ends[0][1]
    assert rows(installation, "SELECT number, tested, state FROM looks") == [(1, 1, "Completed")]
    assert rows(installation, "SELECT count(*), count(DISTINCT recording) FROM arrivals") == [(6, 6)]
    assert runs_of_looks(installation) == ["watch v1 look 1"]


PROMOTE_MEANWHILE = """
from mlflow import MlflowClient
score = watching.score_shard
def promote(*arguments):
    MlflowClient().set_registered_model_alias("ecg-beats", "champion", second.version)
    return score(*arguments)
first = MlflowClient().get_model_version("ecg-beats", "1")
second = MlflowClient().create_model_version("ecg-beats", first.source, run_id=first.run_id)
watching.score_shard = promote
look()
MlflowClient().set_registered_model_alias("ecg-beats", "champion", "1")
"""


def test_drift_and_quarantine_are_both_named_and_a_new_champion_changes_nothing_meanwhile(
    watched: tuple[Installation, Path], tmp_path: Path
) -> None:
    """Ten recordings of a noisier recorder and sicker hearts are enough; one recording more is broken."""
    installation, inbox = watched
    write_phantom(tmp_path / "drift", subjects=10, seed=71, beats_per_class=12, noise=0.15, p_wave=0.1, st_shift=0.12)
    arrive(inbox, tmp_path / "drift", "Jane_Doe_")
    broken = inbox / STUDY / "Jane_Doe_p0003.dat"
    broken.write_bytes(broken.read_bytes()[:100])
    os.utime(broken, (1, 1))
    _, ((name, message),) = run(installation, inbox, PROMOTE_MEANWHILE)
    assert name == "Completed with violations"
    assert "ecg-beats version 1: 9 new recordings, 15 subjects since promotion" in message
    assert "violations: accuracy" in message
    assert "1 quarantined (" in message
    assert rows(installation, "SELECT DISTINCT model_version FROM looks") == [("1",)]
    assert runs_of_looks(installation) == ["watch v1 look 1", "watch v1 look 2"]
    assert "Doe" not in message
    assert not rows(installation, "SELECT * FROM arrivals WHERE recording LIKE '%Doe%' OR reason LIKE '%Doe%'")
    pictures = list(installation.home.glob("artifacts/**/figures/watch.png"))
    assert len(pictures) == 2


def test_a_changed_recording_takes_the_place_of_its_former_version(watched: tuple[Installation, Path]) -> None:
    installation, inbox = watched
    header = inbox / STUDY / "ap0001.hea"
    header.write_text(header.read_text() + "# seen again\n")
    os.utime(header, (2, 2))
    _, ((name, message),) = run(installation, inbox, "look()")
    assert "1 new recordings, 15 subjects since promotion" in message
    assert name == "Completed with violations", "what was shown once stands until another version is champion"
    assert rows(installation, "SELECT count(*), count(DISTINCT recording) FROM arrivals") == [(17, 16)]


def test_no_inbox_and_no_champion_are_skipped_in_words(watched: tuple[Installation, Path]) -> None:
    installation, inbox = watched
    code = """
for study, where in (("ecg-beats", None), ("icu-vitals", os.environ.pop("PLUMBLINE_INBOX"))):
    state = watching.watch(study, where, return_state=True)
    print("END " + json.dumps([state.name, state.message]))
"""
    _, ends = run(installation, inbox, code)
    assert ends == [
        ["Skipped", "There is no inbox: PLUMBLINE_INBOX is not set."],
        ["Skipped", "icu-vitals has no champion to watch."],
    ]
