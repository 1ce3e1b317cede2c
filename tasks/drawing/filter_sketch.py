"""Figure 4 of Tjoa et al. (2019): what a relevance filter does to an amplitude, to spikes and to a broad signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .geometry import Floats
from .layout import Margins, grid
from .style import FIRST, INK, RULE, TEXT, UNDECIDED, heading, plain, tidy

POINTS = 1201


def filter_sketch(filters: Mapping[str, Callable[[Tensor], Tensor]], *, title: str) -> Figure:
    """A row per filter: its transfer curve, a signal with spikes and a broad one, before and after.

    ``filters``: by the words that name them, callables on relevance ``(sample, channel, *grid)`` as in
    `xai.protocols.RelevanceFilter`. Nothing is drawn that they did not compute: the curve is what a ramp from -1 to 1
    becomes, and the means are taken of the signals, whose largest amplitude is 1. ValueError without filters.
    """
    if not filters:
        raise ValueError("filters is empty; expected at least one filter.")
    ramp, place = np.linspace(-1, 1, POINTS), np.linspace(0, 1, POINTS)
    figure, axes = grid(len(filters), 3, 1.55, Margins(0.75, 0.2, 1.15, 0.62, between_columns=0.55, between_rows=0.5))
    for (name, relevance_filter), row in zip(filters.items(), axes, strict=True):
        curve, spikes, broad = row
        _draw_curve(curve, ramp, _filtered(relevance_filter, ramp))
        for cell, signal in ((spikes, _spikes(place)), (broad, _broad(place))):
            after = _filtered(relevance_filter, signal)
            _draw_signal(cell, place, signal, after)
            cell.set_title(f"mean {signal.mean():.2f} → {after.mean():.2f}", size=TEXT, color=INK, loc="left", pad=3)
        curve.set_title(plain(name), size=TEXT, color=INK, weight="bold", loc="left", pad=3)
    for cell, words in zip(axes[-1], ("R / max |R| before", "place, spikes", "place, broad signal"), strict=True):
        cell.set_xlabel(words, size=TEXT, color=INK)
    for row in axes:
        row[0].set_ylabel("after", size=TEXT, color=INK)
    heading(figure, title, "left: what becomes of each amplitude; right: two signals before (grey) and after (blue)")
    return figure


def _filtered(relevance_filter: Callable[[Tensor], Tensor], values: Floats) -> Floats:
    return relevance_filter(torch.from_numpy(values)[None, None])[0, 0].numpy()


def _spikes(place: Floats) -> Floats:
    """Low waves and four narrow spikes, the largest 1."""
    signal = 0.12 * (1 + np.sin(2 * np.pi * 2.5 * place))
    for centre, height in ((0.17, 1.0), (0.34, 0.45), (0.66, 0.8), (0.88, 0.3)):
        signal = np.maximum(signal, height * np.exp(-(((place - centre) / 0.008) ** 2)))
    return signal / signal.max()


def _broad(place: Floats) -> Floats:
    """A wide rise, the largest value 1."""
    signal = np.exp(-((np.abs(place - 0.5) / 0.3) ** 4)) * (0.85 + 0.15 * np.cos(2 * np.pi * 4 * place))
    return signal / signal.max()


def _draw_curve(axes: Axes, ramp: Floats, after: Floats) -> None:
    axes.plot(ramp, ramp, color=UNDECIDED, linewidth=0.9, linestyle=(0, (4, 3)))
    jumps = np.abs(np.diff(after)) > 3 * (ramp[1] - ramp[0])
    drawn = np.insert(after, np.flatnonzero(jumps) + 1, np.nan)
    axes.plot(np.insert(ramp, np.flatnonzero(jumps) + 1, np.nan), drawn, color=FIRST, linewidth=2)
    axes.axhline(0, color=RULE, linewidth=0.8, zorder=0)
    axes.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    tidy(axes)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.1, 1.1), xticks=[-1, 0, 1], yticks=[-1, 0, 1])


def _draw_signal(axes: Axes, place: Floats, before: Floats, after: Floats) -> None:
    axes.plot(place, before, color=UNDECIDED, linewidth=0.9)
    axes.fill_between(place, after, color=FIRST, alpha=0.25, linewidth=0)
    axes.plot(place, after, color=FIRST, linewidth=1.4)
    tidy(axes)
    axes.tick_params(labelleft=True)
    axes.set(xlim=(0, 1), xticks=[0, 0.5, 1])
