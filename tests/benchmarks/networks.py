"""The networks of the rows, by the letters of the README: random weights, in evaluation mode.

L: one LSTM layer of 128 units, 216 steps, one channel, five classes. S: the sleep network of paper 3 on 3 x 3000
points. E: ECGNet's network, CAM: its CAM network, both on 720 points. U: a 3-D U-Net of base width 16 and 3 levels on
volumes of 6 x 19 x 48 x 48; not the 19 million parameters of paper 4.
"""

from __future__ import annotations

import torch
from sleep_network import SleepNetwork, trained_looking
from torch import Tensor, nn

from models.ecg_cam import ECGCAM
from models.ecgnet import ECGNet
from models.lstm import LSTMClassifier
from models.sleep_cnn import SleepCNN
from models.unet import UNet3d

from .row import Setting

STEPS, POINTS, EPOCH = 216, 720, 3000


def network(letter: str, setting: Setting, channels: int = 3) -> nn.Module:
    """The network of that letter; the small LSTM has 16 units, the small U-Net base width 2 and 2 levels."""
    torch.manual_seed(0)
    build = {
        "L": lambda: LSTMClassifier(1, 5, (16,) if setting.small else (128,)),
        "S": lambda: SleepCNN(channels, 5),
        "S, plain modules": lambda: trained_looking(SleepNetwork(channels)),
        "E": ECGNet,
        "CAM": ECGCAM,
        "U": lambda: UNet3d(6, 2, width=2, levels=2) if setting.small else UNet3d(6, 2, width=16, levels=3),
    }
    return build[letter]().eval().to(setting.device, setting.dtype)


def random_inputs(setting: Setting, *shape: int) -> Tensor:
    """Standard normal inputs ``(sample, channel, *grid)``, the same in every precision."""
    return setting.put(torch.randn(shape, generator=torch.Generator().manual_seed(1)))


def classes_of(inputs: Tensor, classes: int = 5) -> Tensor:
    """Targets ``(sample,)``, each class in turn."""
    return torch.arange(len(inputs), device=inputs.device) % classes


def seeds_of(inputs: Tensor) -> Tensor:
    """Seeds ``(sample,)``."""
    return torch.arange(len(inputs), device=inputs.device)
