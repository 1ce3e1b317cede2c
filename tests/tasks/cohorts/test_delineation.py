"""Waves of whole records: as neurokit2's own entry point gives them, on the phantom's truth, plausible on real ECG."""

from __future__ import annotations

import neurokit2
import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve

from tasks.cohorts import delineation
from tasks.cohorts.beat_symbols import BEAT_SYMBOLS
from tasks.cohorts.delineation import WAVES, delineate, delineate_some, wavelet_scales
from tasks.cohorts.phantoms.ecg_beats import write_phantom

RATE = 360
TRUTH = {"p": (-170, 18), "qrs": (0, 9), "t": (205, 28)}
"""Centre and standard deviation, milliseconds from the R peak, of the phantom's waves in the mean subject."""


def read(path, lead: str = "MLII"):
    """Signal (time,) in millivolts, R peaks and their symbols."""
    record, marks = wfdb.rdrecord(str(path)), wfdb.rdann(str(path), "atr")
    beats = np.array([symbol in BEAT_SYMBOLS for symbol in marks.symbol])
    signal = record.p_signal[:, record.sig_name.index(lead)]
    return signal, marks.sample[beats], np.array(marks.symbol)[beats]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A record of 60 beats of a phantom whose P and T waves are never absent."""
    folder = tmp_path_factory.mktemp("phantom") / "records"
    write_phantom(folder, subjects=1, seed=5, beats_per_class=12, loud_spread=0.3)
    return read(folder / "p0001")


def milliseconds(spans: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    return (spans - peaks[:, None, None]) * 1000 / RATE


def naive_scales(signal: np.ndarray, count: int) -> list[np.ndarray]:
    """The à trous algorithm with the filters written out, zeros and all."""
    scales, smooth = [], np.asarray(signal, np.float64)
    for scale in range(count):
        low, high, delay = np.zeros(3 * 2**scale + 1), np.zeros(2**scale + 1), 2**scale
        low[:: 2**scale], high[[0, -1]] = (1 / 8, 3 / 8, 3 / 8, 1 / 8), (2, -2)
        scales.append(convolve(smooth, high)[delay:][: len(signal)])
        smooth = convolve(smooth, low)[delay:][: len(signal)]
    return scales


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(100, 300), st.integers(1, 6))
def test_scales_are_those_of_the_written_out_filters(seed: int, length: int, count: int) -> None:
    signal = np.random.default_rng(seed).normal(size=length)
    np.testing.assert_allclose(wavelet_scales(signal, count), naive_scales(signal, count), atol=1e-10)


def public(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """P and T ``(beat, 2, 2)`` by neurokit2's entry point, stops not included."""
    clean = neurokit2.ecg_clean(signal, sampling_rate=RATE)
    _, found = neurokit2.ecg_delineate(clean, peaks, sampling_rate=RATE, method="dwt")
    names = ("ECG_P_Onsets", "ECG_P_Offsets", "ECG_T_Onsets", "ECG_T_Offsets")
    spans = np.array([found[name] for name in names], dtype=float).T.reshape(-1, 2, 2)
    spans[..., 1] += 1
    return np.where((spans[..., 0] < spans[..., 1])[..., None], spans, np.nan)


def test_p_and_t_are_those_of_neurokit2s_entry_point(phantom) -> None:
    signal, peaks, _ = phantom
    np.testing.assert_array_equal(delineate(signal, RATE, peaks)[:, [0, 2]], public(signal, peaks))


@pytest.mark.parametrize("record", ["100", "208"])
def test_p_and_t_are_those_of_neurokit2s_entry_point_on_real_records(record: str, real_data) -> None:
    signal, peaks, _ = read(real_data("mitdb") / record)
    signal, peaks = signal[: 120 * RATE], peaks[peaks < 118 * RATE]
    np.testing.assert_array_equal(delineate(signal, RATE, peaks)[:, [0, 2]], public(signal, peaks))


def test_the_waves_of_the_phantom_lie_where_they_were_written(phantom) -> None:
    signal, peaks, symbols = phantom
    spans = milliseconds(delineate(signal, RATE, peaks), peaks)[symbols == "N"]
    for wave, (centre, width) in TRUTH.items():
        start, stop = spans[:, WAVES.index(wave)].T
        assert np.isfinite(start).mean() > 0.9, wave
        covers = (start < centre + width) & (stop > centre - width)
        assert covers[np.isfinite(start)].mean() > 0.9, wave
        middle, length = np.nanmedian((start + stop) / 2), np.nanmedian(stop - start)
        assert abs(middle - centre) < 20, (wave, middle)
        assert 3 * width < length < 8 * width, (wave, length)


def test_a_later_slur_makes_the_qrs_end_later(phantom) -> None:
    signal, peaks, symbols = phantom
    stops = milliseconds(delineate(signal, RATE, peaks), peaks)[:, 1, 1]
    assert np.nanmedian(stops[symbols == "L"]) > np.nanmedian(stops[symbols == "N"]) + 20


