"""The networks, in torch only. Imports are relative: the package is shipped inside registered models."""

from __future__ import annotations

from typing import Any

from torch import nn

from .crnn import CRNN
from .ecg_cam import ECGCAM
from .ecg_lstm import ECGLSTM
from .ecgnet import ECGNet
from .hannun import Hannun
from .lstm import LSTMClassifier
from .sleep_cnn import SleepCNN
from .unet import UNet3d

NETWORKS: dict[str, type[nn.Module]] = {
    "crnn": CRNN,
    "ecg-cam": ECGCAM,
    "ecg-lstm": ECGLSTM,
    "ecgnet": ECGNet,
    "hannun": Hannun,
    "lstm": LSTMClassifier,
    "sleep-cnn": SleepCNN,
    "unet3d": UNet3d,
}
"""Every network by the name that a version on disk gives."""


def build_network(name: str, **arguments: Any) -> nn.Module:
    """A freshly initialised network; ValueError if ``name`` is not one of `NETWORKS`."""
    if name not in NETWORKS:
        raise ValueError(f"network is {name!r}; expected one of {sorted(NETWORKS)}.")
    return NETWORKS[name](**arguments)
