"""Nothing that tells who a patient is leaves the folder of recordings; nothing written is a pickle."""

from __future__ import annotations

import re
import sqlite3
import zipfile
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from cheap_chain import CHAIN
from installation import Installation
from planting import CANARIES, HOSTILE, MARK, found_in, planted_ecg, planted_edf, planted_nifti

from tasks.cohorts.edf_stages import read_stages
from tasks.cohorts.isles import read_isles
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.phantoms.sleep_stages import write_phantom as write_nights

KEY = b"0123456789abcdef"
STORED = ("mlflow.db", "ledger.db", "prefect/prefect.db")
HARMLESS = ("numpy.", "pandas.", "builtins.", "collections.", "_codecs.", "copyreg.", "pyarrow.", "_operator.", "dask.")
"""Modules whose classes carry data and run nothing of a stranger's; dask copies its own operators when imported."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Path, str]:
    """An installation that trained on, judged and gated recordings with canaries; their folder; all it printed."""
    base = tmp_path_factory.mktemp("canaries")
    write_phantom(base / "phantom", subjects=13, beats_per_class=4)
    folder, broken = base / MARK / "ward", base / MARK / "broken"
    assert planted_ecg(base / "phantom", folder) > 100
    broken.mkdir()
    (broken / f"{MARK}.hea").write_text(f"{MARK} 1 360 1000\n{MARK}.dat 212\n# {MARK}\n")
    installation = Installation(base / "home")
    paths = {"folder": folder, "broken": broken, "told": base / "told.txt", "classes": base / "classes.txt"}
    said = installation.python(CHAIN.format(**{name: str(path) for name, path in paths.items()}))
    return installation, folder, said


def test_no_canary_is_anywhere_in_the_home(ran: tuple[Installation, Path, str]) -> None:
    installation, _, _ = ran
    assert all((installation.home / name).exists() for name in STORED)  # they were looked into
    assert found_in(installation.home) == []


def test_a_canary_that_was_there_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/Zwiebelfisch.txt").write_bytes("H7734201".encode("utf-16"))
    assert found_in(tmp_path) == ["name of deep/Zwiebelfisch.txt", "deep/Zwiebelfisch.txt"]


def test_the_key_is_in_its_file_alone_and_in_no_log(ran: tuple[Installation, Path, str]) -> None:
    installation, _, said = ran
    key = (installation.home / "pseudonym.key").read_text().strip()
    assert found_in(installation.home, (key.encode(), bytes.fromhex(key))) == ["pseudonym.key"]
    assert key not in said


def test_the_terminal_names_what_the_flow_conceals(ran: tuple[Installation, Path, str]) -> None:
    _, folder, _ = ran
    told = (folder.parents[1] / "told.txt").read_text()
    assert MARK in told
    with closing(sqlite3.connect(folder.parents[1] / "home/prefect/prefect.db")) as connection:
        messages = [row[0] for row in connection.execute("select message from flow_run_state where type = 'FAILED'")]
    assert any("No recording gave a sample" in message and "…" in message for message in messages)


def test_the_quarantined_are_found_again_by_whoever_has_the_folder(ran: tuple[Installation, Path, str]) -> None:
    installation, folder, _ = ran
    with closing(sqlite3.connect(installation.home / "ledger.db")) as connection:
        reasons = dict(connection.execute("select recording, reason from quarantine"))
    assert len(reasons) == 4
    names = {}
    for pseudonym in reasons:
        done = installation.plumbline("who", pseudonym, "--data", str(folder))
        assert done.returncode == 0, done.stderr
        names[done.stdout.strip()] = reasons[pseudonym]
    assert set(names) == {f"{MARK}{number}" for number in (10, 11, 12)} | {f"{MARK}-absent"}
    assert re.search(r"….dat has 2 bytes where the header declares \d+ \(truncated\)", names[f"{MARK}10"])
    assert names[f"{MARK}11"] == "the record has no lead MLII, only …, V1."
    unknown = installation.plumbline("who", "rec-000000000000", "--data", str(folder))
    assert unknown.returncode == 2
    assert "is no recording in" in unknown.stderr


def test_an_age_above_89_is_90_everywhere(ran: tuple[Installation, Path, str]) -> None:
    installation, _, _ = ran
    (table,) = installation.home.glob("cohorts/*/*/subjects.parquet")
    assert pd.read_parquet(table)["age"].tolist() == [88.0, 89.0, *[90.0] * 8]
    for path in installation.home.rglob("*.csv"):
        ages = [name for name in pd.read_csv(path).columns if name == "age"]
        assert all(pd.read_csv(path)[name].max() <= 90 for name in ages)


def test_nothing_was_unpickled_but_plain_data(ran: tuple[Installation, Path, str]) -> None:
    _, folder, _ = ran
    classes = (folder.parents[1] / "classes.txt").read_text().splitlines()
    assert [name for name in classes if not name.startswith(HARMLESS)] == []


def test_no_file_written_is_a_pickle(ran: tuple[Installation, Path, str]) -> None:
    installation, _, _ = ran
    files = [path for path in installation.home.rglob("*") if path.is_file()]
    weights = [path for path in files if path.suffix == ".safetensors"]
    assert weights
    pickles = [str(path.relative_to(installation.home)) for path in files if _is_pickle(path)]
    assert pickles == []


def _is_pickle(path: Path) -> bool:
    """A pickle of protocol 2 or later, or a zip that has one, as torch writes it."""
    if zipfile.is_zipfile(path):
        return any(name.endswith(".pkl") for name in zipfile.ZipFile(path).namelist())
    with path.open("rb") as file:
        head = file.read(2)
    return (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or path.suffix in (
        ".pkl",
        ".pickle",
    )


class _Elements(HTMLParser):
    """Images, and attributes that run, of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}={value}" for name, value in attributes if name.startswith("on") or value == "x"]


