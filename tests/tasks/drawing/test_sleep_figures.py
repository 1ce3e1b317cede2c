"""The figures of the sleep study show what they were given, whole and readable, for little and for much."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color, to_rgba
from matplotlib.figure import Figure

from tasks.drawing.agreement import agreement
from tasks.drawing.calibration import false_positives
from tasks.drawing.coefficient_forest import coefficient_forest
from tasks.drawing.coefficients import coefficient_heatmaps
from tasks.drawing.fold_confusions import fold_confusions
from tasks.drawing.hypnogram import hypnogram
from tasks.drawing.modality_ablation import modality_ablation
from tasks.drawing.modality_shares import modality_shares
from tasks.drawing.part_colours import part_colours
from tasks.drawing.share_groups import share_groups
from tasks.drawing.style import FIRST, SECOND
from tests.tasks.drawing.readable import assert_readable
from tests.tasks.drawing.sleep_tables import (
    CLASSES,
    GROUPS,
    MANY,
    PARTS,
    RULES,
    TWINS,
    ablation,
    agreements,
    by_fold,
    by_group,
    by_group_fold,
    calibration,
    channel_shares,
    coefficients,
    confusions,
    night,
)

RHYTHMS = [f"rhythm {number} with a $name$" for number in range(8)]
WAVES = ["P", "QRS", "T", "other"]


def many_heatmaps() -> Figure:
    table = coefficients(RHYTHMS, ["sex", "age"])
    return coefficient_heatmaps(table, TWINS, {f"{name}/{name}": name for name in RHYTHMS}, title="T")


@cache
def groups() -> Figure:
    return share_groups(by_group(), by_group_fold(), CLASSES, title="T")


def ablated() -> Figure:
    return modality_ablation(ablation(), channel_shares(), measure="accuracy", n="22 subjects", title="T")


FIGURES: dict[str, Callable[[], Figure]] = {
    "shares": lambda: modality_shares(by_fold(), title="T"),
    "shares, 1 fold, 7 rules": lambda: modality_shares(by_fold(1, MANY), title="T"),
    "shares, 2 folds, 2 rules, waves": lambda: modality_shares(by_fold(2, RULES[:2], WAVES), title="T"),
    "groups": groups,
    "groups, 1 fold, 7 rules": lambda: share_groups(by_group(MANY), by_group_fold(1, MANY), CLASSES, title="T"),
    "groups, 2 long classes": lambda: share_groups(
        by_group(RULES[:1], RHYTHMS[:2]),
        by_group_fold(2, RULES[:1], RHYTHMS[:2]),
        RHYTHMS[:2],
        title="T",
        samples="beats",
    ),
    "groups, 8 classes": lambda: share_groups(
        by_group(RULES[:1], RHYTHMS), by_group_fold(2, RULES[:1], RHYTHMS), RHYTHMS, title="T"
    ),
    "night": lambda: hypnogram(night(rate=5.0), title="T"),
    "night, 3 epochs": lambda: hypnogram(night(3, rate=5.0), title="T"),
    "heat-maps": lambda: coefficient_heatmaps(coefficients(), TWINS, GROUPS, title="T"),
    "heat-maps, 8 groups": many_heatmaps,
    "forest": lambda: coefficient_forest(coefficients(), PARTS[0], GROUPS, title="T"),
    "false positives": lambda: false_positives(calibration(), draws=200, title="T"),
    "confusions": lambda: fold_confusions(confusions(), CLASSES, title="T"),
    "confusions, 1 fold": lambda: fold_confusions(confusions(1), CLASSES, title="T"),
    "ablation": ablated,
    "agreement": lambda: agreement(agreements(RULES[:2]), measure="ICC", n="22 subjects", title="T"),
    "agreement, 7 rules": lambda: agreement(agreements(MANY), measure="ICC", n="22 subjects", title="T"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_inside_readable_and_apart(name: str) -> None:
    assert_readable(FIGURES[name]())


def test_parts_have_the_papers_colours_and_no_two_the_same() -> None:
    colours = part_colours([*PARTS, "EEG Pz-Oz", "P", "QRS", "T", "other"])
    red, green, blue, _ = to_rgba(colours["EEG Fpz-Cz"])
    assert blue > green > red
    red, green, blue, _ = to_rgba(colours["EOG horizontal"])
    assert red > green > 2 * blue
    red, green, blue, _ = to_rgba(colours["EMG submental"])
    assert red > 2 * max(green, blue)
    assert len(set(colours.values())) == len(colours)


def test_every_fold_is_a_point_and_the_box_is_their_quartiles() -> None:
    table = by_fold()
    axes = modality_shares(table, title="T").axes[0]
    values = table[(table["explainer"] == RULES[1]) & (table["part"] == PARTS[2])]["share"].to_numpy()
    points = [line.get_ydata() for line in axes.lines if line.get_marker() == "o"]
    assert len(points) == 9
    np.testing.assert_array_equal(points[7], values)
    box = axes.patches[7].get_path().vertices[:, 1]
    np.testing.assert_allclose([box.min(), box.max()], np.quantile(values, [0.25, 0.75]))
    assert same_color(axes.patches[7].get_facecolor()[:3], part_colours(PARTS)[PARTS[2]])


def test_one_fold_is_a_point_and_no_box_and_an_unknown_share_is_said() -> None:
    table = by_fold(1)
    table.loc[table["part"] == PARTS[1], "share"] = np.nan
    axes = modality_shares(table, title="T").axes[0]
    assert not axes.patches
    assert [text.get_text() for text in axes.texts].count("undefined") == 3
    assert len([line for line in axes.lines if line.get_marker() == "o"]) == 6


def test_a_panel_counts_its_epochs_and_subjects_and_an_empty_one_says_so() -> None:
    figure = groups()
    panels = np.array(figure.axes).reshape(5, 5)
    assert panels[0, 0].get_title() == "12,345 (22 subjects)"
    assert panels[0, 4].get_title() == "67 (1 subject)"
    assert [text.get_text() for text in panels[4, 0].texts] == ["no epochs"]
    assert not panels[4, 0].lines
    assert not any(len(bar.get_segments()[0]) for bar in panels[0, 4].collections), "one subject has no interval"
    diamonds = [line for line in panels[0, 4].lines if line.get_marker() == "D"]
    assert len(diamonds) == 9
    assert all(same_color(line.get_markerfacecolor(), "white") for line in diamonds)


def test_an_interval_stands_at_its_own_box() -> None:
    table = by_group()
    panel = np.array(groups().axes).reshape(5, 5)[2, 1]
    row = table.query("true == 'NREM2' and predicted == 'NREM1' and explainer == @RULES[2] and part == @PARTS[1]").iloc[
        0
    ]
    bars = {round(float(bar.get_segments()[0][0, 0]), 3): bar.get_segments()[0][:, 1] for bar in panel.collections}
    np.testing.assert_allclose(bars[1 * 4 + 2 + 0.5], [row["ci_low"], row["ci_high"]])


def test_unknown_classes_are_named() -> None:
    with pytest.raises(ValueError, match=r"by_group has the classes \['REM'\]"):
        share_groups(by_group(), by_group_fold(), CLASSES[:4], title="T")
    with pytest.raises(ValueError, match=r"table has the classes \['REM'\]"):
        fold_confusions(confusions(), CLASSES[:4], title="T")


def test_models_above_the_nominal_rate_stand_out() -> None:
    axes = false_positives(calibration(), draws=200, title="T").axes[0]
    points = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "o"}
    assert [same_color(points[place].get_color(), SECOND) for place in range(4)] == [True, True, False, False]
    assert same_color(points[3].get_color(), FIRST)
    written = [text.get_text() for text in axes.texts]
    assert "59.0% [57.0%, 61.0%]" in written
    assert "undefined" in written
    with pytest.raises(ValueError, match="expected one"):
        false_positives(calibration().assign(nominal=[0.05] * 4 + [0.01]), draws=2, title="T")


def test_folds_are_pooled_by_their_counts_and_an_absent_class_is_undefined() -> None:
    figure = fold_confusions(confusions(3), CLASSES, title="T")
    pooled, _, second, _ = figure.axes[:4]
    table = confusions(3)
    awake = table[table["true"] == "Awake"]
    share = awake[awake["predicted"] == "Awake"]["count"].sum() / awake["count"].sum()
    assert pooled.images[0].get_array()[0, 0] == pytest.approx(share)
    assert np.ma.getmaskarray(second.images[0].get_array())[1].all()
    assert second.get_title(loc="left") == "fold 1: 80 epochs"


def test_ablations_come_together_by_channel_in_its_colour() -> None:
    above, below = ablated().axes
    assert [tick.get_text() for tick in above.get_yticklabels()] == ["zero", "mean", "line_noise"] * 3
    points = [line for line in above.lines if line.get_marker() == "o"]
    drops = [point.get_xdata()[0] for point in points]
    np.testing.assert_array_equal(drops, [0.31, 0.3, 0.35, 0.12, 0.11, 0.2, 0.02, 0.01, np.nan])
    assert same_color(points[4].get_color(), part_colours(PARTS)[PARTS[1]])
    written = [text.get_text() for text in above.texts]
    assert {"0.310 [0.270, 0.350]", "8.40", "undefined", "unknown", *PARTS} <= set(written)
    assert len(below.get_yticks()) == 12


def test_agreement_is_symmetric_and_a_pair_given_twice_is_refused() -> None:
    figure = agreement(agreements(), measure="ICC", n="22 subjects", title="T")
    values = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(values, 9), np.ma.filled(values.T, 9))
    assert values[0, 1] == pytest.approx(0.95)
    assert np.ma.getmaskarray(values).diagonal().all()
    turned = agreements().rename(columns={"first": "second", "second": "first"})
    with pytest.raises(ValueError, match="expected each pair once"):
        agreement(pd.concat([agreements(), turned]), measure="ICC", n="22", title="T")


@pytest.mark.parametrize("draw", [
    lambda: modality_shares(by_fold().drop(columns="share"), title="T"),
    lambda: share_groups(by_group(), by_group_fold().drop(columns="share"), CLASSES, title="T"),
    lambda: modality_ablation(ablation(), channel_shares().drop(columns="share"), measure="m", n="1", title="T"),
])  # fmt: skip
def test_a_missing_column_is_named(draw: Callable[[], Figure]) -> None:
    with pytest.raises(ValueError, match=r"lacks \['share'\]"):
        draw()
