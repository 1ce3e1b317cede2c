"""`plumbline explain MODEL FOLDER`: every recording in its own format, what is unusable named, a killed run resumed."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from background import started
from installation import STUDY, Installation
from support import only

MODEL = f"{STUDY}@champion"


@pytest.fixture(scope="module")
def folder(judged: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three records of the phantom, one of them in a folder below, and three files that nobody can use."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "ward").mkdir()
    headers = sorted(only((judged.home / "phantoms").iterdir()).glob("*.hea"))[:3]
    for header, to in zip(headers, (root, root, root / "ward"), strict=True):
        for file in header.parent.glob(f"{header.stem}.*"):
            (to / file.name).write_bytes(file.read_bytes())
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
def explained(judged: Installation, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "explained"
    done = judged.plumbline("explain", MODEL, str(folder), "--out", str(out), "--method", "gradient")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "3 recordings answered, 0 were there already" in done.stdout
    for name in ("short.hea", "noise.hea", "night.edf"):
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
    for name in ("short.hea", "noise.hea", "night.edf"):
        assert rows[name]["status"] == "quarantined"
        assert rows[name]["reason"].endswith(".")
        assert rows[name]["samples"] == rows[name]["mean_confidence"] == ""
        assert not list(explained.glob(f"{Path(name).stem}*"))


def test_again_it_explains_nothing_twice_and_tries_the_quarantined(
    judged: Installation, folder: Path, explained: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in explained.rglob("*.hea*")}
    again = judged.plumbline("explain", MODEL, str(folder), "--out", str(explained), "--method", "gradient")
    assert again.returncode == 3
    assert "0 recordings answered, 3 were there already" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in explained.rglob("*.hea*")} == before


def test_predictions_alone_agree_with_those_beside_the_maps(
    judged: Installation, folder: Path, explained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predicted"
    done = judged.plumbline("explain", MODEL, str(folder), "--out", str(out), "--method", "none")
    assert done.returncode == 3, done.stderr
    assert not list(out.rglob("*.dat"))
    for name in usable(folder):
        pd.testing.assert_frame_equal(pd.read_csv(out / f"{name}.csv"), pd.read_csv(explained / f"{name}.csv"))


def test_a_killed_run_leaves_no_half_file_and_is_resumed(
    judged: Installation, folder: Path, explained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    arguments = ("explain", MODEL, str(folder), "--out", str(out), "--method", "gradient")
    with started(judged, *arguments) as running:
        running.wait_for(lambda: (out / "summary.csv").exists())
        time.sleep(0.1)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    for path in out.rglob("*.dat"):
        if ".partial" not in path.parts:
            assert path.read_bytes() == (explained / path.relative_to(out)).read_bytes()
    resumed = judged.plumbline(*arguments)
    assert resumed.returncode == 3, resumed.stderr
    names = {path.relative_to(explained) for path in explained.rglob("*")}
    assert {path.relative_to(out) for path in out.rglob("*")} == names
    for name in names:
        if (explained / name).is_file():
            assert (out / name).read_bytes() == (explained / name).read_bytes(), name


@pytest.mark.parametrize(
    ("method", "out", "code", "words"),
    [
        ("tea_leaves", "new", 1, "'tea_leaves' is unknown; expected one of gradient"),
        ("amplitude", "explained", 2, f"holds answers of {STUDY}/1 by gradient, not of {STUDY}/1 by amplitude"),
        ("gradient", "inside", 2, "inside the folder that is explained"),
        ("gradient", "file", 2, "expected a folder"),
    ],
)
def test_a_wrong_argument_is_one_sentence(
    judged: Installation, folder: Path, explained: Path, tmp_path: Path, method: str, out: str, code: int, words: str
) -> None:
    (tmp_path / "file").touch()
    places = {"new": tmp_path / "new", "explained": explained, "inside": folder / "out", "file": tmp_path / "file"}
    done = judged.plumbline("explain", MODEL, str(folder), "--out", str(places[out]), "--method", method)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