def test_a_hostile_drug_is_words_in_the_page_and_nothing_else_anywhere(ran: tuple[Installation, Path, str]) -> None:
    installation, folder, said = ran
    (table,) = installation.home.glob("evaluations/*/tables/subgroups.csv")
    assert HOSTILE.casefold() in set(pd.read_csv(table)["factor"].str.casefold())
    (page,) = installation.home.glob("evaluations/*/report.html")
    text, elements = page.read_text(), _Elements()
    elements.feed(text)
    assert "&lt;img src=x onerror=owned()&gt;" in text.lower()
    assert elements.found == []
    with closing(sqlite3.connect(installation.home / "ledger.db")) as connection:
        assert connection.execute("select count(*) from scores").fetchone()[0] > 0
    names = [path.name for path in (*installation.home.rglob("*"), *folder.parents[1].iterdir())]
    assert not [name for name in names if "onerror" in name or "\u202e" in name]
    assert "onerror" not in said


def test_edf_headers_and_names_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in" / MARK
    write_nights(folder, subjects=1, minutes=10)
    planted_edf(folder)
    (folder / f"{MARK}-PSG.edf").write_bytes(b"0       " + MARK.encode() * 20)
    cohort = read_stages(folder, key=KEY, out=tmp_path / "home/cohort")
    assert len(cohort.quarantine) == 1
    assert len(cohort) > 0
    assert found_in(tmp_path / "home") == []


def test_nifti_headers_and_names_stay_in_their_folder(tmp_path: Path) -> None:
    from nifti_writing import write_case

    from tasks.cohorts.case_samples import read_case_samples
    from tasks.cohorts.isles import MAPS
    from tasks.cohorts.nifti_relevance import write_relevance_nifti

    folder = tmp_path / "in" / MARK
    for number in (7734201, 7734202):
        write_case(folder, number, prefix=f"VSD.{MARK}.XX.O")
    planted_nifti(folder)
    broken = next((folder / "training_7734202").rglob("*MR_ADC*.nii"))
    broken.write_bytes(broken.read_bytes()[:-9])
    cohort = read_isles(folder, size=(3, 6, 6), key=KEY, out=tmp_path / "home/cohort")
    assert (len(cohort), len(cohort.quarantine)) == (1, 1)
    case = read_case_samples(folder / "training_7734201", MAPS, (3, 6, 6)).case
    write_relevance_nifti(tmp_path / "home/map.nii.gz", case.signals, case.reference, "gradient", MAPS)
    assert found_in(tmp_path / "home", (b"7734201", b"7734202")) == []
    assert CANARIES
