"""How an LSTM uses its gates: the share of time that each is saturated open or shut.

Karpathy, Johnson & Li, "Visualizing and Understanding Recurrent Networks" (2015), section 4.3, figure 2: a gate is
right-saturated (here: open) at a step where it is above 0.9, left-saturated (shut) where it is below 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocols import LayerTrace, LSTMStack

OPEN, SHUT = 0.9, 0.1
GATES = ("input", "forget", "output")
WEIGHT_BLOCKS = ("input", "forget", "candidate", "output")
"""What each quarter of a layer's weights feeds, in their order."""

SAMPLES_AT_ONCE = 32
"""Samples traced together: a trace keeps seven numbers per step and unit."""


@dataclass(frozen=True)
class GateUse:
    """What one layer's gates and cells did with each sample.

    ``open`` and ``shut``: shares of time in [0, 1], ``(sample, gate, unit)`` with the gates in the order of `GATES`;
    NaN where a gate is not a number at some step. ``cell_variance (sample, unit)``: of the cell over time.
    """

    open: Tensor
    shut: Tensor
    cell_variance: Tensor


def gate_use(model: LSTMStack, inputs: Tensor) -> list[GateUse]:
    """The use of the gates in every layer, first layer first, for ``inputs (sample, channel, time)``.

    Raises ValueError where there are no samples or no steps.
    """
    if not len(inputs) or not inputs.shape[2]:
        raise ValueError(f"inputs have shape {tuple(inputs.shape)}; expected at least one sample and one step.")
    parts = [[_layer_use(layer) for layer in model.trace(part)] for part in inputs.split(SAMPLES_AT_ONCE)]
    return [
        GateUse(
            open=torch.cat([use.open for use in layer]),
            shut=torch.cat([use.shut for use in layer]),
            cell_variance=torch.cat([use.cell_variance for use in layer]),
        )
        for layer in zip(*parts, strict=True)
    ]


def _layer_use(layer: LayerTrace) -> GateUse:
    gates = (layer.input_gate, layer.forget_gate, layer.output_gate)
    return GateUse(
        open=torch.stack([_share(gate, gate > OPEN) for gate in gates], dim=1),
        shut=torch.stack([_share(gate, gate < SHUT) for gate in gates], dim=1),
        cell_variance=layer.cell.var(dim=1, correction=0),
    )


def _share(gate: Tensor, saturated: Tensor) -> Tensor:
    """Share of time ``(sample, unit)``; a comparison with NaN is false and would pass for "not saturated"."""
    share = saturated.to(gate.dtype).mean(dim=1)
    return share.masked_fill(gate.isnan().any(dim=1), torch.nan)
