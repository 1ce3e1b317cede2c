"""The clinical table of ISLES 2017: how each patient fared, and when and how they were treated."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import CohortError, private

TABLE = "ISLES2017_Training.csv"
FACTORS = {
    "mrs": ("mrs", "modifiedrankinscale"),
    "time_to_mrs": ("timetomrs", "daystomrs"),
    "tici": ("tici", "mtici", "ticiscale"),
    "time_since_stroke": ("tss", "timesincestroke"),
    "time_to_treatment": ("ttt", "timetotreatment"),
}
"""What the columns are called here, and what their headings may be, in small letters without spaces.

mRS is the modified Rankin scale, 0 (well) to 6 (dead), time to it is in days; TICI says how far the vessel was opened.
The file does not say in what unit its two other times are: they are kept as they stand.
"""
TICI = {"0": 0.0, "1": 1.0, "2": 2.0, "2a": 2.0, "2b": 2.5, "2c": 2.75, "3": 3.0}
"""Grades as numbers in their order: 2a opens less, 2b more than half of the territory."""
_CASE = re.compile(r"training_\d+")
_LARGEST = 1 << 20


def read_clinical(folder: Path) -> dict[str, dict[str, float]]:
    """The factors of every case by its name, ``training_<n>``; empty where ``folder`` has no such table.

    Columns are found by heading, in any order and spelling of case and spaces; the cases are in the first column
    whose cells are their names. A cell that is no number is unknown and left out. Raises CohortError when the table
    cannot be read, names no case, or names one twice.
    """
    path = next((path for path in sorted(folder.iterdir()) if path.name.casefold() == TABLE.casefold()), None)
    if path is None:
        return {}
    table = _load(path)
    cases = _cases(table, path.name)
    found = {name: _factor(table, name) for name in FACTORS}
    return {
        case: {name: float(values[row]) for name, values in found.items() if math.isfinite(values[row])}
        for row, case in cases.items()
    }


def _load(path: Path) -> pd.DataFrame:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
        raise CohortError(f"{private(path.name)} is no plain file or larger than 1 MiB; expected a CSV table.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        heading = text.partition("\n")[0]
        comma = ";" if heading.count(";") > heading.count(",") else ","
        return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False, sep=comma)
    except (ValueError, OSError) as error:
        raise CohortError(
            f"{private(path.name)} cannot be read ({type(error).__name__}); expected a CSV table."
        ) from None


def _cases(table: pd.DataFrame, name: str) -> dict[int, str]:
    """The case of every row that is about one."""
    for column in table.columns:
        cells = table[column].str.strip().str.casefold()
        cases = {row: cell for row, cell in enumerate(cells) if _CASE.fullmatch(cell)}
        if len(set(cases.values())) < len(cases):
            raise CohortError(
                f"{private(name)} lists a case twice in the column {private(column)}; expected one row each."
            )
        if cases:
            return cases
    raise CohortError(f"{private(name)} names no case; expected a column of names like training_1.")


def _factor(table: pd.DataFrame, name: str) -> Mapping[int, Any]:
    headings = {re.sub(r"\(.*\)|[^a-z]", "", str(column).casefold()): column for column in table.columns}
    column = next((headings[heading] for heading in FACTORS[name] if heading in headings), None)
    if column is None:
        return dict.fromkeys(range(len(table)), math.nan)
    cells = table[column].str.strip().str.casefold()
    numbers = cells.map(TICI) if name == "tici" else pd.to_numeric(cells, errors="coerce")
    return dict(enumerate(numbers.astype(float)))
