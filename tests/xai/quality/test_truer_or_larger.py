"""The verdict over a sweep: on tables where it is known who is better."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xai.quality.region_deletion import COLUMNS
from xai.quality.truer_or_larger import COMPARED, truer_or_larger

SUBJECTS = [f"p{k // 2}" for k in range(20)]  # two samples of each of ten people


def _table(**gains: dict[str, float]) -> pd.DataFrame:
    """Scores that differ from person to person, and a filter's gain in each metric on top."""
    generator = np.random.default_rng(1)
    level = generator.normal(0, 1, 20)
    rows = []
    for name, gain in {"raw": {}, **gains}.items():
        row = {metric: level + generator.normal(0, 0.01, 20) + gain.get(metric, 0) for metric in COLUMNS[2:]}
        rows.append(pd.DataFrame(row).assign(sample=range(20), explainer=name))
    return pd.concat(rows, ignore_index=True)


def _verdicts(table: pd.DataFrame) -> dict[str, str]:
    found = truer_or_larger(table, SUBJECTS, unfiltered="raw", resamples=500)
    assert (found.groupby("explainer")["verdict"].nunique() == 1).all()
    return found.groupby("explainer", sort=False)["verdict"].first().to_dict()


def test_each_verdict() -> None:
    found = _verdicts(
        _table(
            clamp={"area": 1.0, "inclusivity": 1.0, "precision": -0.5},
            good={"area": 1.0, "dice": 0.5},
            bad={"area": 1.0, "deletion_gain": -0.5},
            both={"dice": 0.5, "auprc": -0.5},
            small={"area": -1.0},
            same={},
        )
    )
    assert found == {
        "clamp": "larger", "good": "truer", "bad": "falser", "both": "mixed", "small": "smaller",
        "same": "no difference shown",
    }  # fmt: skip


def test_differences_are_paired_by_subject() -> None:
    table = _table(good={"dice": 0.5})
    found = truer_or_larger(table, SUBJECTS, unfiltered="raw", resamples=500).set_index("metric")
    assert list(found.index) == list(COMPARED)
    assert set(found["subjects"]) == {10}
    values = table.set_index("explainer")["dice"]
    assert found.loc["dice", "difference"] == pytest.approx(values["good"].mean() - values["raw"].mean())
    assert found.loc["dice", "ci_low"] > 0.45
    assert abs(found.loc["area", "difference"]) < 0.02


def test_two_people_show_no_difference() -> None:
    table = _table(good={"dice": 0.5})
    found = truer_or_larger(table[table["sample"] < 4], SUBJECTS, unfiltered="raw", resamples=100)
    assert set(found["verdict"]) == {"no difference shown"}
    assert found["p_adjusted"].isna().all()


def test_the_unfiltered_map_must_be_there() -> None:
    with pytest.raises(ValueError, match="plain"):
        truer_or_larger(_table(good={}), SUBJECTS, unfiltered="plain")
