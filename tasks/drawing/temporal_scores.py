"""Figure 7 of van der Westhuizen & Lasenby (2017): how the decision on a sample forms over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from .geometry import Floats, Geometry, Mask
from .layout import BandedAxes, Margins, banded_grid, inches
from .style import EVIDENCE, HEAT, INK, MUTED, RULE, SMALL, TEXT, WIDTH, heading, plain, tidy, wrapped

_COLOURS = (
    "#88ccee", "#332288", "#ddcc77", "#117733", "#cc6677",
    "#aa4499", "#999933", "#44aa99", "#882255", "#b8bec6",
)  # fmt: skip
"""Ten that colour-blind readers can tell apart (after Paul Tol's muted scheme)."""
_IMAGES_PER_ROW = 10
_LEGEND_COLUMNS = 5


@dataclass(frozen=True)
class TimedSample:
    """One sample of the true class ``label`` as its prefixes are read.

    ``signal (channel, time)``; ``probability (time,)`` of the true class and the class index ``decisions (time,)``
    after each step. ``evidence_from``: the step with which evidence sets in; ``decided_from``: the step from which
    the decision stays right; NaN where there is none. ``evidence (time,)``: where it truly lies, None if unknown.
    """

    label: int
    signal: Floats
    probability: Floats
    decisions: NDArray[np.integer]
    evidence_from: float
    decided_from: float
    evidence: Mask | None = None


def class_colours(classes: int) -> list[str]:
    """A colour per class; beyond ten they are taken from a rainbow and grow alike."""
    if classes <= len(_COLOURS):
        return list(_COLOURS[:classes])
    return [to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.03, 0.97, classes))]


def temporal_scores(
    geometry: Geometry, samples: Sequence[TimedSample], classes: Sequence[str], *, title: str
) -> Figure:
    """A row per sample: probability of its class after each step as heat under the signal, the decision below.

    Every channel of a signal is scaled by itself to fit the row. Scan lines are drawn as images instead: sample,
    probability and decision after each pixel. ValueError where there are no samples.
    """
    if not samples:
        raise ValueError("samples is empty; expected at least one sample.")
    draw = _images if geometry.image else _signals
    return draw(geometry, samples, classes, title)