def test_real_waves_are_plausible(real_data) -> None:
    for record in ("115", "123"):
        signal, peaks, symbols = read(real_data("mitdb") / record)
        spans = milliseconds(delineate(signal, RATE, peaks), peaks)[symbols == "N"]
        (p_start, _), (start, stop), (t_start, t_stop) = (spans[:, wave].T for wave in range(3))
        assert len(peaks) > 1_500
        assert np.isfinite(spans).mean() > 0.97
        assert 55 < np.nanmedian(stop - start) < 110
        assert 110 < np.nanmedian(start - p_start) < 220, "PR interval"
        assert (t_start > stop)[np.isfinite(t_start)].mean() > 0.95
        assert 350 < np.nanmedian(t_stop - start) < 480, "QT interval"


def test_the_bundle_branch_blocks_have_a_broad_qrs(real_data) -> None:
    widths = {}
    for record, symbol in (("100", "N"), ("109", "L"), ("118", "R")):
        signal, peaks, symbols = read(real_data("mitdb") / record)
        spans = milliseconds(delineate(signal, RATE, peaks), peaks)[symbols == symbol, 1]
        widths[symbol] = np.nanmedian(spans[:, 1] - spans[:, 0])
    assert widths["L"] > widths["N"] + 15
    assert widths["R"] > widths["N"] + 15


def test_order_and_repetition_of_the_peaks_do_not_matter(phantom) -> None:
    signal, peaks, _ = phantom
    shuffled = np.random.default_rng(0).permutation(np.repeat(np.arange(len(peaks)), 2))
    expected = delineate(signal, RATE, peaks)[shuffled]
    np.testing.assert_array_equal(delineate(signal, RATE, peaks[shuffled]), expected)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_beats_have_unknown_waves(phantom, count: int) -> None:
    signal, peaks, _ = phantom
    found = delineate(signal, RATE, peaks[:count])
    assert found.shape == (count, 3, 2)
    assert np.isnan(found).all()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3999), min_size=3, max_size=12), st.sampled_from(["flat", "noise", "steps"]))
def test_odd_rhythms_and_signals_never_raise(peaks: list[int], kind: str) -> None:
    noise = np.random.default_rng(1).normal(size=4000)
    signal = {"flat": np.zeros(4000), "noise": noise, "steps": np.sign(noise)}[kind]
    spans = delineate(signal, RATE, np.array(peaks))
    assert spans.shape == (len(peaks), 3, 2)
    assert (np.isnan(spans[..., 0]) == np.isnan(spans[..., 1])).all()
    known = np.isfinite(spans[..., 0])
    assert (spans[known][:, 0] < spans[known][:, 1]).all()


def test_a_long_record_is_delineated_in_stretches(phantom, monkeypatch) -> None:
    signal, peaks, _ = phantom
    whole = delineate(signal, RATE, peaks)
    monkeypatch.setattr(delineation, "_STRETCH", 30)
    parts = delineate(signal, RATE, peaks)
    near = np.isclose(parts, whole, atol=2, equal_nan=True)
    assert near.mean() > 0.95


def test_a_broken_stretch_is_unknown_and_the_others_are_not(phantom, monkeypatch) -> None:
    signal, peaks, _ = phantom
    monkeypatch.setattr(delineation, "_STRETCH", 30)
    broken = signal.copy()
    broken[peaks[45] :] = np.inf
    found = delineate(broken, RATE, peaks)
    assert np.isfinite(found[:30]).mean() > 0.9
    assert np.isnan(found[30:]).all()


def test_what_neurokit2_refuses_is_unknown() -> None:
    signal, peaks = np.sin(np.arange(12.0)), np.array([3, 6, 9])
    with pytest.raises(ValueError, match="padlen"):
        neurokit2.ecg_clean(signal, sampling_rate=RATE)
    assert np.isnan(delineate(signal, RATE, peaks)).all()


def test_some_beats_are_delineated_as_in_their_block_whichever_others_are_wanted(real_data) -> None:
    signal, peaks, _ = read(real_data("mitdb") / "100")
    signal, peaks = signal[: 250 * RATE], peaks[peaks < 249 * RATE]
    everything = delineate_some(signal, RATE, peaks, np.arange(len(peaks)))
    few = delineate_some(signal, RATE, peaks, np.array([3, 150, 151]))
    looked_for = np.r_[0:64, 128:192]
    np.testing.assert_array_equal(few[looked_for], everything[looked_for])
    assert np.isnan(np.delete(few, looked_for, axis=0)).all()
    whole = delineate(signal, RATE, peaks)
    agree = np.isclose(everything, whole, atol=2, equal_nan=True).all(axis=2)
    assert (agree.mean(axis=0) > 0.9).all(), dict(zip(WAVES, agree.mean(axis=0), strict=True))


def test_no_beat_is_wanted_of_none(phantom) -> None:
    signal, peaks, _ = phantom
    assert np.isnan(delineate_some(signal, RATE, peaks, np.empty(0, dtype=np.int64))).all()
