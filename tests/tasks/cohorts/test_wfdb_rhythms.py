"""Cohorts of eight rhythms: what is cut from records of any rate and lead, what stands beside it, what is refused."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import wfdb
from naming import named

from tasks.cohorts.beat_symbols import BEAT_SYMBOLS
from tasks.cohorts.delineation import delineate
from tasks.cohorts.errors import CohortError, UnusableRecording
from tasks.cohorts.leads import channel_of
from tasks.cohorts.rhythm_labels import CLASSES
from tasks.cohorts.rhythm_plan import count_labels
from tasks.cohorts.store import Cohort
from tasks.cohorts.wfdb_rhythms import read_rhythms

read_rhythms = named(read_rhythms)
KEY = b"0123456789abcdef"
Episode = tuple[str, str, float]
ALL: tuple[Episode, ...] = (
    ("(N", "NNNNNNVNNNNNNANNNNNN", 0.8),
    ("(AFIB", "NNNNNNNN", 0.7),
    ("(N", "LLLLLLLL", 0.8),
    ("(SVTA", "NNNNNNNNNN", 0.4),
    ("(N", "RRRRRRRR", 0.8),
    ("(SBR", "NNNNNN", 1.2),
)
"""All classes in 51 s: rhythm, beats, seconds from beat to beat."""
SINUS: tuple[Episode, ...] = (("(N", "N" * 40, 0.8),)


def write_record(
    folder: Path,
    name: str,
    episodes: Sequence[Episode] = ALL,
    *,
    fs: float = 360,
    leads: tuple[str, ...] = ("MLII", "V1"),
    comments: tuple[str, ...] = (),
    seed: int = 0,
) -> None:
    """A record whose R waves are Gaussian, the second lead half as high, with its marks."""
    folder.mkdir(parents=True, exist_ok=True)
    marks: list[tuple[int, str, str]] = []
    instant = 1.5
    for rhythm, symbols, interval in episodes:
        marks.append((round((instant - interval / 2) * fs), "+", rhythm))
        for symbol in symbols:
            marks.append((round(instant * fs), symbol, ""))
            instant += interval
    length = round((instant + 1) * fs)
    beats = np.array([at for at, symbol, _ in marks if symbol != "+"])
    wave = np.exp(-0.5 * ((np.arange(length)[:, None] - beats) / (0.012 * fs)) ** 2).sum(axis=1)
    noise = 0.01 * np.random.default_rng(seed).normal(size=(length, len(leads)))
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        p_signal=wave[:, None] / (1 + np.arange(len(leads))) + noise,
        fmt=["16"] * len(leads),
        adc_gain=[1000.0] * len(leads),
        baseline=[0] * len(leads),
        comments=list(comments),
        write_dir=str(folder),
    )
    samples, symbols, notes = zip(*marks, strict=True)
    wfdb.wrann(name, "atr", np.array(samples), list(symbols), aux_note=list(notes), write_dir=str(folder))


def read(folder: Path, out: str = "cohort", **parameters) -> Cohort:
    return read_rhythms(folder, key=KEY, out=folder.parent / out, **parameters)


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    """Two devices: one names its leads and has 360 Hz, the other does neither."""
    folder = tmp_path_factory.mktemp("rhythms") / "records"
    write_record(folder / "rec-a", "p1", leads=("V1", "MLII"))
    write_record(folder / "rec-b", "p2", fs=128, leads=("ECG",), seed=1)
    return folder


@pytest.fixture(scope="module")
def cohort(records) -> Cohort:
    return read(records)


@pytest.fixture
def own(records, tmp_path) -> Path:
    return Path(shutil.copytree(records, tmp_path / "records"))


# --- what is cut


def test_windows_are_two_seconds_about_the_marks_at_360_hertz(records, cohort) -> None:
    assert (cohort.classes, cohort.units, cohort.grid) == (CLASSES, ("mV",), (720,))
    assert all(cohort.manifest["counts"].values())
    samples = cohort.samples.set_index("recording")
    lead = wfdb.rdrecord(str(records / "rec-a/p1")).p_signal[:, 1]
    for row in cohort.samples[cohort.samples["recording"] == "rec-a/p1"].itertuples():
        expected = lead[row.onset - 360 : row.onset + 360].astype(np.float32)
        np.testing.assert_array_equal(cohort.signals([row.Index])[0, 0], expected)
    assert samples.loc["rec-a/p1", ["lead", "recorder"]].drop_duplicates().to_numpy().tolist() == [["MLII", "rec-a"]]
    assert samples.loc["rec-b/p2", ["lead", "recorder"]].drop_duplicates().to_numpy().tolist() == [["ECG", "rec-b"]]


def test_another_rate_gives_the_same_windows_within_its_own_rounding(cohort) -> None:
    """The two records show one heart; at 128 Hz a mark is rounded to 7.8 ms, and lead V1's noise is not MLII's."""
    assert abs(np.diff(cohort.samples["recording"].value_counts().to_numpy())[0]) <= 2
    for recording, height in (("rec-a/p1", 0.5), ("rec-b/p2", 1.0)):
        mine = cohort.samples["recording"] == recording
        signals = cohort.signals(np.flatnonzero(mine))[:, 0]
        assert np.abs(signals[:, 358:363].max(axis=1) - height).max() < 0.08
        near = signals[:, 330:390].argmax(axis=1) + 330
        assert np.abs(near - 360).max() <= 2


def test_the_digest_does_not_depend_on_place_listing_key_or_what_becomes_of_absent_classes(own, cohort) -> None:
    (own / "RECORDS").write_text("rec-b/p2\nrec-a/p1\n")
    moved = own.rename(own.parent / "elsewhere")
    again = read_rhythms(moved, key=b"x" * 32, out=moved.parent / "other", absent="leave_out")
    assert again.digest == cohort.digest
    assert read(moved, out="fewer", per_patient=2).digest != cohort.digest


def test_the_first_lead_of_table1_is_lead_ii_of_clinical_by_name(own) -> None:
    assert set(read(own, build="table1", absent="leave_out").samples["lead"]) == {"V1", "ECG"}


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (["V5", "MLII"], 1),
        (["I", "II", "III"], 1),
        (["aVR", "Lead II"], 1),
        (["ECG", "ECG"], 0),
        (["ECG1", "ECG2"], 0),
        ([None, None], 0),
    ],
)
def test_lead_ii_is_found_by_name_and_by_place_where_leads_have_none(names, number) -> None:
    assert channel_of(names, "lead II") == number
    assert channel_of(names, "channel0") == 0


def test_a_header_without_gain_is_read_as_200_units_per_millivolt(tmp_path) -> None:
    write_record(tmp_path / "records", "a", SINUS)
    path = tmp_path / "records" / "a.hea"
    path.write_text(path.read_text().replace("1000.0(0)/mV", "0"))
    signals = read(tmp_path / "records", absent="leave_out").signals([0])
    assert signals.max() == pytest.approx(5.0, rel=0.1)  # written with 1000


# --- how many


def test_the_most_of_a_patient_and_class_are_spread_evenly_over_its_recordings(tmp_path) -> None:
    folder = tmp_path / "records"
    for name in "abc":
        write_record(folder, name, SINUS, seed=ord(name))
    (folder / "subjects.csv").write_text("recording,subject\na,S\nb,S\n")
    everything = read(folder, "all", absent="leave_out")
    few = read(folder, "few", absent="leave_out", per_patient=6)
    assert few.samples.groupby("subject").size().tolist() == [6, 6]
    assert few.samples["recording"].value_counts().to_dict() == {"a": 3, "b": 3, "c": 6}
    onsets = everything.samples[everything.samples["recording"] == "c"]["onset"].to_numpy()
    chosen = np.searchsorted(onsets, few.samples[few.samples["recording"] == "c"]["onset"])
    assert set(np.diff(chosen)) <= {len(onsets) // 6, math.ceil(len(onsets) / 6)}
    assert few.manifest["dropped"]["beyond the most of a patient and class"] == len(everything) - 12
    assert count_labels(folder, "clinical")["windows"].sum() == len(everything)


# --- what stands beside a sample


def neighbours(records: Path, row, fs: float) -> list[float]:
    """R of the beat before, of the own and of the beat after, in points from the window's first."""
    marks = wfdb.rdann(str(records / row.recording), "atr")
    beats = [at for at, symbol in zip(marks.sample, marks.symbol, strict=True) if symbol in BEAT_SYMBOLS]
    place = min(i for i, at in enumerate(beats) if at >= row.onset)
    start = round(row.onset * 360 / fs) - 360
    return [
        round(beats[i] * 360 / fs) - start if 0 <= i < len(beats) else math.nan for i in (place - 1, place, place + 1)
    ]


