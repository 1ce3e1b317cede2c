"""The paper's observations as numbers: maps that lie where it says, maps that do not, windows that are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from rhythms import CLASSES, bundle, read_rhythms
from torch import nn

from models.bundle import Bundle
from tasks.inspections import method_schemas, networks_agree, rhythm_saliency, saliency_claims
from tasks.inspections.companions import METHODS
from tasks.inspections.saliency_claims import CLAIMS, verdict

CAM, MASK = METHODS


class Fixed(nn.Module):
    """A CAM network whose only feature lights up at given points, and which reads every window as one class."""

    def __init__(self, start: int, stop: int, label: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(1, len(CLASSES))
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        with torch.no_grad():
            self.classifier.weight[label] = 1.0
        self._lit = torch.zeros(720)
        self._lit[start:stop] = 1.0

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._lit.expand(len(inputs), 1, -1)

    def columns_to_points(self, columns: torch.Tensor) -> torch.Tensor:
        return columns

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(inputs).mean(dim=2))


def claims_of(start: int, stop: int) -> pd.DataFrame:
    """What is found where the CAM network lights up from ``start`` to ``stop`` and reads all windows as N."""
    own = bundle("ecg-cam", width=4)
    lit = Fixed(start, stop, label=0).eval()
    looked = read_rhythms(own, {"cam": Bundle(own.config, (lit, lit))})
    return saliency_claims.inspect(looked).tables["saliency_claims"].set_index(["rhythm", "method"])


def test_there_are_sixteen_claims_two_for_each_rhythm():
    assert {(claim.rhythm, claim.method) for claim in CLAIMS} == {(name, way) for name in CLASSES for way in METHODS}


def test_a_map_on_the_qrs_supports_the_claim_and_one_on_the_t_wave_contradicts_it():
    supported = claims_of(350, 370).loc[("N", CAM)]
    assert supported["verdict"] == "supported"
    assert supported["value"] == pytest.approx(1.0)
    assert supported["subjects"] == 6
    contradicted = claims_of(440, 500).loc[("N", CAM)]
    assert contradicted["verdict"] == "contradicted"
    assert contradicted["value"] < 0


def test_windows_that_are_misread_and_networks_that_are_missing_leave_claims_undecided():
    claims = claims_of(350, 370)
    assert claims.loc[("PVC", CAM), "verdict"] == "undecided"
    assert np.isnan(claims.loc[("PVC", CAM), "value"])
    assert claims.xs(MASK, level="method")["verdict"].eq("undecided").all()
    assert len(claims) == 16


def test_the_signals_own_amplitude_stands_beside_the_map():
    row = claims_of(350, 370).loc[("N", CAM)]
    assert 0 < row["control"] < row["value"]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 0.2, "supported"),
        (-0.2, -0.1, "contradicted"),
        (-0.1, 0.1, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_verdicts_follow_the_interval(low: float, high: float, word: str):
    assert verdict({"ci_low": low, "ci_high": high}) == word


def both() -> dict[str, Bundle]:
    return {"cam": bundle("ecg-cam", width=4), "lstm": bundle("ecg-lstm", units=4)}


def test_figure_3_shows_the_most_confident_window_and_a_random_one_of_each_rhythm():
    found = rhythm_saliency.inspect(read_rhythms(bundle("ecg-cam", width=4), both(), per_class=2))
    shown = found.tables["shown_windows"]
    random = shown[shown["choice"] == "random"]
    assert len(random) == 2 * len(CLASSES)
    assert set(shown["method"]) == set(METHODS)
    assert found.figures["rhythm-saliency"].interactive is not None
    assert rhythm_saliency.inspect(read_rhythms(bundle("ecg-cam", width=4))).figures == {}


def test_a_companion_that_is_the_classifier_agrees_with_it_wholly():
    own = bundle("ecg-cam", width=4)
    found = networks_agree.inspect(read_rhythms(own, {"cam": own}, per_class=2))
    answers = found.tables["companion_answers"].iloc[0]
    assert answers["mean"] == 1.0
    maps = found.tables["companion_maps"].set_index("explainer")
    assert abs(maps.loc["random", "mean"]) < 0.2
    assert networks_agree.inspect(read_rhythms(own)).verdicts == (
        "no companion has been trained in this mode on these recordings",
    )


def test_schemas_are_drawn_from_the_networks_that_are_there():
    own = bundle("ecg-cam", width=4)
    assert set(method_schemas.inspect(read_rhythms(own, both())).figures) == {"cam-schema", "mask-schema"}
    assert set(method_schemas.inspect(read_rhythms(own, {"cam": own})).figures) == {"cam-schema"}
    assert method_schemas.inspect(read_rhythms(own)).figures == {}
