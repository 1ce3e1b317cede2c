"""Sleep-EDF's own table against the published one, and whose night a recording is."""

from __future__ import annotations

import pandas as pd
import pytest

from tasks.cohorts.errors import UnusableRecording
from tasks.cohorts.sleep_table import night_of, sleep_edf_digests
from tasks.cohorts.subject_facts import Subject


def test_every_file_has_the_digest_that_the_publisher_gives(real_data):
    lines = (real_data("sleep-edf-tables") / "SHA1SUMS").read_text().splitlines()
    published = {name: digest for digest, name in map(str.split, lines)}
    known = dict(sleep_edf_digests("telemetry") + sleep_edf_digests("cassette"))
    assert known == published


def test_both_nights_of_all_22_subjects_are_there_with_their_facts(real_data):
    table = pd.read_csv(real_data("sleep-edf-tables") / "temazepam_records.csv")
    for row in table.itertuples():
        night = night_of(row.fname_PSG.removesuffix("-PSG.edf"), {})
        assert night.subject.facts == {"age": row.age, "sex": row.sex[0].upper()}
        assert night.drug == row.drug.lower()
    assert len(table) == 44
    assert len({night_of(name[:8], {}).subject.identity for name in table["fname_PSG"]}) == 22


def test_the_subjects_are_those_of_the_paper():
    nights = [night_of(name[:8], {}) for name, _ in sleep_edf_digests("telemetry") if name.endswith("-PSG.edf")]
    facts = pd.DataFrame([n.subject.facts | {"who": n.subject.identity} for n in nights]).drop_duplicates("who")
    assert facts["age"].mean() == pytest.approx(40.18, abs=0.005)
    assert facts["age"].std() == pytest.approx(18.09, abs=0.005)
    assert facts["sex"].value_counts().to_dict() == {"F": 15, "M": 7}
    assert sorted(n.drug for n in nights) == ["placebo"] * 22 + ["temazepam"] * 22


def test_the_folders_table_overrules_and_its_nights_may_differ_in_drug():
    listed = {"ST7011J0": Subject("subject:a", {"age": 20.0, "night": 2.0, "drug": "Placebo"})}
    night = night_of("ST7011J0", listed)
    assert night.subject == Subject("subject:a", {"age": 20.0})
    assert (night.number, night.drug) == (2, "placebo")
    with pytest.raises(UnusableRecording, match=r"subjects.csv does not list ST7012J0; expected a row of it\."):
        night_of("ST7012J0", listed)


def test_a_sleep_edf_name_that_the_table_lacks_is_refused_and_another_is_a_subject_of_its_own():
    with pytest.raises(UnusableRecording, match="does not list ST7031J0"):
        night_of("ST7031J0", {})
    assert night_of("mine", {}).subject == Subject("recording:mine")
