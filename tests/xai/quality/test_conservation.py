from __future__ import annotations

import math

import pandas as pd
import pytest

from xai.quality.conservation import relative_leak


def test_leaks_of_all_layers_add_up_against_the_score() -> None:
    account = pd.DataFrame(
        {
            "sample": [0, 0, 1, 1, 2, 2],
            "layer": ["head", "layer 1"] * 3,
            "relevance_in": [4.0, 3.0, -2.0, -2.0, 0.0, 0.0],
            "relevance_out": [3.0, 3.5, -2.0, -2.0, 0.0, 0.0],
            "bias": [1.0, -0.5, 0.0, 0.0, 0.0, 0.0],
            "epsilon": [0.0, 0.5, 0.0, 0.0, 0.0, 0.0],
        }
    )
    found = relative_leak(account).tolist()
    assert found[:2] == pytest.approx([(1 + 0.5 + 0.5) / 4, 0])
    assert math.isnan(found[2])
