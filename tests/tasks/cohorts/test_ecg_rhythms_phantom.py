"""The rhythm phantom keeps its word: where classes differ, that loudness does not tell, that signs make the labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from tasks.cohorts.phantoms.ecg_rhythms import BOUND, CLASSES, write_phantom
from tasks.cohorts.phantoms.recorders import RECORDERS, recorded
from tasks.cohorts.phantoms.rhythm_process import Breathing, draw_rhythm
from tasks.cohorts.phantoms.rhythm_waves import Morphology, evidence
from xai.quality.localisation import area_corrected, relevance_mass

SIGNS = ("ectopic_qrs", "ectopic_p", "f_wave", "retrograde_p", "u_wave", "slur", "r_prime")
QUIET = ("PAC", "AFIB", "SVTA", "SBR", "RBBB")
HALF = 360
TRAINED = 16
"""Subjects that classifiers learn from; the others are unseen."""


@dataclass(frozen=True)
class Record:
    """One record at 360 Hz: signal and evidence ``(time,)``, annotations in points of it, spans of the evidence."""

    signal: np.ndarray
    evidence: np.ndarray
    samples: np.ndarray
    symbols: np.ndarray
    notes: list[str]
    spans: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Two seconds about each beat that a clinical reader would take: signals and evidence (window, 720), and whose."""

    signals: np.ndarray
    evidence: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray
    recorders: np.ndarray

    def of(self, name: str) -> np.ndarray:
        return np.flatnonzero(self.labels == CLASSES.index(name))


