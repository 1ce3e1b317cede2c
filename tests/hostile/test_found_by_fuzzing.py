"""What the fuzz run has found in the readers, each in a small test of its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tasks.cohorts.errors import CohortError, UnusableRecording, concealed, plain, private
from tasks.cohorts.idx_files import find
from tasks.cohorts.isles import read_isles
from tasks.cohorts.recording import read_recording
from tasks.cohorts.resampling import MOST_POINTS, resampled
from tasks.cohorts.sleep_table import night_of
from tasks.cohorts.spindle_marks import read_expert_marks
from tasks.cohorts.subject_facts import Subject, read_subject_table
from tasks.cohorts.wfdb_files import inside, record_names
from tasks.cohorts.wfdb_segments import open_record, read_whole

KEY = b"0123456789abcdef"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.hea").symlink_to(tmp_path / "a.hea")
    with pytest.raises(UnusableRecording, match=r"a\.hea cannot be looked up\."):
        inside(tmp_path, "a.hea")


def test_a_name_longer_than_names_may_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableRecording, match="cannot be looked up"):
        inside(tmp_path, "9" * 300)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "subjects.csv")
    with pytest.raises(CohortError, match="is a device or a pipe; expected a file"):
        read_subject_table(tmp_path)


def test_a_table_of_subjects_is_no_folder_and_not_endless(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").mkdir()
    with pytest.raises(CohortError, match="is no file or larger than 16 MiB"):
        read_subject_table(tmp_path)
    (tmp_path / "RECORDS").write_bytes(b"a\n" * (1 << 20))
    with pytest.raises(CohortError, match="RECORDS is larger than 1 MiB"):
        record_names(tmp_path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("recording,Age,age\na,1,2\n")
    with pytest.raises(CohortError, match="two columns of one name"):
        read_subject_table(tmp_path)


@pytest.mark.parametrize("mark", ["0.5 1e308", "99999999999 1"])
def test_a_mark_that_never_comes_is_refused(tmp_path: Path, mark: str) -> None:
    (tmp_path / "marks.txt").write_text(f"[vis1_Spindles/C3-A1]\n{mark}\n")
    with pytest.raises(UnusableRecording, match="has a mark later than 604800 s"):
        read_expert_marks(tmp_path / "marks.txt")


def test_a_gap_without_bytes_cannot_ask_for_memory(tmp_path: Path) -> None:
    """A gap costs nothing in the file; with many values in a frame it promised 16 GiB."""
    (tmp_path / "a.hea").write_text("a/2 1 125 134217728\np 1\n~ 134217727\n")
    (tmp_path / "p.hea").write_text("p 1 125 1\np.dat 16x40 200/mV 16 0 0 0 0 ABP\n")
    (tmp_path / "p.dat").write_bytes(bytes(80))
    record = open_record(tmp_path, "a")
    with pytest.raises(UnusableRecording, match="expected"):
        read_whole(tmp_path, record, 0)


def test_a_layout_without_signals_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_text("a/2 1 125 40\nempty 0\np 40\n")
    (tmp_path / "empty.hea").write_text("empty 0 125 0\n")
    (tmp_path / "p.hea").write_text("p 1 125 40\np.dat 16 200/mV 16 0 0 0 0 ABP\n")
    (tmp_path / "p.dat").write_bytes(bytes(80))
    assert open_record(tmp_path, "a").signals == ()


def test_a_link_in_a_circle_is_no_idx_file(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").symlink_to(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(UnusableRecording, match="is a link in a circle"):
        find(tmp_path, "train-images-idx3-ubyte")


def test_a_night_that_no_study_has_is_refused() -> None:
    listed = {"a": Subject("subject:x", {"night": 1e30})}
    with pytest.raises(UnusableRecording, match="the night 1e\\+30; expected a whole number"):
        night_of("a", listed)


def test_a_recording_that_links_out_of_its_folder_is_not_explained(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "other.edf").write_bytes(b"0       ")
    (tmp_path / "in/a.edf").symlink_to(tmp_path / "other.edf")
    with pytest.raises(CohortError, match="lies outside the folder"):
        read_recording(tmp_path / "in/a.edf", ("EEG Fpz-Cz",), 100.0, 3000)


@pytest.mark.parametrize(("rate", "wanted"), [(1e6, 100.0), (0.001, 5000.0)])
def test_resampling_to_nothing_or_to_more_than_memory_is_refused(rate: float, wanted: float) -> None:
    with pytest.raises(UnusableRecording, match=f"at least one and at most {MOST_POINTS} samples"):
        resampled(np.ones(300_000), rate, wanted)


def test_a_file_named_like_a_case_is_no_case(tmp_path: Path) -> None:
    (tmp_path / "training_1").write_text("no folder")
    with pytest.raises(CohortError, match=r"holds no case of ISLES 2017"):
        read_isles(tmp_path, key=KEY, out=tmp_path / "out")


def test_what_is_private_is_shown_at_the_terminal_alone() -> None:
    message = f"the file {private('Ada-1815.dat')} of {private('Ada')} has {private(repr('1815'))} bytes."
    assert plain(message) == "the file Ada-1815.dat of Ada has '1815' bytes."
    assert concealed(message) == "the file ….dat of … has … bytes."
    error = UnusableRecording(message)
    assert (str(error), concealed(error.marked)) == (plain(message), concealed(message))
    assert concealed(message[:20]) == "the file …"  # cut within: nothing of it is left


def test_a_message_is_one_line_whatever_was_found() -> None:
    assert str(CohortError(f"found {private('a' + chr(10) + 'ERROR forged')}.")) == "found a ERROR forged."


def test_marks_within_what_was_found_end_nothing() -> None:
    assert concealed(f"found {private('a' + chr(0xE001) + 'secret')}.") == "found …."
