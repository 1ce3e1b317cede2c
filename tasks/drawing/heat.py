"""Heat: an attribution scaled to its colours, and the key that says what they mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .geometry import Floats
from .layout import inches
from .style import EVIDENCE, HEAT, INK, MUTED, SIGNED, SMALL

SHADE = 0.13
"""Opacity of the evidence's shade behind a signal."""
LOW_IS_IMPORTANT = "(low = important)"
"""Stands beside an explainer whose low values mark what matters."""
LOW, LOW_NOTE = "(low)", "; (low): low = important"
"""The same where there is no room, and its explanation."""


def is_signed(attribution: Floats) -> bool:
    """Whether the map holds values below zero, so that zero and not its minimum is neutral."""
    return bool(np.nanmin(attribution) < 0) if np.isfinite(attribution).any() else False


def heat(attribution: Floats, *, signed: bool = False) -> Floats:
    """The map scaled to [0, 1] by itself, over all its channels; NaN throughout where it is constant.

    Unsigned: minimum 0, maximum 1. Signed: zero becomes 0.5, the largest magnitude 0 or 1.
    """
    values = np.asarray(attribution, dtype=float)
    finite = values[np.isfinite(values)]
    if finite.size == 0 or np.ptp(finite) == 0:
        return np.full(values.shape, np.nan)
    if signed:
        return 0.5 + values / (2 * np.abs(finite).max())
    return (values - finite.min()) / np.ptp(finite)


def colours_of(attribution: Floats, *, low_is_important: bool = False) -> Colormap:
    """Diverging colours for a map around zero; a map read from its low end has no neutral zero."""
    return SIGNED if is_signed(attribution) and not low_is_important else HEAT


def colours_by_explainer(
    classes: Collection[Mapping[str, Floats]], low_is_important: Collection[str]
) -> dict[str, Colormap]:
    """One scale per explainer, so that its maps compare across classes: signed if any class is."""
    names = dict.fromkeys(name for maps in classes for name in maps)
    return {name: _common(classes, name, name in low_is_important) for name in names}


def _common(classes: Collection[Mapping[str, Floats]], name: str, low_is_important: bool) -> Colormap:
    signed = any(is_signed(maps[name]) for maps in classes if name in maps)
    return SIGNED if signed and not low_is_important else HEAT


def scales_for(colours: Collection[Colormap], *, low_is_important: bool = False) -> dict[str, Colormap]:
    """Label and colours of the scales in use: unsigned, signed or both."""
    scales: dict[str, Colormap] = {}
    if any(used is HEAT for used in colours):
        scales[heat_label(low_is_important)] = HEAT
    if any(used is SIGNED for used in colours):
        scales["signed, scaled per map (0 = no effect)"] = SIGNED
    return scales


def heat_label(low_is_important: bool = False) -> str:
    """What 1 means on the unsigned scale."""
    return f"heat, scaled per map (1 = {'least' if low_is_important else 'most'} important)"


def footer(
    figure: Figure, scales: Mapping[str, Colormap], *, left: float, evidence: bool, outline: str | None = None
) -> None:
    """Colour bars (label to map) and the evidence's key along the lower edge, ``left`` inches in.

    ``evidence`` tells whether any is drawn, ``outline`` the colour of the line around it where it is no shade.
    """
    width = 2.2
    for number, (label, colours) in enumerate(scales.items()):
        axes = inches(figure, left + number * (width + 1.1), 0.42, width, 0.1)
        bar = figure.colorbar(ScalarMappable(cmap=colours), cax=axes, orientation="horizontal")
        signed = colours is SIGNED
        bar.set_ticks([0, 0.5, 1], labels=["−1", "0", "+1"] if signed else ["0", "0.5", "1"])
        bar.outline.set_visible(False)
        axes.tick_params(labelsize=SMALL, labelcolor=INK, color=MUTED, length=2, pad=1)
        axes.set_title(label, size=SMALL, color=INK, loc="left", pad=3)
    if evidence:
        face, edge = ("white", outline) if outline else ((EVIDENCE, SHADE), EVIDENCE)
        key = Patch(facecolor=face, edgecolor=edge, linewidth=0.9, label="evidence for the label")
        figure.legend(
            handles=[key],
            loc="center right",
            bbox_to_anchor=(0.99, 0.47 / figure.get_figheight()),
            frameon=False,
            fontsize=SMALL,
            labelcolor=INK,
        )
