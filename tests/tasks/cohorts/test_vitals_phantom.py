"""The bedside phantoms keep their word: where classes differ, that loudness does not tell, that it can be learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb
from naming import named

from models.lstm import LSTMClassifier
from tasks.cohorts.phantoms.vitals import write_icu_phantom, write_nicu_phantom
from tasks.cohorts.store import Cohort
from tasks.cohorts.wfdb_vitals import read_vitals
from tasks.training.splits import subject_folds

read_vitals = named(read_vitals)
KEY = b"0123456789abcdef"
ROLES = {"icu": ("ECG", "ABP", "ICP"), "nicu": ("ECG", "ABP", "PLETH")}


def cohort_of(kind: str, folder: Path, **given) -> Cohort:
    if kind == "icu":
        write_icu_phantom(folder / "records", **given)
        cut = {"window": 100, "rate": 50.0}
    else:
        write_nicu_phantom(folder / "records", **given)
        cut = {"window": 216, "rate": 125.0}
    return read_vitals(folder / "records", role_sets=[ROLES[kind]], key=KEY, out=folder / "cohort", **cut)


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory) -> dict[str, Cohort]:
    return {kind: cohort_of(kind, tmp_path_factory.mktemp(kind), seed=1) for kind in ROLES}


def normalised(cohort: Cohort) -> np.ndarray:
    signals = cohort.signals(slice(None))
    return (signals - signals.mean(axis=2, keepdims=True)) / signals.std(axis=2, keepdims=True)


# --- what is in the files


def test_icu_is_the_pressure_task_and_every_patient_has_both_classes(cohorts):
    cohort = cohorts["icu"]
    assert cohort.manifest["parameters"]["task"] == "icp-above-20"
    assert (cohort.channels, cohort.units) == (ROLES["icu"], ("mV", "mmHg", "mmHg"))
    assert cohort.quarantine.empty
    counts = cohort.samples.groupby(["subject", "label"]).size().unstack()
    assert counts.shape == (12, 2)
    assert counts.min().min() > 10
    assert cohort.subjects["age"].between(20, 84).all()
    assert set(cohort.subjects["sex"]) == {"F", "M"}


def test_nicu_is_which_of_three_patients_by_block(cohorts):
    cohort = cohorts["nicu"]
    assert cohort.manifest["parameters"]["task"] == "which-patient"
    assert (cohort.channels, cohort.units) == (ROLES["nicu"], ("mV", "mmHg", "NU"))
    assert cohort.quarantine.empty
    assert cohort.subject_kind == "block"
    assert cohort.samples.groupby("label")["subject"].nunique().tolist() == [30, 30, 30]
    assert cohort.samples.groupby("label")["recording"].nunique().tolist() == [2, 1, 1]


@pytest.mark.parametrize("kind", ROLES)
def test_files_have_several_rates_damage_and_segments(cohorts, kind):
    cohort = cohorts[kind]
    folder = cohort.path.parent / "records"
    damaged = wfdb.rdrecord(str(folder / f"{kind[0]}0002"), smooth_frames=False)
    assert (damaged.fs, damaged.samps_per_frame) == (125, [2, 1, 1])
    assert [int(np.isnan(signal).sum()) for signal in damaged.e_p_signal] == [0, 6 * 125, 5]
    assert (folder / f"{kind[0]}0003.hea").read_text().startswith(f"{kind[0]}0003/3 3 125 ")
    for reason in ("missing values", "flat stretch", "saturated stretch"):
        assert cohort.manifest["dropped"][reason] > 0
    assert cohort.samples["evidence_known"].all()


def test_a_newborns_heart_beats_about_140_times_a_minute(cohorts):
    folder = cohorts["nicu"].path.parent / "records"
    marks = wfdb.rdann(str(folder / "n0002"), "evd").sample.reshape(-1, 2)[:, 0]
    assert 120 < 60 / np.median(np.diff(marks) / 125) < 160


# --- where the classes differ


def around_evidence(signal: np.ndarray, mask: np.ndarray, reach: int) -> np.ndarray:
    """Pieces (beat, time) of one channel about the middle of each stretch of evidence that is whole."""
    edges = np.flatnonzero(np.diff(mask.astype(int)))
    middles = (edges[:-1:2] + edges[1::2] + 1) // 2 if not mask[0] else (edges[1:-1:2] + edges[2::2] + 1) // 2
    return np.array([signal[m - reach : m + reach + 1] for m in middles if reach <= m < len(signal) - reach])


@pytest.mark.parametrize("channel", range(3))
def test_icu_classes_differ_in_p2_and_nowhere_else(cohorts, channel):
    """Paired over patients: high minus low, in every channel about P2, the mean of the piece's rest taken off."""
    cohort = cohorts["icu"]
    signals, evidence = cohort.signals(slice(None))[:, channel], cohort.evidence(slice(None))[:, 2]
    lags = np.arange(-14, 15)
    differences = []
    for patient in range(12):
        means = []
        for label in (1, 0):
            rows = np.flatnonzero((cohort.samples["subject"] == patient) & (cohort.samples["label"] == label))
            pieces = [around_evidence(signals[row], evidence[row], 14) for row in rows]
            pieces = np.concatenate([piece for piece in pieces if len(piece)])
            rest = pieces[:, np.abs(lags) > 7].mean(axis=1, keepdims=True)
            means.append((pieces - rest).mean(axis=0))
        differences.append(means[0] - means[1])
    differences = np.array(differences)
    t = differences.mean(axis=0) / (differences.std(axis=0, ddof=1) / np.sqrt(12))
    assert np.abs(t[np.abs(lags) > 7]).max() < 5
    if channel == 2:
        assert t[np.abs(lags) <= 2].min() > 8
    else:
        assert np.abs(t).max() < 5


