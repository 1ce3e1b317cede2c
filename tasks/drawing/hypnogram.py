"""Figure 3 of Ellis et al. (2021): hypnogram, signals and relevance of a recording under each other."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .layout import Margins, banded_grid
from .night import Night, visible_range
from .part_colours import part_colours
from .share_boxes import SHARE_LABEL
from .stretches import envelope, stretches
from .style import INK, SMALL, TEXT, heading, plain, tidy, wrapped

TRUE, PREDICTED, WRONG = INK, "#1b9e4b", "#f3d9d4"
_COLUMNS = 1000


def hypnogram(night: Night, *, title: str) -> Figure:
    """Stages (predicted green, true black), a panel per channel, and the parts' shares of relevance over time.

    Epochs put into a wrong class are shaded through all panels. Signals are drawn by their least and greatest value
    per stretch; the outermost 0.2 % of these are cut off. Times are minutes from the recording's beginning.
    """
    channels = len(night.channels)
    heights = [1.35, *[0.75] * channels, 1.6]
    figure, axes = banded_grid(1, heights, 1, 0, Margins(1.25, 0.2, 0.75, 0.85, between_rows=0.14))
    panels: list[Axes] = list(axes[0, :, 0])
    colours = part_colours(night.parts)
    signal_colours = part_colours(night.channels)
    _draw_stages(panels[0], night)
    for channel, panel in enumerate(panels[1:-1]):
        _draw_signal(panel, night, channel, signal_colours[night.channels[channel]])
    _draw_shares(panels[-1], night, colours)
    for panel in panels:
        _shade_wrong(panel, night)
        tidy(panel)
    panels[-1].set_xlim(night.starts[0] / 60, (night.starts[-1] + night.epoch_s) / 60)
    panels[-1].set_xlabel("time from the beginning of the recording (min)", size=TEXT, color=INK)
    figure.align_ylabels(panels)
    _legend(figure, colours)
    wrong, epochs = int(night.wrong.sum()), len(night.starts)
    heading(figure, title, f"n = {epochs:,} epochs, {wrong:,} of them put into a wrong class (shaded)")
    return figure


def _draw_stages(axes: Axes, night: Night) -> None:
    for stages, colour, width, below in ((night.true, TRUE, 2.4, 0.0), (night.predicted, PREDICTED, 1.2, 0.13)):
        times, heights = night.steps(night.heights(stages))
        axes.plot(times, heights + below, color=colour, linewidth=width)
    axes.set_yticks(range(len(night.classes)), labels=[wrapped(name, 14) for name in night.from_top])
    axes.set_ylim(len(night.classes) - 0.5, -0.5)
    axes.set_ylabel("stage", size=TEXT, color=INK)


def _draw_signal(axes: Axes, night: Night, channel: int, colour: str) -> None:
    signal = night.signals[channel]
    ends = envelope(signal, _COLUMNS)
    edges = stretches(len(signal), _COLUMNS)
    times = (night.signals_from + (edges[:-1] + edges[1:]) / 2 / night.rate) / 60
    axes.fill_between(times, ends[:, 0], ends[:, 1], color=colour, linewidth=0.4)
    axes.set_ylim(visible_range(ends))
    axes.locator_params(axis="y", nbins=4)
    unit = f"\n({night.units[channel]})" if night.units[channel] else ""
    axes.set_ylabel(wrapped(night.channels[channel], 12) + plain(unit), size=SMALL, color=INK)


def _draw_shares(axes: Axes, night: Night, colours: dict[str, str]) -> None:
    for number, (part, colour) in enumerate(colours.items()):
        axes.plot(*night.steps(night.shares[:, number]), color=colour, linewidth=1.2, label=plain(part))
    axes.set_ylim(0, 100)
    axes.set_ylabel(SHARE_LABEL.replace("absolute", "absolute\n"), size=SMALL, color=INK)


def _shade_wrong(axes: Axes, night: Night) -> None:
    spans = [(start / 60, night.epoch_s / 60) for start in night.starts[night.wrong]]
    low, high = axes.get_ylim()
    axes.broken_barh(spans, (min(low, high), abs(high - low)), color=WRONG, linewidth=0, zorder=0)
    axes.set_ylim(low, high)


def _legend(figure: Figure, colours: dict[str, str]) -> None:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=TRUE, linewidth=2.4, label="true stage"),
        Line2D([], [], color=PREDICTED, linewidth=1.2, label="predicted stage"),
        Patch(color=WRONG, label="wrong class"),
        *[Line2D([], [], color=colour, linewidth=1.6, label=plain(part)) for part, colour in colours.items()],
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=SMALL)
