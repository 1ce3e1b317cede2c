"""How many rows go through a network at once: bounded by memory, by what is quickest, and found out once."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

from xai.methods import memory
from xai.methods.memory import FEWEST_ROWS, QUICKEST_VALUES, VALUES_AT_ONCE, rows_at_once, rows_through


class Counting(nn.Module):
    """Widens its inputs eight times, and counts how often it was run."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.runs = nn.Conv3d(1, 8, 1), 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.runs += 1
        return self.wide(inputs).flatten(1)[:, :2]


def test_a_processor_takes_no_more_rows_than_are_quickest_and_no_more_values_than_fit() -> None:
    assert rows_at_once(torch.empty(5, 1, 216), 512) == QUICKEST_VALUES["cpu"] // 216 == 151
    assert rows_at_once(torch.empty(5, 3, 3000), 512) == FEWEST_ROWS
    assert rows_at_once(torch.empty(5, 1, 216), 8) == 8
    assert rows_at_once(torch.empty(5, 1, 216), 512, {}) == 512
    assert rows_at_once(torch.empty(1, 1, VALUES_AT_ONCE // 3), 512) == 3
    assert rows_at_once(torch.empty(1, 2, VALUES_AT_ONCE), 512) == 1


def test_a_volume_is_run_once_for_each_form_to_find_how_far_a_network_widens_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs = Counting(), torch.zeros(2, 1, 4, 5, 6)
    each = 8 * 4 * 5 * 6 * 4
    monkeypatch.setitem(memory.ACTIVATION_BYTES, "cpu", 3 * each)
    assert [rows_through(model, inputs, 512) for _ in range(3)] == [3, 3, 3]
    assert model.runs == 1
    assert rows_through(model, inputs[..., :3], 512) == 6
    assert model.runs == 2
    assert rows_through(model, torch.zeros(2, 1, 30), 512) == 512
    assert model.runs == 2, "a signal is not run"


def test_a_network_that_is_gone_is_forgotten() -> None:
    before = len(memory._KNOWN_BYTES)
    rows_through(Counting(), torch.zeros(1, 1, 4, 5, 6), 512)
    gc.collect()
    assert len(memory._KNOWN_BYTES) == before