def test_icu_evidence_is_in_icp_alone(cohorts):
    evidence = cohorts["icu"].evidence(slice(None))
    assert not evidence[:, :2].any()
    assert evidence[:, 2].any(axis=1).all()
    assert 0.1 < evidence[:, 2].mean() < 0.3


def test_p2_stands_above_p1_when_pressure_will_be_high(tmp_path):
    cohort = cohort_of("icu", tmp_path, subjects=4, noise=0, bumps=0, p_spread=0)
    signals, evidence = cohort.signals(slice(None))[:, 2], cohort.evidence(slice(None))[:, 2]
    ratios: dict[int, list[float]] = {0: [], 1: []}
    for row, label in enumerate(cohort.samples["label"]):
        for piece in around_evidence(signals[row], evidence[row], 9):
            ratios[label].append(piece[7:12].max() - piece[1:5].max())
    assert np.mean(np.array(ratios[1]) > 0) > 0.8
    assert np.mean(np.array(ratios[0]) < 0) > 0.95


def test_nicu_evidence_is_the_notch_the_dip_or_nothing(cohorts):
    cohort = cohorts["nicu"]
    evidence, label = cohort.evidence(slice(None)), cohort.samples["label"].to_numpy()
    present = np.stack([evidence[label == k].any(axis=(0, 2)) for k in range(3)])
    assert present.tolist() == [[False, False, False], [False, True, False], [False, False, True]]
    assert evidence[label == 1, 1].any(axis=1).all()
    assert evidence[label == 2, 2].any(axis=1).all()


def test_newborns_differ_in_nothing_but_the_feature(tmp_path):
    """Without notch and dip neither rate nor size nor roughness nor level of a window tells the patients apart."""
    cohort = cohort_of("nicu", tmp_path, seed=3, notch=0, dip=0)
    signals = cohort.signals(slice(None))
    frequencies = np.fft.rfftfreq(4096, 1 / 125)
    spectrum = np.abs(np.fft.rfft(normalised(cohort)[:, 2], 4096)) * ((frequencies > 1.7) & (frequencies < 3.2))
    rate = frequencies[spectrum.argmax(axis=1)][:, None]
    steps = np.abs(np.diff(signals, axis=2)).mean(axis=2)
    summaries = np.concatenate([rate, signals.std(axis=2), steps, signals.mean(axis=2)], axis=1)
    label = cohort.samples["label"].to_numpy()
    means = np.stack([np.median(summaries[label == k], axis=0) for k in range(3)])
    spread = np.mean([summaries[label == k].std(axis=0) for k in range(3)], axis=0)
    assert (np.ptp(means, axis=0) / spread).max() < 0.5


