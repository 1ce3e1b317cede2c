"""Who a recording is from: header comments of MIT-BIH and LTDB, and the optional table ``subjects.csv``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import CohortError, UnusableRecording, private
from .wfdb_files import inside

SUBJECT_TABLE = "subjects.csv"
_MIT_BIH = re.compile(r"(?P<age>-?\d+)\s+(?P<sex>[MF?])(?:\s+(?P<tape>\d+)\s+(?P<recorder>\S+)\s+x\d+)?\s*$")
_LTDB = re.compile(r"Age:\s*(?P<age>-?\d+)\s+Sex:\s*(?P<sex>[MF?])\s*$")
_DRUGS = frozenset(
    [
        "aldomet",
        "coumadin",
        "diapres",
        "digoxin",
        "dilantin",
        "heparin",
        "hydrochlorthiazide",
        "hydrochlorothiazide",
        "hydrodiuril",
        "hygroton",
        "inderal",
        "isordil",
        "kcl",
        "lasix",
        "nitropaste",
        "none",
        "norpace",
        "pronestyl",
        "quinaglute",
        "quinidine",
        "xyloprim",
    ]
)
"""Of MIT-BIH's headers."""
_OLDEST = 130.0
_LARGEST = 1 << 24


@dataclass(frozen=True)
class Subject:
    """``identity`` tells this subject from others; ``facts`` are age (years), sex, medication, factors."""

    identity: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def subject_of_header(recording: str, comments: Sequence[str]) -> Subject:
    """Reads MIT-BIH's comments: ``69 M 1085 1629 x1`` (age, sex, tape, recorder, speed), then medication.

    LTDB says ``Age: 46  Sex: M``. Records of the same tape, recorder, age and sex are one person (201 and 202 of
    MIT-BIH); without such a line each recording is a subject of its own, whatever its name. An age of -1 is unknown.
    """
    first = comments[0].strip() if comments else ""
    found = _MIT_BIH.match(first) or _LTDB.match(first)
    if found is None:
        return Subject(f"recording:{recording}")
    age = float(found["age"])
    facts = {
        "age": age if 0 <= age <= _OLDEST else math.nan,
        "sex": found["sex"] if found["sex"] in "FM" else None,
        "medication": _medication(comments[1]) if len(comments) > 1 else "",
    }
    if found.groupdict().get("tape") is None:
        return Subject(f"recording:{recording}", facts)
    return Subject(f"tape:{found['tape']} {found['recorder']} {found['age']} {found['sex']}", facts)


def _medication(comment: str) -> str:
    """The drugs that a comment lists; nothing where it says anything else, as free text may name the patient."""
    drugs = [drug.strip() for drug in comment.split(",")]
    return ", ".join(drugs) if all(drug.casefold() in _DRUGS for drug in drugs) else ""


def read_subject_table(root: Path, *, of_recording: Sequence[str] = ()) -> dict[str, Subject]:
    """``subjects.csv`` by recording; empty where there is none.

    Columns: recording, and any of subject, age, sex and further factors. Identity is empty where the table
    does not name the subject; a blank cell is left out of the facts. ``of_recording`` names the factors that may
    differ between the recordings of a subject. Raises CohortError when the table cannot be read, lists a recording
    twice, or says two things about one subject.
    """
    try:
        path = inside(root, SUBJECT_TABLE)
    except UnusableRecording as refused:
        raise CohortError(f"{SUBJECT_TABLE} cannot be used: {refused.marked}") from None
    if not path.exists():
        return {}
    table = _load(path)
    _refuse_contradictions(table.drop(columns=list(of_recording), errors="ignore"))
    factors = [column for column in table.columns if column not in ("recording", "subject")]
    values = {column: _values(table, column) for column in factors}
    return {
        name: Subject(
            f"subject:{subject}" if subject else "",
            {column: values[column][row] for column in factors if values[column][row] is not None},
        )
        for row, (name, subject) in enumerate(zip(table["recording"], table["subject"], strict=True))
    }


def combined(recording: str, comments: Sequence[str], table: Mapping[str, Subject]) -> Subject:
    """The header's subject, overridden by what the table says."""
    header = subject_of_header(recording, comments)
    listed = table.get(recording, Subject(""))
    return Subject(listed.identity or header.identity, {**header.facts, **listed.facts})


def _load(path: Path) -> pd.DataFrame:
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise CohortError(f"{SUBJECT_TABLE} is no file or larger than 16 MiB; expected a CSV table.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        reason = f"{path.name} cannot be read ({type(error).__name__}); expected a CSV table."
        raise CohortError(reason) from None
    table = table.rename(columns=lambda name: _heading(str(name).strip()))
    if not table.columns.is_unique:
        raise CohortError(f"{SUBJECT_TABLE} has two columns of one name; expected one each.")
    if "recording" not in table.columns:
        raise CohortError(
            f"{private(path.name)} has the columns {private(list(table.columns))}; expected a column recording."
        )
    table = table.apply(lambda column: column.str.strip())
    twice = table["recording"][table["recording"].duplicated()]
    if len(twice):
        raise CohortError(
            f"{private(path.name)} lists recording {private(twice.iloc[0])} twice; expected one row each."
        )
    return table if "subject" in table.columns else table.assign(subject="")


def _heading(name: str) -> str:
    """A column's name; those that mean something here in small letters."""
    return name.lower() if name.lower() in ("recording", "subject", "age", "sex", "medication") else name


def _refuse_contradictions(table: pd.DataFrame) -> None:
    named = table[table["subject"] != ""].drop(columns="recording")
    counts = named.replace("", None).groupby("subject").nunique()
    for column in counts.columns:
        if (counts[column] > 1).any():
            subject = counts.index[counts[column] > 1][0]
            raise CohortError(
                f"{SUBJECT_TABLE} gives subject {private(subject)} more than one {private(column)}; "
                "expected one per subject."
            )


def _values(table: pd.DataFrame, column: str) -> list[Any]:
    """The column's cells, None where blank: ages and all-number factors as float, sex as F or M."""
    cells = table[column]
    if column == "age":
        return [_age(cell, row) for cell, row in zip(cells, table["recording"], strict=True)]
    if column == "sex":
        return [_sex(cell) for cell in cells]
    numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce")
    is_number = column != "medication" and bool((numbers.notna() == (cells != "")).all())
    return [
        (float(number) if is_number else cell) if cell else None for cell, number in zip(cells, numbers, strict=True)
    ]


def _age(cell: str, recording: str) -> float | None:
    """Years; "90+" is 90, blank and -1 are unknown."""
    if cell in ("", "-1"):
        return None
    try:
        age = float(cell.removesuffix("+"))
    except ValueError:
        age = math.nan
    if not 0 <= age <= _OLDEST:
        raise CohortError(
            f"{SUBJECT_TABLE} gives recording {private(recording)} the age {private(repr(cell))}; expected years."
        )
    return age


def _sex(cell: str) -> str | None:
    return {"f": "F", "female": "F", "m": "M", "male": "M"}.get(cell.lower())