@pytest.mark.parametrize("build", ["clinical", "table1"])
def test_r_peaks_of_the_beat_and_its_neighbours_of_marks_those_of_the_first_beat_after(own, build) -> None:
    samples = read(own, build=build).samples
    for row in samples.itertuples():
        expected = neighbours(own, row, 360 if row.recorder == "rec-a" else 128)
        np.testing.assert_array_equal([row.previous_r, row.own_r, row.next_r], expected)
    is_beat = samples["label_name"].isin(["N", "PVC", "PAC", "LBBB", "RBBB"])
    assert (samples.loc[is_beat, "own_r"] == 360).all()
    assert (samples.loc[~is_beat, "own_r"] > 360).all() == (build == "table1")


def test_waves_are_those_of_the_record_clipped_to_the_window(records, cohort) -> None:
    lead = wfdb.rdrecord(str(records / "rec-a/p1")).p_signal[:, 1]
    marks = wfdb.rdann(str(records / "rec-a/p1"), "atr")
    peaks = marks.sample[[symbol != "+" for symbol in marks.symbol]]
    spans = delineate(lead, 360, peaks)  # 60 beats are one block of the reader's, which ends 0.2 s earlier
    mine = cohort.samples[cohort.samples["recording"] == "rec-a/p1"]
    own = np.searchsorted(peaks, mine["onset"])
    starts = mine["onset"].to_numpy() - 360
    for name, beat, wave in (("p", own, 0), ("qrs", own, 1), ("t", own, 2), ("previous_qrs", own - 1, 1)):
        expected = (spans[beat, wave] - starts[:, None]).clip(0, 720)
        np.testing.assert_allclose(mine[[f"{name}_start", f"{name}_stop"]].to_numpy(), expected, atol=1)
    after = (spans[np.minimum(own + 1, len(peaks) - 1), 1] - starts[:, None]).clip(0, 720)
    last = own + 1 == len(peaks)
    np.testing.assert_allclose(mine["next_qrs_start"].to_numpy()[~last], after[~last, 0], atol=1)
    assert mine["next_qrs_start"][last].isna().all()
    assert mine["qrs_start"].notna().mean() > 0.9


