"""Nights in EDF: what is cut, who it is from, and what is refused."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import edfio
import numpy as np
import pytest
from naming import named

from tasks.cohorts.edf_stages import CHANNELS, read_stages
from tasks.cohorts.phantoms.edf_nights import Header, Track, write_marks, write_signals
from tasks.cohorts.phantoms.sleep_stages import write_phantom
from tasks.cohorts.store import Cohort, CohortError

read_stages = named(read_stages)
KEY = b"0123456789abcdef"
HEADER = Header("F", 40, datetime(1994, 7, 1, 23, 0))
W_N2 = [(0.0, 60.0, "Sleep stage W"), (60.0, 60.0, "Sleep stage 2")]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "nights"
    write_phantom(folder, subjects=2, seed=3, minutes=10)
    return folder


@pytest.fixture
def nights(phantom, tmp_path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "nights"))


def read(folder: Path, **parameters) -> Cohort:
    return read_stages(folder, key=KEY, out=folder.parent / "cohort", **parameters)


def tracks(seconds: int = 120, rate: float = 100, seed: int = 0) -> list[Track]:
    rng = np.random.default_rng(seed)
    return [Track(name, rng.normal(0, 20, int(seconds * rate)), rate, "uV", 500.0) for name in CHANNELS]


def write_night(folder: Path, name: str, signals: list[Track], stages=W_N2, late: float = 0.0) -> None:
    folder.mkdir(exist_ok=True)
    write_signals(folder / f"{name}-PSG.edf", HEADER, signals)
    scored = Header("F", 40, HEADER.start + timedelta(seconds=late))
    write_marks(folder / f"{name}-Hypnogram.edf", scored, stages)


def reason(cohort: Cohort, recording: str = "ST7011J0") -> str:
    found = cohort.quarantine.set_index("recording")["reason"]
    assert list(found.index) == [recording]
    text = str(found[recording])
    assert text.endswith(".")
    assert str(cohort.path.parent) not in text
    assert set(cohort.samples["recording"]) == {"ST7012J0", "ST7021J0", "ST7022J0"}
    return text


# --- what is cut


def test_epochs_are_the_files_own_samples_standardised_over_those_kept(phantom, tmp_path):
    cohort = read_stages(phantom, key=KEY, out=tmp_path / "c")
    for recording, rows in cohort.samples.groupby("recording"):
        file = edfio.read_edf(phantom / f"{recording}-PSG.edf")
        signals = cohort.signals(rows.index.to_numpy())
        for channel, name in enumerate(CHANNELS):
            whole = next(one.data for one in file.signals if one.label == name)
            epochs = np.stack([whole[start : start + 3000] for start in rows["onset"]])
            expected = (epochs - epochs.mean()) / epochs.std()
            np.testing.assert_allclose(signals[:, channel], expected, atol=1e-5)
    assert cohort.units == ("SD", "SD", "SD")
    assert cohort.classes == ("Awake", "NREM1", "NREM2", "NREM3", "REM")


def test_labels_facts_and_nights_are_those_of_the_files(phantom, tmp_path):
    cohort = read_stages(phantom, key=KEY, out=tmp_path / "c")
    assert cohort.samples.groupby("subject")["drug"].unique().map(set).tolist() == [{"placebo", "temazepam"}] * 2
    assert set(cohort.samples["night"]) == {1, 2}
    assert (cohort.samples["start_second"] == 30 * cohort.samples["epoch"]).all()
    assert cohort.subjects["age"].between(18, 80).all()
    assert set(cohort.subjects["sex"]) <= {"F", "M"}
    assert cohort.manifest["dropped"] == {"movement": 4, "telemetry error": 4, "unscored": 4}
    for recording, rows in cohort.samples.groupby("recording"):
        scored = edfio.read_edf(phantom / f"{recording[:-1]}P-Hypnogram.edf").annotations
        for row in rows.itertuples():
            (text,) = {a.text for a in scored if a.onset <= row.start_second < a.onset + a.duration}
            stage = {"W": "Awake", "1": "NREM1", "2": "NREM2", "3": "NREM3", "4": "NREM3", "R": "REM"}[text[-1]]
            assert row.label_name == stage


def test_evidence_is_where_the_evidence_file_says(phantom, tmp_path):
    cohort = read_stages(phantom, key=KEY, out=tmp_path / "c")
    rows = cohort.samples[cohort.samples["recording"] == "ST7021J0"]
    expected = np.zeros((3, 600 * 100), dtype=bool)
    for mark in edfio.read_edf(phantom / "ST7021J0-Evidence.edf").annotations:
        first = round(mark.onset * 100)
        expected[CHANNELS.index(mark.text), first : first + round(mark.duration * 100)] = True
    found = cohort.evidence(rows.index.to_numpy())
    for mask, start in zip(found, rows["onset"], strict=True):
        np.testing.assert_array_equal(mask, expected[:, start : start + 3000])
    assert found.any()


def test_a_channel_alone_is_the_same_as_among_others(phantom, tmp_path):
    whole = read_stages(phantom, key=KEY, out=tmp_path / "a")
    alone = read_stages(phantom, key=KEY, out=tmp_path / "b", channels=("EOG horizontal",))
    np.testing.assert_array_equal(alone.signals([5, 3]), whole.signals([5, 3])[:, 1:2])


def test_a_slow_channel_is_brought_to_100_hz(tmp_path):
    signals = tracks()
    slow = np.sin(2 * np.pi * 0.1 * np.arange(120))
    signals[2] = Track(CHANNELS[2], slow, 1, "uV", 5.0)
    write_night(tmp_path / "nights", "mine", signals)
    cohort = read(tmp_path / "nights")
    expected = np.sin(2 * np.pi * 0.1 * np.arange(6000) / 100 + 2 * np.pi * 0.1 * 30) * np.sqrt(2)
    inner = cohort.signals([1])[0, 2, 500:2500]  # the filter's ends are its own
    np.testing.assert_allclose(inner, expected[500:2500], atol=0.05)


def test_the_clock_joins_a_hypnogram_that_begins_later(tmp_path):
    write_night(tmp_path / "nights", "mine", tracks(), late=30.0)
    cohort = read(tmp_path / "nights")
    assert cohort.samples["epoch"].tolist() == [1, 2, 3]
    assert cohort.samples["label_name"].tolist() == ["Awake", "Awake", "NREM2"]
    assert cohort.manifest["dropped"] == {"no stage": 1, "stage beyond the signal": 1}


def test_a_flat_epoch_is_dropped_and_counted(tmp_path):
    signals = tracks()
    signals[1].values[3000:6000] = 7.0
    write_night(tmp_path / "nights", "mine", signals)
    cohort = read(tmp_path / "nights")
    assert cohort.samples["epoch"].tolist() == [0, 2, 3]
    assert cohort.manifest["dropped"] == {"flat": 1}
    assert not cohort.has_evidence


def test_sleep_edfs_own_files_have_sleep_edfs_own_facts(tmp_path):
    write_night(tmp_path / "nights", "ST7121J0", tracks())
    write_night(tmp_path / "nights", "SC4001E0", tracks(seed=1))
    cohort = read(tmp_path / "nights")
    nights = cohort.samples.groupby("recording")[["night", "drug"]].first()
    assert nights.loc["ST7121J0"].tolist() == [1, "placebo"]
    assert nights.loc["SC4001E0"].tolist() == [1, ""]
    assert cohort.subjects[["age", "sex"]].to_numpy().tolist() == [[33.0, "F"], [21.0, "M"]]


# --- what is refused; the others go on


def test_a_file_cut_short_is_quarantined(nights):
    path = nights / "ST7011J0-PSG.edf"
    path.write_bytes(path.read_bytes()[:-100_000])
    assert reason(read(nights)) == "….edf is cut short: 478 data records of the 600 in its header."


def test_a_missing_channel_is_quarantined_and_what_is_there_is_named(nights):
    write_signals(nights / "ST7011J0-PSG.edf", HEADER, tracks(600)[:2])
    expected = "the recording has no channel EMG submental, only EEG Fpz-Cz, EOG horizontal."
    assert reason(read(nights)) == expected


def test_a_doubled_channel_is_quarantined(nights):
    write_signals(nights / "ST7011J0-PSG.edf", HEADER, [*tracks(600), tracks(600)[0]])
    assert reason(read(nights)) == "the recording has 2 channels named EEG Fpz-Cz; expected one."


def test_a_constant_channel_is_quarantined(nights):
    signals = tracks(600)
    signals[1].values[:] = 3.0
    write_signals(nights / "ST7011J0-PSG.edf", HEADER, signals)
    assert reason(read(nights)) == "the channel EOG horizontal is constant."


def test_a_calibration_that_is_not_a_number_is_quarantined(nights):
    path = nights / "ST7011J0-PSG.edf"
    content = bytearray(path.read_bytes())
    low = 256 + 5 * (16 + 80 + 8)  # of the first of five signals
    content[low : low + 8] = b"nan     "
    path.write_bytes(content)
    assert reason(read(nights)) == "the header gives … as physical minimum of EEG Fpz-Cz; expected a number."


@pytest.mark.parametrize("content", [b"", b"not an EDF file", b"0" + b" " * 255], ids=["empty", "text", "blank"])
def test_what_is_no_edf_is_quarantined(nights, content):
    (nights / "ST7011J0-PSG.edf").write_bytes(content)
    assert reason(read(nights)).startswith(("….edf does not begin as", "the header gives … as"))


def test_a_recording_without_hypnogram_and_one_with_two_are_quarantined(nights):
    (nights / "ST7011JP-Hypnogram.edf").rename(nights / "ST7021JQ-Hypnogram.edf")
    found = read(nights).quarantine.set_index("recording")["reason"]
    assert found["ST7011J0"] == "the recording has 0 hypnograms (none); expected one."
    assert found["ST7021J0"] == "the recording has 2 hypnograms (….edf); expected one."


def test_a_hypnogram_without_recording_is_named(nights):
    (nights / "ST7011J0-PSG.edf").unlink()
    assert reason(read(nights), "ST7011JP") == "the hypnogram has no recording *-PSG.edf."


def test_unknown_stages_are_counted_and_a_recording_of_nothing_else_is_quarantined(nights):
    clock = edfio.read_edf(nights / "ST7011J0-PSG.edf")
    header = Header("F", 40, datetime.combine(clock.startdate, clock.starttime))
    write_marks(nights / "ST7011JP-Hypnogram.edf", header, [(0.0, 600.0, "Sleep stage N2")])
    assert "20 unknown stage …" in reason(read(nights))


def test_a_subject_absent_from_the_table_is_quarantined(nights):
    table = nights / "subjects.csv"
    lines = [line for line in table.read_text().splitlines() if not line.startswith("ST7011J0")]
    table.write_text("\n".join(lines) + "\n")
    assert reason(read(nights)) == "subjects.csv does not list …; expected a row of it."


def test_a_folder_without_recordings_and_no_folder_are_errors(tmp_path):
    with pytest.raises(CohortError, match=r"holds no recording; expected EDF files whose names end in -PSG\.edf"):
        read(tmp_path)
    with pytest.raises(CohortError, match="expected a folder of EDF files"):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match="expected one name or more, none of them twice"):
        read(tmp_path, channels=("EEG", "EEG"))
