"""Recordings that cannot be used are named and left out; where none can be used, the answer is one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import wfdb
from installation import STUDY, Installation
from looking import quarantined
from support import only

from tasks.cohorts.pseudonyms import load_or_create_key, names_behind

# The weights as a former run would have left them: what is done is kept, so the command trains nothing. The
# cohort is taken away again, so the command reads the recordings itself.
TRAINED_BEFORE = f"""
import shutil, torch
from pathlib import Path
from safetensors.torch import save_file
from flows.catalogue import study_named
from flows.train import plan_training
from models import build_network
from tasks.cohorts.build import build_cohort
from tasks.cohorts.store import Cohort
study, root = study_named("{STUDY}"), Settings().root
cohort = Cohort.open(build_cohort.fn(study.name, Path("{{folder}}"), study.read, root))
training = plan_training(study, cohort, "{{folder}}", "quick", "corrected")
config = training.bundle_config()
for member in range(training.members):
    torch.manual_seed(member)
    folder = training.folder / "members" / str(member)
    folder.mkdir(parents=True)
    save_file(build_network(config.network, **config.arguments).state_dict(), folder / "member.safetensors")
shutil.rmtree(root / "cohorts")
"""
TABLE = f"""
import mlflow
mlflow.set_experiment("plumbline/{STUDY}")
run = mlflow.search_runs(output_format="list")[0]
print(mlflow.load_table("quarantine.json", [run.info.run_id])[["recording", "reason"]].to_json(orient="values"))
"""

EXPECTED = {
    "p0001": "truncated",
    "p0002": "the file ….dat is missing",
    "p0003": "beyond the record's",
    "p0004": "no lead MLII, only V5, V1",
    "p0005": "undefined values (NaN)",
    "p0006": "is flat",
    "p0007": "lies outside the folder",
}


def _damage(folder: Path) -> None:
    """Spoils the records of EXPECTED, each in its own way."""
    truncated = folder / "p0001.dat"
    truncated.write_bytes(truncated.read_bytes()[:-3000])
    (folder / "p0002.dat").unlink()
    length = wfdb.rdheader(str(folder / "p0003")).sig_len
    wfdb.wrann("p0003", "atr", np.array([500, length + 5]), symbol=["N", "N"], write_dir=str(folder))
    _rewrite_header(folder / "p0004.hea", "MLII", "V5")
    signal = wfdb.rdrecord(str(folder / "p0005")).p_signal
    signal[1000:1004, 0] = np.nan
    _rewrite_signal(folder, "p0005", signal)
    signal = wfdb.rdrecord(str(folder / "p0006")).p_signal
    signal[:, 0] = 0.25
    _rewrite_signal(folder, "p0006", signal)
    shutil.copy(folder / "p0007.dat", folder.parent / "outside.dat")
    _rewrite_header(folder / "p0007.hea", "p0007.dat", "../outside.dat")


def _rewrite_header(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _rewrite_signal(folder: Path, record: str, signal: np.ndarray) -> None:
    header = wfdb.rdheader(str(folder / record))
    wfdb.wrsamp(
        record,
        fs=header.fs,
        units=header.units,
        sig_name=header.sig_name,
        p_signal=signal,
        fmt=header.fmt,
        adc_gain=header.adc_gain,
        baseline=header.baseline,
        comments=header.comments,
        write_dir=str(folder),
    )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A home of its own; the tests share it, because the first command in a new one takes longer."""
    return Installation(tmp_path_factory.mktemp("quarantine") / "home")


@pytest.fixture
def recordings(installation: Installation, tmp_path: Path) -> Path:
    """Twelve phantom subjects, written by the command itself; seven are spoilt."""
    folder = tmp_path / "recordings"
    options = ("--to", str(folder), "--subjects", "12", "--set", "beats_per_class=4")
    written = installation.plumbline("phantom", STUDY, *options)
    assert written.returncode == 0, written.stderr
    _damage(folder)
    return folder


def test_spoilt_recordings_are_quarantined_with_their_reason_and_the_rest_trained(
    installation: Installation, recordings: Path
) -> None:
    installation.python(TRAINED_BEFORE.format(folder=recordings))

    done = installation.plumbline("train", STUDY, "--data", str(recordings))

    assert done.returncode == 3, done.stdout + done.stderr
    kept = quarantined(installation)
    names = names_behind(recordings, load_or_create_key(installation.home / "pseudonym.key"))
    reasons = {names[pseudonym]: reason for pseudonym, reason in kept.items()}
    assert set(reasons) == set(EXPECTED)
    for record, words in EXPECTED.items():
        assert words in reasons[record]
        assert str(recordings) not in reasons[record]
    assert dict(json.loads(installation.python(TABLE).splitlines()[-1])) == kept
    cohort = json.loads(only(installation.home.glob("cohorts/*/*/cohort.json")).read_text())
    assert (cohort["subjects"], cohort["samples"]) == (5, 5 * 5 * 4)


@pytest.mark.parametrize("spoilt", [True, False], ids=["nothing usable", "empty"])
def test_a_folder_without_anything_usable_is_answered_in_one_sentence(
    installation: Installation, tmp_path: Path, spoilt: bool
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    if spoilt:
        (folder / "100.hea").write_text("100 1 360 1000\n100.dat 212 200 11 1024 995 -22131 0 MLII\n")
    done = installation.plumbline("train", STUDY, "--data", str(folder))
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("plumbline: ")]
    words = "1 quarantined, the first, 100, because the file 100.dat is missing" if spoilt else "holds no WFDB record"
    assert words in only(sentences)