def test_evidence_are_the_marks_where_there_are_any(own) -> None:
    spans = np.array([1000, 1040, 3000, 3300])
    wfdb.wrann("p1", "evd", spans, symbol=["(", ")", "(", ")"], write_dir=str(own / "rec-a"))
    cohort = read(own)
    mine = cohort.samples["recording"] == "rec-a/p1"
    assert cohort.samples.loc[mine, "evidence_known"].all()
    for row in cohort.samples[mine].itertuples():
        grid = row.onset - 360 + np.arange(720)
        expected = ((grid >= 1000) & (grid <= 1040)) | ((grid >= 3000) & (grid <= 3300))
        np.testing.assert_array_equal(cohort.evidence([row.Index])[0, 0], expected)


@pytest.mark.parametrize("build", ["clinical", "table1"])
def test_without_marks_evidence_is_the_ectopic_beat_from_halfway_to_halfway(own, build) -> None:
    write_record(own / "rec-a", "p1", (*ALL, ("(N", "NNNVVNNNN", 0.6)))
    cohort = read(own, build=build)
    known = cohort.samples["label_name"].isin(["PVC", "PAC"])
    assert (cohort.samples["evidence_known"] == known).all()
    for row in cohort.samples[known & (cohort.samples["recorder"] == "rec-a")].itertuples():
        marks = wfdb.rdann(str(own / row.recording), "atr")
        beats = [(at, symbol) for at, symbol in zip(marks.sample, marks.symbol, strict=True) if symbol != "+"]
        expected = np.zeros(60_000, dtype=bool)
        for i, (at, symbol) in enumerate(beats):
            if symbol == {"PVC": "V", "PAC": "A"}[row.label_name]:
                expected[(beats[i - 1][0] + at) // 2 : (at + beats[i + 1][0]) // 2] = True
        np.testing.assert_array_equal(
            cohort.evidence([row.Index])[0, 0], expected[row.onset - 360 : row.onset + 360], strict=True
        )
    assert cohort.manifest["counts"]["PVC"] == (4 if build == "table1" else 2)


# --- what is refused


def reason(cohort: Cohort, recording: str) -> str:
    found = cohort.quarantine.set_index("recording")["reason"]
    assert list(found.index) == [recording]
    assert str(cohort.path.parent) not in found[recording]
    return str(found[recording])


def test_a_record_that_names_its_leads_and_has_no_lead_ii_is_quarantined(own) -> None:
    write_record(own / "rec-a", "p3", leads=("V5", "V2"))
    assert reason(read(own), "rec-a/p3") == "the record has no lead II, only V5, V2."
    with pytest.raises(UnusableRecording, match="no lead MLII, only V5, V2"):
        channel_of(["V5", "V2"], "MLII")


def test_annotations_without_signals_are_counted_and_not_read(own) -> None:
    counts = count_labels(own, "clinical")
    (own / "rec-a" / "p1.dat").unlink()
    assert count_labels(own, "clinical").equals(counts)
    missing = "the record has annotations and no signals: the file rec-a/p1.dat is missing."
    assert reason(read(own), "rec-a/p1") == missing.replace("rec-a/p1", "…")
    (own / "rec-b" / "p2.dat").unlink()
    with pytest.raises(CohortError, match=rf"2 quarantined, the first, rec-a/p1, because {missing}"):
        read(own, "none")


def raw_annotations(path: Path, marks: Sequence[tuple[int, int]]) -> None:
    """Marks (sample, code) in the MIT format, which steps back by a negative skip."""
    content, before = b"", 0
    for sample, code in marks:
        step = (sample - before) & 0xFFFFFFFF
        content += (59 << 10).to_bytes(2, "little")
        content += (step >> 16).to_bytes(2, "little") + (step & 0xFFFF).to_bytes(2, "little")
        content += (code << 10).to_bytes(2, "little")
        before = sample
    path.write_bytes(content + b"\0\0")


def test_marks_out_of_order_are_quarantined_by_their_samples(own) -> None:
    raw_annotations(own / "rec-a" / "p1.atr", [(500, 1), (900, 28), (700, 1), (1500, 1)])
    expected = (
        "the annotations are out of order: a mark at sample 700 follows one at sample 900, "
        "so that a rhythm would end before it begins."
    )
    assert reason(read(own), "rec-a/p1") == expected


def test_an_episode_shorter_than_a_window_is_counted_under_its_own_reason(own) -> None:
    before = read(own).manifest["dropped"]["episode shorter than a window"]
    write_record(own / "rec-a", "p3", [("(N", "N" * 20, 0.8), ("(AFIB", "NNN", 0.6), ("(N", "N" * 20, 0.8)])
    cohort = read(own, "more")
    assert cohort.manifest["dropped"]["episode shorter than a window"] == before + 3
    assert not ((cohort.samples["recording"] == "rec-a/p3") & (cohort.samples["label_name"] == "AFIB")).any()


def test_a_remark_beyond_the_end_is_left_out_and_a_beat_there_is_not(own) -> None:
    length = wfdb.rdheader(str(own / "rec-a/p1")).sig_len
    marks = wfdb.rdann(str(own / "rec-a/p1"), "atr")
    samples, notes = np.append(marks.sample, length + 5), [*marks.aux_note, ""]
    for symbol, quarantined in (('"', []), ("N", ["rec-a/p1"])):
        wfdb.wrann("p1", "atr", samples, [*marks.symbol, symbol], aux_note=notes, write_dir=str(own / "rec-a"))
        assert read(own, f"cohort {len(quarantined)}").quarantine["recording"].tolist() == quarantined


def test_absent_classes_are_named_and_left_out_only_if_told_so(tmp_path) -> None:
    folder = tmp_path / "records"
    write_record(folder, "a", ALL[:4])
    with pytest.raises(CohortError, match=r"has no sample of SBR, RBBB; expected all of N, .* absent=leave_out"):
        read(folder)
    assert not (tmp_path / "cohort").exists()
    cohort = read(folder, absent="leave_out")
    assert cohort.classes == CLASSES
    assert {name for name in cohort.manifest["dropped"] if name.startswith("no")} >= {
        "no sample of SBR",
        "no sample of RBBB",
    }
    lbbb = cohort.samples["label_name"] == "LBBB"
    assert set(cohort.samples.loc[lbbb, "label"]) == {CLASSES.index("LBBB")}


def test_a_class_whose_windows_are_all_flat_is_absent(tmp_path) -> None:
    folder = tmp_path / "records"
    write_record(folder, "a")
    record = wfdb.rdrecord(str(folder / "a"))
    marks = wfdb.rdann(str(folder / "a"), "atr")
    signal = record.p_signal
    signal[marks.sample[marks.symbol.index("R")] - 400 :] = 0.25
    wfdb.wrsamp(
        "a",
        fs=360,
        units=record.units,
        sig_name=record.sig_name,
        p_signal=signal,
        fmt=["16"] * 2,
        write_dir=str(folder),
    )
    with pytest.raises(CohortError, match="has no sample of SBR, RBBB; expected"):
        read(folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert read(folder, absent="leave_out").manifest["dropped"]["flat"] > 0


@pytest.mark.parametrize("wrong", [{"build": "paper"}, {"per_patient": 0}, {"absent": "ignore"}])
def test_wrong_arguments_are_named(records, tmp_path, wrong) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        read_rhythms(records, key=KEY, out=tmp_path / "c", **wrong)


# --- the real database


def test_mit_bih_is_read_in_both_builds(real_data, tmp_path) -> None:
    """Two patients: 209 has SVTA; 102 has no lead II."""
    folder = tmp_path / "records"
    folder.mkdir()
    for name in ("102", "209"):
        for kind in ("hea", "dat", "atr"):
            shutil.copy(real_data("mitdb") / f"{name}.{kind}", folder)
    clinical = read(folder, "clinical", absent="leave_out", per_patient=10)
    assert reason(clinical, "102") == "the record has no lead II, only V5, V2."
    assert set(clinical.samples["recorder"]) == {"mitdb"}
    assert clinical.samples["label_name"].value_counts().to_dict().keys() >= {"N", "PAC", "SVTA"}
    assert clinical.subjects[["age", "sex"]].to_numpy().tolist() == [[62.0, "M"]]
    counts = count_labels(folder, "table1").set_index("class")["windows"]
    assert counts["SVTA"] > 0
    assert clinical.samples["qrs_start"].notna().mean() > 0.95
    assert (clinical.samples["qrs_stop"] - clinical.samples["qrs_start"]).between(10, 70).mean() > 0.95
