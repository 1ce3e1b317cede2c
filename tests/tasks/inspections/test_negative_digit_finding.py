"""The finding on the negative of the digit, with networks whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.inspections import negative_digit
from tasks.inspections.negative_digit import block_for
from tests.tasks.inspections.inspecting import inspected, written_cohort

SIDE = 9
STROKE = np.zeros((SIDE, SIDE), dtype=bool)
STROKE[2:7, 3:6] = True


class Reads(nn.Module):
    """Its first logit is the sum of some pixels times a weight: only there can a block change anything."""

    def __init__(self, where: np.ndarray, weight: float) -> None:
        super().__init__()
        self.weights = torch.from_numpy(where.reshape(-1).astype(np.float32)) * weight

    def forward(self, inputs: Tensor) -> Tensor:
        read = (inputs[:, 0] * self.weights).sum(1)
        return torch.stack([read, torch.zeros_like(read)], dim=1)


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("negative")
    random = np.random.default_rng(0)
    pixels = STROKE * (1 - 0.2 * random.random((16, SIDE, SIDE)))
    cohort = written_cohort(
        folder / "cohort",
        pixels.reshape(16, 1, -1).astype(np.float32),
        np.zeros(16, dtype=int),
        classes=("digit", "other"),
        image=(SIDE, SIDE),
        subjects=16,
    )
    found = inspected(folder / "bundle", cohort, per_class=10)
    config = replace(found.bundle.config, normalisation="none")
    return replace(found, bundle=replace(found.bundle, config=config))


def reading(looked, network: nn.Module):
    return replace(looked, bundle=replace(looked.bundle, members=(network.eval(), network.eval())))


def means(finding):
    return finding.tables["negative_digit"].set_index(["value", "map"])


def test_a_network_that_reads_the_stroke_gives_the_digit_corrected_and_its_negative_as_probability(looked):
    finding = negative_digit.inspect(reading(looked, Reads(STROKE, 0.1)))
    table = means(finding)
    for value in (0.0, 0.5):
        assert table.loc[(value, "corrected"), "ci_low"] > 0.5
        assert table.loc[(value, "paper per block"), "ci_high"] < -0.5
    words = {verdict.split(":")[0]: verdict.split(": ")[1] for verdict in finding.verdicts}
    corrected = "a block of 0.5 gives the negative of the digit (fall in logit, high = important)"
    assert words[corrected].startswith("no, a positive")
    per_block = "a block of 0.5 gives the negative of the digit (mean probability that is left)"
    assert words[per_block].startswith("yes")


def test_a_network_that_wants_the_background_empty_gives_the_negative_for_grey_and_nothing_for_0(looked):
    finding = negative_digit.inspect(reading(looked, Reads(~STROKE, -0.1)))
    table = means(finding)
    assert table.loc[(0.5, "corrected"), "ci_high"] < -0.5
    assert table.loc[(0.0, "corrected"), "undefined"] == 10
    assert np.isnan(table.loc[(0.0, "corrected"), "mean"])
    assert "undefined" in next(v for v in finding.verdicts if v.startswith("a block of 0 ") and "fall in" in v)


def test_the_sum_as_printed_is_low_along_the_border_whatever_the_network_says(looked):
    """Why the map per block stands beside it: nothing is read, and the sum still shows the middle."""
    table = means(negative_digit.inspect(reading(looked, Reads(STROKE, 0.0))))
    assert table.loc[(0.5, "paper"), "ci_low"] > 0.2
    assert np.isnan(table.loc[(0.5, "paper per block"), "mean"])


def test_maps_belong_to_their_images_whatever_member_judges(looked):
    """Members of different minds: each image's map is that of its own judge."""
    two = replace(looked, bundle=replace(looked.bundle, members=(Reads(STROKE, 0.1), Reads(~STROKE, -0.1))))
    table = negative_digit.inspect(two).tables["negative_digit_images"]
    own = table[(table["map"] == "corrected") & (table["value"] == 0.5)].set_index("sample")["correlation"]
    judged = looked.samples.set_index("sample").loc[own.index, "member"]
    assert (own[judged == 0] > 0.5).all()
    assert (own[judged == 1] < -0.5).all()


@pytest.mark.parametrize(("side", "width", "stride"), [(28, 5, 2), (8, 2, 1), (14, 2, 1), (56, 10, 3)])
def test_the_block_is_the_papers_scaled_to_the_image(side, width, stride):
    how = block_for((side, side))
    assert (how.width, how.stride, how.scan) == (width, stride, side)


def test_signals_are_refused(tmp_path):
    cohort = written_cohort(
        tmp_path / "c", np.zeros((6, 1, 20), dtype=np.float32), np.arange(6) % 2, classes=("a", "b")
    )
    with pytest.raises(ValueError, match="no images"):
        negative_digit.inspect(inspected(tmp_path / "b", cohort))
