"""Generated nights: the file layout, what each stage shows, and that planted effects are there and nothing else."""

from __future__ import annotations

from pathlib import Path

import edfio
import numpy as np
import pandas as pd
import pytest
import torch
from naming import named
from scipy.signal import periodogram

from tasks.cohorts.edf_stages import CHANNELS, read_stages
from tasks.cohorts.phantoms.sleep_stages import write_phantom
from tasks.cohorts.store import Cohort
from xai.quality.localisation import localisation_metrics

read_stages = named(read_stages)
KEY = b"0123456789abcdef"
EEG, EOG, EMG = range(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "nights"
    write_phantom(folder, subjects=4, seed=1)
    return folder


@pytest.fixture(scope="module")
def cohort(folder, tmp_path_factory) -> Cohort:
    return read_stages(folder, key=KEY, out=tmp_path_factory.mktemp("cohort") / "c")


def marked(folder: Path, channel: str) -> pd.DataFrame:
    """Onset, duration (s) and recording of every stretch of evidence of a channel."""
    rows = [
        (path.name[:8], mark.onset, mark.duration)
        for path in sorted(folder.glob("*-Evidence.edf"))
        for mark in edfio.read_edf(path).annotations
        if mark.text == channel
    ]
    return pd.DataFrame(rows, columns=["recording", "onset", "duration"])


def height(folder: Path, channel: str, recording: str) -> float:
    """Median deflection inside the channel's evidence, microvolt; the heartbeat is too short to change it."""
    signals = edfio.read_edf(folder / f"{recording}-PSG.edf").signals
    values = next(one.data for one in signals if one.label == channel)
    marks = marked(folder, channel).query("recording == @recording")
    stretches = [values[round(m.onset * 100) : round((m.onset + m.duration) * 100)] for m in marks.itertuples()]
    return float(np.median(np.abs(np.concatenate(stretches))))


def test_the_files_are_named_and_laid_out_as_telemetrys(folder):
    names = {path.name for path in folder.glob("*.edf")}
    stems = [f"ST70{subject}{night}J" for subject in range(1, 5) for night in (1, 2)]
    endings = ("0-PSG.edf", "P-Hypnogram.edf", "0-Evidence.edf")
    assert names == {stem + ending for stem in stems for ending in endings}
    psg = edfio.read_edf(folder / "ST7011J0-PSG.edf")
    assert [one.label for one in psg.signals] == [CHANNELS[0], "EEG Pz-Oz", *CHANNELS[1:], "Marker"]
    assert [one.sampling_frequency for one in psg.signals] == [100, 100, 100, 100, 10]
    assert psg.duration == 1800
    row = pd.read_csv(folder / "subjects.csv").set_index("recording").loc["ST7011J0"]
    assert psg.patient.sex == row["sex"]
    assert psg.patient.name == f"{'Female' if row['sex'] == 'F' else 'Male'}_{row['age']}yr"


def test_all_stages_occur_in_every_night_also_in_the_shortest(cohort, tmp_path):
    assert (cohort.samples.groupby("recording")["label"].nunique() == 5).all()
    write_phantom(tmp_path / "short", subjects=3, minutes=10)
    short = read_stages(tmp_path / "short", key=KEY, out=tmp_path / "c")
    assert (short.samples.groupby("recording")["label"].nunique() == 5).all()


@pytest.mark.parametrize(
    ("channel", "stage", "band"),
    [(EEG, "Awake", (9, 11)), (EEG, "NREM1", (4, 6)), (EEG, "NREM2", (12, 14)), (EEG, "NREM3", (0.5, 1.3))],
)
def test_a_stage_has_its_rhythm(cohort, channel, stage, band):
    frequency, power = periodogram(cohort.signals(slice(None))[:, channel], 100)
    inside = np.log(power[:, (frequency >= band[0]) & (frequency <= band[1])].mean(axis=1))
    own = cohort.samples["label_name"] == stage
    assert np.median(inside[own]) > np.median(inside[~own]) + 0.7


def test_each_stage_but_nrem_has_evidence_where_the_table_says(cohort):
    found = cohort.evidence(slice(None)).mean(axis=2)
    present = pd.DataFrame(found > 0).groupby(cohort.samples["label_name"]).mean()
    expected = {"Awake": (1, 1, 1), "NREM1": (1, 1, 0), "NREM2": (1, 0, 0), "NREM3": (1, 0, 0), "REM": (0, 1, 1)}
    for stage, channels in expected.items():
        np.testing.assert_allclose(present.loc[stage], channels, atol=0.05)


def test_amplitude_does_not_find_the_evidence(cohort):
    amplitude = torch.from_numpy(cohort.signals(slice(None))).abs()
    scores = localisation_metrics(amplitude, torch.from_numpy(cohort.evidence(slice(None))))
    for metric, most in (("precision_area_corrected", 0.06), ("relevance_mass_area_corrected", 0.15)):
        by_stage = pd.Series(scores[metric].numpy()).groupby(cohort.samples["label_name"]).mean()
        assert by_stage.max() < most
        assert (by_stage < 0.1).sum() >= 2


def test_the_same_seed_writes_the_same_night_whatever_the_number(folder, tmp_path):
    write_phantom(tmp_path / "one", subjects=1, seed=1)
    for path in sorted((tmp_path / "one").glob("*.edf")):
        assert path.read_bytes() == (folder / path.name).read_bytes()
    write_phantom(tmp_path / "other", subjects=1, seed=2)
    assert (tmp_path / "other" / "ST7011J0-PSG.edf").read_bytes() != (folder / "ST7011J0-PSG.edf").read_bytes()


def test_temazepam_makes_spindles_higher_by_the_set_part_and_changes_nothing_else(tmp_path):
    common = {"subjects": 4, "seed": 1, "minutes": 30, "hum": 0, "noise": 1}
    write_phantom(tmp_path / "null", **common)
    write_phantom(tmp_path / "planted", **common, temazepam_effect=0.5)
    nights = pd.read_csv(tmp_path / "null" / "subjects.csv").set_index("recording")
    for recording, drug in nights["drug"].items():
        null, planted = (eeg_of(tmp_path / folder, recording) for folder in ("null", "planted"))
        more = planted - null
        if drug == "placebo":
            assert not more.any()
            continue
        scored = edfio.read_edf(tmp_path / "null" / f"{recording[:-1]}P-Hypnogram.edf").annotations
        other = np.zeros(len(more), dtype=bool)
        for mark in scored:
            if mark.text in {f"Sleep stage {stage}" for stage in "W134R"}:
                other[round(mark.onset * 100) : round((mark.onset + mark.duration) * 100)] = True
        assert other.mean() > 0.2
        assert not more[other].any()
        frequencies, power = periodogram(more, 100)
        assert frequencies[power.argmax()] == pytest.approx(13, abs=1)
        added = np.abs(more) > 2  # only spindles were added to, half of what was there
        assert np.median(np.abs(more[added])) / np.median(np.abs(null[added])) == pytest.approx(0.5, abs=0.05)


def eeg_of(folder: Path, recording: str) -> np.ndarray:
    """The EEG of one night, microvolt."""
    signals = edfio.read_edf(folder / f"{recording}-PSG.edf").signals
    return next(one.data for one in signals if one.label == CHANNELS[EEG])


@pytest.mark.parametrize(("setting", "channel"), [("age_effect", CHANNELS[EOG]), ("sex_effect", CHANNELS[EMG])])
def test_age_and_sex_change_the_height_of_one_channel_and_of_no_other(tmp_path, setting, channel):
    size = 0.15 if setting == "age_effect" else 0.8
    common = {"subjects": 3, "seed": 4, "minutes": 10, "hum": 0, "noise": 1}
    write_phantom(tmp_path / "null", **common)
    write_phantom(tmp_path / "planted", **common, **{setting: size})
    facts = pd.read_csv(tmp_path / "null" / "subjects.csv").set_index("recording")
    for recording, row in facts[facts["night"] == 1].iterrows():
        step = (row["age"] - 45) / 10 if setting == "age_effect" else 0.5 if row["sex"] == "M" else -0.5
        for one in (CHANNELS[EEG], channel):
            ratio = height(tmp_path / "planted", one, recording) / height(tmp_path / "null", one, recording)
            assert ratio == pytest.approx(1 + size * step if one == channel else 1, abs=0.08)


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="minutes is 9; expected a whole number from 10 to 600"):
        write_phantom(tmp_path / "a", minutes=9)
    with pytest.raises(ValueError, match=r"subjects is 100; expected 1 to 99\."):
        write_phantom(tmp_path / "a", subjects=100)
    assert not (tmp_path / "a").exists()
