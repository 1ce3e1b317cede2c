"""Recorder or heart: what can be told, what a network that reads the device does, and what cannot be asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from rhythms import CLASSES, bundle, config, read_rhythms
from torch import Tensor, nn

from models.bundle import Bundle
from tasks.inspections import recorder


class ReadsHum(nn.Module):
    """Gives every window with a hum at 50 Hz to the last class, every other one to the first."""

    def forward(self, inputs: Tensor) -> Tensor:
        power = torch.fft.rfft(inputs[:, 0], dim=-1).abs().square()
        hum = (power[:, 99:102].sum(dim=1) > power[:, 104:114].sum(dim=1)).float()
        logits = torch.zeros(len(inputs), len(CLASSES))
        logits[:, -1], logits[:, 0] = hum, 1 - hum
        return logits


def confounded(looked):
    """Only rec-b has class RBBB: its windows of rec-a are left out."""
    rows = looked.samples
    keep = ~((rows["label"] == len(CLASSES) - 1) & (rows["subject"] % 2 == 0))
    object.__setattr__(looked, "samples", rows[keep].reset_index(drop=True))
    return looked


def test_the_recorder_is_told_from_windows_of_people_never_seen():
    found = recorder.inspect(read_rhythms(bundle("ecg-cam", width=4)))
    told = found.tables["recorder_scores"].query("what == @recorder.TELLING")
    assert set(told["recorder"]) == {"rec-a", "rec-b"}
    assert (told["mean"] > 0.9).all()
    assert (told["chance"] == 0.5).all()


def test_a_network_that_reads_the_device_follows_it_and_is_named():
    looked = confounded(read_rhythms(Bundle(config("ecg-cam", width=4), (ReadsHum(), ReadsHum()))))
    found = recorder.inspect(looked)
    changes = found.tables["rerecorded"].set_index(["recorder", "as", "change"])
    share = "share given to classes that only the other wrote"
    assert changes.loc[("rec-a", "rec-b", share), "mean"] > 0.8
    assert np.isnan(changes.loc[("rec-b", "rec-a", share), "mean"]), "rec-a wrote no class alone"
    assert any("of rec-a with the spectrum of rec-b" in words and words.endswith("follows the recorder") for words in
               found.verdicts)  # fmt: skip


class ReadsNothing(nn.Module):
    """The same answer to everything."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.eye(len(CLASSES))[0].expand(len(inputs), -1)


def test_a_network_that_does_not_look_at_the_device_is_not_accused():
    looked = confounded(read_rhythms(Bundle(config("ecg-cam", width=4), (ReadsNothing(), ReadsNothing()))))
    found = recorder.inspect(looked)
    assert all(words.endswith("not shown to follow the recorder") for words in found.verdicts if "spectrum" in words)


def test_one_recorder_alone_or_no_common_class_is_said():
    looked = read_rhythms(bundle("ecg-cam", width=4))
    looked.cohort.samples["recorder"] = "rec-a"
    assert "one recorder wrote all windows (rec-a)" in recorder.inspect(looked).verdicts[0]
    apart = read_rhythms(bundle("ecg-cam", width=4))
    rows = apart.samples
    own = (rows["label"] < 4) == (rows["subject"] % 2 == 0)
    object.__setattr__(apart, "samples", rows[own].reset_index(drop=True))
    found = recorder.inspect(apart)
    assert "no two recorders wrote a common class" in found.verdicts[-1]
    assert isinstance(found.tables["rerecorded"], pd.DataFrame)
