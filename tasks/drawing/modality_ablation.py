"""What a model loses without a channel, beside the channel's share of relevance: two answers to one question."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .intervals import beside, digits_for, draw_interval, interval_text
from .layout import inches
from .part_colours import part_colours
from .style import INK, MUTED, SMALL, TEXT, WIDTH, heading, plain, require_columns, tidy

ABLATION = ("channel", "ablation", "drop", "ci_low", "ci_high", "distance")
SHARES = ("channel", "explainer", "share", "ci_low", "ci_high")
_ROW = 0.25
_LEFT, _RIGHT, _TOP, _BETWEEN, _BOTTOM = 2.6, 2.9, 1.0, 0.75, 0.55


def modality_ablation(ablation: pd.DataFrame, shares: pd.DataFrame, *, measure: str, n: str, title: str) -> Figure:
    """Above, the drop of ``measure`` when a channel is ablated; below, the channel's share of absolute relevance.

    ``ablation`` has the columns channel, ablation, drop, ci_low, ci_high and distance (of the ablated inputs from the
    training distribution; 1: as far as a real sample); ``shares`` channel, explainer, share (percent), ci_low and
    ci_high. Both keep their order; ``n`` says on how many of what they rest. ValueError where a column is missing.
    """
    require_columns(ablation, ABLATION, "ablation")
    require_columns(shares, SHARES, "shares")
    drops = ablation.rename(columns={"ablation": "name", "drop": "value"}).sort_values(
        "channel", key=_in_order, kind="stable"
    )
    relevance = shares.rename(columns={"explainer": "name", "share": "value"}).sort_values(
        "channel", key=_in_order, kind="stable"
    )
    colours = part_colours(list(dict.fromkeys([*drops["channel"], *relevance["channel"]])))
    high, low = (_ROW * (len(rows) + rows["channel"].nunique()) for rows in (drops, relevance))
    figure = Figure(figsize=(WIDTH, _TOP + high + _BETWEEN + low + _BOTTOM), facecolor="white")
    width = WIDTH - _LEFT - _RIGHT
    above = inches(figure, _LEFT, _BOTTOM + low + _BETWEEN, width, high)
    below = inches(figure, _LEFT, _BOTTOM, width, low)
    places = _panel(above, drops, colours)
    for place, distance in zip(places, drops["distance"], strict=True):
        above.text(1.48, place, "unknown" if np.isnan(distance) else f"{distance:.2f}", **beside(above))
    above.text(1.48, -0.9, "distance", **{**beside(above), "color": MUTED})
    above.axvline(0, color=INK, linewidth=0.8, zorder=1)
    above.set_xlabel(plain(f"drop of {measure} when the channel is ablated"), size=TEXT, color=INK)
    _panel(below, relevance, colours)
    below.set_xlim(0, 100)
    below.set_xlabel("share of absolute relevance (%)", size=TEXT, color=INK)
    heading(
        figure, title, f"n = {n}; distance: of ablated inputs from the training distribution (1: as far as a real one)"
    )
    return figure


def _in_order(channels: pd.Series) -> pd.Series:
    """Ranks by first appearance, so that the rows of a channel come together."""
    return pd.Series(pd.factorize(channels)[0], index=channels.index)


def _panel(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> list[int]:
    """Rows under the names of their channels, each with its interval drawn and written; returns their places."""
    digits = digits_for(rows["value"])
    places = [place + int(number) + 1 for place, number in enumerate(pd.factorize(rows["channel"])[0])]
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        colour = colours[row["channel"]]
        face = colour if np.isfinite(row["ci_low"]) else "white"
        draw_interval(axes, place, row["value"], row, (colour, "o", face, ""))
        axes.text(1.03, place, interval_text(row["value"], row, digits), **beside(axes))
    for channel, place in zip(dict.fromkeys(rows["channel"]), _headers(places), strict=True):
        axes.text(-0.02, place, plain(channel), transform=axes.get_yaxis_transform(), size=TEXT, weight="bold",
                  color=INK, ha="right", va="center")  # fmt: skip
    axes.set_yticks(places, labels=[plain(name) for name in rows["name"]], size=SMALL)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return places


def _headers(places: list[int]) -> list[int]:
    """The rows left free for the channels' names."""
    return sorted(set(range(places[-1] + 1)) - set(places))
