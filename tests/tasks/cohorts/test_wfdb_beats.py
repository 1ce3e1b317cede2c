"""MIT-BIH and files in its format: what is cut, who it is from, and what is refused."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from naming import named

from tasks.cohorts.delineation import delineate
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.store import Cohort, CohortError
from tasks.cohorts.subject_facts import subject_of_header
from tasks.cohorts.wfdb_beats import read_beats

read_beats = named(read_beats)
KEY = b"0123456789abcdef"
SYMBOLS = ["N", "L", "R", "/", "V"]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "records"
    write_phantom(folder, subjects=3, seed=7, beats_per_class=3)
    return folder


@pytest.fixture
def records(phantom, tmp_path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "records"))


def read(folder: Path, **parameters) -> Cohort:
    return read_beats(folder, key=KEY, out=folder.parent / "cohort", **parameters)


def write_record(
    folder: Path,
    name: str,
    signal: np.ndarray,
    beats: list[int],
    fs: float = 360,
    leads: tuple[str, ...] = ("MLII",),
    comments: tuple[str, ...] = (),
    units: str = "mV",
) -> None:
    folder.mkdir(exist_ok=True)
    values = np.stack([signal] * len(leads), axis=1)
    wfdb.wrsamp(
        name,
        fs=fs,
        units=[units] * len(leads),
        sig_name=list(leads),
        p_signal=values,
        fmt=["16"] * len(leads),
        adc_gain=[1000.0] * len(leads),
        baseline=[0] * len(leads),
        comments=list(comments),
        write_dir=str(folder),
    )
    wfdb.wrann(name, "atr", np.array(beats), symbol=["N"] * len(beats), write_dir=str(folder))


def reason(cohort: Cohort, recording: str = "p0002") -> str:
    found = cohort.quarantine.set_index("recording")["reason"]
    assert list(found.index) == [recording]
    text = str(found[recording])
    assert text.endswith(".")
    assert str(cohort.path.parent) not in text
    assert set(cohort.samples["recording"]) == {"p0001", "p0003"}
    return text


# --- what is cut


def test_windows_are_the_files_own_samples_around_the_annotation(phantom, tmp_path):
    cohort = read_beats(phantom, key=KEY, out=tmp_path / "c")
    for row in cohort.samples.iloc[::7].itertuples():
        lead = wfdb.rdrecord(str(phantom / row.recording), channels=[0]).p_signal[:, 0]
        expected = lead[row.onset - 108 : row.onset + 108]
        np.testing.assert_array_equal(cohort.signals([row.Index])[0, 0], expected.astype(np.float32))
    assert cohort.units == ("mV",)
    assert cohort.classes == ("normal", "LBBB", "RBBB", "paced", "PVC")


def test_mlii_is_found_by_name_and_channel0_by_place(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "records"
    write_record(folder, "a", rng.normal(size=2000), [1000], leads=("V5", "MLII"))
    write_record(folder, "b", rng.normal(size=2000), [1000], leads=("V5", "V2"))
    named = read_beats(folder, key=KEY, out=tmp_path / "named")
    assert named.samples["lead"].tolist() == ["MLII"]
    assert named.quarantine["reason"].tolist() == ["the record has no lead MLII, only V5, V2."]
    first = read_beats(folder, key=KEY, out=tmp_path / "first", lead="channel0")
    assert first.samples["lead"].tolist() == ["V5", "V5"]


def test_windows_across_the_ends_are_dropped_and_counted(tmp_path):
    folder = tmp_path / "records"
    write_record(folder, "a", np.random.default_rng(0).normal(size=1000), [107, 108, 892, 893])
    cohort = read(folder)
    assert cohort.samples["onset"].tolist() == [108, 892]
    assert cohort.manifest["dropped"] == {"crosses an end": 2, "flat": 0}


def test_a_flat_window_in_a_living_record_is_dropped_and_counted(tmp_path):
    signal = np.random.default_rng(0).normal(size=2000)
    signal[600:1100] = 0.25
    write_record(tmp_path / "records", "a", signal, [300, 850, 1600])
    cohort = read(tmp_path / "records")
    assert cohort.samples["onset"].tolist() == [300, 1600]
    assert cohort.manifest["dropped"]["flat"] == 1


@pytest.mark.parametrize("fs", [128, 250, 500, 1000])
def test_another_rate_is_brought_to_360_hertz_with_its_annotations(tmp_path, fs):
    seconds = np.arange(20 * fs) / fs
    beats = np.array([3, 7, 12]) * fs
    signal = sum(np.exp(-0.5 * ((seconds - at / fs) / 0.02) ** 2) for at in beats)
    write_record(tmp_path / "records", "a", signal, list(beats), fs=fs)
    cohort = read(tmp_path / "records")
    wave = np.exp(-0.5 * ((np.arange(216) - 108) / 360 / 0.02) ** 2)
    assert cohort.samples["onset"].tolist() == list(beats)
    assert np.abs(cohort.signals(slice(None))[:, 0] - wave).max() < 0.02


def test_microvolts_become_millivolts(tmp_path):
    signal = np.random.default_rng(0).normal(size=2000)
    write_record(tmp_path / "records", "a", signal, [1000], units="uV")
    expected = signal[892:1108] / 1000
    np.testing.assert_allclose(read(tmp_path / "records").signals([0])[0, 0], expected, atol=1e-6)


def test_evidence_is_where_the_marks_are(phantom, tmp_path):
    cohort = read_beats(phantom, key=KEY, out=tmp_path / "c")
    evidence = cohort.evidence(slice(None))[:, 0]
    for recording, rows in cohort.samples.groupby("recording"):
        marks = wfdb.rdann(str(phantom / recording), "evd").sample.reshape(-1, 2)
        for row in rows.itertuples():
            grid = row.onset - 108 + np.arange(216)
            expected = ((grid[:, None] >= marks[:, 0]) & (grid[:, None] <= marks[:, 1])).any(axis=1)
            np.testing.assert_array_equal(evidence[row.Index], expected)
    normal = (cohort.samples["label_name"] == "normal").to_numpy()
    assert not evidence[normal].any()
    assert evidence[~normal].any(axis=1).all()


def test_digest_does_not_depend_on_listing_order_place_or_key(records, tmp_path):
    first = read_beats(records, key=KEY, out=tmp_path / "one")
    (records / "RECORDS").write_text("p0003\np0001\np0002\n")
    moved = records.rename(tmp_path / "elsewhere")
    second = read_beats(moved, key=b"x" * 32, out=tmp_path / "two")
    assert first.digest == second.digest
    assert first.subjects["subject"].tolist() != second.subjects["subject"].tolist()
    (moved / "RECORDS").unlink()
    assert read_beats(moved, key=KEY, out=tmp_path / "three").digest == first.digest


# --- who it is from


def test_mit_bih_comments_say_age_sex_and_medication():
    subject = subject_of_header("100", ["69 M 1085 1629 x1", "Aldomet, Inderal", "a remark"])
    assert subject.facts == {"age": 69.0, "sex": "M", "medication": "Aldomet, Inderal"}
    unknown = subject_of_header("230", ["-1 M 978 654 x1", "Digoxin"])
    assert np.isnan(unknown.facts["age"])
    assert subject_of_header("14046", ["Age: 46  Sex: M"]).facts == {"age": 46.0, "sex": "M", "medication": ""}
    assert subject_of_header("14046", ["Age: 46  Sex: M"]).identity == "recording:14046"
    assert subject_of_header("x", ["The rhythm is paced"]).facts == {}
    assert subject_of_header("x", []).facts == {}


def test_two_records_of_one_tape_are_one_person_and_names_alone_are_not():
    tape = ["68 M 1960 2851 x1", "Digoxin"]
    assert subject_of_header("201", tape).identity == subject_of_header("202", tape).identity
    assert subject_of_header("201", []).identity != subject_of_header("202", []).identity
    assert subject_of_header("201", ["68 M"]).identity != subject_of_header("202", ["68 M"]).identity
    other = ["43 M 1960 2851 x1", "Digoxin"]
    assert subject_of_header("201", tape).identity != subject_of_header("202", other).identity


def test_subjects_csv_overrides_the_headers(records):
    (records / "subjects.csv").write_text(
        "recording,subject,age,sex,drug,dose,label\n"
        "p0001,S1,95,female,placebo,1.5,x\np0002,S1,,,placebo,1.5,x\np0003,,61,,temazepam,,y\n"
    )
    header_sex = subject_of_header("p0003", wfdb.rdheader(str(records / "p0003")).comments).facts["sex"]
    cohort = read(records)
    assert cohort.samples.groupby("subject")["recording"].unique().map(list).tolist() == [
        ["p0001", "p0002"],
        ["p0003"],
    ]
    assert cohort.subjects["age"].tolist() == [90.0, 61.0]
    assert cohort.subjects["sex"].tolist() == ["F", header_sex]
    assert cohort.subjects["drug"].tolist() == ["placebo", "temazepam"]
    assert cohort.subjects["dose"][0] == 1.5
    assert cohort.subjects["label"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,age\np0001,3\n", "expected a column recording"),
        ("recording,age\np0001,old\n", "recording p0001 the age 'old'; expected years"),
        ("recording,age\np0001,3\np0001,4\n", "lists recording p0001 twice"),
        ("recording,subject,age\np0001,S,3\np0002,S,4\n", "gives subject S more than one age"),
        ("", "cannot be read"),
    ],
)
def test_a_wrong_subjects_csv_is_one_sentence(records, table, message):
    (records / "subjects.csv").write_text(table)
    with pytest.raises(CohortError, match=message):
        read(records)


# --- what is refused


def line(records: Path, pattern: str, replacement: str) -> None:
    path = records / "p0002.hea"
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.M)
    assert count
    path.write_text(text)


def truncate(records: Path) -> None:
    data = (records / "p0002.dat").read_bytes()
    (records / "p0002.dat").write_bytes(data[: len(data) // 2])


def annotate_beyond_the_end(records: Path) -> None:
    wfdb.wrann("p0002", "atr", np.array([500, 10_000_000]), symbol=["N", "N"], write_dir=str(records))


def write_nan(records: Path) -> None:
    signal = np.random.default_rng(0).normal(size=4000)
    signal[700] = np.nan
    replace_record(records, signal)


def replace_record(records: Path, signal: np.ndarray) -> None:
    (records / "p0002.evd").unlink()
    write_record(records, "p0002", signal, [2000])


def link_outside(records: Path) -> None:
    outside = records.parent / "outside.dat"
    (records / "p0002.dat").rename(outside)
    (records / "p0002.dat").symlink_to(outside)


def replace_by_pipe(records: Path) -> None:
    (records / "p0002.dat").unlink()
    os.mkfifo(records / "p0002.dat")


FAULTS = {
    "truncated dat": (truncate, r"….dat has \d+ bytes where the header declares \d+ \(truncated\)"),
    "missing dat": (lambda r: (r / "p0002.dat").unlink(), r"….dat is missing"),
    "pipe for dat": (replace_by_pipe, r"….dat is a device or a pipe"),
    "missing atr": (lambda r: (r / "p0002.atr").unlink(), r"….atr is missing"),
    "missing hea": (lambda r: (r / "p0002.hea").unlink(), r"….hea is missing"),
    "empty hea": (lambda r: (r / "p0002.hea").write_text(""), "is empty"),
    "only comments": (lambda r: (r / "p0002.hea").write_text("# 60 F\n"), "is empty"),
    "garbage hea": (lambda r: (r / "p0002.hea").write_bytes(bytes(range(256)) * 9), "header"),
    "garbage line": (lambda r: line(r, r"^p0002 2 .*$", "p0002 2 360 long"), "gives None samples; expected 1 to"),
    "garbage atr": (lambda r: (r / "p0002.atr").write_bytes(bytes(range(255, 0, -1))), "beyond|cannot be read"),
    "empty atr": (lambda r: (r / "p0002.atr").write_bytes(b""), r"….atr are empty"),
    "half a mark": (lambda r: wfdb.wrann("p0002", "evd", np.array([500]), symbol=["("], write_dir=str(r)), "not pairs"),
    "annotation beyond the end": (annotate_beyond_the_end, "annotation at sample 10000000, beyond"),
    "no MLII": (lambda r: line(r, "MLII", "V9"), "no lead MLII, only V9, V1"),
    "NaN": (write_nan, r"lead MLII has 1 undefined values \(NaN\)"),
    "flat": (lambda r: replace_record(r, np.full(4000, 0.1)), "lead MLII is flat"),
    "other units": (lambda r: line(r, "/mV", "/mmHg"), "is in …; expected mV"),
    "path up": (lambda r: line(r, r"^p0002\.dat", "../secret.dat"), "lies outside the folder"),
    "absolute path": (lambda r: line(r, r"^p0002\.dat", "/etc/passwd"), "lies outside the folder"),
    "link outside": (link_outside, "lies outside the folder"),
    "remote path": (lambda r: line(r, r"^p0002\.dat", "https://a.b/c.dat"), "not one that is read"),
    "huge length": (lambda r: line(r, r"^p0002 2 360 \d+", "p0002 2 360 99999999999999"), "expected 1 to"),
    "long length": (lambda r: line(r, r"^p0002 2 360 \d+", "p0002 2 360 130000000"), "truncated"),
    "huge count": (lambda r: line(r, r"^p0002 2 ", "p0002 9999999999 "), "declares … signals"),
    "huge rate": (lambda r: line(r, r"^p0002 2 360", "p0002 2 1e300"), "rate of"),
    "zero rate": (lambda r: line(r, r"^p0002 2 360", "p0002 2 0"), "rate of"),
    "strange format": (lambda r: line(r, r"dat 212 ", "dat 999 "), "format …|cannot be parsed"),
    "segments": (lambda r: line(r, r"^p0002 2", "p0002/3 2"), "several segments"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_record_is_quarantined_and_the_rest_goes_on(records, fault):
    damage, message = FAULTS[fault]
    (records.parent / "secret.dat").write_bytes(b"x" * 99)
    damage(records)
    text = reason(read(records))
    assert re.search(message, text), text


def test_records_may_not_point_outside(records):
    (records / "RECORDS").write_text("p0001\np0003\n../records/../outside\n/etc/passwd\n")
    cohort = read(records)
    assert cohort.quarantine["recording"].tolist() == ["../records/../outside", "/etc/passwd"]
    assert cohort.quarantine["reason"].str.contains("outside the folder").all()


@pytest.mark.parametrize("name", ["RECORDS", "subjects.csv"])
def test_a_table_linked_from_outside_is_refused(records, name):
    (records.parent / "table").write_text("recording\np0001\n")
    (records / name).unlink(missing_ok=True)
    (records / name).symlink_to(records.parent / "table")
    with pytest.raises(CohortError, match=f"{name} cannot be used: the file {name} lies outside"):
        read(records)


def test_nothing_outside_the_folder_is_opened(records):
    outside = records.parent / "outside"
    outside.mkdir()
    (outside / "x.dat").write_bytes(b"x" * 9_000_000)
    for name, target in {"p0001": "../outside/x.dat", "p0002": str(outside / "x.dat")}.items():
        path = records / f"{name}.hea"
        path.write_text(path.read_text().replace(f"{name}.dat", target))
    (records / "p0001.atr").unlink()
    (records / "p0001.atr").symlink_to(outside / "x.dat")
    opened: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if watching[0] and event == "open" else None)
    cohort = read(records)
    watching[0] = False
    assert len(cohort.quarantine) == 2
    assert any(path.endswith("p0003.dat") for path in opened)
    assert not [path for path in opened if str(outside) in os.path.realpath(path)]


def test_nothing_usable_is_one_sentence(records, tmp_path):
    for path in records.glob("*.dat"):
        path.unlink()
    with pytest.raises(CohortError, match=r"3 quarantined, the first, p0001, because .* is missing\.$"):
        read(records)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for folder, message in (("empty", "no WFDB record"), ("absent", "is nothing"), ("file", "is a file")):
        with pytest.raises(CohortError, match=message):
            read_beats(tmp_path / folder, key=KEY, out=tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize("wrong", [{"lead": "V1"}, {"v_class": "F"}, {"window": 215}, {"window": 0}])
def test_wrong_arguments_are_named(phantom, tmp_path, wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        read_beats(phantom, key=KEY, out=tmp_path / "c", **wrong)


# --- the real database


@pytest.fixture(scope="module")
def mitdb(real_data, tmp_path_factory) -> tuple[Path, Cohort]:
    folder = real_data("mitdb")
    return folder, read_beats(folder, key=KEY, out=tmp_path_factory.mktemp("mitdb") / "cohort")


def test_every_beat_of_mit_bih_is_there(mitdb):
    folder, cohort = mitdb
    expected: Counter[str] = Counter()
    for name in (folder / "RECORDS").read_text().split():
        header = wfdb.rdheader(str(folder / name))
        if "MLII" in header.sig_name:
            marks = wfdb.rdann(str(folder / name), "atr")
            expected.update(
                symbol
                for at, symbol in zip(marks.sample, marks.symbol, strict=True)
                if 108 <= at <= header.sig_len - 108
            )
    counts = dict(zip(SYMBOLS, cohort.manifest["counts"].values(), strict=True))
    assert counts == {symbol: expected[symbol] for symbol in SYMBOLS}
    assert set(cohort.quarantine["recording"]) <= {"102", "104"}


def test_subjects_of_mit_bih(mitdb):
    _, cohort = mitdb
    by_record = cohort.samples.groupby("recording")["subject"].first()
    assert by_record["201"] == by_record["202"]
    assert by_record.nunique() == len(by_record) - 1 == len(cohort.subjects)
    person = cohort.subjects.loc[by_record["100"]]
    assert (person["age"], person["sex"], person["medication"]) == (69.0, "M", "Aldomet, Inderal")
    assert cohort.subjects["age"].isna().sum() == 1  # one header says -1


def test_flutter_comes_from_one_patient(real_data, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    for extension in ("hea", "dat", "atr"):
        shutil.copy(real_data("mitdb") / f"207.{extension}", folder)
    cohort = read(folder, v_class="!")
    assert cohort.manifest["counts"]["flutter"] == 472
    assert len(cohort.subjects) == 1


# --- where the waves of a beat lie


def test_waves_are_those_of_the_whole_record_cut_to_the_window(phantom, tmp_path):
    cohort = read_beats(phantom, key=KEY, out=tmp_path / "c")
    for recording, rows in cohort.samples.groupby("recording"):
        lead = wfdb.rdrecord(str(phantom / recording), channels=[0]).p_signal[:, 0]
        marks = wfdb.rdann(str(phantom / recording), "atr").sample
        spans = delineate(lead, 360, marks)[np.searchsorted(marks, rows["onset"])]
        expected = (spans - (rows["onset"].to_numpy() - 108)[:, None, None]).clip(0, 216)
        columns = [f"{wave}_{end}" for wave in ("p", "qrs", "t") for end in ("start", "stop")]
        np.testing.assert_array_equal(rows[columns].to_numpy(), expected.reshape(len(rows), 6))
    assert cohort.samples["qrs_start"].notna().mean() > 0.9


def test_flutter_has_no_waves_and_moves_those_of_no_beat(records):
    (records / "RECORDS").write_text("p0001\n")
    beats = wfdb.rdann(str(records / "p0001"), "atr")
    bare = read_beats(records, key=KEY, out=records.parent / "bare").samples
    between = (beats.sample[:-1] + beats.sample[1:]) // 2
    samples = np.concatenate((beats.sample, between))
    symbols = np.array([*beats.symbol, *"!" * len(between)])
    order = np.argsort(samples)
    wfdb.wrann("p0001", "atr", samples[order], symbol=list(symbols[order]), write_dir=str(records))
    found = read(records, v_class="!").samples
    waves = [name for name in found if name.endswith(("_start", "_stop"))]
    flutter = found["label_name"] == "flutter"
    assert flutter.sum() == len(between)
    assert found.loc[flutter, waves].isna().all(axis=None)
    kept = bare[bare["label_name"] != "PVC"].set_index("onset")[waves]
    pd.testing.assert_frame_equal(found[~flutter].set_index("onset")[waves], kept)


def test_too_short_a_record_has_unknown_waves_and_all_its_beats(tmp_path):
    write_record(tmp_path / "records", "a", np.random.default_rng(0).normal(size=700), [200, 400])
    cohort = read(tmp_path / "records")
    assert len(cohort) == 2
    assert cohort.samples[["p_start", "qrs_stop", "t_start"]].isna().all(axis=None)
