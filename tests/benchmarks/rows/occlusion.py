"""Occlusion against captum at its best batching, on volumes against MONAI too.

captum rounds its result to float32 whatever the network's precision. What is timed are small differences of scores: on
S the largest is a fortieth of the score, and captum's result is 2e-5 from that in float64, ours 7e-6. MONAI takes one
volume at a time and scores of the classes, ``(sample, class)``, so the U-Net's logits are averaged over the volume
first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from captum.attr import Occlusion as CaptumOcclusion
from peers import peer
from torch import Tensor, nn

from xai.methods import Occlusion

from ..networks import EPOCH, POINTS, STEPS, classes_of, network, random_inputs, seeds_of
from ..row import Case, Results, Row, Run, Setting

BATCHINGS = (8, 16, 32, 64)
Inputs = Callable[[Setting], Tensor]


def _signals(letter: str, inputs: Inputs, how: Occlusion, setting: Setting) -> Case:
    model, signals = network(letter, setting), inputs(setting)
    channels = 1 if how.channels == "single" else signals.shape[1]
    return Case(_ours(model, signals, how), {"captum": _captum(model, signals, (channels, how.width), (1, how.stride))})


def _ours(model: nn.Module, inputs: Tensor, how: Occlusion) -> Run:
    targets, seeds = classes_of(inputs, 2 if inputs.ndim == 5 else 5), seeds_of(inputs)
    return lambda: [how.attribute(model, inputs, targets, seeds=seeds)]


def _captum(model: nn.Module, inputs: Tensor, window: tuple, strides: tuple) -> dict[str, Run]:
    theirs, targets = CaptumOcclusion(model), classes_of(inputs, 2 if inputs.ndim == 5 else 5)

    def run(batching: int) -> Results:
        return [theirs.attribute(inputs, window, strides, target=targets, perturbations_per_eval=batching)]

    return {f"{batching} at once": partial(run, batching) for batching in BATCHINGS}


class MeanOverVolume(nn.Module):
    """A segmenter as a classifier: its logits ``(sample, class)``, averaged over the volume."""

    def __init__(self, segmenter: nn.Module) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, inputs: Tensor) -> Tensor:
        return self.segmenter(inputs).flatten(2).mean(2)


def _volume(setting: Setting) -> Case:
    model = MeanOverVolume(network("U", setting)).eval()  # MONAI puts back the mode that it finds
    grid, width = ((4, 8, 8), (2, 4, 4)) if setting.small else ((12, 32, 32), (6, 8, 16))
    inputs = random_inputs(setting, 1, 6, *grid)
    return Case(
        _ours(model, inputs, Occlusion(width, width)),
        {
            "captum": _captum(model, inputs, (6, *width), (1, *width)),
            "MONAI": {f"{batching} at once": _monai(model, inputs, width, batching) for batching in BATCHINGS},
        },
    )


def _monai(model: nn.Module, inputs: Tensor, width: tuple[int, ...], batching: int) -> Run:
    """What is left of the first class, taken from what there was: windows side by side, nothing averaged."""
    theirs = peer("monai.visualize").OcclusionSensitivity(
        model, mask_size=width, n_batch=batching, mode=0.0, overlap=0.0, activate=False, verbose=False
    )

    def run() -> Results:
        with torch.no_grad():
            left = theirs(inputs)[0].as_tensor()[:, :1]
            return [(model(inputs)[:, :1, None, None, None] - left).expand_as(inputs)]

    return run


ROWS = (
    Row(
        "occlusion-L",
        "occlusion of 8 beats, width 10, stride 1",
        partial(
            _signals, "L", lambda s: random_inputs(s, 2, 1, 160) if s.small else random_inputs(s, 8, 1, STEPS),
            Occlusion(10),
        ),
        goals={"captum": 2},
        saves={"captum": 0.75},
    ),
    Row(
        "occlusion-S",
        "occlusion of 1 epoch, width 100, stride 4, one channel at a time",
        lambda s: _signals(
            "S", lambda s: random_inputs(s, 1, 3, EPOCH), Occlusion(100, 100 if s.small else 4, channels="single"), s
        ),
        goals={"captum": 15},
        rounding=5e-5,
        saves={"captum": 0.1},
    ),
    Row(
        "occlusion-E",
        "occlusion of 1 window, width 24, stride 8",
        lambda s: _signals(
            "E", lambda s: random_inputs(s, 1, 1, POINTS), Occlusion(24, 24 if s.small else 8), s
        ),
        goals={"captum": 1.6},
        saves={"captum": 0.7},
    ),
    Row(
        "occlusion-CAM",
        "occlusion of 4 windows, width 24, stride 8",
        lambda s: _signals(
            "CAM", lambda s: random_inputs(s, 1 if s.small else 4, 1, POINTS), Occlusion(24, 24 if s.small else 8), s
        ),
        goals={"captum": 5},
        saves={"captum": 0.24},
    ),
    Row(
        "occlusion-U",
        "occlusion of a volume of 6 x 12 x 32 x 32, 16 windows side by side",
        _volume,
        saves={"captum": 1.25, "MONAI": 1.25},
    ),
)  # fmt: skip
