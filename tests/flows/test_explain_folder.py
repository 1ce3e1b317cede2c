"""`plumbline explain MODEL FOLDER`: every recording in its own format, what is unusable named, a killed run resumed."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import wfdb
from background import started
from installation import STUDY, Installation
from mlflow.exceptions import MlflowException
from served import ENVIRONMENT, register_beats, registry

from flows.explain_folder import explain_folder
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.errors import UsageError
from tasks.publishing.registry import set_alias

MODEL = f"{STUDY}@champion"
UNUSABLE = ("night.edf", "noise.hea", "short.hea")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose champion is a version that nobody trained."""
    folder = tmp_path_factory.mktemp("installed")
    with registry(folder):
        set_alias(register_beats(folder), "champion")
        yield Installation(folder / "home", {**ENVIRONMENT, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three records of the phantom, one of them in a folder below, and three files that nobody can use."""
    root = tmp_path_factory.mktemp("recordings")
    write_phantom(root, subjects=3)
    (root / "RECORDS").unlink()  # it would name what is read; without it, every header is
    (root / "ward").mkdir()
    for file in sorted(root.glob(f"{min(root.glob('*.hea')).stem}.*")):
        file.rename(root / "ward" / file.name)
    (root / "short.hea").write_text("short 1 360 1000\nshort.dat 16 200 16 0 0 0 0 MLII\n")
    (root / "short.dat").write_bytes(b"\0\0")
    (root / "noise.hea").write_bytes(np.random.default_rng(0).bytes(300))
    (root / "night.edf").write_bytes(b"0       " + b"x" * 100)
    return root


def summary(out: Path) -> dict[str, dict[str, str]]:
    with (out / "summary.csv").open(newline="") as file:
        return {row["recording"]: row for row in csv.DictReader(file)}


def usable(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.hea") if path.stem not in ("short", "noise")
    )


@pytest.fixture(scope="module")
def explained(installed: Installation, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "explained"
    done = installed.plumbline("explain", MODEL, str(folder), "--out", str(out), "--method", "gradient")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "3 recordings answered, 0 were there already" in done.stdout
    for name in UNUSABLE:
        assert f"quarantined {name}: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return out


def test_every_record_is_explained_in_its_place_and_counted(folder: Path, explained: Path) -> None:
    rows = summary(explained)
    assert sorted(name for name, row in rows.items() if row["status"] == "done") == usable(folder)
    for name in usable(folder):
        row, table = rows[name], pd.read_csv(explained / f"{name}.csv")
        assert (row["model"], row["method"]) == (f"{STUDY}/1", "gradient")
        assert int(row["samples"]) == len(table) > 10
        counted = {part.rpartition(" ")[0]: int(part.rpartition(" ")[2]) for part in row["predicted"].split("; ")}
        assert counted == table["predicted"].value_counts().to_dict()
        probabilities = table.filter(like="probability of ")
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(probabilities.max(axis=1), table["confidence"], atol=1e-6)
        assert float(row["mean_confidence"]) == pytest.approx(table["confidence"].mean(), abs=1e-4)
        written = wfdb.rdrecord(str((explained / name).with_suffix("")))
        assert written.sig_name == ["MLII", "gradient MLII"]
        assert written.units == ["mV", "NU"]
        covered = np.zeros(written.sig_len, dtype=bool)
        for start in (table["seconds"] * 360).round().astype(int):
            covered[start : start + 216] = True
        np.testing.assert_array_equal(np.isnan(written.p_signal[:, 1]), ~covered)
    assert not list(explained.rglob("*partial*"))


def test_the_unusable_are_named_with_their_reason_and_leave_nothing(explained: Path) -> None:
    rows = summary(explained)
    for name in UNUSABLE:
        assert rows[name]["status"] == "quarantined"
        assert rows[name]["reason"].endswith(".")
        assert rows[name]["samples"] == rows[name]["mean_confidence"] == ""
        assert not list(explained.glob(f"{Path(name).stem}*"))


def test_again_it_explains_nothing_twice_and_tries_the_quarantined(folder: Path, explained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in explained.rglob("*.hea*")}
    again = explain_folder(MODEL, folder, "gradient", explained)
    assert (again.explained, again.present, sorted(again.quarantined)) == (0, 3, sorted(UNUSABLE))
    assert {path: path.stat().st_mtime_ns for path in explained.rglob("*.hea*")} == before


def test_predictions_alone_agree_with_those_beside_the_maps(folder: Path, explained: Path, tmp_path: Path) -> None:
    out = tmp_path / "predicted"
    assert explain_folder(MODEL, folder, "none", out).explained == 3
    assert not list(out.rglob("*.dat"))
    for name in usable(folder):
        pd.testing.assert_frame_equal(pd.read_csv(out / f"{name}.csv"), pd.read_csv(explained / f"{name}.csv"))


def test_a_killed_run_leaves_no_half_file_and_is_resumed(
    installed: Installation, folder: Path, explained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    with started(installed, "explain", MODEL, str(folder), "--out", str(out), "--method", "gradient") as running:
        running.wait_for(lambda: (out / "summary.csv").exists())
        time.sleep(0.1)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    for path in out.rglob("*.dat"):
        if ".partial" not in path.parts:
            assert path.read_bytes() == (explained / path.relative_to(out)).read_bytes()
    explain_folder(MODEL, folder, "gradient", out)
    names = {path.relative_to(explained) for path in explained.rglob("*")}
    assert {path.relative_to(out) for path in out.rglob("*")} == names
    for name in names:
        if (explained / name).is_file():
            assert (out / name).read_bytes() == (explained / name).read_bytes(), name


def test_a_name_that_wfdb_cannot_write_is_quarantined_and_the_rest_goes_on(folder: Path, tmp_path: Path) -> None:
    first = min((folder / "ward").glob("*.hea"))
    (tmp_path / "in").mkdir()
    for name in ("good", "a b"):
        text = first.read_text().replace(first.stem, name.replace(" ", "_"))
        (tmp_path / "in" / f"{name}.hea").write_text(text)
        (tmp_path / "in" / f"{name.replace(' ', '_')}.dat").write_bytes(first.with_suffix(".dat").read_bytes())
    done = explain_folder(MODEL, tmp_path / "in", "gradient", tmp_path / "out")
    assert done.explained == 1
    assert list(done.quarantined) == ["a b.hea"]


@pytest.mark.parametrize(
    ("method", "out", "error", "words"),
    [
        ("tea_leaves", "new", MlflowException, "'tea_leaves' is unknown; expected one of gradient"),
        (
            "amplitude",
            "explained",
            UsageError,
            f"holds answers of {STUDY}/1 by gradient, not of {STUDY}/1 by amplitude",
        ),
        ("gradient", "inside", UsageError, "inside the folder that is explained"),
        ("gradient", "file", UsageError, "expected a folder"),
    ],
)
def test_a_wrong_argument_is_one_sentence(
    folder: Path, explained: Path, tmp_path: Path, method: str, out: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "file").touch()
    places = {"new": tmp_path / "new", "explained": explained, "inside": folder / "out", "file": tmp_path / "file"}
    with pytest.raises(error, match=words):
        explain_folder(MODEL, folder, method, places[out])