def _signals(geometry: Geometry, samples: Sequence[TimedSample], classes: Sequence[str], title: str) -> Figure:
    height = 0.5 + 0.16 * (samples[0].signal.shape[0] - 1)
    legend = 0.8 + 0.2 * -(-len(classes) // _LEGEND_COLUMNS)
    margins = Margins(1.15, 0.15, 0.72, 0.45 + legend, between_rows=0.02)
    figure, axes = banded_grid(len(samples), [height, 0.14], 1, 0.12, margins)
    for sample, (heat, strip) in zip(samples, axes[:, :, 0], strict=True):
        _draw_heat(heat, geometry, sample)
        _draw_decisions(strip, geometry, sample, len(classes))
        heat.set_ylabel(wrapped(classes[sample.label], 12), rotation=0, ha="right", va="center", size=TEXT, labelpad=8)
    for strip in axes[:-1, 1, 0]:
        strip.tick_params(labelbottom=False)
    axes[-1, 1, 0].set_xlabel(plain(geometry.time_label), size=TEXT, color=INK)
    heading(
        figure, title, "heat: probability of the true class given the signal so far; below it: the class decided on"
    )
    _heat_key(figure, legend - 0.35)
    _class_key(figure, classes, _marks(samples))
    return figure


def _images(geometry: Geometry, samples: Sequence[TimedSample], classes: Sequence[str], title: str) -> Figure:
    columns = min(len(samples), _IMAGES_PER_ROW)
    bands = -(-len(samples) // columns)
    margins = Margins(1.05, 0.15, 0.95, 0.8 + 0.2 * -(-len(classes) // _LEGEND_COLUMNS), 0.08, 0.06)
    side = min(1.2, (WIDTH - margins.left - margins.right) / columns - 0.08)
    figure, axes = banded_grid(bands, [side] * 3, columns, 0.4, margins)
    for cell in axes.flat:
        cell.set_axis_off()
    for number, sample in enumerate(samples):
        band, column = divmod(number, columns)
        _draw_images(list(axes[band, :, column]), geometry, sample, len(classes))
        axes[band, 0, column].set_title(plain(classes[sample.label]), size=TEXT, color=INK, pad=4)
    _name_image_rows(axes)
    heading(
        figure, title, "read pixel by pixel, row by row: each pixel shows what the network holds once it has read it"
    )
    _heat_key(figure, 0.6 + 0.2 * (-(-len(classes) // _LEGEND_COLUMNS) - 1))
    _class_key(figure, classes, [])
    return figure


def _extent(geometry: Geometry, steps: int) -> tuple[float, float, float, float]:
    times, half = geometry.times(steps), geometry.half_step()
    return (times[0] - half, times[-1] + half, 0.0, 1.0)


def _draw_heat(axes: Axes, geometry: Geometry, sample: TimedSample) -> None:
    axes.imshow(
        sample.probability[None],
        extent=_extent(geometry, len(sample.probability)),
        aspect="auto",
        cmap=HEAT,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    times, channels = geometry.times(len(sample.probability)), len(sample.signal)
    for channel, values in enumerate(sample.signal):
        low, high = float(np.min(values)), float(np.max(values))
        scaled = (values - low) / ((high - low) or 1.0)
        line = (channels - 1 - channel + 0.1 + 0.75 * scaled) / channels
        outline = [patheffects.Stroke(linewidth=2.0, foreground="white", alpha=0.75), patheffects.Normal()]
        axes.plot(times, line, color=INK, linewidth=0.8, path_effects=outline)
    if sample.evidence is not None and sample.evidence.any():
        axes.fill_between(
            times, 0.93, 1.0, where=list(sample.evidence), color=EVIDENCE, linewidth=0, step="mid", zorder=4
        )
    tidy(axes)
    axes.set(xlim=_extent(geometry, len(times))[:2], ylim=(0, 1), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(bottom=False)


def _draw_decisions(axes: Axes, geometry: Geometry, sample: TimedSample, classes: int) -> None:
    colours = ListedColormap(class_colours(classes))
    axes.imshow(
        sample.decisions[None], extent=_extent(geometry, len(sample.decisions)), aspect="auto", cmap=colours,
        vmin=-0.5, vmax=classes - 0.5, interpolation="nearest",
    )  # fmt: skip
    times, half = geometry.times(len(sample.decisions)), geometry.half_step()
    for step, dashes in ((sample.evidence_from, _EVIDENCE_DASHES), (sample.decided_from, "-")):
        if np.isfinite(step):
            axes.axvline(times[int(step)] - half, color="white", linewidth=4.0, clip_on=False)
            axes.axvline(times[int(step)] - half, color=INK, linewidth=1.6, linestyle=dashes, clip_on=False)
    tidy(axes)
    axes.set(ylim=(0, 1), yticks=[])
    axes.spines[["left", "bottom"]].set_color(RULE)


_EVIDENCE_DASHES = (0, (1, 1))


def _draw_images(axes: Sequence[Axes], geometry: Geometry, sample: TimedSample, classes: int) -> None:
    signal, probability, decision = axes
    signal.imshow(geometry.picture(sample.signal), cmap="gray_r", interpolation="nearest")
    probability.imshow(geometry.picture(sample.probability), cmap=HEAT, vmin=0, vmax=1, interpolation="nearest")
    colours = ListedColormap(class_colours(classes))
    decision.imshow(
        geometry.picture(sample.decisions), cmap=colours, vmin=-0.5, vmax=classes - 0.5, interpolation="nearest"
    )


def _name_image_rows(axes: BandedAxes) -> None:
    for band in axes:
        for cell, name in zip(band[:, 0], ("sample", "probability\nof its class", "class\ndecided on"), strict=True):
            cell.text(-0.12, 0.5, name, transform=cell.transAxes, size=TEXT, color=INK, ha="right", va="center")


def _heat_key(figure: Figure, above: float) -> None:
    """The scale of the heat, ``above`` inches over the lower edge."""
    axes = inches(figure, 1.15, above, 2.2, 0.1)
    bar = figure.colorbar(ScalarMappable(cmap=HEAT), cax=axes, orientation="horizontal")
    bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=SMALL, labelcolor=INK, color=MUTED, length=2, pad=1)
    axes.set_title("probability of the true class", size=SMALL, color=INK, loc="left", pad=3)


def _marks(samples: Sequence[TimedSample]) -> list[Line2D | Patch]:
    """Keys of the marks in use."""
    marks: list[Line2D | Patch] = [
        Line2D([], [], color=INK, linewidth=1.6, linestyle=_EVIDENCE_DASHES, label="evidence sets in (change-point)"),
        Line2D([], [], color=INK, linewidth=1.6, label="right from here on"),
    ]
    if any(sample.evidence is not None and sample.evidence.any() for sample in samples):
        marks.append(Patch(color=EVIDENCE, label="evidence for the label"))
    return marks


def _class_key(figure: Figure, classes: Sequence[str], marks: list[Line2D | Patch]) -> None:
    height = figure.get_figheight()
    keys = [Patch(color=c, label=plain(n)) for c, n in zip(class_colours(len(classes)), classes, strict=True)]
    look = {"frameon": False, "fontsize": SMALL, "labelcolor": INK, "handlelength": 1.6, "borderaxespad": 0.0}
    figure.legend(
        handles=keys, ncols=min(len(keys), _LEGEND_COLUMNS), loc="lower left",
        bbox_to_anchor=(1.15 / WIDTH, 0.08 / height), **look,
    )  # fmt: skip
    if marks:
        above = 0.28 + 0.2 * -(-len(classes) // _LEGEND_COLUMNS)
        figure.legend(
            handles=marks, ncols=len(marks), loc="lower right", bbox_to_anchor=(0.985, (above + 0.08) / height), **look
        )
