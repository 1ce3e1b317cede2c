"""Cohorts keep pseudonyms of recordings; tests look at them by the names of the files that they wrote."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tasks.cohorts.pseudonyms import names_behind
from tasks.cohorts.store import Cohort


def named(read: Callable[..., Cohort]) -> Callable[..., Cohort]:
    """The reader, with the recordings' names in the tables of its cohort: whoever has folder and key finds them."""

    @wraps(read)
    def reading(folder: Path, *, key: bytes, **given: Any) -> Cohort:
        cohort = read(folder, key=key, **given)
        names = names_behind(Path(folder), key)
        for column in {"recording", "recorder", "lead"} & set(cohort.samples.columns):
            cohort.samples[column] = [names.get(value, value) for value in cohort.samples[column]]
        for item in cohort.manifest["quarantined"]:
            item["recording"] = names.get(item["recording"], item["recording"])
        return cohort

    return reading
