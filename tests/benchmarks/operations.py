"""How much work a run is: its floating-point operations in matrix products, and how many of them the machine can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from .row import Results, Run, Setting

Shape = torch.Size
SIDES = {"cpu": 512, "cuda": 8192}
"""Of the matrices in the product whose rate is the limit, by device."""


def counted(run: Run) -> tuple[Results, float]:
    """What a run finds, and its operations in matrix products and convolutions; a multiplication and a sum are two."""
    counter = FlopCounterMode(display=False, custom_mapping=_FUSED)
    counter.mod_tracker = _Untracked()
    with counter:
        found = run()
    return found, float(counter.get_total_flops())


def product(setting: Setting) -> Callable[[], object]:
    """A product of two square matrices, large enough that the machine does nothing faster."""
    side = SIDES.get(setting.device, SIDES["cuda"])
    left, right = (setting.put(torch.ones(side, side)) for _ in range(2))
    return lambda: left @ right


def product_operations(setting: Setting) -> float:
    """Operations of that product."""
    return 2.0 * SIDES.get(setting.device, SIDES["cuda"]) ** 3


class _Untracked(nullcontext[None]):
    """No modules are told apart: torch's tracker of them fails where a gradient ends in a leaf of its own."""

    parents = frozenset({"Global"})


def _of_layers(steps: int, width: int, hidden: int) -> int:
    """Operations of ``steps`` steps, over all samples, of an LSTM layer of four gates."""
    return 2 * steps * 4 * hidden * (width + hidden)


def _mkldnn(inputs: Shape, weight: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """One layer of oneDNN, forward: inputs ``(step, sample, width)``, weights ``(4 hidden, width)``."""
    return _of_layers(inputs[0] * inputs[1], weight[1], weight[0] // 4)


def _cudnn(inputs: Shape, weights: list[Shape], stride: int, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """All layers of cuDNN, forward: of each the weights for inputs and hidden states, and biases."""
    steps = inputs[0] * inputs[1]
    return sum(_of_layers(steps, weights[at][1], weights[at][0] // 4) for at in range(0, len(weights), stride))


def _convolution(inputs: Shape, weight: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """A convolution of oneDNN: each output is a product with its channel's weights, ``(input, *kernel)``."""
    return 2 * out_shape.numel() * weight[1:].numel()


_FUSED = {
    torch.ops.aten.mkldnn_convolution: _convolution,
    torch.ops.aten.mkldnn_rnn_layer: _mkldnn,
    torch.ops.aten._cudnn_rnn: _cudnn,
}
