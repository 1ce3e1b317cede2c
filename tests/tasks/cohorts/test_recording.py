"""One record for a model by role: how it is read, cut and written back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import named

from models import build_network
from models.bundle import BundleConfig, load_bundle, save_bundle
from tasks.cohorts.errors import CohortError
from tasks.cohorts.recording import read_recording, windows_at
from tasks.cohorts.resampling import brought_back, ratio_of
from tasks.cohorts.wfdb_vitals import read_vitals
from tasks.cohorts.write_back import spread, write_back
from xai.methods import explainer

ROLES = ("ECG", "ABP")


def bedside(folder: Path, name: str, hole: slice = slice(0)) -> Path:
    """A minute of MCL1 (mV, 250 Hz) and ABP (kPa, 125 Hz, missing in ``hole``), the pressure first."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(len(name))
    ecg, abp = rng.normal(size=60 * 250), 12 + rng.normal(size=60 * 125)
    pressure = np.rint(abp * 400).astype(np.int64)
    pressure[hole] = -32768
    wfdb.wrsamp(
        name,
        fs=125,
        units=["kPa", "mV"],
        sig_name=["ABP", "MCL1"],
        e_d_signal=[pressure, np.rint(ecg * 1000).astype(np.int64)],
        samps_per_frame=[1, 2],
        fmt=["16", "16"],
        adc_gain=[400.0, 1000.0],
        baseline=[0, 0],
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


def test_windows_are_those_that_the_reader_cuts(tmp_path: Path) -> None:
    file = bedside(tmp_path / "records", "a", hole=slice(1_000, 1_500))
    bedside(tmp_path / "records", "bb")
    cohort = named(read_vitals)(
        file.parent, role_sets=[ROLES], window=100, rate=50.0, key=b"0123456789abcdef", out=tmp_path / "cohort"
    )
    mine = cohort.samples[cohort.samples["recording"] == "a"]
    recording = read_recording(file, ROLES, 50.0, 100)
    assert recording.units == ("mV", "mmHg")
    assert np.array_equal(np.rint(recording.starts * 2.5), mine["onset"])
    windows = windows_at(recording, recording.starts, 100)
    assert len(windows) == 28
    assert np.array_equal(windows, cohort.signals(mine.index.to_numpy()))


@pytest.mark.parametrize("suffix", [".hea", ".csv"])
def test_written_back_in_each_channels_unit_with_gaps_where_no_window_is(tmp_path: Path, suffix: str) -> None:
    recording = read_recording(bedside(tmp_path / "records", "a", hole=slice(1_000, 1_500)), ROLES, 50.0, 100)
    maps = windows_at(recording, recording.starts, 100)
    out = tmp_path / f"explained{suffix}"
    write_back(recording, spread(maps, recording.starts, recording.signal.shape), "gradient", out)
    names = ["ECG", "ABP", "gradient ECG", "gradient ABP"]
    if suffix == ".csv":
        table = pd.read_csv(out, index_col="seconds")
        assert list(table) == names
        values = table.to_numpy()
    else:
        written = wfdb.rdrecord(str(out.with_suffix("")))
        assert (written.sig_name, written.units) == (names, ["mV", "mmHg", "NU", "NU"])
        values = written.p_signal
    covered = np.ones(3_000, dtype=bool)
    covered[400:600] = False
    assert np.array_equal(np.isfinite(values[:, 2:]), np.column_stack([covered, covered]))
    np.testing.assert_allclose(values[covered, 2:], recording.signal.T[covered], atol=1e-2)
    assert np.isnan(values[410:590, 1]).all()


def test_a_record_without_the_role_or_without_a_window_is_refused_by_name(tmp_path: Path) -> None:
    file = bedside(tmp_path / "records", "a")
    with pytest.raises(CohortError, match=r"a\.hea cannot be explained: the record has no ICP signal"):
        read_recording(file, ("ECG", "ICP"), 50.0, 100)
    with pytest.raises(CohortError, match="no usable window of 3001 points at 50 Hz"):
        read_recording(file, ROLES, 50.0, 3_001)


def test_a_real_bedside_record_is_explained(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = {"channels": 2, "classes": 2, "hidden": [3]}
    config = BundleConfig(
        "lstm", arguments, "zscore", ("a", "b"), ROLES, ("mV", "mmHg"), 50.0, 100, "vitals", "corrected", "0" * 16
    )
    torch.manual_seed(0)
    bundle = load_bundle(save_bundle(tmp_path / "version", config, [build_network("lstm", **arguments)]))
    recording = read_recording(real_data("vitals") / "03700181.hea", ROLES, 50.0, 100)
    assert recording.units == config.units
    starts = recording.starts
    assert 10 < len(starts) <= recording.signal.shape[1] // 100
    inputs = bundle.normalise(torch.from_numpy(windows_at(recording, starts, 100)))
    targets = bundle.logits(inputs).argmax(dim=1)
    maps = explainer("gradient").attribute(bundle.members[0], inputs, targets, seeds=torch.arange(len(starts)))
    out = tmp_path / "explained.hea"
    write_back(recording, spread(list(maps.numpy()), starts, recording.signal.shape), "gradient", out)
    written = wfdb.rdrecord(str(out.with_suffix("")))
    assert written.units == ["mV", "mmHg", "NU", "NU"]
    assert np.isfinite(written.p_signal[:, 2]).sum() == len(starts) * 100
    assert (np.nanstd(written.p_signal[:, 2:], axis=0) > 0).all()


# --- leads about beats


def heart(folder: Path, fs: float, names: list[str]) -> tuple[Path, np.ndarray]:
    """30 s with a beat each 0.8 s, in the last of the signals 1 mV high, in the others flat but for noise."""
    folder.mkdir(exist_ok=True)
    beats = np.rint(np.arange(2, 28, 0.8) * fs).astype(np.int64)
    length = round(30 * fs)
    wave = np.exp(-0.5 * ((np.arange(length)[:, None] - beats) / (0.015 * fs)) ** 2).sum(axis=1)
    values = 0.001 * np.random.default_rng(0).normal(size=(length, len(names)))
    values[:, -1] += wave
    wfdb.wrsamp(
        "a",
        fs=fs,
        units=["mV"] * len(names),
        sig_name=names,
        p_signal=values,
        fmt=["16"] * len(names),
        write_dir=str(folder),
    )
    wfdb.wrann("a", "atr", beats, symbol=["N"] * len(beats), write_dir=str(folder))
    return folder / "a.hea", beats


@pytest.mark.parametrize("fs", [128, 250, 360, 1000])
@pytest.mark.parametrize("suffix", [".hea", ".csv"])
def test_a_lead_is_written_back_at_its_own_rate_with_its_map_in_place(tmp_path: Path, fs: int, suffix: str) -> None:
    file, beats = heart(tmp_path / "records", fs, ["V5", "MLII"])
    recording = read_recording(file, ("lead II",), 360.0, 720)
    assert (recording.channels, recording.units, recording.rate) == (("MLII",), ("mV",), 360.0)
    assert len(recording.starts) == len(beats)
    maps = windows_at(recording, recording.starts, 720)  # the map is the signal, so that both must stay together
    out = tmp_path / f"explained{suffix}"
    write_back(recording, spread(maps, recording.starts, recording.signal.shape), "gradient", out)
    if suffix == ".csv":
        table = pd.read_csv(out, index_col="seconds")
        assert table.index[1] == pytest.approx(1 / fs)
        names, values = list(table), table.to_numpy()
    else:
        written, before = wfdb.rdrecord(str(out.with_suffix(""))), wfdb.rdrecord(str(file.with_suffix("")))
        assert (written.fs, written.sig_len, written.units) == (fs, before.sig_len, ["mV", "NU"])
        names, values = written.sig_name, written.p_signal
        np.testing.assert_allclose(values[:, 0], before.p_signal[:, 1], atol=1e-3)
    assert names == ["MLII", "gradient MLII"]
    covered = np.zeros(len(values), dtype=bool)
    for beat in beats:
        covered[beat - fs + 2 : beat + fs - 2] = True
    assert np.isfinite(values[covered, 1]).all()
    assert np.isnan(values[: beats[0] - fs - 2, 1]).all()
    np.testing.assert_allclose(values[covered, 1], values[covered, 0], atol=0.12)
    off = [abs(values[beat - 3 : beat + 4, 1].argmax() - 3) for beat in beats]
    assert max(off) <= fs // 360  # a point of the map is that many of the record's


def test_a_record_that_names_no_lead_is_explained_on_its_first_signal(tmp_path: Path) -> None:
    file, _ = heart(tmp_path / "records", 128, ["ECG1", "ECG2"])
    assert read_recording(file, ("lead II",), 360.0, 720).channels == ("ECG1",)
    other, _ = heart(tmp_path / "others", 360, ["V5", "V1"])
    with pytest.raises(CohortError, match=r"a\.hea cannot be explained: the record has no lead II, only V5, V1"):
        read_recording(other, ("lead II",), 360.0, 720)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([100, 128, 250, 360, 500, 1000]),
    st.lists(st.one_of(st.floats(-9, 9), st.just(np.nan)), min_size=2, max_size=60),
)
def test_a_map_is_brought_back_by_the_mean_of_its_nearest_points(rate: int, values: list[float]) -> None:
    ratio = ratio_of(rate, 360)
    fine = np.array([values])
    length = max(1, len(values) * rate // 360)
    found = brought_back(fine, ratio, length)
    assert found.shape == (1, length)
    owner = [min(round(k / float(ratio)), length - 1) for k in range(len(values))]
    for point in range(length):
        own = [value for value, at in zip(values, owner, strict=True) if at == point]
        known = [value for value in own if np.isfinite(value)]
        expected = np.mean(known) if known else np.nan
        if not own:
            expected = values[min(round(point * float(ratio)), len(values) - 1)]
        np.testing.assert_allclose(found[0, point], expected, atol=1e-12)
