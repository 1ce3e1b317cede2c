"""On the phantom the truth is known: a faithful explainer must find it, and the loud distractor must not help."""

from __future__ import annotations

import pandas as pd
import pytest
from installation import Installation
from support import only

MARGIN = 0.1
"""An explainer passes when its paired advantage over each control is above this, by its interval."""


@pytest.fixture(scope="module")
def comparisons(judged: Installation) -> pd.DataFrame:
    return pd.read_csv(only((judged.home / "evaluations").glob("*/tables/comparisons.csv")))


@pytest.mark.parametrize("metric", ["relevance_mass_area_corrected", "relevance_rank_area_corrected"])
@pytest.mark.parametrize("control", ["random", "amplitude"])
def test_occlusion_finds_the_evidence_better_than_a_control(
    comparisons: pd.DataFrame, metric: str, control: str
) -> None:
    row = comparisons.query(
        "family == 'controls' and metric == @metric and first == 'occlusion_w20' and second == @control"
    ).squeeze()
    assert row["ci_low"] > MARGIN
    assert row["subjects"] == 20


def test_the_amplitude_control_is_drawn_to_the_distractor(judged: Installation) -> None:
    explainers = pd.read_csv(only((judged.home / "evaluations").glob("*/tables/explainers.csv")))
    row = explainers.query("metric == 'pointing_game_area_corrected' and explainer == 'amplitude'").squeeze()
    assert row["mean"] < 0.05
