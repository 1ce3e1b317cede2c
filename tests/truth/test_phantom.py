"""The ECG phantom keeps its word: where classes differ, and how large a planted effect is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from naming import named

from tasks.cohorts.phantoms.ecg_beats import HALF_WINDOW, SYMBOLS, write_phantom
from tasks.cohorts.store import Cohort
from tasks.cohorts.wfdb_beats import read_beats

read_beats = named(read_beats)
KEY = b"0123456789abcdef"
MS = (np.arange(-HALF_WINDOW, HALF_WINDOW)) * 1000 / 360
SHAPES = {"RBBB": (85, 155), "PVC": (-215, -125), "LBBB": (30, 90), "paced": (-85, -40)}


def cohort_of(folder: Path, **given) -> Cohort:
    write_phantom(folder / "records", **given)
    return read_beats(folder / "records", key=KEY, out=folder / "cohort")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Cohort:
    return cohort_of(tmp_path_factory.mktemp("phantom"), subjects=24, seed=1)


def beats(cohort: Cohort, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Signals and evidence (beat, time) of one class, against the line at the window's ends."""
    rows = np.flatnonzero(cohort.samples["label_name"] == name)
    signals = cohort.signals(rows)[:, 0]
    line = signals[:, np.abs(MS) > 285].mean(axis=1, keepdims=True)
    return signals - line, cohort.evidence(rows)[:, 0]


def test_every_subject_has_every_class_and_nothing_is_lost(phantom):
    counts = phantom.samples.groupby(["subject", "label"]).size()
    assert counts.to_dict() == {(s, k): 30 for s in range(24) for k in range(len(SYMBOLS))}
    assert phantom.quarantine.empty
    assert set(phantom.manifest["dropped"].values()) == {0}
    assert phantom.subjects["age"].between(30, 89).all()
    assert set(phantom.subjects["sex"]) == {"F", "M"}


@pytest.mark.parametrize("name", SHAPES)
def test_evidence_is_one_interval_in_its_place(phantom, name):
    _, evidence = beats(phantom, name)
    edges = np.abs(np.diff(evidence.astype(int), axis=1)).sum(axis=1)
    assert (edges == 2).all()
    low, high = SHAPES[name]
    for mask in evidence[::60]:
        assert MS[mask][0] == pytest.approx(low, abs=15)
        assert MS[mask][-1] == pytest.approx(high, abs=15)


@pytest.mark.parametrize("name", SHAPES)
def test_classes_differ_from_normal_in_the_evidence_and_nowhere_else(phantom, name):
    """t of the difference of means at every point: large inside, chance outside."""
    signals, evidence = beats(phantom, name)
    normal, _ = beats(phantom, "normal")
    spread = np.sqrt(signals.var(axis=0) / len(signals) + normal.var(axis=0) / len(normal))
    difference = np.abs(signals.mean(axis=0) - normal.mean(axis=0)) / spread
    always, ever = evidence.all(axis=0), evidence.any(axis=0)
    far = ~np.convolve(ever, np.ones(9), mode="same").astype(bool)
    assert difference[always].max() > 20
    assert difference[far].max() < 5


@pytest.mark.parametrize("name", SHAPES)
def test_the_loudest_points_are_not_the_evidence(phantom, name):
    """What the amplitude control does: as many points as there is evidence, the loudest first."""
    signals, evidence = beats(phantom, name)
    hits = []
    for signal, mask in zip(np.abs(signals), evidence, strict=True):
        loudest = np.argsort(signal)[::-1][: mask.sum()]
        area = mask.mean()
        hits.append((mask[loudest].mean() - area) / (1 - area))
    assert np.mean(hits) < 0.3
    if name in ("RBBB", "PVC"):
        quieter = np.where(evidence, np.abs(signals), 0).max(axis=1) < np.abs(signals).max(axis=1)
        assert quieter.mean() > 0.9


def test_no_wave_of_a_neighbour_enters_a_window(tmp_path):
    """Without noise the window begins and ends at rest."""
    cohort = cohort_of(tmp_path, subjects=6, seed=2, noise=0.0, wander=0.0)
    signals = cohort.signals(slice(None))[:, 0]
    edges = np.concatenate([signals[:, :3], signals[:, -3:]], axis=1)
    assert np.abs(edges).max() < 0.02


def test_subject_i_is_the_same_whatever_their_number_and_differs_by_seed(tmp_path):
    for name, subjects, seed in (("few", 2, 0), ("many", 4, 0), ("other", 2, 1)):
        write_phantom(tmp_path / name, subjects=subjects, seed=seed, beats_per_class=2)
    for file in ("p0002.dat", "p0002.hea", "p0002.atr", "p0002.evd"):
        assert (tmp_path / "few" / file).read_bytes() == (tmp_path / "many" / file).read_bytes()
    assert (tmp_path / "few" / "p0002.dat").read_bytes() != (tmp_path / "other" / "p0002.dat").read_bytes()


def p_heights(cohort: Cohort) -> np.ndarray:
    """Mean height (mV) of the inverted P wave of each subject's V beats, against the line before it."""
    rows = cohort.samples[cohort.samples["label_name"] == "PVC"]
    signals = cohort.signals(rows.index.to_numpy())[:, 0]
    peak = signals[:, np.abs(MS + 170) < 8].mean(axis=1)
    line = signals[:, MS < -260].mean(axis=1)
    return pd.Series(line - peak).groupby(rows["subject"].to_numpy()).mean().to_numpy()


@pytest.mark.parametrize(("age_effect", "sex_effect"), [(0.0, 0.0), (0.1, 0.0), (-0.1, 0.4)])
def test_planted_demographic_effects_have_the_stated_size(tmp_path, age_effect, sex_effect):
    cohort = cohort_of(
        tmp_path,
        subjects=80,
        seed=5,
        beats_per_class=4,
        spread=0.02,
        wander=0.0,
        age_effect=age_effect,
        sex_effect=sex_effect,
    )
    decades = (cohort.subjects["age"].to_numpy() - 60) / 10
    men = np.where(cohort.subjects["sex"] == "M", 0.5, -0.5)
    design = np.stack([np.ones(80), decades, men], axis=1)
    level, age, sex = np.linalg.lstsq(design, p_heights(cohort), rcond=None)[0]
    assert level == pytest.approx(0.2, rel=0.05)
    assert age / level == pytest.approx(age_effect, abs=0.01)
    assert sex / level == pytest.approx(sex_effect, abs=0.03)


def test_settings_may_come_as_text(tmp_path):
    write_phantom(tmp_path / "a", subjects=1, beats_per_class="2", noise="0.01")
    write_phantom(tmp_path / "b", subjects=1, beats_per_class=2, noise=0.01)
    assert (tmp_path / "a" / "p0001.dat").read_bytes() == (tmp_path / "b" / "p0001.dat").read_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"colour": 1}, "no setting 'colour'; expected one of beats_per_class, "),
        ({"noise": "loud"}, "noise is 'loud'; expected a number from 0 to 0.5"),
        ({"noise": "nan"}, "noise is 'nan'"),
        ({"age_effect": 3}, "age_effect is 3; expected a number from -0.2 to 0.2"),
        ({"beats_per_class": "1.5"}, "beats_per_class is '1.5'; expected a whole number"),
        ({"beats_per_class": 0}, "beats_per_class is 0"),
        ({"subjects": 0}, "subjects is 0; expected 1 to 10000"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_leaves_nothing(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        write_phantom(tmp_path / "p", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="expected a new or empty one"):
        write_phantom(tmp_path, subjects=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
