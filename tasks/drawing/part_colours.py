"""One colour per part of a sample (a modality, a wave), the same in every figure of relevance shares."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.lines import Line2D

from .style import plain

_KNOWN = {"EEG": "#0072b2", "EOG": "#dba500", "EMG": "#c23a22"}
"""Blue, yellow and red as in Ellis et al. (2021), figures 1 to 3, dark enough for lines on white."""
_OTHERS = ("#117733", "#aa4499", "#56a5c8", "#7d6a1f", "#661100", "#332288", "#7d8691")


def part_colours(parts: Sequence[str]) -> dict[str, str]:
    """A colour per part; a channel such as ``EEG Fpz-Cz`` has the colour of its modality."""
    colours: dict[str, str] = {}
    others = iter(_OTHERS * (1 + len(parts) // len(_OTHERS)))
    for part in parts:
        known = _KNOWN.get(part.split(" ")[0].upper())
        colours[part] = known if known and known not in colours.values() else next(others)
    return colours


def part_keys(colours: dict[str, str]) -> list[Line2D]:
    """Handles of a legend that names the parts."""
    return [
        Line2D([], [], linestyle="", marker="s", markersize=8, color=colour, label=plain(part))
        for part, colour in colours.items()
    ]