def record_at(path: Path) -> Record:
    read, beats, marks = wfdb.rdrecord(str(path)), wfdb.rdann(str(path), "atr"), wfdb.rdann(str(path), "evd")
    assert marks.symbol == ["(", ")"] * (len(marks.symbol) // 2)
    signal, ratio = read.p_signal[:, 0], HALF / read.fs
    if ratio != 1:
        signal = resample_poly(signal, 45, 16, padtype="line")
    spans = np.rint(marks.sample * ratio).astype(int).reshape(-1, 2)
    evidence = np.zeros(len(signal), dtype=bool)
    for first, last in spans:
        evidence[first : last + 1] = True
    notes = [note.strip("\0") for note in beats.aux_note]
    return Record(signal, evidence, np.rint(beats.sample * ratio).astype(int), np.array(beats.symbol), notes, spans)


def labelled_beats(record: Record) -> list[tuple[int, str]]:
    """Rhythms: windows inside an episode. Beats of sinus rhythm: among normal ones only. Blocks: every one."""
    rhythm = record.symbols == "+"
    starts, names = record.samples[rhythm], [note[1:] for note in record.notes if note]
    ends = np.append(starts[1:], len(record.signal))
    found = []
    for sample, symbol in zip(record.samples[~rhythm], record.symbols[~rhythm], strict=True):
        episode = np.searchsorted(starts, sample, side="right") - 1
        inside = starts[episode] <= sample - HALF and sample + HALF <= ends[episode]
        near = (np.abs(record.samples - sample) <= HALF) & (record.samples != sample)
        name = (
            names[episode]
            if names[episode] != "N"
            else {"V": "PVC", "A": "PAC", "L": "LBBB", "R": "RBBB"}.get(symbol, "N")
        )
        alone = name in ("LBBB", "RBBB") or (
            inside and (name in BOUND or name == "AFIB" or set(record.symbols[near]) <= {"N"})
        )
        if alone and HALF <= sample <= len(record.signal) - HALF:
            found.append((int(sample), name))
    return found


def windows_of(folder: Path) -> Windows:
    parts = []
    for path in sorted(folder.glob("*/*.hea"), key=lambda path: path.name):
        record = record_at(path.with_suffix(""))
        beats = labelled_beats(record)
        points = np.array([sample for sample, _ in beats])[:, None] + np.arange(-HALF, HALF)
        labels = np.array([CLASSES.index(name) for _, name in beats])
        subject, recorder = int(path.stem[1:]) - 1, path.parent.name == "rec-b"
        who = np.full(len(beats), subject), np.full(len(beats), recorder)
        parts.append((record.signal[points], record.evidence[points], labels, *who))
    return Windows(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def phantom_of(folder: Path, **asked) -> Windows:
    write_phantom(folder / "records", **asked)
    return windows_of(folder / "records")


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rhythms") / "records"
    write_phantom(folder, minutes=3, seed=1)
    return folder


@pytest.fixture(scope="module")
def windows(records) -> Windows:
    return windows_of(records)


def normalised(signals: np.ndarray) -> torch.Tensor:
    z = (signals - signals.mean(axis=1, keepdims=True)) / signals.std(axis=1, keepdims=True)
    return torch.tensor(z, dtype=torch.float32)[:, None]


# --- what is in the files


def test_records_are_as_two_recorders_write_them(records):
    assert sorted(path.name for path in records.iterdir()) == ["rec-a", "rec-b"]
    for name, rate, lead, kind in (("rec-a/p0001", 360, "MLII", "212"), ("rec-b/p0002", 128, "ECG", "16")):
        header = wfdb.rdheader(str(records / name))
        assert (header.fs, header.sig_name, header.fmt, header.units) == (rate, [lead], [kind], ["mV"])
        assert header.sig_len == 3 * 60 * rate
        age, sex, tape, *_ = header.comments[0].split()
        assert 30 <= int(age) < 90
        assert sex in "FM"
        assert int(tape) == int(name[-1])


def test_annotations_tell_beats_and_rhythms_in_order(records):
    for path in sorted(records.glob("*/*.hea"))[::5]:
        record = record_at(path.with_suffix(""))
        assert (np.diff(record.samples) > 0).all()
        assert set(record.symbols) == {*"NVASLR+"}
        notes = [note for note in record.notes if note]
        assert set(notes) == {"(N", "(AFIB", "(SVTA", "(SBR"}
        assert len(notes) == (record.symbols == "+").sum()
        assert all(one != other for one, other in pairwise(notes))
        assert (record.spans[:, 1] > record.spans[:, 0]).all()
        assert (record.spans[1:, 0] > record.spans[:-1, 1]).all()


def test_every_subject_has_every_class(windows):
    counts = np.zeros((24, len(CLASSES)), dtype=int)
    np.add.at(counts, (windows.subjects, windows.labels), 1)
    assert counts.min() >= 3
    assert np.bincount(windows.subjects[windows.recorders]).nonzero()[0].tolist() == list(range(1, 24, 2))


def intervals(record: Record, rhythm: str) -> np.ndarray:
    """Seconds between the beats of a rhythm's episodes, all together."""
    episode = np.cumsum(record.symbols == "+") - 1
    names = np.array([note for note in record.notes if note])[episode]
    beats = np.flatnonzero((record.symbols != "+") & (names == rhythm))
    together = np.diff(episode[beats]) == 0
    return np.diff(record.samples[beats])[together] / 360


def pauses(record: Record, symbol: str) -> list[float]:
    """From the sinus beat before an ectopic to the one after it, in the periods on either side."""
    beats = record.symbols != "+"
    symbols, samples = "".join(record.symbols[beats]), record.samples[beats]
    places = [i for i in range(2, len(symbols) - 2) if symbols[i - 2 : i + 3] == f"NN{symbol}NN"]
    return [
        2 * (samples[i + 1] - samples[i - 1]) / (samples[i - 1] - samples[i - 2] + samples[i + 2] - samples[i + 1])
        for i in places
    ]


def test_hearts_keep_the_time_of_their_rhythm(records):
    read = [record_at(path.with_suffix("")) for path in records.glob("*/*.hea")]
    svta, sbr, afib = (np.concatenate([intervals(one, name) for one in read]) for name in ("(SVTA", "(SBR", "(AFIB"))
    assert np.percentile(svta, [1, 99]) == pytest.approx([0.4, 0.58], abs=0.03)
    assert sbr.min() > 1.0
    assert afib.std() / afib.mean() > 0.2
    ventricular, atrial = ([pause for one in read for pause in pauses(one, symbol)] for symbol in "VA")
    assert np.median(ventricular) == pytest.approx(2.0, abs=0.08)  # fully compensatory
    assert 1.7 < np.median(atrial) < 1.87


# --- where the evidence is


def test_normal_windows_show_no_evidence_and_all_others_do(windows):
    shown = windows.evidence.sum(axis=1)
    normal = windows.labels == 0
    assert shown[normal].max() == 0
    assert shown[~normal].min() > 18


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    minutes=st.integers(1, 3),
    classes=st.sets(st.sampled_from(CLASSES[1:]), min_size=1),
    shift=st.floats(-0.005, 0.005),
    width=st.floats(0.95, 1.05),
)
def test_in_any_rhythm_evidence_is_apart_inside_and_in_the_windows_of_its_class_alone(
    seed, minutes, classes, shift, width
):
    rhythm = draw_rhythm(np.random.default_rng(seed), Breathing(0.15, 0.25), ("N", *sorted(classes)), 60.0 * minutes)
    spans = evidence(Morphology(1, 1, 1, 1, shift, width, 1, 6), rhythm)
    assert set(rhythm.classes) <= {"N", *classes}
    assert np.diff(rhythm.times).min() > 0.3
    assert (spans[1:, 0] > spans[:-1, 1]).all()
    assert not len(spans) or (spans[0, 0] > 0 and spans[-1, 1] <= 60 * minutes - 0.05)
    starts = np.array([start for start, _ in rhythm.marks])
    ends = np.append(starts[1:], 60 * minutes)
    episodes = np.searchsorted(starts, rhythm.times) - 1
    whole = (starts[episodes] <= rhythm.times - 1) & (rhythm.times + 1 <= ends[episodes])
    for beat, kind in zip(rhythm.times[whole], rhythm.classes[whole], strict=True):
        shown = (np.minimum(spans[:, 1], beat + 1) - np.maximum(spans[:, 0], beat - 1)).clip(0).sum()
        if kind == "N" and set(rhythm.classes[np.abs(rhythm.times - beat) <= 1]) == {"N"}:
            assert shown == 0
        if kind != "N":
            assert shown > 0.05


@pytest.mark.parametrize("name", ["PVC", "PAC", "SVTA", "SBR", "LBBB", "RBBB"])
def test_a_sign_deviates_inside_its_marks_and_nowhere_else(tmp_path, name):
    """The same hearts with and without the sign: every difference lies in the marks."""
    sign = dict(zip(("PVC", "PAC", "AFIB", "SVTA", "SBR", "LBBB", "RBBB"), SIGNS, strict=True))[name]
    with_it = phantom_of(tmp_path / "with", subjects=1, minutes=2)
    without = phantom_of(tmp_path / "without", subjects=1, minutes=2, **{sign: 0})
    rows = with_it.of(name)
    difference = np.abs(with_it.signals - without.signals)[rows]
    inside = with_it.evidence[rows]
    peak = difference.max()
    assert peak > 0.1
    assert difference[~inside].max() < 0.12 * peak
    assert np.where(inside, difference, 0).max(axis=1).min() > 0.4 * peak
    others = np.setdiff1d(np.arange(len(with_it.labels)), rows)
    untouched = others[~np.isin(with_it.labels[others], [0])]
    assert (np.median(np.abs(with_it.signals - without.signals)[untouched], axis=1) < 0.01).all()


def test_fibrillation_is_in_its_marks_at_4_to_9_hertz(tmp_path):
    loud = phantom_of(tmp_path / "with", subjects=1, minutes=3)
    still = phantom_of(tmp_path / "without", subjects=1, minutes=3, f_wave=0)
    rows = loud.of("AFIB")
    waves, inside = (loud.signals - still.signals)[rows], loud.evidence[rows]
    assert np.abs(waves[~inside]).max() < 0.03
    power = (np.abs(np.fft.rfft(waves, axis=1)) ** 2).sum(axis=0)
    rates = np.fft.rfftfreq(2 * HALF, 1 / 360)
    assert 4 <= rates[power.argmax()] <= 9


@pytest.mark.parametrize("name", QUIET)
def test_the_loudest_points_are_not_the_evidence(windows, name):
    rows = windows.of(name)
    mask = torch.tensor(windows.evidence[rows])[:, None]
    loudness = normalised(windows.signals[rows]).abs()
    mass = relevance_mass(loudness, mask)
    assert float(area_corrected(mass, mask.flatten(1).double().mean(dim=1)).mean()) < 0.1


# --- that it can be learnt, and by what


class Network(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool1d(2)]
        for channels, pool in ((1, 2), (width, 2), (width, 2), (width, 1)):
            layers += [nn.Conv1d(channels, width, 9, padding=4), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(pool)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * width, len(CLASSES))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found = self.features(inputs)
        return self.head(torch.cat([found.mean(dim=2), found.amax(dim=2)], dim=1))


def balanced(rng: np.random.Generator, labels: np.ndarray, per_class: int) -> np.ndarray:
    return np.concatenate([rng.choice(np.flatnonzero(labels == label), per_class) for label in np.unique(labels)])


@pytest.fixture(scope="module")
def network(windows) -> Network:
    torch.manual_seed(0)
    rng, model, epochs, per_class = np.random.default_rng(0), Network(), 5, 400
    optimiser = torch.optim.Adam(model.parameters())
    seen = np.flatnonzero(windows.subjects < TRAINED)
    inputs, labels = normalised(windows.signals), torch.tensor(windows.labels)
    steps = epochs * -(-per_class * len(CLASSES) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.tensor(rng.permutation(seen[balanced(rng, windows.labels[seen], per_class)]))
        for batch in order.split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def recalls(model: Network, windows: Windows) -> np.ndarray:
    """Recall of every class on the unseen subjects, (class,)."""
    unseen = np.flatnonzero(windows.subjects >= TRAINED)
    with torch.no_grad():
        found = torch.cat(
            [model(part).argmax(dim=1) for part in normalised(windows.signals[unseen]).split(256)]
        ).numpy()
    labels = windows.labels[unseen]
    return np.array([(found[labels == label] == label).mean() for label in range(len(CLASSES))])


def test_a_network_reads_the_signs_and_finds_normal_hearts_without_them(windows, network, tmp_path):
    assert recalls(network, windows).mean() > 0.93
    without = phantom_of(tmp_path, minutes=3, seed=1, **dict.fromkeys(SIGNS, 0))
    assert without.signals.shape == windows.signals.shape
    left = recalls(network, without)
    assert left[0] > 0.9
    assert left[1:].mean() < 0.2


def test_what_the_network_looks_at_lies_on_the_evidence_more_than_loudness_does(windows, network):
    rng = np.random.default_rng(0)
    unseen = np.flatnonzero((windows.subjects >= TRAINED) & (windows.labels > 0))
    rows = unseen[balanced(rng, windows.labels[unseen], 12)]
    inputs, labels = normalised(windows.signals[rows]), torch.tensor(windows.labels[rows])
    mask = torch.tensor(windows.evidence[rows])[:, None]
    inputs.requires_grad_()
    network(inputs).gather(1, labels[:, None]).sum().backward()
    area = mask.flatten(1).double().mean(dim=1)
    looked, loud = (
        area_corrected(relevance_mass(one, mask), area)
        for one in (inputs.grad * inputs.detach(), inputs.detach().abs())
    )
    assert float((looked - loud).mean()) > 0.15


# --- recorders


@pytest.mark.parametrize("recorder", RECORDERS, ids=lambda recorder: recorder.name)
def test_a_recorder_passes_the_heart_without_delay_and_adds_its_hum(recorder):
    seconds = np.arange(210 * recorder.rate) / recorder.rate
    heart = np.sin(2 * np.pi * 8 * seconds)

    def millivolts(signal: np.ndarray, hum: float) -> np.ndarray:
        steps = recorded(np.random.default_rng(0), recorder, signal, hum)
        return (steps - recorder.baseline) / recorder.gain

    middle = slice(100 * recorder.rate, 110 * recorder.rate)
    assert np.abs(millivolts(heart, 0.0) - heart)[middle].max() < 0.06
    assert np.abs(millivolts(heart * 0 + 1.0, 0.0)[middle]).max() < 0.02
    spectrum = np.abs(np.fft.rfft(millivolts(heart * 0, 0.1)[middle])) / (5 * recorder.rate)
    assert spectrum.argmax() / 10 == recorder.mains
    assert spectrum.max() == pytest.approx(0.1, rel=0.02)
    assert np.ptp(recorded(np.random.default_rng(0), recorder, 1e4 * heart, 0.0)) == 2 * recorder.largest


def spectra(signals: np.ndarray) -> np.ndarray:
    return np.log(
        np.abs(np.fft.rfft(normalised(signals)[:, 0].numpy(), axis=1))[:, 1:].reshape(len(signals), 60, 6).mean(2)
    )


def recorder_accuracy(windows: Windows) -> float:
    seen = windows.subjects < TRAINED
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    features = spectra(windows.signals)
    model.fit(features[seen], windows.recorders[seen])
    return float(model.score(features[~seen], windows.recorders[~seen]))


def test_spectra_tell_the_recorder(windows):
    assert recorder_accuracy(windows) > 0.97


def shared_information(windows: Windows) -> float:
    """Bits that the recorder tells of the class, each class counted once for every subject who has it."""
    has = np.zeros((windows.subjects.max() + 1, len(CLASSES)), dtype=bool)
    has[windows.subjects, windows.labels] = True
    joint = np.stack([has[::2].sum(axis=0), has[1::2].sum(axis=0)]) / has.sum()
    expected = joint.sum(axis=0) * joint.sum(axis=1, keepdims=True)
    return float(np.sum(joint[joint > 0] * np.log2(joint[joint > 0] / expected[joint > 0])))


def test_knowing_the_recorder_helps_to_guess_the_class_by_the_confounding(tmp_path):
    even, mixed, bound = (
        phantom_of(tmp_path / str(part), subjects=30, minutes=1, confounding=part) for part in (0.0, 0.5, 1.0)
    )
    assert shared_information(even) < 0.01
    assert 0.015 < shared_information(mixed) < 0.2
    assert shared_information(bound) > 0.3
    for name, recorder in BOUND.items():
        assert set(bound.recorders[bound.of(name)]) == {recorder == "rec-b"}
        assert set(mixed.recorders[mixed.of(name)]) == {False, True}


# --- settings


def test_fewer_classes_by_subject(tmp_path):
    windows = phantom_of(tmp_path, subjects=12, minutes=2, classes_per_subject=3)
    brought = [set(windows.labels[windows.subjects == subject].tolist()) for subject in range(12)]
    assert all(0 in classes and len(classes) == 3 for classes in brought)
    assert set().union(*brought) == set(range(8))


@pytest.mark.parametrize(("age_effect", "sex_effect"), [(0.1, 0.0), (-0.1, 0.4)])
def test_planted_effects_on_the_p_wave_have_the_stated_size(tmp_path, age_effect, sex_effect):
    planted = {"age_effect": age_effect, "sex_effect": sex_effect}
    asked = {"subjects": 50, "minutes": 1, "spread": 0.0}
    quiet = {"noise": 0.0, "wander": 0.0, "hum": 0.0}
    write_phantom(tmp_path / "p", **asked, **planted, **quiet)
    write_phantom(tmp_path / "none", **asked, **planted, **quiet, ectopic_p=0.0)
    heights, design = [], []
    for path in sorted((tmp_path / "p").glob("*/*.hea")):
        stem = path.relative_to(tmp_path / "p").with_suffix("")
        with_it, without = (wfdb.rdrecord(str(tmp_path / kind / stem)).p_signal[:, 0] for kind in ("p", "none"))
        age, sex, *_ = wfdb.rdheader(str(path.with_suffix(""))).comments[0].split()
        heights.append((without - with_it).max())
        design.append([1, (int(age) - 60) / 10, 0.5 if sex == "M" else -0.5, path.parent.name == "rec-b"])
    there = np.array(heights) > 0.01
    level, age, sex, _ = np.linalg.lstsq(np.array(design)[there], np.array(heights)[there], rcond=None)[0]
    assert there.sum() > 40
    assert age / level == pytest.approx(age_effect, abs=0.04)
    assert sex / level == pytest.approx(sex_effect, abs=0.1)


def test_subject_i_is_the_same_whatever_their_number_and_differs_by_seed(tmp_path):
    for name, subjects, seed in (("few", 2, 0), ("many", 4, 0), ("other", 2, 1)):
        write_phantom(tmp_path / name, subjects=subjects, seed=seed, minutes=1)
    for suffix in ("dat", "hea", "atr", "evd"):
        file = f"rec-b/p0002.{suffix}"
        assert (tmp_path / "few" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()
    assert (tmp_path / "few/rec-b/p0002.dat").read_bytes() != (tmp_path / "other/rec-b/p0002.dat").read_bytes()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"colour": 1}, "no setting 'colour'; expected one of minutes, "),
        ({"minutes": 0}, "minutes is 0; expected a whole number from 1 to 1440"),
        ({"confounding": "half"}, "confounding is 'half'; expected a number from 0 to 1"),
        ({"classes_per_subject": 9}, "classes_per_subject is 9; expected a whole number from 2 to 8"),
        ({"subjects": 0}, "subjects is 0; expected 1 to 10000"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_leaves_nothing(tmp_path, asked, message):
    with pytest.raises(ValueError, match=message):
        write_phantom(tmp_path / "p", **asked)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="expected a new or empty one"):
        write_phantom(tmp_path, subjects=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
