"""Versions of several sizes side by side: which cases are shown, and the paper's numbers beside ours."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.inspections.filter_sweep import FILTERS, PROPAGATIONS
from tasks.reporting.across_sizes import BY_CHANNEL, across_sizes, beside_papers
from tasks.reporting.page import Report, write_report

METRICS = ("inclusivity", "input_inclusivity", "normalised_mean")


def sweep(cases: list[str], value: float) -> pd.DataFrame:
    rows = product(cases, (0, 1), (0, 1, 2), PROPAGATIONS, FILTERS, METRICS)
    table = pd.DataFrame(rows, columns=["case", "member", "channel", "propagation", "filter", "metric"])
    return table.assign(value=value)


def evaluation(folder: Path, table: pd.DataFrame | None) -> Any:
    folder.mkdir()
    if table is not None:
        table.to_csv(folder / f"{BY_CHANNEL}.csv", index=False)
    return SimpleNamespace(tables=folder, mode="paper")


@pytest.fixture
def sizes(tmp_path: Path) -> dict[str, Any]:
    return {
        "A": evaluation(tmp_path / "a", sweep(["training_1", "training_4", "training_7"], 0.25)),
        "B": evaluation(tmp_path / "b", sweep(["training_4", "training_7", "training_9"], 0.75)),
    }


def test_the_cases_that_all_sizes_swept_are_shown_beside_the_papers_numbers(sizes, tmp_path):
    chapter = across_sizes(sizes)
    assert chapter is not None
    assert "paper mode" in chapter.title
    assert len(chapter.figures) == 3 * len(PROPAGATIONS)
    table = chapter.tables[0][1].set_index("filter")
    assert list(table.index) == list(FILTERS)
    for words in PROPAGATIONS:
        assert table[f"{words}, truth, size A"].eq(0.25).all()
        assert table[f"{words}, input, size B"].eq(0.75).all()
    assert table.loc["clamp0.05", "the paper prints, truth A"] == 0.9964
    assert table.loc["pass0-0.1", "the paper prints, input B"] == 0.2599
    page = write_report(tmp_path / "page.html", Report("sizes", "", sections=[chapter]))
    assert "the paper prints, truth X" in page.read_text()


def test_means_are_over_nets_channels_and_shown_cases_and_leave_out_what_is_undefined():
    rows = sweep(["training_4"], 0.5).assign(series="size A")
    rows.loc[rows["member"] == 1, "value"] = 1.0
    rows.loc[rows["channel"] == 2, "value"] = np.nan
    table = beside_papers(rows)
    assert table["LRP put right, truth, size A"].eq(0.75).all()


def test_one_size_alone_or_no_common_case_has_no_chapter(sizes, tmp_path):
    assert across_sizes({"A": sizes["A"]}) is None
    assert across_sizes({"A": sizes["A"], "B": evaluation(tmp_path / "none", None)}) is None
    assert across_sizes({"A": sizes["A"], "B": evaluation(tmp_path / "other", sweep(["training_2"], 0.1))}) is None