@pytest.mark.parametrize(("kind", "label"), [("icu", 0), ("icu", 1), ("nicu", 1), ("nicu", 2)])
def test_the_loudest_points_are_not_the_evidence(cohorts, kind, label):
    """What the amplitude control does: as many points as there is evidence, the loudest first, area-corrected."""
    cohort = cohorts[kind]
    rows = np.flatnonzero(cohort.samples["label"] == label)
    loud = np.abs(normalised(cohort)[rows]).reshape(len(rows), -1)
    evidence = cohort.evidence(rows).reshape(len(rows), -1)
    hits = []
    for values, mask in zip(loud, evidence, strict=True):
        area = mask.mean()
        hits.append((mask[np.argsort(values)[::-1][: mask.sum()]].mean() - area) / (1 - area))
    assert np.mean(hits) < 0.12


# --- whether it can be learnt


def balanced_accuracy(cohort: Cohort, epochs: int, step: float) -> float:
    """Of a small LSTM on units that it has not seen."""
    torch.manual_seed(0)
    split = subject_folds(cohort.samples, 3, 0)[0]
    inputs = torch.tensor(normalised(cohort))
    targets = torch.tensor(cohort.samples["label"].to_numpy())
    network = LSTMClassifier(3, len(cohort.classes), (24,), dropout=0.0)
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=step)
    for _ in range(epochs):
        for batch in torch.tensor(split.train)[torch.randperm(len(split.train))].split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
    with torch.no_grad():
        right = (network(inputs[split.test]).argmax(dim=1) == targets[split.test]).double()
    truth = targets[split.test]
    return float(torch.stack([right[truth == k].mean() for k in range(len(cohort.classes))]).mean())


@pytest.mark.parametrize(("kind", "epochs", "step"), [("icu", 12, 5e-3), ("nicu", 20, 1e-2)])
def test_a_small_network_learns_it_in_seconds(cohorts, kind, epochs, step):
    assert balanced_accuracy(cohorts[kind], epochs, step) > 0.85


# --- settings and folders


def test_patient_i_is_the_same_whatever_their_number_and_differs_by_seed(tmp_path):
    for name, subjects, seed in (("few", 2, 0), ("many", 3, 0), ("other", 2, 1)):
        write_icu_phantom(tmp_path / name, subjects=subjects, seed=seed, seconds=60)
    for file in ("i0002.dat", "i0002.hea", "i0002.evd"):
        assert (tmp_path / "few" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()
    assert (tmp_path / "few" / "i0002.dat").read_bytes() != (tmp_path / "other" / "i0002.dat").read_bytes()


@pytest.mark.parametrize("write", [write_icu_phantom, write_nicu_phantom])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"colour": 1}, "no setting 'colour'; expected one of seconds, "),
        ({"noise": "loud"}, "noise is 'loud'; expected a number from 0 to 1"),
        ({"seconds": "90.5"}, "seconds is '90.5'; expected a whole number"),
        ({"subjects": 0}, "subjects is 0; expected "),
    ],
)
def test_a_bad_setting_is_one_sentence_and_leaves_nothing(tmp_path, write, given, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "p", **given)
    assert list(tmp_path.iterdir()) == []


def test_there_are_at_most_three_newborns(tmp_path):
    with pytest.raises(ValueError, match="subjects is 4; expected 2 or 3"):
        write_nicu_phantom(tmp_path / "p", subjects=4)


@pytest.mark.parametrize("write", [write_icu_phantom, write_nicu_phantom])
def test_a_folder_in_use_is_left_alone(tmp_path, write):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="expected a new or empty one"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
