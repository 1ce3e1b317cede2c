"""The DREAMS spindles: windows, labels and both experts' marks, in the real excerpts and in generated ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from naming import named

from tasks.cohorts.dreams_spindles import read_spindles
from tasks.cohorts.phantoms.sleep_spindles import write_phantom
from tasks.cohorts.spindle_marks import AMBIGUOUS, NONE, SPINDLE, label_windows, spans_in
from tasks.cohorts.store import Cohort, CohortError

read_spindles = named(read_spindles)
KEY = b"0123456789abcdef"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "excerpts"
    write_phantom(folder, subjects=3, seed=5, minutes=2)
    return folder


@pytest.fixture
def excerpts(phantom, tmp_path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "excerpts"))


def read(folder: Path) -> Cohort:
    return read_spindles(folder, key=KEY, out=folder.parent / "cohort")


def spans(path: Path) -> list[tuple[float, float]]:
    """Onset and end in seconds, read by hand."""
    lines = path.read_text().splitlines()[1:]
    return [(float(a), float(a) + float(b)) for a, b in map(str.split, filter(str.strip, lines))]


def overlap(marks: list[tuple[float, float]], start: float) -> float:
    """Seconds of a window of 3 s that an expert marked; marks of one expert do not overlap."""
    return sum(max(0.0, min(stop, start + 3) - max(onset, start)) for onset, stop in marks)


def reason(cohort: Cohort, recording: str = "excerpt1") -> str:
    found = cohort.quarantine.set_index("recording")["reason"]
    assert list(found.index) == [recording]
    text = str(found[recording])
    assert text.endswith(".")
    assert str(cohort.path.parent) not in text
    assert set(cohort.samples["recording"]) == {"excerpt2", "excerpt3"}
    return text


# --- labels and marks


@given(hnp.arrays(bool, (2, 4, 30)))
def test_labels_follow_the_rule_of_the_docstring(masks):
    for window, label in enumerate(label_windows(list(masks), rate=10)):
        most = max(sum(mask[window]) for mask in masks)
        assert label == (SPINDLE if most >= 5 else NONE if most == 0 else AMBIGUOUS)


@given(hnp.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 40))))
def test_spans_rebuild_the_mask(mask):
    rebuilt = np.zeros_like(mask)
    for row, text in zip(rebuilt, spans_in(mask), strict=True):
        edges = list(map(int, text.split()))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            assert start < stop
            row[start:stop] = True
    np.testing.assert_array_equal(rebuilt, mask)


# --- what is cut


def test_the_real_excerpts_give_the_windows_that_their_marks_say(real_data, tmp_path):
    folder = real_data("dreams-spindles")
    cohort = read_spindles(folder, key=KEY, out=tmp_path / "c")
    assert cohort.quarantine.empty
    assert len(cohort.subjects) == 6
    assert (len(cohort), cohort.manifest["dropped"]["ambiguous"]) == (3471, 129)
    derivations = cohort.samples.groupby("recording")["derivation"].first().tolist()
    assert derivations == ["C3-A1", "CZ-A1", "C3-A1", "CZ-A1", "CZ-A1", "CZ-A1"]
    for recording, rows in cohort.samples.groupby("recording"):
        first, second = (spans(folder / f"Visual_scoring{expert}_{recording}.txt") for expert in (1, 2))
        for row in rows.itertuples():
            most = max(overlap(first, row.start_second), overlap(second, row.start_second))
            assert most > 0.48 if row.label == SPINDLE else most < 0.01


def test_sigma_power_tells_the_real_spindles_from_the_rest(real_data, tmp_path):
    cohort = read_spindles(real_data("dreams-spindles"), key=KEY, out=tmp_path / "c")
    power = np.abs(np.fft.rfft(cohort.signals(slice(None))[:, 0])) ** 2
    frequency = np.fft.rfftfreq(300, 0.01)
    sigma = power[:, (frequency > 11) & (frequency < 16)].mean(axis=1)
    labels = cohort.samples["label"].to_numpy()
    above = (sigma[labels == SPINDLE][:, None] > sigma[labels == NONE]).mean()
    assert above > 0.85  # the area under the ROC curve; a shift of a window or a wrong rate ruins it


def test_text_and_edf_of_the_third_excerpt_are_one_signal(real_data, tmp_path):
    folder = real_data("dreams-spindles")
    for suffix in ("edf", "txt"):
        (tmp_path / suffix).mkdir()
        for name in (
            f"excerpt3.{suffix}",
            "Hypnogram_excerpt3.txt",
            *(f"Visual_scoring{e}_excerpt3.txt" for e in "12"),
        ):
            shutil.copy(folder / name, tmp_path / suffix)
    edf, text = (read_spindles(tmp_path / suffix, key=KEY, out=tmp_path / f"c{suffix}") for suffix in ("edf", "txt"))
    np.testing.assert_array_equal(edf.samples["onset"], text.samples["onset"])
    np.testing.assert_allclose(edf.signals(slice(None)), text.signals(slice(None)), atol=1e-3)


def test_windows_are_the_files_samples_standardised_over_those_kept(phantom, tmp_path):
    cohort = read_spindles(phantom, key=KEY, out=tmp_path / "c")
    rows = cohort.samples[cohort.samples["recording"] == "excerpt1"]
    (signal,) = edfio.read_edf(phantom / "excerpt1.edf").signals  # at 100 Hz
    windows = np.stack([signal.data[start : start + 300] for start in rows["onset"]])
    expected = (windows - windows.mean()) / windows.std()
    np.testing.assert_allclose(cohort.signals(rows.index.to_numpy())[:, 0], expected, atol=1e-5)


def test_evidence_is_what_both_experts_marked(phantom, tmp_path):
    cohort = read_spindles(phantom, key=KEY, out=tmp_path / "c")
    samples = cohort.samples
    for row in samples.itertuples():
        marked = np.zeros((2, 300), dtype=bool)
        for mask, text in zip(marked, (row.marks_expert1, row.marks_expert2), strict=True):
            edges = list(map(int, text.split()))
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                mask[start:stop] = True
        both = marked.all(axis=0)
        assert row.evidence_known == (row.label == NONE or both.any())
        np.testing.assert_array_equal(cohort.evidence([row.Index])[0, 0], both if row.evidence_known else False)
    assert 0 < samples.loc[samples["label"] == SPINDLE, "evidence_known"].mean() < 1


def test_the_marks_lie_on_the_true_spindles(phantom, tmp_path):
    cohort = read_spindles(phantom, key=KEY, out=tmp_path / "c")
    for recording, rows in cohort.samples.groupby("recording"):
        true = spans(phantom / f"True_spindles_{recording}.txt")
        agreed = cohort.evidence(rows.index.to_numpy())[:, 0]
        seconds = rows["start_second"].to_numpy()[:, None] + np.arange(300) / 100
        inside = np.any([(seconds >= onset - 0.07) & (seconds < stop + 0.07) for onset, stop in true], axis=0)
        assert agreed.any()
        assert inside[agreed].mean() > 0.95


def test_one_expert_is_the_agreement_of_one(excerpts):
    for path in excerpts.glob("Visual_scoring2_*"):
        path.unlink()
    cohort = read(excerpts)
    spindles = cohort.samples[cohort.samples["label"] == SPINDLE]
    assert (spindles["experts"] == 1).all()
    assert spindles["evidence_known"].all()
    assert spindles["marks_expert2"].isna().all()
    assert cohort.evidence(spindles.index.to_numpy()).any(axis=(1, 2)).all()


# --- what is refused; the others go on


def test_an_excerpt_without_marks_is_quarantined(excerpts):
    for expert in (1, 2):
        (excerpts / f"Visual_scoring{expert}_excerpt1.txt").unlink()
    names = "….txt or ….txt"
    assert reason(read(excerpts)) == f"the excerpt has no marks; expected {names}."


@pytest.mark.parametrize("line", ["12.0", "a b", "1 2 3", "nan 1", "-1 1"])
def test_a_broken_mark_is_quarantined(excerpts, line):
    path = excerpts / "Visual_scoring1_excerpt1.txt"
    path.write_text(f"[vis1_Spindles/C3-A1]\n{line}\n")
    assert reason(read(excerpts)) == "….txt has a line that is not an onset and a duration in seconds."


def test_experts_of_two_derivations_are_quarantined(excerpts):
    (excerpts / "Visual_scoring1_excerpt1.txt").write_text("[vis1_Spindles/CZ-A1]\n1 1\n")
    expected = "the experts marked different derivations, C3-A1 and CZ-A1; expected one."
    assert reason(read(excerpts)) == expected


def test_a_derivation_that_the_file_lacks_is_quarantined(excerpts):
    for expert in (1, 2):
        (excerpts / f"Visual_scoring{expert}_excerpt1.txt").write_text(f"[vis{expert}_Spindles/O1-A1]\n1 1\n")
    assert reason(read(excerpts)) == "the recording has no channel O1-A1, only C3-A1."


def test_text_of_no_known_rate_is_quarantined(excerpts):
    (excerpts / "excerpt1.edf").unlink()
    values = np.random.default_rng(0).normal(size=120 * 128)
    (excerpts / "excerpt1.txt").write_text("[C3-A1]\n" + "\n".join(map(str, values)) + "\n")
    expected = "….txt has 15360 values for 120 s of hypnogram; expected 50, 100 or 200 a second."
    assert reason(read(excerpts)) == expected


@pytest.mark.parametrize("line", ["nan", "inf", "hello"])
def test_text_that_is_no_number_is_quarantined(excerpts, line):
    (excerpts / "excerpt1.edf").unlink()
    (excerpts / "excerpt1.txt").write_text(f"[C3-A1]\n1.5\n{line}\n")
    assert reason(read(excerpts)).startswith("….txt ")


def test_a_folder_without_excerpts_is_an_error(tmp_path):
    with pytest.raises(CohortError, match=r"holds no excerpt; expected files excerptN\.edf or excerptN\.txt\."):
        read(tmp_path)


def test_the_same_seed_writes_the_same_excerpts_and_a_subject_keeps_its_own(phantom, tmp_path):
    write_phantom(tmp_path / "again", subjects=2, seed=5, minutes=2)
    for path in sorted((tmp_path / "again").glob("*excerpt*")):
        assert path.read_bytes() == (phantom / path.name).read_bytes()
