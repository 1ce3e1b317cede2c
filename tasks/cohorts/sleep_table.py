"""The recordings of Sleep-EDF: whose night each is, of what age, sex and drug, and the digests of its files.

Facts of the Sleep-EDF Database Expanded 1.0.0 (Kemp et al. 2000, doi:10.13026/C2X676, ODC-By 1.0): its SHA1SUMS.txt
and subject tables, as shipped with MNE 1.13.2 (``temazepam_records.csv``, ``age_records.csv``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from .errors import UnusableRecording, private
from .subject_facts import SUBJECT_TABLE, Subject

Part = Literal["telemetry", "cassette"]
OF_RECORDING = ("night", "drug")
"""Columns that describe a night, not a person."""
_MOST_NIGHTS = 10_000
PSG_ENDING, HYPNOGRAM_ENDING = "-PSG.edf", "-Hypnogram.edf"
_NAMES = {"telemetry": re.compile(r"ST7\d{3}[A-Z]\d"), "cassette": re.compile(r"SC4\d{3}[A-Z]\d")}


@dataclass(frozen=True)
class Night:
    """A recording's subject, and what holds for this night only: its number and the drug ("" where unknown)."""

    subject: Subject
    number: int | None
    drug: str


def sleep_edf_digests(part: Part) -> tuple[tuple[str, str], ...]:
    """Name and SHA-1 of every file of a part of Sleep-EDF: signals and scored stages of all nights."""
    table = _table(part)
    names = pd.concat([table["psg"], table["hypnogram"]])
    digests = pd.concat([table["psg_sha1"], table["hypnogram_sha1"]])
    return tuple(sorted(zip(names, digests, strict=True)))


def night_of(recording: str, listed: Mapping[str, Subject]) -> Night:
    """Who ``recording`` (a PSG's name before "-PSG") is from: by the folder's own table, else by Sleep-EDF's.

    Without either, a recording whose name is not one of Sleep-EDF's is a subject of its own. Raises
    UnusableRecording for one that the table to be used does not have.
    """
    if listed:
        if recording not in listed:
            raise UnusableRecording(f"{SUBJECT_TABLE} does not list {private(recording)}; expected a row of it.")
        return _split(recording, listed[recording])
    for part, name in _NAMES.items():
        if name.fullmatch(recording):
            return _known(part, recording)
    return Night(Subject(f"recording:{recording}"), None, "")


def _split(recording: str, subject: Subject) -> Night:
    facts = {name: value for name, value in subject.facts.items() if name not in OF_RECORDING}
    number, drug = subject.facts.get("night"), subject.facts.get("drug")
    if number is not None and not (isinstance(number, float) and 0 <= number <= _MOST_NIGHTS and number == int(number)):
        raise UnusableRecording(
            f"{SUBJECT_TABLE} gives {private(recording)} the night {private(repr(number))}; expected a whole number."
        )
    identity = subject.identity or f"recording:{recording}"
    return Night(Subject(identity, facts), None if number is None else int(number), str(drug or "").lower())


def _known(part: str, recording: str) -> Night:
    table = _table(part)
    rows = table[table["psg"] == recording + PSG_ENDING]
    if rows.empty:
        raise UnusableRecording(
            f"the table of Sleep-EDF does not list {private(recording)}; expected a row in {SUBJECT_TABLE}."
        )
    row: Any = next(rows.itertuples())
    facts = {"age": float(row.age), "sex": row.sex}
    return Night(Subject(f"sleep-edf {part} {row.subject}", facts), int(row.night), row.drug)


@cache
def _table(part: str) -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name(f"sleep_{part}.csv"), keep_default_na=False)
