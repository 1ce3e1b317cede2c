"""Bedside signals: what is read at which rate, what is believed, how it is labelled, and what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wfdb
from naming import named

from tasks.cohorts.signal_validity import FLAT, MISSING, SATURATED, VALID, believable
from tasks.cohorts.store import Cohort, CohortError
from tasks.cohorts.wfdb_vitals import read_vitals

read_vitals = named(read_vitals)
KEY = b"0123456789abcdef"
GAINS = {"mV": 1000.0, "uV": 1.0, "mmHg": 50.0, "kPa": 400.0, "NU": 5000.0, "%": 100.0}
ROLES = (("ECG", "ABP", "ICP"), ("ECG", "PULSE"))
Tracks = Mapping[str, tuple[str, int, np.ndarray]]


def write(folder: Path, name: str, tracks: Tracks, fs: float = 125, comments: tuple[str, ...] = ()) -> None:
    """Writes a record of signals by name: unit, values per frame, values (NaN where there is none)."""
    folder.mkdir(exist_ok=True)
    gains = [GAINS.get(unit, 100.0) for unit, _, _ in tracks.values()]
    signals = zip(tracks.values(), gains, strict=True)
    digital = [np.where(np.isfinite(x), np.rint(np.nan_to_num(x) * gain), -32768) for (_, _, x), gain in signals]
    wfdb.wrsamp(
        name,
        fs=fs,
        units=[unit for unit, _, _ in tracks.values()],
        sig_name=list(tracks),
        e_d_signal=[values.astype(np.int64) for values in digital],
        samps_per_frame=[per_frame for _, per_frame, _ in tracks.values()],
        fmt=["16"] * len(tracks),
        adc_gain=gains,
        baseline=[0] * len(tracks),
        comments=list(comments),
        write_dir=str(folder),
    )


def sine(seconds: float, rate: float, frequency: float = 1.3, height: float = 1.0, level: float = 0.0) -> np.ndarray:
    return level + height * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def bedside(seconds: float = 60, pulse: np.ndarray | None = None, unit: str = "mmHg", name: str = "ABP") -> Tracks:
    wave = sine(seconds, 125, height=20, level=80) if pulse is None else pulse
    return {"II": ("mV", 2, sine(seconds, 250)), name: (unit, 1, wave)}


def read(folder: Path, out: str = "cohort", **given) -> Cohort:
    wanted = {"role_sets": ROLES, "window": 100, "rate": 50.0} | given
    return read_vitals(folder, key=KEY, out=folder.parent / out, **wanted)


# --- what is read


def test_signals_of_several_rates_and_units_meet_on_one_grid(tmp_path):
    folder = tmp_path / "records"
    write(folder, "a", {"V": ("uV", 4, 1000 * sine(60, 500)), "ABP": ("kPa", 1, sine(60, 125, height=2, level=10))})
    write(folder, "b", {"ABP": ("mmHg", 1, sine(60, 50, height=15, level=75)), "II": ("mV", 1, sine(60, 50))}, fs=50)
    cohort = read(folder)
    assert (cohort.channels, cohort.units) == (("ECG", "PULSE"), ("mV", "mmHg"))
    assert cohort.samples.groupby("recording").size().to_dict() == {"a": 30, "b": 30}
    assert cohort.samples.groupby("recording")["onset"].last().to_dict() == {"a": 29 * 250, "b": 29 * 100}
    whole = cohort.signals(slice(None)).reshape(2, 30, 2, 100).transpose(0, 2, 1, 3).reshape(2, 2, 3000)
    inner = slice(50, -50)
    for record in range(2):
        np.testing.assert_allclose(whole[record, 0, inner], sine(60, 50)[inner], atol=0.01)
    np.testing.assert_allclose(whole[0, 1, inner], 7.50061683 * sine(60, 50, height=2, level=10)[inner], atol=0.15)
    np.testing.assert_allclose(whole[1, 1, inner], sine(60, 50, height=15, level=75)[inner], atol=0.02)


def test_at_its_own_rate_a_signal_is_left_as_it_is(tmp_path):
    folder = tmp_path / "records"
    noise = np.random.default_rng(0).normal(80, 5, 60 * 125)
    write(folder, "a", bedside(pulse=noise))
    write(folder, "b", bedside())
    cohort = read(folder, window=125, rate=125.0)
    signals = cohort.signals(cohort.samples.index[cohort.samples["recording"] == "a"].to_numpy())[:, 1]
    own = wfdb.rdrecord(str(folder / "a"), channels=[1]).p_signal[:, 0]
    np.testing.assert_allclose(signals, own.reshape(-1, 125), rtol=1e-6)


def segments(folder: Path, name: str, tracks: Tracks, cuts: list[int], gap: int, **changes) -> None:
    """A record in segments, the first ``cuts[0]`` frames and so on, with a gap after the first."""
    frames = len(next(iter(tracks.values()))[2]) // next(iter(tracks.values()))[1]
    edges = [0, *cuts, frames]
    lines = []
    for number, (first, last) in enumerate(pairwise(edges)):
        part = f"{name}_{number:04d}"
        first += gap if number == 1 else 0
        lines += [f"~ {gap}"] if number == 1 else []
        lines.append(f"{part} {last - first}")
        write(folder, part, {n: (u, k, x[first * k : last * k]) for n, (u, k, x) in tracks.items()})
    master = [f"{name}/{len(lines)} {len(tracks)} 125 {frames}", *lines]
    (folder / f"{name}.hea").write_text("\n".join(master) + "\n")


def test_a_record_in_segments_reads_like_the_whole_with_a_gap(tmp_path):
    tracks = bedside(120)
    segments(tmp_path / "split", "a", tracks, [5000, 9000], gap=500)
    write(tmp_path / "split", "b", tracks)
    write(tmp_path / "whole", "a", tracks)
    write(tmp_path / "whole", "b", tracks)
    split, whole = read(tmp_path / "split", "c1"), read(tmp_path / "whole", "c2")
    assert split.quarantine.empty
    assert split.manifest["dropped"]["missing values"] == 2
    mine = split.samples[split.samples["recording"] == "a"]
    same = whole.samples[(whole.samples["recording"] == "a") & whole.samples["onset"].isin(mine["onset"])]
    assert len(mine) == 58
    away = np.abs(mine["onset"].to_numpy()[:, None] - [5000, 5500]).min(axis=1) > 500
    mine, same = mine.index.to_numpy()[away], same.index.to_numpy()[away]
    np.testing.assert_allclose(split.signals(mine), whole.signals(same), atol=1e-4)


def test_segments_may_hold_other_signals_under_a_layout(tmp_path):
    folder = tmp_path / "records"
    first, second = bedside(60), bedside(60)
    write(folder, "a_0001", {"ABP": first["ABP"], "II": first["II"]})
    write(folder, "a_0002", {"RESP": ("NU", 1, sine(60, 125)), **second})
    (folder / "a_layout.hea").write_text(
        "a_layout 3 125 0\n~ 0x2 1/mV 0 0 0 0 0 II\n~ 0 1/NU 0 0 0 0 0 RESP\n~ 0 1 0 0 0 0 0 ABP\n"
    )
    (folder / "a.hea").write_text("a/3 3 125 15000\na_layout 0\na_0001 7500\na_0002 7500\n# 61 F 1 x x1\n")
    write(folder, "b", bedside(60))
    cohort = read(folder)
    assert cohort.quarantine.empty
    assert cohort.samples.groupby("recording").size().to_dict() == {"a": 60, "b": 30}
    assert cohort.units == ("mV", "mmHg")
    assert cohort.subjects["age"].dropna().unique() == [61.0]


def test_segments_without_samples_are_counted(tmp_path):
    folder = tmp_path / "records"
    write(folder, "b", bedside())
    write(folder, "a_1", bedside())
    (folder / "a.hea").write_text("a/2 2 125 7500\na_1 7500\na_2 0\n")
    assert read(folder).manifest["dropped"]["segments without samples"] == 1


# --- what is believed


def oracle(signal: np.ndarray, rate: float) -> list[int]:
    """State of every sample, one by one."""
    states, extremes = [], (np.nanmin(signal), np.nanmax(signal))
    for i, value in enumerate(signal):
        same = np.isnan if np.isnan(value) else (lambda other, value=value: other == value)
        first = last = i
        while first > 0 and same(signal[first - 1]):
            first -= 1
        while last < len(signal) - 1 and same(signal[last + 1]):
            last += 1
        length, inner = last - first + 1, first > 0 and last < len(signal) - 1
        if np.isnan(value):
            states.append(VALID if inner and length <= 0.1 * rate else MISSING)
        elif length > rate:
            states.append(FLAT)
        else:
            states.append(SATURATED if value in extremes and length > 0.2 * rate else VALID)
    return states


@pytest.mark.parametrize("seed", range(8))
def test_states_equal_a_naive_walk(seed):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=800)
    for kind in rng.integers(0, 3, 6):
        start, length = rng.integers(0, 790), rng.integers(1, 90)
        signal[start : start + length] = (np.nan, 0.5, 9.0)[kind]
    values, states = believable(signal, 50.0, 50.0, rests=False)
    expected = oracle(signal, 50.0)
    assert states.tolist() == expected
    assert np.isfinite(values).all()
    sound = (states == VALID) & np.isfinite(signal)
    np.testing.assert_allclose(values[sound], signal[sound], rtol=1e-12)


def test_a_gap_does_not_ring_into_its_neighbours():
    signal = sine(20, 250, level=100)
    broken = signal.copy()
    broken[2000:2500] = np.nan
    values, states = believable(broken, 250.0, 50.0, rests=False)
    assert (states == MISSING).sum() == 100
    sound = np.flatnonzero(states == VALID)
    far = sound[np.abs(sound - 450) > 60]
    np.testing.assert_allclose(values[far], believable(signal, 250.0, 50.0, rests=False)[0][far], atol=2e-3)
    assert np.abs(values[sound] - signal[::5][sound]).max() < 0.2


def test_one_bad_sample_between_two_points_of_the_grid_is_seen():
    signal = sine(10, 1000)
    signal[1001:1150] = np.nan
    states = believable(signal, 1000.0, 5.0, rests=False)[1]
    assert np.flatnonzero(states).tolist() == [5]


def test_a_short_gap_at_an_end_leads_nowhere():
    signal = sine(10, 100)
    signal[[0, 1, 500, -1]] = np.nan
    states = believable(signal, 100.0, 100.0, rests=False)[1]
    assert np.flatnonzero(states).tolist() == [0, 1, 999]


def test_a_flat_stretch_with_short_gaps_is_still_flat():
    signal = sine(10, 100)
    signal[300:500] = 0.25
    signal[[350, 400, 450]] = np.nan
    states = believable(signal, 100.0, 100.0, rests=False)[1]
    assert (states == FLAT).sum() == 200
    assert (believable(signal, 100.0, 100.0, rests=True)[1] == VALID).all()


def test_windows_with_bad_points_are_dropped_by_reason_and_short_gaps_bridged(tmp_path):
    pulse = sine(60, 125, height=20, level=80)
    pulse[1000:1010] = np.nan  # 80 ms: bridged
    pulse[1500:1530] = np.nan  # windows 6
    pulse[2600:2800] = 80.0  # windows 10 and 11
    pulse[5010:5050] = 140.0  # window 20
    folder = tmp_path / "records"
    write(folder, "a", bedside(pulse=pulse))
    write(folder, "b", bedside())
    cohort = read(folder)
    reasons = ("missing values", "flat stretch", "saturated stretch", "crosses a block edge", "flat window")
    assert [cohort.manifest["dropped"][reason] for reason in reasons] == [1, 2, 1, 0, 0]
    onsets = cohort.samples.loc[cohort.samples["recording"] == "a", "onset"] // 250
    assert sorted(set(range(30)) - set(onsets)) == [6, 10, 11, 20]
    bridged = cohort.signals(
        cohort.samples.index[(cohort.samples["recording"] == "a") & (cohort.samples["onset"] == 1000)]
    )
    assert np.abs(bridged[0, 1] - sine(60, 50, height=20, level=80)[400:500]).max() < 3


def test_slow_numbers_may_rest(tmp_path):
    folder = tmp_path / "records"
    for name in "ab":
        tracks = {"II": ("mV", 125, sine(60, 125)), "SpO2": ("%", 1, np.full(60, 97.0))}
        write(folder, name, tracks, fs=1)
    cohort = read(folder, role_sets=[("ECG", "SPO2")])
    assert len(cohort) == 60
    np.testing.assert_allclose(cohort.signals([3])[0, 1], 97.0, atol=1e-6)


# --- how it is labelled


def test_which_patient_numbers_patients_and_makes_blocks_the_unit(tmp_path):
    folder = tmp_path / "records"
    for name in ("c", "a", "b"):
        write(folder, name, bedside(100), comments=("44 M",))
    (folder / "subjects.csv").write_text("recording,subject,age,sex\na,X,50,F\nb,Y,,\nc,Y,,\n")
    cohort = read(folder, block_seconds=25)
    assert (cohort.manifest["parameters"]["task"], cohort.subject_kind) == ("which-patient", "block")
    assert cohort.classes == ("patient 1", "patient 2")
    assert cohort.samples.groupby("recording")["label_name"].unique().map(list).to_dict() == {
        "a": ["patient 1"],
        "b": ["patient 2"],
        "c": ["patient 2"],
    }
    assert cohort.samples.groupby(["recording", "block"])["subject"].nunique().eq(1).all()
    assert cohort.samples["subject"].nunique() == len(cohort.subjects) == 12
    assert cohort.samples.groupby("subject")["label"].nunique().eq(1).all()
    assert cohort.manifest["dropped"]["crosses a block edge"] == 3 * 2
    assert cohort.subjects.groupby("age").size().to_dict() == {44.0: 8, 50.0: 4}


def icp(levels: list[float], seconds: float = 60) -> Tracks:
    level = np.repeat(levels, round(seconds * 125))
    return {**bedside(seconds * len(levels)), "ICP": ("mmHg", 1, level + sine(seconds * len(levels), 125, height=2))}


def test_a_window_bears_the_pressure_of_the_interval_after_it(tmp_path):
    folder = tmp_path / "records"
    levels = {"a": [10, 31, 10], "b": [31, 10, 31], "c": [17, 17, 17]}
    for name, values in levels.items():
        write(folder, name, icp(values))
    cohort = read(folder, horizon_seconds=20)
    assert cohort.manifest["parameters"] == {
        "task": "icp-above-20",
        "roles": ["ECG", "ABP", "ICP"],
        "window": 100,
        "rate": 50.0,
        "horizon_seconds": 20,
    }
    assert cohort.classes == ("ICP up to 15", "ICP above 20")
    assert (len(cohort.subjects), cohort.subject_kind) == (2, "subject")
    assert cohort.quarantine["recording"].tolist() == ["c"]
    assert "80 following ICP between 15 and 20 mmHg" in cohort.quarantine["reason"][0]
    for row in cohort.samples.itertuples():
        trace = icp(levels[row.recording])["ICP"][2]
        following = trace[row.onset + 250 : row.onset + 250 + 2500]
        assert len(following) == 2500
        assert (following.mean() > 20) == row.label
        assert row.label or following.mean() <= 15
    early = cohort.samples[(cohort.samples["recording"] == "a") & (cohort.samples["onset"] == 55 * 125 // 250 * 250)]
    assert early["label_name"].tolist() == ["ICP above 20"]


def test_one_patient_with_high_pressure_is_not_a_class(tmp_path):
    folder = tmp_path / "records"
    write(folder, "a", icp([10, 30]))
    write(folder, "b", icp([10, 10]))
    cohort = read(folder, horizon_seconds=20)
    assert cohort.manifest["parameters"]["task"] == "which-patient"
    assert cohort.channels == ("ECG", "ABP", "ICP")


def test_the_first_set_that_two_patients_have_is_used(tmp_path):
    folder = tmp_path / "records"
    write(folder, "a", icp([10, 30]))
    write(folder, "b", bedside(), comments=("50 F 7 x x1",))
    write(folder, "c", bedside(pulse=sine(60, 125), name="PLETH", unit="NU"), comments=("50 F 8 x x1",))
    (folder / "subjects.csv").write_text("recording,subject\na,1\nb,2\nc,3\n")
    cohort = read(folder)
    assert (cohort.channels, cohort.units) == (("ECG", "PULSE"), ("mV", "NU"))
    assert cohort.samples.groupby("recording")["pulse_signal"].unique().map(list).to_dict() == {
        "a": ["ABP"],
        "b": ["ABP"],
        "c": ["PLETH"],
    }
    (folder / "subjects.csv").write_text("recording,subject\na,1\nb,1\nc,1\n")
    with pytest.raises(CohortError, match=r"1 patients have usable ECG, PULSE; expected 2 or more\.$"):
        read(folder, "again")


def test_the_task_and_its_parameters_are_part_of_the_digest_and_the_key_is_not(tmp_path):
    folder = tmp_path / "records"
    for name in "ab":
        write(folder, name, icp([10, 30]))
    one = read(folder, "one", horizon_seconds=20)
    assert (
        read_vitals(
            folder, role_sets=ROLES, window=100, rate=50.0, horizon_seconds=20, key=b"x" * 16, out=tmp_path / "k"
        ).digest
        == one.digest
    )
    digests = {
        one.digest,
        read(folder, "two", horizon_seconds=21).digest,
        read(folder, "three", role_sets=ROLES[1:]).digest,
    }
    assert len(digests) == 3


def test_evidence_lies_on_the_signal_that_the_mark_names(tmp_path):
    folder = tmp_path / "records"
    for name in "abc":
        write(folder, name, {"RESP": ("NU", 1, sine(60, 125)), **bedside()})
    samples, numbers = np.array([250, 260, 500, 520, 900, 950]), np.array([2, 1, 2, 1, 0, 0])
    wfdb.wrann("a", "evd", samples, symbol=["(", "(", ")", ")", "(", ")"], chan=numbers, write_dir=str(folder))
    wfdb.wrann("b", "evd", np.array([0]), symbol=['"'], aux_note=["none"], write_dir=str(folder))
    cohort = read(folder)
    assert cohort.samples.groupby("recording")["evidence_known"].first().to_dict() == {"a": True, "b": True, "c": False}
    evidence = cohort.evidence(slice(None))
    of = (cohort.samples["recording"] == "a").to_numpy()
    assert not evidence[~of].any()
    ecg, pulse = evidence[of].transpose(1, 0, 2).reshape(2, -1)
    assert np.flatnonzero(ecg).tolist() == list(range(104, 209))
    assert np.flatnonzero(pulse).tolist() == list(range(100, 201))


# --- what is refused


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bedside") / "records"
    for name in ("p1", "p3"):
        write(folder, name, bedside(30))
    segments(folder, "p2", bedside(30), [1500], gap=100)
    (folder / "RECORDS").write_text("p1\np2\np3\n")
    return folder


@pytest.fixture
def records(three, tmp_path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "records"))


def change(folder: Path, name: str, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, (folder / name).read_text(), flags=re.M)
    assert count
    (folder / name).write_text(text)


def truncate(folder: Path) -> None:
    data = (folder / "p2_0001.dat").read_bytes()
    (folder / "p2_0001.dat").write_bytes(data[:-100])


def link_out(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")


def rewrite(folder: Path, tracks: Tracks) -> None:
    for path in folder.glob("p2*"):
        path.unlink()
    write(folder, "p2", tracks)


NOTHING = np.full(30 * 125, np.nan)
FAULTS = {
    "no pulse": (lambda f: rewrite(f, {"II": bedside(30)["II"]}), r"no ABP or PLETH signal, only II\."),
    "no ECG": (lambda f: rewrite(f, {"ABP": bedside(30)["ABP"]}), r"no ECG signal, only ABP\."),
    "unit": (lambda f: rewrite(f, bedside(30, unit="adu")), r"signal ABP is in adu; ABP expects mmHg or kPa\."),
    "all missing": (
        lambda f: rewrite(f, bedside(30, pulse=NOTHING)),
        "signal ABP has no valid stretch, only missing values",
    ),
    "all flat": (lambda f: rewrite(f, bedside(30, pulse=NOTHING * 0 + 80)), "no valid stretch"),
    "constant": (lambda f: rewrite(f, bedside(30, pulse=np.full(3750, 80.0))), "no valid stretch, only flat stretch"),
    "too short": (lambda f: rewrite(f, bedside(1)), r"none of its windows is usable \(it is shorter than one\)"),
    "mostly bad": (
        lambda f: rewrite(f, bedside(2, pulse=np.r_[sine(1, 125), NOTHING[:125]])),
        "usable .1 missing values",
    ),
    "zero length": (
        lambda f: change(f, "p2.hea", r"\A.*(\n.*)*", "p2/1 2 125 0\np2_0000 0\n"),
        "gives 0 samples; expected 1 to",
    ),
    "all empty": (
        lambda f: change(f, "p2.hea", r"\A.*(\n.*)*", "p2/2 2 125 10\n~ 10\np2_0000 0\n"),
        "segments hold no samples",
    ),
    "segment missing": (
        lambda f: (f / "p2_0001.hea").unlink(),
        r"segment … cannot be used: the file ….hea is missing",
    ),
    "data missing": (lambda f: (f / "p2_0001.dat").unlink(), r"segment … .* ….dat is missing"),
    "truncated": (truncate, r"segment … cannot be used: ….dat has \d+ bytes where .* \(truncated\)"),
    "link": (lambda f: link_out(f, "p2_0001.dat"), r"….dat lies outside the folder"),
    "header link": (lambda f: link_out(f, "p2_0001.hea"), r"….hea lies outside the folder"),
    "segment elsewhere": (lambda f: change(f, "p2.hea", "^p2_0001", "../p2_0001"), "lies outside the folder"),
    "absolute segment": (lambda f: change(f, "p2.hea", "^p2_0001", "/etc/p2"), "lies outside the folder"),
    "data elsewhere": (lambda f: change(f, "p2_0001.hea", r"^p2_0001\.dat", "../x.dat"), "lies outside the folder"),
    "segment of segments": (
        lambda f: shutil.copy(f / "p2.hea", f / "p2_0001.hea"),
        "joins several segments; expected one",
    ),
    "length": (
        lambda f: change(f, "p2.hea", "^p2_0000 1500", "p2_0000 1400"),
        "declares 3750 samples, its segments 3650",
    ),
    "segment length": (
        lambda f: change(f, "p2.hea", "~ 100\np2_0001 2150", "~ 200\np2_0001 2050"),
        "has 2150 samples at 125 Hz; the record expects 2050",
    ),
    "segment rate": (lambda f: change(f, "p2_0001.hea", "^p2_0001 2 125", "p2_0001 2 100"), "2150 samples at 100 Hz"),
    "segment count": (lambda f: change(f, "p2.hea", "^p2/3", "p2/4"), "declares … segments and lists 3"),
    "segment line": (lambda f: change(f, "p2.hea", "^p2_0001 2150", "p2_0001"), "expected a name and a length"),
    "other signals": (
        lambda f: change(f, "p2_0001.hea", "ABP", "ART"),
        "has the signals II, ART; the first segment has II, ABP",
    ),
    "other unit": (lambda f: change(f, "p2_0001.hea", "mmHg", "kPa"), "signal ABP in more than one unit or rate"),
    "huge": (lambda f: change(f, "p2.hea", "~ 100", "~ 99999999999"), "declares 3750 samples|expected 1 to"),
    "half a mark": (
        lambda f: wfdb.wrann("p2", "evd", np.array([500]), symbol=["("], chan=np.array([1]), write_dir=str(f)),
        "of signal 1 are not pairs",
    ),
    "mark beyond": (
        lambda f: wfdb.wrann("p2", "evd", np.array([5, 9999]), symbol=["(", ")"], write_dir=str(f)),
        "at sample 9999, beyond the record's 3750",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_record_is_quarantined_and_the_rest_goes_on(records, fault):
    damage, message = FAULTS[fault]
    damage(records)
    cohort = read(records)
    assert cohort.quarantine["recording"].tolist() == ["p2"]
    reason = cohort.quarantine["reason"][0]
    assert re.search(message, reason), reason
    assert reason.endswith(".")
    assert str(records.parent) not in reason
    assert set(cohort.samples["recording"]) == {"p1", "p3"}
    assert cohort.classes == ("patient 1", "patient 2")
    assert len(np.unique(cohort.samples["label"])) == 2


def test_undamaged_records_are_all_read_and_segments_are_not_records(records):
    (records / "RECORDS").unlink()
    cohort = read(records)
    assert cohort.quarantine.empty
    assert sorted(set(cohort.samples["recording"])) == ["p1", "p2", "p3"]


def test_nothing_usable_names_every_set_and_a_reason(tmp_path):
    folder = tmp_path / "records"
    write(folder, "a", bedside())
    with pytest.raises(CohortError) as failure:
        read(folder)
    assert str(failure.value) == (
        "0 patients have usable ECG, ABP, ICP; expected 2 or more (a: the record has no ICP signal, only II, ABP); "
        "1 patients have usable ECG, PULSE; expected 2 or more."
    )
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"role_sets": []}, {"window": 1}, {"rate": 0.0}, {"block_seconds": 1.0}, {"horizon_seconds": float("nan")}],
)
def test_wrong_arguments_are_named(records, wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        read(records, **wrong)


# --- the real records


def test_the_real_records_are_four_patients_with_ecg_and_pulse(real_data, tmp_path):
    folder = real_data("vitals")
    cohort = read_vitals(folder, role_sets=ROLES, window=100, rate=50.0, key=KEY, out=tmp_path / "cohort")
    assert cohort.manifest["parameters"]["task"] == "which-patient"
    found = cohort.samples.groupby("recording")[["ecg_signal", "pulse_signal"]].first()
    expected = {
        "03700181": ("MCL1", "ABP"),
        "3234460_0018": ("II", "ABP"),
        "a103l": ("II", "PLETH"),
        "v102s": ("II", "PLETH"),
    }
    assert set(found.index) <= set(expected)
    for record, row in found.iterrows():
        assert tuple(row) == expected[record]
        first = cohort.samples[cohort.samples["recording"] == record].iloc[0]
        whole = wfdb.rdrecord(str(folder / record), channel_names=[row["pulse_signal"]])
        start = round(first["onset"] * 1.0)
        own = whole.p_signal[start : start + round(2 * whole.fs), 0]
        mean = cohort.signals([int(first.name)])[0, 1].mean()
        assert mean == pytest.approx(np.nanmean(own), abs=0.05 * np.ptp(own))
    assert cohort.quarantine.empty
    assert cohort.samples.groupby("label").size().gt(100).all()
    assert np.isfinite(cohort.signals(slice(None))).all()
    assert (np.ptp(cohort.signals(slice(None)), axis=2) > 0).all()
