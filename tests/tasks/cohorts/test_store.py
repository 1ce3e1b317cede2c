"""A cohort is written whole or not at all, read back exactly, and known by a digest that two sites share."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.cohorts.pseudonyms import load_or_create_key, pseudonym, recording_pseudonym
from tasks.cohorts.store import (
    Cohort,
    CohortDescription,
    CohortError,
    NativeVolume,
    Quarantined,
    Recorded,
    write_cohort,
)
from tasks.cohorts.writer import CHUNK

KEY = b"0123456789abcdef"
WINDOW = 12


def description(**changes) -> CohortDescription:
    given = {
        "study": "a-study",
        "classes": ("calm", "wild"),
        "channels": ("I", "II"),
        "units": ("mV", "mV"),
        "sampling_rate": 100.0,
        "window": WINDOW,
        "origin": 4,
        "reader": "test",
        "parameters": {"width": WINDOW},
    }
    return CohortDescription(**(given | changes))


def recorded(name: str, count: int, seed: int = 0, **changes) -> Recorded:
    rng = np.random.default_rng(seed)
    given = {
        "recording": name,
        "identity": f"who {name}",
        "facts": {"age": 50.0, "sex": "F", "medication": "none", "site": "A"},
        "signals": rng.normal(size=(count, 2, WINDOW)).astype(np.float32),
        "labels": rng.integers(0, 2, count),
        "onsets": np.arange(count) * 10,
        "evidence": rng.random((count, 2, WINDOW)) < 0.2,
        "columns": {"lead": "I"},
    }
    return Recorded(**(given | changes))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Cohort, np.ndarray, np.ndarray]:
    parts = [recorded("a", 300, 1), Quarantined("b", "it is empty."), recorded("c", 5, 2), recorded("d", 260, 3)]
    cohort = write_cohort(tmp_path_factory.mktemp("store") / "cohort", description(), parts, key=KEY)
    kept = [part for part in parts if isinstance(part, Recorded)]
    return (
        cohort,
        np.concatenate([part.signals for part in kept]),
        np.concatenate([part.evidence for part in kept]),
    )


def test_everything_comes_back(written):
    cohort, signals, evidence = written
    assert len(cohort) == 565 == len(cohort.samples)
    assert cohort.signals(slice(None)).dtype == np.float32
    np.testing.assert_array_equal(cohort.signals(slice(None)), signals)
    np.testing.assert_array_equal(cohort.evidence(slice(None)), evidence)
    assert cohort.samples.index.name == "sample"
    assert cohort.subjects.index.name == "ordinal"
    assert list(cohort.subjects["site"]) == ["A", "A", "A"]
    assert cohort.samples["subject"].value_counts(sort=False).to_dict() == {0: 300, 1: 5, 2: 260}
    assert list(cohort.samples["label_name"][:5]) == [cohort.classes[i] for i in cohort.samples["label"][:5]]
    assert cohort.quarantine.to_dict("records") == [
        {"recording": recording_pseudonym("b", KEY), "reason": "it is empty."}
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.lists(st.integers(-565, 564), max_size=40))
def test_any_index_reads_like_an_array(written, index):
    cohort, signals, _ = written
    wanted = np.array(index, dtype=np.int64)
    np.testing.assert_array_equal(cohort.signals(wanted), signals[wanted])


def test_slices_and_masks_read_like_an_array(written):
    cohort, signals, _ = written
    for index in (slice(250, 270), slice(None, None, -7), np.arange(565) % 3 == 0):
        np.testing.assert_array_equal(cohort.signals(index), signals[index])
    with pytest.raises(IndexError):
        cohort.signals(np.array([565]))


def test_only_the_needed_chunks_are_read(tmp_path):
    cohort = write_cohort(tmp_path / "c", description(), [recorded("a", 3 * CHUNK)], key=KEY)
    chunk = next((cohort.path / "signals.zarr" / "signals" / "c" / "1").rglob("0"))
    while chunk.is_dir():
        chunk = chunk / "0"
    chunk.write_bytes(b"spoilt")
    cohort.signals(np.array([0, 2 * CHUNK]))
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the decoder says
        cohort.signals(np.array([CHUNK]))


def test_the_arrays_are_labelled(written):
    arrays = xr.open_zarr(written[0].path / "signals.zarr", consolidated=False, chunks=None)
    assert arrays["signals"].dims == ("sample", "channel", "time")
    assert list(arrays["channel"].values) == ["I", "II"]
    assert arrays["signals"].attrs["units"] == ["mV", "mV"]
    assert arrays["time"].values[4] == 0
    assert arrays["time"].values[5] == pytest.approx(0.01)


def test_digest_sees_values_and_parameters_but_not_keys_names_blocks_or_places(tmp_path):
    whole = recorded("a", 40)
    split = [
        recorded(
            "z",
            40,
            identity="other",
            signals=whole.signals[rows],
            labels=whole.labels[rows],
            onsets=whole.onsets[rows],
            evidence=whole.evidence[rows],
        )
        for rows in (slice(0, 7), slice(7, 40))
    ]
    louder = recorded("a", 40, signals=whole.signals * 1.001)
    older = recorded("a", 40, facts={**whole.facts, "age": 51.0})
    marked = recorded("a", 40, evidence=~whole.evidence)

    def digest(number: int, parts, key=KEY, **changes) -> str:
        return write_cohort(tmp_path / str(number), description(**changes), parts, key=key).digest

    base = digest(0, [whole])
    assert base == digest(1, split, key=b"f" * 32, study="renamed")
    others = [
        digest(2, [louder]),
        digest(3, [older]),
        digest(4, [marked]),
        digest(5, [recorded("a", 40, evidence=None)]),
        digest(6, [whole], parameters={"width": 13}),
        digest(7, [recorded("a", 40, labels=1 - whole.labels)]),
    ]
    assert len({base, *others}) == 7
    assert len(base) <= 36


def test_ages_above_89_become_90_and_missing_facts_stay_missing(tmp_path):
    parts = [
        recorded("a", 3, facts={"age": 93.0, "sex": "M"}),
        recorded("b", 3, facts={"age": 89.0, "sex": None}),
        recorded("c", 3, facts={}),
        recorded("d", 3, identity="who a", facts={"medication": "Digoxin", "age": 20.0}),
    ]
    subjects = write_cohort(tmp_path / "c", description(), parts, key=KEY).subjects
    assert subjects["age"].tolist()[:2] == [90.0, 89.0]
    assert np.isnan(subjects["age"][2])
    assert subjects["sex"].tolist() == ["M", None, None]
    assert subjects["medication"].tolist() == ["Digoxin", "", ""]


def test_evidence_unknown_is_not_evidence_empty(tmp_path):
    none = write_cohort(tmp_path / "none", description(), [recorded("a", 3, evidence=None)], key=KEY)
    assert not none.has_evidence
    with pytest.raises(CohortError, match="no evidence"):
        none.evidence(slice(None))
    parts = [recorded("a", 3, evidence=None), recorded("b", 2)]
    some = write_cohort(tmp_path / "some", description(), parts, key=KEY)
    assert some.samples["evidence_known"].tolist() == [False] * 3 + [True] * 2
    assert not some.evidence(slice(0, 3)).any()


def test_a_build_that_dies_leaves_nothing(tmp_path):
    def stream():
        yield recorded("a", 600)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_cohort(tmp_path / "c", description(), stream(), key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_taken_once(tmp_path):
    first = write_cohort(tmp_path / "c", description(), [recorded("a", 5)], key=KEY)
    again = write_cohort(tmp_path / "c", description(), [recorded("a", 5)], key=KEY)
    assert first.digest == again.digest
    with pytest.raises(CohortError, match="already holds"):
        write_cohort(tmp_path / "c", description(), [recorded("a", 6)], key=KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_nothing_usable_is_one_sentence(tmp_path):
    parts = [Quarantined("a", "it is flat."), Quarantined("b", "it is short.")]
    with pytest.raises(CohortError, match=r"2 quarantined, the first, a, because it is flat\.$"):
        write_cohort(tmp_path / "c", description(), parts, key=KEY)
    with pytest.raises(CohortError, match="calm, wild"):
        write_cohort(tmp_path / "c", description(), [], key=KEY)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("text", [None, "", "[]", "{}"])
def test_opening_what_is_no_cohort_is_one_sentence(tmp_path, text):
    if text is not None:
        (tmp_path / "cohort.json").write_text(text)
    with pytest.raises(CohortError, match=r"cohort\.json; expected a written cohort"):
        Cohort.open(tmp_path)


def test_no_identity_and_no_key_is_stored(tmp_path):
    part = recorded("a", 5, identity="Jane Doe")
    cohort = write_cohort(tmp_path / "c", description(), [part], key=KEY)
    stored = b"".join(path.read_bytes() for path in cohort.path.rglob("*") if path.is_file())
    assert b"Jane Doe" not in stored
    assert KEY not in stored
    assert cohort.subjects["subject"][0] == pseudonym("Jane Doe", KEY)


def test_pseudonyms_depend_on_the_key():
    assert pseudonym("a", KEY) == pseudonym("a", KEY) != pseudonym("b", KEY)
    assert pseudonym("a", KEY) != pseudonym("a", KEY[::-1])
    assert len(pseudonym("a", KEY)) == 12
    with pytest.raises(ValueError, match="expected 16 or more"):
        pseudonym("a", b"short")


def test_the_key_is_made_once_for_its_owner(tmp_path):
    path = tmp_path / "new" / "key"
    key = load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path) == key
    assert os.listdir(path.parent) == ["key"]
    path.write_text("not hexadecimal")
    with pytest.raises(ValueError, match="key holds no key"):
        load_or_create_key(path)


def test_the_manifest_says_what_was_done(written):
    manifest = json.loads(Path(written[0].path / "cohort.json").read_text())
    assert manifest["parameters"] == {"width": WINDOW}
    assert sum(manifest["counts"].values()) == manifest["samples"] == 565


VOLUME = (3, 5, 4)


def stroke(name: str, count: int, seed: int = 0, **changes) -> Recorded:
    rng = np.random.default_rng(seed)
    given = {
        "recording": name,
        "identity": f"who {name}",
        "facts": {"mrs": 2.0},
        "signals": rng.normal(size=(count, 2, *VOLUME)).astype(np.float32),
        "labels": np.ones(count, dtype=np.int64),
        "onsets": np.zeros(count, dtype=np.int64),
        "evidence": rng.random((count, 1, *VOLUME)) < 0.3,
        "native": [native(seed + i) for i in range(count)],
    }
    return Recorded(**(given | changes))


def native(seed: int) -> NativeVolume:
    rng = np.random.default_rng(seed)
    grid = (4 + seed % 3, 6, 7)
    affine = np.diag([2.0, 2.0, 5.0 + seed, 1.0])
    return NativeVolume(rng.normal(size=(2, *grid)).astype(np.float32), rng.random(grid) < 0.2, affine)


def of_volumes(**changes) -> CohortDescription:
    return description(volume=VOLUME, window=60, sampling_rate=1.0, origin=0, **changes)


def test_volumes_come_back_beside_their_own_grids(tmp_path):
    parts = [stroke("a", 3, 1), stroke("b", 2, 8), stroke("c", 1, 4, evidence=None)]
    cohort = write_cohort(tmp_path / "c", of_volumes(), parts, key=KEY)
    assert cohort.volume == cohort.grid == VOLUME
    np.testing.assert_array_equal(cohort.signals(slice(None)), np.concatenate([part.signals for part in parts]))
    np.testing.assert_array_equal(cohort.evidence([4, 0]), np.stack([parts[1].evidence[1], parts[0].evidence[0]]))
    assert not cohort.evidence([5]).any()
    for sample, expected in enumerate([volume for part in parts for volume in part.native]):
        found = cohort.native(sample)
        np.testing.assert_array_equal(found.signals, expected.signals)
        np.testing.assert_array_equal(found.evidence, expected.evidence)
        np.testing.assert_array_equal(found.affine, expected.affine)
    with pytest.raises(IndexError, match="sample is 6"):
        cohort.native(6)


def test_volumes_lie_in_chunks_of_at_most_16_mb_and_are_labelled(tmp_path):
    grid = (19, 48, 96)
    numbers = np.arange(10, dtype=np.float32).reshape(-1, 1, 1, 1, 1)
    part = stroke("a", 10, native=[], signals=np.tile(numbers, (1, 6, *grid)), evidence=None)
    large = description(volume=grid, channels=tuple("ABCDEF"), units=("s",) * 6)
    cohort = write_cohort(tmp_path / "c", large, [part], key=KEY)
    arrays = xr.open_zarr(cohort.path / "signals.zarr", consolidated=False, chunks=None)
    assert arrays["signals"].encoding["chunks"] == (7, 6, *grid)
    assert cohort.signals([9, 2, 7])[:, 0, 0, 0, 0].tolist() == [9, 2, 7]
    assert description(volume=(19, 192, 192), channels=("m",) * 6).chunk == 1
    assert description(volume=(2, 2, 2)).chunk == CHUNK == description().chunk


def test_volumes_are_labelled(tmp_path):
    cohort = write_cohort(tmp_path / "c", of_volumes(), [stroke("a", 2)], key=KEY)
    arrays = xr.open_zarr(cohort.path / "signals.zarr", consolidated=False, chunks=None)
    assert arrays["signals"].dims == ("sample", "channel", "depth", "height", "width")
    assert arrays["evidence"].dims == ("sample", "all_channels", "depth", "height", "width")
    assert list(arrays["channel"].values) == ["I", "II"]
    assert arrays["depth"].values.tolist() == [0, 1, 2]


def test_the_digest_of_volumes_sees_their_own_grids(tmp_path):
    def digest(number: int, **changes) -> str:
        return write_cohort(tmp_path / str(number), of_volumes(), [stroke("a", 1, 2, **changes)], key=KEY).digest

    whole = native(2)
    shifted = NativeVolume(whole.signals, whole.evidence, whole.affine + np.eye(4)[:, [3, 0, 1, 2]])
    marked = NativeVolume(whole.signals, ~whole.evidence, whole.affine)
    found = [digest(0), digest(1, native=[shifted]), digest(2, native=[marked]), digest(3, native=[])]
    assert len(set(found)) == 4
    assert digest(4, identity="other") == found[0]


def test_native_volumes_are_one_for_each_sample_or_none(tmp_path):
    with pytest.raises(ValueError, match="2 native volumes; expected one for each of 3 samples"):
        write_cohort(tmp_path / "c", of_volumes(), [stroke("a", 3, native=[native(0), native(1)])], key=KEY)
    cohort = write_cohort(tmp_path / "d", of_volumes(), [stroke("a", 1, native=[])], key=KEY)
    with pytest.raises(CohortError, match="no native volumes"):
        cohort.native(0)


def test_time_series_keep_the_digest_that_they_had_before_there_were_volumes(tmp_path):
    points = np.arange(5 * 2 * WINDOW).reshape(5, 2, WINDOW)
    part = Recorded(
        recording="a",
        identity="who a",
        facts={"age": 50.0, "sex": "F"},
        signals=(points / 7).astype(np.float32),
        labels=np.arange(5) % 2,
        onsets=np.arange(5) * 10,
        evidence=points % 3 == 0,
    )
    cohort = write_cohort(tmp_path / "c", description(), [part], key=KEY)
    assert cohort.digest == "d223db8c31f2575b7de64ebec86b7c9d"
