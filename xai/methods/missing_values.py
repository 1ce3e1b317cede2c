"""What missing values do to a classification: gaps of a given length, in one channel or in all.

Occlusion read as the effect of an expected corruption (van der Westhuizen & Lasenby, 2017, section 4.1, benefit i).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from ..protocols import PrefixClassifier
from ..scores import LOGIT, PROBABILITY

Filled = Literal["zero", "held"]
FILLED: tuple[Filled, ...] = get_args(Filled)
"""What stands in a gap: 0 in normalised units, or the last value before it, as a monitor would show."""

ALL_CHANNELS = -1
"""Stands for a gap in every channel at once, where a channel's number is expected."""

ROWS_AT_ONCE = 2048
COLUMNS = ("sample", "channel", "length", "filled", "positions", "logit", "probability", "changed")


@dataclass(frozen=True)
class _Gap:
    """One kind of gap: what stands in it, and the channel that it is in."""

    filled: Filled
    channel: int


def gap_effects(model: PrefixClassifier, inputs: Tensor, targets: Tensor, lengths: Sequence[int]) -> pd.DataFrame:
    """The effect of gaps of each of the ``lengths`` (steps), averaged over where they lie, sample by sample.

    ``inputs (sample, channel, time)`` are normalised. Gaps start at step 1, since before it there is no value
    to hold, and then every half length; all lie wholly inside. Returns one row per sample, channel (its number, or
    `ALL_CHANNELS`; the latter only where there is one channel), length and filling: ``positions``, how many
    gaps; the mean fall of the target's ``logit`` and ``probability``; ``changed``, the share of gaps that change the
    decision, in [0, 1]. Raises ValueError for a length under 1 or of the whole window.
    """
    steps = inputs.shape[2]
    wrong = [length for length in lengths if not 1 <= length < steps]
    if wrong:
        raise ValueError(f"lengths holds {wrong[0]}; expected 1 to {steps - 1} steps.")
    channels = [ALL_CHANNELS, *(range(inputs.shape[1]) if inputs.shape[1] > 1 else ())]
    gaps = [_Gap(filled, channel) for filled in FILLED for channel in channels]
    tables = []
    for length in lengths:
        logits = _gap_logits(model, inputs, gaps, length)
        tables += [_effects(logits[:, :, place], targets, gap, length) for place, gap in enumerate(gaps)]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def gap_starts(steps: int, length: int) -> list[int]:
    """Where gaps of ``length`` start in a window of ``steps``: at 1 and then every half length (rounded up)."""
    return list(range(1, steps - length + 1, -(-length // 2)))


def _gap_logits(model: PrefixClassifier, inputs: Tensor, gaps: Sequence[_Gap], length: int) -> Tensor:
    """Logits ``(1 + position, sample, gap, class)`` of whole inputs and of inputs with one gap each.

    Gaps that do not overlap can share what is put in their place, so every second one is run together.
    """
    starts = gap_starts(inputs.shape[2], length)
    together = max(1, ROWS_AT_ONCE // (len(gaps) * (len(starts) // 2 + 2)))
    found = []
    for part in inputs.split(together):
        whole = model.interval_logits(part, part, torch.tensor([0]), torch.tensor([0]))
        rows = torch.empty(1 + len(starts), len(part), len(gaps), whole.shape[-1]).to(whole)
        rows[0] = whole[0].unsqueeze(1)
        for phase in (0, 1):
            chosen = torch.tensor(starts[phase::2], dtype=torch.int64)
            if len(chosen):
                filled = torch.cat([_with_gaps(part, chosen, length, gap) for gap in gaps])
                logits = model.interval_logits(part.repeat(len(gaps), 1, 1), filled, chosen, chosen + length)
                rows[1 + phase :: 2] = logits.unflatten(1, (len(gaps), len(part))).transpose(1, 2)
        found.append(rows)
    return torch.cat(found, dim=1)


def _with_gaps(inputs: Tensor, starts: Tensor, length: int, gap: _Gap) -> Tensor:
    """The inputs with every one of these gaps filled at once, in the gap's channels."""
    inside = starts[:, None] + torch.arange(length)
    filled = inputs.clone()
    chosen = slice(None) if gap.channel == ALL_CHANNELS else slice(gap.channel, gap.channel + 1)
    before = inputs[:, chosen][..., starts - 1].unsqueeze(-1)
    filled[:, chosen, inside] = before.expand(*before.shape[:-1], length) if gap.filled == "held" else 0.0
    return filled


def _effects(logits: Tensor, targets: Tensor, gap: _Gap, length: int) -> pd.DataFrame:
    """One row per sample from logits ``(1 + position, sample, class)``."""
    return pd.DataFrame(dict(_columns(logits, targets))).assign(
        sample=range(len(targets)), channel=gap.channel, length=length, filled=gap.filled, positions=len(logits) - 1
    )


def _columns(logits: Tensor, targets: Tensor) -> Iterator[tuple[str, object]]:
    for score in (LOGIT, PROBABILITY):
        scores = score(logits.double().flatten(0, 1), targets.repeat(len(logits))).view(len(logits), -1)
        yield score.name, (scores[0] - scores[1:]).mean(0).cpu().numpy()
    decided = logits.argmax(2)
    yield "changed", (decided[1:] != decided[0]).double().mean(0).cpu().numpy()
