"""Relevance written into EDF: read back by MNE and by edfio, to the precision that 16 bits allow."""

from __future__ import annotations

from pathlib import Path

import edfio
import mne
import numpy as np
import pytest
from naming import named

from tasks.cohorts.edf_stages import CHANNELS, read_stages
from tasks.cohorts.errors import CohortError
from tasks.cohorts.phantoms.sleep_spindles import write_phantom as write_spindles
from tasks.cohorts.phantoms.sleep_stages import write_phantom
from tasks.cohorts.recording import Recording, read_recording, windows_at
from tasks.cohorts.write_back import spread, write_back

METHOD = "lrp-epsilon-0.01"


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "nights"
    write_phantom(folder, subjects=1, minutes=10)
    return folder / "ST7011J0-PSG.edf"


@pytest.fixture(scope="module")
def recording(night) -> Recording:
    return read_recording(night, CHANNELS, 100.0, 3000)


@pytest.fixture(scope="module")
def relevance(recording) -> np.ndarray:
    maps = np.random.default_rng(0).normal(size=(len(recording.starts), 3, 3000)).astype(np.float32) * 1e-6
    return spread(list(maps), recording.starts, recording.signal.shape)


@pytest.fixture(scope="module")
def written(recording, relevance, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("out") / "explained.edf"
    write_back(recording, relevance, METHOD, path)
    return path


def test_mne_reads_signals_relevance_and_stages(night, written, relevance):
    found = mne.io.read_raw_edf(written, verbose="error")
    original = mne.io.read_raw_edf(night, include=list(CHANNELS), verbose="error")
    assert found.ch_names == [*CHANNELS, *(f"R {name}" for name in CHANNELS)]
    assert found.info["meas_date"] == original.info["meas_date"]
    limits = np.abs(original.get_data()).max(axis=1, keepdims=True)
    assert (np.abs(found.get_data()[:3] - original.get_data()) <= limits / 32767).all()
    expected = np.nan_to_num(relevance) / np.nanmax(np.abs(relevance))
    np.testing.assert_allclose(found.get_data()[3:], expected, atol=1 / 32767)
    stages = mne.read_annotations(night.with_name("ST7011JP-Hypnogram.edf"))
    kept = found.annotations.description != "not explained"
    np.testing.assert_array_equal(found.annotations.description[kept], stages.description)
    np.testing.assert_allclose(found.annotations.onset[kept], stages.onset)


def test_edfio_reads_the_scale_and_the_gap(recording, written, relevance):
    found = edfio.read_edf(written)
    greatest = np.nanmax(np.abs(relevance))
    for signal, values in zip(found.signals[3:], relevance, strict=True):
        method, scale = signal.transducer_type.split("; 1 = ")
        assert method == METHOD
        assert float(scale) == pytest.approx(greatest, rel=1e-5)
        np.testing.assert_allclose(signal.data * float(scale), np.nan_to_num(values), atol=1.1 * greatest / 32767)
    (gap,) = [mark for mark in found.annotations if mark.text == "not explained"]
    assert int(gap.onset * 100) not in recording.starts  # the epoch with the telemetry's error
    assert gap.duration == 30
    assert [signal.physical_dimension for signal in found.signals] == ["uV", "uV", "uV", "", "", ""]


def test_windows_to_explain_are_the_cohorts_up_to_the_epochs_that_were_left_out(night, recording, tmp_path):
    cohort = named(read_stages)(night.parent, key=b"0123456789abcdef", out=tmp_path / "c")
    rows = cohort.samples.query("recording == 'ST7011J0'")
    assert set(rows["onset"]) <= set(recording.starts)
    assert len(recording.starts) == len(rows) + 2  # movement and the unscored have no label, but a signal
    explained = windows_at(recording, rows["onset"].to_numpy(), 3000)
    ratio = explained / cohort.signals(rows.index.to_numpy())
    assert np.median(np.abs(ratio - 1)) < 0.05


def test_relevance_of_zero_is_written_as_zero(recording, tmp_path):
    write_back(recording, np.zeros(recording.signal.shape), METHOD, tmp_path / "zero.edf")
    for signal in edfio.read_edf(tmp_path / "zero.edf").signals[3:]:
        assert not signal.data.any()


def test_a_nameless_eeg_is_found_by_its_derivation(tmp_path):
    write_spindles(tmp_path / "excerpts", subjects=2, minutes=1)
    recording = read_recording(tmp_path / "excerpts" / "excerpt2.edf", ("EEG",), 100.0, 300)
    assert recording.signal.shape == (1, 6000)
    assert recording.units == ("SD",)
    assert recording.signal.std() == pytest.approx(1, abs=1e-3)


def test_a_missing_channel_is_an_error_that_names_what_is_there(night):
    with pytest.raises(CohortError, match=r"has no channel ECG, only EEG Fpz-Cz, EEG Pz-Oz, EOG horizontal"):
        read_recording(night, ("ECG",), 100.0, 3000)
    with pytest.raises(CohortError, match="has no channel C3-A1 or CZ-A1, only"):
        read_recording(night, ("EEG",), 100.0, 300)
